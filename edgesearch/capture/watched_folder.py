"""Watch a folder into which a scanner's firmware writes photos.

The folder is polled twenty times a second. Polling sees every write on any file system. While the folder is unchanged
and no photo is incomplete, a poll costs one system call. A photo counts as complete when it ends as its format
requires, or has not changed for a while. Each version of a file is delivered once; copies and renamed files are not
delivered again.
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
from .inbox import EndScan, Inbox, IncomingPhoto, Notice, SourceLost

POLL_S = 0.05
SETTLED_S = 1.0  # a file unchanged for this time is complete, however it ends
RECENT_NS = 2_000_000_000  # a folder changed this recently may change again within one tick of its clock
MAX_REMEMBERED = 20_000  # photos besides those in the folder
END_MARKERS = {b"\xff\xd8": b"\xff\xd9", b"\x89P": b"IEND\xaeB\x60\x82"}  # by first bytes: JPEG, PNG

FileState: TypeAlias = tuple[int, int, int]  # inode, size in bytes, modification time in ns


class _FoundFile(NamedTuple):
    changed_ns: int
    path: str
    state: FileState


@dataclass
class _IncompleteFile:
    state: FileState
    since: int  # number of the poll


class WatchedFolder(threading.Thread):
    """Delivers the photos of a folder to an inbox, oldest first."""

    def __init__(self, folder: Path, inbox: Inbox, backlog: bool = False, poll_s: float = POLL_S):
        """Create the thread; with `backlog`, deliver also the photos that are in the folder already."""
        super().__init__(name="watch", daemon=True)
        self._folder, self._inbox, self._poll_s = folder, inbox, poll_s
        self._stopped = threading.Event()
        self._backlog, self._is_first, self._is_lost = backlog, True, False
        self._listed_ns, self._polls = -1, 0
        self._incomplete: dict[str, _IncompleteFile] = {}
        self._delivered: collections.OrderedDict[FileState, None] = collections.OrderedDict()
        self._names_by_hash: collections.OrderedDict[bytes, str] = collections.OrderedDict()

    def run(self) -> None:
        """Poll until `stop`."""
        while not self._stopped.is_set():
            self.poll()
            self._stopped.wait(self._poll_s)

    def stop(self) -> None:
        """Deliver no more photos."""
        self._stopped.set()
        if self.is_alive():
            self.join(2.0)

    def poll(self) -> None:
        """Deliver the photos that are new and complete."""
        self._polls += 1
        try:
            changed_ns = os.stat(self._folder).st_mtime_ns
            if changed_ns == self._listed_ns and not self._incomplete:
                return
            found = self._list_photos()
        except OSError as error:
            self._report_lost(error)
            return
        # Only when the change is older than a tick of the clock will the next one show another time.
        self._listed_ns = changed_ns if _is_old(changed_ns) else -1
        self._start_or_resume(found)
        self._incomplete = {file.path: self._incomplete[file.path] for file in found if file.path in self._incomplete}
        for file in sorted(found):
            if self._stopped.is_set():
                return
            if file.state not in self._delivered and self._is_complete(file):
                self._deliver(file)
        _drop_oldest(self._delivered, MAX_REMEMBERED + len(found))
        _drop_oldest(self._names_by_hash, MAX_REMEMBERED)

    def _start_or_resume(self, found: list[_FoundFile]) -> None:
        """Report a folder that is back; skip the photos that were there at the start, unless they are wanted."""
        if self._is_lost:
            self._inbox.put_now(Notice(f"{self._folder}: is back."))
        if self._is_first and not self._is_lost and not self._backlog:
            self._delivered.update(dict.fromkeys(file.state for file in found))
        self._is_first = self._is_lost = False

    def _list_photos(self) -> list[_FoundFile]:
        found = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or not entry.name.lower().endswith(SUFFIXES):
                    continue
                try:
                    status = os.stat(entry.path)
                except OSError:  # renamed or deleted meanwhile
                    continue
                if stat.S_ISREG(status.st_mode):
                    found.append(_FoundFile(status.st_mtime_ns, entry.path, _file_state(status)))
        return found

    def _is_complete(self, file: _FoundFile) -> bool:
        incomplete = self._incomplete.get(file.path)
        if incomplete is None or incomplete.state != file.state:
            self._incomplete[file.path] = _IncompleteFile(file.state, self._polls)
            return _has_end_marker(file.path)
        return self._polls - incomplete.since >= SETTLED_S / self._poll_s

    def _deliver(self, file: _FoundFile) -> None:
        try:
            content = image.read_bytes(Path(file.path))
            if _file_state(os.stat(file.path)) != file.state:
                return  # still being written; the next poll finds its new state
        except OSError:
            return
        except ImageError:
            content = None  # the scan reports the reason
        del self._incomplete[file.path]
        self._delivered[file.state] = None
        if content is not None:
            digest = hashlib.sha256(content).digest()
            if same := self._names_by_hash.get(digest):
                self._inbox.put_now(Notice(f"{file.path}: the same photo as {same}; it is not answered twice."))
                return
            self._names_by_hash[digest] = Path(file.path).name
        self._inbox.put(IncomingPhoto(file.path, content), self._stopped)

    def _report_lost(self, error: OSError) -> None:
        if not self._is_lost:
            text = f"{self._folder}: cannot be read ({error.strerror}). Waiting for it."
            self._inbox.put_now(SourceLost("file", text))
        self._is_lost, self._listed_ns = True, -1


class PathStream(threading.Thread):
    """Delivers the photos whose paths a stream lists, one a line."""

    def __init__(self, descriptor: int, inbox: Inbox):
        super().__init__(name="paths", daemon=True)
        self._descriptor, self._inbox, self._stopped = descriptor, inbox, threading.Event()

    def run(self) -> None:
        """Deliver photos until the stream ends, or until `stop`."""
        rest = b""
        with contextlib.suppress(OSError):
            while data := os.read(self._descriptor, 4096):
                *lines, rest = (rest + data).split(b"\n")
                if not all(self._deliver(line) for line in lines):
                    return
        if self._deliver(rest):
            self._inbox.put_now(EndScan())

    def stop(self) -> None:
        """Deliver no more photos."""
        self._stopped.set()

    def _deliver(self, line: bytes) -> bool:
        path = os.fsdecode(line.rstrip(b"\r"))
        return not path or self._inbox.put(IncomingPhoto(path), self._stopped)


def _file_state(status: os.stat_result) -> FileState:
    return (status.st_ino, status.st_size, status.st_mtime_ns)


def _has_end_marker(path: str) -> bool:
    """Return whether a file ends as a complete picture of its format does."""
    try:
        with open(path, "rb") as file:
            head = file.read(2)
            end = END_MARKERS.get(head)
            if end is None:
                return False
            file.seek(-len(end), os.SEEK_END)
            return file.read() == end
    except OSError:
        return False


def _is_old(changed_ns: int) -> bool:
    return abs(time.time_ns() - changed_ns) > RECENT_NS


def _drop_oldest(remembered: "collections.OrderedDict[Any, Any]", most: int) -> None:
    while len(remembered) > most:
        remembered.popitem(last=False)
