"""The folder OUTPUT.work that a build works in. If the build is stopped, the next one goes on from it."""

import contextlib
import glob
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from .._util import progress
from ..errors import BundleError
from .extraction_cache import FILES, ExtractionCache

MADE = "made"  # folder for temporary files
KEPT = "kept"  # file that marks a folder to keep after the build


@contextlib.contextmanager
def open_workspace(output: Path, digest: str, keep: bool, fresh: bool) -> Iterator[tuple[ExtractionCache, Path]]:
    """Yield the extraction cache, and an empty folder that is removed afterwards.

    An error or a stop leaves the cache behind, and a note on the exception says where. After success it is removed.

    Args:
        output: The bundle to write.
        digest: Digest of the extraction.
        keep: Keep the cache after success too, also after later builds.
        fresh: Discard what an earlier build left.
    Raises:
        BundleError: Another build uses OUTPUT.work, a file cannot be written, or the cache is damaged.
    """
    work = output.with_name(f"{output.name}.work")
    pictures: int | None = None  # left in the cache; None: unknown, or of another build
    try:
        with _explaining_errors(output, work):
            work.mkdir(exist_ok=True)
            with contextlib.closing(ExtractionCache(work, digest, fresh)) as cache:
                _remove_unfinished(output)
                if keep:
                    (work / KEPT).touch()
                _tell_what_is_left(work, len(cache.keys()))
                try:
                    with _empty_folder(work / MADE) as folder:
                        yield cache, folder
                    pictures = 0
                except BaseException:
                    with contextlib.suppress(sqlite3.Error):
                        pictures = len(cache.keys())
                    raise
    except BaseException as error:
        if pictures:
            error.add_note(
                f"{work}: holds the {pictures:,} pictures that were finished ({_size_mb(work):,.1f} MB); repeat the "
                "command to go on from there, or add --fresh to start anew."
            )
        raise
    finally:
        if pictures == 0 and not (work / KEPT).exists():
            _remove(work)


@contextlib.contextmanager
def _explaining_errors(output: Path, work: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.OperationalError) as error:
        raise BundleError(f"{output}: cannot be built ({error}); check {work}, and its free space.") from error
    except sqlite3.Error as error:
        raise BundleError(f"{work}: its contents are damaged ({error}); build again with --fresh.") from error


@contextlib.contextmanager
def _empty_folder(folder: Path) -> Iterator[Path]:
    shutil.rmtree(folder, ignore_errors=True)  # left by a killed build
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_unfinished(output: Path) -> None:
    """Remove the folders in which killed builds wrote the bundle."""
    for folder in output.parent.glob(f".{glob.escape(output.name)}.????????"):
        with contextlib.suppress(OSError):  # a file, or another user's
            if {path.name for path in folder.iterdir()} <= {output.name}:
                shutil.rmtree(folder)


def _tell_what_is_left(work: Path, pictures: int) -> None:
    if pictures:
        progress.note(f"{work}: goes on with {pictures:,} finished pictures ({_size_mb(work):,.1f} MB).")


def _size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) / 1e6


def _remove(work: Path) -> None:
    """Remove what a build wrote; a folder that holds something else stays."""
    for name in FILES:
        (work / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        work.rmdir()
