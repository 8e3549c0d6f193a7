"""What is printed in a picture: its local features, and how they are kept.

A picture's local features (`sift.py`) are kept as product-quantized codes with their places, 20 bytes each, and as
visual words. Of a reference image those are taken that are found again in other views of it; of a photo the strongest.

Where features come from was measured on 130 photos of drawn twins, recall@1 (embedding alone 0.300), with matching and
codes as here, of the whole photo: these features at a side of 560 px 0.862, 640 px 0.877, 1120 px 0.915 (four times the
work of 560); OpenCV's SIFT, which doubles the picture, at 280 px 0.846 and at 560 px 0.931. On 240 photos of groceries
(0.662) these give 0.692, OpenCV's 0.688, whose wheel takes 150 MB on a device. A head on the network's own maps was not
tried. On 780 photos of twins, of the object alone: 560 px 0.862, 640 px 0.881.

P features of a picture, M = 32 subquantizers of 16 codewords, W words. Places and sigmas are shares of the picture's
longer side; turns are full circles.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .._util import array_file
from .._util.hashing import sha256
from ..embedding.embedder import artifact_folder
from ..errors import IndexFileError
from ..images import image
from ..images.augmented_views import View, warp_view
from ..images.crops import Crop
from ..index import kernel
from ..index.kernel import BLOCK, MAX_LEVEL
from ..index.product_quantizer import CODEWORDS, ProductQuantizer
from . import sift

CODEBOOK_FILE = "codebook.arrays"
DEFAULT_CODEBOOK = "local_features_v1"
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
LEAST_SIGMA, SIGMA_STEPS = 1 / 512, 32  # of the first level, levels an octave
CODEBOOK_SHAPES = {
    "codes": (SUBQUANTIZERS, CODEWORDS, sift.DIM // SUBQUANTIZERS),
    "words": (HALVES, CODEWORDS_A_HALF, sift.DIM // HALVES),
}


class LocalFeatures(NamedTuple):
    """The local features of a picture.

    Attributes: keypoints: (P, 4) float32: x, y, sigma, direction in turns; descriptors: (P, 128) float32, unit rows.
    """

    keypoints: np.ndarray
    descriptors: np.ndarray

    def mirrored(self) -> "LocalFeatures":
        """Those of the mirrored picture, as a camera for selfies shows it; x counts from the right, below 0."""
        x, y, sigma, turn = self.keypoints.T
        cells = self.descriptors.reshape(-1, sift.CELLS, sift.CELLS, sift.DIRECTIONS)
        # A keypoint's direction is mirrored with it, so what lay on its one side lies on the other.
        flipped = cells[:, ::-1][..., -np.arange(sift.DIRECTIONS) % sift.DIRECTIONS]
        return LocalFeatures(np.column_stack([-x, y, sigma, (0.5 - turn) % 1]), flipped.reshape(-1, sift.DIM))


class PackedFeatures(NamedTuple):
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
    def from_bytes(cls, data: bytes) -> "PackedFeatures":
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

    def first(self, count: int, codebook: "Codebook") -> "PackedFeatures":
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
        return PackedFeatures(count, packed, self.places[:count], self.words[np.unique(nearest)])


def look(picture: np.ndarray, part: Crop | None = None, most: int = QUERY_FEATURES) -> LocalFeatures:
    """The strongest features of a picture, (H, W, 3) uint8, or of what is in and around a square of it.

    Seen from near, small print is larger; what stands aside would take the place of features of the product.
    """
    size = height, width = picture.shape[:2]
    left, top, right, bottom = part.clip(size, AROUND) if part else (0, 0, width, height)
    if min(right - left, bottom - top) < image.MIN_SIDE:  # the square lies beside the picture
        left, top, right, bottom = 0, 0, width, height
    grey = image.to_grey(picture[top:bottom, left:right], SIDE)
    scale = max(right - left, bottom - top) / max(grey.shape)
    return _shared(sift.detect(grey, most), scale / max(size), np.array([left, top]) / max(size))


def steady(picture: np.ndarray, kept: int = KEPT) -> LocalFeatures:
    """The features of a reference image, (H, W, 3) uint8, that are found again in other views of it.

    From far or from an angle, strong features of small print are lost first, and photos are asked from there.
    """
    grey = image.to_grey(picture, SIDE)
    found = sift.detect(grey, CANDIDATES_PER_KEPT * kept)
    unit = found.descriptors / np.float32(sift.DESCRIPTOR_SCALE)
    worth = np.linspace(0.5, 0, len(unit))  # of equals the stronger
    for view in VIEWS:
        seen, affine = warp_view(grey, view)
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

    def encode(self, found: LocalFeatures) -> PackedFeatures:
        """What is kept of a reference image."""
        size, blocks = len(found.keypoints), -(-len(found.keypoints) // BLOCK)
        codes, places = np.zeros((blocks * BLOCK, SUBQUANTIZERS), np.uint8), np.zeros((blocks * BLOCK, 4), np.uint8)
        codes[:size], places[:size] = self.codes.encode(found.descriptors), _rounded(found.keypoints)
        return PackedFeatures(size, kernel.pack(codes), places, self.words_of(found.descriptors).astype(np.uint16))

    def write(self, path: Path) -> None:
        """To a file that `read` reads."""
        array_file.write(path, {"codes": self.codes.codebook, "words": self.words.codebook}, {"kind": KIND})

    @classmethod
    def read(cls, path: Path) -> "Codebook":
        """Raises IndexFileError: not such a file."""
        try:
            parts, meta = array_file.read(memoryview(path.read_bytes()), str(path))
        except OSError as error:
            raise IndexFileError(f"{path}: cannot be read ({error.strerror}); reinstall edgesearch.") from error
        shapes = {name: part.shape for name, part in parts.items()}
        if meta.get("kind") != KIND or shapes != CODEBOOK_SHAPES:
            raise IndexFileError(f"{path}: not a codebook of local features; reinstall edgesearch.")
        return cls(ProductQuantizer(None, parts["codes"]), ProductQuantizer(None, parts["words"]))


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
    return Codebook.read(artifact_folder(DEFAULT_CODEBOOK) / CODEBOOK_FILE)


def _shared(found: sift.Features, scale: float, corner: ArrayLike = (0, 0)) -> LocalFeatures:
    """Places in shares of the longer side, descriptors of unit length; corner: of the picture."""
    keypoints = found.keypoints * np.array([scale] * 3 + [1], np.float32)
    keypoints[:, :2] += np.asarray(corner, np.float32)
    return LocalFeatures(keypoints, found.descriptors / np.float32(sift.DESCRIPTOR_SCALE))


def _same_place(keypoints: np.ndarray, others: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """(P, Q) bool: a keypoint, (P, 4) px, is shown by the map where the other is, (Q, 4), and as large."""
    x, y = affine[:, :2] @ keypoints[:, :2].T + affine[:, 2:]
    sigma = keypoints[:, 2] * np.sqrt(np.linalg.det(affine[:, :2]))
    off = np.hypot(x[:, None] - others[:, 0], y[:, None] - others[:, 1])
    octaves = np.abs(np.log2(others[:, 2] / sigma[:, None]))
    return (off < np.maximum(1, 0.6 * sigma)[:, None]) & (octaves < 0.5)


def _rounded(keypoints: np.ndarray) -> np.ndarray:
    """(P, 4) float32 -> (P, 4) uint8."""
    octaves = np.log2(keypoints[:, 2] / LEAST_SIGMA) * SIGMA_STEPS
    levels = np.column_stack([keypoints[:, :2] * 255, octaves, keypoints[:, 3] * 256 % 255.5])
    return np.rint(levels).clip(0, 255).astype(np.uint8)


def exact(places: np.ndarray) -> np.ndarray:
    """(P, 4) uint8 -> (P, 4) float32."""
    x, y, octaves, turns = places.astype(np.float32).T
    return np.column_stack([x / 255, y / 255, LEAST_SIGMA * 2 ** (octaves / SIGMA_STEPS), turns / 256])
