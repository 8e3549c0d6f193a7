"""Keep a device's counts by name, each in the files that `edgesearch count` uses."""

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
IDLE_S = 60.0  # then a count's lists are written, and another process may continue it
_NAME = re.compile(r"[^\W_][\w .-]{0,63}")


class MissingError(EdgeSearchError):
    """The requested product, picture or count does not exist."""


@dataclass
class _OpenCount:
    count: Count
    used: float
    lock: threading.Lock = field(default_factory=threading.Lock)


class CountRegistry:
    """The counts of one device. Safe to share between threads."""

    def __init__(self, store: Store, device: Path, clock: Callable[[], float] = time.monotonic):
        """Prepare the counts; none is opened yet.

        Args:
            store: Recognizes the products.
            device: The device folder.
            clock: Returns seconds.
        """
        self._store, self._folder, self._clock = store, device / FOLDER, clock
        self._open: dict[str, _OpenCount] = {}
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """Return the names of all counts, sorted."""
        return sorted(path.stem for path in self._folder.glob("*.session"))

    def path(self, name: str) -> Path:
        """Return the path of a count's list; raise CountError for a malformed name."""
        if not _NAME.fullmatch(name) or name != name.strip(" ."):
            raise CountError(f"{name!r}: not a name for a count; expected up to 64 letters, digits, spaces, - and _.")
        return self._folder / f"{name}.csv"

    @contextlib.contextmanager
    def use(self, name: str, new: bool = False) -> Iterator[Count]:
        """Lock and yield a count.

        Args:
            new: Whether to begin the count if it does not exist.
        Raises:
            MissingError: There is no count of that name.
            CountError: The name is malformed, or another process is counting.
            DeviceError: The store is a file, or its folder cannot be written.
        """
        path = self.path(name)
        if not new and name not in self._open and name not in self.names():
            raise MissingError(f"{name}: no count has that name; begin it first.")
        while True:
            opened = self._open_count(name, path)
            with opened.lock:
                if self._open.get(name) is opened:  # else another thread has just closed it
                    opened.used = self._clock()
                    yield opened.count
                    return

    def close_idle(self, idle_s: float = IDLE_S) -> None:
        """Close the counts that nobody has used for `idle_s` seconds."""
        with self._lock:
            for name, opened in list(self._open.items()):
                if self._clock() - opened.used >= idle_s and opened.lock.acquire(blocking=False):
                    del self._open[name]
                    # A failure here loses no count: the lists are written again when the count continues.
                    with contextlib.suppress(EdgeSearchError), opened.count:
                        opened.lock.release()

    def _open_count(self, name: str, path: Path) -> _OpenCount:
        with self._lock:
            if name not in self._open:
                if self._store.overlay is None:
                    raise DeviceError(
                        f"{self._folder.parent}: a file cannot keep counts; install it in a device folder."
                    )
                try:
                    self._folder.mkdir(mode=0o700, exist_ok=True)
                except OSError as error:
                    raise DeviceError(
                        f"{self._folder}: cannot be created ({error.strerror}); check its permissions."
                    ) from error
                self._open[name] = _OpenCount(Count(self._store, path), self._clock())
            return self._open[name]
