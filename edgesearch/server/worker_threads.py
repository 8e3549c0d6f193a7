"""Run the work of requests in threads, with a limit on queue and time."""

import asyncio
import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from ..errors import BusyError
from ..store import async_store

P = ParamSpec("P")
T = TypeVar("T")


class RequestWorkers:
    """A few threads; an overloaded device reports that it is busy instead of freezing."""

    def __init__(self, threads: int, timeout_s: float, waiting_per_thread: int = 8):
        """Start the threads.

        Args:
            timeout_s: Longest time from a request to its answer; then its work is stopped.
            waiting_per_thread: Length of the queue.
        """
        self._workers = async_store.Workers(threads, threads * waiting_per_thread)
        self._timeout_s = timeout_s

    @property
    def capacity(self) -> int:
        """Number of requests that may run or wait."""
        return self._workers.capacity

    @property
    def waiting(self) -> int:
        """Number of requests that wait."""
        return self._workers.waiting

    async def run(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Call a function in one of the threads, and return its result.

        Raises:
            BusyError: The queue is full, or the call took too long.
            Exception: Whatever the function raises.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._workers.run(functools.partial(work, *arguments, **named))
        except TimeoutError as error:
            raise BusyError(f"no answer after {self._timeout_s:g} seconds; try again.") from error

    def close(self) -> None:
        """Finish the calls under way."""
        self._workers.close()
