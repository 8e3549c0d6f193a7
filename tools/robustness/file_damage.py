"""Damage to files: single bits, lengths, and files that are gone."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgesearch.bundle.bundle_file import Bundle

BLOCK = 4096  # bytes; where file systems cut
ANYWHERE = 20  # lengths that are nothing in particular


@dataclass(frozen=True)
class Damage:
    """What happens to a file: bit `bit` of byte `place` is flipped, it ends there where `bit` is None, or it is gone
    where both are.
    """

    path: Path
    place: int | None
    bit: int | None = None

    def __str__(self) -> str:
        if self.bit is not None:
            return f"{self.path.name}, bit {self.bit} of byte {self.place}"
        return f"{self.path.name}, {'gone' if self.place is None else f'cut off at {self.place}'}"

    def inflict(self) -> None:
        """Damage the file."""
        if self.place is None:
            self.path.unlink()
            return
        data = bytearray(self.path.read_bytes())
        if self.bit is None:
            del data[self.place :]
        else:
            data[self.place] ^= 1 << self.bit
        self.path.write_bytes(data)


def flips(paths: list[Path], rng: np.random.Generator) -> Iterator[Damage]:
    """Bits without end: of each file in turn, of its parts in turn, so that small ones are not passed over."""
    parts = [(path, itertools.cycle(_parts(path))) for path in paths if path.stat().st_size]
    for path, places in itertools.cycle(parts):
        part = next(places)
        yield Damage(path, int(rng.integers(part.start, part.stop)), int(rng.integers(8)))


def lengths(paths: list[Path], rng: np.random.Generator) -> Iterator[Damage]:
    """Files cut off where a part begins or ends, a byte beside, at every block and anywhere; small ones at every
    length; and files that are gone.
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
    """A bundle's members and what is between them; of another file, the whole."""
    size = path.stat().st_size
    if path.suffix != ".edge":
        return [slice(0, size)]
    opened = Bundle(path)
    places = opened.locations
    opened.close()
    ends = sorted({0, size, *(end for place in places.values() for end in (place.start, place.stop))})
    return [slice(*pair) for pair in itertools.pairwise(ends)]
