"""The inbox of a scan: the newest camera frame, and all other events in order, from several threads.

Frames arrive faster than answers, so the inbox keeps only the newest. Barcodes and photo files are never dropped: a
thread that delivers more than a few of them waits until the scan takes one.
"""

import queue
import threading
from dataclasses import dataclass
from typing import TypeAlias

from ..images.image import Photo

MAX_WAITING = 8  # lines and photo files
TRIGGER = "trigger"  # source of `EndScan` when the stream of a wedge ended


@dataclass(frozen=True)
class Frame:
    """The newest frame of a camera.

    Attributes:
        at_s: Its time on the monotonic clock.
        dropped: Number of frames dropped since the last one that was taken.
    """

    photo: Photo
    at_s: float
    dropped: int


@dataclass(frozen=True)
class IncomingPhoto:
    """A photo to answer.

    Attributes:
        name: Path, as it was given.
        content: Its bytes; None if it was not read yet.
    """

    name: str
    content: bytes | None = None


@dataclass(frozen=True)
class Line:
    """A line from a barcode wedge; an empty one is the trigger."""

    text: str


@dataclass(frozen=True)
class Notice:
    """A sentence for the person who operates the device."""

    text: str


@dataclass(frozen=True)
class SourceLost:
    """A source that can no longer be read.

    Attributes:
        source: As in `ScanResult`.
        text: Sentence that says why.
    """

    source: str
    text: str


@dataclass(frozen=True)
class EndScan:
    """The end of the scan.

    Attributes:
        source: Source that ended; "" if somebody asked for the end.
    """

    source: str = ""


@dataclass(frozen=True)
class ReopenStore:
    """A request to check for a newly installed bundle."""


Event: TypeAlias = Frame | IncomingPhoto | Line | Notice | SourceLost | EndScan | ReopenStore


class Inbox:
    """A queue of events. Safe to share between threads; a signal handler may call `put_now`."""

    def __init__(self) -> None:
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._room = threading.Semaphore(MAX_WAITING)
        self._lock = threading.Lock()
        self._frame: Frame | None = None
        self._dropped = 0

    def put_frame(self, photo: Photo, at_s: float) -> None:
        """Store a frame in place of one that was not taken yet."""
        with self._lock:
            is_first, self._dropped = self._frame is None, self._dropped + (self._frame is not None)
            self._frame = Frame(photo, at_s, self._dropped)
        if is_first:
            self._events.put(None)  # stands for the newest frame

    def put(self, event: IncomingPhoto | Line, stopped: threading.Event) -> bool:
        """Wait for room, then store an event; return False if `stopped` was set meanwhile."""
        while not self._room.acquire(timeout=0.2):
            if stopped.is_set():
                return False
        self._events.put(event)
        return not stopped.is_set()

    def put_now(self, event: Event) -> None:
        """Store an event without waiting for room."""
        self._events.put(event)

    def get(self, timeout_s: float) -> Event | None:
        """Remove and return the next event; return None if none arrives in time."""
        try:
            event = self._events.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if event is None:
            with self._lock:
                event, self._frame, self._dropped = self._frame, None, 0
        elif isinstance(event, (IncomingPhoto, Line)):
            self._room.release()
        return event
