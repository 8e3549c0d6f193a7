"""Bound the memory of all pictures that this process decodes at the same time.

A picture of a few kilobytes may decode to hundreds of megabytes, and a server decodes one in each of its threads. So
each waits until there is room for it beside the others. Small pictures pass large ones that wait.
"""

import contextlib
import threading
import time
from collections.abc import Iterator

from .._util import forks, stopping
from ..errors import BusyError

MAX_BYTES = 1_000_000_000  # the largest pictures need about as much
MAX_WAIT_S = 60.0
STEP_S = 0.05  # how often a waiting thread looks whether its call was stopped


class DecodingMemory:
    """Memory that threads share. Safe to share between threads; a forked process begins with all of it free."""

    def __init__(self, size: int):
        """Share `size` bytes."""
        self.size = size
        self.forget()
        forks.forget_after_fork(self)

    def forget(self) -> None:
        """Regard all memory as free."""
        self._free, self._freed = self.size, threading.Condition()

    @contextlib.contextmanager
    def reserved(self, size: int) -> Iterator[None]:
        """Take memory, and wait for it if others use too much; more than all of it counts as all of it.

        Raises:
            BusyError: there was no room for `MAX_WAIT_S`.
            StoppedError: the call was stopped while it waited.
        """
        size = min(size, self.size)
        deadline_s = time.monotonic() + MAX_WAIT_S
        with self._freed:
            while self._free < size:
                stopping.check()
                if time.monotonic() >= deadline_s:
                    raise BusyError(f"other pictures filled the memory for {MAX_WAIT_S:g} s; try again.")
                self._freed.wait(STEP_S)
            self._free -= size
        try:
            yield
        finally:
            with self._freed:
                self._free += size
                self._freed.notify_all()


SHARED = DecodingMemory(MAX_BYTES)
