"""A file that is read where it lies: mapped, or sealed piece by piece and opened as it is read.

A sealed file is MAGIC, the length of its content as uint64 little-endian, and the content in pieces of 64 kB, each
sealed (`sealing`) for its place in this file. So any part of it can be read in bounded memory.
"""

import contextlib
import functools
import hashlib
import io
import mmap
import os
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, Protocol

from .._util.array_file import Source
from ..errors import BundleError
from .sealing import Seal

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

MAGIC = b"ESSEALED"
PIECE = 1 << 16
PORTION = 1 << 18  # bytes of a large part that are read at once
HASH_BYTES = 32
PIECES_KEPT = 64  # of a sealed file, opened: 4 MB
_HEAD = struct.Struct("<8sQ")


class Content(Source, Protocol):
    """Bytes of a file that are read in part; what is not as it was written raises ValueError."""

    def close(self) -> None:
        """Give back the file; what was read may still be used."""


class MappedFile:
    """A file as it is."""

    def __init__(self, file: BinaryIO):
        """Raises ValueError: it is empty."""
        self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._view = memoryview(self._map)
        self.size = len(self._map)

    def read(self, start: int, stop: int) -> memoryview:
        """As `Content`; nothing is copied."""
        return self._view[start:stop]

    def release_pages(self, start: int, stop: int) -> None:
        """As `Content`; the system's cache keeps it."""
        first, end = (place // mmap.PAGESIZE * mmap.PAGESIZE for place in (start + mmap.PAGESIZE - 1, stop))
        if end > first and hasattr(mmap, "MADV_DONTNEED"):  # Linux and macOS have it
            self._map.madvise(mmap.MADV_DONTNEED, first, end - first)

    def close(self) -> None:
        """As `Content`."""
        with contextlib.suppress(BufferError):  # arrays that still look into it keep it open
            self._view.release()
            self._map.close()


class SealedFile:
    """The content of a file that a `SealedFileWriter` wrote. Safe to share between threads."""

    def __init__(self, file: MappedFile, seal: Seal, name: str):
        """
        Args:    name: for which it was sealed.
        Raises:  ValueError: it is not such a file, or cut off.
        """
        self._file = file
        if file.size < _HEAD.size:
            raise ValueError("it is cut off")
        magic, self.size = _HEAD.unpack(file.read(0, _HEAD.size))
        if magic != MAGIC or file.size != _HEAD.size + self.size + -(-self.size // PIECE) * seal.overhead:
            raise ValueError("it is not sealed, or cut off")
        opened = functools.partial(_opened, file, seal, name, self.size)  # not of self, which would never go
        self._piece = functools.lru_cache(PIECES_KEPT)(opened)

    def read(self, start: int, stop: int) -> memoryview:
        """As `Content`; a copy."""
        stop = min(stop, self.size)
        if stop <= start:
            return memoryview(b"")
        first, last = start // PIECE, (stop - 1) // PIECE
        pieces = [self._piece(number) for number in range(first, last + 1)]
        content = memoryview(pieces[0] if first == last else b"".join(pieces))
        return content[start - first * PIECE : stop - first * PIECE]

    def release_pages(self, start: int, stop: int) -> None:
        """As `Content`: a copy goes with who has it."""

    def close(self) -> None:
        """As `Content`."""
        self._piece.cache_clear()
        self._file.close()


class SealedFileWriter:
    """Seals what is written, piece by piece."""

    def __init__(self, target: BinaryIO, size: int, seal: Seal, name: str):
        """size: of all that will be written; name: what it must be opened for."""
        self._target, self._size, self._seal, self._name = target, size, seal, name
        self._number, self._left = 0, bytearray()
        target.write(_HEAD.pack(MAGIC, size))

    def write(self, data: "ReadableBuffer") -> None:
        """Some more of it; all that is not of a last piece is written to the target."""
        self._left += memoryview(data)
        while len(self._left) >= PIECE or (self._left and self._number * PIECE + len(self._left) == self._size):
            place = _place(self._name, self._number, self._size)
            self._target.write(self._seal.close(bytes(self._left[:PIECE]), place))
            self._number += 1
            del self._left[:PIECE]


class VerifiedRange:
    """A part of a content, each piece of which is checked when it is first read. Safe to share between threads."""

    def __init__(self, content: Content, place: slice, hashes: memoryview | None, name: str):
        """
        Args:    place: where it lies; hashes: sha256 of each piece of 64 kB, one after another, None where all of it
                 was checked before; name: what to call it in errors.
        """
        self.content, self._place, self._hashes, self._name = content, place, hashes, name
        self.size = place.stop - place.start
        self._checked = bytearray(-(-self.size // PIECE) if hashes is not None else 0)

    def read(self, start: int, stop: int) -> memoryview:
        """Some of its bytes; raises BundleError: they are not what they should be."""
        if not 0 <= start <= stop <= self.size:
            raise BundleError(
                f"{self._name}: bytes {start} to {stop} of {self.size} are asked; build the bundle again."
            )
        if self._hashes is not None and stop > start:
            for number in range(start // PIECE, (stop - 1) // PIECE + 1):
                if not self._checked[number]:
                    self._check(number)
        return self._read(start, stop)

    def release_pages(self, start: int, stop: int) -> None:
        """Take some of it out of this process's memory, as `Content` does."""
        self.content.release_pages(self._place.start + start, self._place.start + stop)

    def _check(self, number: int) -> None:
        assert self._hashes is not None
        found = hashlib.sha256(self._read(number * PIECE, min(self.size, (number + 1) * PIECE))).digest()
        if found != self._hashes[number * HASH_BYTES :][:HASH_BYTES]:
            raise BundleError(f"{self._name} is not what the manifest promises (sha256); copy the bundle again.")
        self._checked[number] = 1

    def _read(self, start: int, stop: int) -> memoryview:
        try:
            return self.content.read(self._place.start + start, self._place.start + stop)
        except ValueError as error:
            raise BundleError(f"{self._name}: {error}; install the bundle again.") from error


def read_portions(content: Source, start: int, stop: int) -> Iterator[memoryview]:
    """Its bytes in turn, not all of them at once."""
    for place in range(start, stop, PORTION):
        yield content.read(place, min(place + PORTION, stop))


def hash_pieces(data: memoryview) -> bytes:
    """As `VerifiedRange` takes them."""
    return b"".join(hashlib.sha256(data[start : start + PIECE]).digest() for start in range(0, len(data), PIECE))


class ContentFile(io.RawIOBase):
    """A content as a file, for libraries that read and seek."""

    def __init__(self, content: Source):
        self._content, self._place = content, 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As every file."""
        self._place = max(0, offset + (0, self._place, self._content.size)[whence])
        return self._place

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """As every file."""
        target = memoryview(buffer)
        part = self._content.read(self._place, min(self._place + len(target), self._content.size))
        target[: len(part)] = part
        self._place += len(part)
        return len(part)


def _opened(file: MappedFile, seal: Seal, name: str, size: int, number: int) -> bytes:
    """A piece of a sealed file."""
    start = _HEAD.size + number * (PIECE + seal.overhead)
    length = min(PIECE, size - number * PIECE) + seal.overhead
    return seal.open(bytes(file.read(start, start + length)), _place(name, number, size))


def _place(name: str, number: int, size: int) -> str:
    return f"{name} {number} {size}"
