"""The journal of a count: a file of JSON lines that records the status of each photo.

    {"format": 1}
    {"id": "p3f...", "photo": "IMG_1.jpg", "file": [size, time], "status": "counted", "sku": "P1", ...}

Lines are only appended, and each is synced before the photo counts as done. The last line of a photo is valid, so a
correction is one more line. A line with "undo": true takes back the last other change of its photo. A killed process
leaves at most one incomplete line. The next writer removes that line; no caller was told that its photo was counted.

In an encrypted device folder each line is sealed for its number, in base64.
"""

import base64
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from .._util import files
from ..bundle.sealing import Seal
from ..errors import CountError

FORMAT = 1
HEAD = b'{"format": '
Status: TypeAlias = Literal["counted", "aside", "bad", "dropped"]
_TEXT_FIELDS = ("id", "photo", "status", "sku", "name", "by", "why")


@dataclass(frozen=True)
class CountEntry:
    """A photo, or pieces counted without one, and its status.

    Attributes:
        id: Derived from the photo's content, so that a copy has the same one.
        photo: Name of the photo.
        file: Size in bytes and modification time of its file; empty without a file.
        status: "counted"; "aside" or "bad": needs review by a person; "dropped": shows nothing to count.
        sku, name: The product that it was counted as.
        by: How the product was recognized: "look" (its appearance), "barcode" or "hand".
        why: Reason for the review.
        candidates: SKU and name of possible products, best first.
        times: Number of pieces; negative where a person lowered the total of a product.
    """

    id: str
    photo: str
    file: tuple[int, ...]
    status: Status
    sku: str = ""
    name: str = ""
    by: str = ""
    why: str = ""
    candidates: tuple[tuple[str, str], ...] = ()
    times: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form that `from_dict` reads."""
        return asdict(self)

    @classmethod
    def from_dict(cls, table: dict[str, Any]) -> "CountEntry":
        """Read what `to_dict` returned; raise KeyError, TypeError or ValueError for anything else."""
        texts = {name: table[name] for name in _TEXT_FIELDS}
        if not all(isinstance(text, str) for text in texts.values()):
            raise TypeError("not text")
        if texts["status"] not in get_args(Status):
            raise ValueError(f"status {texts['status']}")
        candidates = tuple((str(sku), str(name)) for sku, name in table["candidates"])
        file, times = tuple(map(int, table["file"])), table.get("times", 1)
        if not isinstance(times, int) or times == 0:
            raise ValueError(f"times {times}")
        return cls(**texts, file=file, candidates=candidates, times=times)

    def to_review(self) -> "CountEntry":
        """Return this counted entry as one that a person must review."""
        candidates = dict.fromkeys([(self.sku, self.name), *self.candidates])
        why = f"taken back; it was counted as {self.sku}"
        return replace(self, status="aside", sku="", name="", by="", why=why, candidates=tuple(candidates))


class CountJournal:
    """The journal file, created if it does not exist; one process at a time may open it.

    Attributes:
        entries: The entries by id, the most recently changed last.
    """

    def __init__(self, path: Path, seal: Seal | None = None):
        """Open the file, whose lines `seal` encrypts, None leaves readable.

        Raises:
            CountError: It is unusable, no journal, sealed otherwise, or open in another process.
        """
        self.path, self._seal, self._lines = path, seal, 0
        self.entries: dict[str, CountEntry] = {}
        self._changes: list[tuple[CountEntry | None, CountEntry]] = []
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        except OSError as error:
            raise self._write_error(error) from error
        try:
            if not files.try_lock(self._descriptor):
                raise CountError(f"{path}: another count is open there; wait for its end, or give another output.")
            self._end = self._read()
        except OSError as error:
            self.close()
            raise self._write_error(error) from error
        except BaseException:
            self.close()
            raise

    def add(self, entry: CountEntry, undo: bool = False) -> None:
        """Store an entry on the disk; raise CountError if that fails.

        undo: the entry is the state before the last change of its photo.
        """
        if entry != self.entries.get(entry.id):
            self._append(entry.to_dict() | ({"undo": True} if undo else {}))
            self._replay(entry, undo)

    def last_change(self) -> tuple[CountEntry | None, CountEntry] | None:
        """Return the last count or correction that was not taken back: the entry before and after it; None if none."""
        return self._changes[-1] if self._changes else None

    def find_file(self, photo: str, file: list[int]) -> CountEntry | None:
        """Return the entry of a file that has not changed since, or None."""
        return self._entries_by_file.get((photo, *file))

    def counted_entries(self) -> Iterator[CountEntry]:
        """Yield the entries that are counted, the last one first."""
        return (entry for entry in reversed(self.entries.values()) if entry.status == "counted")

    def entries_to_review(self) -> list[CountEntry]:
        """Return the entries to review, by name; omit a bad photo whose file was replaced by a readable one."""
        to_review, readable = [], set()
        for entry in reversed(self.entries.values()):
            if entry.status == "aside" or (entry.status == "bad" and entry.photo not in readable):
                to_review.append(entry)
            if entry.status != "bad":
                readable.add(entry.photo)
        return sorted(to_review, key=lambda entry: (entry.photo, entry.id))

    def close(self) -> None:
        """Close the file, so that another process may open it."""
        os.close(self._descriptor)

    def _read(self) -> int:
        """Read all lines; return the offset at which the last complete one ends."""
        self._entries_by_file: dict[tuple[object, ...], CountEntry] = {}
        with open(self._descriptor, "rb", closefd=False) as file:  # Windows lets no other descriptor read a locked file
            content = file.read()
        if self._is_new(content):
            self._end = 0
            self._append({"format": FORMAT})
            files.sync_folder(self.path.parent)
            return self._end
        head, *lines = content.split(b"\n")
        if self._seal and head.startswith(HEAD):
            raise CountError(f"{self.path}: is readable in an encrypted folder; move it and its lists out of there.")
        if not lines or not (self._seal or head.startswith(HEAD)):
            raise CountError(f"{self.path}: is not the session of a count; move it away, or give another output.")
        for number, line in enumerate([head, *lines[:-1]], 1):
            self._parse_line(number, line)
        return len(content) - len(lines[-1])

    def _is_new(self, content: bytes) -> bool:
        """Return whether the file is empty, or its process was killed during the first line."""
        line = self._to_line({"format": FORMAT}, 1)
        if self._seal:
            return b"\n" not in content and len(content) < len(line)
        return line.startswith(content)

    def _parse_line(self, number: int, line: bytes) -> None:
        try:
            table = json.loads(self._seal.open(base64.b64decode(line), _context(number)) if self._seal else line)
            if number > 1:
                self._replay(CountEntry.from_dict(table), table.get("undo") is True)
            elif table != {"format": FORMAT}:
                raise ValueError(f"format {table['format']}, this version reads {FORMAT}")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise CountError(
                f"{self.path}, line {number}: is damaged ({error}); remove the line, or restore the file."
            ) from error
        self._lines = number

    def _replay(self, entry: CountEntry, undo: bool) -> None:
        before = self.entries.pop(entry.id, None)
        self.entries[entry.id] = entry
        if undo:
            last = next((i for i, (_, one) in reversed([*enumerate(self._changes)]) if one.id == entry.id), None)
            if last is not None:
                del self._changes[last]
        elif before is not None or entry.status == "counted":
            self._changes.append((before, entry))
        self._entries_by_file[entry.photo, *entry.file] = entry

    def _append(self, table: dict[str, Any]) -> None:
        """Write a line in place of an incomplete one; raise CountError if it cannot be written completely."""
        line = self._to_line(table, self._lines + 1)
        try:
            os.ftruncate(self._descriptor, self._end)
            os.lseek(self._descriptor, self._end, os.SEEK_SET)
            left = memoryview(line)
            while left:
                left = left[os.write(self._descriptor, left) :]
            os.fsync(self._descriptor)
        except OSError as error:
            raise self._write_error(error) from error
        self._end += len(line)
        self._lines += 1

    def _write_error(self, error: OSError) -> CountError:
        return CountError(
            f"{self.path}: cannot be written ({error.strerror}); check its folder, space and permissions."
        )

    def _to_line(self, table: dict[str, Any], number: int) -> bytes:
        content = json.dumps(table, ensure_ascii=False).encode(errors="backslashreplace")
        return (base64.b64encode(self._seal.close(content, _context(number))) if self._seal else content) + b"\n"


def _context(number: int) -> str:
    return f"count line {number}"
