"""Decide between match, ambiguous and unknown; no other module turns evidence into probabilities or a decision.

The model is a conditional logit (McFadden, Conditional logit analysis of qualitative choice behavior, 1974). The photo
shows one of the products that were found, or none of the catalogue. Each choice has a utility:

    a product    nearest * cosine of its nearest picture + mean * cosine of the mean of its pictures
                 + printed * share of local features that agree
    none         unknown + crowd * mean of the best products' cosines

The products' exponentiated utilities over those of all choices is the probability that the photo shows a product of the
catalogue: if the whole catalogue is near, nearness says less. A softmax of the products' scores says which one. A score
is the mean of both cosines, each raised by the local features. The logit itself would weigh local features too little,
for they say little about groceries: with it, drawn twins that differ only in printed details fell from 0.88 to 0.61
(recall@1).

P products, best first.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..answer import Decision

CONSIDERED = 20  # products
SHARPNESS = 25.0  # of the softmax; calibration error (ECE) of the first match 0.02, with 15 and 40 0.04 to 0.07
MIN_LEAD = 0.51  # two identical products have a half each
CROWD = 5  # best products whose cosines measure how near the whole catalogue is
MIDDLE, SPREAD = 0.6, 0.1  # cosines are standardized with these


@dataclass(frozen=True)
class Calibration:
    """The weights of evidence in one catalogue, and the thresholds of acceptance.

    Attributes:
        nearest: Weight of the cosine of a product's nearest picture.
        mean: Weight of the cosine of the mean of its pictures.
        printed: Weight of the share of local features that agree.
        unknown: Utility of "none of the catalogue".
        crowd: What that utility gains with the mean cosine of the best products.
        accept: Open-set threshold: the lowest accepted probability that the catalogue has the product.
        lead: Share of that probability which the first product needs; below it a match is ambiguous.
        false_accept_rate: Share of unknown products that were accepted with this threshold.
        false_reject_rate: Share of known products that were rejected with it.
        questions: Number of photos, or pictures left out in turn, that were measured; 0 if none were.
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
        """Make a calibration of the model's weights, (5,) float64, with the thresholds of another one."""
        return cls(*map(float, weights), accept=before.accept, lead=before.lead)  # type: ignore[misc, arg-type]

    def weights(self) -> np.ndarray:
        """Return the weights of the model: (5,) float64."""
        return np.array([self.nearest, self.mean, self.printed, self.unknown, self.crowd])

    def probabilities(self, evidence: np.ndarray) -> np.ndarray:
        """Return how likely the photo shows each product.

        Args:
            evidence: (P, 3) float64, as `scoring.collect_evidence` returns it.
        Returns:
            (P,) float64; the rest to 1 is the probability that the photo shows none of them.
        """
        products, none = utilities(evidence, self.weights())
        highest = max([none, *products])
        inside = np.exp(products - highest).sum()
        cosines, printed = np.asarray(evidence, np.float64)[:, :2], np.asarray(evidence, np.float64)[:, 2:]
        scores = (cosines + (1 - cosines) * printed).mean(1)
        shares = np.exp(SHARPNESS * (scores - scores.max(initial=-np.inf)))
        return np.asarray(inside / (inside + np.exp(none - highest)) * shares / max(shares.sum(), 1.0))

    def decide(self, probabilities: np.ndarray) -> Decision:
        """Return the decision for (P,) float64 probabilities, as `probabilities` returns them."""
        known = probabilities.sum()
        if not len(probabilities) or known < self.accept:
            return "unknown"
        return "match" if probabilities.max() >= self.lead * known else "ambiguous"

    def to_dict(self) -> dict[str, float]:
        """Return a JSON-able form, which `from_dict` reads."""
        return asdict(self)

    @classmethod
    def from_dict(cls, table: dict[str, Any]) -> "Calibration":
        """Read a `to_dict` of this version or the first; raise KeyError, TypeError, ValueError or OverflowError."""
        if "threshold" in table:  # the first format, which had a threshold of cosines
            return ONE_PICTURE
        read = {name: float(table[name]) for name in cls.__dataclass_fields__}
        for name, value in read.items():
            if not math.isfinite(value):
                raise ValueError(f"{name}, {value}")
        return cls(**(read | {"questions": int(read["questions"])}))  # type: ignore[arg-type]


def utilities(evidence: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the utility of each product, (P,) float64, and of none of them.

    Args:
        evidence: (P, 3) float64.
        weights: (5,) float64.
    """
    terms = standardize(evidence)
    return terms @ weights[:3], float(weights[3] + weights[4] * crowding(terms))


def standardize(evidence: np.ndarray) -> np.ndarray:
    """Return (P, 3) float64 evidence as the model takes it: cosines less `MIDDLE`, in units of `SPREAD`."""
    return (np.asarray(evidence, np.float64) - (MIDDLE, MIDDLE, 0)) / (SPREAD, SPREAD, 1)


def crowding(terms: np.ndarray) -> float:
    """Return how near the best products are together, from (P, 3) terms; missing products count as `MIDDLE`."""
    return float(np.sort(terms[:, 0])[-CROWD:].sum()) / CROWD


# Learned from 528 photos of 40 grocery products, which the network was trained on too: against one catalogue picture a
# product, and against five photos a product (`tools/bench answers --learn`).
ONE_PICTURE = Calibration(1.01, 1.01, 2.96, 1.45, 1.35, accept=0.75, lead=MIN_LEAD)
SEVERAL_PICTURES = Calibration(1.35, 1.35, 4.41, 3.53, 1.86, accept=0.78, lead=0.54)
