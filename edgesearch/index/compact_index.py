"""Search compressed vectors: cells of similar rows, 4-bit codes to scan, int8 vectors to rescore.

A query touches three tiers. Cell centres and codes stay in memory; int8 vectors are read for the shortlist only. Rows
are stored cell after cell in blocks of 32, and `kernel` searches them in one call.

A search scans the cells with the nearest centres. The kernel compares all of them: with one thread, 128 dimensions and
512 cells wanted, as of a million rows and more, that takes half the time of a USearch graph over the centres, for 4,096
cells (4 million rows) 155 us against 441, for 6,325 (10 million) 220 against 628, for 20,000 (100 million) 489 against
1,232 on a busy machine.

A large index can do without int8 vectors (`drop_vectors`). The shortlist is then compared with the vectors that the
codes decode to, at unit length; this orders it better than the sums of levels do.

The file `index.arrays` holds the arrays of `kernel.Blocks` under their names, in the layout of `array_file`. Without
int8 vectors, its layout has another number.

Shapes: N rows, D dimensions, M subquantizers, C cells, B queries, k results. Scores are cosines: higher is closer.
"""

from __future__ import annotations  # numpy loads its random numbers when an annotation names them

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from .._util import array_file, progress
from ..errors import IndexFileError
from . import kernel
from .block_checks import find_misfit
from .cells import CHUNK, ParallelMap, build_blocks, fit_centers, score_nearest
from .kernel import BLOCK, NO_ROW, Blocks, SearchRequest
from .product_quantizer import ProductQuantizer

ARRAYS_FILE = "index.arrays"
LAYOUT, LAYOUT_CODES_ONLY = 2, 3  # with int8 vectors and without; layout 1 had codes without blocks
ONE_CELL_UP_TO = 8192  # rows; scanning so few is faster than routing
CELLS_PER_ROOT = 2  # cells to the square root of N
ROWS_PER_CELL = 256  # smallest average; a cell's last block is half empty
MAX_SUBQUANTIZERS = 64  # 32 bytes a row
TRAINING_ROWS = 65_536
TUNING_ROWS = 256
SHORTLISTS = (64, 128, 256, 512)
RECALL_TO_REACH = 0.99
RECALL_TOLERANCE = 0.002  # accepted loss against the best recall, if `RECALL_TO_REACH` is out of reach
RESCORING_COST = 4096  # bytes of codes that are scanned in the time of rescoring one row
RELEASE_ABOVE = 4_000_000  # bytes; smaller sets of vectors stay in memory once read


@dataclass(frozen=True)
class Hits:
    """The results of a batch of queries, best first.

    Attributes: rows: (B, k) int32, -1 if there are fewer than k; scores: (B, k) float32.
    """

    rows: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class RowFilter:
    """The rows that a search may return; made by `CompactIndex.make_filter`.

    Attributes: bits: (P,) uint32, from `kernel.pack_bits`; count: allowed rows.
    """

    bits: np.ndarray
    count: int


@dataclass(frozen=True)
class CompactIndex:
    """An index of compressed unit vectors.

    Attributes:
        blocks: the stored arrays.
        size: N.
        probes: cells scanned per query.
        shortlist: rows rescored per query.
        recall: ANN recall@10 of these settings, measured at build.
        space: name of the embedding space of the vectors (`Embedder.space`).
        mapped_vectors: the vectors in their file, whose memory `release_pages` frees; `None` if they stay in memory.
    """

    blocks: Blocks
    size: int
    probes: int
    shortlist: int
    recall: float
    space: str
    mapped_vectors: array_file.LazyArray | None = None

    @classmethod
    def build(
        cls,
        x: np.ndarray,
        space: str,
        subquantizers: int | None = None,
        seed: int = 0,
        like: CompactIndex | None = None,
        parallel_map: ParallelMap = map,
    ) -> CompactIndex:
        """Compress vectors; choose the cheapest probes and shortlist that reach ANN recall@10 >= 0.99.

        Args:
            x: (N, D) float32, unit rows, N >= 1, in memory or mapped; row n keeps the number n.
            space: see the attribute.
            subquantizers: M, even and a divisor of D (M / 2 bytes a row); `None` takes the most up to D / 2 and 64.
            seed: of the random choices; the same seed and rows give the same index.
            like: an index of the same space whose quantizer and cells are kept; rows in both then have the same bytes.
            parallel_map: distributes the work; the result does not depend on it.
        Raises:  ValueError: x is not (N, D) or has no rows.
        """
        if x.ndim != 2 or not len(x):
            raise ValueError(f"x has shape {x.shape}; expected (N, D) with N >= 1.")
        rng = np.random.default_rng(seed)
        sample = x[np.sort(rng.choice(len(x), min(len(x), TRAINING_ROWS), replace=False))]
        if like:
            quantizer = ProductQuantizer(like.blocks.rotation, like.blocks.codebook.transpose(0, 2, 1))
        else:
            with progress.stage("index: learn the codebook"):
                quantizer = ProductQuantizer.fit(sample, subquantizers or _choose_subquantizers(x.shape[1]), seed)
        cells = _choose_cell_count(len(x))
        if like and cells <= 2 * like.cells <= 4 * cells:
            centers = like.blocks.centers / np.linalg.norm(
                like.blocks.centers.astype(np.float32), axis=1, keepdims=True
            )
        else:
            with progress.stage("index: learn the cells"):
                centers = fit_centers(sample, cells, rng)
        blocks = build_blocks(x, quantizer, centers, parallel_map)
        untuned = cls(blocks, len(x), 1, SHORTLISTS[0], 0.0, space)
        with progress.stage("index: choose how many cells to search"):
            return untuned._tune(x, rng, _list_probes(len(centers)))

    def drop_vectors(self, x: np.ndarray, seed: int = 0) -> CompactIndex:
        """Return the index without int8 vectors and with a new shortlist. x: (N, D) float32, its original rows."""
        blocks = replace(self.blocks, vectors=np.empty((0, self.dim), np.int8))
        return replace(self, blocks=blocks, mapped_vectors=None)._tune(x, np.random.default_rng(seed), [self.probes])

    def __len__(self) -> int:
        return self.size

    @property
    def dim(self) -> int:
        """D."""
        return len(self.blocks.rotation)

    @property
    def code_bytes(self) -> int:
        """Bytes of codes per row: M / 2."""
        return self.blocks.packed.shape[1]

    @property
    def is_codes_only(self) -> bool:
        """Whether the index has no int8 vectors."""
        return not self.blocks.vectors.size

    @property
    def cells(self) -> int:
        """C."""
        return len(self.blocks.centers)

    def make_filter(self, mask: np.ndarray) -> RowFilter:
        """Prepare a filter of rows.

        Args:   mask: (N,) bool, by row number.
        Raises: ValueError: mask is not (N,).
        """
        if mask.shape != (self.size,):
            raise ValueError(f"mask has shape {mask.shape}; expected {(self.size,)}.")
        return RowFilter(kernel.pack_bits(mask[self.blocks.rows] & (self.blocks.rows >= 0)), int(mask.sum()))

    def search(self, queries: np.ndarray, k: int, rescored: bool = True, allowed: RowFilter | None = None) -> Hits:
        """Find the rows with the highest cosine.

        Args:
            queries: (B, D) float32, unit rows.
            k: results per query.
            rescored: `False` returns the scores of the codes.
            allowed: limits the search to some rows; if they all fit the shortlist, the search is exact.
        Raises:  ValueError: queries is not (B, D) or not finite, or k < 1.
        """
        if queries.ndim != 2 or queries.shape[1] != self.dim or k < 1:
            raise ValueError(f"queries {queries.shape}, k {k}; expected (B, {self.dim}) and k >= 1.")
        if not np.isfinite(queries).all():
            raise ValueError("queries hold numbers that are not finite.")
        kept = min(k, self.size)
        shortlist = min(max(kept, self.shortlist), len(self.blocks.rows))
        probes = self._choose_probes(kept, self.size if allowed is None else allowed.count)
        by_codes = rescored and self.is_codes_only
        request = SearchRequest(
            queries,
            shortlist if by_codes else kept,
            probes,
            shortlist,
            rescored and not by_codes,
            allowed=allowed.bits if allowed else None,
        )
        rows, scores = kernel.search(self.blocks, request)
        if by_codes:
            rows, scores = self._rescore_by_codes(queries, rows, kept)
        if kept < k:
            missing = ((0, 0), (0, k - kept))
            rows = np.pad(rows, missing, constant_values=NO_ROW)
            scores = np.pad(scores, missing, constant_values=-np.inf)
        return Hits(rows, scores)

    def read_vectors(self, rows: np.ndarray) -> np.ndarray:
        """Rebuild vectors from int8 or, if there are none, from codes: (R,) int64 -> unit rows (R, D) float32."""
        if self.is_codes_only:
            return np.einsum("rd,ed->re", self._decode_rows(rows), self.blocks.rotation)  # see `_rescore_by_codes`
        return _normalize(self.blocks.vectors[self._positions[rows]].astype(np.float32))

    def _decode_rows(self, rows: np.ndarray) -> np.ndarray:
        """Decode the codes of rows, without undoing the rotation: (R,) int -> unit rows (R, D) float32."""
        positions = self._positions[rows]
        pairs = self.blocks.packed[positions // BLOCK, :, positions % BLOCK]
        codes = np.stack([pairs & 15, pairs >> 4], 2).reshape(len(rows), -1)
        return _normalize(ProductQuantizer(None, self.blocks.codebook.transpose(0, 2, 1)).decode(codes))

    def _rescore_by_codes(self, queries: np.ndarray, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the best k of each query's rows (B, S) int32, by the cosines of their decoded vectors.

        `einsum` stays on this thread; `@` would wake those of BLAS, which spin for a while afterwards.
        """
        scores = np.full(rows.shape, -np.inf, np.float32)
        for query, row, score in zip(np.einsum("bd,de->be", queries, self.blocks.rotation), rows, scores, strict=True):
            for part in np.array_split(np.flatnonzero(row != NO_ROW), -(-len(row) // CHUNK)):
                score[part] = np.einsum("rd,d->r", self._decode_rows(row[part]), query)
        best = np.argsort(-scores, 1, kind="stable")[:, :k]
        return np.take_along_axis(rows, best, 1), np.take_along_axis(scores, best, 1)

    @cached_property
    def _positions(self) -> np.ndarray:
        """The position of each row in the blocks: (N,) int32."""
        positions, filled = np.zeros(self.size, np.int32), np.flatnonzero(self.blocks.rows >= 0)
        positions[self.blocks.rows[filled]] = filled
        return positions

    def release_pages(self) -> None:
        """Free the memory of vectors that searches read from a large index; reading them again costs 0.2 ms."""
        if self.mapped_vectors:
            self.mapped_vectors.release_pages()

    def _choose_probes(self, k: int, allowed: int) -> int:
        """Return how many cells to scan: more for many results, and more if few rows are allowed."""
        if allowed <= ONE_CELL_UP_TO:
            return self.cells
        return min(self.cells, -(-self.probes * self.size * max(k, self.shortlist) // (allowed * self.shortlist)))

    def _tune(self, x: np.ndarray, rng: np.random.Generator, probes_to_try: Sequence[int]) -> CompactIndex:
        """Choose the cheapest probes and shortlist that reach the recall, or nearly the best recall there is.

        Some rows of the index are the queries; each must find the nearest other rows.
        """
        queries = np.sort(rng.choice(len(x), min(len(x), TUNING_ROWS), replace=False))
        k = min(10, len(x) - 1)
        if not k:
            return replace(self, recall=1.0)
        worst = score_nearest(x, queries, k)[:, -1:] - np.float32(1e-6)
        trials: list[CompactIndex] = []
        for shortlist in SHORTLISTS:
            for probes in probes_to_try:
                trial = replace(self, probes=probes, shortlist=shortlist)
                rows = trial.search(x[queries], k + 1).rows
                found = np.einsum("bd,bkd->bk", x[queries], x[rows]) >= worst
                found &= (rows != queries[:, None]) & (rows != NO_ROW)
                trials.append(replace(trial, recall=float(found.sum(1).clip(max=k).mean() / k)))
                if trials[-1].recall >= RECALL_TO_REACH:
                    break
        enough = min(RECALL_TO_REACH, max(trial.recall for trial in trials) - RECALL_TOLERANCE)
        return min((trial for trial in trials if trial.recall >= enough), key=CompactIndex._estimate_cost)

    def _estimate_cost(self) -> float:
        """Estimate the cost of a query in bytes of scanned codes; a rescored row counts as `RESCORING_COST` bytes."""
        return self.blocks.packed.nbytes * self.probes / self.cells + RESCORING_COST * self.shortlist

    def write(self, folder: Path) -> None:
        """Write `index.arrays` into a folder."""
        meta = {name: getattr(self, name) for name in ("size", "probes", "shortlist", "recall", "space")}
        stored = {field.name: getattr(self.blocks, field.name) for field in fields(Blocks)}
        if self.is_codes_only:
            del stored["vectors"]
        layout = LAYOUT_CODES_ONLY if self.is_codes_only else LAYOUT
        array_file.write(folder / ARRAYS_FILE, stored, {"layout": layout, **meta})

    @classmethod
    def open(cls, data: memoryview | array_file.ByteSource) -> CompactIndex:
        """Open an index in place, from the content of `index.arrays`.

        Raises:  IndexFileError: the file is damaged, has another layout, or its parts do not fit together.
        """
        stored, meta = array_file.open_arrays(data, ARRAYS_FILE)
        if meta.get("layout") not in (LAYOUT, LAYOUT_CODES_ONLY):
            raise IndexFileError(
                f"{ARRAYS_FILE}: found index layout {meta.get('layout')}, expected {LAYOUT} or {LAYOUT_CODES_ONLY}; "
                "build the bundle again."
            )
        try:
            blocks = _read_blocks(stored, meta["layout"] == LAYOUT_CODES_ONLY)
            size, probes, shortlist = (int(meta[name]) for name in ("size", "probes", "shortlist"))
            mapped = stored["vectors"] if blocks.vectors.nbytes > RELEASE_ABOVE else None
            index = cls(blocks, size, probes, shortlist, float(meta["recall"]), str(meta["space"]), mapped)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise IndexFileError(f"{ARRAYS_FILE}: {error} is missing or wrong; build the bundle again.") from error
        misfit = find_misfit(blocks, size, probes, shortlist)
        if misfit:
            raise IndexFileError(f"{ARRAYS_FILE}: {misfit}; build the bundle again.")
        return index


def _choose_subquantizers(dim: int) -> int:
    """Return the largest even divisor of `dim` up to 64 that leaves two dimensions each; at least 2."""
    return next((m for m in range(min(dim // 2, MAX_SUBQUANTIZERS), 2, -1) if m % 2 == 0 and dim % m == 0), 2)


def _choose_cell_count(rows: int) -> int:
    """Return the number of cells for which comparing centres and scanning cells of some blocks cost alike."""
    return min(round(CELLS_PER_ROOT * rows**0.5), rows // ROWS_PER_CELL) if rows > ONE_CELL_UP_TO else 1


def _read_blocks(stored: Mapping[str, array_file.LazyArray], codes_only: bool) -> Blocks:
    """Read the blocks of a file; raise KeyError if an array is missing."""
    names = [field.name for field in fields(Blocks) if not (codes_only and field.name == "vectors")]
    arrays = {name: stored[name][:] for name in names}
    if codes_only:
        arrays["vectors"] = np.empty((0, len(arrays["rotation"])), np.int8)
    return Blocks(**arrays)


def _list_probes(limit: int) -> list[int]:
    """Return 1, 2, 3, 4, 6, 8, 12, ... and `limit` itself."""
    steps = sorted({2**i * j // 2 for i in range(limit.bit_length()) for j in (2, 3)})
    return [step for step in steps if step < limit] + [limit]


def _normalize(x: np.ndarray) -> np.ndarray:
    """Scale the rows of (R, D) float32 to unit length; rows of zeros stay zero."""
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), np.float32(1e-12))
