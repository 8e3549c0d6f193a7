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
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .errors import IndexFileError

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


@dataclass(frozen=True)
class Pages:
    """The whole pages of a mapped file on which an array lies."""

    mapped: mmap.mmap
    start: int
    size: int

    @classmethod
    def of(cls, array: np.ndarray, mapped: mmap.mmap) -> "Pages":
        """array: a view into `mapped`."""
        start = array.ctypes.data - np.frombuffer(mapped, np.uint8).ctypes.data
        first, end = (
            place // mmap.PAGESIZE * mmap.PAGESIZE for place in (start + mmap.PAGESIZE - 1, start + array.nbytes)
        )
        return cls(mapped, first, max(0, end - first))

    def let_go(self) -> None:
        """Take them out of this process's memory; the system's cache keeps them, and reading brings them back."""
        if self.size and hasattr(mmap, "MADV_DONTNEED"):  # Linux and macOS have it
            self.mapped.madvise(mmap.MADV_DONTNEED, self.start, self.size)


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
            file.write(np.ascontiguousarray(array, DTYPES[array.dtype.name]).data)
            offset += _aligned(array.nbytes)
        file.truncate(start + end)


def read(data: memoryview, name: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """View the arrays inside `data`; nothing is copied.

    Args:    name: what to call it in errors.
    Returns: arrays by name (read-only where `data` is), and the meta given to `write`.
    Raises:  IndexFileError: not this format, of a newer version, or sizes that do not fit the data.
    """
    if len(data) < _PREFIX.size or bytes(data[:8]) != MAGIC:
        raise IndexFileError(f"{name}: not an array file (its first bytes are wrong); build the bundle again.")
    _, version, length = _PREFIX.unpack(data[: _PREFIX.size])
    if version != FORMAT:
        raise IndexFileError(f"{name}: array format {version}; this version reads {FORMAT}, upgrade edgesearch.")
    try:
        header = json.loads(bytes(data[_PREFIX.size : _PREFIX.size + length]))
        content = data[_aligned(_PREFIX.size + length) :]
        arrays = {key: _view(content, **entry) for key, entry in header["arrays"].items()}
        ends = [entry["offset"] + arrays[key].nbytes for key, entry in header["arrays"].items()]
        if len(content) != _aligned(max(ends, default=0)):
            raise ValueError(f"{len(data)} bytes")
        return arrays, dict(header["meta"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise IndexFileError(f"{name}: the array file is damaged ({error}); build or copy it again.") from error


def _view(data: memoryview, dtype: str, shape: list[int], offset: int) -> np.ndarray:
    if any(not isinstance(n, int) or n < 0 for n in [*shape, offset]) or offset % ALIGNMENT:
        raise ValueError(f"shape {shape} at {offset}")
    count = math.prod(shape)
    kind = np.dtype(DTYPES[dtype])
    if offset + count * kind.itemsize > len(data):
        raise ValueError(f"{count} x {dtype} at {offset} in a file of {len(data)} bytes")
    return np.frombuffer(data, kind, count, offset).reshape(shape) if count else np.empty(shape, kind)


def _aligned(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT
