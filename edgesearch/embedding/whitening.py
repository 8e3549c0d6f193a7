"""Even out the differences between pictures of one product with a linear map of embeddings.

Pictures of one product differ more in some directions than in others: in light, background or pose. The map shrinks
each direction by the spread of such differences in it (within-class covariance normalization: Hatch, Kajarekar,
Stolcke, Within-class covariance normalization for SVM-based speaker recognition, Interspeech 2006). What remains tells
products apart. A model folder may hold a map learned from training products (`export.whiten`);
`building.fit_whitening` learns another from a catalogue, and a bundle holds the product of both.

The file `whitening.arrays` holds the array `matrix`, (D, D) float16, in the layout of `array_file`.

B batch, D embedding dimensions.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .._util import array_file
from .._util.hashing import sha256
from ..errors import BundleError

FILE = "whitening.arrays"
ARRAY = "matrix"


@dataclass(frozen=True)
class Whitening:
    """A linear map of embeddings.

    Attributes:
        matrix: (D, D) float32, rounded to float16; `of` rounds it.
    """

    matrix: np.ndarray

    @classmethod
    def of(cls, matrix: np.ndarray) -> "Whitening":
        """Round a matrix, (D, D) float32 or float64, as the file stores it."""
        return cls(matrix.astype(np.float16).astype(np.float32))

    @classmethod
    def from_scatter(cls, scatter: np.ndarray, floor: float) -> "Whitening":
        """Return the inverse square root of a scatter.

        Args:
            scatter: (D, D) float64, on any scale.
            floor: Added to the scatter in every direction, in units of its mean.
        """
        spread, axes = np.linalg.eigh(scatter / np.trace(scatter) * len(scatter))
        return cls.of((axes * (spread.clip(0) + floor) ** -0.5) @ axes.T)

    def then(self, other: "Whitening") -> "Whitening":
        """Return the map that applies this one and then another."""
        return Whitening.of(self.matrix.astype(np.float64) @ other.matrix)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Map unit rows, (B, D) float32, to unit rows, (B, D) float32."""
        return normalize_rows(rows @ self.matrix)

    @property
    def digest(self) -> str:
        """Hash of the map."""
        return sha256(self.matrix.astype("<f2").tobytes())

    def write(self, path: Path) -> None:
        """Write the file that `read` reads."""
        array_file.write(path, {ARRAY: self.matrix.astype(np.float16)}, {})

    @classmethod
    def read(cls, data: memoryview, dim: int) -> "Whitening":
        """Read a file.

        Args:
            data: content of the file.
            dim: D.
        Raises:
            IndexFileError: it is no array file, or a damaged one.
            BundleError: it holds no map of D dimensions.
        """
        arrays, _ = array_file.read(data, FILE)
        matrix = arrays.get(ARRAY, np.empty(0, np.float16))
        if matrix.shape != (dim, dim) or matrix.dtype != np.float16 or not np.isfinite(matrix).all():
            raise BundleError(
                f"{FILE}: {matrix.dtype} numbers of shape {matrix.shape}; expected finite float16 of shape "
                f"{(dim, dim)}; build the bundle again."
            )
        return cls(matrix.astype(np.float32))


def normalize_rows(rows: np.ndarray) -> np.ndarray:
    """Scale the rows of (B, D) float32 to unit length; rows of zeros stay zero."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, np.finfo(np.float32).tiny), np.float32)
