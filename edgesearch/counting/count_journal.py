"""What became of each photo of a count: a file of JSON lines that are only added, each synced before it is done.

    {"format": 1}
    {"id": "p3f...", "photo": "IMG_1.jpg", "file": [size, time], "status": "counted", "sku": "P1", ...}

The last line of a photo counts, so a correction is one more line. Whatever kills the process leaves whole lines, and
at most one that is cut off, which the next who writes takes away: it was not yet said to be done.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from .._util import files
from ..errors import CountError

FORMAT = 1
HEAD = b'{"format": '
Status: TypeAlias = Literal["counted", "aside", "bad", "dropped"]
_TEXTS = ("id", "photo", "status", "sku", "name", "by", "why")


@dataclass(frozen=True)
class Seen:
    """A photo, and what became of it.

    Attributes: id: of its content; photo: its name; file: its size and time of change; status: "aside" and "bad" wait
                for somebody to say what they show, "dropped" shows nothing to count; sku, name: of the product it was
                counted as; by: "look", "barcode" or "hand"; why: it is set aside, or bad; candidates: SKU and name of
                products that it may be, best first; times: how many of it there are.
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
        """JSON-able form, read back by `from_dict`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, table: dict[str, Any]) -> "Seen":
        """Raises KeyError, TypeError or ValueError on anything else than a `to_dict`."""
        texts = {name: table[name] for name in _TEXTS}
        if not all(isinstance(text, str) for text in texts.values()):
            raise TypeError("not text")
        if texts["status"] not in get_args(Status):
            raise ValueError(f"status {texts['status']}")
        candidates = tuple((str(sku), str(name)) for sku, name in table["candidates"])
        file, times = tuple(map(int, table["file"])), table.get("times", 1)
        if not isinstance(times, int) or times < 1:
            raise ValueError(f"times {times}")
        return cls(**texts, file=file, candidates=candidates, times=times)


class Session:
    """The file, which need not be there yet; one process at a time.

    Attributes: seen: by id, in the order in which something was last said of them.
    """

    def __init__(self, path: Path):
        """Raises CountError: it cannot be used, is none, or another process goes on with it."""
        self.path = path
        self.seen: dict[str, Seen] = {}
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        except OSError as error:
            raise self._refused(error) from error
        try:
            if not files.locked(self._descriptor):
                raise CountError(f"{path}: another count goes on there; wait for its end, or give another output.")
            self._end = self._read()
        except BaseException:
            self.close()
            raise

    def add(self, seen: Seen) -> None:
        """Keep what became of a photo; raises CountError: it could not be kept."""
        self._write(seen.to_dict())
        self._replay(seen)

    def of_file(self, photo: str, file: list[int]) -> Seen | None:
        """What was seen in a file that has not changed since."""
        return self._files.get((photo, *file))

    def counted(self) -> Iterator[Seen]:
        """The photos that are counted, the last first."""
        return (seen for seen in reversed(self.seen.values()) if seen.status == "counted")

    def waiting(self) -> list[Seen]:
        """The photos that wait for somebody, by name; a bad one no longer where it was copied again, whole."""
        waiting, whole = [], set()
        for seen in reversed(self.seen.values()):
            if seen.status == "aside" or (seen.status == "bad" and seen.photo not in whole):
                waiting.append(seen)
            if seen.status != "bad":
                whole.add(seen.photo)
        return sorted(waiting, key=lambda seen: (seen.photo, seen.id))

    def close(self) -> None:
        """Let others go on."""
        os.close(self._descriptor)

    def _read(self) -> int:
        """All lines; returns where the last whole one ends."""
        self._files: dict[tuple[object, ...], Seen] = {}
        with open(self._descriptor, "rb", closefd=False) as file:  # another one could not read it where it is held
            content = file.read()
        if _line({"format": FORMAT}).startswith(content):  # killed before it had one
            self._end = 0
            self._write({"format": FORMAT})
            files.sync_folder(self.path.parent)
            return self._end
        head, *lines = content.split(b"\n")
        if not lines or not head.startswith(HEAD):
            raise CountError(f"{self.path}: is no session of a count; move it away, or give another output.")
        for number, line in enumerate([head, *lines[:-1]], 1):
            self._take(number, line)
        return len(content) - len(lines[-1])

    def _take(self, number: int, line: bytes) -> None:
        try:
            table = json.loads(line)
            if number > 1:
                self._replay(Seen.from_dict(table))
            elif table != {"format": FORMAT}:
                raise ValueError(f"format {table['format']}, this version reads {FORMAT}")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise CountError(
                f"{self.path}, line {number}: not what was written ({error}); take the line out, or restore the file."
            ) from error

    def _replay(self, seen: Seen) -> None:
        self.seen.pop(seen.id, None)
        self.seen[seen.id] = seen
        self._files[seen.photo, *seen.file] = seen

    def _write(self, table: dict[str, Any]) -> None:
        """Over what was cut off, and nothing of it where it does not fit."""
        line = _line(table)
        try:
            os.ftruncate(self._descriptor, self._end)
            os.lseek(self._descriptor, self._end, os.SEEK_SET)
            left = memoryview(line)
            while left:
                left = left[os.write(self._descriptor, left) :]
            os.fsync(self._descriptor)
        except OSError as error:
            raise self._refused(error) from error
        self._end += len(line)

    def _refused(self, error: OSError) -> CountError:
        return CountError(
            f"{self.path}: cannot be written ({error.strerror}); check its folder, space and permissions."
        )


def _line(table: dict[str, Any]) -> bytes:
    return json.dumps(table, ensure_ascii=False).encode(errors="backslashreplace") + b"\n"


def taken_back(seen: Seen) -> Seen:
    """A photo that was counted, waiting for somebody to say what it shows."""
    candidates = dict.fromkeys([(seen.sku, seen.name), *seen.candidates])
    why = f"taken back; it was counted as {seen.sku}"
    return replace(seen, status="aside", sku="", name="", by="", why=why, candidates=tuple(candidates))
