"""Match, ambiguous or unknown: the one place where evidence becomes a probability, and a probability a decision.

A conditional logit (McFadden, Conditional logit analysis of qualitative choice behavior, 1974): the photo shows one of
the products that were found, or none of the catalogue's, and each of these has a worth:

    of a product    nearest * cosine of its nearest picture + mean * cosine of the mean of its pictures
                    + printed * share of the print that agrees
    of none         unknown + crowd * mean of the best products' cosines

The exponentials of the products' worths over the sum of all is the probability that it is one of the catalogue's: where
the whole catalogue is near, nearness says less. Which of them it is, is a softmax of their scores, the mean of both
cosines, each raised by the print: as choices of the logit, whose print weighs little since it told little of groceries,
drawn twins that differ in print alone fell from 0.88 to 0.61 (recall@1). P products, best first.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..answer import Decision

CONSIDERED = 20  # products
SHARPNESS = 25.0  # of scores; ECE of the first match 0.02 on the photos below, at 15 and 40 0.04 to 0.07
LEAST_LEAD = 0.51  # of two products that are alike neither has more than a half
CROWD = 5  # best products whose cosines tell how near the catalogue is as a whole
MIDDLE, SPREAD = 0.6, 0.1  # cosines are counted from the one in units of the other


@dataclass(frozen=True)
class Calibration:
    """What evidence is worth, and when to accept, for one catalogue.

    Attributes: nearest, mean, printed, unknown, crowd: of the model; accept: the open-set threshold, the lowest
                accepted probability that the product is in the catalogue; lead: the share of it that the first product
                must have, below which a match is called ambiguous; false_accept_rate, false_reject_rate: measured with
                this threshold; questions: on so many photos, or pictures that were left out in turn; 0: not measured.
    """

    nearest: float
    mean: float
    printed: float
    unknown: float
    crowd: float
    accept: float
    lead: float
    false_accept_rate: float = 0.0
    false_reject_rate: float = 0.0
    questions: int = 0

    @classmethod
    def of(cls, weights: np.ndarray, before: "Calibration") -> "Calibration":
        """weights: (5,) float64, of the model; before: whose thresholds are kept."""
        return cls(*map(float, weights), accept=before.accept, lead=before.lead)  # type: ignore[misc, arg-type]

    def weights(self) -> np.ndarray:
        """Those of the model: (5,) float64."""
        return np.array([self.nearest, self.mean, self.printed, self.unknown, self.crowd])

    def probabilities(self, evidence: np.ndarray) -> np.ndarray:
        """How likely the photo shows each product.

        Args:    evidence: (P, 3), as `Gallery.evidence` gives it.
        Returns: (P,) float64; what lacks to a sum of 1 is that it shows none of them.
        """
        worth, none = worths(evidence, self.weights())
        highest = max([none, *worth])
        inside = np.exp(worth - highest).sum()
        cosines, printed = np.asarray(evidence, np.float64)[:, :2], np.asarray(evidence, np.float64)[:, 2:]
        scores = (cosines + (1 - cosines) * printed).mean(1)
        shares = np.exp(SHARPNESS * (scores - scores.max(initial=-np.inf)))
        return np.asarray(inside / (inside + np.exp(none - highest)) * shares / max(shares.sum(), 1.0))

    def decide(self, probabilities: np.ndarray) -> Decision:
        """Judge the products; probabilities: as above."""
        known = probabilities.sum()
        if not len(probabilities) or known < self.accept:
            return "unknown"
        return "match" if probabilities.max() >= self.lead * known else "ambiguous"

    def to_dict(self) -> dict[str, float]:
        """JSON-able form, read back by `from_dict`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, table: dict[str, Any]) -> "Calibration":
        """Raises KeyError, TypeError, ValueError or OverflowError on no `to_dict`, of this version or the first."""
        if "threshold" in table:  # of cosines
            return ONE_PICTURE
        read = {name: float(table[name]) for name in cls.__dataclass_fields__}
        for name, value in read.items():
            if not math.isfinite(value):
                raise ValueError(f"{name}, {value}")
        return cls(**(read | {"questions": int(read["questions"])}))  # type: ignore[arg-type]


def worths(evidence: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, float]:
    """The worth of each product, (P,) float64, and of none of them; evidence: (P, 3); weights: (5,)."""
    terms = in_terms(evidence)
    return terms @ weights[:3], float(weights[3] + weights[4] * crowd(terms))


def in_terms(evidence: np.ndarray) -> np.ndarray:
    """Evidence as the model has it: (P, 3) float64."""
    return (np.asarray(evidence, np.float64) - (MIDDLE, MIDDLE, 0)) / (SPREAD, SPREAD, 1)


def crowd(terms: np.ndarray) -> float:
    """How near the best products are together; where there are fewer, as if the others were neither near nor far."""
    return float(np.sort(terms[:, 0])[-CROWD:].sum()) / CROWD


# Learned from 528 photos of 40 products of groceries on which the network was trained too, asked of one catalogue
# picture and of five photos a product (`tools/bench answers --learn`).
ONE_PICTURE = Calibration(1.01, 1.01, 2.96, 1.45, 1.35, accept=0.75, lead=LEAST_LEAD)
SEVERAL_PICTURES = Calibration(1.35, 1.35, 4.41, 3.53, 1.86, accept=0.78, lead=0.54)
