"""Run slow work in threads, and deliver its results in the window's thread."""

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from PySide6.QtCore import QObject, Qt, Signal, Slot

from edgesearch import EdgeSearchError, Stop, StoppedError

T = TypeVar("T")


class Background(QObject):
    """Runs work for one window in two threads."""

    _ready = Signal(object)

    def __init__(self, parent: QObject):
        super().__init__(parent)
        self._pool = ThreadPoolExecutor(2, "inventory")
        self._stops: dict[object, Stop] = {}
        self._ready.connect(self._act, Qt.ConnectionType.QueuedConnection)

    @property
    def busy(self) -> int:
        """The number of running or waiting tasks."""
        return len(self._stops)

    def run(
        self,
        kind: str | None,
        work: Callable[[], T],
        then: Callable[[T], None],
        failed: Callable[[str], None],
    ) -> None:
        """Run work in a thread; then call `then` or `failed` in the window's thread.

        Args:
            kind:   stops work of the same kind that is still running and drops its result; None stops nothing.
            then:   receives the result.
            failed: receives the error in one sentence.
        """
        self.cancel(kind)
        key, stop = kind or object(), Stop()
        self._stops[key] = stop
        self._pool.submit(self._run, key, stop, work, then, failed)

    def cancel(self, kind: str | None) -> None:
        """Stop the running work of a kind."""
        if before := self._stops.pop(kind, None):
            before.set()

    def close(self) -> None:
        """Stop all work, and wait for it to end."""
        for stop in self._stops.values():
            stop.set()
        self._stops.clear()
        self._pool.shutdown(cancel_futures=True)

    def _run(
        self,
        key: object,
        stop: Stop,
        work: Callable[[], T],
        then: Callable[[T], None],
        failed: Callable[[str], None],
    ) -> None:
        try:
            with stop:
                stop.check()
                act = functools.partial(then, work())
        except StoppedError:
            return
        except (EdgeSearchError, ValueError, OSError) as error:
            act = functools.partial(failed, str(error))
        self._ready.emit((key, stop, act))

    @Slot(object)
    def _act(self, ready: tuple[object, Stop, Callable[[], None]]) -> None:
        key, stop, act = ready
        if self._stops.get(key) is stop:  # no newer work of this kind was started meanwhile
            del self._stops[key]
            act()
