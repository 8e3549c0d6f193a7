"""Find pictures by visual words, and verify them by matching local features.

The packed features (`descriptors.py`) of all pictures lie in one mapped file; a search reads those of a shortlist. An
inverted file of visual words (Sivic, Zisserman, Video Google, ICCV 2003; binary counts, idf) adds pictures that the
embedding missed. A photo and a picture show the same printed details if their codes match (ADC, Lowe's ratio test) and
one map explains the matches (`geometry.py`).

Shapes: P features of a picture, N pictures, M = 32 subquantizers of 16 codewords, W words. Positions are shares of the
picture's longer side.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .._util import array_file, stopping
from .._util.array_file import ByteSource, LazyArray
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
    DistanceTables,
    LocalFeatures,
    PackedFeatures,
)
from .keypoint_codes import dequantize_keypoints

FILE = "local.arrays"
LAYOUT = 1
LARGE = ("packed", "places", "postings")  # arrays that a search reads in part; "places" holds keypoints
MIN_POINTS = 5  # chance makes four points agree now and then
MIRROR_BELOW, MIRROR_MIN_POINTS = 20, 10  # points: with fewer, also try the mirror image; it counts from so many
MIRROR_PICTURES = 8  # that are tried with the mirror image
MAX_DISTANCE = 0.3  # squared distance from which a feature is no evidence
CHANCE_WEIGHT, HALF_WEIGHT = 1.0, 8.0  # evidence that chance brings; evidence that halves the gap to a score of 1
PAGE = 1 << 16  # pictures, because their numbers in the inverted file have 16 bits
MAX_POSTINGS = 1 << 20  # read per query, of its rarest words: 2 MB


class Evidence(NamedTuple):
    """The printed details that a photo and a reference picture share.

    Attributes:
        points: details at different positions that agree; 0 if they are too few.
        weight: sum over the features that the map explains of how alike they are, 0 to 1.
        outline: (4, 2) float64, corners of the printed area in the photo, in shares of its longer side; (0, 2) if none.
        mirrored: the mirror image of the photo agrees.
    """

    points: int
    weight: float
    outline: np.ndarray
    mirrored: bool = False

    @property
    def share(self) -> float:
        """Strength of the evidence, 0 to 1."""
        weight = max(0.0, self.weight - CHANCE_WEIGHT)
        return weight / (weight + HALF_WEIGHT)

    def raise_score(self, cosine: float) -> float:
        """Return the score of the picture: its cosine, moved towards 1 by the evidence."""
        return cosine + (1 - cosine) * self.share


NO_EVIDENCE = Evidence(0, 0.0, np.empty((0, 2)))


class LocalIndex:
    """The local features of all reference pictures, in the order of the compact index's rows."""

    def __init__(self, parts: Mapping[str, np.ndarray], large: Mapping[str, np.ndarray | LazyArray]):
        """Use the arrays of a file, as `build` makes them; large: those named in `LARGE`."""
        self.codebook = Codebook(ProductQuantizer(None, parts["codes"]), ProductQuantizer(None, parts["words"]))
        self._parts, self._large = parts, large

    @classmethod
    def build(cls, codebook: Codebook, pictures: Iterable[PackedFeatures], folder: Path | None = None) -> "LocalIndex":
        """Build an index.

        Args:
            codebook: encoded the pictures.
            pictures: at least one, from `Codebook.encode`.
            folder: for large arrays while they grow; `None` keeps them in memory.
        """
        packed = SpillFile((SUBQUANTIZERS // 2, BLOCK), "uint8", folder and folder / "packed")
        keypoints = SpillFile((4,), "uint8", folder and folder / "places")
        inverted = _InvertedFile(SpillFile((), "uint16", folder and folder / "postings"))
        sizes, word_counts = [], []
        for picture in pictures:
            packed.append(picture.packed)
            keypoints.append(picture.keypoints)
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
            {"packed": packed.rows(), "places": keypoints.rows(), "postings": postings},
        )

    def revise(self, kept: np.ndarray, added: Sequence[PackedFeatures]) -> "LocalIndex":
        """Return the index of some of its pictures, in their order, and others after them.

        It equals one that is built of them, in a fraction of the time; up to `PAGE` pictures.

        Args:
            kept: (N,) bool, the pictures that stay.
            added: the others.
        """
        sizes = np.concatenate([self._parts["sizes"][kept], [one.size for one in added]]).astype(np.uint32)
        starts = self._parts["starts"].astype(np.int64)
        blocks = np.repeat(kept, starts[1:] - starts[:-1])
        places = self._large["places"][:].reshape(len(blocks), -1)[blocks].reshape(-1, 4)
        word_counts = np.concatenate([self._parts["word_counts"][kept], [len(one.words) for one in added]])
        word_starts, postings = self._revise_words(kept, added)
        return LocalIndex(
            {
                "codes": self._parts["codes"],
                "words": self._parts["words"],
                "sizes": sizes,
                "starts": np.cumsum([0, *(-(-sizes.astype(np.int64) // BLOCK)).tolist()]).astype(np.uint32),
                "word_counts": word_counts.astype(np.uint32),
                "word_starts": word_starts.astype(np.uint32),
            },
            {
                "packed": np.concatenate([self._large["packed"][:][blocks], *(one.packed for one in added)]),
                "places": np.concatenate([places, *(one.keypoints for one in added)]),
                "postings": postings,
            },
        )

    def _revise_words(self, kept: np.ndarray, added: Sequence[PackedFeatures]) -> tuple[np.ndarray, np.ndarray]:
        """Return starts (W + 1,) int64 and postings (.,) uint16 of the only page."""
        owners = self._large["postings"][:].astype(np.int64)
        starts = self._parts["word_starts"].astype(np.int64)
        words = np.repeat(np.arange(WORDS), starts[1:] - starts[:-1])
        stays = kept[owners]
        words, owners = words[stays], (np.cumsum(kept) - 1)[owners[stays]]
        new = np.concatenate([np.empty(0, np.int64), *(one.words.astype(np.int64) for one in added)])
        numbers = np.repeat(np.arange(len(added)) + int(kept.sum()), [len(one.words) for one in added])
        order = np.argsort(new, kind="stable")
        places = np.searchsorted(words, new[order], side="right")  # the new pictures have the highest numbers
        counts = np.bincount(np.concatenate([words, new]), minlength=WORDS)
        return np.cumsum([0, *counts.tolist()]), np.insert(owners, places, numbers[order]).astype(np.uint16)

    def read_features(self) -> Iterator[PackedFeatures]:
        """Yield the features of each picture, as passed to `build`."""
        starts, sizes = self._parts["starts"].astype(int), self._parts["sizes"].astype(int)
        packed, keypoints = self._large["packed"], self._large["places"]
        for row, words in enumerate(self._read_words()):
            first, last = starts[row : row + 2].tolist()
            span = slice(first * BLOCK, last * BLOCK)
            yield PackedFeatures(int(sizes[row]), packed[first:last], keypoints[span], words)

    def _read_words(self) -> Iterator[np.ndarray]:
        """Yield the words of each picture, ascending: (V,) uint16."""
        starts = self._parts["word_starts"].reshape(-1, WORDS + 1).astype(np.int64)
        for page, ends in enumerate(starts):
            owners = self._large["postings"][int(ends[0]) : int(ends[-1])]
            words = np.repeat(np.arange(WORDS, dtype=np.uint16), np.diff(ends))[np.argsort(owners, kind="stable")]
            counts = self._parts["word_counts"][page * PAGE :][:PAGE].astype(np.int64)
            yield from np.split(words, np.cumsum(counts)[:-1])

    def write(self, path: Path) -> None:
        """Write a file for `open`."""
        large = {name: rows[:] for name, rows in self._large.items()}
        array_file.write(path, {**self._parts, **large}, {"layout": LAYOUT, "kind": KIND})

    @classmethod
    def open(cls, data: memoryview | ByteSource) -> "LocalIndex":
        """Open an index in place.

        Raises: IndexFileError: the file is damaged, has features of another kind, or its parts do not fit together.
        """
        stored, meta = array_file.open_arrays(data, FILE)
        if (meta.get("layout"), meta.get("kind")) != (LAYOUT, KIND):
            raise IndexFileError(
                f"{FILE}: local features of kind {meta.get('kind')}, layout {meta.get('layout')}; expected {KIND}, "
                f"{LAYOUT}. Build the bundle again."
            )
        large = {name: stored[name] for name in LARGE if name in stored}
        parts = {name: rows[:] for name, rows in stored.items() if name not in large}
        _check_parts({**parts, **large})
        return cls(parts, large)

    def __len__(self) -> int:
        return len(self._parts["sizes"])

    @property
    def feature_count(self) -> int:
        """Number of features of all pictures."""
        return int(self._parts["sizes"].sum())

    @property
    def space(self) -> str:
        """Hash of kind and codebook, which features must share to be compared."""
        return self.codebook.digest

    def release_pages(self) -> None:
        """Free the memory of the rows that searches read."""
        for rows in self._large.values():
            if isinstance(rows, LazyArray):
                rows.release_pages()

    def find_candidates(self, photo: LocalFeatures, count: int, allowed: np.ndarray | None = None) -> np.ndarray:
        """Find the pictures that share most words with a photo.

        Args:    allowed: (N,) bool; `None` allows all pictures.
        Returns: (count,) int64 or fewer, best first.
        """
        words = self.codebook.find_words(photo.descriptors)
        words = words[np.argsort(-self._idf[words], kind="stable")]  # the rarest first
        starts = self._parts["word_starts"].reshape(-1, WORDS + 1).astype(np.int64)
        first, last = starts[:, words], starts[:, words + 1]
        enough = int(np.searchsorted(np.cumsum((last - first).sum(0)), MAX_POSTINGS, side="right"))
        scores = np.zeros(len(self), np.float32)
        weights = self._idf[words[:enough]] ** 2
        for page in range(len(starts)):
            self._vote(first[page, :enough], last[page, :enough], weights, scores[page * PAGE :][:PAGE])
        scores *= self._norms if allowed is None else self._norms * allowed
        return _highest(scores, count)

    def _vote(self, first: np.ndarray, last: np.ndarray, weights: np.ndarray, scores: np.ndarray) -> None:
        """Read the postings from `first` to before `last` of some words (W,), and add their weights to scores (N,)."""
        postings, begin, end = self._large["postings"], int(first.min(initial=PAGE**2)), int(last.max(initial=0))
        if end - begin <= MAX_POSTINGS:  # one view instead of hundreds
            read, ends = postings[begin:end], last - begin
        else:
            read, ends = _read_ranges(postings, first.tolist(), last.tolist()), np.cumsum(last - first)
        try:
            kernel.vote(read, ends - (last - first), ends, weights, scores)
        except ValueError as error:
            raise IndexFileError(f"{FILE}: words name pictures that do not exist; build the bundle again.") from error

    def verify(self, photo: LocalFeatures, rows: Sequence[int]) -> list[Evidence]:
        """Compare a photo with some pictures; if little agrees, compare its mirror image too."""
        found = self._verify_rows(photo, rows)
        if max((evidence.points for evidence in found), default=0) >= MIRROR_BELOW:
            return found
        for i, mirrored in enumerate(self._verify_rows(photo.mirrored(), rows[:MIRROR_PICTURES])):
            if mirrored.points >= max(MIRROR_MIN_POINTS, found[i].points + 1):  # letters such as O agree either way
                found[i] = mirrored._replace(outline=mirrored.outline * (-1, 1), mirrored=True)
        return found

    def _verify_rows(self, photo: LocalFeatures, rows: Sequence[int]) -> list[Evidence]:
        if len(photo.descriptors) < MIN_POINTS:
            return [NO_EVIDENCE] * len(rows)
        tables = self.codebook.make_tables(photo.descriptors)
        return [self._verify_row(photo, tables, row) for row in rows]

    def _verify_row(self, photo: LocalFeatures, tables: DistanceTables, row: int) -> Evidence:
        """Match a photo with one picture, fit a map to the matches, and weigh all features that the map explains."""
        stopping.check()
        first, last, size = *self._parts["starts"][row : row + 2].astype(int), int(self._parts["sizes"][row])
        if size < MIN_POINTS:
            return NO_EVIDENCE
        packed, start = self._large["packed"][first:last], first * BLOCK
        keypoints = self._large["places"][start : start + size]
        found, sums = kernel.match(tables.levels, packed, size)
        fit = geometry.fit_matches(photo.keypoints, found, tables.distances(sums), keypoints)
        if fit.inliers < MIN_POINTS:
            return NO_EVIDENCE
        reference = dequantize_keypoints(keypoints)
        # Match all features again, only where the map puts them: twins differ in few, and the ratio test loses some.
        consistent = geometry.find_consistent_pairs(photo.keypoints, reference, fit.affine)
        _, sums = kernel.match(tables.levels, packed, size, consistent)
        alike = (1 - tables.distances(sums)[:, 0] / MAX_DISTANCE).clip(0)
        return Evidence(fit.inliers, float(alike[sums[:, 0] > 0].sum()), _map_outline(reference, fit.affine))

    @cached_property
    def _idf(self) -> np.ndarray:
        """Inverse document frequency of each word: (W,) float32."""
        starts = self._parts["word_starts"].reshape(-1, WORDS + 1).astype(np.int64)
        return np.log((len(self) + 1) / (np.diff(starts, axis=1).sum(0) + 0.5)).clip(0).astype(np.float32)

    @cached_property
    def _norms(self) -> np.ndarray:
        """Factor for each picture's votes (N,) float32: pictures with many words share more by chance."""
        return ((self._parts["word_counts"] + np.float32(1)) ** np.float32(-0.5)).astype(np.float32)


def _read_ranges(rows: np.ndarray | LazyArray, starts: list[int], stops: list[int]) -> np.ndarray:
    if isinstance(rows, LazyArray):
        return rows.read_ranges(starts, stops)
    return np.concatenate([rows[start:stop] for start, stop in zip(starts, stops, strict=True)])


def _highest(scores: np.ndarray, count: int) -> np.ndarray:
    """Return the positions of the highest scores above 0, best first, equals in order: (N,) -> (count,) or fewer."""
    above = scores > 0
    if 0 < count < len(scores):
        above &= scores >= np.partition(scores, -count)[-count]
    some = np.flatnonzero(above)
    return some[np.argsort(-scores[some], kind="stable")[:count]]


def _map_outline(reference: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Map the bounding box of keypoints (P, 4) to the photo: corners (4, 2) float64."""
    (left, top), (right, bottom) = reference[:, :2].min(0), reference[:, :2].max(0)
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)
    return corners @ affine[:, :2].T + affine[:, 2]


class _InvertedFile:
    """The pictures of each word, ascending, page after page."""

    def __init__(self, postings: SpillFile):
        self._postings, self._starts, self._end = postings, [np.empty(0, np.int64)], 0
        self._page: list[np.ndarray] = []

    def append(self, words: np.ndarray) -> None:
        """Append the words of the next picture, (V,) uint16."""
        self._page.append(words)
        if len(self._page) == PAGE:
            self._flush_page()

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """Return starts (pages (W + 1),) uint32, and postings (.,) uint16, numbers of pictures within their page."""
        if self._page:
            self._flush_page()
        return np.concatenate(self._starts).astype(np.uint32), self._postings.rows()

    def _flush_page(self) -> None:
        words = np.concatenate(self._page)
        owners = np.repeat(np.arange(len(self._page), dtype=np.uint16), [len(part) for part in self._page])
        self._postings.append(owners[np.argsort(words, kind="stable")])
        ends = np.cumsum(np.bincount(words, minlength=WORDS))
        self._starts.append(self._end + np.concatenate([[0], ends]))
        self._end += len(words)
        self._page = []


_DTYPES = {
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


def _check_parts(parts: Mapping[str, np.ndarray | LazyArray]) -> None:
    """Raise IndexFileError unless types and sizes fit together; then all later reads lie inside the arrays."""
    try:
        wrong = [name for name, fits in _test_parts(parts) if not fits]
    except (KeyError, ValueError, IndexError) as error:
        raise IndexFileError(
            f"{FILE}: its parts are missing or do not fit together ({error}); build the bundle again."
        ) from error
    if wrong:
        raise IndexFileError(f"{FILE}: its parts do not fit together ({', '.join(wrong)}); build the bundle again.")


def _test_parts(parts: Mapping[str, np.ndarray | LazyArray]) -> Iterator[tuple[str, bool]]:
    """Yield the name of a part and whether it fits."""
    sizes, starts, words = (parts[name][:].astype(np.int64) for name in ("sizes", "starts", "word_starts"))
    pages, postings, blocks = -(-len(sizes) // PAGE), parts["postings"], len(parts["packed"])
    yield from ((name, parts[name].dtype == dtype) for name, dtype in _DTYPES.items())
    yield from ((name, parts[name].shape == shape) for name, shape in CODEBOOK_SHAPES.items())
    yield "sizes", sizes.ndim == 1 and len(sizes) > 0 and parts["word_counts"].shape == sizes.shape
    yield "starts", starts[0] == 0 and np.array_equal(np.diff(starts), -(-sizes // BLOCK)) and starts[-1] == blocks
    yield "packed", parts["packed"].shape == (blocks, SUBQUANTIZERS // 2, BLOCK)
    yield "places", parts["places"].shape == (blocks * BLOCK, 4)
    yield "word_starts", words.shape == (pages * (WORDS + 1),) and words[-1] == len(postings)
    yield "word_starts", words[0] == 0 and bool((np.diff(words) >= 0).all())
    yield "postings", len(postings.shape) == 1
