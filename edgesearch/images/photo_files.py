"""Find the photos in folders."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import CountError, ImageError

# Formats that cannot be read are here too: such a photo is reported, not silently skipped.
SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".jpe",
    ".jfif",
    ".jfi",
    ".jif",
    ".pjpeg",
    ".pjp",
    ".mpo",
    ".png",
    ".apng",
    ".webp",
    ".gif",
    ".bmp",
    ".tif",
    ".tiff",
    ".heic",
    ".heif",
    ".hif",
    ".avif",
    ".dng",
)
# Folders that systems make: of archivers, NAS, Windows and Linux. They hold thumbnails and deleted files, no stock.
SYSTEM_FOLDERS = frozenset(
    [
        "__macosx",
        "@eadir",
        "@tmp",
        "@recycle",
        "@recently-snapshot",
        "@__thumb",
        "@appstore",
        "#recycle",
        "#snapshot",
        "~snapshot",
        "$recycle.bin",
        "recycler",
        "lost+found",
        "found.000",
    ]
) | {"system volume information", "network trash folder", "temporary items"}
MAX_NAMES = 5  # file names in one message


def is_hidden(name: str) -> bool:
    """Return whether a file or folder is hidden, or a folder that a system made."""
    return name.startswith(".") or name.casefold() in SYSTEM_FOLDERS


class PhotoFile(NamedTuple):
    """A photo's file.

    Attributes:
        name: path relative to the folder that was given, with "/".
        path: path of the file.
    """

    name: str
    path: Path

    def state(self) -> list[int]:
        """Return size in bytes and time of change in ns; a file whose name and state are the same has not changed.

        Raises:
            ImageError: the file is gone or cannot be examined.
        """
        try:
            found = os.stat(self.path)
        except OSError as error:
            raise ImageError(f"{self.path}: cannot be read ({error.strerror}); check the file.") from error
        return [found.st_size, found.st_mtime_ns]

    def strip_path(self, error: ImageError) -> str:
        """Return an error's message without the path of this file."""
        return str(error).removeprefix(f"{self.path}: ")


def strip_name(error: ImageError) -> str:
    """Return the message of an error about a picture given as bytes, without "picture of ... bytes"."""
    return str(error).partition(": ")[2]


def find_photos(given: Sequence[Path]) -> tuple[list[PhotoFile], list[Path]]:
    """Find all photos in folders and their subfolders; hidden files do not count.

    Args:
        given: folders, and single photo files.
    Returns:
        The photos by name, and the other files of the folders.
    Raises:
        CountError: a given path does not exist, or a folder cannot be read.
    """
    photos, others = [], []
    for path in given:
        if path.is_file():
            photos.append(PhotoFile(path.name, path))
            continue
        for file in _list_files(path):
            if file.suffix.lower() in SUFFIXES:
                photos.append(PhotoFile(file.relative_to(path).as_posix(), file))
            else:
                others.append(file)
    return sorted(photos), sorted(others)


def walk_folders(folder: str | Path, fail: Callable[[OSError], object]) -> Iterator[tuple[str, list[str]]]:
    """Yield a folder and its subfolders with their file names; follow links once, omit what `is_hidden`.

    Args:
        folder: where to start.
        fail: called with the error if a folder cannot be read.
    """
    visited = set()
    for parent, folders, names in os.walk(folder, onerror=fail, followlinks=True):
        if (resolved := os.path.realpath(parent)) in visited:  # a link to a folder above, or a second link to one
            folders.clear()
            continue
        visited.add(resolved)
        folders[:] = [name for name in folders if not is_hidden(name)]
        yield parent, [name for name in names if not is_hidden(name)]


def describe_skipped(others: Sequence[Path]) -> str:
    """Describe files that are no photos in one sentence; return "" if there are none."""
    names = ", ".join(path.name for path in others[:MAX_NAMES])
    return f"no photos by their names ({len(others)}): {names}" if others else ""


def _list_files(folder: Path) -> list[Path]:
    """List all files below a folder; raise CountError if one of its folders cannot be read."""

    def fail(error: OSError) -> None:
        raise CountError(f"{error.filename}: cannot be read ({error.strerror}); give a folder of photos.") from error

    return [Path(parent, name) for parent, names in walk_folders(folder, fail) for name in names]
