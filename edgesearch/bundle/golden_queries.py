"""Golden queries: what a bundle answered where it was built, asked again on the device where it is to run.

A few of its own small pictures: the network must see in them here what it saw there, and the index must find the same
rows. So a processor on which the network or the kernel computes something else never goes into service.

G queries, D dimensions.
"""

from collections.abc import Callable
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
LEAST_COSINE = 0.99  # onnxruntime's kernels round differently from one processor to the next
# Other arithmetic rounds otherwise between the operators, with which another object is found now and then: of 200
# photos (`Embedder.embed`) 26 fall below 0.99 with float kernels, mean 0.996, least 0.952; with one crop none.
LEAST_MEAN, LEAST_OTHERWISE = 0.98, 0.9
SCORE_TOLERANCE = 1e-3


@dataclass(frozen=True)
class GoldenQueries:
    """Attributes: rows: (G,) int64, whose pictures are asked; embeddings: (G, D) float32; found: (G,) int64, the
    nearest row; scores: (G,) float32, its cosine.
    """

    rows: np.ndarray
    embeddings: np.ndarray
    found: np.ndarray
    scores: np.ndarray

    @classmethod
    def record(cls, embedder: Embedder, index: CompactIndex, picture: Callable[[int], bytes]) -> "GoldenQueries":
        """picture: row -> JPEG."""
        rows = np.array(golden_rows(len(index)), np.int64)
        embeddings = _embed(embedder, rows, picture)
        hits = index.search(embeddings, 1)
        return cls(rows, embeddings, hits.rows[:, 0].astype(np.int64), hits.scores[:, 0].astype(np.float32))

    def write(self, path: Path) -> None:
        """To a file that `read` reads."""
        array_file.write(path, vars(self), {})

    @classmethod
    def read(cls, data: memoryview) -> "GoldenQueries":
        """Raises IndexFileError, BundleError: not such a file."""
        parts, _ = array_file.read(data, FILE)
        shapes = {name: part.shape for name, part in parts.items()}
        number, dim = shapes.get("embeddings", ())[:2] if len(shapes.get("embeddings", ())) == 2 else (0, 0)
        expected = {"rows": (number,), "embeddings": (number, dim), "found": (number,), "scores": (number,)}
        if shapes != expected or not number:
            raise BundleError(f"{FILE}: not golden queries ({', '.join(parts)}); build the bundle again.")
        return cls(**parts)

    def check(
        self, embedder: Embedder, index: CompactIndex, picture: Callable[[int], bytes], alike: bool = True
    ) -> None:
        """Ask again here; alike: with the arithmetic that it was built with.

        Raises:  BundleError: the network or the index answers otherwise, or cannot be asked.
        """
        try:
            cosines = (_embed(embedder, self.rows, picture) * self.embeddings).sum(1)
            hits = index.search(self.embeddings, 1)
        except (
            Exception
        ) as error:  # onnxruntime's have no base class, and what is odd in a catalogue may raise anything
            raise BundleError(f"its golden queries cannot be asked on this device ({error}).") from error
        least = LEAST_COSINE if alike else LEAST_OTHERWISE
        if not (cosines.min() >= least and (alike or cosines.mean() >= LEAST_MEAN)):  # nor NaN
            raise BundleError(
                f"its network sees other things on this device than where it was built (cosine {cosines.min():.3f} to "
                f"the golden embedding, at least {least} expected"
                + f", and {LEAST_MEAN} in the mean" * (not alike)
                + "); build it with the float network."
            )
        off = np.abs(hits.scores[:, 0] - self.scores)
        if not np.array_equal(hits.rows[:, 0], self.found) or not off.max() <= SCORE_TOLERANCE:
            raise BundleError(
                "its index finds other rows on this device than where it was built; install edgesearch anew."
            )


def golden_rows(count: int) -> list[int]:
    """Whose pictures are asked of an index of so many rows; they must be kept."""
    return np.unique(np.linspace(0, count - 1, QUERIES).astype(np.int64)).tolist()


def _embed(embedder: Embedder, rows: np.ndarray, picture: Callable[[int], bytes]) -> np.ndarray:
    return embedder.embed([image.read(picture(row)) for row in rows.tolist()])
