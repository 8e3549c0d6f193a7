"""Record golden queries where a bundle is built, and ask them again on the device that is to run it.

The queries are a few of its own pictures. The network must embed them here as it did there, and the index must find the
same rows. A processor on which network or kernel computes something else is thus never put into service.

G queries, D dimensions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .._util import array_file
from ..embedding.embedder import Embedder
from ..errors import BundleError
from ..images import image
from ..index.compact_index import CompactIndex

FILE = "golden.arrays"
QUERIES = 8
MIN_COSINE = 0.99  # onnxruntime's kernels round differently from one processor to the next
# Other arithmetic rounds differently between the operators, so that now and then the crop falls on another object. With
# float kernels, 26 of 200 photos (`Embedder.embed`) fall below 0.99 (mean 0.996, lowest 0.952); with one crop, none.
MIN_MEAN_COSINE, MIN_COSINE_OTHER_ARITHMETIC = 0.98, 0.9
SCORE_TOLERANCE = 1e-3


@dataclass(frozen=True)
class GoldenQueries:
    """Queries with their recorded answers.

    Attributes:
        rows: (G,) int64, the rows whose pictures are asked.
        embeddings: (G, D) float32, rows of unit length, without whitening.
        found: (G,) int64, the nearest row of each.
        scores: (G,) float32, its cosine.
    """

    rows: np.ndarray
    embeddings: np.ndarray
    found: np.ndarray
    scores: np.ndarray

    @classmethod
    def record(
        cls, embedder: Embedder, index: CompactIndex, picture: Callable[[int], bytes], pictured: Sequence[int]
    ) -> "GoldenQueries":
        """Ask the queries and record the answers; `picture` returns the JPEG of a row, of those `pictured`."""
        rows = np.array(golden_rows(pictured), np.int64)
        embeddings = _embed(embedder, rows, picture)
        hits = index.search(embedder.whiten(embeddings), 1)
        return cls(rows, embeddings, hits.rows[:, 0].astype(np.int64), hits.scores[:, 0].astype(np.float32))

    def write(self, path: Path) -> None:
        """Write the file that `read` reads."""
        array_file.write(path, vars(self), {})

    @classmethod
    def read(cls, data: memoryview) -> "GoldenQueries":
        """Read a file of golden queries; raise IndexFileError or BundleError if it is not one."""
        parts, _ = array_file.read(data, FILE)
        shapes = {name: part.shape for name, part in parts.items()}
        number, dim = shapes.get("embeddings", ())[:2] if len(shapes.get("embeddings", ())) == 2 else (0, 0)
        expected = {"rows": (number,), "embeddings": (number, dim), "found": (number,), "scores": (number,)}
        if shapes != expected or not number:
            raise BundleError(f"{FILE}: not golden queries ({', '.join(parts)}); build the bundle again.")
        return cls(**parts)

    def check(
        self, embedder: Embedder, index: CompactIndex, picture: Callable[[int], bytes], same_arithmetic: bool = True
    ) -> None:
        """Ask the queries here and compare the answers with the recorded ones.

        Args:
            embedder: the network of the bundle.
            index: its index.
            picture: returns the JPEG of a row.
            same_arithmetic: the network runs here with the arithmetic that it was built with.
        Raises:
            BundleError: network or index answer differently, or cannot be asked.
        """
        try:
            cosines = (_embed(embedder, self.rows, picture) * self.embeddings).sum(1)
            hits = index.search(embedder.whiten(self.embeddings), 1)
        except Exception as error:  # onnxruntime's have no base class, and a damaged catalogue may raise anything
            raise BundleError(f"its golden queries cannot be asked on this device ({error}).") from error
        least = MIN_COSINE if same_arithmetic else MIN_COSINE_OTHER_ARITHMETIC
        is_near = cosines.min() >= least and (same_arithmetic or cosines.mean() >= MIN_MEAN_COSINE)
        if not is_near:  # NaN is not near either
            raise BundleError(
                f"its network computes other embeddings on this device than where it was built (cosine "
                f"{cosines.min():.3f} to the golden embedding, at least {least} expected"
                + f", and {MIN_MEAN_COSINE} on average" * (not same_arithmetic)
                + "); build it with the float network."
            )
        off = np.abs(hits.scores[:, 0] - self.scores)
        if not np.array_equal(hits.rows[:, 0], self.found) or not off.max() <= SCORE_TOLERANCE:
            raise BundleError(
                "its index finds other rows on this device than where it was built; install edgesearch again."
            )


def golden_rows(pictured: Sequence[int]) -> list[int]:
    """Return the rows that golden queries ask, of those with a picture; a bundle must keep these pictures."""
    return [pictured[i] for i in np.unique(np.linspace(0, len(pictured) - 1, QUERIES).astype(np.int64)).tolist()]


def _embed(embedder: Embedder, rows: np.ndarray, picture: Callable[[int], bytes]) -> np.ndarray:
    """Return the embeddings of rows' pictures, without whitening: (G,) int64 -> (G, D) float32."""
    return embedder.plain.embed([image.read(picture(row)) for row in rows.tolist()])
