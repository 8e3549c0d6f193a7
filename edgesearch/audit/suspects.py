"""Examine the pictures of a catalogue: which two products share one, which are too small, or show nothing.

Each picture is embedded once. The compact index finds the nearest pictures of other products, so that even a million
pictures are never compared in pairs. Pixels then decide whether two pictures are one, saved again or cropped a little.
`tools/bench catalogue` measures how much is found at how many false alarms; docs/catalogue.md has the figures.

N pictures, D dimensions, F and S px: the sides `FRAME` and `SIDE`.
"""

import hashlib
import itertools
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .._util import progress
from ..catalog import sources
from ..catalog.product import Entry
from ..embedding.embedder import Embedder
from ..errors import ImageError
from ..images import image, photo_formats
from ..index.compact_index import CompactIndex

BATCH = 16
SMALL_PX = 100  # of the shorter side; products with smaller pictures are found less often
BLANK_DEVIATION = 4.0  # standard deviation of the grey values, 0 to 255
GREY_SIDE = 64
NEIGHBOURS, SEARCH_BATCH = 12, 256
PLAIN_SHARE, PLAIN_DEVIATION = 0.5, 12  # share of the edge, and how far from its median colour, of 255, it may be
EDGE = 20  # the edge is so many-th of the shorter side
MIN_COSINE = 0.7  # of pictures whose pixels are compared
MIN_CORRELATION = 0.977  # of the pixels of near duplicates
MAX_COMPARED = 20_000  # pairs
CACHED_FRAMES = 2048  # 28 kB each
FRAME, SIDE = 96, 24  # px; of pictures before cropping, and when correlated
STEPS = (0.05, 0.02, 0.01)  # of the frame; by which the crop is searched
MAX_CUT = 0.15
HOPELESS_CORRELATION = 0.4  # of whole frames; a pair of which one was cropped by a tenth had 0.46


class PictureRef(NamedTuple):
    """A picture: the position of its product among the entries, and its position among the product's pictures."""

    entry: int
    picture: int


class NearDuplicate(NamedTuple):
    """Two pictures that are nearly the same; correlation: of their pixels."""

    first: PictureRef
    second: PictureRef
    correlation: float


@dataclass
class ExaminedPictures:
    """The result of reading and embedding pictures.

    Attributes:
        readable: the N pictures that can be read.
        vectors: (N, D) float32, unit rows.
        plain: (N,) bool, whether the background is plain, as in catalogue pictures and seldom in a shop.
        identical: groups of pictures with the same bytes.
        unreadable: pictures, and the reason of each.
        cut_off: pictures that are read although their files lack the end.
        small: pictures, and the px of their shorter sides.
        blank: pictures of one colour.
    """

    readable: list[PictureRef] = field(default_factory=list)
    vectors: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.float32))
    plain: np.ndarray = field(default_factory=lambda: np.empty(0, bool))
    identical: list[list[PictureRef]] = field(default_factory=list)
    unreadable: list[tuple[PictureRef, str]] = field(default_factory=list)
    cut_off: list[PictureRef] = field(default_factory=list)
    small: list[tuple[PictureRef, int]] = field(default_factory=list)
    blank: list[PictureRef] = field(default_factory=list)


class _ReadPicture(NamedTuple):
    ref: PictureRef
    digest: bytes
    pixels: np.ndarray | None
    error: str
    lacks_end: bool = False


def examine_pictures(entries: Sequence[Entry], numbers: Sequence[int], embedder: Embedder) -> ExaminedPictures:
    """Read and embed all pictures of the entries with these numbers."""
    examined, vectors, plain = ExaminedPictures(), [], []
    first_with: dict[bytes, PictureRef] = {}
    repeated: dict[bytes, list[PictureRef]] = defaultdict(list)
    refs = [PictureRef(number, picture) for number in numbers for picture in range(len(entries[number].images))]
    for batch in _read_batches(entries, refs, embedder):
        examined.unreadable += [(one.ref, one.error) for one in batch if one.pixels is None]
        readable = [(one.ref, one.pixels) for one in batch if one.pixels is not None]
        sides = [(ref, min(pixels.shape[:2])) for ref, pixels in readable]
        examined.small += [(ref, side) for ref, side in sides if side < SMALL_PX]
        examined.cut_off += [one.ref for one in batch if one.lacks_end]
        examined.blank += [ref for ref, pixels in readable if _is_blank(pixels)]
        examined.readable += [ref for ref, _ in readable]
        plain += [_is_plain(pixels) for _, pixels in readable]
        vectors.append(embedder.embed([pixels for _, pixels in readable], fast=True))
        for one in batch:
            if one.digest and first_with.setdefault(one.digest, one.ref) != one.ref:
                repeated[one.digest].append(one.ref)
    examined.vectors = np.concatenate(vectors) if vectors else examined.vectors
    examined.plain = np.array(plain, bool)
    examined.identical = [[first_with[digest], *others] for digest, others in repeated.items()]
    return examined


def _is_blank(pixels: np.ndarray) -> bool:
    """Return whether a picture, (H, W, 3) uint8, has one colour."""
    return bool(image.to_grey(pixels, GREY_SIDE).std() < BLANK_DEVIATION)


def _is_plain(pixels: np.ndarray) -> bool:
    """Return whether most of the edge of a picture, (H, W, 3) uint8, has one colour."""
    width = max(1, min(pixels.shape[:2]) // EDGE)
    sides = (pixels[:width], pixels[-width:], pixels[:, :width], pixels[:, -width:])
    edge = np.concatenate([side.reshape(-1, 3) for side in sides]).astype(np.int16)
    return bool((np.abs(edge - np.median(edge, 0)).max(1) < PLAIN_DEVIATION).mean() > PLAIN_SHARE)


def _read_batches(
    entries: Sequence[Entry], refs: Sequence[PictureRef], embedder: Embedder
) -> Iterator[list[_ReadPicture]]:
    """Read, hash and decode pictures on all cores; yield `BATCH` at a time."""

    def read(ref: PictureRef) -> _ReadPicture:
        _, source = entries[ref.entry].images[ref.picture]
        digest = b""
        try:
            data = sources.read_bytes(source)
            digest = hashlib.blake2b(data, digest_size=16).digest()
            pixels = sources.name_source_in_errors(source, lambda: embedder.read(data))
            return _ReadPicture(ref, digest, pixels, "", photo_formats.lacks_end(data))
        except ImageError as error:
            return _ReadPicture(ref, digest, None, str(error))

    with ThreadPoolExecutor(os.cpu_count()) as pool, progress.stage("read pictures", "picture", len(refs)) as stage:
        for start in range(0, len(refs), BATCH):
            yield list(pool.map(read, refs[start : start + BATCH]))
            stage.done = min(start + BATCH, len(refs))


@dataclass(frozen=True)
class Neighbours:
    """The nearest pictures of each picture.

    Attributes:
        rows: (N, K) int64, positions among the readable pictures; -1 for none.
        scores: (N, K) float32, cosines; -inf for pictures of the same product, and for none.
    """

    rows: np.ndarray
    scores: np.ndarray


def find_neighbours(examined: ExaminedPictures, space: str) -> Neighbours:
    """Find each picture's nearest pictures of other products, with and without a plain background."""
    owners = np.array([ref.entry for ref in examined.readable])
    kinds = [places for kind in (True, False) if len(places := np.flatnonzero(examined.plain == kind))]
    parts = [_search_among(examined.vectors, places, space) for places in kinds]
    rows, scores = (np.concatenate(columns, axis=1) for columns in zip(*parts, strict=True))
    return Neighbours(rows, np.where((rows < 0) | (owners[rows] == owners[:, None]), -np.inf, scores))


def _search_among(vectors: np.ndarray, places: np.ndarray, space: str) -> tuple[np.ndarray, np.ndarray]:
    """Search the rows at `places` for the nearest of all vectors with the compact index; return rows and scores."""
    index = CompactIndex.build(vectors[places], space)
    starts = range(0, len(vectors), SEARCH_BATCH)
    batches = progress.track("find similar pictures", "batch", starts, len(starts))
    found = [index.search(vectors[start : start + SEARCH_BATCH], NEIGHBOURS) for start in batches]
    rows = np.concatenate([part.rows for part in found]).astype(np.int64)
    return np.where(rows < 0, -1, places[rows]), np.concatenate([part.scores for part in found])


def find_near_duplicates(
    entries: Sequence[Entry], examined: ExaminedPictures, near: Neighbours, embedder: Embedder
) -> tuple[list[NearDuplicate], int]:
    """Find pictures of two products that are the same picture, saved again or cropped a little.

    Returns: the surest pair of each two products, surest first; and the number of pairs beyond `MAX_COMPARED`, which
             were not compared.
    """
    candidates = _near_pairs(examined, near)

    @lru_cache(CACHED_FRAMES)
    def read_frame(ref: PictureRef) -> np.ndarray:
        return frame_picture(sources.read_picture(entries[ref.entry].images[ref.picture][1], embedder.read))

    def compare(rows: tuple[int, int]) -> NearDuplicate | None:
        first, second = examined.readable[rows[0]], examined.readable[rows[1]]
        try:
            return NearDuplicate(first, second, correlation(read_frame(first), read_frame(second)))
        except ImageError:  # the file has changed since it was read
            return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        chosen = candidates[:MAX_COMPARED]
        compared = progress.track("compare similar pictures", "pair", pool.map(compare, chosen), len(chosen))
        found = [pair for pair in compared if pair and pair.correlation >= MIN_CORRELATION]
    found.sort(key=lambda pair: -pair.correlation)
    surest = {(pair.first.entry, pair.second.entry): pair for pair in reversed(found)}
    return sorted(surest.values(), key=lambda pair: -pair.correlation), max(0, len(candidates) - MAX_COMPARED)


def _near_pairs(examined: ExaminedPictures, near: Neighbours) -> list[tuple[int, int]]:
    """Return pairs of similar pictures by row, most similar first; omit pictures with the same bytes."""
    group_of = {ref: number for number, group in enumerate(examined.identical) for ref in group}
    scores: dict[tuple[int, int], float] = {}
    for row, rank in np.argwhere(near.scores >= MIN_COSINE).tolist():
        first, second = sorted((row, int(near.rows[row, rank])))
        group = group_of.get(examined.readable[first])
        if group is None or group != group_of.get(examined.readable[second]):
            scores[first, second] = float(near.scores[row, rank])
    return sorted(scores, key=lambda pair: -scores[pair])


def frame_picture(pixels: np.ndarray) -> np.ndarray:
    """Resize a picture for `correlation`: (H, W, 3) uint8 -> (F, F, 3) uint8."""
    return image.resize_box(pixels, (0, 0, pixels.shape[1], pixels.shape[0]), FRAME)


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Return the correlation of two frames, (F, F, 3) uint8, either of which may be the other with its edges cropped.

    It is 1 for the same picture.
    """
    return max(_best_crop_correlation(first, second), _best_crop_correlation(second, first))


def _best_crop_correlation(target: np.ndarray, cropped: np.ndarray) -> float:
    """Crop the edges of one frame step by step and return its best correlation with the other, both (F, F, 3) uint8."""
    wanted = _normalize(image.resize_box(target, (0, 0, FRAME, FRAME), SIDE))

    def correlate(edges: tuple[float, ...]) -> float:
        left, top, right, bottom = (edge * FRAME for edge in edges)
        part = image.resize_box(cropped, (left, top, FRAME - right, FRAME - bottom), SIDE)
        return float(wanted @ _normalize(part))

    edges: tuple[float, ...] = (0.0,) * 4
    best = correlate(edges)
    for step in STEPS if best > HOPELESS_CORRELATION else ():
        while True:
            moves = [_shift_edge(edges, i, by) for i, by in itertools.product(range(4), (step, -step))]
            tried = {move: correlate(move) for move in moves if min(move) >= 0 and max(move) <= MAX_CUT}
            best_move = max(tried, key=lambda move: tried[move])
            if tried[best_move] <= best:
                break
            edges, best = best_move, tried[best_move]
    return best


def _shift_edge(edges: tuple[float, ...], number: int, by: float) -> tuple[float, ...]:
    return tuple(round(edge + by, 3) if i == number else edge for i, edge in enumerate(edges))


def _normalize(pixels: np.ndarray) -> np.ndarray:
    """Return pixels, (S, S, 3) uint8, as a vector of mean 0 and unit length, (3 S S,) float32; plain ones give 0."""
    flat = pixels.astype(np.float32).ravel()
    flat -= flat.mean()
    return np.asarray(flat / max(1.0, float(np.linalg.norm(flat))))
