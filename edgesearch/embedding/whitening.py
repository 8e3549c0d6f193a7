"""Even out the differences between pictures of one product with a linear map of embeddings.

Pictures of one product differ more in some directions than in others: in light, background or pose. The map shrinks
each direction by the spread of such differences in it (within-class covariance normalization: Hatch, Kajarekar,
Stolcke, Within-class covariance normalization for SVM-based speaker recognition, Interspeech 2006). What remains tells
products apart. `building.fit_whitening` learns the map from a catalogue.

The file `whitening.arrays` holds the array `matrix`, in the layout of `array_file`.

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
        matrix: (D, D) float32.
    """

    matrix: np.ndarray

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Map unit rows, (B, D) float32, to unit rows, (B, D) float32."""
        return normalize_rows(rows @ self.matrix)

    @property
    def digest(self) -> str:
        """Hash of the map."""
        return sha256(self.matrix.astype("<f4").tobytes())

    def write(self, path: Path) -> None:
        """Write the file that `read` reads."""
        array_file.write(path, {ARRAY: self.matrix}, {})

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
        matrix = arrays.get(ARRAY, np.empty(0, np.float32))
        if matrix.shape != (dim, dim) or matrix.dtype != np.float32 or not np.isfinite(matrix).all():
            raise BundleError(
                f"{FILE}: {matrix.dtype} numbers of shape {matrix.shape}; expected finite float32 of shape "
                f"{(dim, dim)}; build the bundle again."
            )
        return cls(matrix)


def normalize_rows(rows: np.ndarray) -> np.ndarray:
    """Scale the rows of (B, D) float32 to unit length; rows of zeros stay zero."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, np.finfo(np.float32).tiny), np.float32)
