"""Match, ambiguous or unknown: the one place where scores become a decision."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

Decision = Literal["match", "ambiguous", "unknown"]
FALSE_ACCEPT_RATE = 0.05
AMBIGUITY_ERROR = 0.10  # of first matches that lead by less than the margin, more than this share is wrong


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

    def decide(self, scores: np.ndarray) -> Decision:
        """Judge the scores of the best products, best first; (k,) float32, k may be 0."""
        if not len(scores) or scores[0] < self.threshold:
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
    """Choose the threshold so that few unknown products are accepted, and the margin.

    An unknown product is played by each query with its own product left out: `other` is then the best score.

    Args:    own: (Q,) float32, each query's best score with its own product; other: (Q,) float32, its best score with
             any other, -inf where there is no other product.
    """
    strangers = other[np.isfinite(other)]
    threshold = float(np.quantile(strangers, 1 - FALSE_ACCEPT_RATE)) if len(strangers) else float(own.min())
    lead, right = np.abs(own - other), own > other
    return Calibration(
        threshold=threshold,
        margin=_margin(lead, right),
        false_accept_rate=float((strangers >= threshold).mean()) if len(strangers) else 0.0,
        false_reject_rate=float((np.maximum(own, other) < threshold).mean()),
    )


def _margin(lead: np.ndarray, right: np.ndarray) -> float:
    """The largest lead below which more than `AMBIGUITY_ERROR` of the first matches are wrong, or 0."""
    order = np.argsort(lead)
    wrong = np.cumsum(~right[order]) / np.arange(1, len(lead) + 1)
    doubtful = np.flatnonzero(wrong > AMBIGUITY_ERROR)
    return float(lead[order][doubtful[-1]]) if len(doubtful) else 0.0
