"""Spread the work of a build over the threads of this machine.

Threads suffice: nearly all of the time is spent in native code that releases Python's global lock.
"""

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from .._util import stopping
from ..index.cells import ParallelMap

AHEAD = 2  # parts per thread to submit before the first result is needed
Part = TypeVar("Part")
Result = TypeVar("Result")


@contextlib.contextmanager
def open_thread_pool(workers: int | None = None) -> Iterator[ParallelMap]:
    """Yield a function that maps parts on a pool of threads and returns the results in order.

    Args:
        workers: Number of threads; None starts one per processor core.
    Raises:
        StoppedError: The caller stopped the build; raised between two parts.
    """
    count = workers or os.cpu_count() or 1
    with ThreadPoolExecutor(count) as pool:

        def parallel_map(function: Callable[[Part], Result], parts: Iterable[Part]) -> Iterator[Result]:
            pending: deque[Future[Result]] = deque()
            try:
                for part in parts:
                    stopping.check()
                    pending.append(pool.submit(function, part))
                    if len(pending) > AHEAD * count:
                        yield pending.popleft().result()
                while pending:
                    yield pending.popleft().result()
            finally:
                for future in pending:
                    future.cancel()

        yield parallel_map
