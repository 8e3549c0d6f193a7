"""Let no client's requests keep those of the others waiting.

The event loop works on whatever requests have come, so that hundreds of one client delay each request of another a
hundredfold. Here only a few of a client begin before the loop looks at all others; the rest queue.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field

AT_ONCE = 4  # requests of a client that begin between two looks


@dataclass
class _Line:
    """The requests of one client: how many have begun since the last look, and those that wait."""

    begun: int = 0
    waiting: deque[tuple[asyncio.Future[bool], asyncio.Event | None]] = field(default_factory=deque)


class Turns:
    """The turns of all clients."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    async def wait(self, client: str, left: asyncio.Event | None = None) -> bool:
        """Wait until a request may begin; return False if its client leaves before.

        Args:
            client: Address that stands for one client, as of `client_of`.
            left: Set when the client has left; None if that is not known.
        """
        loop = asyncio.get_running_loop()
        if client not in self._lines:
            self._lines[client] = _Line()
            loop.call_soon(self._look, client)
        line = self._lines[client]
        if line.begun < AT_ONCE:
            line.begun += 1
            return True
        line.waiting.append((turn := loop.create_future(), left))
        return await turn

    def _look(self, client: str) -> None:
        """Begin the next requests of a client, until the loop has looked at all others."""
        line = self._lines[client]
        if not line.waiting:
            del self._lines[client]
            return
        line.begun = 0
        while line.waiting and line.begun < AT_ONCE:
            turn, left = line.waiting.popleft()
            if not turn.done():  # cancelled
                is_there = left is None or not left.is_set()
                turn.set_result(is_there)
                line.begun += is_there
        asyncio.get_running_loop().call_soon(self._look, client)
