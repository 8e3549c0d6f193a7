"""What a scan waits for, from all its threads: the newest frame, and everything else in order.

Frames come faster than answers: there is room for one, and a newer one takes its place. What is not a frame (a
barcode, a photo's file) is never passed over; whoever brings more than a few of them waits until they are taken.
"""

import queue
import threading
from dataclasses import dataclass
from typing import TypeAlias

from ..images.image import Photo

MOST_WAITING = 8  # lines or files that are not yet taken
TRIGGER = "trigger"  # what ended, where it is the stream of a wedge


@dataclass(frozen=True)
class Frame:
    """A camera's newest frame; at_s: of the monotonic clock; dropped: frames since the one before that nobody took."""

    photo: Photo
    at_s: float
    dropped: int


@dataclass(frozen=True)
class File:
    """A photo to answer; name: as it was given; content: its bytes, None where they are still to be read."""

    name: str
    content: bytes | None = None


@dataclass(frozen=True)
class Line:
    """What was typed, or read by a wedge; "" is the trigger."""

    text: str


@dataclass(frozen=True)
class Note:
    """A sentence for whoever looks after the device."""

    text: str


@dataclass(frozen=True)
class Lost:
    """A source that can no longer be read; source: as `Scan` has it."""

    source: str
    text: str


@dataclass(frozen=True)
class Stop:
    """Nothing more is to be answered; of: what ended, "" where somebody asked for the end."""

    of: str = ""


@dataclass(frozen=True)
class Reopen:
    """Another bundle may be installed."""


Event: TypeAlias = Frame | File | Line | Note | Lost | Stop | Reopen


class Inbox:
    """Safe to share between threads; `tell` may be called by a signal handler."""

    def __init__(self) -> None:
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._room = threading.Semaphore(MOST_WAITING)
        self._lock = threading.Lock()
        self._frame: Frame | None = None
        self._dropped = 0

    def show(self, photo: Photo, at_s: float) -> None:
        """A frame, in place of one that nobody took."""
        with self._lock:
            is_first, self._dropped = self._frame is None, self._dropped + (self._frame is not None)
            self._frame = Frame(photo, at_s, self._dropped)
        if is_first:
            self._events.put(None)

    def give(self, event: File | Line, stopped: threading.Event) -> bool:
        """Bring one when there is room; False: the scan ended meanwhile."""
        while not self._room.acquire(timeout=0.2):
            if stopped.is_set():
                return False
        self._events.put(event)
        return not stopped.is_set()

    def tell(self, event: Event) -> None:
        """Bring one at once."""
        self._events.put(event)

    def take(self, timeout_s: float) -> Event | None:
        """The next, None where nothing comes."""
        try:
            event = self._events.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if event is None:
            with self._lock:
                event, self._frame, self._dropped = self._frame, None, 0
        elif isinstance(event, (File, Line)):
            self._room.release()
        return event
