"""The inner loops: search of the compact index, in one call of compiled C, or in numpy where none is compiled.

The numpy functions here are the specification of `_kernel.c`, whose steps have the same names.

B queries, k results, N rows in P blocks of 32 (each cell begins a block; rows that fill up have number -1), D
dimensions, M subquantizers of 16 codewords, C cells.
"""

import warnings
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

try:
    from . import _kernel  # type: ignore[attr-defined]
except ImportError:
    _kernel = None
    warnings.warn(
        "edgesearch: no compiled kernel here, so numpy searches, many times slower; install a wheel of this platform, "
        "or a C compiler and edgesearch again.",
        RuntimeWarning,
        stacklevel=2,
    )

BLOCK = 32  # rows
NO_ROW = -1
MAX_LEVEL = 63  # four of them add up in a byte
MAX_QUERY = 8191  # with int8 rows, products add up in an int32 over 2,048 dimensions
_NOTHING = np.empty(0, np.uint32)


@dataclass(frozen=True)
class Blocks:
    """An index as the kernel reads it.

    Attributes: rotation (D, D) float32; codebook (M, D/M, 16) float32, a codeword a column; centers (C, D) int8; starts
                (C + 1,) uint32, the block where each cell begins; packed (P, M/2, 32) uint8 as made by `pack`; vectors
                (32 P, D) int8 as made by `quantize_rows`, or (0, D) where codes are all that is kept; rows (32 P,)
                int32, the caller's numbers.
    """

    rotation: np.ndarray
    codebook: np.ndarray
    centers: np.ndarray
    starts: np.ndarray
    packed: np.ndarray
    vectors: np.ndarray
    rows: np.ndarray


class Question(NamedTuple):
    """What is asked of an index.

    Attributes: queries: (B, D) float32; probes: cells to look into, of those with the nearest centres; shortlist: rows
                with the best codes whose vectors are compared, at least k; rescored: False gives the scores of the
                codes alone; routed: (B, probes) uint32, cells chosen elsewhere; allowed: (P,) uint32 as made by `bits`.
    """

    queries: np.ndarray
    k: int
    probes: int
    shortlist: int
    rescored: bool = True
    routed: np.ndarray | None = None
    allowed: np.ndarray | None = None


def search(blocks: Blocks, asked: Question) -> tuple[np.ndarray, np.ndarray]:
    """Find the rows with the highest cosine.

    Returns: (B, k) int32 rows and (B, k) float32 scores, best first and equals by position; -1 and -inf where there are
             fewer.
    Raises:  ValueError: sizes that do not fit together.
    """
    if _kernel is None:
        return search_by_numpy(blocks, asked)
    shape = len(asked.queries), asked.k
    rows, scores = np.empty(shape, np.int32), np.empty(shape, np.float32)
    _kernel.search(
        np.ascontiguousarray(asked.queries, np.float32),
        blocks.rotation,
        blocks.codebook,
        blocks.centers,
        blocks.starts,
        blocks.packed,
        blocks.vectors,
        blocks.rows,
        _NOTHING if asked.allowed is None else asked.allowed,
        _NOTHING if asked.routed is None else asked.routed,
        rows,
        scores,
        blocks.rotation.shape[0],
        len(blocks.codebook),
        asked.probes,
        asked.shortlist,
        asked.k,
        asked.rescored,
    )
    return rows, scores


def search_by_numpy(blocks: Blocks, asked: Question) -> tuple[np.ndarray, np.ndarray]:
    """As `search`, which it specifies."""
    queries, k, probes, shortlist, rescored, routed, allowed = asked
    usable = blocks.rows >= 0
    if allowed is not None:
        usable &= np.unpackbits(allowed.view(np.uint8), bitorder="little").astype(bool)
    rows, scores = np.full((len(queries), k), NO_ROW, np.int32), np.full((len(queries), k), -np.inf, np.float32)
    for i, query in enumerate(queries):
        cells = route(query, blocks.centers, probes) if routed is None else routed[i]
        spans = [np.arange(blocks.starts[c], blocks.starts[c + 1]) for c in cells]
        looked = np.concatenate(spans)
        levels, step, bias = make_table(query, blocks.rotation, blocks.codebook)
        sums = scan(levels, blocks.packed[looked])
        positions = (looked[:, None] * BLOCK + np.arange(BLOCK)).reshape(-1)
        sums, positions = sums[usable[positions]], positions[usable[positions]]
        kept = best(sums, positions, shortlist)
        sums, positions = sums[kept], positions[kept]
        found = cosines(query, blocks.vectors[positions]) if rescored else np.float32(bias) + np.float32(step) * sums
        first = best(found, positions, k)
        rows[i, : len(first)], scores[i, : len(first)] = blocks.rows[positions[first]], found[first]
    return rows, scores


def match(
    levels: np.ndarray, packed: np.ndarray, count: int, allowed: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The two rows of one small set that are nearest to each of some queries.

    Args:    levels: (B, M, 16) uint8 up to 63; packed: (P, M/2, 32) uint8; count: rows, the others fill up a block;
             allowed: (B, P) uint32, the rows of each query as bits, the lowest first; None for all.
    Returns: (B,) int32, the row with the highest sum, of equals the first; and (B, 2) uint16, that sum and the next;
             0 is the sum of a row that is not there.
    Raises:  ValueError: sizes that do not fit together.
    """
    if _kernel is None:
        return match_by_numpy(levels, packed, count, allowed)
    rows, sums = np.empty(len(levels), np.int32), np.empty((len(levels), 2), np.uint16)
    bits = _NOTHING if allowed is None else np.ascontiguousarray(allowed)
    _kernel.match(np.ascontiguousarray(levels), packed, bits, rows, sums, levels.shape[1], count)
    return rows, sums


def match_by_numpy(
    levels: np.ndarray, packed: np.ndarray, count: int, allowed: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """As `match`, which it specifies."""
    sums = np.array([scan(one, packed) for one in levels], np.uint16).reshape(len(levels), -1)
    if allowed is not None:
        sums *= np.unpackbits(allowed.view(np.uint8), axis=1, bitorder="little")
    padded = np.pad(sums[:, :count], ((0, 0), (0, 2)))
    return padded.argmax(1).astype(np.int32), -np.sort(-padded.astype(np.int32), 1)[:, :2].astype(np.uint16)


def vote(postings: np.ndarray, first: np.ndarray, last: np.ndarray, weights: np.ndarray, scores: np.ndarray) -> None:
    """Give every posting of some words the word's weight: scores[postings[first[i] : last[i]]] += weights[i].

    Args:    postings: (P,) uint16, no number twice in a word; first, last: (W,) int64; weights: (W,) float32; scores:
             (N,) float32, changed in place.
    Raises:  ValueError, IndexError: sizes or numbers that do not fit.
    """
    if _kernel is None:
        vote_by_numpy(postings, first, last, weights, scores)
    else:
        _kernel.vote(postings, np.ascontiguousarray(first), np.ascontiguousarray(last), weights, scores)


def vote_by_numpy(
    postings: np.ndarray, first: np.ndarray, last: np.ndarray, weights: np.ndarray, scores: np.ndarray
) -> None:
    """As `vote`, which it specifies."""
    for begin, end, weight in zip(first.tolist(), last.tolist(), weights, strict=True):
        scores[postings[begin:end]] += weight


def pack(codes: np.ndarray) -> np.ndarray:
    """Codes in blocks: (32 P, M) uint8 below 16, M even -> (P, M/2, 32) uint8.

    Byte [p, j, i] holds codes[32 p + i, 2j] in its low and codes[32 p + i, 2j + 1] in its high four bits.
    """
    pairs = codes[:, 0::2] | codes[:, 1::2] << 4
    return np.ascontiguousarray(pairs.reshape(-1, BLOCK, pairs.shape[1]).transpose(0, 2, 1))


def bits(allowed: np.ndarray) -> np.ndarray:
    """One bit a row: (32 P,) bool -> (P,) uint32, the lowest bit for the first row of a block."""
    return np.packbits(allowed, bitorder="little").view("<u4").astype(np.uint32)


def make_table(query: np.ndarray, rotation: np.ndarray, codebook: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Products of a query with every codeword, in 64 levels on one scale for all, so that sums keep their order.

    Args:    query: (D,) float32; rotation: (D, D), codebook: (M, D/M, 16) float32.
    Returns: (M, 16) uint8 levels, the step between two of them, and the bias: a row's score is
             bias + step * sum of its codes' levels, off by at most M/2 steps.
    """
    table = np.einsum("md,mdk->mk", (query @ rotation).reshape(len(codebook), -1), codebook)
    low = table.min(1, keepdims=True)
    step = float((table - low).max()) / MAX_LEVEL or 1.0
    return np.floor((table - low) / step + 0.5).clip(0, MAX_LEVEL).astype(np.uint8), step, float(low.sum())


def scan(levels: np.ndarray, packed: np.ndarray) -> np.ndarray:
    """sum[32 p + i] = sum over m of levels[m, code of row i in block p].

    Args:    levels: (M, 16) uint8 up to 63; packed: (P, M/2, 32) uint8.
    Returns: (32 P,) uint16.
    """
    pairs = (levels[0::2, None, :] + levels[1::2, :, None]).reshape(packed.shape[1], 256).astype(np.uint16)
    sums = np.zeros((len(packed), BLOCK), np.uint16)
    for j, entries in enumerate(pairs):
        sums += entries[packed[:, j]]
    return sums.reshape(-1)


def route(query: np.ndarray, centers: np.ndarray, probes: int) -> np.ndarray:
    """The `probes` cells with the nearest centres, nearest first; query: (D,) float32, centers: (C, D) int8."""
    return best(cosines(query, centers), np.arange(len(centers)), probes)


def best(scores: np.ndarray, positions: np.ndarray, count: int) -> np.ndarray:
    """Which (all, where there are fewer) have the highest scores, best first, of equals the lower position first."""
    return np.lexsort((positions, -scores.astype(np.float64)))[:count]


def quantize_rows(x: np.ndarray) -> np.ndarray:
    """Round every row on its own scale, which uses all of int8: (N, D) float32, no row zero -> (N, D) int8."""
    return np.round(x * (127 / np.abs(x).max(1, keepdims=True))).astype(np.int8)


def cosines(query: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Cosines of a query, in 14 bits, with int8 rows, whose scale is lost; 0 for a row of zeros.

    Args:    query: (D,) float32; rows: (N, D) int8.
    Returns: (N,) float32.
    """
    most = np.abs(query).max()
    levels = np.floor(query * np.float32(MAX_QUERY / most if most else 0) + np.float32(0.5)).astype(np.int32)
    exact = rows.astype(np.int32)
    norms = np.float32(np.sqrt((levels.astype(np.float64) ** 2).sum())) * np.sqrt((exact**2).sum(1), dtype=np.float32)
    return np.divide((exact @ levels).astype(np.float32), norms, out=np.zeros(len(rows), np.float32), where=norms > 0)
