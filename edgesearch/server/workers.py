"""So many at once, so many waiting, and no more: a device says that it is busy, it does not freeze."""

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from ..errors import EdgeSearchError

WAITING_PER_WORKER = 8
P = ParamSpec("P")
T = TypeVar("T")


class BusyError(EdgeSearchError):
    """Too many wait already, or one waited too long."""


class Workers:
    """Threads that do the work of requests."""

    def __init__(self, threads: int, timeout_s: float):
        """timeout_s: that a request waits for its answer at most."""
        self.places = threads * (1 + WAITING_PER_WORKER)
        self.taken = 0  # changed by the event loop's thread alone
        self._timeout_s = timeout_s
        self._pool = ThreadPoolExecutor(threads, "search")

    async def run(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Do it in one of the threads; raises BusyError, and what it raises."""
        if self.taken >= self.places:
            raise BusyError(f"{self.taken} requests wait already; ask again in a second.")
        self.taken += 1
        loop = asyncio.get_running_loop()
        future = self._pool.submit(functools.partial(work, *arguments, **named))
        future.add_done_callback(functools.partial(self._left, loop))  # a thread goes on after its client has left
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            raise BusyError(f"no answer after {self._timeout_s:g} seconds; ask again.") from error

    def close(self) -> None:
        """Wait for those under way; those that wait are not begun."""
        self._pool.shutdown(cancel_futures=True)

    def _left(self, loop: asyncio.AbstractEventLoop, _: "Future[object]") -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._leave)

    def _leave(self) -> None:
        self.taken -= 1
