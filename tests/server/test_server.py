"""The server: what it answers, whom it lets in, and what it survives."""

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
from edgesearch.server.sessions import RefusedError, Sessions, Visitor
from edgesearch.server.state import ServerState

HERE = "http://127.0.0.1:8765"
PINS = {"Ada": (Role.STAFF, "271828"), "Bo": (Role.MANAGER, "314159")}


class Client:
    """Sends requests through all layers of an application in this process."""

    def __init__(self, state: ServerState):
        self.state, self.app, self.cookies = state, create_app(state), httpx.Cookies()

    def __call__(self, verb: str, path: str, **options: object) -> httpx.Response:
        return asyncio.run(self.send(verb, path, **options))

    async def send(self, verb: str, path: str, **options: object) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=HERE, cookies=self.cookies) as client:
            response = await client.request(verb, path, **options)  # type: ignore[arg-type]
            self.cookies = client.cookies
            return response

    def log_in(self, name: str) -> None:
        assert self("POST", "/v1/login", json={"pin": PINS[name][1]}).json()["name"] == name


@pytest.fixture
def client(device: Path) -> Iterator[Client]:
    with edgesearch.open(device) as store:
        state = ServerState(store, device)
        yield Client(state)
        state.close()


@pytest.fixture
def guarded(device: Path) -> Iterator[Client]:
    """Yield a server with PINs that other machines can reach."""
    access = Access(device / "access.json")
    for name, (role, pin) in PINS.items():
        access.add_pin(name, role, pin)
    with edgesearch.open(device) as store:
        state = ServerState(store, device, is_local=False)
        yield Client(state)
        state.close()


@pytest.fixture
def photo(shop: Path) -> bytes:
    return min((shop / "photos").iterdir()).read_bytes()


def _error(answer: httpx.Response) -> str:
    """Return the message of an error after checking that it is one sentence."""
    message = answer.json()["error"]["message"]
    assert message.endswith(".") and "\n" not in message
    return str(message)


def test_photo_gets_the_same_answer_as_from_the_store(client: Client, device: Path, photo: bytes) -> None:
    answer = client("POST", "/v1/search?k=3", content=photo, headers={"Content-Type": "image/jpeg"}).json()
    with edgesearch.open(device) as store:
        expected = store.search(photo, k=3)
    assert answer["decision"] == expected.decision
    assert [match["sku"] for match in answer["matches"]] == [match.sku for match in expected.matches]
    picture = client("GET", answer["matches"][0]["picture"])
    assert picture.headers["content-type"] == "image/jpeg" and picture.content[:2] == b"\xff\xd8"


def test_client_that_disconnects_is_not_an_error(client: Client) -> None:
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


def test_several_photos_in_a_form_get_one_answer(client: Client, photo: bytes) -> None:
    files = [("photo", ("a.jpg", photo, "image/jpeg")), ("photo", ("b.jpg", photo, "image/jpeg"))]
    assert client("POST", "/v1/search", files=files).json()["matches"]


def test_frames_of_a_stream_vote_until_they_are_forgotten(client: Client, photo: bytes) -> None:
    def voting() -> int:
        return int(client("POST", "/v1/frames?stream=camera12", content=photo).json()["frames"])

    assert [voting(), voting()] == [1, 2]
    assert client("DELETE", "/v1/frames?stream=camera12").status_code == 204
    assert voting() == 1


def test_photo_is_compared_with_a_product(client: Client, photo: bytes) -> None:
    answer = client("POST", "/v1/compare/P000000", content=photo).json()
    assert answer["sku"] == "P000000" and answer["verdict"] and answer["limits"]
    assert client("POST", "/v1/compare/none", content=photo).status_code == 404


def test_search_by_filter_returns_that_category_and_the_filter(client: Client) -> None:
    category = client("GET", "/v1/facets").json()["categories"][0]
    answer = client("GET", "/v1/search", params={"where": f'category="{category}"'}).json()
    assert {match["category"] for match in answer["matches"]} == {category}
    assert answer["understood"]["where"]


def test_product_with_special_characters_in_its_sku_can_be_managed(client: Client, photo: bytes) -> None:
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
        ("POST", "/v1/search", {"data": {"photo": "text"}, "files": {"other": b"x"}}, 400, "wrong kind"),
        ("POST", "/v1/search", {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400, "form"),
        ("GET", "/v1/search", {}, 422, "neither"),
        ("GET", "/v1/search?where=price<0", {}, 422, "price"),
        ("GET", "/v1/search?where=((", {}, 422, "where"),
        ("GET", "/v1/products/none", {}, 404, "no product"),
        ("GET", "/v1/pictures/none", {}, 404, "no product"),
        ("GET", "/v1/pictures/P000000?row=99999", {}, 404, "no picture"),
        ("GET", "/v1/similar/none", {}, 404, "no product"),
        ("PATCH", "/v1/products/P000000", {"json": {"price": "cheap"}}, 422, "price"),
        ("PATCH", "/v1/products/P000000", {"json": {"who": "me"}}, 422, "not a detail"),
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
def test_bad_request_gets_a_one_sentence_error(
    client: Client, verb: str, path: str, asked: dict[str, object], status: int, said: str
) -> None:
    answer = client(verb, path, **asked)
    assert answer.status_code == status
    assert re.search(said, _error(answer))


def test_wrong_method_lists_the_allowed_ones(client: Client) -> None:
    assert client("PUT", "/v1/undo").headers["allow"] == "POST"


def test_cross_origin_requests_are_rejected(client: Client, photo: bytes) -> None:
    assert client("GET", "/v1/health", headers={"Host": "shop.example"}).status_code == 421
    for origin in ("http://shop.example", "null", "http://127.0.0.1:9"):
        assert client("POST", "/v1/undo", headers={"Origin": origin}).status_code == 403
    assert client("POST", "/v1/search", content=photo, headers={"Origin": HERE}).status_code == 200


def test_content_security_policy_allows_only_this_server(client: Client) -> None:
    for path in ("/", "/v1/health", "/v1/docs", "/v1/none", "/docs.css"):
        policy = client("GET", path).headers["content-security-policy"]
        assert policy.startswith("default-src 'self';") and "http" not in policy and "unsafe" not in policy


def test_body_above_the_limit_is_rejected(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "LARGEST_BODY_BYTES", 1000)

    async def parts() -> Iterator[bytes]:  # type: ignore[misc]
        for _ in range(100):
            yield b"x" * 100

    assert client("POST", "/v1/search", content=b"x" * 1001).status_code == 413
    assert client("POST", "/v1/search", content=parts()).status_code == 413


def test_bodies_of_all_requests_together_are_bounded(
    client: Client, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(middleware, "MOST_BUFFERED_BYTES", len(photo) - 1)
    assert client("POST", "/v1/search", content=photo).status_code == 429
    monkeypatch.setattr(middleware, "MOST_BUFFERED_BYTES", len(photo))
    assert [client("POST", "/v1/search", content=photo).status_code for _ in range(2)] == [200, 200]


def test_body_that_arrives_too_slowly_is_rejected(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "BODY_TIMEOUT_S", 0.05)

    async def parts() -> Iterator[bytes]:  # type: ignore[misc]
        yield b"x"
        await asyncio.sleep(0.5)
        yield b"x"

    assert client("POST", "/v1/search", content=parts()).status_code == 408


def test_requests_beyond_the_queue_get_429(client: Client, photo: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    held = threading.Event()
    search = Store.search
    monkeypatch.setattr(Store, "search", lambda *given, **named: held.wait(5) and search(*given, **named))

    async def crowd() -> list[int]:
        asking = [asyncio.create_task(client.send("POST", "/v1/search", content=photo)) for _ in range(capacity + 2)]
        while sum(task.done() for task in asking) < 2:
            await asyncio.sleep(0.01)
        assert (
            await client.send("GET", "/v1/pictures/P000000")
        ).status_code == 200  # pictures have threads of their own
        held.set()
        return [(await task).status_code for task in asking]

    capacity = client.state.workers.capacity
    answers = asyncio.run(crowd())
    assert (answers.count(200), answers.count(429)) == (capacity, 2)
    assert client("POST", "/v1/search", content=photo).status_code == 200


def test_slow_work_is_stopped_after_the_timeout() -> None:
    held = threading.Event()

    async def ask() -> None:
        workers = worker_threads.RequestWorkers(1, timeout_s=0.05)
        with pytest.raises(BusyError, match=r"no answer after 0\.05 seconds"):
            await workers.run(held.wait)
        held.set()
        assert await workers.run(lambda: 1) == 1
        workers.close()

    asyncio.run(ask())


def test_each_role_has_its_rights(guarded: Client, photo: bytes) -> None:
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


def test_changes_are_logged_with_the_name_of_the_person(guarded: Client, photo: bytes) -> None:
    guarded.log_in("Ada")
    guarded("POST", "/v1/products", data={"sku": "N1", "name": "New"}, files={"photo": ("a.jpg", photo)})
    guarded.log_in("Bo")
    log = [(one["what"], one["who"]) for one in guarded("GET", "/v1/log").json()["events"]]
    assert log[1:] == [("login", "Ada"), ("enrol", "Ada"), ("login", "Bo")]


def test_token_works_until_it_is_removed(guarded: Client, device: Path) -> None:
    access = Access(device / "access.json")
    token = access.add_token("till", Role.STAFF)
    bearer = {"Authorization": f"Bearer {token}"}
    assert guarded("POST", "/v1/undo", headers=bearer).status_code == 409
    assert guarded("POST", "/v1/undo", headers={"Authorization": "Bearer wrong"}).status_code == 401
    access.remove("till")
    assert guarded("POST", "/v1/undo", headers=bearer).status_code == 401
    assert token not in (device / "access.json").read_text()


def test_wrong_pins_lock_log_ins_for_longer_each_time(device: Path) -> None:
    now = 0.0
    access = Access(device / "access.json")
    access.add_pin("Ada", *PINS["Ada"])
    log_ins = Sessions(access, is_local=True, clock=lambda: now)
    for left in range(sessions.FREE_TRIES - 1, 0, -1):
        with pytest.raises(RefusedError, match=f"{left} more"):
            log_ins.log_in("111222")
    with pytest.raises(RefusedError, match="60 seconds"):
        log_ins.log_in("111222")
    with pytest.raises(RefusedError, match="too many"):
        log_ins.log_in(PINS["Ada"][1])
    now = 61.0
    with pytest.raises(RefusedError, match="120 seconds"):
        log_ins.log_in("111222")
    now = 200.0
    assert log_ins.log_in(PINS["Ada"][1])[1].name == "Ada"


def test_session_ends_when_it_is_idle_or_its_pin_is_removed(device: Path) -> None:
    now = 0.0
    access = Access(device / "access.json")
    for name, given in PINS.items():
        access.add_pin(name, *given)
    log_ins = Sessions(access, is_local=True, clock=lambda: now)
    ada, bo = (log_ins.log_in(pin)[0] for _, pin in PINS.values())

    def roles() -> list[Role]:
        return [visitor.role for visitor in (log_ins.identify(ada, None), log_ins.identify(bo, None)) if visitor]

    assert roles() == [Role.STAFF, Role.MANAGER]
    access.remove("Ada")
    assert roles() == [Role.CUSTOMER, Role.MANAGER]
    now = sessions.SESSION_S + 1
    assert roles() == [Role.CUSTOMER, Role.CUSTOMER]


@pytest.mark.parametrize(
    "pin", ["12345", "1234567890123", "12345a", "111111", "121212", "", "\uff11\uff12\uff13\uff14\uff15\uff16"]
)
def test_weak_pin_is_rejected(device: Path, pin: str) -> None:
    with pytest.raises(DeviceError, match="not a PIN"):
        Access(device / "access.json").add_pin("Ada", Role.STAFF, pin)


@pytest.mark.parametrize("content", ["", "{}", '{"format": 2, "holders": []}', '{"format": 1, "holders": [{}]}'])
def test_damaged_access_file_blocks_everybody(device: Path, content: str) -> None:
    (device / "access.json").write_text(content)
    with pytest.raises(DeviceError, match="is damaged"):
        Sessions(Access(device / "access.json"), is_local=True).default_visitor()


def test_other_machines_need_a_pin_or_token(device: Path, tiny_edge: Path) -> None:
    for path in (device, tiny_edge):
        with edgesearch.open(path) as store, pytest.raises(DeviceError, match="PIN"):
            ServerState(store, path, is_local=False)


def test_edge_file_can_be_searched_but_not_changed(tiny_edge: Path, photo: bytes) -> None:
    with edgesearch.open(tiny_edge) as store:
        client = Client(ServerState(store, tiny_edge))
        assert client("POST", "/v1/search", content=photo).status_code == 200
        assert not client("GET", "/v1/health").json()["can_teach"]
        files = {"photo": ("a.jpg", photo)}
        for answer in (
            client("POST", "/v1/products", data={"sku": "N", "name": "New"}, files=files),
            client("POST", "/v1/install", content=b"x"),
            client("GET", "/v1/taught.zip"),
        ):
            assert answer.status_code == 409 and "install it in a device folder" in _error(answer)
        client.state.close()


def test_bundle_is_installed_and_rolled_back_while_serving(client: Client, device: Path, shop_edge: Path) -> None:
    before = client("GET", "/v1/health").json()["catalogue"]
    assert client("POST", "/v1/install", content=shop_edge.read_bytes()).status_code == 200
    after = client("GET", "/v1/health").json()["catalogue"]
    assert after["sequence"] > before["sequence"]
    assert client("POST", "/v1/rollback").status_code == 200
    assert client("GET", "/v1/health").json()["catalogue"] == before
    assert not [path for path in device.iterdir() if path.name.startswith(".")]


def test_bundle_installed_by_another_process_is_used(
    client: Client, device: Path, shop_edge: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgesearch.server import app

    monkeypatch.setattr(app, "REOPEN_S", 0.01)
    edgesearch.install(shop_edge, device)

    async def follow() -> int:
        async with client.app.router.lifespan_context(client.app):
            before = client.state.store.bundle.digest
            while client.state.store.bundle.digest == before:
                await asyncio.sleep(0.01)
            return (await client.send("GET", "/v1/health")).status_code

    assert asyncio.run(asyncio.wait_for(follow(), 30)) == 200


def test_systemd_is_notified_of_start_life_and_stop(
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


def test_taught_products_are_exported_as_a_zip(client: Client, device: Path, photo: bytes) -> None:
    client("POST", "/v1/products", data={"sku": "N1", "name": "New"}, files={"photo": ("a.jpg", photo)})
    with zipfile.ZipFile(BytesIO(client("GET", "/v1/taught.zip").content)) as archive:
        assert "N1" in archive.read("taught/taught.json").decode()
    assert not [path for path in device.iterdir() if path.name.startswith(".")]


def test_counts_by_photo_by_hand_and_undo(client: Client, device: Path, shop: Path) -> None:
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
    client.state.counts.close_idle(idle_s=0)
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
def test_bad_count_request_gets_a_one_sentence_error(
    client: Client, verb: str, path: str, asked: dict[str, object], status: int
) -> None:
    client("POST", "/v1/counts", json={"name": "here"})
    answer = client(verb, path, **asked)
    assert (answer.status_code, bool(_error(answer))) == (status, True)
    assert client("GET", "/v1/counts/here").json()["counts"] == []


def test_count_that_another_process_continues_is_refused(client: Client, device: Path) -> None:
    (device / "counts").mkdir()
    with edgesearch.open(device) as store, Count(store, device / "counts" / "a.csv"):
        assert "another count is open" in _error(client("POST", "/v1/counts", json={"name": "a"}))
    assert client("POST", "/v1/counts", json={"name": "a"}).status_code == 201


def test_metrics_count_requests_by_route_and_answers_by_decision(client: Client, photo: bytes) -> None:
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


def test_internal_error_reveals_no_details(client: Client, photo: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "search", lambda *_, **__: 1 / 0)
    answer = client("POST", "/v1/search", content=photo)
    assert (answer.status_code, "division" in answer.text) == (500, False)


def test_server_runs_until_a_signal_arrives(device: Path) -> None:
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
        (["--host", "nowhere.invalid"], "nowhere.invalid:8765: cannot listen here"),
        (["--port", "0", "--certificate", "none.pem", "--certificate-key", "none.pem"], "none.pem: cannot be used"),
    ],
)
def test_serve_command_reports_errors_in_one_line(
    device: Path, capsys: pytest.CaptureFixture[str], given: list[str], said: str
) -> None:
    store = device if given else device / "none.edge"
    assert main(["serve", str(store), *given]) == 1
    assert re.search(said, capsys.readouterr().err)


def test_access_command_adds_lists_and_removes(
    device: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", StringIO("271828\n"))
    assert main(["access", str(device), "--add", "Ada"]) == 0
    assert main(["access", str(device), "--add-token", "till", "--role", "manager"]) == 0
    token = capsys.readouterr().out.strip()
    assert Sessions(Access(device / "access.json"), is_local=True).identify(None, token) == Visitor(
        Role.MANAGER, "till"
    )
    assert main(["access", str(device)]) == 0
    assert capsys.readouterr().out.split("\n")[:2] == ["staff     pin    Ada", "manager   token  till"]
    assert main(["access", str(device), "--remove", "Ada"]) == 0
    assert main(["access", str(device), "--remove", "Ada"]) == 1
    assert "expected one of: till" in capsys.readouterr().err
    assert (device / "access.json").stat().st_mode & 0o077 == 0
