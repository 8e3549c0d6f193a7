"""The compact index: a router to cells, 4-bit codes to scan, int8 vectors to rescore. The only user of usearch.

Three tiers. Only what a query needs is touched: the router and the codes of the probed cells stay in memory, the int8
vectors are read for the shortlist alone. Rows are stored cell after cell; `rows` gives back the caller's numbers.

N rows, D dimensions, M subquantizers, B queries, k results. Scores are cosines: higher is closer.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from usearch.index import Index as Graph

from . import arrays, kernel
from .errors import IndexFileError
from .metrics import ann_recall
from .pq import CODEWORDS, ProductQuantizer

ARRAYS_FILE, ROUTER_FILE = "index.arrays", "router.usearch"
ROWS_PER_CELL = 256
ONE_CELL_UP_TO = 8192  # rows; so few are scanned sooner than routed
TRAINING_ROWS = 65_536
SHORTLISTS = (64, 128, 256, 512)
RECALL_TO_REACH = 0.99
NO_ROW = -1


@dataclass(frozen=True)
class Hits:
    """What a batch of queries found, best first.

    Attributes: rows (B, k) int64, -1 where there are fewer than k; scores (B, k) float32.
    """

    rows: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class CompactIndex:
    """Rows of unit vectors, compressed.

    Attributes: quantizer: of the codes; packed (M/2, N) uint8: codes as `kernel.pack` makes them;
                vectors (N, D) int8: as `kernel.quantize_rows` makes them; rows (N,) int64: the caller's number of
                each stored row; cells (C + 1,) int64: where each cell begins; router: graph over the C cell centres,
                None for one cell; probes: cells looked into; shortlist: rows rescored; recall: ANN recall@10 measured
                at build, with these settings; space: names the embedding space of the vectors (`Embedder.space`).
    """

    quantizer: ProductQuantizer
    packed: np.ndarray
    vectors: np.ndarray
    rows: np.ndarray
    cells: np.ndarray
    router: Graph | None
    probes: int
    shortlist: int
    recall: float
    space: str

    @classmethod
    def build(cls, x: np.ndarray, space: str, subquantizers: int | None = None, seed: int = 0) -> "CompactIndex":
        """Compress vectors and choose probes and shortlist, as few as reach ANN recall@10 >= 0.99.

        Args:    x: (N, D) float32, unit rows, N >= 1; row n keeps the number n; space: as the attribute;
                 subquantizers: M, even; None for D / 2 (D / 4 bytes a row).
        Raises:  ValueError: x is not (N, D) or has no rows.
        """
        if x.ndim != 2 or not len(x):
            raise ValueError(f"x has shape {x.shape}; expected (N, D) with N >= 1.")
        rng = np.random.default_rng(seed)
        sample = x[np.sort(rng.choice(len(x), min(len(x), TRAINING_ROWS), replace=False))]
        quantizer = ProductQuantizer.fit(sample, subquantizers or x.shape[1] // 2, seed)
        centers = _centers(sample, -(-len(x) // ROWS_PER_CELL) if len(x) > ONE_CELL_UP_TO else 1, rng)
        cell = _nearest_center(x, centers)
        order = np.argsort(cell, kind="stable")
        index = cls(
            quantizer=quantizer,
            packed=kernel.pack(quantizer.encode(x[order])),
            vectors=kernel.quantize_rows(x[order]),
            rows=order.astype(np.int64),
            cells=np.searchsorted(cell[order], np.arange(len(centers) + 1)).astype(np.int64),
            router=_graph(centers) if len(centers) > 1 else None,
            probes=1,
            shortlist=SHORTLISTS[0],
            recall=0.0,
            space=space,
        )
        return index._tuned(x, rng)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def dim(self) -> int:
        """D."""
        return self.vectors.shape[1]

    def search(self, queries: np.ndarray, k: int, rescored: bool = True) -> Hits:
        """Find the rows with the highest cosine.

        Args:    queries: (B, D) float32, unit rows; rescored: False gives the scores of the codes alone.
        Raises:  ValueError: queries is not (B, D), or k < 1.
        """
        if queries.ndim != 2 or queries.shape[1] != self.dim or k < 1:
            raise ValueError(f"queries {queries.shape}, k {k}; expected (B, {self.dim}) and k >= 1.")
        rows = np.full((len(queries), k), NO_ROW, np.int64)
        scores = np.full((len(queries), k), -np.inf, np.float32)
        tables = self.quantizer.table(queries)
        for i, (query, table, cells) in enumerate(zip(queries, tables, self._route(queries), strict=True)):
            positions, found = self._search_one(query, table, cells, k, rescored)
            rows[i, : len(found)], scores[i, : len(found)] = self.rows[positions], found
        return Hits(rows, scores)

    def _search_one(
        self, query: np.ndarray, table: np.ndarray, cells: np.ndarray, k: int, rescored: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Positions and scores of the best k, best first."""
        spans = [slice(self.cells[c], self.cells[c + 1]) for c in cells]
        positions = np.concatenate([np.arange(span.start, span.stop) for span in spans])
        levels, step = kernel.quantize_table(table)
        coarse = np.concatenate([kernel.scan(levels, self.packed[:, span]) for span in spans])
        kept = kernel.best(coarse, max(k, self.shortlist))
        positions = np.sort(positions[kept]) if rescored else positions[kept]
        if rescored:
            scores = kernel.rescore(query, self.vectors[positions])
        else:
            scores = (coarse[kept] * step + table.min(1).sum()).astype(np.float32)
        first = np.argsort(-scores, kind="stable")[:k]
        return positions[first], scores[first]

    def _route(self, queries: np.ndarray) -> np.ndarray:
        """(B, D) -> (B, probes) cells to look into."""
        if self.router is None:
            return np.zeros((len(queries), 1), np.int64)
        matches = self.router.search(queries, self.probes, threads=1)
        return matches.keys.reshape(len(queries), -1).astype(np.int64)

    def _tuned(self, x: np.ndarray, rng: np.random.Generator) -> "CompactIndex":
        """The cheapest probes and shortlist that reach the recall, measured on rows with noise as queries."""
        asked = x[rng.choice(len(x), min(len(x), 256), replace=False)]
        noise = rng.standard_normal(asked.shape).astype(np.float32)
        queries = asked + 0.5 * noise / np.linalg.norm(noise, axis=1, keepdims=True)
        queries /= np.linalg.norm(queries, axis=1, keepdims=True)
        k = min(10, len(x))
        exact = np.argsort(-(queries @ x.T), 1, kind="stable")[:, :k]
        tried = self
        for probes in _doubling(len(self.cells) - 1):
            for shortlist in SHORTLISTS:
                tried = replace(self, probes=probes, shortlist=shortlist)
                tried = replace(tried, recall=ann_recall(tried.search(queries, k).rows, exact))
                if tried.recall >= RECALL_TO_REACH:
                    return tried
        return tried

    def write(self, folder: Path) -> None:
        """Write `index.arrays`, and `router.usearch` where there is a router, into `folder`."""
        stored = {
            "rotation": self.quantizer.rotation,
            "codebook": self.quantizer.codebook,
            "cells": self.cells,
            "rows": self.rows,
            "packed": self.packed,
            "vectors": self.vectors,
        }
        meta = {name: getattr(self, name) for name in ("probes", "shortlist", "recall", "space")}
        arrays.write(folder / ARRAYS_FILE, stored, meta)
        if self.router is not None:
            self.router.save(str(folder / ROUTER_FILE))

    @classmethod
    def open(cls, data: memoryview, router: memoryview | None) -> "CompactIndex":
        """Use an index where it lies. usearch trusts its file: give it verified bytes only.

        Args:    data: content of `index.arrays`; router: content of `router.usearch`, None where there is none.
        Raises:  IndexFileError: damaged, or parts that do not fit each other.
        """
        stored, meta = arrays.read(data, ARRAYS_FILE)
        try:
            quantizer = ProductQuantizer(stored["rotation"], stored["codebook"])
            index = cls(
                quantizer=quantizer,
                packed=stored["packed"],
                vectors=stored["vectors"],
                rows=stored["rows"],
                cells=stored["cells"],
                router=None,
                probes=int(meta["probes"]),
                shortlist=int(meta["shortlist"]),
                recall=float(meta["recall"]),
                space=str(meta["space"]),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise IndexFileError(f"{ARRAYS_FILE}: {error} is missing or wrong; build the bundle again.") from error
        index._check_shapes(router is not None)
        return index if router is None else replace(index, router=_restore(router, index.dim, len(index.cells) - 1))

    def _check_shapes(self, routed: bool) -> None:
        d = self.quantizer.rotation.shape[-1] if self.quantizer.rotation.ndim else 0
        m, n = 2 * self.packed.shape[0] if self.packed.ndim else 0, self.rows.size
        expected = {
            "rotation": (self.quantizer.rotation, np.float32, (d, d)),
            "codebook": (self.quantizer.codebook, np.float32, (m, CODEWORDS, d // max(m, 1))),
            "packed": (self.packed, np.uint8, (m // 2, n)),
            "vectors": (self.vectors, np.int8, (n, d)),
            "rows": (self.rows, np.int64, (n,)),
            "cells": (self.cells, np.int64, (self.cells.size,)),
        }
        for name, (found, kind, shape) in expected.items():
            if found.dtype != kind or found.shape != shape:
                raise IndexFileError(
                    f"{ARRAYS_FILE}: {name} is {found.dtype} {found.shape}; expected {np.dtype(kind)} {shape}, "
                    "build the bundle again."
                )
        whole = len(self.cells) >= 2 and self.cells[0] == 0 and self.cells[-1] == n and (np.diff(self.cells) >= 0).all()
        numbered = n > 0 and np.array_equal(np.sort(self.rows), np.arange(n))
        if not whole or not numbered or routed != (len(self.cells) > 2) or not 1 <= self.probes < len(self.cells):
            raise IndexFileError(f"{ARRAYS_FILE}: cells, rows or router do not fit together; build the bundle again.")


def _doubling(limit: int) -> list[int]:
    """1, 2, 4, ... and last `limit` itself."""
    return [2**i for i in range(limit.bit_length()) if 2**i < limit] + [limit]


def _centers(x: np.ndarray, count: int, rng: np.random.Generator, rounds: int = 8) -> np.ndarray:
    """Spherical k-means: (N, D) unit rows -> (count, D) unit centres."""
    centers = x[rng.choice(len(x), count, replace=False)]
    for _ in range(rounds if count > 1 else 1):
        cell = _nearest_center(x, centers)
        order = np.argsort(cell, kind="stable")
        filled, starts = np.unique(cell[order], return_index=True)
        centers = centers.copy()
        centers[filled] = np.add.reduceat(x[order], starts, axis=0)
        centers /= np.maximum(np.linalg.norm(centers, axis=1, keepdims=True), 1e-12)
    return centers


def _nearest_center(x: np.ndarray, centers: np.ndarray, batch: int = 8192) -> np.ndarray:
    """(N, D), (C, D) -> (N,) int64."""
    return np.concatenate([np.argmax(x[i : i + batch] @ centers.T, 1) for i in range(0, len(x), batch)])


def _graph(centers: np.ndarray) -> Graph:
    graph = Graph(ndim=centers.shape[1], metric="ip", dtype="f32")
    graph.add(np.arange(len(centers), dtype=np.uint64), centers, threads=1)
    return graph


def _restore(data: memoryview, dim: int, cells: int) -> Graph:
    graph = Graph(ndim=dim, metric="ip", dtype="f32")
    try:
        graph.load(bytes(data))
    except RuntimeError as error:
        raise IndexFileError(f"{ROUTER_FILE}: {error}; build the bundle again.") from error
    if len(graph) != cells or graph.ndim != dim:
        raise IndexFileError(
            f"{ROUTER_FILE}: {len(graph)} cells of {graph.ndim} dimensions; expected {cells} of {dim}."
        )
    return graph
