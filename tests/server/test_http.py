"""HTTP: errors, origins, limits on bodies and requests, metrics, the description of the API."""

import asyncio
import errno
import re
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from edgesearch.errors import BusyError
from edgesearch.store.store import Store

pytest.importorskip("fastapi", reason="the extra `server` is not installed")

from edgesearch.server import manager_routes, request_body, worker_threads
from edgesearch.server.middleware import SecurityMiddleware

from .client import HERE, Client, read_error
from .client import client as client
from .client import guarded as guarded
from .client import photo as photo

JSON = {"Content-Type": "application/json"}


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
    assert sent == []  # nobody would read it


def test_page_is_sent_compressed_and_answers_are_not(client: Client) -> None:
    assert client("GET", "/find.js").headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in client("GET", "/v1/openapi.json").headers


@pytest.mark.slow
@pytest.mark.parametrize(
    "verb, path, asked, status, said",
    [
        ("POST", "/v1/search", {"content": b"no picture"}, 422, "no picture"),
        ("POST", "/v1/search", {}, 422, "no photo"),
        ("POST", "/v1/search?k=0", {"content": b"x"}, 422, "k: "),
        ("POST", "/v1/search", {"data": {"photo": "text"}, "files": {"other": b"x"}}, 400, "wrong kind"),
        ("POST", "/v1/search", {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400, "form"),
        ("GET", "/v1/search", {}, 422, "neither"),
        ("GET", "/v1/search?where=pric<0", {}, 422, "no product has a column pric"),
        ("GET", "/v1/search?where=((", {}, 422, "where"),
        ("GET", "/v1/products/none", {}, 404, "no product"),
        ("GET", "/v1/pictures/none", {}, 404, "no product"),
        ("GET", "/v1/pictures/P000000?row=99999", {}, 404, "no picture"),
        ("GET", "/v1/similar/none", {}, 404, "no product"),
        ("PATCH", "/v1/products/P000000", {"json": {"price": "cheap"}}, 422, "price"),
        ("PATCH", "/v1/products/P000000", {"json": {"who": "me"}}, 422, "not a detail"),
        ("PATCH", "/v1/products/P000000", {"json": [1]}, 422, "docs"),
        ("POST", "/v1/login", {"content": b'{"a"', "headers": JSON}, 422, r"^the body: not JSON from character 4 on"),
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
    assert re.search(said, read_error(answer))


def test_wrong_method_lists_the_allowed_ones(client: Client) -> None:
    assert client("PUT", "/v1/undo").headers["allow"] == "POST"


def test_cross_origin_requests_are_rejected(client: Client, photo: bytes) -> None:
    assert client("GET", "/v1/health", headers={"Host": "shop.example"}).status_code == 421
    for origin in ("http://shop.example", "null", "http://127.0.0.1:9", "http://["):
        assert client("POST", "/v1/undo", headers={"Origin": origin}).status_code == 403
    assert client("POST", "/v1/search", content=photo, headers={"Origin": HERE}).status_code == 200


def test_page_of_another_site_can_fetch_nothing(client: Client) -> None:
    before = client.state.store.overlay.version()
    for site in ("cross-site", "same-site"):
        for path in ("/v1/taught.zip", "/v1/health"):
            assert client("GET", path, headers={"Sec-Fetch-Site": site}).status_code == 403
        assert client("GET", "/", headers={"Sec-Fetch-Site": site}).status_code == 200  # a link
    assert client.state.store.overlay.version() == before
    assert client("GET", "/v1/health", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200


@pytest.mark.slow
def test_content_security_policy_allows_only_this_server(client: Client) -> None:
    for path in ("/", "/v1/health", "/v1/docs", "/v1/none", "/docs.css"):
        policy = client("GET", path).headers["content-security-policy"]
        assert policy.startswith("default-src 'self';") and "http" not in policy and "unsafe" not in policy


def test_body_above_the_limit_is_rejected(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_body, "MAX_BODY_BYTES", 1000)

    async def parts() -> Iterator[bytes]:  # type: ignore[misc]
        for _ in range(100):
            yield b"x" * 100

    assert client("POST", "/v1/search", content=b"x" * 1001).status_code == 413
    assert client("POST", "/v1/search", content=parts()).status_code == 413


@pytest.mark.parametrize("path", ["/v1/feedback", "/v1/login"])
def test_json_has_a_limit_of_its_own(client: Client, path: str) -> None:
    long = {"shown": ["x" * 10] * 10_000, "sku": "P000000", "pin": "1"}

    async def parts() -> Iterator[bytes]:  # type: ignore[misc]
        while True:
            yield b" " * 1000

    assert client("POST", path, json=long).status_code == 413
    answer = client("POST", path, content=parts(), headers={"Content-Type": "image/jpeg"})
    assert answer.status_code == 413 and "at most 64,000" in read_error(answer)


def test_lists_are_bounded_and_errors_few(client: Client) -> None:
    bodies = {"shown": [1] * 20_000, "sku": "P000000"}, {"shown": ["x"] * 501, "sku": "P000000"}
    details = {f"{number:x}": [] for number in range(5000)}
    answers = [client("POST", "/v1/feedback", json=body) for body in bodies]
    answers.append(client("PATCH", "/v1/products/P000000", json=details))
    for answer in answers:
        assert answer.status_code == 422 and len(read_error(answer)) < 200


def test_largest_arriving_body_gives_way_when_memory_is_full(
    client: Client, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_body, "MAX_BUFFERED_BYTES", 3 * len(photo))

    async def crowd() -> tuple[int, int]:
        begun, ended = asyncio.Event(), asyncio.Event()

        async def parts() -> Iterator[bytes]:  # type: ignore[misc]
            yield bytes(3 * len(photo))
            begun.set()
            await ended.wait()

        idle = asyncio.create_task(client.send("POST", "/v1/search", content=parts()))
        await begun.wait()
        quick = await client.send("POST", "/v1/search", content=photo)
        return (await idle).status_code, quick.status_code

    assert asyncio.run(crowd()) == (429, 200)


def test_bodies_of_all_requests_together_are_bounded(
    client: Client, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_body, "MAX_BUFFERED_BYTES", len(photo) - 1)
    assert client("POST", "/v1/search", content=photo).status_code == 429
    monkeypatch.setattr(request_body, "MAX_BUFFERED_BYTES", len(photo))
    assert [client("POST", "/v1/search", content=photo).status_code for _ in range(2)] == [200, 200]


@pytest.mark.parametrize("limit", ["BODY_TIMEOUT_S", "START_S"])
def test_body_that_arrives_too_slowly_is_rejected(client: Client, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(request_body, limit, 0.05)

    async def parts() -> Iterator[bytes]:  # type: ignore[misc]
        yield b"x"
        await asyncio.sleep(0.5)
        yield b"x"

    assert client("POST", "/v1/search", content=parts()).status_code == 408


def test_request_without_its_body_reaches_no_application(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_body, "START_S", 0.05)
    reached = []

    async def application(*_: object) -> None:
        reached.append(True)

    async def forever() -> Iterator[bytes]:  # type: ignore[misc]
        await asyncio.sleep(60)
        yield b"x"

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(SecurityMiddleware(application, frozenset()))
        async with httpx.AsyncClient(transport=transport, base_url=HERE) as sender:
            return await sender.post("/v1/search", content=forever())

    answer = asyncio.run(send())
    assert answer.status_code == 408 and "did not arrive in time" in read_error(answer) and not reached


@pytest.mark.parametrize("path", ["/v1/search", "/v1/install"])
def test_request_that_a_stopping_server_cannot_wait_for_is_told_so(path: str) -> None:
    sent: list[dict[str, object]] = []

    async def answer_never(*_: object) -> None:
        await asyncio.sleep(60)

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"x"}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    async def stop() -> None:
        scope = {"type": "http", "method": "POST", "path": path, "headers": [(b"host", b"localhost")]}
        under_way = asyncio.create_task(SecurityMiddleware(answer_never, frozenset())(scope, receive, send))  # type: ignore[arg-type]
        await asyncio.sleep(0.01)
        under_way.cancel()
        await under_way

    asyncio.run(stop())
    assert sent[0]["status"] == 503 and b"send the request again" in sent[1]["body"]  # type: ignore[operator]


@pytest.mark.slow
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


@pytest.mark.slow
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


def test_full_disk_is_reported(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(manager_routes, "_receive", refuse)
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    for verb, path in (("POST", "/v1/install"), ("GET", "/v1/taught.zip")):
        answer = client(verb, path, content=b"x")
        assert answer.status_code == 507 and "No space left on device" in read_error(answer)


def test_errors_name_no_folders(client: Client, device: Path) -> None:
    (device / "access.json").write_text("{")
    answer = client("POST", "/v1/undo")
    assert answer.status_code == 409 and read_error(answer).startswith("access.json: is damaged")


def test_internal_error_reveals_no_details(client: Client, photo: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "search", lambda *_, **__: 1 / 0)
    answer = client("POST", "/v1/search", content=photo)
    assert (answer.status_code, "division" in answer.text) == (500, False)
