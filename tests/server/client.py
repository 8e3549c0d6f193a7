"""A client that sends requests to the server in this process, and fixtures for it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import edgesearch

pytest.importorskip("fastapi", reason="the extra `server` is not installed")

from edgesearch.server.access import Access, Role
from edgesearch.server.app import create_app
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


def read_error(answer: httpx.Response) -> str:
    """Return the message of an error after checking that it is one sentence."""
    message = answer.json()["error"]["message"]
    assert message.endswith(".") and "\n" not in message
    return str(message)
