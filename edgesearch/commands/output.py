"""Print answers to stdout and everything else to stderr, and write pictures."""

import datetime
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .._util.files import replacing
from ..errors import EdgeSearchError

REPORT_EVERY_S = 60
PICTURES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}


def print_table(table: dict[str, Any], as_json: bool) -> None:
    """Print names and values, one pair per line or as one JSON object."""
    if as_json:
        print(json.dumps(table, ensure_ascii=False))
        return
    for name, value in table.items():
        print(f"{name:24} {value:.4f}" if isinstance(value, float) else f"{name:24} {'-' if value is None else value}")


class ProgressBar:
    """A progress bar on stderr; without a terminal, one line per minute."""

    def __init__(self, what: str, unit: str):
        from tqdm import tqdm  # here, so that a search does not load it

        self._what, self._unit = what, unit
        self._bar = tqdm(desc=what, unit=unit, disable=None, leave=False)
        self._begun = self._reported = time.monotonic()

    def __enter__(self) -> Callable[[int, int], None]:
        return self._move

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def _move(self, done: int, total: int) -> None:
        if not self._bar.disable:
            self._bar.total = total
            self._bar.update(done - self._bar.n)
        elif (now := time.monotonic()) - self._reported >= REPORT_EVERY_S and done:
            self._reported, rate = now, done / (now - self._begun)
            left = datetime.timedelta(seconds=round((total - done) / rate))
            print_note(f"{self._what}: {done:,} of {total:,} {self._unit}s, {rate:.1f} a second, {left} left")


def print_note(text: object) -> None:
    """Print one line to stderr, its white space collapsed."""
    print("edgesearch:", " ".join(str(text).split()), file=sys.stderr)


def print_report(lines: Sequence[str]) -> None:
    """Print a table to stderr, its columns kept."""
    for line in lines:
        print("edgesearch:", line, file=sys.stderr)


def report_error(error: object) -> int:
    """Print an error and return the exit status for it."""
    print_note(error)
    return 1


def picture_kind(path: Path) -> str:
    """Return the format for a picture's name; raise EdgeSearchError if the name has another ending."""
    if path.suffix.lower() not in PICTURES:
        raise EdgeSearchError(f"{path}: pictures are written as .png or .jpg; give a name with one of these endings.")
    return PICTURES[path.suffix.lower()]


def write_picture(path: Path, data: bytes) -> None:
    """Write a picture, replacing an old one only when it is complete.

    Raises:
        EdgeSearchError: The path is a folder or cannot be written.
    """
    try:
        if path.is_dir():
            raise EdgeSearchError(f"{path}: is a folder; give the path of a picture.")
        with replacing(path) as file:
            file.write(data)
    except OSError as error:
        raise EdgeSearchError(
            f"{path}: cannot be written ({error.strerror}); give a path in a writable folder."
        ) from error
