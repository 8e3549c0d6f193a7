"""Compute quality figures from arrays. Q queries, T thresholds, B bins of probability."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..answer import CHOICES
from ..search.outcomes import Outcomes

NOT_FOUND = 0  # rank of a product that is not among the matches
BINS = 10  # of probability, of equal width
NORMAL_95 = 1.96  # standard deviations around the mean that contain 95% of a normal distribution


@dataclass(frozen=True)
class ErrorCurve:
    """The error rates at each open-set threshold; scores at or above the threshold are accepted.

    Attributes:
        thresholds: (T,) float64, rising; the last one is above every score.
        false_accept_rate: (T,) float64, falling; share of unknown products that are accepted.
        false_reject_rate: (T,) float64, rising; share of known products that are rejected.
    """

    thresholds: np.ndarray
    false_accept_rate: np.ndarray
    false_reject_rate: np.ndarray

    @property
    def auroc(self) -> float:
        """Area under the ROC curve: how often a known product's score exceeds an unknown one's; a tie counts half."""
        accepted = 1 - self.false_reject_rate
        return float(-np.diff(self.false_accept_rate) @ (accepted[:-1] + accepted[1:]) / 2)

    def reject_rate_at(self, false_accept_rate: float) -> float:
        """Return the lowest false reject rate at which the false accept rate is not above the given one."""
        return float(self.false_reject_rate[np.argmax(self.false_accept_rate <= false_accept_rate)])


@dataclass(frozen=True)
class Reliability:
    """Stated probability and share of right answers, by bin of probability.

    Attributes:
        counts: (B,) int64, number of answers.
        probability: (B,) float64, mean stated probability; 0 in an empty bin.
        right: (B,) float64, share of right answers; 0 in an empty bin.
    """

    counts: np.ndarray
    probability: np.ndarray
    right: np.ndarray

    @property
    def ece(self) -> float:
        """Expected calibration error: the mean over all answers of the difference in their bin.

        Naeini, Cooper, Hauskrecht: Obtaining well calibrated probabilities using Bayesian binning, AAAI 2015; Guo et
        al.: On calibration of modern neural networks, ICML 2017, equation 3. With few answers it is overestimated.
        """
        return float(self.counts @ np.abs(self.right - self.probability) / self.counts.sum())


def recall_at(ranks: np.ndarray, k: int) -> float:
    """Return the share of queries whose right product ranks among the first k.

    Args:
        ranks: (Q,) int; 1: first, 0: not found.
    """
    return float(((ranks >= 1) & (ranks <= k)).mean()) if len(ranks) else 0.0


def mean_average_precision(ranks: np.ndarray) -> float:
    """Return mAP with one right product for each query: the mean of 1 / rank; `ranks` (Q,) as in `recall_at`."""
    found = ranks > 0
    return float((found / np.where(found, ranks, 1)).mean()) if len(ranks) else 0.0


@dataclass(frozen=True)
class Answers:
    """The answers to Q photos.

    Attributes:
        known: (Q,) bool, the product is in the catalogue.
        matched: (Q,) bool, the answer is a match.
        rejected: (Q,) bool, the answer is "unknown".
        ranks: (Q,) int, as in `recall_at`.
        probabilities: (Q,) float64, stated, that the first match is right.
    """

    known: np.ndarray
    matched: np.ndarray
    rejected: np.ndarray
    ranks: np.ndarray
    probabilities: np.ndarray

    def of(self, chosen: np.ndarray) -> "Answers":
        """Return the answers to some photos, (Q,) bool."""
        return Answers(*(values[chosen] for values in vars(self).values()))

    def figures(self) -> dict[str, float | None]:
        """Return figures by name; None if there was nothing to measure.

        Returns:
            Those of `open_set`, and of the photos of known products: match, choice, unknown: shares answered so; shown:
            share whose product is the match or among the choices; coverage_at_95: share that can be answered with a
            precision of 0.95. wrong_matches is the share of wrong products among all matches.
        """
        known, right = self.known, self.ranks == 1
        choice, among = ~self.matched & ~self.rejected, (self.ranks >= 1) & (self.ranks <= CHOICES)
        shown = (self.matched & right) | (choice & among)
        count = known.sum()
        return {
            **open_set(known, self.matched, right, self.rejected),
            "match": _ratio((self.matched & known).sum(), count),
            "choice": _ratio((choice & known).sum(), count),
            "unknown": _ratio((self.rejected & known).sum(), count),
            "shown": _ratio((shown & known).sum(), count),
            "wrong_matches": _ratio((self.matched & ~(right & known)).sum(), self.matched.sum()),
            "coverage_at_95": self.of(known).outcomes.coverage_at() if count else None,
        }

    @property
    def outcomes(self) -> Outcomes:
        """Return the same to choose thresholds by; each photo counts the same."""
        certain = np.ones(len(self.known))
        return Outcomes(self.probabilities, certain, self.ranks, self.known, certain)


def open_set(
    known: np.ndarray, matched: np.ndarray, right: np.ndarray, rejected: np.ndarray
) -> dict[str, float | None]:
    """Return figures of the decision between a match and "unknown".

    Args:
        known: (Q,) bool, the product is in the catalogue.
        matched: (Q,) bool, the answer is a match.
        right: (Q,) bool, the first match is the product.
        rejected: (Q,) bool, the answer is "unknown".
    Returns:
        Figures by name: precision, recall and f1 of matches, false_accept_rate: share of unknown products answered
        with a match, false_reject_rate: share of known ones answered "unknown"; None if there was nothing to measure.
    """
    true_accepts = float((matched & right & known).sum())
    precision = _ratio(true_accepts, matched.sum())
    recall = _ratio(true_accepts, known.sum())
    both = (precision or 0) + (recall or 0)
    return {
        "precision": precision,
        "recall": recall,
        "f1": 2 * (precision or 0) * (recall or 0) / both if both else (None if recall is None else 0.0),
        "false_accept_rate": _ratio((matched & ~known).sum(), (~known).sum()),
        "false_reject_rate": _ratio((rejected & known).sum(), known.sum()),
    }


def error_curve(known: np.ndarray, scores: np.ndarray) -> ErrorCurve | None:
    """Return the error rates at each threshold, from known (Q,) bool and scores (Q,) float64.

    Returns:
        None unless there are known and unknown products.
    """
    thresholds = np.append(np.unique(scores), np.inf)
    known_scores, unknown_scores = np.sort(scores[known]), np.sort(scores[~known])
    if not len(known_scores) or not len(unknown_scores):
        return None
    known_below, unknown_below = (
        np.searchsorted(ordered, thresholds) / len(ordered) for ordered in (known_scores, unknown_scores)
    )
    return ErrorCurve(thresholds, 1 - unknown_below, known_below)


def reliability(probabilities: np.ndarray, right: np.ndarray) -> Reliability:
    """Sort answers into `BINS` by probability; probabilities (Q,) float64 from 0 to 1, right (Q,) bool, Q >= 1."""
    bins = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    counts, stated, true = (np.bincount(bins, weights, BINS) for weights in (None, probabilities, right))
    return Reliability(counts, stated / np.maximum(1, counts), true / np.maximum(1, counts))


def by_category(categories: Sequence[str], answers: Answers) -> dict[str, dict[str, float | None]]:
    """Return figures by category, the category with most queries first.

    Args:
        categories: Of Q known products.
        answers: To their photos.
    Returns:
        By category: queries, recall@1, recall@5, map, and the figures of `Answers`.
    """
    names, member, counts = np.unique(np.array(categories, object), return_inverse=True, return_counts=True)
    table = {}
    for number in np.argsort(-counts, kind="stable").tolist():
        some = answers.of(member == number)
        own = some.ranks
        ranked = {"recall@1": recall_at(own, 1), "recall@5": recall_at(own, 5), "map": mean_average_precision(own)}
        table[str(names[number])] = {"queries": len(own), **ranked, **some.figures()}
    return table


def interval(shares: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the 95% confidence interval of shares (Wilson, 1927); all (B,) float64, counts >= 1."""
    square = NORMAL_95**2
    middle = (shares + square / (2 * counts)) / (1 + square / counts)
    spread = NORMAL_95 * np.sqrt(shares * (1 - shares) / counts + square / (4 * counts**2)) / (1 + square / counts)
    return middle - spread, middle + spread


def ann_recall(found: Iterable[np.ndarray], exact: np.ndarray) -> float:
    """Return the share of the exact k nearest rows that were found; both (Q, k) int rows, -1 for none."""
    overlap = [len(np.intersect1d(a[a >= 0], b)) for a, b in zip(found, exact, strict=True)]
    return float(np.sum(overlap) / max(1, (exact >= 0).sum()))


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None
