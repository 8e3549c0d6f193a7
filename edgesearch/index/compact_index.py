"""The compact index: cells of similar rows, 4-bit codes to scan, int8 vectors to rescore. The only user of usearch.

Three tiers. Only what a query needs is touched: cell centres and codes stay in memory, the int8 vectors are read for
the shortlist alone. Rows are stored cell after cell in blocks of 32, and `kernel` searches them in one call.

The cells to look into are those with the nearest centres. Up to `COMPARED_CELLS` the kernel compares them all; beyond,
usearch routes. One thread, 128-d, 64 cells wanted: 72 us compared and 85 us by usearch for 2,000 cells, 144 and 91 us
for 8,000, of which usearch finds 0.976 of the right ones.

A large index may do without the third tier (`coded`): the shortlist is then compared with what the codes stand for,
at unit length, which orders it better than the sums of levels do.

The file `index.arrays` holds the arrays of `kernel.Blocks` under their names, in the layout of `arrays`; without int8
vectors its layout has another number.

N rows, D dimensions, M subquantizers, C cells, B queries, k results. Scores are cosines: higher is closer.
"""

from __future__ import annotations  # numpy loads its random numbers when an annotation names them

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .._util import array_file
from ..errors import IndexFileError
from . import kernel
from .cells import CHUNK, Spread, blocks_of, centers_of, nearest_scores
from .kernel import BLOCK, NO_ROW, Blocks, Question
from .product_quantizer import CODEWORDS, ProductQuantizer

if TYPE_CHECKING:
    from usearch.index import Index as Graph

ARRAYS_FILE, ROUTER_FILE = "index.arrays", "router.usearch"
LAYOUT, LAYOUT_CODED = 2, 3  # of the arrays, with int8 vectors and without; 1 had codes without blocks
ONE_CELL_UP_TO = 8192  # rows; so few are scanned sooner than routed
CELLS_PER_ROOT = 2  # cells to the square root of N
ROWS_PER_CELL = 256  # at least, on average; a cell's last block is half empty
COMPARED_CELLS = 4096  # some four million rows
MAX_SUBQUANTIZERS = 64  # 32 bytes a row
TRAINING_ROWS = 65_536
TUNING_ROWS = 256
SHORTLISTS = (64, 128, 256, 512)
RECALL_TO_REACH = 0.99
RECALL_TOLERANCE = 0.002  # below the best there is, where the recall to reach is beyond it
RESCORING_COST = 4096  # bytes of codes that are scanned while one row is rescored
RELEASE_ABOVE = 4_000_000  # bytes of vectors; fewer may stay in memory once they were read


@dataclass(frozen=True)
class Hits:
    """What a batch of queries found, best first.

    Attributes: rows (B, k) int32, -1 where there are fewer than k; scores (B, k) float32.
    """

    rows: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class Allowed:
    """Rows that a search may find, ready for the kernel; made by `CompactIndex.allow`.

    Attributes: bits: as `kernel.bits` makes them; count: of rows.
    """

    bits: np.ndarray
    count: int


@dataclass(frozen=True)
class CompactIndex:
    """Rows of unit vectors, compressed.

    Attributes: blocks: the stored arrays; size: N; router: usearch graph over the cell centres, None where all are
                compared; probes: cells looked into; shortlist: rows rescored; recall: ANN recall@10 measured at build,
                with these settings; space: names the embedding space of the vectors (`Embedder.space`);
                rows: the vectors in their file, where `release_pages` gives them back; None where they stay.
    """

    blocks: Blocks
    size: int
    router: Graph | None
    probes: int
    shortlist: int
    recall: float
    space: str
    rows: array_file.Rows | None = None

    @classmethod
    def build(
        cls,
        x: np.ndarray,
        space: str,
        subquantizers: int | None = None,
        seed: int = 0,
        like: CompactIndex | None = None,
        spread: Spread = map,
    ) -> CompactIndex:
        """Compress vectors and choose probes and shortlist, the cheapest that reach ANN recall@10 >= 0.99.

        Args:    x: (N, D) float32, unit rows, N >= 1, in memory or mapped; row n keeps the number n; space: as the
                 attribute;
                 subquantizers: M, even and a divisor of D; None for the most up to D / 2 and 64 (M / 2 bytes a row);
                 like: of the same space, whose quantizer and cells are kept, so that rows in both are the same bytes;
                 spread: how the work is spread, which changes nothing of what comes out.
        Raises:  ValueError: x is not (N, D) or has no rows.
        """
        if x.ndim != 2 or not len(x):
            raise ValueError(f"x has shape {x.shape}; expected (N, D) with N >= 1.")
        rng = np.random.default_rng(seed)
        sample = x[np.sort(rng.choice(len(x), min(len(x), TRAINING_ROWS), replace=False))]
        if like:
            quantizer = ProductQuantizer(like.blocks.rotation, like.blocks.codebook.transpose(0, 2, 1))
        else:
            quantizer = ProductQuantizer.fit(sample, subquantizers or _subquantizers(x.shape[1]), seed)
        cells = _cell_count(len(x))
        if like and cells <= 2 * like.cells <= 4 * cells:
            centers = like.blocks.centers / np.linalg.norm(
                like.blocks.centers.astype(np.float32), axis=1, keepdims=True
            )
        else:
            centers = centers_of(sample, cells, rng)
        blocks = blocks_of(x, quantizer, centers, spread)
        router = _graph(centers) if len(centers) > COMPARED_CELLS else None
        return cls(blocks, len(x), router, 1, SHORTLISTS[0], 0.0, space)._tuned(x, rng, _probes_to_try(len(centers)))

    def coded(self, x: np.ndarray, seed: int = 0) -> CompactIndex:
        """The same without int8 vectors; its shortlist is chosen anew. x: (N, D) float32, the rows it was built of."""
        blocks = replace(self.blocks, vectors=np.empty((0, self.dim), np.int8))
        return replace(self, blocks=blocks, rows=None)._tuned(x, np.random.default_rng(seed), [self.probes])

    def __len__(self) -> int:
        return self.size

    @property
    def dim(self) -> int:
        """D."""
        return len(self.blocks.rotation)

    @property
    def code_bytes(self) -> int:
        """Of a row: M / 2."""
        return self.blocks.packed.shape[1]

    @property
    def is_coded(self) -> bool:
        """It has no int8 vectors."""
        return not self.blocks.vectors.size

    @property
    def cells(self) -> int:
        """C."""
        return len(self.blocks.centers)

    def allow(self, mask: np.ndarray) -> Allowed:
        """Prepare a filter; mask: (N,) bool, by the caller's row numbers."""
        if mask.shape != (self.size,):
            raise ValueError(f"mask has shape {mask.shape}; expected {(self.size,)}.")
        return Allowed(kernel.bits(mask[self.blocks.rows] & (self.blocks.rows >= 0)), int(mask.sum()))

    def search(self, queries: np.ndarray, k: int, rescored: bool = True, allowed: Allowed | None = None) -> Hits:
        """Find the rows with the highest cosine.

        Args:    queries: (B, D) float32, unit rows; rescored: False gives the scores of the codes alone; allowed: only
                 these; so few that the shortlist holds them all are compared exactly.
        Raises:  ValueError: queries is not (B, D) or not finite, or k < 1.
        """
        if queries.ndim != 2 or queries.shape[1] != self.dim or k < 1:
            raise ValueError(f"queries {queries.shape}, k {k}; expected (B, {self.dim}) and k >= 1.")
        if not np.isfinite(queries).all():
            raise ValueError("queries hold numbers that are not finite.")
        kept = min(k, self.size)
        shortlist = min(max(kept, self.shortlist), len(self.blocks.rows))
        probes = self._probes(kept, self.size if allowed is None else allowed.count)
        routed = None
        if self.router is not None and probes < self.cells:
            routed = self.router.search(queries, probes, threads=1).keys.reshape(len(queries), -1).astype(np.uint32)
        decoded = rescored and self.is_coded
        found = shortlist if decoded else kept
        asked = Question(
            queries, found, probes, shortlist, rescored and not decoded, routed, allowed.bits if allowed else None
        )
        rows, scores = kernel.search(self.blocks, asked)
        if decoded:
            rows, scores = self._compared(queries, rows, kept)
        if kept < k:
            missing = ((0, 0), (0, k - kept))
            rows = np.pad(rows, missing, constant_values=NO_ROW)
            scores = np.pad(scores, missing, constant_values=-np.inf)
        return Hits(rows, scores)

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """The vectors of these rows as they are kept, int8 or codes: (R,) int64 -> (R, D) float32, unit rows."""
        if self.is_coded:
            return self._decoded(rows) @ self.blocks.rotation.T
        return _unit(self.blocks.vectors[self._places[rows]].astype(np.float32))

    def _decoded(self, rows: np.ndarray) -> np.ndarray:
        """What the codes of these rows stand for, rotated: (R,) int -> (R, D) float32, unit rows."""
        places = self._places[rows]
        pairs = self.blocks.packed[places // BLOCK, :, places % BLOCK]
        codes = np.stack([pairs & 15, pairs >> 4], 2).reshape(len(rows), -1)
        return _unit(ProductQuantizer(None, self.blocks.codebook.transpose(0, 2, 1)).decode(codes))

    def _compared(self, queries: np.ndarray, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The best k of each query's rows, (B, S) int32, by their cosine with what the codes stand for."""
        scores = np.full(rows.shape, -np.inf, np.float32)
        for query, row, score in zip(queries @ self.blocks.rotation, rows, scores, strict=True):
            for part in np.array_split(np.flatnonzero(row != NO_ROW), -(-len(row) // CHUNK)):
                score[part] = self._decoded(row[part]) @ query
        best = np.argsort(-scores, 1, kind="stable")[:, :k]
        return np.take_along_axis(rows, best, 1), np.take_along_axis(scores, best, 1)

    @cached_property
    def _places(self) -> np.ndarray:
        """Where each row lies in the blocks: (N,) int32."""
        places, filled = np.zeros(self.size, np.int32), np.flatnonzero(self.blocks.rows >= 0)
        places[self.blocks.rows[filled]] = filled
        return places

    def release_pages(self) -> None:
        """Take out of memory what the last searches read of a large index's vectors; to read it again costs 0.2 ms."""
        if self.rows:
            self.rows.release_pages()

    def _probes(self, k: int, allowed: int) -> int:
        """Cells to look into: more for many results; of few allowed rows, so many that as many are met."""
        if allowed <= ONE_CELL_UP_TO:
            return self.cells
        return min(self.cells, -(-self.probes * self.size * max(k, self.shortlist) // (allowed * self.shortlist)))

    def _tuned(self, x: np.ndarray, rng: np.random.Generator, probes_to_try: Sequence[int]) -> CompactIndex:
        """The cheapest probes and shortlist that reach the recall, or nearly the best there is.

        Measured on rows of the index: each is asked, and must find the nearest of the others.
        """
        asked = np.sort(rng.choice(len(x), min(len(x), TUNING_ROWS), replace=False))
        k = min(10, len(x) - 1)
        if not k:
            return replace(self, recall=1.0)
        worst = nearest_scores(x, asked, k)[:, -1:] - np.float32(1e-6)
        tried: list[CompactIndex] = []
        for shortlist in SHORTLISTS:
            for probes in probes_to_try:
                one = replace(self, probes=probes, shortlist=shortlist)
                rows = one.search(x[asked], k + 1).rows
                found = np.einsum("bd,bkd->bk", x[asked], x[rows]) >= worst
                found &= (rows != asked[:, None]) & (rows != NO_ROW)
                tried.append(replace(one, recall=float(found.sum(1).clip(max=k).mean() / k)))
                if tried[-1].recall >= RECALL_TO_REACH:
                    break
        enough = min(RECALL_TO_REACH, max(one.recall for one in tried) - RECALL_TOLERANCE)
        return min((one for one in tried if one.recall >= enough), key=CompactIndex._cost)

    def _cost(self) -> float:
        """Of a query, in bytes of codes scanned; a row rescored costs as much as many scanned, for it lies anywhere."""
        return self.blocks.packed.nbytes * self.probes / self.cells + RESCORING_COST * self.shortlist

    def write(self, folder: Path) -> None:
        """Write `index.arrays`, and `router.usearch` where there is a router, into `folder`."""
        meta = {name: getattr(self, name) for name in ("size", "probes", "shortlist", "recall", "space")}
        stored = {field.name: getattr(self.blocks, field.name) for field in fields(Blocks)}
        if self.is_coded:
            del stored["vectors"]
        array_file.write(folder / ARRAYS_FILE, stored, {"layout": LAYOUT_CODED if self.is_coded else LAYOUT, **meta})
        if self.router is not None:
            self.router.save(str(folder / ROUTER_FILE))

    @classmethod
    def open(cls, data: memoryview | array_file.Source, router: memoryview | None = None) -> CompactIndex:
        """Use an index where it lies. usearch trusts its file: give it verified bytes only.

        Args:    data: content of `index.arrays`; router: content of `router.usearch`, None where there is none.
        Raises:  IndexFileError: damaged, of another layout, or parts that do not fit each other.
        """
        stored, meta = array_file.find(data, ARRAYS_FILE)
        if meta.get("layout") not in (LAYOUT, LAYOUT_CODED):
            raise IndexFileError(
                f"{ARRAYS_FILE}: index layout {meta.get('layout')}, where {LAYOUT} and {LAYOUT_CODED} are read; build "
                "the bundle again."
            )
        try:
            blocks = _read_blocks(stored, meta["layout"] == LAYOUT_CODED)
            size, probes, shortlist = (int(meta[name]) for name in ("size", "probes", "shortlist"))
            large = stored["vectors"] if blocks.vectors.nbytes > RELEASE_ABOVE else None
            index = cls(blocks, size, None, probes, shortlist, float(meta["recall"]), str(meta["space"]), large)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise IndexFileError(f"{ARRAYS_FILE}: {error} is missing or wrong; build the bundle again.") from error
        index._check_shapes()
        index._check_numbers(router is not None)
        return index if router is None else replace(index, router=_restore(router, index.dim, index.cells))

    def _check_shapes(self) -> None:
        d, m, p, c = (
            len(array) if array.ndim else 0
            for array in (self.blocks.rotation, self.blocks.codebook, self.blocks.packed, self.blocks.centers)
        )
        expected = {
            "rotation": (np.float32, (d, d)),
            "codebook": (np.float32, (m // 2 * 2, d // max(m, 1), CODEWORDS)),
            "centers": (np.int8, (c, d)),
            "starts": (np.uint32, (c + 1,)),
            "packed": (np.uint8, (p, m // 2, BLOCK)),
            "vectors": (np.int8, (0 if self.is_coded else p * BLOCK, d)),
            "rows": (np.int32, (p * BLOCK,)),
        }
        for name, (kind, shape) in expected.items():
            found = getattr(self.blocks, name)
            if found.dtype != kind or found.shape != shape or not (found.size or name == "vectors"):
                raise IndexFileError(
                    f"{ARRAYS_FILE}: {name} is {found.dtype} {found.shape}; expected {np.dtype(kind)} {shape}, "
                    "build the bundle again."
                )

    def _check_numbers(self, routed: bool) -> None:
        starts, rows = self.blocks.starts, self.blocks.rows
        whole = starts[0] == 0 and starts[-1] == len(self.blocks.packed) and (starts[1:] >= starts[:-1]).all()
        numbered = rows.min() >= NO_ROW and rows.max() == self.size - 1 and (rows >= 0).sum() == self.size
        settled = self.dim % len(self.blocks.codebook) == 0 and 1 <= self.probes <= self.cells and self.shortlist >= 1
        if not (whole and numbered and settled) or routed != (self.cells > COMPARED_CELLS):
            raise IndexFileError(f"{ARRAYS_FILE}: cells, rows or router do not fit together; build the bundle again.")


def _subquantizers(dim: int) -> int:
    """The most that are even, divide `dim`, and have two dimensions each; 2 at least."""
    return next((m for m in range(min(dim // 2, MAX_SUBQUANTIZERS), 2, -1) if m % 2 == 0 and dim % m == 0), 2)


def _cell_count(rows: int) -> int:
    """As many that comparing centres and scanning cells cost alike, of some blocks each."""
    return min(round(CELLS_PER_ROOT * rows**0.5), rows // ROWS_PER_CELL) if rows > ONE_CELL_UP_TO else 1


def _read_blocks(stored: Mapping[str, array_file.Rows], coded: bool) -> Blocks:
    """The blocks of a file; raises KeyError: an array is missing."""
    read = {field.name: stored[field.name][:] for field in fields(Blocks) if not (coded and field.name == "vectors")}
    if coded:
        read["vectors"] = np.empty((0, len(read["rotation"])), np.int8)
    return Blocks(**read)


def _probes_to_try(limit: int) -> list[int]:
    """1, 2, 3, 4, 6, 8, 12, ... and last `limit` itself."""
    steps = sorted({2**i * j // 2 for i in range(limit.bit_length()) for j in (2, 3)})
    return [step for step in steps if step < limit] + [limit]


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), np.float32(1e-12))


def _empty(dim: int) -> Graph:
    from usearch.index import Index  # here: few catalogues have a router, and every process would load it at its start

    return Index(ndim=dim, metric="ip", dtype="f32")


def _graph(centers: np.ndarray) -> Graph:
    graph = _empty(centers.shape[1])
    graph.add(np.arange(len(centers), dtype=np.uint64), centers, threads=1)
    return graph


def _restore(data: memoryview, dim: int, cells: int) -> Graph:
    graph = _empty(dim)
    try:
        graph.load(bytes(data))
    except RuntimeError as error:
        raise IndexFileError(f"{ROUTER_FILE}: {error}; build the bundle again.") from error
    if len(graph) != cells or graph.ndim != dim:
        raise IndexFileError(
            f"{ROUTER_FILE}: {len(graph)} cells of {graph.ndim} dimensions; expected {cells} of {dim}."
        )
    return graph
