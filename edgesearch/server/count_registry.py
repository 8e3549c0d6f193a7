"""The counts that go on at a device, by name, each kept in its folder as `edgesearch count` keeps one."""

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..counting.photo_count import Count
from ..errors import CountError, DeviceError, EdgeSearchError
from ..store.store import Store

FOLDER = "counts"
IDLE_S = 60.0  # after which a count's lists are written, and another process may go on with it
_NAME = re.compile(r"[^\W_][\w .-]{0,63}")


class MissingError(EdgeSearchError):
    """What is asked for is not here."""


@dataclass
class _Open:
    count: Count
    used: float
    lock: threading.Lock = field(default_factory=threading.Lock)


class Counts:
    """Safe to share between threads."""

    def __init__(self, store: Store, device: Path, clock: Callable[[], float] = time.monotonic):
        """device: its folder; clock: seconds."""
        self._store, self._folder, self._clock = store, device / FOLDER, clock
        self._open: dict[str, _Open] = {}
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """Of all counts, sorted."""
        return sorted(path.stem for path in self._folder.glob("*.session"))

    def path(self, name: str) -> Path:
        """The list of a count; raises CountError: not a name."""
        if not _NAME.fullmatch(name) or name != name.strip(" ."):
            raise CountError(f"{name!r}: not a name for a count; expected up to 64 letters, digits, spaces, - and _.")
        return self._folder / f"{name}.csv"

    @contextlib.contextmanager
    def use(self, name: str, new: bool = False) -> Iterator[Count]:
        """Go on with a count, or begin it, nobody else meanwhile; raises MissingError, CountError, DeviceError."""
        path = self.path(name)
        if not new and name not in self._open and name not in self.names():
            raise MissingError(f"{name}: no count of that name; begin it.")
        while True:
            one = self._opened(name, path)
            with one.lock:
                if self._open.get(name) is one:  # else it was closed just now
                    one.used = self._clock()
                    yield one.count
                    return

    def rest(self, idle_s: float = IDLE_S) -> None:
        """Close those that were not used for so long."""
        with self._lock:
            for name, one in list(self._open.items()):
                if self._clock() - one.used >= idle_s and one.lock.acquire(blocking=False):
                    del self._open[name]
                    # What was counted is kept whatever becomes of the lists; they are written when it is gone on with.
                    with contextlib.suppress(EdgeSearchError), one.count:
                        one.lock.release()

    def _opened(self, name: str, path: Path) -> _Open:
        with self._lock:
            if name not in self._open:
                if self._store.overlay is None:
                    raise DeviceError(f"{self._folder.parent}: a file keeps no counts; install it in a device folder.")
                try:
                    self._folder.mkdir(exist_ok=True)
                except OSError as error:
                    raise DeviceError(
                        f"{self._folder}: cannot be made ({error.strerror}); check its permissions."
                    ) from error
                self._open[name] = _Open(Count(self._store, path), self._clock())
            return self._open[name]
