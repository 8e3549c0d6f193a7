import asyncio
import re
import signal
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from io import BytesIO, StringIO
from pathlib import Path

import httpx
import pytest

import edgesearch
from edgesearch.commands.cli import main
from edgesearch.counting.photo_count import Count
from edgesearch.errors import BusyError, DeviceError
from edgesearch.store.store import Store

pytest.importorskip("fastapi", reason="the extra `server` is not installed")

from edgesearch.server import middleware, sessions, worker_threads
from edgesearch.server.access import Access, Role
from edgesearch.server.app import create_app
from edgesearch.server.sessions import Door, RefusedError, Visitor
from edgesearch.server.state import Served

HERE = "http://127.0.0.1:8765"
PINS = {"Ada": (Role.STAFF, "271828"), "Bo": (Role.MANAGER, "314159")}


class Client:
    """Asks an application in this process, each request through all its layers."""

    def __init__(self, served: Served):
        self.served, self.app, self.cookies = served, create_app(served), httpx.Cookies()

    def __call__(self, verb: str, path: str, **asked: object) -> httpx.Response:
        return asyncio.run(self.ask(verb, path, **asked))

    async def ask(self, verb: str, path: str, **asked: object) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=HERE, cookies=self.cookies) as client:
            answer = await client.request(verb, path, **asked)  # type: ignore[arg-type]
            self.cookies = client.cookies
            return answer

    def log_in(self, name: str) -> None:
        assert self("POST", "/v1/login", json={"pin": PINS[name][1]}).json()["name"] == name


@pytest.fixture
def client(device: Path) -> Iterator[Client]:
    with edgesearch.open(device) as store:
        served = Served(store, device)
        yield Client(served)
        served.close()


@pytest.fixture
def guarded(device: Path) -> Iterator[Client]:
    """One with PINs, asked from other machines too."""
    access = Access(device / "access.json")
    for name, (role, pin) in PINS.items():
        access.add_pin(name, role, pin)
    with edgesearch.open(device) as store:
        served = Served(store, device, is_local=False)
        yield Client(served)
        served.close()


@pytest.fixture
def photo(shop: Path) -> bytes:
    return min((shop / "photos").iterdir()).read_bytes()


def _error(answer: httpx.Response) -> str:
    """The message of an error, which is one sentence."""
    message = answer.json()["error"]["message"]
    assert message.endswith(".") and "\n" not in message
    return str(message)


def test_photo_is_answered_as_by_the_store(client: Client, device: Path, photo: bytes) -> None:
    answer = client("POST", "/v1/search?k=3", content=photo, headers={"Content-Type": "image/jpeg"}).json()
    with edgesearch.open(device) as store:
        expected = store.search(photo, k=3)
    assert answer["decision"] == expected.decision
    assert [match["sku"] for match in answer["matches"]] == [match.sku for match in expected.matches]
    picture = client("GET", answer["matches"][0]["picture"])
    assert picture.headers["content-type"] == "image/jpeg" and picture.content[:2] == b"\xff\xd8"


def test_client_that_leaves_is_no_fault(client: Client) -> None:
    sent: list[dict[str, object]] = []
    said = iter([{"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> dict[str, object]:
        return next(said)

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    headers = [(b"host", b"127.0.0.1:8765"), (b"content-type", b"image/jpeg")]
    scope = {"type": "http", "method": "POST", "path": "/v1/search", "query_string": b"", "headers": headers}
    asyncio.run(client.app(scope | {"http_version": "1.1", "scheme": "http"}, receive, send))  # type: ignore[arg-type]
    assert sent[0]["status"] == 499


def test_several_photos_in_a_form_answer_together(client: Client, photo: bytes) -> None:
    files = [("photo", ("a.jpg", photo, "image/jpeg")), ("photo", ("b.jpg", photo, "image/jpeg"))]
    assert client("POST", "/v1/search", files=files).json()["matches"]


def test_frames_of_a_scene_vote_until_they_are_forgotten(client: Client, photo: bytes) -> None:
    def voting() -> int:
        return int(client("POST", "/v1/frames?stream=camera12", content=photo).json()["frames"])

    assert [voting(), voting()] == [1, 2]
    assert client("DELETE", "/v1/frames?stream=camera12").status_code == 204
    assert voting() == 1


def test_photo_is_compared_with_a_product(client: Client, photo: bytes) -> None:
    answer = client("POST", "/v1/compare/P000000", content=photo).json()
    assert answer["sku"] == "P000000" and answer["verdict"] and answer["limits"]
    assert client("POST", "/v1/compare/none", content=photo).status_code == 404


def test_words_are_answered_as_they_were_understood(client: Client) -> None:
    category = client("GET", "/v1/facets").json()["categories"][0]
    answer = client("GET", "/v1/search", params={"where": f'category="{category}"'}).json()
    assert {match["category"] for match in answer["matches"]} == {category}
    assert answer["understood"]["where"]


def test_product_with_any_sku_is_taught_edited_removed_and_brought_back(client: Client, photo: bytes) -> None:
    sku, files = "A/b ü?#%", [("photo", ("a.jpg", photo, "image/jpeg"))]
    at = "/v1/products/A%2Fb%20%C3%BC%3F%23%25"
    taught = client("POST", "/v1/products", data={"sku": sku, "name": "Mug", "price": "4.5"}, files=files)
    assert (taught.status_code, taught.json()["product"]["price"]) == (201, 4.5)
    assert client("GET", at).json()["product"]["name"] == "Mug"
    assert client("PATCH", at, json={"name": "Cup", "price": None}).json()["product"]["price"] is None
    assert client("GET", f"/v1/pictures/{at.rpartition('/')[2]}").content[:2] == b"\xff\xd8"
    assert client("DELETE", at).status_code == 204
    assert client("GET", at).status_code == 404
    assert client("POST", "/v1/undo").json() == {"what": "undo", "sku": sku}
    assert client("GET", at).json()["product"]["name"] == "Cup"


@pytest.mark.parametrize(
    "verb, path, asked, status, said",
    [
        ("POST", "/v1/search", {"content": b"no picture"}, 422, "no picture"),
        ("POST", "/v1/search", {}, 422, "no photo"),
        ("POST", "/v1/search?k=0", {"content": b"x"}, 422, "k: "),
        ("POST", "/v1/search", {"data": {"photo": "text"}, "files": {"other": b"x"}}, 400, "no field"),
        ("POST", "/v1/search", {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400, "form"),
        ("GET", "/v1/search", {}, 422, "neither"),
        ("GET", "/v1/search?where=price<0", {}, 422, "price"),
        ("GET", "/v1/search?where=((", {}, 422, "where"),
        ("GET", "/v1/products/none", {}, 404, "no product"),
        ("GET", "/v1/pictures/none", {}, 404, "no product"),
        ("GET", "/v1/pictures/P000000?row=99999", {}, 404, "no picture"),
        ("GET", "/v1/similar/none", {}, 404, "no product"),
        ("PATCH", "/v1/products/P000000", {"json": {"price": "cheap"}}, 422, "price"),
        ("PATCH", "/v1/products/P000000", {"json": {"who": "me"}}, 422, "no detail"),
        ("PATCH", "/v1/products/P000000", {"json": [1]}, 422, "docs"),
        ("POST", "/v1/products", {"json": {}}, 400, "form"),
        ("POST", "/v1/undo", {}, 409, "nothing to undo"),
        ("POST", "/v1/frames?stream=a", {"content": b"x"}, 422, "stream"),
        ("POST", "/v1/install", {"content": b"no bundle"}, 422, "."),
        ("POST", "/v1/install", {}, 422, "no bundle"),
        ("POST", "/v1/rollback", {}, 409, "."),
        ("GET", "/v1/nothing", {}, 404, "docs"),
        ("PUT", "/v1/search", {}, 405, "docs"),
    ],
)
def test_bad_request_gets_one_sentence(
    client: Client, verb: str, path: str, asked: dict[str, object], status: int, said: str
) -> None:
    answer = client(verb, path, **asked)
    assert answer.status_code == status
    assert re.search(said, _error(answer))


def test_other_methods_are_named(client: Client) -> None:
    assert client("PUT", "/v1/undo").headers["allow"] == "POST"


def test_page_of_elsewhere_is_refused(client: Client, photo: bytes) -> None:
    assert client("GET", "/v1/health", headers={"Host": "shop.example"}).status_code == 421
    for origin in ("http://shop.example", "null", "http://127.0.0.1:9"):
        assert client("POST", "/v1/undo", headers={"Origin": origin}).status_code == 403
    assert client("POST", "/v1/search", content=photo, headers={"Origin": HERE}).status_code == 200


def test_nothing_of_elsewhere_may_be_loaded(client: Client) -> None:
    for path in ("/", "/v1/health", "/v1/docs", "/v1/none", "/docs.css"):
        policy = client("GET", path).headers["content-security-policy"]
        assert policy.startswith("default-src 'self';") and "http" not in policy and "unsafe" not in policy


def test_body_beyond_the_limit_is_not_read(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "LARGEST_BODY", 1000)

    async def parts() -> Iterator[bytes]:  # type: ignore[misc]
        for _ in range(100):
            yield b"x" * 100

    assert client("POST", "/v1/search", content=b"x" * 1001).status_code == 413
    assert client("POST", "/v1/search", content=parts()).status_code == 413


def test_bodies_of_all_together_are_bounded(client: Client, photo: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "MOST_HELD", len(photo) - 1)
    assert client("POST", "/v1/search", content=photo).status_code == 429
    monkeypatch.setattr(middleware, "MOST_HELD", len(photo))
    assert [client("POST", "/v1/search", content=photo).status_code for _ in range(2)] == [200, 200]


def test_body_that_does_not_come_is_given_up(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "BODY_S", 0.05)

    async def parts() -> Iterator[bytes]:  # type: ignore[misc]
        yield b"x"
        await asyncio.sleep(0.5)
        yield b"x"

    assert client("POST", "/v1/search", content=parts()).status_code == 408


def test_one_too_many_is_told_to_come_again(client: Client, photo: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    held = threading.Event()
    search = Store.search
    monkeypatch.setattr(Store, "search", lambda *given, **named: held.wait(5) and search(*given, **named))

    async def crowd() -> list[int]:
        asking = [asyncio.create_task(client.ask("POST", "/v1/search", content=photo)) for _ in range(places + 2)]
        while sum(task.done() for task in asking) < 2:
            await asyncio.sleep(0.01)
        assert (await client.ask("GET", "/v1/pictures/P000000")).status_code == 200  # what is shown goes on
        held.set()
        return [(await task).status_code for task in asking]

    places = client.served.workers.places
    answers = asyncio.run(crowd())
    assert (answers.count(200), answers.count(429)) == (places, 2)
    assert client("POST", "/v1/search", content=photo).status_code == 200


def test_what_takes_too_long_is_given_up() -> None:
    held = threading.Event()

    async def ask() -> None:
        crew = worker_threads.Workers(1, timeout_s=0.05)
        with pytest.raises(BusyError, match=r"no answer after 0\.05 seconds"):
            await crew.run(held.wait)
        held.set()
        assert await crew.run(lambda: 1) == 1
        crew.close()

    asyncio.run(ask())


def test_roles_may_do_what_they_may(guarded: Client, photo: bytes) -> None:
    def statuses() -> list[int]:
        asked = [("POST", "/v1/search", {"content": photo}), ("POST", "/v1/undo", {}), ("GET", "/v1/log", {})]
        return [guarded(verb, path, **given).status_code for verb, path, given in asked]

    assert statuses() == [200, 401, 401]
    guarded.log_in("Ada")
    assert statuses() == [200, 409, 401]
    guarded("POST", "/v1/logout")
    guarded.log_in("Bo")
    assert statuses() == [200, 409, 200]
    assert guarded("GET", "/v1/me").json() == {"role": "manager", "name": "Bo", "needs_pin": True}


def test_what_is_done_is_in_the_log_by_name(guarded: Client, photo: bytes) -> None:
    guarded.log_in("Ada")
    guarded("POST", "/v1/products", data={"sku": "N1", "name": "New"}, files={"photo": ("a.jpg", photo)})
    guarded.log_in("Bo")
    log = [(one["what"], one["who"]) for one in guarded("GET", "/v1/log").json()["events"]]
    assert log[1:] == [("login", "Ada"), ("enrol", "Ada"), ("login", "Bo")]


def test_program_is_let_in_by_its_token_until_it_is_taken_away(guarded: Client, device: Path) -> None:
    access = Access(device / "access.json")
    token = access.add_token("till", Role.STAFF)
    bearer = {"Authorization": f"Bearer {token}"}
    assert guarded("POST", "/v1/undo", headers=bearer).status_code == 409
    assert guarded("POST", "/v1/undo", headers={"Authorization": "Bearer wrong"}).status_code == 401
    access.remove("till")
    assert guarded("POST", "/v1/undo", headers=bearer).status_code == 401
    assert token not in (device / "access.json").read_text()


def test_guessing_pins_is_slowed_down(device: Path) -> None:
    now = 0.0
    access = Access(device / "access.json")
    access.add_pin("Ada", *PINS["Ada"])
    entry = Door(access, is_local=True, clock=lambda: now)
    for left in range(sessions.FREE_TRIES - 1, 0, -1):
        with pytest.raises(RefusedError, match=f"{left} more"):
            entry.log_in("111222")
    with pytest.raises(RefusedError, match="60 seconds"):
        entry.log_in("111222")
    with pytest.raises(RefusedError, match="too many"):
        entry.log_in(PINS["Ada"][1])
    now = 61.0
    with pytest.raises(RefusedError, match="120 seconds"):
        entry.log_in("111222")
    now = 200.0
    assert entry.log_in(PINS["Ada"][1])[1].name == "Ada"


def test_session_ends_when_it_is_not_used_or_its_pin_is_taken_away(device: Path) -> None:
    now = 0.0
    access = Access(device / "access.json")
    for name, given in PINS.items():
        access.add_pin(name, *given)
    entry = Door(access, is_local=True, clock=lambda: now)
    ada, bo = (entry.log_in(pin)[0] for _, pin in PINS.values())

    def roles() -> list[Role]:
        return [visitor.role for visitor in (entry.visitor(ada, None), entry.visitor(bo, None)) if visitor]

    assert roles() == [Role.STAFF, Role.MANAGER]
    access.remove("Ada")
    assert roles() == [Role.CUSTOMER, Role.MANAGER]
    now = sessions.SESSION_S + 1
    assert roles() == [Role.CUSTOMER, Role.CUSTOMER]


@pytest.mark.parametrize(
    "pin", ["12345", "1234567890123", "12345a", "111111", "121212", "", "\uff11\uff12\uff13\uff14\uff15\uff16"]
)
def test_pin_that_is_easily_guessed_is_refused(device: Path, pin: str) -> None:
    with pytest.raises(DeviceError, match="not a PIN"):
        Access(device / "access.json").add_pin("Ada", Role.STAFF, pin)


@pytest.mark.parametrize("content", ["", "{}", '{"format": 2, "holders": []}', '{"format": 1, "holders": [{}]}'])
def test_damaged_access_file_lets_nobody_in(device: Path, content: str) -> None:
    (device / "access.json").write_text(content)
    with pytest.raises(DeviceError, match="is damaged"):
        Door(Access(device / "access.json"), is_local=True).anyone()


def test_other_machines_are_served_only_with_a_pin_or_token(device: Path, tiny_edge: Path) -> None:
    for path in (device, tiny_edge):
        with edgesearch.open(path) as store, pytest.raises(DeviceError, match="PIN"):
            Served(store, path, is_local=False)


def test_file_is_searched_and_cannot_be_taught(tiny_edge: Path, photo: bytes) -> None:
    with edgesearch.open(tiny_edge) as store:
        client = Client(Served(store, tiny_edge))
        assert client("POST", "/v1/search", content=photo).status_code == 200
        assert not client("GET", "/v1/health").json()["can_teach"]
        files = {"photo": ("a.jpg", photo)}
        for answer in (
            client("POST", "/v1/products", data={"sku": "N", "name": "New"}, files=files),
            client("POST", "/v1/install", content=b"x"),
            client("GET", "/v1/taught.zip"),
        ):
            assert answer.status_code == 409 and "install it in a device folder" in _error(answer)
        client.served.close()


def test_bundle_is_installed_and_rolled_back_while_it_is_served(client: Client, device: Path, shop_edge: Path) -> None:
    before = client("GET", "/v1/health").json()["catalogue"]
    assert client("POST", "/v1/install", content=shop_edge.read_bytes()).status_code == 200
    after = client("GET", "/v1/health").json()["catalogue"]
    assert after["sequence"] > before["sequence"]
    assert client("POST", "/v1/rollback").status_code == 200
    assert client("GET", "/v1/health").json()["catalogue"] == before
    assert not [path for path in device.iterdir() if path.name.startswith(".")]


def test_bundle_installed_beside_is_taken_up(
    client: Client, device: Path, shop_edge: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgesearch.server import app

    monkeypatch.setattr(app, "REOPEN_S", 0.01)
    edgesearch.install(shop_edge, device)

    async def follow() -> int:
        async with client.app.router.lifespan_context(client.app):
            before = client.served.store.bundle.digest
            while client.served.store.bundle.digest == before:
                await asyncio.sleep(0.01)
            return (await client.ask("GET", "/v1/health")).status_code

    assert asyncio.run(asyncio.wait_for(follow(), 30)) == 200


def test_service_says_that_it_is_ready_and_lives(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def serve() -> None:
        async with client.app.router.lifespan_context(client.app):
            await asyncio.sleep(0.01)

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "60000000")
        asyncio.run(serve())
        assert {listener.recv(100) for _ in range(3)} == {b"READY=1", b"WATCHDOG=1", b"STOPPING=1"}


def test_what_was_taught_is_taken_away_as_a_zip(client: Client, device: Path, photo: bytes) -> None:
    client("POST", "/v1/products", data={"sku": "N1", "name": "New"}, files={"photo": ("a.jpg", photo)})
    with zipfile.ZipFile(BytesIO(client("GET", "/v1/taught.zip").content)) as archive:
        assert "N1" in archive.read("taught/taught.json").decode()
    assert not [path for path in device.iterdir() if path.name.startswith(".")]


def test_counted_photo_by_photo_and_by_hand(client: Client, device: Path, shop: Path) -> None:
    def counted(answer: httpx.Response) -> dict[str, int]:
        return {one["sku"]: one["count"] for one in answer.json()["counts"]}

    photos = [path.read_bytes() for path in sorted((shop / "photos").iterdir())[:3]]
    assert client("POST", "/v1/counts", json={"name": "Gang 4"}).status_code == 201
    seen = [client("POST", "/v1/counts/Gang 4/photos?times=3", content=one).json()["seen"] for one in photos]
    again = client("POST", "/v1/counts/Gang 4/photos?times=3", content=photos[0])
    assert not again.json()["new"]
    for one in seen:
        answer = client("POST", "/v1/counts/Gang 4/correct", json={"photo": one["id"], "sku": "P000000"})
    assert counted(answer) == {"P000000": 9} and not answer.json()["waiting"]
    answer = client("POST", "/v1/counts/Gang 4/products", json={"sku": "P000000", "times": 2})
    assert counted(answer) == {"P000000": 11}
    undone = client("POST", "/v1/counts/Gang 4/undo")
    assert counted(undone) == {"P000000": 9} and not undone.json()["waiting"]
    assert "P000000," in client("GET", "/v1/counts/Gang 4/stock.csv").text
    assert client("GET", "/v1/counts").json() == {"names": ["Gang 4"]}
    client.served.counts.rest(idle_s=0)
    with edgesearch.open(device) as store, Count(store, device / "counts" / "Gang 4.csv") as count:
        assert count.counts == {"P000000": 9}
    assert counted(client("GET", "/v1/counts/Gang 4")) == {"P000000": 9}


@pytest.mark.parametrize(
    "verb, path, asked, status",
    [
        ("POST", "/v1/counts", {"json": {"name": "../up"}}, 409),
        ("POST", "/v1/counts", {"json": {"name": ""}}, 409),
        ("GET", "/v1/counts/none", {}, 404),
        ("GET", "/v1/counts/none/stock.csv", {}, 404),
        ("POST", "/v1/counts/here/undo", {}, 409),
        ("POST", "/v1/counts/here/products", {"json": {"sku": "none"}}, 409),
        ("POST", "/v1/counts/here/products", {"json": {"sku": "-"}}, 409),
        ("POST", "/v1/counts/here/products", {"json": {"sku": "P000000", "times": 0}}, 422),
        ("POST", "/v1/counts/here/correct", {"json": {"photo": "none", "sku": "P000000"}}, 409),
        ("POST", "/v1/counts/here/photos?times=0", {"content": b"x"}, 422),
        ("POST", "/v1/counts/here/photos", {}, 422),
    ],
)
def test_what_cannot_be_counted_is_one_sentence(
    client: Client, verb: str, path: str, asked: dict[str, object], status: int
) -> None:
    client("POST", "/v1/counts", json={"name": "here"})
    answer = client(verb, path, **asked)
    assert (answer.status_code, bool(_error(answer))) == (status, True)
    assert client("GET", "/v1/counts/here").json()["counts"] == []


def test_count_that_another_goes_on_with_is_refused(client: Client, device: Path) -> None:
    (device / "counts").mkdir()
    with edgesearch.open(device) as store, Count(store, device / "counts" / "a.csv"):
        assert "another count goes on" in _error(client("POST", "/v1/counts", json={"name": "a"}))
    assert client("POST", "/v1/counts", json={"name": "a"}).status_code == 201


def test_metrics_count_by_route_and_decision(client: Client, photo: bytes) -> None:
    decision = client("POST", "/v1/search", content=photo).json()["decision"]
    client("GET", "/v1/products/none")
    text = client("GET", "/metrics").text
    assert f'edgesearch_answers_total{{decision="{decision}"' in text
    assert re.search(r'requests_total{path="[/v1]*/products/{sku:path}",status="404"} 1.0', text)


def test_every_path_is_described(client: Client) -> None:
    described = client("GET", "/v1/openapi.json").json()
    page = client("GET", "/v1/docs").text
    for path, verbs in described["paths"].items():
        assert path in page
        for operation in verbs.values():
            assert operation["description"].endswith(".")


def test_fault_of_ours_says_so_and_tells_nothing_else(
    client: Client, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Store, "search", lambda *_, **__: 1 / 0)
    answer = client("POST", "/v1/search", content=photo)
    assert (answer.status_code, "division" in answer.text) == (500, False)


def test_served_until_it_is_told_to_end(device: Path) -> None:
    command = [sys.executable, "-m", "edgesearch", "serve", str(device), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        found = re.search(r"http://127\.0\.0\.1:\d+/", process.stderr.readline())
        assert found
        assert httpx.get(f"{found[0]}v1/health").json()["status"] == "ok"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert process.stderr.read() == ""


@pytest.mark.parametrize(
    "given, said",
    [
        ([], "no such file|not"),
        (["--certificate", "own.pem"], "needs its key"),
        (["--host", "0.0.0.0", "--port", "0"], "PIN or a token"),
        (["--host", "nowhere.invalid"], "nowhere.invalid:8765: cannot be served at"),
        (["--port", "0", "--certificate", "none.pem", "--certificate-key", "none.pem"], "none.pem: cannot be used"),
    ],
)
def test_what_cannot_be_served_is_one_sentence(
    device: Path, capsys: pytest.CaptureFixture[str], given: list[str], said: str
) -> None:
    store = device if given else device / "none.edge"
    assert main(["serve", str(store), *given]) == 1
    assert re.search(said, capsys.readouterr().err)


def test_roles_are_given_listed_and_taken_away(
    device: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", StringIO("271828\n"))
    assert main(["access", str(device), "--add", "Ada"]) == 0
    assert main(["access", str(device), "--add-token", "till", "--role", "manager"]) == 0
    token = capsys.readouterr().out.strip()
    assert Door(Access(device / "access.json"), is_local=True).visitor(None, token) == Visitor(Role.MANAGER, "till")
    assert main(["access", str(device)]) == 0
    assert capsys.readouterr().out.split("\n")[:2] == ["staff     pin    Ada", "manager   token  till"]
    assert main(["access", str(device), "--remove", "Ada"]) == 0
    assert main(["access", str(device), "--remove", "Ada"]) == 1
    assert "till has" in capsys.readouterr().err
    assert (device / "access.json").stat().st_mode & 0o077 == 0
