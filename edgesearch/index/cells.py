"""Rows become cells and blocks: what is done only where an index is built.

N rows, D dimensions, M subquantizers, C cells, P places in blocks.
"""

from __future__ import annotations  # numpy loads its random numbers when an annotation names them

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple, Protocol, TypeVar

import numpy as np

from .._util.spill_file import portions, release_pages
from . import kernel
from .kernel import BLOCK, NO_ROW, Blocks
from .product_quantizer import ProductQuantizer

CHUNK = 8192  # rows worked on at once while building
Part = TypeVar("Part")
Result = TypeVar("Result")


class Spread(Protocol):
    """How a build does its parts: as `map` one after the other, or several at once; their results come in order."""

    def __call__(self, function: Callable[[Part], Result], parts: Iterable[Part], /) -> Iterator[Result]:
        """function: a function of a module, for it may be called elsewhere."""


class _Coded(NamedTuple):
    """Rows as the index keeps them: cell (R,) int64, codes (R, M) uint8, vectors (R, D) int8."""

    cell: np.ndarray
    codes: np.ndarray
    vectors: np.ndarray


def _coded(quantizer: ProductQuantizer, centers: np.ndarray, x: np.ndarray) -> _Coded:
    return _Coded(_nearest_center(centers, x), quantizer.encode(x), kernel.quantize_rows(x))


def blocks_of(x: np.ndarray, quantizer: ProductQuantizer, centers: np.ndarray, spread: Spread) -> Blocks:
    """Rows cell after cell, each cell filled up to whole blocks; x: (N, D) float32, centers: (C, D) float32."""
    cell = np.empty(len(x), np.int32)
    codes = np.empty((len(x), quantizer.subquantizers), np.uint8)
    vectors = np.empty((len(x), x.shape[1]), np.int8)
    done = 0
    for part in spread(partial(_coded, quantizer, centers), _chunks(x)):
        place = slice(done, done := done + len(part.cell))
        cell[place], codes[place], vectors[place] = part
    order = np.argsort(cell, kind="stable")
    counts = np.bincount(cell, minlength=len(centers))
    starts = np.concatenate([[0], np.cumsum(-(-counts // BLOCK))])
    rank = np.arange(len(x)) - np.repeat(np.cumsum(counts) - counts, counts)
    places = np.repeat(starts[:-1] * BLOCK, counts) + rank
    rows = np.full(starts[-1] * BLOCK, NO_ROW, np.int32)
    rows[places] = order
    assert quantizer.rotation is not None
    return Blocks(
        rotation=quantizer.rotation,
        codebook=np.ascontiguousarray(quantizer.codebook.transpose(0, 2, 1)),
        centers=kernel.quantize_rows(centers),
        starts=starts.astype(np.uint32),
        packed=kernel.pack(_placed(codes, rows)),
        vectors=_placed(vectors, rows),
        rows=rows,
    )


def _placed(parts: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(N, .) by row -> (P, .) by place; zeros where there is no row."""
    placed = np.zeros((len(rows), parts.shape[1]), parts.dtype)
    for first in range(0, len(rows), CHUNK):
        found = rows[first : first + CHUNK]
        placed[first : first + CHUNK][found >= 0] = parts[found[found >= 0]]
    return placed


def _chunks(x: np.ndarray) -> Iterator[np.ndarray]:
    """Some rows after the other."""
    for part in portions(x):
        for first in range(0, len(part), CHUNK):
            yield part[first : first + CHUNK]


def nearest_scores(x: np.ndarray, asked: np.ndarray, k: int) -> np.ndarray:
    """(len(asked), k) float32: exact cosines of these rows of x with the nearest k others, highest first."""
    nearest = np.full((len(asked), k), -np.inf, np.float32)
    for start in range(0, len(x), CHUNK):
        scores = x[asked] @ x[start : start + CHUNK].T
        own = np.flatnonzero((asked >= start) & (asked < start + CHUNK))
        scores[own, asked[own] - start] = -np.inf
        nearest = -np.sort(-np.concatenate([nearest, scores], 1), 1)[:, :k]
        release_pages(x)
    return nearest


def centers_of(x: np.ndarray, count: int, rng: np.random.Generator, rounds: int = 8) -> np.ndarray:
    """Spherical k-means: (N, D) unit rows -> (count, D) unit centres."""
    centers = x[rng.choice(len(x), count, replace=False)]
    for _ in range(rounds if count > 1 else 1):
        cell = np.concatenate([_nearest_center(centers, part) for part in _chunks(x)])
        order = np.argsort(cell, kind="stable")
        filled, starts = np.unique(cell[order], return_index=True)
        centers = centers.copy()
        centers[filled] = np.add.reduceat(x[order], starts, axis=0)
        centers /= np.maximum(np.linalg.norm(centers, axis=1, keepdims=True), 1e-12)
    return centers


def _nearest_center(centers: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(C, D), (N, D) -> (N,) int64."""
    return np.argmax(x @ centers.T, 1)
