"""Accept connections so that silent and slow ones shut nobody out.

asyncio accepts as many connections as come, and uvicorn waits for the request of each without end. Here a connection
must send the header of its next request within `HEADER_TIMEOUT_S`. When too many are open, room is made at the expense
of the address that has most of them, and among its connections of those that send most slowly. So an attacker displaces
himself, and devices that share his address still get their answers.
"""

import asyncio
import contextlib
import errno
import ipaddress
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

try:
    import resource
except ModuleNotFoundError:  # on Windows
    resource = None  # type: ignore[assignment]

MAX_CONNECTIONS = 600
HEADER_TIMEOUT_S = 10.0  # from the start of a connection, or from its last response
HANDSHAKE_TIMEOUT_S = 10.0
STALL_TIMEOUT_S = 60.0  # for a client to read more of a response; systems buffer a megabyte
SWEEP_S = 1.0
DISPLACED = 0.1  # share of an address's connections that give way together, so that choosing them costs little
CREDIT_BYTES = 1500  # one packet, so that a new connection counts as fast until it had time to send it
TAKEN = 32  # connections accepted between two looks at the open ones; with one, a new client would wait for all of them
RETRY_S = 0.05
REPORT_S = 60.0  # between two reports of the same trouble
CLOSED = "edgesearch.closed"  # in the state of a request: `Connection.closed`
_NO_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Connection(H11Protocol):
    """A connection that measures how its client keeps the server waiting.

    Attributes:
        address: Of the client, as `client_of` returns it.
        closed: Set when the connection is closed.
    """

    def __init__(self, address: str, **uvicorn: Any):
        """Begin without a request; `uvicorn` is what `H11Protocol` takes."""
        super().__init__(**uvicorn)
        self.address, self.closed, self._unread = address, asyncio.Event(), 0
        self.app_state = self.app_state | {CLOSED: self.closed}
        self._start_measuring()

    def may_give_way(self) -> bool:
        """Return whether the client need not be served now.

        The server waits for it to send a request or its body, or to read the response; or it has sent the next request
        before it got the response, as no browser does.
        """
        is_waiting = self._awaits_header() or self.cycle.more_body or self._unread_bytes() > 0
        return is_waiting or bool(self.conn.trailing_data[0])

    def is_late(self) -> bool:
        """Return whether the client takes too long to send a header or to read a response; to be asked regularly."""
        before, self._unread = self._unread, self._unread_bytes()
        if self._unread < before:
            self._start_measuring()
        waited_s = time.monotonic() - self._since
        return waited_s > STALL_TIMEOUT_S if self._unread else self._awaits_header() and waited_s > HEADER_TIMEOUT_S

    def speed(self) -> float:
        """Return the bytes per second that the client has sent since its request, or the wait for one, began."""
        return (self._received + CREDIT_BYTES) / (time.monotonic() - self._since + 1e-3)

    def data_received(self, data: bytes) -> None:
        """Take bytes of a header or body."""
        self._received += len(data)
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._start_measuring()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._start_measuring()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        super().connection_lost(exc)
        self.closed.set()

    def _start_measuring(self) -> None:
        self._since, self._received = time.monotonic(), 0

    def _awaits_header(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _unread_bytes(self) -> int:
        return self.transport.get_write_buffer_size() if self.transport else 0


class Listener:
    """Accepts the connections of one socket, at most `MAX_CONNECTIONS` at once."""

    def __init__(
        self,
        listening: socket.socket,
        context: ssl.SSLContext | None,
        make: Callable[[str], Connection],
        tell: Callable[[object], None],
    ):
        """Prepare to accept.

        Args:
            listening: A socket that listens.
            context: For https; None for http.
            make: Returns the protocol for a new connection from an address.
            tell: Called when connections must give way or cannot be accepted, at most once a minute for each reason.
        """
        listening.setblocking(False)
        self._socket, self._context, self._make, self._tell = listening, context, make, tell
        self._most = min(MAX_CONNECTIONS, _max_descriptors() // 2)
        self._open: dict[Connection, asyncio.Task[None]] = {}
        self._told: dict[str, float] = {}

    async def accept(self) -> None:
        """Accept connections until cancelled, then close the socket; requests under way go on."""
        loop, taken = asyncio.get_running_loop(), 0
        sweeping = loop.create_task(self._sweep())
        try:
            while True:
                await self._wait_for_room()
                try:
                    accepted, peer = await loop.sock_accept(self._socket)
                except OSError as error:
                    await self._recover(error)
                    continue
                connection = self._make(client_of(peer[0]))
                self._open[connection] = loop.create_task(self._hold(connection, accepted))
                taken += 1
                if taken % TAKEN == 0:
                    await asyncio.sleep(0)  # `sock_accept` alone lets nothing else run while clients are queueing
        finally:
            sweeping.cancel()
            self._socket.close()
            self._close([one for one in self._open if one.transport is None])

    async def _wait_for_room(self) -> None:
        while len(self._open) >= self._most:
            if address := self._make_room():
                self._report("room", f"{address}: too many connections are open; its slowest ones are closed.")
            else:
                await asyncio.sleep(RETRY_S)

    async def _hold(self, connection: Connection, accepted: socket.socket) -> None:
        """Shake hands and wait until the connection is closed; close it if cancelled."""
        timeout_s = HANDSHAKE_TIMEOUT_S if self._context else None
        try:
            with contextlib.suppress(OSError):  # the handshake failed
                await asyncio.get_running_loop().connect_accepted_socket(
                    lambda: connection, accepted, ssl=self._context, ssl_handshake_timeout=timeout_s
                )
                await connection.closed.wait()
        finally:
            self._open.pop(connection, None)
            if connection.transport:
                connection.transport.abort()

    async def _sweep(self) -> None:
        """Close late connections."""
        while True:
            await asyncio.sleep(SWEEP_S)
            self._close([connection for connection in self._open if connection.is_late()])

    async def _recover(self, error: OSError) -> None:
        """Wait if the system has no resources for a connection; any other error means that the client left."""
        if error.errno in _NO_RESOURCES:
            self._report("resources", f"a connection cannot be accepted now ({error.strerror}); trying again.")
            await asyncio.sleep(RETRY_S)

    def _make_room(self) -> str | None:
        """Close the slowest connections of the address that has most that may give way; return it, None if none."""
        waiting = [connection for connection in self._open if connection.may_give_way()]
        numbers = Counter(connection.address for connection in waiting)
        most = max(numbers.values(), default=0)
        crowd = sorted((one for one in waiting if numbers[one.address] == most), key=Connection.speed)
        self._close(crowd[: max(1, round(len(crowd) * DISPLACED))])
        return crowd[0].address if crowd else None

    def _close(self, connections: list[Connection]) -> None:
        for connection in connections:
            self._open.pop(connection).cancel()

    def _report(self, trouble: str, message: str) -> None:
        if time.monotonic() - self._told.get(trouble, -REPORT_S) >= REPORT_S:
            self._told[trouble] = time.monotonic()
            self._tell(message)


def client_of(address: str) -> str:
    """Return an address that stands for one client: an IPv4 address, or the /64 network that an IPv6 user can have."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))


def _max_descriptors() -> int:
    """Return the number of files and connections that the system allows this process."""
    if resource is None:
        return 2 * MAX_CONNECTIONS
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2 * MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else soft
