"""Figures of merit. Pure functions of arrays; Q queries."""

from collections.abc import Iterable

import numpy as np

NOT_FOUND = 0  # the rank of a product that was not among the answers


def recall_at(ranks: np.ndarray, k: int) -> float:
    """Share of queries whose right product is among the best k; ranks: (Q,) int, 1 is first, 0 not found."""
    return float(((ranks >= 1) & (ranks <= k)).mean()) if len(ranks) else 0.0


def mean_average_precision(ranks: np.ndarray) -> float:
    """mAP where each query has one right product: the mean of 1 / rank; ranks as for `recall_at`."""
    found = ranks > 0
    return float((found / np.where(found, ranks, 1)).mean()) if len(ranks) else 0.0


def open_set(known: np.ndarray, accepted: np.ndarray, right: np.ndarray) -> dict[str, float | None]:
    """Quality of the decision to answer at all.

    Args:    known: (Q,) bool, the product is in the catalogue; accepted: (Q,) bool, the answer was not "unknown";
             right: (Q,) bool, the first match is the product.
    Returns: precision, recall, f1 of accepted first matches; false_accept_rate among unknown products and
             false_reject_rate among known ones. None where there was nothing to measure.
    """
    true_accepts = float((accepted & right & known).sum())
    precision = _ratio(true_accepts, accepted.sum())
    recall = _ratio(true_accepts, known.sum())
    both = (precision or 0) + (recall or 0)
    return {
        "precision": precision,
        "recall": recall,
        "f1": 2 * (precision or 0) * (recall or 0) / both if both else (None if recall is None else 0.0),
        "false_accept_rate": _ratio((accepted & ~known).sum(), (~known).sum()),
        "false_reject_rate": _ratio((~accepted & known).sum(), known.sum()),
    }


def ann_recall(found: Iterable[np.ndarray], exact: np.ndarray) -> float:
    """Share of the exact k nearest rows that were found; found, exact: (Q, k) int rows, -1 for none."""
    overlap = [len(np.intersect1d(a[a >= 0], b)) for a, b in zip(found, exact, strict=True)]
    return float(np.sum(overlap) / max(1, (exact >= 0).sum()))


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None
