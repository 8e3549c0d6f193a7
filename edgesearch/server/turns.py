"""Let no client's requests keep those of the others waiting.

The event loop works on whatever requests have come, so that hundreds of one client delay each request of another a
hundredfold. Here the application works on few requests of a client at once, and the loop looks at all other clients
before it begins the next of them.
"""

import asyncio
from collections import defaultdict, deque

AT_ONCE = 32  # more than may search or wait for it, so that a client hears that the device is busy


class Turns:
    """The turns of all clients."""

    def __init__(self) -> None:
        self._working: defaultdict[str, int] = defaultdict(int)
        self._waiting: defaultdict[str, deque[Turn]] = defaultdict(deque)

    def of(self, client: str, left: asyncio.Event | None) -> "Turn":
        """Return the turn of one request.

        Args:
            client: Address that stands for one client, as of `client_of`.
            left: Set when the client has left; None if that is not known.
        """
        return Turn(self, client, left)

    def begin(self, turn: "Turn") -> bool:
        """Return whether a request may be worked on now; otherwise it queues."""
        if self._working[turn.client] < AT_ONCE:
            self._working[turn.client] += 1
            return True
        self._waiting[turn.client].append(turn)
        return False

    def end(self, client: str) -> None:
        """Begin the client's next request; those whose sender has left give up."""
        waiting = self._waiting[client]
        while waiting:
            if waiting.popleft().begin():
                return
        self._working[client] -= 1
        if not self._working[client]:
            del self._working[client], self._waiting[client]


class Turn:
    """The right of one request to be worked on.

    Attributes:
        client: As in `Turns.of`.
    """

    def __init__(self, turns: Turns, client: str, left: asyncio.Event | None):
        self.client, self._turns, self._left = client, turns, left
        self._is_held = False
        self._begun: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def take(self) -> bool:
        """Wait for the turn; return False if the client leaves before it comes."""
        self._begun = asyncio.get_running_loop().create_future()
        try:
            self._is_held = self._turns.begin(self) or await self._begun
        except asyncio.CancelledError:  # perhaps just when the turn had come
            self._is_held = not self._begun.cancelled() and self._begun.result()
            raise
        return self._is_held

    def begin(self) -> bool:
        """End the wait; return False if nobody waits any more."""
        if self._begun.done():
            return False
        is_there = not (self._left and self._left.is_set())
        self._begun.set_result(is_there)
        return is_there

    def give_back(self) -> None:
        """Let the client's next request have the turn, if it is held."""
        if self._is_held:
            self._is_held = False
            asyncio.get_running_loop().call_soon(self._turns.end, self.client)
