"""Telling what runs in a thread to stop: between its stages, and in the middle of its network.

Nothing is handed through: what may be stopped asks for the stop of its thread's context, which costs 60 ns where there
is none.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar, Token

from ..errors import StoppedError


class Stop:
    """Stops what is called inside it, in the thread that entered it; any thread may `set` it.

    with edgesearch.Stop(after_s=0.5) as stop:
        answer = store.search("photo.jpg")  # raises StoppedError

    What changes a device is stopped before it has begun to write, or not at all.
    """

    def __init__(self, after_s: float | None = None):
        """after_s: from now; a network that runs at that moment ends first. None: when it is set, and at once then."""
        self._after_s = after_s
        self._end = None if after_s is None else time.monotonic() + after_s
        self._set, self._lock = False, threading.Lock()
        self._interrupt: Callable[[], None] | None = None
        self._tokens: list[Token[Stop | None]] = []
        self._outer: Stop | None = None

    def set(self) -> None:
        """Stop it; nothing happens where it has ended."""
        with self._lock:
            self._set = True
            if self._interrupt:
                self._interrupt()

    def check(self) -> None:
        """Raises StoppedError: it is set, or its time is over, or that of a stop around it."""
        if self._set:
            raise StoppedError("what was asked was told to stop; ask again.")
        if self._end is not None and time.monotonic() >= self._end:
            raise StoppedError(
                f"what was asked took longer than the {self._after_s:g} s it had; ask again, or give more."
            )
        if self._outer:
            self._outer.check()

    @contextlib.contextmanager
    def interrupting(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Inside, `interrupt` is called when it is set, and what is raised then is a StoppedError."""
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
    """That of what is running."""
    return _current.get()


def check() -> None:
    """A place where what is running may be stopped; raises StoppedError."""
    stop = _current.get()
    if stop is not None:
        stop.check()
