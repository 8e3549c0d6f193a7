"""The second eye: finds pictures by what is printed on a product, by visual words, and verifies them by geometry.

The prints (`prints.py`) of all pictures lie one after another, and mapped: only those of a shortlist are read. An
inverted file of visual words (Sivic, Zisserman, Video Google, ICCV 2003; binary counts, idf) names pictures that the
embedding did not. Whether a photo and a picture show the same print is decided by matching codes (ADC, Lowe's ratio
test) and one map that explains the matches (`geometry.py`).

P features of a picture, N pictures, M = 32 subquantizers of 16 codewords, W words. Places are shares of the picture's
longer side.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .._util import array_file, stopping
from .._util.array_file import Rows, Source
from .._util.spill_file import SpillFile
from ..errors import IndexFileError
from ..index import kernel
from ..index.kernel import BLOCK
from ..index.product_quantizer import ProductQuantizer
from . import geometry
from .descriptors import (
    CODEBOOK_SHAPES,
    KIND,
    SUBQUANTIZERS,
    WORDS,
    Codebook,
    LocalFeatures,
    PackedFeatures,
    Tables,
    exact,
)

FILE = "local.arrays"
LAYOUT = 1
LARGE = ("packed", "places", "postings")  # arrays that grow with the pictures, and are read in part
RATIO = 0.85  # of the distances to the nearest and to the next reference feature; 0.8 of exact descriptors is as strict
LEAST_POINTS = 5  # by chance four places agree now and then
MIRROR_BELOW, MIRROR_LEAST = 20, 10  # points: with fewer the mirror image is tried, with as many it counts
MIRROR_TRIED = 8  # pictures
SAME = 0.3  # squared distance from which a feature says nothing for the print
CHANCE, ENOUGH = 1.0, 8.0  # evidence that chance brings, and that which closes half the gap to a cosine of 1
PAGE = 1 << 16  # pictures, whose numbers in the inverted file are 16 bits wide
MOST_POSTINGS = 1 << 20  # of one query, those of its rarest words: 2 MB


class Evidence(NamedTuple):
    """What a photo and a reference image have in common.

    Attributes: points: places of the print that agree, 0 where they are too few; weight: of all features that the map
                explains, each by how alike it is; outline: (4, 2) float64, where the print is in the photo, in shares
                of its longer side; empty where there is none; mirrored: it is the photo's mirror image that agrees.
    """

    points: int
    weight: float
    outline: np.ndarray
    mirrored: bool = False

    @property
    def share(self) -> float:
        """How much of the print agrees, from 0 to 1."""
        weight = max(0.0, self.weight - CHANCE)
        return weight / (weight + ENOUGH)

    def raise_score(self, cosine: float) -> float:
        """The score of the picture: its cosine, and the nearer to 1 the more its print agrees."""
        return cosine + (1 - cosine) * self.share


NOTHING = Evidence(0, 0.0, np.empty((0, 2)))


class LocalIndex:
    """The features of all reference images, in the order of the index's rows."""

    def __init__(self, parts: Mapping[str, np.ndarray], large: Mapping[str, np.ndarray | Rows]):
        """The arrays of the file, as `build` makes them; large: those of which a search reads a few rows."""
        self.codebook = Codebook(ProductQuantizer(None, parts["codes"]), ProductQuantizer(None, parts["words"]))
        self._parts, self._large = parts, large

    @classmethod
    def build(cls, codebook: Codebook, pictures: Iterable[PackedFeatures], folder: Path | None = None) -> "LocalIndex":
        """
        Args:    pictures: at least one, as `Codebook.encode` makes them; folder: where the large arrays are gathered,
                 None for in memory.
        """
        packed = SpillFile((SUBQUANTIZERS // 2, BLOCK), "uint8", folder and folder / "packed")
        places = SpillFile((4,), "uint8", folder and folder / "places")
        inverted = _Inverted(SpillFile((), "uint16", folder and folder / "postings"))
        sizes, word_counts = [], []
        for picture in pictures:
            packed.append(picture.packed)
            places.append(picture.places)
            inverted.append(picture.words)
            sizes.append(picture.size)
            word_counts.append(len(picture.words))
        starts = np.cumsum([0, *(-(-size // BLOCK) for size in sizes)])
        word_starts, postings = inverted.finish()
        return cls(
            {
                "codes": codebook.codes.codebook,
                "words": codebook.words.codebook,
                "sizes": np.array(sizes, np.uint32),
                "starts": starts.astype(np.uint32),
                "word_counts": np.array(word_counts, np.uint32),
                "word_starts": word_starts,
            },
            {"packed": packed.rows(), "places": places.rows(), "postings": postings},
        )

    def pictures(self) -> Iterator[PackedFeatures]:
        """What is kept of each, as it was built."""
        starts, sizes = self._parts["starts"].astype(int), self._parts["sizes"].astype(int)
        packed, places = self._large["packed"], self._large["places"]
        for row, words in enumerate(self._words()):
            first, last = starts[row : row + 2].tolist()
            yield PackedFeatures(int(sizes[row]), packed[first:last], places[first * BLOCK : last * BLOCK], words)

    def _words(self) -> Iterator[np.ndarray]:
        """Those of each picture, in order: (V,) uint16."""
        starts = self._parts["word_starts"].reshape(-1, WORDS + 1).astype(np.int64)
        for page, ends in enumerate(starts):
            owners = self._large["postings"][int(ends[0]) : int(ends[-1])]
            words = np.repeat(np.arange(WORDS, dtype=np.uint16), np.diff(ends))[np.argsort(owners, kind="stable")]
            counts = self._parts["word_counts"][page * PAGE :][:PAGE].astype(np.int64)
            yield from np.split(words, np.cumsum(counts)[:-1])

    def write(self, path: Path) -> None:
        """To a file that `open` maps."""
        large = {name: rows[:] for name, rows in self._large.items()}
        array_file.write(path, {**self._parts, **large}, {"layout": LAYOUT, "kind": KIND})

    @classmethod
    def open(cls, data: memoryview | Source) -> "LocalIndex":
        """View the index inside `data`.

        Raises: IndexFileError: not such a file, of another kind, or its parts do not fit together.
        """
        stored, meta = array_file.find(data, FILE)
        if (meta.get("layout"), meta.get("kind")) != (LAYOUT, KIND):
            raise IndexFileError(
                f"{FILE}: local features of kind {meta.get('kind')}, layout {meta.get('layout')}; this version reads "
                f"{KIND}, {LAYOUT}, build the bundle again."
            )
        large = {name: stored[name] for name in LARGE if name in stored}
        parts = {name: rows[:] for name, rows in stored.items() if name not in large}
        _check({**parts, **large})
        return cls(parts, large)

    def __len__(self) -> int:
        return len(self._parts["sizes"])

    @property
    def features(self) -> int:
        """Features of all pictures."""
        return int(self._parts["sizes"].sum())

    @property
    def space(self) -> str:
        """What a photo's features must have in common with these: kind and codebook, as a hash."""
        return self.codebook.digest

    def release_pages(self) -> None:
        """Take out of memory what the last searches read."""
        for rows in self._large.values():
            if isinstance(rows, Rows):
                rows.release_pages()

    def candidates(self, photo: LocalFeatures, count: int, allowed: np.ndarray | None = None) -> np.ndarray:
        """The pictures that share most words with a photo, best first: (at most count,) int64.

        Args:    allowed: (N,) bool, None for all.
        """
        words = self.codebook.words_of(photo.descriptors)
        words = words[np.argsort(-self._idf[words], kind="stable")]  # the rarest first
        starts = self._parts["word_starts"].reshape(-1, WORDS + 1).astype(np.int64)
        first, last = starts[:, words], starts[:, words + 1]
        enough = int(np.searchsorted(np.cumsum((last - first).sum(0)), MOST_POSTINGS, side="right"))
        scores = np.zeros(len(self), np.float32)
        weights = self._idf[words[:enough]] ** 2
        for page in range(len(starts)):
            self._vote(first[page, :enough], last[page, :enough], weights, scores[page * PAGE :][:PAGE])
        scores *= self._norms if allowed is None else self._norms * allowed
        best = np.argsort(-scores, kind="stable")[:count]
        return best[scores[best] > 0]

    def _vote(self, first: np.ndarray, last: np.ndarray, weights: np.ndarray, scores: np.ndarray) -> None:
        """Only these postings are read."""
        parts = [self._large["postings"][begin:end] for begin, end in zip(first.tolist(), last.tolist(), strict=True)]
        ends = np.cumsum([len(part) for part in parts], dtype=np.int64)
        try:
            kernel.vote(np.concatenate([np.empty(0, np.uint16), *parts]), ends - (last - first), ends, weights, scores)
        except (ValueError, IndexError) as error:
            raise IndexFileError(f"{FILE}: its words name pictures that it has not; build the bundle again.") from error

    def verify(self, photo: LocalFeatures, rows: Sequence[int]) -> list[Evidence]:
        """What the photo has in common with each of those pictures; where nearly nothing, its mirror image is tried."""
        found = self._compared(photo, rows)
        if max((one.points for one in found), default=0) >= MIRROR_BELOW:
            return found
        mirrored = self._compared(photo.mirrored(), rows[:MIRROR_TRIED])
        for i, one in enumerate(mirrored):
            if one.points >= max(MIRROR_LEAST, found[i].points + 1):  # letters such as O agree either way
                found[i] = one._replace(outline=one.outline * (-1, 1), mirrored=True)
        return found

    def _compared(self, photo: LocalFeatures, rows: Sequence[int]) -> list[Evidence]:
        if len(photo.descriptors) < LEAST_POINTS:
            return [NOTHING] * len(rows)
        tables = self.codebook.levels(photo.descriptors)
        return [self._evidence(photo, tables, row) for row in rows]

    def _evidence(self, photo: LocalFeatures, tables: "Tables", row: int) -> Evidence:
        stopping.check()
        first, last, size = *self._parts["starts"][row : row + 2].astype(int), int(self._parts["sizes"][row])
        packed, places = self._large["packed"][first:last], self._large["places"][first * BLOCK : first * BLOCK + size]
        found, sums = kernel.match(tables.levels, packed, size)
        nearest, next_to_it = tables.distances(sums).T
        asked = np.flatnonzero(nearest < RATIO**2 * next_to_it)
        asked = asked[np.argsort(nearest[asked], kind="stable")]
        _, once = np.unique(found[asked], return_index=True)  # a reference feature matches once
        asked = asked[np.sort(once)]
        agreed = geometry.agree(photo.keypoints[asked], exact(places[found[asked]]))
        if agreed.places < LEAST_POINTS:
            return NOTHING
        reference = exact(places)
        # All features again, now only where the map shows them: twins differ in few, and the ratio test loses some.
        _, sums = kernel.match(
            tables.levels, packed, size, geometry.explained(photo.keypoints, reference, agreed.affine)
        )
        alike = (1 - tables.distances(sums)[:, 0] / SAME).clip(0)
        return Evidence(agreed.places, float(alike[sums[:, 0] > 0].sum()), _outline(reference, agreed.affine))

    @cached_property
    def _idf(self) -> np.ndarray:
        """(W,) float32: how much a word tells."""
        starts = self._parts["word_starts"].reshape(-1, WORDS + 1).astype(np.int64)
        return np.log((len(self) + 1) / (np.diff(starts, axis=1).sum(0) + 0.5)).clip(0).astype(np.float32)

    @cached_property
    def _norms(self) -> np.ndarray:
        """(N,) float32: many words are shared by chance."""
        return ((self._parts["word_counts"] + np.float32(1)) ** np.float32(-0.5)).astype(np.float32)


def _outline(reference: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """(4, 2) float64: the box around the reference's features, as the map shows it."""
    (left, top), (right, bottom) = reference[:, :2].min(0), reference[:, :2].max(0)
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)
    return corners @ affine[:, :2].T + affine[:, 2]


class _Inverted:
    """The pictures of each word, in order, page after page."""

    def __init__(self, postings: SpillFile):
        self._postings, self._starts, self._end = postings, [np.empty(0, np.int64)], 0
        self._page: list[np.ndarray] = []

    def append(self, words: np.ndarray) -> None:
        """Those of the next picture: (V,) uint16."""
        self._page.append(words)
        if len(self._page) == PAGE:
            self._turn()

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """(pages (W + 1),) uint32 starts, and (.,) uint16 numbers in their page."""
        if self._page:
            self._turn()
        return np.concatenate(self._starts).astype(np.uint32), self._postings.rows()

    def _turn(self) -> None:
        words = np.concatenate(self._page)
        owners = np.repeat(np.arange(len(self._page), dtype=np.uint16), [len(one) for one in self._page])
        self._postings.append(owners[np.argsort(words, kind="stable")])
        ends = np.cumsum(np.bincount(words, minlength=WORDS))
        self._starts.append(self._end + np.concatenate([[0], ends]))
        self._end += len(words)
        self._page = []


_KINDS = {
    "codes": np.float32,
    "words": np.float32,
    "sizes": np.uint32,
    "starts": np.uint32,
    "packed": np.uint8,
    "places": np.uint8,
    "word_counts": np.uint32,
    "word_starts": np.uint32,
    "postings": np.uint16,
}


def _check(parts: Mapping[str, np.ndarray | Rows]) -> None:
    """Types and sizes that fit together: what is read later lies inside the arrays."""
    try:
        wrong = [name for name, fits in _fitting(parts) if not fits]
    except (KeyError, ValueError, IndexError) as error:
        raise IndexFileError(f"{FILE}: its parts lack or do not fit together ({error}); build it again.") from error
    if wrong:
        raise IndexFileError(f"{FILE}: its parts do not fit together ({', '.join(wrong)}); build the bundle again.")


def _fitting(parts: Mapping[str, np.ndarray | Rows]) -> Iterator[tuple[str, bool]]:
    sizes, starts, words = (parts[name][:].astype(np.int64) for name in ("sizes", "starts", "word_starts"))
    pages, postings, blocks = -(-len(sizes) // PAGE), parts["postings"], len(parts["packed"])
    yield from ((name, parts[name].dtype == kind) for name, kind in _KINDS.items())
    yield from ((name, parts[name].shape == shape) for name, shape in CODEBOOK_SHAPES.items())
    yield "sizes", sizes.ndim == 1 and len(sizes) > 0 and parts["word_counts"].shape == sizes.shape
    yield "starts", starts[0] == 0 and np.array_equal(np.diff(starts), -(-sizes // BLOCK)) and starts[-1] == blocks
    yield "packed", parts["packed"].shape == (blocks, SUBQUANTIZERS // 2, BLOCK)
    yield "places", parts["places"].shape == (blocks * BLOCK, 4)
    yield "word_starts", words.shape == (pages * (WORDS + 1),) and words[-1] == len(postings)
    yield "word_starts", words[0] == 0 and bool((np.diff(words) >= 0).all())
    yield "postings", len(postings.shape) == 1
