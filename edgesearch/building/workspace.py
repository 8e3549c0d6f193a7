"""The folder that a build works in: temporary, or kept beside the output for `--resume`."""

import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..errors import BundleError
from .extraction_cache import ExtractionCache


@contextlib.contextmanager
def open_workspace(output: Path, resume: bool, digest: str) -> Iterator[tuple[ExtractionCache, Path]]:
    """Yield the extraction cache, and an empty folder that is removed afterwards.

    Args:
        output: The bundle to write.
        resume: Keep the cache in OUTPUT.work; otherwise it is temporary too.
        digest: Digest of the extraction.
    Raises:
        BundleError: Another build uses OUTPUT.work, a file cannot be written, or the cache is damaged.
    """
    kept = output.with_name(f"{output.name}.work")
    try:
        if resume:
            kept.mkdir(exist_ok=True)
        parent = (
            contextlib.nullcontext(str(kept)) if resume else tempfile.TemporaryDirectory(prefix="edgesearch-build-")
        )
        with parent as name, contextlib.closing(ExtractionCache(Path(name), digest)) as cache:
            folder = Path(name) / "made"
            shutil.rmtree(folder, ignore_errors=True)  # left by a killed build
            folder.mkdir()
            try:
                yield cache, folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    except (OSError, sqlite3.OperationalError) as error:
        where = kept if resume else "temporary files"
        raise BundleError(f"{output}: cannot be built ({error}); check {where}, and its free space.") from error
    except sqlite3.Error as error:
        raise BundleError(f"{kept}: its contents are damaged ({error}); remove it, and build again.") from error
