"""The second eye: what is printed on a product. It finds pictures by visual words and verifies them by geometry.

A picture's local features (`sift.py`) are kept as product-quantized codes with their places, 20 bytes each, one picture
after another, and mapped: only those of a shortlist are read. An inverted file of visual words (Sivic, Zisserman, Video
Google, ICCV 2003; binary counts, idf) names pictures that the embedding did not. Whether a photo and a picture show the
same print is decided by matching codes (ADC, Lowe's ratio test) and one map that explains the matches (`geometry.py`).

Where features come from was measured on 130 photos of drawn twins, recall@1 (embedding alone 0.300), with matching and
codes as here, of the whole photo: these features at a side of 560 px 0.862, 640 px 0.877, 1120 px 0.915 (four times the
work of 560); OpenCV's SIFT, which doubles the picture, at 280 px 0.846 and at 560 px 0.931. On 240 photos of groceries
(0.662) these give 0.692, OpenCV's 0.688, whose wheel takes 150 MB on a device. A head on the network's own maps was not
tried. On 780 photos of twins, of the object alone: 560 px 0.862, 640 px 0.881.

P features of a picture, N pictures, M = 32 subquantizers of 16 codewords, W words. Places and sigmas are shares of the
picture's longer side; turns are full circles.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from . import arrays, geometry, image, kernel, sift, stopping
from .arrays import Rows, Source
from .embedder import artifact
from .errors import IndexFileError
from .kernel import BLOCK, MAX_LEVEL
from .looks import Square
from .manifest import sha256
from .pq import CODEWORDS, ProductQuantizer
from .spool import Spool
from .views import View, warped

FILE = "local.arrays"
CODEBOOK_FILE = "codebook.arrays"
DEFAULT_CODEBOOK = "print_v1"
LAYOUT = 1
LARGE = ("packed", "places", "postings")  # arrays that grow with the pictures, and are read in part
KIND = "sift"  # features of another kind would not match these
SUBQUANTIZERS, HALVES, CODEWORDS_A_HALF = 32, 2, 64
WORDS = CODEWORDS_A_HALF**HALVES
KEPT = 256  # features of a reference image, unless told otherwise
MOST_KEPT = 2048
QUERY_FEATURES = 500
AROUND = 0.2  # the object's square on each side, of its side: what is looked at in a photo
SIDE = 640  # px; geometric mean of the sides of the picture that is looked at
VIEWS = (View(0.5, 1.0, 0.0), View(0.35, 1.0, 0.0), View(0.7, 0.7, 0.07), View(0.7, 0.8, -0.1))  # as a shop may show it
CANDIDATES_PER_KEPT = 4
LEAST_COSINE = 0.6  # between a feature and itself in another view
RATIO = 0.85  # of the distances to the nearest and to the next reference feature; 0.8 of exact descriptors is as strict
LEAST_POINTS = 5  # by chance four places agree now and then
MIRROR_BELOW, MIRROR_LEAST = 20, 10  # points: with fewer the mirror image is tried, with as many it counts
MIRROR_TRIED = 8  # pictures
SAME = 0.3  # squared distance from which a feature says nothing for the print
CHANCE, ENOUGH = 1.0, 8.0  # evidence that chance brings, and that which closes half the gap to a cosine of 1
LEAST_SIGMA, SIGMA_STEPS = 1 / 512, 32  # of the first level, levels an octave
PAGE = 1 << 16  # pictures, whose numbers in the inverted file are 16 bits wide
MOST_POSTINGS = 1 << 20  # of one query, those of its rarest words: 2 MB


class Print(NamedTuple):
    """The local features of a picture.

    Attributes: keypoints: (P, 4) float32: x, y, sigma, direction in turns; descriptors: (P, 128) float32, unit rows.
    """

    keypoints: np.ndarray
    descriptors: np.ndarray

    def mirrored(self) -> "Print":
        """Those of the mirrored picture, as a camera for selfies shows it; x counts from the right, below 0."""
        x, y, sigma, turn = self.keypoints.T
        cells = self.descriptors.reshape(-1, sift.CELLS, sift.CELLS, sift.DIRECTIONS)
        # A keypoint's direction is mirrored with it, so what lay on its one side lies on the other.
        flipped = cells[:, ::-1][..., -np.arange(sift.DIRECTIONS) % sift.DIRECTIONS]
        return Print(np.column_stack([-x, y, sigma, (0.5 - turn) % 1]), flipped.reshape(-1, sift.DIM))


class Coded(NamedTuple):
    """The same as it is kept, filled up to whole blocks of 32.

    Attributes: size: P; packed: (P / 32, M/2, 32) uint8; places: (32 P / 32, 4) uint8; words: (V,) uint16, in order.
    """

    size: int
    packed: np.ndarray
    places: np.ndarray
    words: np.ndarray

    def to_bytes(self) -> bytes:
        """Little-endian: P as uint32, then the arrays one after another."""
        parts = (self.packed, self.places, self.words.astype("<u2"))
        return self.size.to_bytes(4, "little") + b"".join(part.tobytes() for part in parts)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Coded":
        """Raises ValueError: not what `to_bytes` gives."""
        size = int.from_bytes(data[:4], "little")
        rows = -(-size // BLOCK) * BLOCK
        codes = rows * SUBQUANTIZERS // 2
        packed, places, words = data[4:][:codes], data[4 + codes :][: 4 * rows], data[4 + codes + 4 * rows :]
        return cls(
            size,
            np.frombuffer(packed, np.uint8).reshape(rows // BLOCK, SUBQUANTIZERS // 2, BLOCK),
            np.frombuffer(places, np.uint8).reshape(rows, 4),
            np.frombuffer(words, "<u2"),
        )

    def first(self, count: int, codebook: "Codebook") -> "Coded":
        """With its first features alone; count: a multiple of 32.

        Which of the words they have is worked out from their codes.
        """
        if self.size <= count:
            return self
        packed = self.packed[: count // BLOCK]
        pairs = packed.transpose(0, 2, 1).reshape(count, -1)
        seen = codebook.codes.decode(np.stack([pairs & 15, pairs >> 4], 2).reshape(count, -1))
        halves = np.divmod(self.words.astype(np.int64), CODEWORDS_A_HALF)
        words = np.concatenate([codebook.words.codebook[i][half] for i, half in enumerate(halves)], 1)
        nearest = ((words**2).sum(1) - 2 * seen @ words.T).argmin(1)
        return Coded(count, packed, self.places[:count], self.words[np.unique(nearest)])


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


def look(picture: np.ndarray, part: Square | None = None, most: int = QUERY_FEATURES) -> Print:
    """The strongest features of a picture, (H, W, 3) uint8, or of what is in and around a square of it.

    Seen from near, small print is larger; what stands aside would take the place of features of the product.
    """
    size = height, width = picture.shape[:2]
    left, top, right, bottom = part.within(size, AROUND) if part else (0, 0, width, height)
    if min(right - left, bottom - top) < image.MIN_SIDE:  # the square lies beside the picture
        left, top, right, bottom = 0, 0, width, height
    grey = image.grey(picture[top:bottom, left:right], SIDE)
    scale = max(right - left, bottom - top) / max(grey.shape)
    return _shared(sift.detect(grey, most), scale / max(size), np.array([left, top]) / max(size))


def steady(picture: np.ndarray, kept: int = KEPT) -> Print:
    """The features of a reference image, (H, W, 3) uint8, that are found again in other views of it.

    From far or from an angle, strong features of small print are lost first, and photos are asked from there.
    """
    grey = image.grey(picture, SIDE)
    found = sift.detect(grey, CANDIDATES_PER_KEPT * kept)
    unit = found.descriptors / np.float32(sift.DESCRIPTOR_SCALE)
    worth = np.linspace(0.5, 0, len(unit))  # of equals the stronger
    for view in VIEWS:
        seen, affine = warped(grey, view)
        other = sift.detect(seen, CANDIDATES_PER_KEPT * kept)
        alike = unit @ (other.descriptors / np.float32(sift.DESCRIPTOR_SCALE)).T
        again = np.where(_same_place(found.keypoints, other.keypoints, affine), alike, 0).max(1, initial=0)
        worth += (again - LEAST_COSINE).clip(0) / (1 - LEAST_COSINE)
    best = np.argsort(-worth, kind="stable")[:kept]
    return _shared(sift.Features(found.keypoints[best], found.descriptors[best]), 1 / max(grey.shape))


@dataclass(frozen=True)
class Codebook:
    """How descriptors become codes and words.

    Attributes: codes: 32 subquantizers of 16; words: 2 of 64, whose pairs are the 4,096 words.
    """

    codes: ProductQuantizer
    words: ProductQuantizer

    @classmethod
    def fit(cls, descriptors: np.ndarray, seed: int = 0) -> "Codebook":
        """descriptors: (B, 128) float32, unit rows, B >= 1."""
        return cls(
            ProductQuantizer.fit(descriptors, SUBQUANTIZERS, seed, rotated=False),
            ProductQuantizer.fit(descriptors, HALVES, seed, codewords=CODEWORDS_A_HALF, rotated=False),
        )

    @property
    def digest(self) -> str:
        """Names the codes: those of another codebook are nonsense with it."""
        return sha256(KIND.encode() + self.codes.codebook.tobytes() + self.words.codebook.tobytes())

    def words_of(self, descriptors: np.ndarray) -> np.ndarray:
        """The different words of a picture, in order: (B, 128) float32 -> (V,) int64."""
        if not len(descriptors):
            return np.empty(0, np.int64)
        first, second = self.words.encode(descriptors).astype(np.int64).T
        return np.unique(first * CODEWORDS_A_HALF + second)

    def levels(self, descriptors: np.ndarray) -> "Tables":
        """Tables of (B, 128) float32 descriptors, in 64 levels: a squared distance is bias - step * sum of levels."""
        table = 2 * self.codes.table(descriptors) - (self.codes.codebook**2).sum(2)
        low = table.min(2, keepdims=True)
        steps = (table - low).max((1, 2), keepdims=True) / MAX_LEVEL
        levels = np.ascontiguousarray(np.rint((table - low) / steps), np.uint8)
        return Tables(levels, steps[:, 0, 0], (descriptors**2).sum(1) - low.sum((1, 2)))

    def encode(self, found: Print) -> Coded:
        """What is kept of a reference image."""
        size, blocks = len(found.keypoints), -(-len(found.keypoints) // BLOCK)
        codes, places = np.zeros((blocks * BLOCK, SUBQUANTIZERS), np.uint8), np.zeros((blocks * BLOCK, 4), np.uint8)
        codes[:size], places[:size] = self.codes.encode(found.descriptors), _rounded(found.keypoints)
        return Coded(size, kernel.pack(codes), places, self.words_of(found.descriptors).astype(np.uint16))

    def write(self, path: Path) -> None:
        """To a file that `read` reads."""
        arrays.write(path, {"codes": self.codes.codebook, "words": self.words.codebook}, {"kind": KIND})

    @classmethod
    def read(cls, path: Path) -> "Codebook":
        """Raises IndexFileError: not such a file."""
        try:
            parts, meta = arrays.read(memoryview(path.read_bytes()), str(path))
        except OSError as error:
            raise IndexFileError(f"{path}: cannot be read ({error.strerror}); reinstall edgesearch.") from error
        shapes = {name: part.shape for name, part in parts.items()}
        if meta.get("kind") != KIND or shapes != _CODEBOOK_SHAPES:
            raise IndexFileError(f"{path}: not a codebook of local features; reinstall edgesearch.")
        return cls(ProductQuantizer(None, parts["codes"]), ProductQuantizer(None, parts["words"]))


class LocalIndex:
    """The features of all reference images, in the order of the index's rows."""

    def __init__(self, parts: Mapping[str, np.ndarray], large: Mapping[str, np.ndarray | Rows]):
        """The arrays of the file, as `build` makes them; large: those of which a search reads a few rows."""
        self.codebook = Codebook(ProductQuantizer(None, parts["codes"]), ProductQuantizer(None, parts["words"]))
        self._parts, self._large = parts, large

    @classmethod
    def build(cls, codebook: Codebook, pictures: Iterable[Coded], folder: Path | None = None) -> "LocalIndex":
        """
        Args:    pictures: at least one, as `Codebook.encode` makes them; folder: where the large arrays are gathered,
                 None for in memory.
        """
        packed = Spool((SUBQUANTIZERS // 2, BLOCK), "uint8", folder and folder / "packed")
        places = Spool((4,), "uint8", folder and folder / "places")
        inverted = _Inverted(Spool((), "uint16", folder and folder / "postings"))
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

    def pictures(self) -> Iterator[Coded]:
        """What is kept of each, as it was built."""
        starts, sizes = self._parts["starts"].astype(int), self._parts["sizes"].astype(int)
        packed, places = self._large["packed"], self._large["places"]
        for row, words in enumerate(self._words()):
            first, last = starts[row : row + 2].tolist()
            yield Coded(int(sizes[row]), packed[first:last], places[first * BLOCK : last * BLOCK], words)

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
        arrays.write(path, {**self._parts, **large}, {"layout": LAYOUT, "kind": KIND})

    @classmethod
    def open(cls, data: memoryview | Source) -> "LocalIndex":
        """View the index inside `data`.

        Raises: IndexFileError: not such a file, of another kind, or its parts do not fit together.
        """
        stored, meta = arrays.find(data, FILE)
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

    def let_go(self) -> None:
        """Take out of memory what the last searches read."""
        for rows in self._large.values():
            if isinstance(rows, Rows):
                rows.let_go()

    def candidates(self, photo: Print, count: int, allowed: np.ndarray | None = None) -> np.ndarray:
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

    def verify(self, photo: Print, rows: Sequence[int]) -> list[Evidence]:
        """What the photo has in common with each of those pictures; where nearly nothing, its mirror image is tried."""
        found = self._compared(photo, rows)
        if max((one.points for one in found), default=0) >= MIRROR_BELOW:
            return found
        mirrored = self._compared(photo.mirrored(), rows[:MIRROR_TRIED])
        for i, one in enumerate(mirrored):
            if one.points >= max(MIRROR_LEAST, found[i].points + 1):  # letters such as O agree either way
                found[i] = one._replace(outline=one.outline * (-1, 1), mirrored=True)
        return found

    def _compared(self, photo: Print, rows: Sequence[int]) -> list[Evidence]:
        if len(photo.descriptors) < LEAST_POINTS:
            return [NOTHING] * len(rows)
        tables = self.codebook.levels(photo.descriptors)
        return [self._evidence(photo, tables, row) for row in rows]

    def _evidence(self, photo: Print, tables: "Tables", row: int) -> Evidence:
        stopping.check()
        first, last, size = *self._parts["starts"][row : row + 2].astype(int), int(self._parts["sizes"][row])
        packed, places = self._large["packed"][first:last], self._large["places"][first * BLOCK : first * BLOCK + size]
        found, sums = kernel.match(tables.levels, packed, size)
        nearest, next_to_it = tables.distances(sums).T
        asked = np.flatnonzero(nearest < RATIO**2 * next_to_it)
        asked = asked[np.argsort(nearest[asked], kind="stable")]
        _, once = np.unique(found[asked], return_index=True)  # a reference feature matches once
        asked = asked[np.sort(once)]
        agreed = geometry.agree(photo.keypoints[asked], _exact(places[found[asked]]))
        if agreed.places < LEAST_POINTS:
            return NOTHING
        reference = _exact(places)
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


class Tables(NamedTuple):
    """A photo's features, ready for asymmetric distances (ADC).

    Attributes: levels: (P, M, 16) uint8 up to 63; steps, biases: (P,) float32.
    """

    levels: np.ndarray
    steps: np.ndarray
    biases: np.ndarray

    def distances(self, sums: np.ndarray) -> np.ndarray:
        """Squared distances to the codes whose levels add up to `sums`, (P, k) uint16 -> (P, k) float32."""
        return self.biases[:, None] - self.steps[:, None] * sums


def default_codebook() -> Codebook:
    """The shipped one."""
    return Codebook.read(artifact(DEFAULT_CODEBOOK) / CODEBOOK_FILE)


def _shared(found: sift.Features, scale: float, corner: ArrayLike = (0, 0)) -> Print:
    """Places in shares of the longer side, descriptors of unit length; corner: of the picture."""
    keypoints = found.keypoints * np.array([scale] * 3 + [1], np.float32)
    keypoints[:, :2] += np.asarray(corner, np.float32)
    return Print(keypoints, found.descriptors / np.float32(sift.DESCRIPTOR_SCALE))


def _same_place(keypoints: np.ndarray, others: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """(P, Q) bool: a keypoint, (P, 4) px, is shown by the map where the other is, (Q, 4), and as large."""
    x, y = affine[:, :2] @ keypoints[:, :2].T + affine[:, 2:]
    sigma = keypoints[:, 2] * np.sqrt(np.linalg.det(affine[:, :2]))
    off = np.hypot(x[:, None] - others[:, 0], y[:, None] - others[:, 1])
    octaves = np.abs(np.log2(others[:, 2] / sigma[:, None]))
    return (off < np.maximum(1, 0.6 * sigma)[:, None]) & (octaves < 0.5)


def _outline(reference: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """(4, 2) float64: the box around the reference's features, as the map shows it."""
    (left, top), (right, bottom) = reference[:, :2].min(0), reference[:, :2].max(0)
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)
    return corners @ affine[:, :2].T + affine[:, 2]


def _rounded(keypoints: np.ndarray) -> np.ndarray:
    """(P, 4) float32 -> (P, 4) uint8."""
    octaves = np.log2(keypoints[:, 2] / LEAST_SIGMA) * SIGMA_STEPS
    levels = np.column_stack([keypoints[:, :2] * 255, octaves, keypoints[:, 3] * 256 % 255.5])
    return np.rint(levels).clip(0, 255).astype(np.uint8)


def _exact(places: np.ndarray) -> np.ndarray:
    """(P, 4) uint8 -> (P, 4) float32."""
    x, y, octaves, turns = places.astype(np.float32).T
    return np.column_stack([x / 255, y / 255, LEAST_SIGMA * 2 ** (octaves / SIGMA_STEPS), turns / 256])


class _Inverted:
    """The pictures of each word, in order, page after page."""

    def __init__(self, postings: Spool):
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


_CODEBOOK_SHAPES = {
    "codes": (SUBQUANTIZERS, CODEWORDS, sift.DIM // SUBQUANTIZERS),
    "words": (HALVES, CODEWORDS_A_HALF, sift.DIM // HALVES),
}


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
    yield from ((name, parts[name].shape == shape) for name, shape in _CODEBOOK_SHAPES.items())
    yield "sizes", sizes.ndim == 1 and len(sizes) > 0 and parts["word_counts"].shape == sizes.shape
    yield "starts", starts[0] == 0 and np.array_equal(np.diff(starts), -(-sizes // BLOCK)) and starts[-1] == blocks
    yield "packed", parts["packed"].shape == (blocks, SUBQUANTIZERS // 2, BLOCK)
    yield "places", parts["places"].shape == (blocks * BLOCK, 4)
    yield "word_starts", words.shape == (pages * (WORDS + 1),) and words[-1] == len(postings)
    yield "word_starts", words[0] == 0 and bool((np.diff(words) >= 0).all())
    yield "postings", len(postings.shape) == 1
