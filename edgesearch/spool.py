"""Rows that are gathered one after another: in memory, or in a file where there may be more than memory holds."""

import mmap
from collections.abc import Iterator
from pathlib import Path

import numpy as np

PORTION_BYTES = 1 << 26


class Spool:
    """Rows of one shape and dtype, to which more are appended until they are mapped."""

    def __init__(self, row: tuple[int, ...], dtype: str, path: Path | None = None):
        """
        Args:    row: shape of one; path: the file to write, None to gather in memory.
        """
        self._row, self._dtype, self._path = row, np.dtype(dtype), path
        self._parts: list[np.ndarray] = []
        self._file = open(path, "wb") if path else None  # noqa: SIM115  # open until `rows`

    def append(self, rows: np.ndarray) -> None:
        """rows: (R, *row) of the dtype."""
        assert rows.shape[1:] == self._row and rows.dtype == self._dtype
        if self._file:
            self._file.write(np.ascontiguousarray(rows).data)
        else:
            self._parts.append(rows)

    def rows(self) -> np.ndarray:
        """All of them, (N, *row), mapped where they lie in a file; nothing is appended any more."""
        if not self._file or not self._path:
            return np.concatenate([np.empty((0, *self._row), self._dtype), *self._parts])
        self._file.close()
        if not self._path.stat().st_size:
            return np.empty((0, *self._row), self._dtype)
        return np.memmap(self._path, self._dtype, "r").reshape(-1, *self._row)


def portions(rows: np.ndarray) -> Iterator[np.ndarray]:
    """Some rows after the other; those of a file leave this process's memory once the next are asked for."""
    rows = np.atleast_1d(rows)
    step = max(1, PORTION_BYTES // max(1, rows[:1].nbytes))
    for first in range(0, len(rows), step):
        yield rows[first : first + step]
        let_go(rows)


def let_go(rows: np.ndarray) -> None:
    """Take what was read of a mapped file out of this process's memory; to read it again brings it back."""
    base = rows
    while isinstance(base, np.ndarray) and base.base is not None:
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)
