"""Write and read the two members of a delta, each a gzip stream.

    literals   bytes that the base lacks, in the order of the new file
    copies     steps that make the new file: three int64, little-endian: bytes to take from `literals`; where to copy
               from, relative to the end of the previous copy; bytes to copy. 4,096 steps at a time are transposed: all
               their first bytes, then all their second, ...; zeros fill the last batch

Copy sources count through the members of the base, one after the other. A copy lies in one member and has 32 bytes or
more, except the last, so that the work of a device is bounded.
"""

import bisect
import contextlib
import gzip
import itertools
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .delta_matching import WINDOW, Copy

COPIES, LITERALS = "copies", "literals"
CHUNK = 1 << 18  # bytes to write or inflate at once
BATCH = 4096  # steps
STEP = np.dtype("<i8")
GZIP = 31  # zlib's name for that format


class Step(NamedTuple):
    """Take `taken` bytes from the literals, then `copied` bytes from `start` of a member of the base."""

    taken: int
    member: int
    start: int
    copied: int


def write_members(folder: Path, copies: Iterable[Copy], new: memoryview) -> None:
    """Write the members of the delta that makes `new`, given the parts of it that are copied."""
    steps, start = _steps_of(copies, len(new)), 0
    with _open_gzip(folder / COPIES) as table, _open_gzip(folder / LITERALS) as literals:
        for batch in iter(lambda: [*itertools.islice(steps, BATCH)], []):
            rows = np.zeros((BATCH, 3), STEP)
            rows[: len(batch)] = batch
            table.write(rows.view(np.uint8).T.tobytes())
            for taken, _, copied in batch:
                for i in range(start, start + taken, CHUNK):
                    literals.write(new[i : min(i + CHUNK, start + taken)])
                start += taken + copied


def read_steps(copies: memoryview, sizes: Sequence[int], size: int) -> Iterator[Step]:
    """Yield the steps of a delta, each checked against the base.

    Args:
        copies: the member `copies`.
        sizes: size of each member of the base, in bytes.
        size: size of the file that the steps make.
    Raises:
        ValueError, zlib.error: they do not make `size` bytes of these members.
    """
    begins = [*itertools.accumulate(sizes[:-1], initial=0)]
    stream, made, source = InflatingReader(copies), 0, 0
    while made < size:
        for taken, moved, copied in _read_batch(stream):
            source += moved
            member = bisect.bisect_right(begins, source) - 1
            start = source - begins[member]
            made += taken + copied
            is_inside = min(taken, source, copied) >= 0 and start + copied <= sizes[member]
            if not is_inside or made > size or (copied < WINDOW and made < size):
                raise ValueError(f"a step of {taken} and {copied} bytes")
            yield Step(taken, member, start, copied)
            source += copied
            if made == size:
                return


class InflatingReader:
    """Reads a gzip stream; inflates only the bytes that are read, so that a wrong size cannot fill the memory."""

    def __init__(self, data: memoryview):
        """Read from compressed bytes."""
        self._data = data
        self._engine = zlib.decompressobj(GZIP)
        self._input: bytes | memoryview = b""
        self._output = memoryview(b"")

    def read(self, size: int) -> Iterator[memoryview]:
        """Yield the next `size` bytes in pieces.

        Raises:
            ValueError: there are fewer.
            zlib.error: it is not a gzip stream.
        """
        while size:
            if not self._output:
                self._inflate()
            piece, self._output = self._output[:size], self._output[size:]
            size -= len(piece)
            yield piece

    def _inflate(self) -> None:
        if not self._input:
            self._input, self._data = self._data[:CHUNK], self._data[CHUNK:]
        is_last = not self._input
        self._output = memoryview(self._engine.decompress(self._input, CHUNK))
        self._input = self._engine.unconsumed_tail
        if is_last and not self._output:
            raise ValueError("it ends too early")


def _steps_of(copies: Iterable[Copy], size: int) -> Iterator[tuple[int, int, int]]:
    """Yield the steps that make a new file of `size` bytes."""
    end = source = 0
    for copy in copies:
        yield copy.start - end, copy.source - source, copy.size
        end, source = copy.start + copy.size, copy.source + copy.size
    if end < size:
        yield size - end, 0, 0


def _read_batch(stream: InflatingReader) -> list[list[int]]:
    """Return the three numbers of each of the next `BATCH` steps; raise ValueError if the stream ends before."""
    data = np.frombuffer(b"".join(stream.read(BATCH * 3 * STEP.itemsize)), np.uint8)
    return data.reshape(-1, BATCH).T.copy().view(STEP).tolist()


@contextlib.contextmanager
def _open_gzip(path: Path) -> Iterator[gzip.GzipFile]:
    """Open a new gzip file without time and name in it: the same content gives the same bytes."""
    with open(path, "xb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as stream:
        yield stream
