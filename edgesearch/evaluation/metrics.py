"""Figures of merit. Pure functions of arrays; Q queries."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

NOT_FOUND = 0  # the rank of a product that was not among the answers
BINS = 10  # of probability, equally wide
NORMAL_95 = 1.96  # standard deviations, that 95% of a normal distribution are within


@dataclass(frozen=True)
class ErrorCurve:
    """What every open-set threshold would do: accept where the score is at least that.

    Attributes: thresholds (T,) float64, rising, the last above every score; false_accept_rate (T,) float64, of unknown
                products, falling; false_reject_rate (T,) float64, of known ones, rising.
    """

    thresholds: np.ndarray
    false_accept_rate: np.ndarray
    false_reject_rate: np.ndarray

    @property
    def auroc(self) -> float:
        """Area under the ROC curve: how often a known product's score is above an unknown one's, a tie being half."""
        accepted = 1 - self.false_reject_rate
        return float(-np.diff(self.false_accept_rate) @ (accepted[:-1] + accepted[1:]) / 2)

    def reject_rate_at(self, false_accept_rate: float) -> float:
        """The least share of known products that is rejected where no more unknown ones than that are accepted."""
        return float(self.false_reject_rate[np.argmax(self.false_accept_rate <= false_accept_rate)])


@dataclass(frozen=True)
class Reliability:
    """How often answers of about the same probability are right, bin by bin.

    Attributes: counts (B,) int64; probability (B,) float64, the mean that was said; right (B,) float64, the share that
                was; both 0 in an empty bin.
    """

    counts: np.ndarray
    probability: np.ndarray
    right: np.ndarray

    @property
    def ece(self) -> float:
        """Expected calibration error: the mean over all answers of how far their bin is from what it says.

        Naeini, Cooper, Hauskrecht: Obtaining well calibrated probabilities using Bayesian binning, AAAI 2015; Guo et
        al.: On calibration of modern neural networks, ICML 2017, equation 3. Few answers make it larger than it is.
        """
        return float(self.counts @ np.abs(self.right - self.probability) / self.counts.sum())


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


def error_curve(known: np.ndarray, scores: np.ndarray) -> ErrorCurve | None:
    """Known products against unknown ones; (Q,) bool, (Q,) float64; None where there are not both."""
    thresholds = np.append(np.unique(scores), np.inf)
    own, strangers = np.sort(scores[known]), np.sort(scores[~known])
    if not len(own) or not len(strangers):
        return None
    below, strangers_below = (np.searchsorted(some, thresholds) / len(some) for some in (own, strangers))
    return ErrorCurve(thresholds, 1 - strangers_below, below)


def reliability(probabilities: np.ndarray, right: np.ndarray) -> Reliability:
    """Sort answers into `BINS` by what they said; (Q,) float64 from 0 to 1, (Q,) bool; Q >= 1."""
    bins = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    counts, said, held = (np.bincount(bins, weights, BINS) for weights in (None, probabilities, right))
    return Reliability(counts, said / np.maximum(1, counts), held / np.maximum(1, counts))


def by_category(
    categories: Sequence[str], ranks: np.ndarray, accepted: np.ndarray
) -> dict[str, dict[str, float | None]]:
    """Figures of each category's queries, the category of most queries first.

    Args:    categories: (Q,) of known products; ranks: as for `recall_at`; accepted: (Q,) bool.
    Returns: queries, recall@1, recall@5, map, and what `open_set` says.
    """
    names, member, counts = np.unique(np.array(categories, object), return_inverse=True, return_counts=True)
    table = {}
    for number in np.argsort(-counts, kind="stable").tolist():
        own = ranks[member == number]
        ranked = {"recall@1": recall_at(own, 1), "recall@5": recall_at(own, 5), "map": mean_average_precision(own)}
        decided = open_set(np.ones(len(own), bool), accepted[member == number], own == 1)
        table[str(names[number])] = {"queries": len(own), **ranked, **decided}
    return table


def interval(shares: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where shares of so few may really lie, with 95% (Wilson, 1927); (B,) float64 each, counts >= 1."""
    square = NORMAL_95**2
    middle = (shares + square / (2 * counts)) / (1 + square / counts)
    spread = NORMAL_95 * np.sqrt(shares * (1 - shares) / counts + square / (4 * counts**2)) / (1 + square / counts)
    return middle - spread, middle + spread


def ann_recall(found: Iterable[np.ndarray], exact: np.ndarray) -> float:
    """Share of the exact k nearest rows that were found; found, exact: (Q, k) int rows, -1 for none."""
    overlap = [len(np.intersect1d(a[a >= 0], b)) for a, b in zip(found, exact, strict=True)]
    return float(np.sum(overlap) / max(1, (exact >= 0).sum()))


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None
