"""What takes long runs in threads; what it returns is handed over in the window's."""

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from PySide6.QtCore import QObject, Qt, Signal, Slot

from edgesearch import EdgeSearchError, Stop, StoppedError

T = TypeVar("T")


class Background(QObject):
    """A few threads for one window."""

    _ready = Signal(object)

    def __init__(self, parent: QObject):
        super().__init__(parent)
        self._pool = ThreadPoolExecutor(2, "inventory")
        self._stops: dict[object, Stop] = {}
        self._ready.connect(self._act, Qt.ConnectionType.QueuedConnection)

    @property
    def busy(self) -> int:
        """How much is under way."""
        return len(self._stops)

    def ask(
        self,
        kind: str | None,
        work: Callable[[], T],
        then: Callable[[T], None],
        failed: Callable[[str], None],
    ) -> None:
        """Work in a thread; then, or failed with a sentence, in the window's.

        Args:    kind: what is under way of the same kind is stopped, and not heard of any more; None: nothing is.
        """
        self.drop(kind)
        key, stop = kind or object(), Stop()
        self._stops[key] = stop
        self._pool.submit(self._run, key, stop, work, then, failed)

    def drop(self, kind: str | None) -> None:
        """Stop what is under way of this kind."""
        if before := self._stops.pop(kind, None):
            before.set()

    def close(self) -> None:
        """Stop everything, and wait for it."""
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
        if self._stops.get(key) is stop:  # nothing newer was asked meanwhile
            del self._stops[key]
            act()
