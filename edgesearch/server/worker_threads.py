"""The threads that do the work of requests, each for so long at most."""

import asyncio
import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from ..errors import BusyError
from ..store import async_store

P = ParamSpec("P")
T = TypeVar("T")


class Workers:
    """A device that has too much to do says so, it does not freeze."""

    def __init__(self, threads: int, timeout_s: float, waiting_per_thread: int = 8):
        """timeout_s: that a request waits for its answer at most; what it asked is stopped then."""
        self._workers = async_store.Workers(threads, threads * waiting_per_thread)
        self._timeout_s = timeout_s

    @property
    def places(self) -> int:
        """How many requests may run and wait."""
        return self._workers.places

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return self._workers.waiting

    async def run(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Do it in one of the threads; raises BusyError: too many wait, or it took too long; and what it raises."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._workers.run(functools.partial(work, *arguments, **named))
        except TimeoutError as error:
            raise BusyError(f"no answer after {self._timeout_s:g} seconds; ask again.") from error

    def close(self) -> None:
        """Wait for those under way."""
        self._workers.close()
