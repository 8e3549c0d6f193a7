"""A file of named arrays that is used where it lies: mapped, not read.

Layout, all numbers little-endian:

    0   8 bytes   magic "ESARRAYS"
    8   uint32    format version, 1
    12  uint32    H, length of the header
    16  H bytes   header, UTF-8 JSON: {"meta": {...}, "arrays": {name: {"dtype", "shape", "offset"}}}
    ..            zeros up to a multiple of 64, where the arrays begin
    ..            each array at its offset from there, a multiple of 64, in C order; zeros between them and after the
                  last, so that the file's size is a multiple of 64 too
"""

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..errors import IndexFileError
from .spill_file import portions

MAGIC = b"ESARRAYS"
FORMAT = 1
ALIGNMENT = 64
DTYPES = {
    "uint8": "u1",
    "int8": "i1",
    "uint16": "<u2",
    "uint32": "<u4",
    "int32": "<i4",
    "int64": "<i8",
    "float32": "<f4",
}
_PREFIX = struct.Struct("<8sII")


class Source(Protocol):
    """Bytes of which parts are read."""

    size: int

    def read(self, start: int, stop: int) -> memoryview:
        """Some of them."""

    def release_pages(self, start: int, stop: int) -> None:
        """They are not needed for a while."""


class Whole:
    """Bytes in memory, as a source."""

    def __init__(self, data: memoryview):
        self._data, self.size = data, len(data)

    def read(self, start: int, stop: int) -> memoryview:
        """Some of them; nothing is copied."""
        return self._data[start:stop]

    def release_pages(self, start: int, stop: int) -> None:
        """They stay."""


@dataclass(frozen=True)
class Rows:
    """An array that is read row by row where it is needed.

    Attributes: source: what it lies in; start: its first byte there.
    """

    source: Source
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Some rows, one after the other."""
        first, last, step = rows.indices(len(self))
        assert step == 1
        shape, row = (max(0, last - first), *self.shape[1:]), self.dtype.itemsize * math.prod(self.shape[1:])
        if not math.prod(shape):
            return np.empty(shape, self.dtype)
        data = self.source.read(self.start + first * row, self.start + last * row)
        return np.frombuffer(data, self.dtype).reshape(shape)

    def release_pages(self) -> None:
        """Take them out of this process's memory, where they are a file's; to read them again brings them back."""
        self.source.release_pages(self.start, self.start + self.dtype.itemsize * math.prod(self.shape))


def write(path: Path, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> None:
    """Write arrays (dtypes of `DTYPES`) and a JSON-able `meta`."""
    entries, end = {}, 0
    for name, array in arrays.items():
        entries[name] = {"dtype": array.dtype.name, "shape": list(array.shape), "offset": end}
        end = _aligned(end + array.nbytes)
    header = json.dumps({"meta": meta, "arrays": entries}).encode()
    start = _aligned(_PREFIX.size + len(header))
    with open(path, "wb") as file:
        file.write(_PREFIX.pack(MAGIC, FORMAT, len(header)) + header)
        offset = start
        for array in arrays.values():
            file.seek(offset)
            for part in portions(array):
                file.write(np.ascontiguousarray(part, DTYPES[array.dtype.name]).data)
            offset += _aligned(array.nbytes)
        file.truncate(start + end)


def read(data: memoryview | Source, name: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays inside `data`, of bytes in memory as views; nothing is copied.

    Args:    name: what to call it in errors.
    Returns: arrays by name (read-only where `data` is), and the meta given to `write`.
    Raises:  IndexFileError: not this format, of a newer version, or sizes that do not fit the data.
    """
    rows, meta = find(data, name)
    return {key: one[:] for key, one in rows.items()}, meta


def find(data: memoryview | Source, name: str) -> tuple[dict[str, Rows], dict[str, Any]]:
    """As `read`, but no array is read yet."""
    source = Whole(data) if isinstance(data, memoryview) else data
    prefix = bytes(source.read(0, min(source.size, _PREFIX.size)))
    if len(prefix) < _PREFIX.size or prefix[:8] != MAGIC:
        raise IndexFileError(f"{name}: not an array file (its first bytes are wrong); build the bundle again.")
    _, version, length = _PREFIX.unpack(prefix)
    if version != FORMAT:
        raise IndexFileError(f"{name}: array format {version}; this version reads {FORMAT}, upgrade edgesearch.")
    try:
        header = json.loads(bytes(source.read(_PREFIX.size, min(source.size, _PREFIX.size + length))))
        start = _aligned(_PREFIX.size + length)
        arrays = {key: _rows(source, start, **entry) for key, entry in header["arrays"].items()}
        ends = [rows.start + rows.dtype.itemsize * math.prod(rows.shape) for rows in arrays.values()]
        if source.size != _aligned(max(ends, default=start)):
            raise ValueError(f"{source.size} bytes")
        return arrays, dict(header["meta"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise IndexFileError(f"{name}: the array file is damaged ({error}); build or copy it again.") from error


def _rows(source: Source, begin: int, dtype: str, shape: list[int], offset: int) -> Rows:
    if any(not isinstance(n, int) or n < 0 for n in [*shape, offset]) or offset % ALIGNMENT or not shape:
        raise ValueError(f"shape {shape} at {offset}")
    kind = np.dtype(DTYPES[dtype])
    if begin + offset + math.prod(shape) * kind.itemsize > source.size:
        raise ValueError(f"{shape} x {dtype} at {offset} in a file of {source.size} bytes")
    return Rows(source, kind, tuple(shape), begin + offset)


def _aligned(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT
