"""Stop work that runs in a thread: between its stages, and in the middle of the network.

A stop belongs to the context of a thread, so no function passes it on as a parameter. Checking it costs 60 ns if there
is none.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar, Token
from typing import TypeVar

from ..errors import StoppedError

T = TypeVar("T")


class Stop:
    """Stops the calls made inside it in the thread that entered it; any thread may `set` it.

    with edgesearch.Stop(after_s=0.5) as stop:
        answer = store.search("photo.jpg")  # raises StoppedError

    A call that changes a device is stopped before it begins to write, or not at all.
    """

    def __init__(self, after_s: float | None = None):
        """Create a stop.

        Args:
            after_s: time limit from now; a network that runs at that moment ends first. None: stop only when it is set,
                and then at once.
        """
        self._after_s = after_s
        self._deadline_s = None if after_s is None else time.monotonic() + after_s
        self._is_set, self._lock = False, threading.Lock()
        self._interrupt: Callable[[], None] | None = None
        self._tokens: list[Token[Stop | None]] = []
        self._outer: Stop | None = None

    def set(self) -> None:
        """Stop the calls inside; do nothing if they have ended."""
        with self._lock:
            self._is_set = True
            if self._interrupt:
                self._interrupt()

    def check(self) -> None:
        """Raise StoppedError if this stop or one around it is set, or its time is over."""
        if self._is_set:
            raise StoppedError("the call was stopped; make it again.")
        if self._deadline_s is not None and time.monotonic() >= self._deadline_s:
            raise StoppedError(f"the call took longer than its {self._after_s:g} s; repeat it, or allow more time.")
        if self._outer:
            self._outer.check()

    @contextlib.contextmanager
    def interrupting(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Call `interrupt` when the stop is set, and raise StoppedError for the error that this causes inside."""
        with self._lock:
            self._interrupt = interrupt
        try:
            self.check()
            yield
        except StoppedError:
            raise
        except Exception:
            self.check()
            raise
        finally:
            with self._lock:
                self._interrupt = None

    def __enter__(self) -> "Stop":
        around = _current.get()
        self._outer = self._outer if around is self else around
        self._tokens.append(_current.set(self))
        return self

    def __exit__(self, *_: object) -> None:
        _current.reset(self._tokens.pop())


_current: ContextVar[Stop | None] = ContextVar("edgesearch stop", default=None)


def current() -> Stop | None:
    """Return the stop of the running thread's context, or None."""
    return _current.get()


def run_until_stopped(stop: Stop, work: Callable[[], T]) -> T:
    """Call a function inside a stop, and return its result; raise StoppedError if it is set before the end."""
    with stop:
        stop.check()
        return work()


def check() -> None:
    """Raise StoppedError if the running work is to stop."""
    stop = _current.get()
    if stop is not None:
        stop.check()
