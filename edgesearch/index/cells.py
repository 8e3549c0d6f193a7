"""Build the cells and blocks of an index.

Shapes: N rows, D dimensions, M subquantizers, C cells, P positions in blocks.
"""

from __future__ import annotations  # numpy loads its random numbers when an annotation names them

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple, Protocol, TypeVar

import numpy as np

from .._util import progress
from .._util.spill_file import release_pages, split_portions
from . import kernel
from .kernel import BLOCK, NO_ROW, Blocks
from .product_quantizer import ProductQuantizer

CHUNK = 8192  # rows processed at a time
Part = TypeVar("Part")
Result = TypeVar("Result")


class ParallelMap(Protocol):
    """A function like `map` that may process several parts at once; results keep the order of the parts."""

    def __call__(self, function: Callable[[Part], Result], parts: Iterable[Part], /) -> Iterator[Result]:
        """Yield the function's result for each part.

        Args: function: a function of a module, or a `partial` of one, because another process may call it.
        """


class _EncodedRows(NamedTuple):
    """Rows as the index stores them.

    Attributes: cell: (R,) int64; codes: (R, M) uint8; vectors: (R, D) int8.
    """

    cell: np.ndarray
    codes: np.ndarray
    vectors: np.ndarray


def _encode_rows(quantizer: ProductQuantizer, centers: np.ndarray, x: np.ndarray) -> _EncodedRows:
    """Encode rows, (R, D) float32, with the nearest of the centres, (C, D) float32."""
    return _EncodedRows(_find_nearest_center(centers, x), quantizer.encode(x), kernel.quantize_rows(x))


def build_blocks(x: np.ndarray, quantizer: ProductQuantizer, centers: np.ndarray, parallel_map: ParallelMap) -> Blocks:
    """Store rows cell after cell, and pad each cell to whole blocks.

    Args:
        x: (N, D) float32, unit rows.
        quantizer: has a rotation.
        centers: (C, D) float32.
        parallel_map: encodes parts of the rows.
    """
    cell = np.empty(len(x), np.int32)
    codes = np.empty((len(x), quantizer.subquantizers), np.uint8)
    vectors = np.empty((len(x), x.shape[1]), np.int8)
    done = 0
    with progress.stage("index: encode", "row", len(x)) as stage:
        for part in parallel_map(partial(_encode_rows, quantizer, centers), _split_chunks(x)):
            rows_of_part = slice(done, done := done + len(part.cell))
            cell[rows_of_part], codes[rows_of_part], vectors[rows_of_part] = part
            stage.done = done
    order = np.argsort(cell, kind="stable")
    counts = np.bincount(cell, minlength=len(centers))
    starts = np.concatenate([[0], np.cumsum(-(-counts // BLOCK))])
    rank = np.arange(len(x)) - np.repeat(np.cumsum(counts) - counts, counts)
    positions = np.repeat(starts[:-1] * BLOCK, counts) + rank
    rows = np.full(starts[-1] * BLOCK, NO_ROW, np.int32)
    rows[positions] = order
    assert quantizer.rotation is not None
    return Blocks(
        rotation=quantizer.rotation,
        codebook=np.ascontiguousarray(quantizer.codebook.transpose(0, 2, 1)),
        centers=kernel.quantize_rows(centers),
        starts=starts.astype(np.uint32),
        packed=kernel.pack_codes(_arrange(codes, rows)),
        vectors=_arrange(vectors, rows),
        rows=rows,
    )


def _arrange(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Put values by row (N, .) into the order of positions (P, .); padding is zero. rows: (P,) int32."""
    arranged = np.zeros((len(rows), values.shape[1]), values.dtype)
    for first in range(0, len(rows), CHUNK):
        found = rows[first : first + CHUNK]
        arranged[first : first + CHUNK][found >= 0] = values[found[found >= 0]]
    return arranged


def _split_chunks(x: np.ndarray) -> Iterator[np.ndarray]:
    """Yield at most `CHUNK` rows at a time."""
    for part in split_portions(x):
        for first in range(0, len(part), CHUNK):
            yield part[first : first + CHUNK]


def score_nearest(x: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    """Return the exact cosines of some rows with their nearest k other rows, highest first.

    Args:    x: (N, D) float32, unit rows; queries: (Q,) int64, row numbers.
    Returns: (Q, k) float32.
    """
    nearest = np.full((len(queries), k), -np.inf, np.float32)
    for start in range(0, len(x), CHUNK):
        scores = x[queries] @ x[start : start + CHUNK].T
        own = np.flatnonzero((queries >= start) & (queries < start + CHUNK))
        scores[own, queries[own] - start] = -np.inf
        nearest = -np.sort(-np.concatenate([nearest, scores], 1), 1)[:, :k]
        release_pages(x)
    return nearest


def fit_centers(x: np.ndarray, count: int, rng: np.random.Generator, rounds: int = 8) -> np.ndarray:
    """Cluster unit rows by spherical k-means: (N, D) float32 -> unit centres (count, D) float32."""
    centers = x[rng.choice(len(x), count, replace=False)]
    for _ in range(rounds if count > 1 else 1):
        cell = np.concatenate([_find_nearest_center(centers, part) for part in _split_chunks(x)])
        order = np.argsort(cell, kind="stable")
        filled, starts = np.unique(cell[order], return_index=True)
        centers = centers.copy()
        centers[filled] = np.add.reduceat(x[order], starts, axis=0)
        centers /= np.maximum(np.linalg.norm(centers, axis=1, keepdims=True), 1e-12)
    return centers


def _find_nearest_center(centers: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the nearest centre of each row: (C, D), (N, D) float32 -> (N,) int64."""
    return np.argmax(x @ centers.T, 1)
