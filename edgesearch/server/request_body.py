"""Receive the bodies of requests, within limits of size, time and memory."""

import asyncio
from collections import Counter, deque

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

MAX_JSON_BYTES = 64_000
MAX_BODY_BYTES = 100_000_000  # of photos
MAX_BUFFERED_BYTES = 300_000_000  # the bodies of all requests at one moment
START_S, MIN_BYTES_PER_S = 10.0, 20_000  # a body may take so long, and a second more for so many bytes
BODY_TIMEOUT_S = 120.0


class BodyError(HTTPException):
    """A body is too large, arrives too slowly, or finds no room in memory.

    FastAPI passes on only HTTP exceptions while it reads a body; it turns any other into a status of 400.
    """

    def __init__(self, status: int, kind: str, message: str):
        super().__init__(status, message)
        self.kind = kind


class Body:
    """The body of one request, measured as it arrives.

    Attributes:
        client: Address that stands for one client, as of `client_of`.
        size: Bytes received so far.
        is_complete: Whether all of it has arrived.
    """

    def __init__(self, receive: Receive, memory: "BodyMemory", client: str, announced: int):
        """Prepare to receive; `announced` is the Content-Length."""
        self.client, self.size, self.is_complete = client, 0, False
        self._receive, self._memory, self._announced = receive, memory, announced
        self._limit, self._is_displaced = MAX_JSON_BYTES, False
        self._began = asyncio.get_running_loop().time()
        self._timeout: asyncio.Timeout | None = None
        self._parts: deque[Message] = deque()

    async def start(self) -> bool:
        """Wait for the body, or for as much of it as JSON may have; return False if the client leaves.

        A request whose body never comes thus costs little, because the application does not know it yet.

        Raises:
            BodyError: The body cannot be received.
        """
        while not self.is_complete and self.size < MAX_JSON_BYTES:
            message = await self._receive_part()
            if message["type"] == "http.disconnect":
                return False
            self._parts.append(message)
        return True

    def allow_photos(self) -> None:
        """Raise the limit from that of JSON to that of photos."""
        self._limit = MAX_BODY_BYTES

    async def receive(self) -> Message:
        """Return the next part; raise BodyError."""
        if self.is_complete and not self._parts:  # a message after the body says that the client has left
            return await self._receive()
        self._check_size(max(self._announced, self.size))
        message = self._parts.popleft() if self._parts else await self._receive_part()
        self._check_size(self.size)
        return message

    def displace(self) -> None:
        """Stop receiving, so that the memory can be used for others."""
        self._is_displaced = True
        if self._timeout is not None and not self._timeout.expired():
            self._timeout.reschedule(0.0)

    async def _receive_part(self) -> Message:
        self._check_place()
        message = await self._receive_in_time()
        part = len(message.get("body", b""))
        self._memory.reserve(self, part)
        self.size += part
        self.is_complete = not message.get("more_body", False)
        return message

    async def _receive_in_time(self) -> Message:
        deadline = self._began + min(BODY_TIMEOUT_S, START_S + self.size / MIN_BYTES_PER_S)
        try:
            async with asyncio.timeout_at(deadline) as self._timeout:
                return await self._receive()
        except TimeoutError as error:
            self._check_place()
            raise BodyError(408, "TooSlow", "the body did not arrive in time; send it again.") from error
        finally:
            self._timeout = None

    def _check_place(self) -> None:
        if self._is_displaced:
            raise _busy()

    def _check_size(self, size: int) -> None:
        if size > self._limit:
            message = f"the body has {size:,} bytes or more; send at most {self._limit:,}."
            raise BodyError(413, "TooLarge", message)


class BodyMemory:
    """The memory for the bodies of all requests. When it is full, the address that fills most of it gives some back."""

    def __init__(self) -> None:
        self._bodies: set[Body] = set()

    def add(self, body: Body) -> None:
        """Count a body from now on."""
        self._bodies.add(body)

    def remove(self, body: Body) -> None:
        """Count a body no more."""
        self._bodies.discard(body)

    def reserve(self, body: Body, size: int) -> None:
        """Make room for another part of a body; raise BodyError if it must give way to others itself."""
        while sum(one.size for one in self._bodies) + size > MAX_BUFFERED_BYTES:
            held: Counter[str] = Counter()
            for one in self._bodies:
                held[one.client] += one.size
            arriving = [one for one in self._bodies if one.size and not one.is_complete]
            displaced = max(arriving, key=lambda one: (held[one.client], one.size), default=body)
            if displaced is body:
                raise _busy()
            displaced.displace()
            self.remove(displaced)


def _busy() -> BodyError:
    return BodyError(429, "BusyError", "photos of other requests fill the memory; try again in a second.")
