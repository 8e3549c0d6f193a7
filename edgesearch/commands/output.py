"""Print answers to stdout and everything else to stderr, and write pictures."""

import contextlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .._util.files import replacing
from .._util.plain_text import plain
from ..errors import EdgeSearchError
from .progress_display import cleared_line

PICTURES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}


def print_table(table: dict[str, Any], as_json: bool) -> None:
    """Print names and values, one pair per line or as one JSON object."""
    if as_json:
        print_line(json.dumps(table, ensure_ascii=False))
        return
    for name, value in table.items():
        shown = f"{value:.4f}" if isinstance(value, float) else "-" if value is None else value
        print_line(f"{name:24} {shown}")


def print_line(text: object, flush: bool = False) -> None:
    """Print one line to stdout; names in it act on no terminal and begin no line of their own.

    Raises:
        BrokenPipeError: Nobody reads the answers that `flush` sends at once. Without it, what is done is done.
    """
    try:
        print(plain(text), flush=flush)
    except BrokenPipeError:
        if flush:
            raise
        discard_stdout()


def discard_stdout() -> None:
    """Drop buffered output that cannot be written, so that the interpreter does not try again when it exits."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_note(text: object) -> None:
    """Print one line to stderr, its white space collapsed."""
    with cleared_line():
        print("edgesearch:", plain(" ".join(str(text).split())), file=sys.stderr)


def print_report(lines: Sequence[str]) -> None:
    """Print a table to stderr, its columns kept."""
    with cleared_line():
        for line in lines:
            print("edgesearch:", plain(line), file=sys.stderr)


def report_error(error: object, notes: Sequence[str] = ()) -> int:
    """Print an error, and notes on what to do, and return the exit status for it."""
    for line in (error, *notes):
        print_note(line)
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
