"""Read files in parts: map them as they are, or open sealed ones piece by piece.

A sealed file is MAGIC, the length of its content as uint64 little-endian, and the content in pieces of 64 kB. Each
piece is sealed (`sealing`) for its position in this file, so any part can be read in bounded memory.
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

from .._util.array_file import ByteSource
from ..errors import BundleError
from .sealing import Seal

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

MAGIC = b"ESSEALED"
PIECE = 1 << 16  # bytes
PORTION = 1 << 18  # bytes of a long range to read at once
HASH_BYTES = 32
PIECES_KEPT = 64  # opened pieces of a sealed file to keep in memory: 4 MB
_HEAD = struct.Struct("<8sQ")


class Content(ByteSource, Protocol):
    """Bytes of a file that are read in parts; `read` raises ValueError if they differ from what was written."""

    def close(self) -> None:
        """Release the file; bytes that were read may still be used."""


class MappedFile:
    """A file as it is."""

    def __init__(self, file: BinaryIO):
        """Map an open file; raise ValueError if it is empty."""
        self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._view = memoryview(self._map)
        self.size = len(self._map)

    def read(self, start: int, stop: int) -> memoryview:
        """Return a range without copying it."""
        return self._view[start:stop]

    def release_pages(self, start: int, stop: int) -> None:
        """Take a range out of this process's memory; the system's cache keeps it."""
        first, end = (offset // mmap.PAGESIZE * mmap.PAGESIZE for offset in (start + mmap.PAGESIZE - 1, stop))
        if end > first and hasattr(mmap, "MADV_DONTNEED"):  # Linux and macOS have it
            self._map.madvise(mmap.MADV_DONTNEED, first, end - first)

    def close(self) -> None:
        """Unmap the file, unless an array still uses it."""
        with contextlib.suppress(BufferError):
            self._view.release()
            self._map.close()


class SealedFile:
    """The content of a file that a `SealedFileWriter` wrote. Safe to share between threads."""

    def __init__(self, file: MappedFile, seal: Seal, name: str):
        """Read the head of a sealed file.

        Args:
            file: the file.
            seal: opens its pieces.
            name: the name that it was sealed for.
        Raises:
            ValueError: it is not a sealed file, or is cut off.
        """
        self._file = file
        if file.size < _HEAD.size:
            raise ValueError("it is cut off")
        magic, self.size = _HEAD.unpack(file.read(0, _HEAD.size))
        if magic != MAGIC or file.size != _HEAD.size + self.size + -(-self.size // PIECE) * seal.overhead:
            raise ValueError("it is not sealed, or cut off")
        # A bound method would refer to this object from its own cache, and keep it alive.
        open_piece = functools.partial(_open_piece, file, seal, name, self.size)
        self._piece = functools.lru_cache(PIECES_KEPT)(open_piece)

    def read(self, start: int, stop: int) -> memoryview:
        """Return a copy of a range; raise ValueError if it differs from what was written."""
        stop = min(stop, self.size)
        if stop <= start:
            return memoryview(b"")
        first, last = start // PIECE, (stop - 1) // PIECE
        pieces = [self._piece(number) for number in range(first, last + 1)]
        content = memoryview(pieces[0] if first == last else b"".join(pieces))
        return content[start - first * PIECE : stop - first * PIECE]

    def release_pages(self, start: int, stop: int) -> None:
        """Do nothing: every range is a copy, freed with its last user."""

    def close(self) -> None:
        """Forget the opened pieces and release the file."""
        self._piece.cache_clear()
        self._file.close()


class SealedFileWriter:
    """Writes a sealed file, piece by piece."""

    def __init__(self, target: BinaryIO, size: int, seal: Seal, name: str):
        """Write the head.

        Args:
            target: the file.
            size: length of the content that will be written.
            seal: seals the pieces.
            name: the name that the file must be opened for.
        """
        self._target, self._size, self._seal, self._name = target, size, seal, name
        self._number, self._pending = 0, bytearray()
        target.write(_HEAD.pack(MAGIC, size))

    def write(self, data: "ReadableBuffer") -> None:
        """Add content; write all complete pieces to the target, and the last one when the content ends."""
        self._pending += memoryview(data)
        while len(self._pending) >= PIECE or (
            self._pending and self._number * PIECE + len(self._pending) == self._size
        ):
            context = _piece_context(self._name, self._number, self._size)
            self._target.write(self._seal.close(bytes(self._pending[:PIECE]), context))
            self._number += 1
            del self._pending[:PIECE]


class VerifiedRange:
    """A range of a content, each piece of which is verified when it is first read. Safe to share between threads."""

    def __init__(self, content: Content, location: slice, hashes: memoryview | None, name: str):
        """Refer to a range.

        Args:
            content: the file.
            location: the range in it.
            hashes: sha256 of each 64 kB piece, one after another; `None` if all was verified before.
            name: of the range, for error messages.
        """
        self.content, self._location, self._hashes, self._name = content, location, hashes, name
        self.size = location.stop - location.start
        self._verified = bytearray(-(-self.size // PIECE) if hashes is not None else 0)

    def read(self, start: int, stop: int) -> memoryview:
        """Return some of its bytes; raise BundleError if they are outside the range, or wrong."""
        if not 0 <= start <= stop <= self.size:
            raise BundleError(
                f"{self._name}: has {self.size} bytes, but bytes {start} to {stop} are needed; build the bundle again."
            )
        if self._hashes is not None and stop > start:
            for number in range(start // PIECE, (stop - 1) // PIECE + 1):
                if not self._verified[number]:
                    self._verify(number)
        return self._read(start, stop)

    def release_pages(self, start: int, stop: int) -> None:
        """Take some of its bytes out of this process's memory."""
        self.content.release_pages(self._location.start + start, self._location.start + stop)

    def _verify(self, number: int) -> None:
        assert self._hashes is not None
        found = hashlib.sha256(self._read(number * PIECE, min(self.size, (number + 1) * PIECE))).digest()
        if found != self._hashes[number * HASH_BYTES :][:HASH_BYTES]:
            raise BundleError(f"{self._name} is not what the manifest promises (sha256); copy the bundle again.")
        self._verified[number] = 1

    def _read(self, start: int, stop: int) -> memoryview:
        try:
            return self.content.read(self._location.start + start, self._location.start + stop)
        except ValueError as error:
            raise BundleError(f"{self._name}: {error}; install the bundle again.") from error


def read_portions(content: ByteSource, start: int, stop: int) -> Iterator[memoryview]:
    """Yield a range in portions, in bounded memory."""
    for offset in range(start, stop, PORTION):
        yield content.read(offset, min(offset + PORTION, stop))


def hash_pieces(data: memoryview) -> bytes:
    """Return the sha256 of each 64 kB piece, one after another."""
    return b"".join(hashlib.sha256(data[start : start + PIECE]).digest() for start in range(0, len(data), PIECE))


class ContentFile(io.RawIOBase):
    """A content as a file object, for libraries that read and seek."""

    def __init__(self, content: ByteSource):
        """Start at the first byte."""
        self._content, self._offset = content, 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position and return it."""
        self._offset = max(0, offset + (0, self._offset, self._content.size)[whence])
        return self._offset

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Read into a buffer and return the number of bytes read."""
        target = memoryview(buffer)
        data = self._content.read(self._offset, min(self._offset + len(target), self._content.size))
        target[: len(data)] = data
        self._offset += len(data)
        return len(data)


def _open_piece(file: MappedFile, seal: Seal, name: str, size: int, number: int) -> bytes:
    """Return the content of a piece of a sealed file."""
    start = _HEAD.size + number * (PIECE + seal.overhead)
    length = min(PIECE, size - number * PIECE) + seal.overhead
    return seal.open(bytes(file.read(start, start + length)), _piece_context(name, number, size))


def _piece_context(name: str, number: int, size: int) -> str:
    """Return the context for which a piece is sealed; it binds the piece to file, position and length."""
    return f"{name} {number} {size}"
