"""A delta: what a device that has one bundle lacks of the next, small enough for a slow line.

A file as `bundle` writes them, whose manifest says of which bundle it makes which (`manifest.Delta`), with two members,
each a gzip stream:

    literals   bytes that the base has not, in the order of the new file
    copies     steps that make the new file: three int64, little-endian: bytes to take from `literals`; where to copy
               from, counted from the end of the copy before; bytes to copy. 4,096 steps at a time, all their first
               bytes, then all their second, ...; zeros fill up the last

The base is the manifest of a bundle and its members in the manifest's order, not its file: the same whether signed or
not. A copy lies in one of these and has 32 bytes or more, so that what is asked of a device is bounded.

Each member is compared with the one of its name in the base. As in rsync (Tridgell, Efficient Algorithms for Sorting
and Synchronization, 1999, chapter 3), blocks of the old one are found at any place of the new one by a rolling hash;
here they are short, the further apart the larger the member is, and what is found grows to both sides.

New prices of all of 2,000 products, a catalogue of 495,616 bytes, take 11.5 kB as here; 30 kB by blocks of 16 bytes,
whose chance matches cost more than they save; 19 kB where deflate is given what lay at the same place as dictionary.
LZMA instead of deflate saves 3%, and some systems' Python has none. Of two bundles of 1.1 GB, 57 MB of which are new, a
delta is made in 65 s with 76 MB of memory, and applied in 11 s with 27 MB (AMD EPYC).
"""

import bisect
import contextlib
import gzip
import hashlib
import itertools
import os
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .._util.files import sync_folder
from .._util.hashing import sha256
from ..errors import BundleError
from . import bundle_file, signing
from .bundle_file import Bundle
from .container import MANIFEST_FILE
from .content import read_portions
from .manifest import Delta, Manifest

COPIES, LITERALS = "copies", "literals"
WINDOW = 32  # bytes of a block, a power of two; no copy is shorter
LEAST_STEP, MOST_BLOCKS = 16, 1 << 20  # bytes from one block of an old member to the next, and how many are remembered
CHUNK = 1 << 18  # bytes looked at or written at once
BATCH = 4096  # steps
STEP = np.dtype("<i8")
FILTER_BITS = 24
GZIP = 31  # zlib's name for that format
_BASE = 0x9E3779B97F4A7C15  # odd; 2**64 over the golden ratio spreads neighbours


class Copy(NamedTuple):
    """`size` bytes at `start` of what is made are those at `source` of the base."""

    start: int
    source: int
    size: int


def delta(old: Path, new: Path, output: Path, sign: Path | None = None) -> Manifest:
    """Write what makes one bundle of another; it is tried before it is there.

    Args:    old: what devices have; new: what they shall have; output: the file to write; sign: private key.
    Raises:  BundleError: one of them is no sound bundle, no device with `old` would take `new`, or the output cannot
             be written; SignatureError: sign is no key.
    """
    old, new, output = Path(old), Path(new), Path(output)
    if sign:
        signing.sign(b"", sign)  # what is wrong with the key is said now, not after the work
    with contextlib.closing(Bundle(old)) as before, contextlib.closing(Bundle(new)) as after:
        _refuse(before, after, output)
        file = after.content.read(0, after.content.size)
        made = Delta(before.digest, after.digest, len(file), sha256(file))
        described = {
            "name": after.manifest.name,
            "sequence": after.manifest.sequence,
            "created": after.manifest.created,
            "hashes": {},
            "counts": after.manifest.counts,
            "calibration": {},
            "accuracy": {},
            "delta": made,
        }
        try:
            with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as folder:
                members, beside = Path(folder) / "members", Path(folder) / "delta"
                members.mkdir()
                _write(members, _copies(before, after), file)
                manifest = bundle_file.write(beside, members, described, sign)
                with contextlib.closing(Bundle(beside, delta=True)) as written:
                    rebuild(written, before, lambda piece: None)
                os.replace(beside, output)
            sync_folder(output.parent)
        except OSError as error:
            raise BundleError(f"{output}: cannot be written ({error}); check the folder and its free space.") from error
    return manifest


def rebuild(change: Bundle, base: Bundle, write: Callable[[memoryview], object]) -> None:
    """Make the new file of the base, piece by piece; all steps are checked before the first is written.

    Raises:  BundleError: it is a delta of another base, or does not make what it promises; what was written is waste.
    """
    promised = change.manifest.delta
    assert promised is not None
    parts = [*_parts(base).values(), slice(0, 0)]  # an empty copy may lie behind them
    sizes = [part.stop - part.start for part in parts]
    copies, literals = change.member(COPIES), _Stream(change.member(LITERALS))
    hashed = hashlib.sha256()
    try:
        for _ in _steps(copies, sizes, promised.size):
            pass
        for step in _steps(copies, sizes, promised.size):
            start = parts[step.part].start + step.start
            copied = read_portions(base.content, start, start + step.copied)
            for piece in itertools.chain(literals.read(step.taken), copied):
                hashed.update(piece)
                write(piece)
        if hashed.hexdigest() != promised.sha256:
            raise ValueError("sha256")
    except (ValueError, zlib.error) as error:
        raise BundleError(
            f"{change.path}: does not make the bundle that it promises ({error}); install the full bundle."
        ) from error


def _refuse(before: Bundle, after: Bundle, output: Path) -> None:
    if not output.parent.is_dir() or output.is_dir():
        raise BundleError(f"{output}: not a file in a folder that exists; give a path such as store.delta.")
    if output.exists() and any(output.samefile(one.path) for one in (before, after)):
        raise BundleError(f"{output}: is one of the two bundles; give the delta a name of its own.")
    if before.digest == after.digest:
        raise BundleError(f"{after.path}: holds what {before.path} holds; there is nothing to change.")
    if after.manifest.sequence < before.manifest.sequence:
        raise BundleError(
            f"{after.path}: its sequence number is {after.manifest.sequence}, that of {before.path} "
            f"{before.manifest.sequence}, and no device goes down; give the older bundle first."
        )


def _parts(base: Bundle) -> dict[str, slice]:
    """Where in its file lies what can be copied of a bundle."""
    return {name: base.locations[name] for name in (MANIFEST_FILE, *base.manifest.files)}


def _copies(before: Bundle, after: Bundle) -> Iterator[Copy]:
    """In the order of the new file."""
    data = np.frombuffer(after.content.read(0, after.content.size), np.uint8)
    parts = {name: before.content.read(place.start, place.stop) for name, place in _parts(before).items()}
    begins = dict(zip(parts, itertools.accumulate(map(len, parts.values()), initial=0), strict=False))
    for name, place in sorted(after.locations.items(), key=lambda item: item[1].start):
        if name in parts:
            for copy in _matches(np.frombuffer(parts[name], np.uint8), data[place]):
                yield Copy(place.start + copy.start, begins[name] + copy.source, copy.size)


def _matches(old: np.ndarray, new: np.ndarray) -> Iterator[Copy]:
    """What of a member can be copied from an older one; both (bytes,) uint8."""
    end = _alike(old, new)
    if end >= WINDOW:
        yield Copy(0, 0, end)
    else:
        end = 0
    if end == len(new) or len(old) < WINDOW:
        return
    blocks, moved, start = _Blocks.of(old), 0, end
    while start < len(new):
        for place, sources in blocks.find(new[start : start + CHUNK + WINDOW - 1]):
            if start + place >= end:
                copy = _grown(old, new, end, start + place, _nearest(sources, start + place + moved))
                if copy.size >= WINDOW:  # not just the same hash
                    yield copy
                    end, moved = copy.start + copy.size, copy.source - copy.start
        start = max(start + CHUNK, end)


@dataclass(frozen=True)
class _Blocks:
    """Where a member has which block.

    Attributes: hashes: (B,) uint64, ascending; places: (B,) int64, ascending where hashes are equal; maybe: a table of
                the hashes' first bits, which spares most searches.
    """

    hashes: np.ndarray
    places: np.ndarray
    maybe: np.ndarray

    @classmethod
    def of(cls, old: np.ndarray) -> "_Blocks":
        """old: (bytes,) uint8, a block at least."""
        step = max(LEAST_STEP, -(-len(old) // MOST_BLOCKS))
        windows, many = np.lib.stride_tricks.sliding_window_view(old, WINDOW)[::step], CHUNK // WINDOW
        hashes = np.concatenate([_hashes(windows[i : i + many])[:, 0] for i in range(0, len(windows), many)])
        order = np.argsort(hashes, kind="stable")
        maybe = np.zeros(1 << FILTER_BITS, bool)
        maybe[_first_bits(hashes)] = True
        return cls(hashes[order], order * step, maybe)

    def find(self, new: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Each place of (bytes,) uint8 where a block may begin that the old member has, and where it has it."""
        hashes = _hashes(new)
        places = np.flatnonzero(self.maybe[_first_bits(hashes)])
        first, last = (np.searchsorted(self.hashes, hashes[places], side) for side in ("left", "right"))
        found = first < last
        for place, begin, end in zip(*(column[found].tolist() for column in (places, first, last)), strict=True):
            yield place, self.places[begin:end]


def _hashes(data: np.ndarray) -> np.ndarray:
    """Hash of every window along the last axis, (..., n) uint8 -> (..., n - 31) uint64: the polynomial of its bytes.

    That of 2 w bytes is that of the first w times _BASE**w, and that of the last w.
    """
    hashes, width = data.astype(np.uint64), 1
    while width < WINDOW:
        hashes = hashes[..., :-width] * np.uint64(pow(_BASE, width, 1 << 64)) + hashes[..., width:]
        width *= 2
    return hashes


def _first_bits(hashes: np.ndarray) -> np.ndarray:
    return (hashes * np.uint64(_BASE)) >> np.uint64(64 - FILTER_BITS)


def _nearest(places: np.ndarray, wanted: int) -> int:
    """Of ascending places."""
    after = int(np.searchsorted(places, wanted))
    near = places[max(0, after - 1) : after + 1]
    return int(near[np.argmin(np.abs(near - wanted))])


def _grown(old: np.ndarray, new: np.ndarray, least: int, place: int, source: int) -> Copy:
    """From a place of either while bytes agree: to the right, and to the left down to `least` of the new one."""
    right = _alike(old[source:], new[place:])
    left = _alike(old[:source][::-1], new[least:place][::-1])
    return Copy(place - left, source - left, left + right)


def _alike(one: np.ndarray, other: np.ndarray) -> int:
    """How many first bytes are equal."""
    size, start, step = min(len(one), len(other)), 0, 64
    while start < size:
        end = min(start + step, size)
        different = np.flatnonzero(one[start:end] != other[start:end])
        if len(different):
            return start + int(different[0])
        start, step = end, min(4 * step, CHUNK)
    return size


def _write(folder: Path, copies: Iterable[Copy], new: memoryview) -> None:
    """Write the members of a delta."""
    steps, start = _counted(copies, len(new)), 0
    with _gzip(folder / COPIES) as told, _gzip(folder / LITERALS) as literals:
        for batch in iter(lambda: [*itertools.islice(steps, BATCH)], []):
            table = np.zeros((BATCH, 3), STEP)
            table[: len(batch)] = batch
            told.write(table.view(np.uint8).T.tobytes())
            for taken, _, copied in batch:
                for i in range(start, start + taken, CHUNK):
                    literals.write(new[i : min(i + CHUNK, start + taken)])
                start += taken + copied


def _counted(copies: Iterable[Copy], size: int) -> Iterator[tuple[int, int, int]]:
    """The steps of a new file of `size` bytes."""
    end = source = 0
    for copy in copies:
        yield copy.start - end, copy.source - source, copy.size
        end, source = copy.start + copy.size, copy.source + copy.size
    if end < size:
        yield size - end, 0, 0


@contextlib.contextmanager
def _gzip(path: Path) -> Iterator[gzip.GzipFile]:
    """To write; no clock and no name in it: the same content gives the same bytes."""
    with open(path, "xb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as stream:
        yield stream


class _Step(NamedTuple):
    """`taken` bytes from the literals, then `copied` bytes from `start` of a part."""

    taken: int
    part: int
    start: int
    copied: int


def _steps(copies: memoryview, sizes: Sequence[int], size: int) -> Iterator[_Step]:
    """sizes: of the parts; raises ValueError, zlib.error: they do not make `size` bytes of these parts."""
    begins = [*itertools.accumulate(sizes[:-1], initial=0)]
    stream, made, source = _Stream(copies), 0, 0
    while made < size:
        for taken, moved, copied in _batch(stream):
            source += moved
            part = bisect.bisect_right(begins, source) - 1
            start = source - begins[part]
            made += taken + copied
            inside = min(taken, source, copied) >= 0 and start + copied <= sizes[part]
            if not inside or made > size or (copied < WINDOW and made < size):
                raise ValueError(f"a step of {taken} and {copied} bytes")
            yield _Step(taken, part, start, copied)
            source += copied
            if made == size:
                return


def _batch(stream: "_Stream") -> list[list[int]]:
    data = np.frombuffer(b"".join(stream.read(BATCH * 3 * STEP.itemsize)), np.uint8)
    return data.reshape(-1, BATCH).T.copy().view(STEP).tolist()


class _Stream:
    """A gzip stream, inflated as it is asked for, so that no lie about its size fills the memory."""

    def __init__(self, data: memoryview):
        self._data = data
        self._engine = zlib.decompressobj(GZIP)
        self._input: bytes | memoryview = b""
        self._output = memoryview(b"")

    def read(self, size: int) -> Iterator[memoryview]:
        """The next `size` bytes in pieces; raises ValueError: there are fewer; zlib.error: it is none."""
        while size:
            if not self._output:
                self._inflate()
            piece, self._output = self._output[:size], self._output[size:]
            size -= len(piece)
            yield piece

    def _inflate(self) -> None:
        if not self._input:
            self._input, self._data = self._data[:CHUNK], self._data[CHUNK:]
        last = not self._input
        self._output = memoryview(self._engine.decompress(self._input, CHUNK))
        self._input = self._engine.unconsumed_tail
        if last and not self._output:
            raise ValueError("it ends too early")
