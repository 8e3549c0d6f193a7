"""Compress vectors by product quantization, with or without a learned rotation.

Jégou, Douze, Schmid: Product Quantization for Nearest Neighbor Search, TPAMI 2011. The rotation is the non-parametric
solution of OPQ (Ge, He, Ke, Sun: Optimized Product Quantization, CVPR 2013).

Shapes: B batch, N training rows, D dimensions, M subquantizers of K codewords.
"""

from __future__ import annotations  # numpy loads its random numbers when an annotation names them

from dataclasses import dataclass, replace

import numpy as np

CODEWORDS = 16


@dataclass(frozen=True)
class ProductQuantizer:
    """A product quantizer: M subquantizers of K codewords over rotated vectors.

    Attributes: rotation: (D, D) float32, orthogonal, or `None`; codebook: (M, K, D/M) float32.
    """

    rotation: np.ndarray | None
    codebook: np.ndarray

    @classmethod
    def fit(
        cls,
        x: np.ndarray,
        subquantizers: int,
        seed: int = 0,
        rounds: int = 8,
        codewords: int = CODEWORDS,
        rotated: bool = True,
    ) -> ProductQuantizer:
        """Learn rotation and codebook.

        Args:
            x: (N, D) float32, N >= 1.
            subquantizers: M, a divisor of D.
            seed: the same seed and rows give the same quantizer.
            rounds: training iterations.
            codewords: K, at most 256.
            rotated: `False` learns no rotation, which suits histograms whose neighbouring values belong together.
        Raises:  ValueError: x is not (N, D), has no rows, or D is not a multiple of `subquantizers`.
        """
        if x.ndim != 2 or not len(x) or x.shape[1] % subquantizers:
            raise ValueError(f"x has shape {x.shape}; expected (N, D), N >= 1, D a multiple of {subquantizers}.")
        rng = np.random.default_rng(seed)
        rotation = np.linalg.qr(rng.standard_normal((x.shape[1], x.shape[1])))[0].astype(np.float32)
        quantizer = cls(rotation if rotated else None, np.empty((subquantizers, 0, 0), np.float32))
        quantizer = replace(quantizer, codebook=quantizer._split(x)[:, rng.integers(0, len(x), codewords)].copy())
        for _ in range(rounds):
            quantizer = quantizer._improve(x, rng)
        return quantizer

    @property
    def subquantizers(self) -> int:
        """M, the number of subquantizers."""
        return len(self.codebook)

    def encode(self, x: np.ndarray) -> np.ndarray:
        """Compress vectors.

        Args:    x: (B, D) float32.
        Returns: (B, M) uint8; codes[b, m] < K is the nearest codeword of subquantizer m.
        Raises:  ValueError: x is not (B, D).
        """
        self._check(x)
        parts = self._split(x)
        return np.stack([_find_nearest(part, words) for part, words in zip(parts, self.codebook, strict=True)], 1)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Rebuild vectors: (B, M) uint8 -> (B, D) float32."""
        parts = self.codebook[np.arange(self.subquantizers), codes]
        rows = parts.reshape(len(codes), -1)
        return rows if self.rotation is None else rows @ self.rotation.T

    def table(self, queries: np.ndarray) -> np.ndarray:
        """Return the inner products of queries with all codewords, for asymmetric distance computation (ADC).

        Args:    queries: (B, D) float32.
        Returns: (B, M, K) float32; the sum over m of table[b, m, codes[n, m]] is query b . decoded row n.
        Raises:  ValueError: queries is not (B, D).
        """
        self._check(queries)
        return np.matmul(self._split(queries), self.codebook.transpose(0, 2, 1)).transpose(1, 0, 2)

    def _improve(self, x: np.ndarray, rng: np.random.Generator) -> ProductQuantizer:
        """Run one round of OPQ: a Lloyd step in every subspace, then the best rotation onto the decoded rows."""
        parts = self._split(x)
        codes = [_find_nearest(part, words) for part, words in zip(parts, self.codebook, strict=True)]
        codebook = np.stack([_average_words(*args, rng) for args in zip(parts, codes, self.codebook, strict=True)])
        if self.rotation is None:
            return ProductQuantizer(None, codebook)
        rebuilt = np.concatenate([words[code] for words, code in zip(codebook, codes, strict=True)], 1)
        u, _, vt = np.linalg.svd(x.T @ rebuilt)  # orthogonal Procrustes
        return ProductQuantizer((u @ vt).astype(np.float32), codebook)

    def _split(self, x: np.ndarray) -> np.ndarray:
        """Rotate rows and split them into subspaces: (B, D) -> (M, B, D/M)."""
        rows = x if self.rotation is None else x @ self.rotation
        return rows.reshape(len(x), self.subquantizers, x.shape[1] // self.subquantizers).transpose(1, 0, 2)

    def _check(self, x: np.ndarray) -> None:
        """Raise ValueError unless x is (B, D)."""
        dim = self.codebook.shape[0] * self.codebook.shape[2]
        if x.ndim != 2 or x.shape[1] != dim:
            raise ValueError(f"got shape {x.shape}; expected (B, {dim}).")


def _find_nearest(x: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Return the nearest codeword of each row by Euclidean distance: (B, d), (K, d) -> (B,) uint8."""
    return np.argmin((words**2).sum(1) - 2 * x @ words.T, 1).astype(np.uint8)


def _average_words(x: np.ndarray, codes: np.ndarray, words: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the mean row of each codeword (K, d); a codeword without rows moves to a random row."""
    counts = np.bincount(codes, minlength=len(words))[:, None]
    sums = np.stack([np.bincount(codes, x[:, d], len(words)) for d in range(x.shape[1])], 1)
    spare = x[rng.integers(0, len(x), len(words))]
    return np.where(counts > 0, sums / np.maximum(counts, 1), spare).astype(np.float32)
