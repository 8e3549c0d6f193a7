"""Match, ambiguous or unknown: the one place where scores become a decision."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

Decision = Literal["match", "ambiguous", "unknown"]
MATCH_PRECISION = 0.9  # share of first matches that are right, among those that lead by the margin
SURE_POINTS = 20  # of print with which a product is known; of photos of known ones .12 are then refused, of cosines .31
LEAST_MARGIN = 0.001  # closer scores differ by the rounding of int8 alone


@dataclass(frozen=True)
class Calibration:
    """When to accept, chosen at build for one catalogue.

    Attributes: threshold: open-set threshold, the lowest accepted score; margin: the lead over the second product below
                which a match is called ambiguous; false_accept_rate, false_reject_rate: measured with this threshold
                on views made from the catalogue's own pictures (0 where there was nothing to measure).
    """

    threshold: float
    margin: float
    false_accept_rate: float
    false_reject_rate: float

    def decide(self, scores: np.ndarray, cosine: float | None = None, points: int = 0) -> Decision:
        """Judge the best products.

        Args:    scores: (k,) float32, best first, k may be 0; cosine: of the best, None where its score is one;
                 points: places of its print that agree.
        """
        if not len(scores):
            return "unknown"
        # The threshold is of cosines: a brand's name raises the score of its other products too, if less.
        if (scores[0] if cosine is None else cosine) < self.threshold and points < SURE_POINTS:
            return "unknown"
        if len(scores) > 1 and scores[0] - scores[1] < self.margin:
            return "ambiguous"
        return "match"

    def to_dict(self) -> dict[str, float]:
        """JSON-able form, read back by `from_dict`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, table: dict[str, Any]) -> "Calibration":
        """Raises KeyError, TypeError or ValueError on anything else than a `to_dict`."""
        return cls(**{name: float(table[name]) for name in cls.__dataclass_fields__})


def calibrate(own: np.ndarray, other: np.ndarray) -> Calibration:
    """Choose threshold and margin from queries whose product is known.

    An unknown product is played by each query with its own product left out. The threshold is where as many of these
    are accepted as known ones are rejected (equal error rate).

    Args:    own: (Q,) float32, each query's best score with its own product; other: (Q,) float32, its best score with
             any other, -inf where there is no other product. Q >= 1.
    """
    best, strangers = np.maximum(own, other), other[np.isfinite(other)]
    candidates = np.sort(best)
    rejected = np.arange(len(best)) / len(best)  # of the known, below each candidate
    accepted = 1 - np.searchsorted(np.sort(strangers), candidates) / max(1, len(strangers))
    chosen = int(np.argmin(np.abs(accepted - rejected))) if len(strangers) else 0
    return Calibration(
        threshold=float(candidates[chosen]),
        margin=_margin(np.abs(own - other), own > other),
        false_accept_rate=float(accepted[chosen]) if len(strangers) else 0.0,
        false_reject_rate=float(rejected[chosen]),
    )


def _margin(lead: np.ndarray, right: np.ndarray) -> float:
    """The least lead from which on `MATCH_PRECISION` of the first matches are right; (Q,) float32, (Q,) bool."""
    order = np.argsort(-lead, kind="stable")
    precision = np.cumsum(right[order]) / np.arange(1, len(lead) + 1)
    sure = np.flatnonzero(precision >= MATCH_PRECISION)
    return max(LEAST_MARGIN, float(lead[order][sure[-1]]) if len(sure) else 1.0)
