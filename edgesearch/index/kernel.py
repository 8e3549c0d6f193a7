"""Run the inner loops of the compact index: one call of compiled C, or numpy if the C is not compiled.

The numpy functions are the specification of `kernel.c`; its steps have the same names.

Shapes: B queries, k results, N rows in P blocks of 32 (a cell begins with a new block; padding rows have number -1), D
dimensions, M subquantizers of 16 codewords, C cells.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .._util.compiled import warn_not_compiled

try:
    from . import _kernel  # type: ignore[attr-defined]
except ImportError:
    _kernel = None
    warn_not_compiled()

BLOCK = 32  # rows
NO_ROW = -1
CODEWORDS = 16
MAX_LEVEL = 63  # four levels add up in a byte
MAX_QUERY = 8191  # products with int8 rows add up in an int32 over 2,048 dimensions
_EMPTY = np.empty(0, np.uint32)


@dataclass(frozen=True)
class Blocks:
    """An index as the kernel reads it.

    Attributes:
        rotation: (D, D) float32.
        codebook: (M, D/M, 16) float32; a codeword is a column.
        centers: (C, D) int8.
        starts: (C + 1,) uint32; the first block of each cell.
        packed: (P, M/2, 32) uint8, from `pack_codes`.
        vectors: (32 P, D) int8, from `quantize_rows`; (0, D) if the index holds codes only.
        rows: (32 P,) int32; the caller's row numbers.
    """

    rotation: np.ndarray
    codebook: np.ndarray
    centers: np.ndarray
    starts: np.ndarray
    packed: np.ndarray
    vectors: np.ndarray
    rows: np.ndarray


class SearchRequest(NamedTuple):
    """The queries of one call, and how to answer them.

    Attributes:
        queries: (B, D) float32.
        k: results per query.
        probes: cells to scan, those with the nearest centres.
        shortlist: rows with the best codes whose vectors are compared; at least k.
        rescored: `False` returns the scores of the codes.
        allowed: (P,) uint32, from `pack_bits`; `None` allows all rows.
    """

    queries: np.ndarray
    k: int
    probes: int
    shortlist: int
    rescored: bool = True
    allowed: np.ndarray | None = None


def search(blocks: Blocks, request: SearchRequest) -> tuple[np.ndarray, np.ndarray]:
    """Find the rows with the highest cosine.

    Returns: rows (B, k) int32 and scores (B, k) float32, best first, equal ones by position; -1 and -inf if there are
             fewer than k.
    Raises:  ValueError: types or sizes do not fit together.
    """
    if _kernel is None:
        return search_by_numpy(blocks, request)
    shape = len(request.queries), request.k
    rows, scores = np.empty(shape, np.int32), np.empty(shape, np.float32)
    _kernel.search(
        np.ascontiguousarray(request.queries, np.float32),
        blocks.rotation,
        blocks.codebook,
        blocks.centers,
        blocks.starts,
        blocks.packed,
        blocks.vectors,
        blocks.rows,
        _EMPTY if request.allowed is None else request.allowed,
        rows,
        scores,
        blocks.rotation.shape[0],
        len(blocks.codebook),
        request.probes,
        request.shortlist,
        request.k,
        request.rescored,
    )
    return rows, scores


def search_by_numpy(blocks: Blocks, request: SearchRequest) -> tuple[np.ndarray, np.ndarray]:
    """Specify `search`: rows (B, k) int32 and scores (B, k) float32."""
    queries, k, probes, shortlist, rescored, allowed = request
    usable = blocks.rows >= 0
    if allowed is not None:
        usable &= np.unpackbits(allowed.view(np.uint8), bitorder="little").astype(bool)
    rows, scores = np.full((len(queries), k), NO_ROW, np.int32), np.full((len(queries), k), -np.inf, np.float32)
    for i, query in enumerate(queries):
        cells = route(query, blocks.centers, probes)
        scanned = np.concatenate([np.arange(blocks.starts[c], blocks.starts[c + 1]) for c in cells])
        levels, step, bias = make_table(query, blocks.rotation, blocks.codebook)
        sums = scan(levels, blocks.packed[scanned])
        positions = (scanned[:, None] * BLOCK + np.arange(BLOCK)).reshape(-1)
        sums, positions = sums[usable[positions]], positions[usable[positions]]
        kept = select_best(sums, positions, shortlist)
        sums, positions = sums[kept], positions[kept]
        if rescored:
            found = compute_cosines(query, blocks.vectors[positions])
        else:
            found = np.float32(bias) + np.float32(step) * sums
        first = select_best(found, positions, k)
        rows[i, : len(first)], scores[i, : len(first)] = blocks.rows[positions[first]], found[first]
    return rows, scores


def match(
    levels: np.ndarray, packed: np.ndarray, count: int, allowed: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Find the two rows of a small set that are nearest to each query.

    Args:
        levels: (B, M, 16) uint8, at most 63.
        packed: (P, M/2, 32) uint8, from `pack_codes`.
        count: rows; the others are padding.
        allowed: (B, P) uint32, the rows of each query as bits, lowest first; `None` allows all rows.
    Returns: the row with the highest sum, the first of equals: (B,) int32; and the two highest sums: (B, 2) uint16. A
             missing row has the sum 0.
    Raises:  ValueError: types or sizes do not fit together.
    """
    if _kernel is None:
        return match_by_numpy(levels, packed, count, allowed)
    rows, sums = np.empty(len(levels), np.int32), np.empty((len(levels), 2), np.uint16)
    bits = _EMPTY if allowed is None else np.ascontiguousarray(allowed)
    _kernel.match(np.ascontiguousarray(levels), packed, bits, rows, sums, levels.shape[1], count)
    return rows, sums


def match_by_numpy(
    levels: np.ndarray, packed: np.ndarray, count: int, allowed: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Specify `match`: rows (B,) int32 and sums (B, 2) uint16."""
    sums = np.array([scan(query_levels, packed) for query_levels in levels], np.uint16).reshape(len(levels), -1)
    if allowed is not None:
        sums *= np.unpackbits(allowed.view(np.uint8), axis=1, bitorder="little")
    padded = np.pad(sums[:, :count], ((0, 0), (0, 2)))
    return padded.argmax(1).astype(np.int32), -np.sort(-padded.astype(np.int32), 1)[:, :2].astype(np.uint16)


def vote(postings: np.ndarray, first: np.ndarray, last: np.ndarray, weights: np.ndarray, scores: np.ndarray) -> None:
    """Add each word's weight to the scores its postings name: scores[postings[first[i] : last[i]]] += weights[i].

    Args:
        postings: (P,) uint16; no number occurs twice in a word.
        first, last: (W,) int64.
        weights: (W,) float32.
        scores: (N,) float32, changed in place.
    Raises:  ValueError: types, sizes or numbers do not fit; `scores` then stay as they were.
    """
    if _kernel is None:
        vote_by_numpy(postings, first, last, weights, scores)
    else:
        _kernel.vote(postings, np.ascontiguousarray(first), np.ascontiguousarray(last), weights, scores)


def vote_by_numpy(
    postings: np.ndarray, first: np.ndarray, last: np.ndarray, weights: np.ndarray, scores: np.ndarray
) -> None:
    """Specify `vote`: add to scores (N,) float32.

    Raises: ValueError: sizes or numbers do not fit; `scores` then stay as they were.
    """
    fits = first.shape == last.shape == weights.shape
    if not fits or ((first < 0) | (first > last) | (last > len(postings))).any():
        raise ValueError("the arrays do not fit together")
    words = [postings[begin:end] for begin, end in zip(first.tolist(), last.tolist(), strict=True)]
    if any(len(numbers) and numbers.max() >= len(scores) for numbers in words):
        raise ValueError("the arrays do not fit together")
    for numbers, weight in zip(words, weights, strict=True):
        scores[numbers] += weight


def encode(x: np.ndarray, codewords: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Find the codewords that are nearest to the parts of vectors.

    Unlike a product of matrices, it runs on the calling thread alone.

    Args:
        x: (B, D) float32.
        codewords: (M, D/M, K) float32, a codeword is a column; K is a multiple of 16, at most 256.
        squares: (M, K) float32, their squared lengths.
    Returns: (B, M) uint8, the first of equally near ones.
    Raises:  ValueError: types or sizes do not fit together.
    """
    if _kernel is None:
        return encode_by_numpy(x, codewords, squares)
    codes = np.empty((len(x), len(codewords)), np.uint8)
    _kernel.encode(np.ascontiguousarray(x), codewords, squares, codes, len(codewords))
    return codes


def encode_by_numpy(x: np.ndarray, codewords: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Specify `encode`: (B, M) uint8."""
    return (squares - 2 * _multiply_parts(x, codewords)).argmin(2).astype(np.uint8)


def quantize_products(
    x: np.ndarray, codewords: np.ndarray, squares: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Quantize 2 x . w - w . w for all codewords w, on one scale for each vector, so that sums keep their order.

    Args:    as for `encode`; K is 16.
    Returns: levels (B, M, 16) uint8, at most 63; lows (B, M) float32 and steps (B,) float32. The number is
             low + step * level, within half a step.
    Raises:  ValueError: types or sizes do not fit together.
    """
    if _kernel is None:
        return quantize_products_by_numpy(x, codewords, squares)
    shape = len(x), len(codewords)
    levels, lows = np.empty((*shape, CODEWORDS), np.uint8), np.empty(shape, np.float32)
    steps = np.empty(len(x), np.float32)
    _kernel.quantize_products(np.ascontiguousarray(x), codewords, squares, levels, lows, steps, len(codewords))
    return levels, lows, steps


def quantize_products_by_numpy(
    x: np.ndarray, codewords: np.ndarray, squares: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Specify `quantize_products`: (B, M, 16) uint8, (B, M) float32, (B,) float32."""
    table = 2 * _multiply_parts(x, codewords) - squares
    low = table.min(2, keepdims=True)
    steps = (table - low).max((1, 2), keepdims=True) / np.float32(MAX_LEVEL)
    levels = np.rint((table - low) / np.where(steps > 0, steps, 1))
    return levels.astype(np.uint8), low[:, :, 0], steps[:, 0, 0]


def _multiply_parts(x: np.ndarray, codewords: np.ndarray) -> np.ndarray:
    """Return the products of the parts of vectors with all codewords: (B, D), (M, D/M, K) -> (B, M, K)."""
    parts = x.reshape(len(x), len(codewords), -1).transpose(1, 0, 2)
    return np.matmul(parts, codewords).transpose(1, 0, 2)


def pack_codes(codes: np.ndarray) -> np.ndarray:
    """Pack codes into blocks: (32 P, M) uint8 below 16, M even -> (P, M/2, 32) uint8.

    Byte [p, j, i] holds codes[32 p + i, 2j] in its low four bits and codes[32 p + i, 2j + 1] in its high four bits.
    """
    pairs = codes[:, 0::2] | codes[:, 1::2] << 4
    return np.ascontiguousarray(pairs.reshape(-1, BLOCK, pairs.shape[1]).transpose(0, 2, 1))


def pack_bits(allowed: np.ndarray) -> np.ndarray:
    """Pack one bit per row: (32 P,) bool -> (P,) uint32; the lowest bit is the first row of a block."""
    return np.packbits(allowed, bitorder="little").view("<u4").astype(np.uint32)


def make_table(query: np.ndarray, rotation: np.ndarray, codebook: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Quantize the products of a query with all codewords to 64 levels on one scale, so that sums keep their order.

    Args:    query: (D,) float32; rotation: (D, D) float32; codebook: (M, D/M, 16) float32.
    Returns: levels (M, 16) uint8, step and bias. A row's score is bias + step * sum of the levels of its codes, within
             M/2 steps.
    """
    table = np.einsum("md,mdk->mk", (query @ rotation).reshape(len(codebook), -1), codebook)
    low = table.min(1, keepdims=True)
    step = float((table - low).max()) / MAX_LEVEL or 1.0
    return np.floor((table - low) / step + 0.5).clip(0, MAX_LEVEL).astype(np.uint8), step, float(low.sum())


def scan(levels: np.ndarray, packed: np.ndarray) -> np.ndarray:
    """Sum the levels of each row's codes: sum[32 p + i] = sum over m of levels[m, code m of row i in block p].

    Args:    levels: (M, 16) uint8, at most 63; packed: (P, M/2, 32) uint8.
    Returns: (32 P,) uint16.
    """
    pairs = (levels[0::2, None, :] + levels[1::2, :, None]).reshape(packed.shape[1], 256).astype(np.uint16)
    sums = np.zeros((len(packed), BLOCK), np.uint16)
    for j, entries in enumerate(pairs):
        sums += entries[packed[:, j]]
    return sums.reshape(-1)


def route(query: np.ndarray, centers: np.ndarray, probes: int) -> np.ndarray:
    """Return the cells with the nearest centres, nearest first.

    Args:    query: (D,) float32; centers: (C, D) int8.
    Returns: (probes,) int64.
    """
    return select_best(compute_cosines(query, centers), np.arange(len(centers)), probes)


def select_best(scores: np.ndarray, positions: np.ndarray, count: int) -> np.ndarray:
    """Return the indexes of the highest scores, best first, equal ones by position: (N,), (N,) -> (count,) or fewer."""
    return np.lexsort((positions, -scores.astype(np.float64)))[:count]


def quantize_rows(x: np.ndarray) -> np.ndarray:
    """Round each row on its own scale, which uses all of int8: (N, D) float32, no row zero -> (N, D) int8."""
    return np.round(x * (127 / np.abs(x).max(1, keepdims=True))).astype(np.int8)


def compute_cosines(query: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the cosines of a query, rounded to 14 bits, with int8 rows; 0 for a row of zeros.

    Args:    query: (D,) float32; rows: (N, D) int8 on any scale.
    Returns: (N,) float32.
    """
    most = np.abs(query).max()
    levels = np.floor(query * np.float32(MAX_QUERY / most if most else 0) + np.float32(0.5)).astype(np.int32)
    exact = rows.astype(np.int32)
    norms = np.float32(np.sqrt((levels.astype(np.float64) ** 2).sum())) * np.sqrt((exact**2).sum(1), dtype=np.float32)
    return np.divide((exact @ levels).astype(np.float32), norms, out=np.zeros(len(rows), np.float32), where=norms > 0)
