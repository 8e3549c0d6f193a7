"""The inner loops: scan of 4-bit codes, and rescoring of int8 rows.

N rows, M subquantizers, D dimensions.
"""

import numpy as np


def pack(codes: np.ndarray) -> np.ndarray:
    """Two codes a byte, subquantizer-major: (N, M) uint8 below 16, M even -> (M/2, N) uint8.

    Byte [j, n] holds codes[n, 2j] in its low and codes[n, 2j + 1] in its high four bits.
    """
    return np.ascontiguousarray((codes[:, 0::2] | codes[:, 1::2] << 4).T)


def quantize_table(table: np.ndarray) -> tuple[np.ndarray, float]:
    """One byte an entry, on one scale for all subquantizers, so that sums keep their order up to rounding.

    Args:    table: (M, 16) float32.
    Returns: (M, 16) uint8 and the step between two levels; each subquantizer's least entry becomes 0.
             A sum of M entries is off by at most M/2 steps.
    """
    low = table.min(1, keepdims=True)
    step = float((table - low).max()) / 255 or 1.0
    return np.round((table - low) / step).astype(np.uint8), step


def scan(table: np.ndarray, packed: np.ndarray) -> np.ndarray:
    """score[n] = sum over m of table[m, code[n, m]].

    Args:    table: (M, 16) uint8; packed: (M/2, N) uint8 as made by `pack`.
    Returns: (N,) uint16; 255 M fits for M <= 256.
    """
    pairs = table[0::2, None, :].astype(np.uint16) + table[1::2, :, None]  # [j, high, low]
    scores = np.zeros(packed.shape[1], np.uint16)
    for entries, codes in zip(pairs.reshape(len(packed), 256), packed, strict=True):
        scores += entries[codes]
    return scores


def best(scores: np.ndarray, count: int) -> np.ndarray:
    """Positions of the `count` highest scores (all, where there are fewer), in no order; scores: (N,)."""
    if count >= len(scores):
        return np.arange(len(scores))
    return np.argpartition(scores, len(scores) - count)[len(scores) - count :]


def quantize_rows(x: np.ndarray) -> np.ndarray:
    """Round every row on its own scale, which uses all of int8: (N, D) float32, no row zero -> (N, D) int8."""
    return np.round(x * (127 / np.abs(x).max(1, keepdims=True))).astype(np.int8)


def rescore(query: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Cosines of one unit query with int8 rows, whose scale is lost: (D,) float32, (N, D) int8 -> (N,) float32."""
    exact = rows.astype(np.float32)
    return exact @ query / np.linalg.norm(exact, axis=1)
