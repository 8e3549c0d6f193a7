"""Damage files: flip single bits, cut files off, remove them."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgesearch.bundle.bundle_file import Bundle

BLOCK = 4096  # bytes; file systems cut files off at multiples of it
ANYWHERE = 20  # further lengths, chosen at random


@dataclass(frozen=True)
class Damage:
    """Damage to one file.

    With both numbers, bit `bit` of byte `offset` is flipped. Without `bit`, the file ends at `offset`. Without either,
    it is removed.
    """

    path: Path
    offset: int | None
    bit: int | None = None

    def __str__(self) -> str:
        if self.bit is not None:
            return f"{self.path.name}, bit {self.bit} of byte {self.offset}"
        return f"{self.path.name}, {'gone' if self.offset is None else f'cut off at {self.offset}'}"

    def inflict(self) -> None:
        """Damage the file."""
        if self.offset is None:
            self.path.unlink()
            return
        data = bytearray(self.path.read_bytes())
        if self.bit is None:
            del data[self.offset :]
        else:
            data[self.offset] ^= 1 << self.bit
        self.path.write_bytes(data)


def bit_flips(paths: list[Path], rng: np.random.Generator) -> Iterator[Damage]:
    """Yield bit flips without end, from each file and each of its parts in turn, so that no small part is missed."""
    parts = [(path, itertools.cycle(_parts(path))) for path in paths if path.stat().st_size]
    for path, offsets in itertools.cycle(parts):
        part = next(offsets)
        yield Damage(path, int(rng.integers(part.start, part.stop)), int(rng.integers(8)))


def truncations(paths: list[Path], rng: np.random.Generator) -> Iterator[Damage]:
    """Yield files that are removed or cut off.

    Small files are cut off at every length; others where a part begins or ends, one byte beside that, at every block,
    and at some random lengths.
    """
    for path in paths:
        yield Damage(path, None)
        size = path.stat().st_size
        if size <= BLOCK:
            yield from (Damage(path, length) for length in range(size))
            continue
        ends = {end + beside for part in _parts(path) for end in (part.start, part.stop) for beside in (-1, 0, 1)}
        ends |= {*range(0, size, BLOCK), *rng.integers(0, size, ANYWHERE).tolist()}
        yield from (Damage(path, length) for length in sorted(ends) if 0 <= length < size)


def _parts(path: Path) -> list[slice]:
    """Return a bundle's members and the gaps between them; for another file, the whole of it."""
    size = path.stat().st_size
    if path.suffix != ".edge":
        return [slice(0, size)]
    opened = Bundle(path)
    offsets = opened.locations
    opened.close()
    ends = sorted({0, size, *(end for offset in offsets.values() for end in (offset.start, offset.stop))})
    return [slice(*pair) for pair in itertools.pairwise(ends)]
