import asyncio
from collections.abc import Iterable

from starlette.types import Message, Receive, Scope, Send

from edgesearch.server.middleware import BODY, SecurityMiddleware
from edgesearch.server.turns import AT_ONCE

LARGE = 70_000  # more than the middleware waits for before the application starts


def test_a_client_with_many_requests_delays_no_other() -> None:
    async def visit() -> None:
        working, ended = asyncio.Queue[str](), asyncio.Event()

        async def work(scope: Scope, receive: Receive, send: Send) -> None:
            working.put_nowait(scope["client"][0])
            if scope["client"][0] == "10.0.0.1":
                await ended.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})

        guarded = SecurityMiddleware(work, frozenset())
        crowd = [asyncio.create_task(_ask(guarded, "10.0.0.1")) for _ in range(AT_ONCE + 5)]
        await asyncio.sleep(0.01)
        assert working.qsize() == AT_ONCE
        assert await _ask(guarded, "10.0.0.2") == 200
        ended.set()
        assert await asyncio.gather(*crowd) == [200] * len(crowd)

    asyncio.run(visit())


def test_a_turn_ends_while_the_client_is_waited_for() -> None:
    async def visit() -> None:
        arrived = asyncio.Event()
        guarded = SecurityMiddleware(_upload, frozenset())
        slow = [asyncio.create_task(_ask(guarded, "10.0.0.1", LARGE, arrived)) for _ in range(AT_ONCE)]
        await asyncio.sleep(0.01)
        assert await asyncio.wait_for(_ask(guarded, "10.0.0.1"), 5) == 200
        arrived.set()
        assert await asyncio.gather(*slow) == [200] * AT_ONCE

    asyncio.run(visit())


async def _upload(scope: Scope, receive: Receive, send: Send) -> None:
    scope[BODY].allow_photos()
    while (await receive())["more_body"]:
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def _ask(guarded: SecurityMiddleware, address: str, size: int = 0, rest: asyncio.Event | None = None) -> int:
    """Send a body of `size` bytes, its end once `rest` is set; return the status of the response."""
    status = 0
    parts: Iterable[bytes] = iter([bytes(size), b""] if rest else [bytes(size)])

    async def receive() -> Message:
        part = next(iter(parts))
        if rest and not part:
            await rest.wait()
        return {"type": "http.request", "body": part, "more_body": bool(rest and part)}

    async def send(message: Message) -> None:
        nonlocal status
        status = message.get("status", status)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"host", b"localhost")]}
    await guarded(scope | {"client": (address, 1)}, receive, send)
    return status
