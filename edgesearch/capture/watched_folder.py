"""A folder into which a scanner's firmware drops photos.

It is looked at twenty times a second: that sees whatever is written there, on any file system, and as long as the
folder has not changed and nothing is half-written it costs one call of the system. A photo is answered once it ends as
its format does, or has not changed for a while; under one name once as long as it is the same, and a copy or a new
name of one that was answered not again.
"""

import collections
import contextlib
import hashlib
import os
import stat
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from ..errors import ImageError
from ..images import image
from ..images.photo_files import SUFFIXES
from .inbox import File, Inbox, Lost, Note, Stop

EVERY_S = 0.05
SETTLED_S = 1.0  # unchanged for so long it is whole, however it ends
RECENT_NS = 2_000_000_000  # a folder that changed so lately may have changed again within the same tick of its clock
REMEMBERED = 20_000  # photos, at least; besides those that are there
ENDS = {b"\xff\xd8": b"\xff\xd9", b"\x89P": b"IEND\xaeB\x60\x82"}  # of JPEG and PNG

State: TypeAlias = tuple[int, int, int]  # inode, size in bytes, time of change in ns


class _Found(NamedTuple):
    changed_ns: int
    path: str
    state: State


@dataclass
class _Waiting:
    state: State
    since: int  # looks


class WatchedFolder(threading.Thread):
    """Brings the photos of a folder to an inbox, oldest first."""

    def __init__(self, folder: Path, inbox: Inbox, backlog: bool = False, every_s: float = EVERY_S):
        """backlog: those too that are there already."""
        super().__init__(name="watch", daemon=True)
        self._folder, self._inbox, self._every_s = folder, inbox, every_s
        self._stopped = threading.Event()
        self._backlog, self._is_first, self._is_lost = backlog, True, False
        self._listed_ns, self._looks = -1, 0
        self._waiting: dict[str, _Waiting] = {}
        self._known: collections.OrderedDict[State, None] = collections.OrderedDict()  # inodes and contents
        self._contents: collections.OrderedDict[bytes, str] = collections.OrderedDict()

    def run(self) -> None:
        """Until `stop`."""
        while not self._stopped.is_set():
            self.look()
            self._stopped.wait(self._every_s)

    def stop(self) -> None:
        """No photo is brought any more."""
        self._stopped.set()
        if self.is_alive():
            self.join(2.0)

    def look(self) -> None:
        """Bring what is new and whole by now."""
        self._looks += 1
        try:
            changed_ns = os.stat(self._folder).st_mtime_ns
            if changed_ns == self._listed_ns and not self._waiting:
                return
            found = self._list()
        except OSError as error:
            self._lose(error)
            return
        # Of a change that is older than its clock's tick another one can be told.
        self._listed_ns = changed_ns if _is_old(changed_ns) else -1
        if self._is_lost:
            self._inbox.tell(Note(f"{self._folder}: is there again."))
        if self._is_first and not self._is_lost and not self._backlog:
            self._known.update(dict.fromkeys(one.state for one in found))
        self._is_first = self._is_lost = False
        self._waiting = {one.path: self._waiting[one.path] for one in found if one.path in self._waiting}
        for one in sorted(found):
            if self._stopped.is_set():
                return
            if one.state not in self._known and self._is_whole(one):
                self._bring(one)
        _forget(self._known, REMEMBERED + len(found))
        _forget(self._contents, REMEMBERED)

    def _list(self) -> list[_Found]:
        found = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or not entry.name.lower().endswith(SUFFIXES):
                    continue
                try:
                    told = os.stat(entry.path)
                except OSError:  # renamed or deleted meanwhile
                    continue
                if stat.S_ISREG(told.st_mode):
                    state = (told.st_ino, told.st_size, told.st_mtime_ns)
                    found.append(_Found(told.st_mtime_ns, entry.path, state))
        return found

    def _is_whole(self, one: _Found) -> bool:
        waiting = self._waiting.get(one.path)
        if waiting is None or waiting.state != one.state:
            waiting = self._waiting[one.path] = _Waiting(one.state, self._looks)
            return _ends(one.path)
        return self._looks - waiting.since >= SETTLED_S / self._every_s

    def _bring(self, one: _Found) -> None:
        try:
            content = image.read_bytes(Path(one.path))
            now = os.stat(one.path)
            if (now.st_ino, now.st_size, now.st_mtime_ns) != one.state:
                return  # it is being written still; the next look sees it anew
        except OSError:
            return
        except ImageError:
            content = None  # whoever takes it says why
        del self._waiting[one.path]
        self._known[one.state] = None
        if content is not None:
            digest = hashlib.sha256(content).digest()
            if same := self._contents.get(digest):
                self._inbox.tell(Note(f"{one.path}: the same photo as {same}; it is not answered twice."))
                return
            self._contents[digest] = Path(one.path).name
        self._inbox.give(File(one.path, content), self._stopped)

    def _lose(self, error: OSError) -> None:
        if not self._is_lost:
            text = f"{self._folder}: cannot be read ({error.strerror}). Waiting for it."
            self._inbox.tell(Lost("file", text))
        self._is_lost, self._listed_ns = True, -1


class Paths(threading.Thread):
    """Brings the photos whose paths come from a stream, a line each."""

    def __init__(self, descriptor: int, inbox: Inbox):
        super().__init__(name="paths", daemon=True)
        self._descriptor, self._inbox, self._stopped = descriptor, inbox, threading.Event()

    def run(self) -> None:
        """Until the end of the stream, or `stop`."""
        held = b""
        with contextlib.suppress(OSError):
            while data := os.read(self._descriptor, 4096):
                *whole, held = (held + data).split(b"\n")
                if not all(self._bring(line) for line in whole):
                    return
        if self._bring(held):
            self._inbox.tell(Stop())

    def stop(self) -> None:
        """No photo is brought any more."""
        self._stopped.set()

    def _bring(self, line: bytes) -> bool:
        path = os.fsdecode(line.rstrip(b"\r"))
        return not path or self._inbox.give(File(path), self._stopped)


def _ends(path: str) -> bool:
    """It ends as a whole picture of its format does."""
    try:
        with open(path, "rb") as file:
            head = file.read(2)
            end = ENDS.get(head)
            if end is None:
                return False
            file.seek(-len(end), os.SEEK_END)
            return file.read() == end
    except OSError:
        return False


def _is_old(changed_ns: int) -> bool:
    return abs(time.time_ns() - changed_ns) > RECENT_NS


def _forget(known: "collections.OrderedDict[Any, Any]", most: int) -> None:
    while len(known) > most:
        known.popitem(last=False)
