"""Connections: silent, half-sent and slow ones, and too many of them."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra `server` is not installed")

from edgesearch.server import connections, run
from edgesearch.server.connections import client_of

REQUEST = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
Attack = Callable[["Server"], Awaitable[None]]


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """Answer a request once its body is there, with as many bytes as its path says."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x" * int(scope["path"][1:] or 2)})


class Server(run._Helper):
    """A server that listens at a port of its own and keeps what it tells."""

    def __init__(self) -> None:
        self.told: list[str] = []
        listening = socket.create_server(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        super().__init__(answer, listening, None, lambda text: self.told.append(str(text)))

    async def meet(self, attack: Attack) -> None:
        serving = asyncio.create_task(self.answer())
        while not self.started:
            await asyncio.sleep(0.01)
        try:
            await asyncio.wait_for(attack(self), 60)
        finally:
            self.should_exit = self.force_exit = True
            await serving


async def opened(port: int, sent: bytes = b"", source: str = "127.0.0.1") -> tuple[Any, Any]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    writer.write(sent)
    await writer.drain()
    return reader, writer


async def ask(port: int, source: str = "127.0.0.1") -> bytes:
    reader, writer = await opened(port, REQUEST, source)
    status = await reader.readline()
    writer.close()
    return bytes(status)


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HTTP/1.1\r\nHost", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx", REQUEST]
)
def test_connections_that_keep_the_server_waiting_give_way_to_others(
    monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 20)

    async def attack(server: Server) -> None:
        held = [await opened(server.port, sent) for _ in range(60)]
        for _ in range(5):
            assert b"200" in await ask(server.port)
        assert len(server.told) == 1 and "too many connections" in server.told[0]
        for _, writer in held:
            writer.close()

    asyncio.run(Server().meet(attack))


def test_address_with_most_connections_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 20)

    async def attack(server: Server) -> None:
        honest, kept = await opened(server.port, b"GET / HTTP/1.1\r\n", "127.0.0.2")
        held = [await opened(server.port) for _ in range(60)]
        kept.write(b"Host: here\r\n\r\n")
        assert b"200" in await honest.readline()
        for _, writer in [*held, (honest, kept)]:
            writer.close()

    asyncio.run(Server().meet(attack))


def test_fast_upload_is_not_displaced_by_silent_connections_of_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 20)

    async def attack(server: Server) -> None:
        reader, writer = await opened(server.port, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6000000\r\n\r\n")
        held = []
        for _ in range(60):
            writer.write(b"x" * 100_000)
            await writer.drain()
            held.append(await opened(server.port))
        assert b"200" in await reader.readline()
        for _, silent in [*held, (reader, writer)]:
            silent.close()

    asyncio.run(Server().meet(attack))


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost", REQUEST])
def test_connection_without_a_request_is_closed_after_the_timeout(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(connections, "HEADER_TIMEOUT_S", 0.05)
    monkeypatch.setattr(connections, "SWEEP_S", 0.02)

    async def attack(server: Server) -> None:
        reader, writer = await opened(server.port, sent)
        received = await reader.read()
        assert (b"200" in received) == (sent == REQUEST)
        writer.close()

    asyncio.run(Server().meet(attack))


@pytest.mark.parametrize("stall_timeout_s, is_complete", [(0.05, False), (30.0, True)])
def test_client_may_read_its_response_slowly_but_must_read_it(
    monkeypatch: pytest.MonkeyPatch, stall_timeout_s: float, is_complete: bool
) -> None:
    monkeypatch.setattr(connections, "STALL_TIMEOUT_S", stall_timeout_s)
    monkeypatch.setattr(connections, "HEADER_TIMEOUT_S", 0.05)
    monkeypatch.setattr(connections, "SWEEP_S", 0.02)

    async def attack(server: Server) -> None:
        loop, received = asyncio.get_running_loop(), 0
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)  # else the system takes all of it
            client.setblocking(False)
            await loop.sock_connect(client, ("127.0.0.1", server.port))
            await loop.sock_sendall(client, b"GET /10000000 HTTP/1.1\r\nHost: here\r\n\r\n")
            while not is_complete and (server.server_state.total_requests == 0 or server.server_state.connections):
                await asyncio.sleep(0.01)
            with contextlib.suppress(ConnectionResetError):
                while part := await loop.sock_recv(client, 1 << 20):
                    received += len(part)
        assert (received > 10_000_000) == is_complete

    asyncio.run(Server().meet(attack))


def test_server_that_is_out_of_descriptors_says_so_once_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = 20

    async def attack(server: Server) -> None:
        loop = asyncio.get_running_loop()
        accept = loop.sock_accept

        async def refuse(listening: socket.socket) -> Any:
            nonlocal refused
            if refused:
                refused -= 1
                raise OSError(errno.EMFILE, "Too many open files")
            return await accept(listening)

        monkeypatch.setattr(loop, "sock_accept", refuse)
        for _ in range(3):
            assert b"200" in await ask(server.port)
        assert len(server.told) == 1 and "Too many open files" in server.told[0]

    monkeypatch.setattr(connections, "RETRY_S", 0.001)
    asyncio.run(Server().meet(attack))
    assert not refused


def test_one_client_is_an_address_or_an_ipv6_network() -> None:
    assert client_of("192.168.1.7") == client_of("::ffff:192.168.1.7") == "192.168.1.7"
    assert client_of("fe80::1%eth0") == client_of("fe80::2") != client_of("fe80:0:0:1::1")
    assert client_of("") == ""
