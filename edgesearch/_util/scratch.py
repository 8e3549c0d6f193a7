"""Keep temporary files inside a folder, and remove what killed processes left there."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .files import open_private, try_lock

PREFIX = ".upload-"
PREFIXES = (PREFIX, ".export-")  # the second one is of versions before 2026-12


@contextlib.contextmanager
def scratch_file(parent: Path, name: str) -> Iterator[tuple[Path, BinaryIO]]:
    """Yield the path of a new file of that name, and the file, open for writing, which this process alone can read.

    On Linux the path leads to a file without a name, so that nothing of it is left when the process is killed.
    Elsewhere `sweep` removes it then.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=PREFIX, dir=parent)))
        stack.enter_context(_held(folder))
        file: BinaryIO = stack.enter_context(tempfile.TemporaryFile(dir=parent))
        unnamed = Path(f"/proc/self/fd/{file.fileno()}")
        if unnamed.exists():
            (folder / name).symlink_to(unnamed)
        else:
            file = stack.enter_context(open(folder / name, "wb", opener=open_private))
        yield folder / name, file


def sweep(parent: Path) -> None:
    """Remove the files of processes that were killed."""
    for folder in [folder for prefix in PREFIXES for folder in parent.glob(f"{prefix}*")]:
        with contextlib.suppress(OSError), _held(folder) as is_left:
            if is_left:
                shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[bool]:
    """Lock a folder until the end; yield whether nobody else had locked it."""
    if os.name == "nt":  # which opens no folders; there they stay
        yield False
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield try_lock(descriptor)
    finally:
        os.close(descriptor)
