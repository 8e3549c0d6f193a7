"""The photos in folders, and their content."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import CountError, ImageError

# Those that are not read as well: a photo that is passed over is said to be.
SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".jpe",
    ".png",
    ".webp",
    ".gif",
    ".bmp",
    ".tif",
    ".tiff",
    ".heic",
    ".heif",
    ".avif",
    ".dng",
)
MAX_NAMES = 5  # of many names


class PhotoFile(NamedTuple):
    """A photo's file, and its name: from the folder that was given, with "/"."""

    name: str
    path: Path

    def state(self) -> list[int]:
        """Size in bytes and time of change in ns: a file of the same name with the same is the same.

        Raises:  ImageError: the file is gone, or nothing may be known of it.
        """
        try:
            found = os.stat(self.path)
        except OSError as error:
            raise ImageError(f"{self.path}: cannot be read ({error.strerror}); check the file.") from error
        return [found.st_size, found.st_mtime_ns]

    def strip_path(self, error: ImageError) -> str:
        """What is wrong with it, without its path."""
        return str(error).removeprefix(f"{self.path}: ")


def strip_name(error: ImageError) -> str:
    """What is wrong with a picture that was given as bytes, without what bytes are called."""
    return str(error).partition(": ")[2]


def find_photos(given: Sequence[Path]) -> tuple[list[PhotoFile], list[Path]]:
    """All photos in folders and below, and those given as files, by name.

    Returns: the photos; and the files in the folders that are none by their suffix. Hidden files are no files here.
    Raises:  CountError: one that is given is not there, or a folder cannot be read.
    """
    photos, others = [], []
    for path in given:
        if path.is_file():
            photos.append(PhotoFile(path.name, path))
            continue
        for file in _files(path):
            if file.suffix.lower() in SUFFIXES:
                photos.append(PhotoFile(file.relative_to(path).as_posix(), file))
            else:
                others.append(file)
    return sorted(photos), sorted(others)


def walk_folders(folder: str | Path, fail: Callable[[OSError], object]) -> Iterator[tuple[str, list[str]]]:
    """A folder and those below it, with the names of their files; links are followed, hidden ones left out.

    Args:    fail: called where one cannot be read.
    """
    been = set()
    for parent, folders, names in os.walk(folder, onerror=fail, followlinks=True):
        if (place := os.path.realpath(parent)) in been:  # a link leads to a folder above it, or twice to one
            folders.clear()
            continue
        been.add(place)
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield parent, [name for name in names if not name.startswith(".")]


def describe_skipped(others: Sequence[Path]) -> str:
    """A sentence on files that are no photos; "" where there are none."""
    names = ", ".join(path.name for path in others[:MAX_NAMES])
    return f"no photos by their names ({len(others)}): {names}" if others else ""


def _files(folder: Path) -> list[Path]:
    def fail(error: OSError) -> None:
        raise CountError(f"{error.filename}: cannot be read ({error.strerror}); give a folder of photos.") from error

    return [Path(parent, name) for parent, names in walk_folders(folder, fail) for name in names]
