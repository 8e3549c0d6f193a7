"""A build's parts on the threads of this machine: what they call lets go of Python's lock for nearly all its time."""

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from .._util import stopping
from ..index.cells import Spread

AHEAD = 2  # parts of a thread that are begun before the first is asked for
Part = TypeVar("Part")
Result = TypeVar("Result")


@contextlib.contextmanager
def threads(workers: int | None = None) -> Iterator[Spread]:
    """Spread parts over so many threads, None for one a core; raises StoppedError between two parts."""
    count = workers or os.cpu_count() or 1
    with ThreadPoolExecutor(count) as pool:

        def spread(function: Callable[[Part], Result], parts: Iterable[Part]) -> Iterator[Result]:
            begun: deque[Future[Result]] = deque()
            try:
                for part in parts:
                    stopping.check()
                    begun.append(pool.submit(function, part))
                    if len(begun) > AHEAD * count:
                        yield begun.popleft().result()
                while begun:
                    yield begun.popleft().result()
            finally:
                for future in begun:
                    future.cancel()

        yield spread
