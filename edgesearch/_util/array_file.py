"""Write and read a file of named arrays, which is memory-mapped and used in place.

Layout; all numbers are little-endian:

    0   8 bytes   magic "ESARRAYS"
    8   uint32    format version, 1
    12  uint32    H, length of the header
    16  H bytes   header, UTF-8 JSON: {"meta": {...}, "arrays": {name: {"dtype", "shape", "offset"}}}
    ..            zeros up to a multiple of 64, where the arrays begin
    ..            each array in C order, at its offset from there, a multiple of 64; zeros fill the gaps and the end, so
                  that the file's size is a multiple of 64
"""

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..errors import IndexFileError
from .spill_file import split_portions

MAGIC = b"ESARRAYS"
FORMAT = 1
ALIGNMENT = 64
MAX_AXES, MAX_NUMBER = 8, 1 << 40  # of a shape; in a header: numpy refuses larger ones even for arrays without rows
DTYPES = {
    "uint8": "u1",
    "int8": "i1",
    "uint16": "<u2",
    "uint32": "<u4",
    "int32": "<i4",
    "int64": "<i8",
    "float16": "<f2",
    "float32": "<f4",
}
_PREFIX = struct.Struct("<8sII")


class ByteSource(Protocol):
    """Bytes that are read in parts.

    Attributes: size: in bytes.
    """

    size: int

    def read(self, start: int, stop: int) -> memoryview:
        """Return the bytes from `start` to before `stop`."""

    def release_pages(self, start: int, stop: int) -> None:
        """Free the memory of these bytes, if they can be read again."""


class MemorySource:
    """A byte source in memory."""

    def __init__(self, data: memoryview):
        self._data, self.size = data, len(data)

    def read(self, start: int, stop: int) -> memoryview:
        """Return a view of the bytes from `start` to before `stop`."""
        return self._data[start:stop]

    def release_pages(self, start: int, stop: int) -> None:
        """Do nothing: the bytes exist only in memory."""


@dataclass(frozen=True)
class LazyArray:
    """An array whose rows are read from its source when they are indexed.

    Attributes:
        source: holds the array.
        dtype: of the array.
        shape: of the array; at least one dimension.
        start: offset of the array in the source, in bytes.
    """

    source: ByteSource
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Return consecutive rows: (R, *shape[1:])."""
        first, last, step = rows.indices(len(self))
        assert step == 1
        shape, row = (max(0, last - first), *self.shape[1:]), self.dtype.itemsize * math.prod(self.shape[1:])
        if not math.prod(shape):
            return np.empty(shape, self.dtype)
        data = self.source.read(self.start + first * row, self.start + last * row)
        return np.frombuffer(data, self.dtype).reshape(shape)

    def read_ranges(self, starts: list[int], stops: list[int]) -> np.ndarray:
        """Return the rows of some ranges, one range after another: (R, *shape[1:])."""
        row, begin = self.dtype.itemsize * math.prod(self.shape[1:]), self.start
        ranges = zip(starts, stops, strict=True)
        parts = [self.source.read(begin + start * row, begin + stop * row) for start, stop in ranges]
        return np.frombuffer(b"".join(parts), self.dtype).reshape(-1, *self.shape[1:])

    def release_pages(self) -> None:
        """Free the memory of a mapped file's rows; reading them again loads them again."""
        self.source.release_pages(self.start, self.start + self.dtype.itemsize * math.prod(self.shape))


def write(path: Path, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> None:
    """Write a file.

    Args:
        path: is replaced if it exists.
        arrays: by name, of any shape (N, ...) and of a dtype in `DTYPES`.
        meta: JSON-able values.
    """
    entries, end = {}, 0
    for name, array in arrays.items():
        entries[name] = {"dtype": array.dtype.name, "shape": list(array.shape), "offset": end}
        end = _align(end + array.nbytes)
    header = json.dumps({"meta": meta, "arrays": entries}).encode()
    start = _align(_PREFIX.size + len(header))
    with open(path, "wb") as file:
        file.write(_PREFIX.pack(MAGIC, FORMAT, len(header)) + header)
        offset = start
        for array in arrays.values():
            file.seek(offset)
            for part in split_portions(array):
                file.write(np.ascontiguousarray(part, DTYPES[array.dtype.name]).data)
            offset += _align(array.nbytes)
        file.truncate(start + end)


def read(data: memoryview | ByteSource, name: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read all arrays of a file; arrays of bytes in memory are views.

    Args:    data: content of the file; name: of the file, for error messages.
    Returns: arrays (N, ...) by name, read-only if `data` is, and the meta passed to `write`.
    Raises:  IndexFileError: the data have another format or a newer version, or are damaged.
    """
    arrays, meta = open_arrays(data, name)
    return {key: array[:] for key, array in arrays.items()}, meta


def open_arrays(data: memoryview | ByteSource, name: str) -> tuple[dict[str, LazyArray], dict[str, Any]]:
    """Open a file without reading its arrays.

    Args:    data: content of the file; name: of the file, for error messages.
    Returns: arrays by name, and the meta passed to `write`.
    Raises:  IndexFileError: the data have another format or a newer version, or are damaged.
    """
    source = MemorySource(data) if isinstance(data, memoryview) else data
    prefix = bytes(source.read(0, min(source.size, _PREFIX.size)))
    if len(prefix) < _PREFIX.size or prefix[:8] != MAGIC:
        raise IndexFileError(f"{name}: not an array file (its first bytes are wrong); build the bundle again.")
    _, version, length = _PREFIX.unpack(prefix)
    if version != FORMAT:
        raise IndexFileError(f"{name}: array format {version}; this version reads {FORMAT}, upgrade edgesearch.")
    try:
        header = json.loads(bytes(source.read(_PREFIX.size, min(source.size, _PREFIX.size + length))))
        start = _align(_PREFIX.size + length)
        arrays = {key: _locate(source, start, **entry) for key, entry in header["arrays"].items()}
        ends = [array.start + array.dtype.itemsize * math.prod(array.shape) for array in arrays.values()]
        if source.size != _align(max(ends, default=start)):
            raise ValueError(f"{source.size} bytes")
        return arrays, dict(header["meta"])
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise IndexFileError(f"{name}: the array file is damaged ({error}); build or copy it again.") from error


def _locate(source: ByteSource, begin: int, dtype: str, shape: list[int], offset: int) -> LazyArray:
    """Return an array of a header's entry; raise ValueError if it does not fit the source."""
    numbers = [*shape, offset]
    if any(type(n) is not int or not 0 <= n <= MAX_NUMBER for n in numbers) or not 1 <= len(shape) <= MAX_AXES:
        raise ValueError(f"shape {str(shape)[:80]} at {str(offset)[:80]}")
    if offset % ALIGNMENT:
        raise ValueError(f"shape {shape} at {offset}")
    item = np.dtype(DTYPES[dtype])
    if begin + offset + math.prod(shape) * item.itemsize > source.size:
        raise ValueError(f"{shape} x {dtype} at {offset} in a file of {source.size} bytes")
    return LazyArray(source, item, tuple(shape), begin + offset)


def _align(offset: int) -> int:
    """Round an offset up to a multiple of `ALIGNMENT`."""
    return -(-offset // ALIGNMENT) * ALIGNMENT
