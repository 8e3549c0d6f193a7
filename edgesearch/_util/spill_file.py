"""Rows that are gathered one after another: in memory, or in a file where there may be more than memory holds."""

import mmap
from collections.abc import Iterator
from pathlib import Path

import numpy as np

PORTION_BYTES = 1 << 25


class SpillFile:
    """Rows of one shape and dtype, to which more are appended until they are read."""

    def __init__(self, row: tuple[int, ...], dtype: str, path: Path | None = None):
        """
        Args:    row: shape of one; path: a new file for those that are too many, None to keep them all in memory.
        """
        self._row, self._dtype, self._path = row, np.dtype(dtype), path
        self._parts = [np.empty((0, *row), dtype)]
        self._bytes, self._kept = 0, False

    def append(self, rows: np.ndarray) -> None:
        """rows: (R, *row) of the dtype."""
        assert rows.shape[1:] == self._row and rows.dtype == self._dtype
        self._parts.append(rows)
        self._bytes += rows.nbytes
        if self._path and self._bytes > PORTION_BYTES:
            self._flush(self._path)

    def rows(self) -> np.ndarray:
        """All of them, (N, *row), mapped where they lie in a file; nothing is appended any more."""
        if not self._kept or not self._path:
            return np.concatenate(self._parts)
        self._flush(self._path)
        return np.memmap(self._path, self._dtype, "r").reshape(-1, *self._row)

    def _flush(self, path: Path) -> None:
        with open(path, "ab") as file:
            file.write(np.concatenate(self._parts).data)
        self._parts, self._bytes, self._kept = self._parts[:1], 0, True


def portions(rows: np.ndarray) -> Iterator[np.ndarray]:
    """Some rows after the other; those of a file leave this process's memory once the next are asked for."""
    rows = np.atleast_1d(rows)
    step = max(1, PORTION_BYTES // max(1, rows[:1].nbytes))
    for first in range(0, len(rows), step):
        yield rows[first : first + step]
        release_pages(rows)


def release_pages(rows: np.ndarray) -> None:
    """Take what was read of a mapped file out of this process's memory; to read it again brings it back."""
    base = rows
    while isinstance(base, np.ndarray) and base.base is not None:
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)
