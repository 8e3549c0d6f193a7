"""Write files so that a reader, even after a power cut, finds either the old or the new content."""

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

LOCKED = (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)  # errors of a file that another process has locked


@contextlib.contextmanager
def replacing(path: Path, opener: Callable[[str, int], int] | None = None) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path`; on success, sync it and rename it to `path`.

    After an error, the temporary file is removed and `path` is unchanged.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        with open(temporary, "wb", opener=opener) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def open_private(path: str, flags: int) -> int:
    """Open a file that only its owner may read; pass this as the `opener` of `open`."""
    return os.open(path, flags, 0o600)


def try_lock(descriptor: int) -> bool:
    """Lock a file for this process until the file is closed or the process ends; return False if it is locked.

    Raises:
        OSError: The file system has no locks, or no more of them.
    """
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in LOCKED:
            raise
        return False
    return True


@contextlib.contextmanager
def locking(path: Path, timeout_s: float) -> Iterator[None]:
    """Lock a file, created if need be, and wait for others that hold it; raise OSError if that fails."""
    until_s = time.monotonic() + timeout_s
    with open(path, "wb", opener=open_private) as file:
        while not try_lock(file.fileno()):
            if time.monotonic() > until_s:
                raise TimeoutError(errno.ETIMEDOUT, "another process holds the lock", str(path))
            time.sleep(0.01)
        yield


def write_new(path: Path, content: bytes) -> None:
    """Write a file that must not exist yet and that only its owner may read, and sync it."""
    with open(path, "xb", opener=open_private) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make a rename in the folder durable; do nothing on Windows, which has no such call."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
