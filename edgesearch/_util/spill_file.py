"""Collect rows in memory, or in a file if there may be more than memory holds."""

import mmap
from collections.abc import Iterator
from pathlib import Path

import numpy as np

PORTION_BYTES = 1 << 25


class SpillFile:
    """A growing array of rows that moves to a file when it becomes large."""

    def __init__(self, row: tuple[int, ...], dtype: str, path: Path | None = None):
        """Make an empty array.

        Args:
            row: shape of a row.
            dtype: of the rows.
            path: of a new file for the rows that memory should not hold; `None` keeps all rows in memory.
        """
        self._row, self._dtype, self._path = row, np.dtype(dtype), path
        self._parts = [np.empty((0, *row), dtype)]
        self._bytes, self._spilled = 0, False

    def append(self, rows: np.ndarray) -> None:
        """Append rows, (R, *row) of the array's dtype."""
        assert rows.shape[1:] == self._row and rows.dtype == self._dtype
        self._parts.append(rows)
        self._bytes += rows.nbytes
        if self._path and self._bytes > PORTION_BYTES:
            self._flush(self._path)

    def rows(self) -> np.ndarray:
        """Return all rows, (N, *row), mapped if they are in a file. Append nothing afterwards."""
        if not self._spilled or not self._path:
            return np.concatenate(self._parts)
        self._flush(self._path)
        return np.memmap(self._path, self._dtype, "r").reshape(-1, *self._row)

    def _flush(self, path: Path) -> None:
        with open(path, "ab") as file:
            file.write(np.concatenate(self._parts).data)
        self._parts, self._bytes, self._spilled = self._parts[:1], 0, True


def split_portions(rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yield consecutive rows of (N, ...), some 32 MB at a time; free the memory of a mapped file's rows after each."""
    rows = np.atleast_1d(rows)
    step = max(1, PORTION_BYTES // max(1, rows[:1].nbytes))
    for first in range(0, len(rows), step):
        yield rows[first : first + step]
        release_pages(rows)


def release_pages(rows: np.ndarray) -> None:
    """Free the memory of a mapped file's rows, (N, ...); reading them again loads them again."""
    base = rows
    while isinstance(base, np.ndarray) and base.base is not None:
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)
