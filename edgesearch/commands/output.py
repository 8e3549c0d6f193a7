"""What the commands say: answers to stdout, everything else to stderr."""

import datetime
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .._util.files import replacing
from ..errors import EdgeSearchError

SAID_EVERY_S = 60
PICTURES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}


def print_table(table: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(table, ensure_ascii=False))
        return
    for name, value in table.items():
        print(f"{name:24} {value:.4f}" if isinstance(value, float) else f"{name:24} {'-' if value is None else value}")


class Bar:
    """A progress bar on stderr; where that is no terminal, a line a minute."""

    def __init__(self, what: str, unit: str):
        from tqdm import tqdm  # here, so that a search does not load it

        self._what, self._unit = what, unit
        self._bar = tqdm(desc=what, unit=unit, disable=None, leave=False)
        self._begun = self._said = time.monotonic()

    def __enter__(self) -> Callable[[int, int], None]:
        return self._move

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def _move(self, done: int, total: int) -> None:
        if not self._bar.disable:
            self._bar.total = total
            self._bar.update(done - self._bar.n)
        elif (now := time.monotonic()) - self._said >= SAID_EVERY_S and done:
            self._said, rate = now, done / (now - self._begun)
            left = datetime.timedelta(seconds=round((total - done) / rate))
            say(f"{self._what}: {done:,} of {total:,} {self._unit}s, {rate:.1f} a second, {left} left")


def say(text: object) -> None:
    print("edgesearch:", " ".join(str(text).split()), file=sys.stderr)


def say_lines(lines: Sequence[str]) -> None:
    """A table."""
    for line in lines:
        print("edgesearch:", line, file=sys.stderr)


def failed(error: object) -> int:
    say(error)
    return 1


def picture_kind(path: Path) -> str:
    """How a picture of that name is encoded; raises EdgeSearchError."""
    if path.suffix.lower() not in PICTURES:
        raise EdgeSearchError(f"{path}: pictures are written as .png or .jpg; name one of these.")
    return PICTURES[path.suffix.lower()]


def write_picture(path: Path, data: bytes) -> None:
    """Write it, and the old one stays until it is whole; raises EdgeSearchError: it cannot be written there."""
    try:
        if path.is_dir():
            raise EdgeSearchError(f"{path}: a folder; give the path of a picture.")
        with replacing(path) as file:
            file.write(data)
    except OSError as error:
        raise EdgeSearchError(
            f"{path}: cannot be written ({error.strerror}); give a path in a folder that exists and can be written."
        ) from error
