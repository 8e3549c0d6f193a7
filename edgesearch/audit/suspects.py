"""Pictures of a catalogue that may be wrong: the same in two products, unlike their siblings, too small, blank.

What a picture looks like is said by one look of the network; the nearest of another product is found by the compact
index, so that a million pictures are never compared pairwise. That two are one picture, saved again or cut a little,
is then seen in their pixels. How much is found, at how many false alarms: `tools/bench catalogue`, docs/catalogue.md.

N pictures, D dimensions.
"""

import hashlib
import itertools
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..catalog import sources
from ..catalog.product import Entry
from ..embedding.embedder import Embedder
from ..errors import ImageError
from ..images import image
from ..index.compact_index import CompactIndex

BATCH = 16
SMALL_PX = 100  # px of the shorter side: below it products are found less often
BLANK_DEVIATION = 4.0  # standard deviation of the grey, of 255
GREY_SIDE = 64
NEIGHBOURS, SEARCH_BATCH = 12, 256
OUTLIER_MARGIN = 0.2  # cosine: so much nearer to another product than to any picture of its own
OUTLIER_MARGIN_OF_TWO = 0.3  # of a product with two pictures, either of which may be the wrong one
MIN_COSINE = 0.7  # of pictures that are compared closely
MIN_CORRELATION = 0.977  # correlation of their pixels
MAX_COMPARED = 20_000  # pairs
CACHED_FRAMES = 2048  # in memory, 28 kB each
FRAME, SIDE = 96, 24  # px; of what is cut, and of what is correlated
STEPS = (0.05, 0.02, 0.01)  # of the frame, by which a cut is sought
MAX_CUT = 0.15
HOPELESS_CORRELATION = 0.4  # of two whole frames; one that was cut by a tenth had 0.46


class PictureRef(NamedTuple):
    """A picture: the number of its product among the entries, and its own among the product's pictures."""

    entry: int
    picture: int


class NearDuplicate(NamedTuple):
    """Two pictures that are nearly one; correlation: of their pixels."""

    one: PictureRef
    other: PictureRef
    correlation: float


class Outlier(NamedTuple):
    """A picture that is nearer to one of another product than to any of its own; own and others: cosines."""

    one: PictureRef
    nearest: PictureRef
    own: float
    others: float


@dataclass
class ExaminedPictures:
    """What was seen in the pictures.

    Attributes: which: N pictures that can be read; vectors: (N, D) float32, unit rows; twins: groups of pictures with
                the same bytes; unreadable: pictures, and why; small: pictures, and the px of their shorter side;
                blank: pictures that show nothing.
    """

    which: list[PictureRef] = field(default_factory=list)
    vectors: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.float32))
    twins: list[list[PictureRef]] = field(default_factory=list)
    unreadable: list[tuple[PictureRef, str]] = field(default_factory=list)
    small: list[tuple[PictureRef, int]] = field(default_factory=list)
    blank: list[PictureRef] = field(default_factory=list)


class _ReadPicture(NamedTuple):
    which: PictureRef
    digest: bytes
    pixels: np.ndarray | None
    why: str


def examine_pictures(
    entries: Sequence[Entry], numbers: Sequence[int], embedder: Embedder, progress: Callable[[int, int], None]
) -> ExaminedPictures:
    """Look at all pictures of some of the entries, by their numbers."""
    looked, vectors = ExaminedPictures(), []
    firsts: dict[bytes, PictureRef] = {}
    again: dict[bytes, list[PictureRef]] = defaultdict(list)
    asked = [PictureRef(number, picture) for number in numbers for picture in range(len(entries[number].images))]
    for batch in _read_batches(entries, asked, embedder):
        looked.unreadable += [(one.which, one.why) for one in batch if one.pixels is None]
        seen = [(one.which, one.pixels) for one in batch if one.pixels is not None]
        looked.small += [(which, min(pixels.shape[:2])) for which, pixels in seen if min(pixels.shape[:2]) < SMALL_PX]
        looked.blank += [which for which, pixels in seen if image.to_grey(pixels, GREY_SIDE).std() < BLANK_DEVIATION]
        looked.which += [which for which, _ in seen]
        vectors.append(embedder.embed([pixels for _, pixels in seen], fast=True))
        for one in batch:
            if one.digest and firsts.setdefault(one.digest, one.which) != one.which:
                again[one.digest].append(one.which)
        progress(len(looked.which) + len(looked.unreadable), len(asked))
    looked.vectors = np.concatenate(vectors) if vectors else looked.vectors
    looked.twins = [[firsts[digest], *others] for digest, others in again.items()]
    return looked


def _read_batches(entries: Sequence[Entry], asked: Sequence[PictureRef], embedder: Embedder) -> Iterator[list[_ReadPicture]]:
    def read(which: PictureRef) -> _ReadPicture:
        _, place = entries[which.entry].images[which.picture]
        digest = b""
        try:
            data = sources.read_bytes(place)
            digest = hashlib.blake2b(data, digest_size=16).digest()
            return _ReadPicture(which, digest, sources.name_source_in_errors(place, lambda: embedder.read(data)), "")
        except ImageError as error:
            return _ReadPicture(which, digest, None, str(error))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(asked), BATCH):
            yield list(pool.map(read, asked[start : start + BATCH]))


@dataclass(frozen=True)
class Neighbours:
    """The nearest pictures of other products: `rows` (N, K) int64, their `scores` (N, K) float32, -inf where none."""

    rows: np.ndarray
    scores: np.ndarray


def find_neighbours(looked: ExaminedPictures, space: str) -> Neighbours:
    """Ask the compact index for each picture's nearest; those of its own product, and itself, are left out."""
    owners = np.array([which.entry for which in looked.which])
    index = CompactIndex.build(looked.vectors, space)
    starts = range(0, len(looked.which), SEARCH_BATCH)
    parts = [index.search(looked.vectors[first : first + SEARCH_BATCH], NEIGHBOURS) for first in starts]
    rows = np.concatenate([part.rows for part in parts]).astype(np.int64)
    scores = np.concatenate([part.scores for part in parts])
    return Neighbours(rows, np.where((rows < 0) | (owners[rows] == owners[:, None]), -np.inf, scores))


def find_near_duplicates(
    entries: Sequence[Entry], looked: ExaminedPictures, near: Neighbours, embedder: Embedder
) -> tuple[list[NearDuplicate], int]:
    """Pictures of two products that are one, saved again or cut a little, the surest first; one of two products.

    Returns: and how many pairs were too many to be compared.
    """
    twins = {which: number for number, group in enumerate(looked.twins) for which in group}
    best: dict[tuple[int, int], float] = {}
    for row, place in np.argwhere(near.scores >= MIN_COSINE).tolist():
        one, other = sorted((row, int(near.rows[row, place])))
        group = twins.get(looked.which[one])
        if group is None or group != twins.get(looked.which[other]):
            best[one, other] = float(near.scores[row, place])
    asked = sorted(best, key=lambda pair: -best[pair])

    @lru_cache(CACHED_FRAMES)
    def frame(which: PictureRef) -> np.ndarray:
        return frame_picture(sources.read_picture(entries[which.entry].images[which.picture][1], embedder.read))

    def compare(rows: tuple[int, int]) -> NearDuplicate | None:
        pair = looked.which[rows[0]], looked.which[rows[1]]
        try:
            return NearDuplicate(*pair, correlation(*map(frame, pair)))
        except ImageError:  # it could be read a moment ago
            return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        compared = [pair for pair in pool.map(compare, asked[:MAX_COMPARED]) if pair and pair.correlation >= MIN_CORRELATION]
    found = sorted(compared, key=lambda pair: -pair.correlation)
    firsts = {(pair.one.entry, pair.other.entry): pair for pair in reversed(found)}
    return sorted(firsts.values(), key=lambda pair: -pair.correlation), max(0, len(asked) - MAX_COMPARED)


def find_outliers(looked: ExaminedPictures, near: Neighbours) -> list[Outlier]:
    """Pictures that are nearer to another product than to any of their own, the farthest first; one of a product."""
    rows_of: dict[int, list[int]] = defaultdict(list)
    for row, which in enumerate(looked.which):
        rows_of[which.entry].append(row)
    found = []
    for rows in rows_of.values():
        if len(rows) > 1:
            own = _nearest_sibling(looked.vectors[rows])
            away = near.scores[rows].max(1) - own
            worst = int(away.argmax())
            if away[worst] >= (OUTLIER_MARGIN_OF_TWO if len(rows) == 2 else OUTLIER_MARGIN):
                found.append(_make_outlier(looked, near, rows[worst], float(own[worst])))
    return sorted(found, key=lambda one: one.own - one.others)


def _nearest_sibling(vectors: np.ndarray) -> np.ndarray:
    """Of each row the highest cosine with another: (R, D) float32 -> (R,) float32."""
    best = []
    for first in range(0, len(vectors), SEARCH_BATCH):
        cosines = vectors[first : first + SEARCH_BATCH] @ vectors.T
        np.fill_diagonal(cosines[:, first:], -np.inf)
        best.append(cosines.max(1))
    return np.concatenate(best)


def _make_outlier(looked: ExaminedPictures, near: Neighbours, row: int, own: float) -> Outlier:
    place = int(near.scores[row].argmax())
    nearest = looked.which[int(near.rows[row, place])]
    return Outlier(looked.which[row], nearest, own, float(near.scores[row, place]))


def frame_picture(pixels: np.ndarray) -> np.ndarray:
    """A picture as it is compared closely: (H, W, 3) uint8 -> (F, F, 3)."""
    return image.resize_box(pixels, (0, 0, pixels.shape[1], pixels.shape[0]), FRAME)


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """How alike two frames are, either of which may be the other cut a little at its edges: 1 where they are one."""
    return max(_best_crop_correlation(one, other), _best_crop_correlation(other, one))


def _best_crop_correlation(whole: np.ndarray, cut: np.ndarray) -> float:
    """The best correlation of a frame with what is left of the other when its edges are cut, step by step."""
    wanted = _normalize(image.resize_box(whole, (0, 0, FRAME, FRAME), SIDE))

    def worth(edges: tuple[float, ...]) -> float:
        left, top, right, bottom = (edge * FRAME for edge in edges)
        part = image.resize_box(cut, (left, top, FRAME - right, FRAME - bottom), SIDE)
        return float(wanted @ _normalize(part))

    edges: tuple[float, ...] = (0.0,) * 4
    best = worth(edges)
    for step in STEPS if best > HOPELESS_CORRELATION else ():
        while True:
            tried = {_shift_edge(edges, i, by): 0.0 for i, by in itertools.product(range(4), (step, -step))}
            tried = {one: worth(one) for one in tried if min(one) >= 0 and max(one) <= MAX_CUT}
            edges_now = max(tried, key=lambda one: tried[one])
            if tried[edges_now] <= best:
                break
            edges, best = edges_now, tried[edges_now]
    return best


def _shift_edge(edges: tuple[float, ...], place: int, by: float) -> tuple[float, ...]:
    return tuple(round(edge + by, 3) if i == place else edge for i, edge in enumerate(edges))


def _normalize(pixels: np.ndarray) -> np.ndarray:
    """Of mean 0 and unit length; what is plain has no length."""
    flat = pixels.astype(np.float32).ravel()
    flat -= flat.mean()
    return np.asarray(flat / max(1.0, float(np.linalg.norm(flat))))
