"""Find the parts of a new member that can be copied from the old one.

As in rsync (Tridgell, Efficient Algorithms for Sorting and Synchronization, 1999, chapter 3), a rolling hash finds
blocks of the old member anywhere in the new one. Here blocks are short, and every match grows in both directions. In
larger members the blocks lie further apart.

N bytes, B blocks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

WINDOW = 32  # bytes of a block, a power of two; no copy is shorter
MIN_STEP, MAX_BLOCKS = 16, 1 << 20  # bytes between the starts of blocks; blocks to remember of a member
CHUNK = 1 << 18  # bytes to search or compare at once
FILTER_BITS = 24
_BASE = 0x9E3779B97F4A7C15  # odd; 2**64 over the golden ratio spreads neighbours


class Copy(NamedTuple):
    """`size` bytes at `start` of the new bytes equal those at `source` of the old ones."""

    start: int
    source: int
    size: int


def find_copies(old: np.ndarray, new: np.ndarray) -> Iterator[Copy]:
    """Yield the parts of a member that an older one has too, in the order of the new member.

    Args:
        old: (N,) uint8.
        new: (N,) uint8.
    """
    end = _common_prefix(old, new)
    if end >= WINDOW:
        yield Copy(0, 0, end)
    else:
        end = 0
    if end == len(new) or len(old) < WINDOW:
        return
    blocks, shift, start = _Blocks.of(old), 0, end
    while start < len(new):
        for offset, sources in blocks.find(new[start : start + CHUNK + WINDOW - 1]):
            if start + offset >= end:
                copy = _extend(old, new, end, start + offset, _nearest(sources, start + offset + shift))
                if copy.size >= WINDOW:  # otherwise only the hashes are equal
                    yield copy
                    end, shift = copy.start + copy.size, copy.source - copy.start
        start = max(start + CHUNK, end)


@dataclass(frozen=True)
class _Blocks:
    """The blocks of a member, by hash.

    Attributes:
        hashes: (B,) uint64, ascending.
        offsets: (B,) int64, where each block lies; ascending among equal hashes.
        maybe: (2**FILTER_BITS,) bool, which first bits of a hash occur; it saves most searches.
    """

    hashes: np.ndarray
    offsets: np.ndarray
    maybe: np.ndarray

    @classmethod
    def of(cls, old: np.ndarray) -> "_Blocks":
        """Hash the blocks of a member, (N,) uint8, of at least one block."""
        step = max(MIN_STEP, -(-len(old) // MAX_BLOCKS))
        windows, many = np.lib.stride_tricks.sliding_window_view(old, WINDOW)[::step], CHUNK // WINDOW
        hashes = np.concatenate([_hash_windows(windows[i : i + many])[:, 0] for i in range(0, len(windows), many)])
        order = np.argsort(hashes, kind="stable")
        maybe = np.zeros(1 << FILTER_BITS, bool)
        maybe[_first_bits(hashes)] = True
        return cls(hashes[order], order * step, maybe)

    def find(self, new: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Yield offsets in `new`, (N,) uint8, whose hash is that of blocks, each with their offsets, (n,) int64."""
        hashes = _hash_windows(new)
        offsets = np.flatnonzero(self.maybe[_first_bits(hashes)])
        first, last = (np.searchsorted(self.hashes, hashes[offsets], side) for side in ("left", "right"))
        found = first < last
        for offset, begin, end in zip(*(column[found].tolist() for column in (offsets, first, last)), strict=True):
            yield offset, self.offsets[begin:end]


def _hash_windows(data: np.ndarray) -> np.ndarray:
    """Return the hash of every window along the last axis, (..., n) uint8 -> (..., n - 31) uint64.

    The hash is the polynomial of the bytes. That of 2 w bytes is that of the first w times _BASE**w, plus that of the
    last w.
    """
    hashes, width = data.astype(np.uint64), 1
    while width < WINDOW:
        hashes = hashes[..., :-width] * np.uint64(pow(_BASE, width, 1 << 64)) + hashes[..., width:]
        width *= 2
    return hashes


def _first_bits(hashes: np.ndarray) -> np.ndarray:
    """Return the first `FILTER_BITS` bits of each hash, spread evenly: uint64 -> uint64 of the same shape."""
    return (hashes * np.uint64(_BASE)) >> np.uint64(64 - FILTER_BITS)


def _nearest(offsets: np.ndarray, wanted: int) -> int:
    """Return the one of ascending offsets that is nearest to `wanted`."""
    after = int(np.searchsorted(offsets, wanted))
    near = offsets[max(0, after - 1) : after + 1]
    return int(near[np.argmin(np.abs(near - wanted))])


def _extend(old: np.ndarray, new: np.ndarray, least: int, offset: int, source: int) -> Copy:
    """Extend a match while the bytes agree: to the right, and to the left down to `least` of the new bytes."""
    right = _common_prefix(old[source:], new[offset:])
    left = _common_prefix(old[:source][::-1], new[least:offset][::-1])
    return Copy(offset - left, source - left, left + right)


def _common_prefix(first: np.ndarray, second: np.ndarray) -> int:
    """Return how many leading bytes are equal."""
    size, start, step = min(len(first), len(second)), 0, 64
    while start < size:
        end = min(start + step, size)
        different = np.flatnonzero(first[start:end] != second[start:end])
        if len(different):
            return start + int(different[0])
        start, step = end, min(4 * step, CHUNK)
    return size
