"""Extract the local features of pictures and pack them for an index.

A picture's local features (`sift.py`) are stored as product-quantized codes with quantized keypoints, 20 bytes each,
and as visual words. A reference picture keeps the features that other views of it show too; a photo, the strongest.

The feature detector was chosen by recall@1 on 130 photos of drawn twins (embedding alone: 0.300), of the whole photo,
with matching and codes as here: these features 0.862 at a side of 560 px, 0.877 at 640 px, 0.915 at 1120 px (four times
the work of 560); OpenCV's SIFT, which doubles the picture, 0.846 at 280 px and 0.931 at 560 px. On 240 photos of
groceries (0.662), these features give 0.692 and OpenCV's 0.688, but its wheel takes 150 MB on a device. A head on the
network's own maps was not tried. On 780 photos of twins, cropped to the object: 0.862 at 560 px, 0.881 at 640 px.

Shapes: P features of a picture, M = 32 subquantizers of 16 codewords, W words. Positions and sigmas are shares of the
picture's longer side; turns are full circles.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .._util import array_file
from .._util.hashing import sha256
from ..embedding.shipped_models import artifact_folder
from ..errors import IndexFileError
from ..images import image
from ..images.augmented_views import View, warp_view
from ..images.crops import Crop
from ..index import kernel
from ..index.kernel import BLOCK
from ..index.product_quantizer import CODEWORDS, ProductQuantizer
from . import sift
from .keypoint_codes import quantize_keypoints

CODEBOOK_FILE = "codebook.arrays"
DEFAULT_CODEBOOK = "local_features_v1"
KIND = "sift"  # features of another kind would not match
SUBQUANTIZERS, HALVES, CODEWORDS_PER_HALF = 32, 2, 64
WORDS = CODEWORDS_PER_HALF**HALVES
DEFAULT_FEATURES, MAX_FEATURES = 256, 2048  # of a reference picture
QUERY_FEATURES = 500
CROP_MARGIN = 0.2  # added on each side of the object's crop, in sides of the crop
SIDE = 640  # px, geometric mean of the sides of the picture in which features are detected
VIEWS = (View(0.5, 1.0, 0.0), View(0.35, 1.0, 0.0), View(0.7, 0.7, 0.07), View(0.7, 0.8, -0.1))
CANDIDATES_PER_FEATURE = 4
MIN_COSINE = 0.6  # between a feature and itself in another view
CODEBOOK_SHAPES = {
    "codes": (SUBQUANTIZERS, CODEWORDS, sift.DIM // SUBQUANTIZERS),
    "words": (HALVES, CODEWORDS_PER_HALF, sift.DIM // HALVES),
}


class LocalFeatures(NamedTuple):
    """The local features of a picture.

    Attributes:
        keypoints: (P, 4) float32: x, y, sigma, direction in turns.
        descriptors: (P, 128) float32, unit rows.
    """

    keypoints: np.ndarray
    descriptors: np.ndarray

    def mirrored(self) -> "LocalFeatures":
        """Return the features of the mirrored picture, as selfie cameras show it; x counts from the right, below 0."""
        x, y, sigma, turn = self.keypoints.T
        cells = self.descriptors.reshape(-1, sift.CELLS, sift.CELLS, sift.DIRECTIONS)
        # The keypoint's direction is mirrored too, so what lay on one side of it lies on the other.
        flipped = cells[:, ::-1][..., -np.arange(sift.DIRECTIONS) % sift.DIRECTIONS]
        return LocalFeatures(np.column_stack([-x, y, sigma, (0.5 - turn) % 1]), flipped.reshape(-1, sift.DIM))


class PackedFeatures(NamedTuple):
    """The local features of a picture as an index stores them, padded to whole blocks of 32.

    Attributes:
        size: P, without padding.
        packed: (ceil(P / 32), M/2, 32) uint8, codes of the descriptors, from `kernel.pack_codes`.
        keypoints: (P, 4) uint8, P rounded up to whole blocks, quantized; `dequantize_keypoints` restores them.
        words: (V,) uint16, the visual words, ascending.
    """

    size: int
    packed: np.ndarray
    keypoints: np.ndarray
    words: np.ndarray

    def to_bytes(self) -> bytes:
        """Return P as a little-endian uint32, then the arrays one after another."""
        parts = (self.packed, self.keypoints, self.words.astype("<u2"))
        return self.size.to_bytes(4, "little") + b"".join(part.tobytes() for part in parts)

    @classmethod
    def from_bytes(cls, data: bytes) -> "PackedFeatures":
        """Read what `to_bytes` wrote; raise ValueError if the bytes are something else."""
        size = int.from_bytes(data[:4], "little")
        rows = -(-size // BLOCK) * BLOCK
        codes = rows * SUBQUANTIZERS // 2
        packed, keypoints, words = data[4:][:codes], data[4 + codes :][: 4 * rows], data[4 + codes + 4 * rows :]
        return cls(
            size,
            np.frombuffer(packed, np.uint8).reshape(rows // BLOCK, SUBQUANTIZERS // 2, BLOCK),
            np.frombuffer(keypoints, np.uint8).reshape(rows, 4),
            np.frombuffer(words, "<u2"),
        )

    def check(self) -> None:
        """Raise ValueError if an index could not take these features, which come from elsewhere."""
        words = self.words.astype(np.int64)
        if self.size > MAX_FEATURES or not (np.diff(words) > 0).all() or (words >= WORDS).any():
            raise ValueError(f"{self.size} local features of {len(words)} visual words")

    def truncate(self, count: int, codebook: "Codebook") -> "PackedFeatures":
        """Return the first `count` features, a multiple of 32, with the words that are nearest to their codes."""
        if self.size <= count:
            return self
        packed = self.packed[: count // BLOCK]
        pairs = packed.transpose(0, 2, 1).reshape(count, -1)
        decoded = codebook.codes.decode(np.stack([pairs & 15, pairs >> 4], 2).reshape(count, -1))
        halves = np.divmod(self.words.astype(np.int64), CODEWORDS_PER_HALF)
        words = np.concatenate([codebook.words.codebook[i][half] for i, half in enumerate(halves)], 1)
        nearest = ((words**2).sum(1) - 2 * decoded @ words.T).argmin(1)
        return PackedFeatures(count, packed, self.keypoints[:count], self.words[np.unique(nearest)])


def extract_query_features(picture: np.ndarray, crop: Crop | None = None, limit: int = QUERY_FEATURES) -> LocalFeatures:
    """Return the strongest features of a query photo, or of a crop of it with a margin.

    Small lettering is larger in a crop, and other objects do not crowd out the features of the product.

    Args: picture: (H, W, 3) uint8; limit: most features to return.
    """
    size = height, width = picture.shape[:2]
    left, top, right, bottom = crop.clip(size, CROP_MARGIN) if crop else (0, 0, width, height)
    if min(right - left, bottom - top) < image.MIN_SIDE:  # the crop lies outside the picture
        left, top, right, bottom = 0, 0, width, height
    grey = image.to_grey(picture[top:bottom, left:right], SIDE)
    scale = max(right - left, bottom - top) / max(grey.shape)
    return _rescale(sift.detect(grey, limit), scale / max(size), np.array([left, top]) / max(size))


def extract_stable_features(picture: np.ndarray, limit: int = DEFAULT_FEATURES) -> LocalFeatures:
    """Return the features of a reference picture that other views of it show too.

    From far away or at an angle, a photo loses the strong features of small lettering first.

    Args: picture: (H, W, 3) uint8; limit: most features to return.
    """
    grey = image.to_grey(picture, SIDE)
    found = sift.detect(grey, CANDIDATES_PER_FEATURE * limit)
    unit = found.descriptors / np.float32(sift.DESCRIPTOR_SCALE)
    stability = np.linspace(0.5, 0, len(unit))  # the stronger of equals wins
    for view in VIEWS:
        warped_grey, affine = warp_view(grey, view)
        other = sift.detect(warped_grey, CANDIDATES_PER_FEATURE * limit)
        here, there = _find_same_position(found.keypoints, other.keypoints, affine)
        others = other.descriptors / np.float32(sift.DESCRIPTOR_SCALE)
        highest = np.zeros(len(unit), np.float32)
        np.maximum.at(highest, here, np.einsum("pd,pd->p", unit[here], others[there]))
        stability += (highest - MIN_COSINE).clip(0) / (1 - MIN_COSINE)
    best = np.argsort(-stability, kind="stable")[:limit]
    return _rescale(sift.SiftFeatures(found.keypoints[best], found.descriptors[best]), 1 / max(grey.shape))


@dataclass(frozen=True)
class Codebook:
    """The quantizers that turn descriptors into codes and visual words.

    Attributes:
        codes: 32 subquantizers of 16 codewords.
        words: 2 subquantizers of 64 codewords, whose pairs are the 4,096 words.
    """

    codes: ProductQuantizer
    words: ProductQuantizer

    @classmethod
    def fit(cls, descriptors: np.ndarray, seed: int = 0) -> "Codebook":
        """Learn a codebook from descriptors, (B, 128) float32, unit rows, B >= 1."""
        return cls(
            ProductQuantizer.fit(descriptors, SUBQUANTIZERS, seed, rotated=False),
            ProductQuantizer.fit(descriptors, HALVES, seed, codewords=CODEWORDS_PER_HALF, rotated=False),
        )

    @property
    def digest(self) -> str:
        """Hash of the codebook; codes of another codebook are nonsense with it."""
        return sha256(KIND.encode() + self.codes.codebook.tobytes() + self.words.codebook.tobytes())

    def find_words(self, descriptors: np.ndarray) -> np.ndarray:
        """Return the distinct words of a picture's descriptors, ascending: (B, 128) float32 -> (V,) int64."""
        if not len(descriptors):
            return np.empty(0, np.int64)
        first, second = kernel.encode(descriptors, *self._word_columns).astype(np.int64).T
        return np.flatnonzero(np.bincount(first * CODEWORDS_PER_HALF + second))

    def make_tables(self, descriptors: np.ndarray) -> "DistanceTables":
        """Quantize the distances of descriptors (B, 128) float32 to all codewords: 64 levels per descriptor."""
        levels, lows, steps = kernel.quantize_products(descriptors, *self._code_columns)
        added = lows.T.copy().sum(0)  # one after the other, as numpy adds rows
        return DistanceTables(levels, steps, (descriptors**2).sum(1) - added)

    @cached_property
    def _word_columns(self) -> tuple[np.ndarray, np.ndarray]:
        return _to_columns(self.words)

    @cached_property
    def _code_columns(self) -> tuple[np.ndarray, np.ndarray]:
        return _to_columns(self.codes)

    def encode(self, features: LocalFeatures) -> PackedFeatures:
        """Pack the features of a reference picture."""
        size, blocks = len(features.keypoints), -(-len(features.keypoints) // BLOCK)
        codes, keypoints = (np.zeros((blocks * BLOCK, width), np.uint8) for width in (SUBQUANTIZERS, 4))
        codes[:size] = self.codes.encode(features.descriptors)
        keypoints[:size] = quantize_keypoints(features.keypoints)
        words = self.find_words(features.descriptors).astype(np.uint16)
        return PackedFeatures(size, kernel.pack_codes(codes), keypoints, words)

    def write(self, path: Path) -> None:
        """Write a file for `read`."""
        array_file.write(path, {"codes": self.codes.codebook, "words": self.words.codebook}, {"kind": KIND})

    @classmethod
    def read(cls, path: Path) -> "Codebook":
        """Read a codebook; raise IndexFileError if the file is missing or something else."""
        try:
            parts, meta = array_file.read(memoryview(path.read_bytes()), str(path))
        except OSError as error:
            raise IndexFileError(f"{path}: cannot be read ({error.strerror}); reinstall edgesearch.") from error
        shapes = {name: part.shape for name, part in parts.items()}
        if meta.get("kind") != KIND or shapes != CODEBOOK_SHAPES:
            raise IndexFileError(f"{path}: not a codebook of local features; reinstall edgesearch.")
        return cls(ProductQuantizer(None, parts["codes"]), ProductQuantizer(None, parts["words"]))


class DistanceTables(NamedTuple):
    """The features of a photo, ready for asymmetric distances (ADC): a squared distance is bias - step * sum of levels.

    Attributes: levels: (P, M, 16) uint8, at most 63; steps: (P,) float32; biases: (P,) float32.
    """

    levels: np.ndarray
    steps: np.ndarray
    biases: np.ndarray

    def distances(self, sums: np.ndarray) -> np.ndarray:
        """Return squared distances to the codes whose levels add up to `sums`: (P, k) uint16 -> (P, k) float32."""
        return self.biases[:, None] - self.steps[:, None] * sums


def read_default_codebook() -> Codebook:
    """Read the codebook that is part of the package."""
    return Codebook.read(artifact_folder(DEFAULT_CODEBOOK) / CODEBOOK_FILE)


def _to_columns(quantizer: ProductQuantizer) -> tuple[np.ndarray, np.ndarray]:
    """Return codewords (M, D/M, K) and their squared lengths (M, K), as the kernel takes them."""
    return np.ascontiguousarray(quantizer.codebook.transpose(0, 2, 1)), (quantizer.codebook**2).sum(2)


def _rescale(found: sift.SiftFeatures, scale: float, corner: ArrayLike = (0, 0)) -> LocalFeatures:
    """Convert px to shares of the longer side, and descriptors to unit length. corner: (2,), offset of the crop."""
    keypoints = found.keypoints * np.array([scale] * 3 + [1], np.float32)
    keypoints[:, :2] += np.asarray(corner, np.float32)
    return LocalFeatures(keypoints, found.descriptors / np.float32(sift.DESCRIPTOR_SCALE))


def _find_same_position(keypoints: np.ndarray, others: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the pairs that a map brings together at the same size: (P, 4) px, (Q, 4) px, (2, 3) -> (.,), (.,) int64.

    Only pairs whose columns are near are compared: of 1,024 keypoints with 1,024, one in a hundred.
    """
    x, y = affine[:, :2] @ keypoints[:, :2].T + affine[:, 2:]
    sigma = keypoints[:, 2] * np.sqrt(np.linalg.det(affine[:, :2]))
    reach = np.maximum(1, 0.6 * sigma)
    order = np.argsort(others[:, 0], kind="stable")
    columns = others[order, 0].astype(np.float64)
    first, last = np.searchsorted(columns, x - 1.001 * reach), np.searchsorted(columns, x + 1.001 * reach)
    here = np.repeat(np.arange(len(keypoints)), last - first)
    there = order[np.arange(len(here)) - np.repeat(np.cumsum(last - first) - last, last - first)]
    near = np.hypot(x[here] - others[there, 0], y[here] - others[there, 1]) < reach[here]
    near &= np.abs(np.log2(others[there, 2] / sigma[here])) < 0.5
    return here[near], there[near]
