"""Decide between match, ambiguous and unknown; no other module turns evidence into probabilities or a decision.

Two questions are answered apart. *Which product?* is a conditional logit (McFadden, Conditional logit analysis of
qualitative choice behavior, 1974) over the products that were found. Each has the utility

    sharpness * (1 + growth * n + firmness * f) * (likeness + printed * s^2)
    likeness = cosine - pictures * ln of its pictures, cosine = (1 - mean) * nearest + mean * cosine of the mean
    s = share of local features that agree, f = that of the first product, n = mean of the products' ln of pictures

The square is there because some features agree on other products of the brand too: of drawn products that differ only
in print, .64 are answered with a precision of .95 at weights learned with it and .24 without, as many being found.

The more pictures a product has, the nearer its nearest one is to any photo: without the term for pictures, of products
half of which have five photos more, those without are found .24 instead of .38 of the time. *Is it in the catalogue?*
is a logistic regression on the first product:

    known + height * likeness + details * s + crowd * mean likeness of the best products

A photo shows a product with the product of both probabilities. Each decision has its own threshold: `match_from` bounds
the share of wrong products among matches, `known_from` the share of known products that are called unknown. Between
them a person chooses.

P products, best first.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from ..answer import Decision

CONSIDERED = 20  # products
CROWD = 5  # best products, whose likeness tells how near the whole catalogue is
LEAST_MATCH = 0.51  # probability of a match; two identical products have a half each
NEAREST, MEAN, PRINTED, PICTURES = range(4)  # columns of evidence


@dataclass(frozen=True)
class Weights:
    """The weights of evidence; the formulas of the module name them."""

    mean: float
    printed: float
    pictures: float
    sharpness: float
    growth: float
    firmness: float
    known: float
    height: float
    details: float
    crowd: float

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> "Weights":
        """Read what `asdict` made; raise KeyError, TypeError, ValueError or OverflowError."""
        return cls(**{one.name: _finite(one.name, table[one.name]) for one in fields(cls)})


# For a model without weights of its own; they were learned from groceries with mobilenet_v2_v4.
PLAIN = Weights(0.72, 0.43, 0.05, 23.0, 0.15, 0.9, -3.7, 14.6, 1.5, -4.8)


@dataclass(frozen=True)
class Calibration:
    """The weights and thresholds of one catalogue.

    Attributes:
        weights: Of the evidence.
        match_from: Least probability of a match.
        known_from: Least probability that the catalogue has the product; below it the answer is unknown.
        expected: Shares of photos by answer, as measured at build; empty if nothing was measured.
        source: What they were learned from: "pictures", "photos", "model" or "".
        questions: Number of photos, or of pictures left out in turn, of products of the catalogue; 0 if none were.
        confused: SKUs of the products that are most easily confused, of those that they are taken for, and how much.
    """

    weights: Weights = PLAIN
    match_from: float = 0.75
    known_from: float = 0.6
    expected: Mapping[str, float] = field(default_factory=dict)
    source: str = ""
    questions: int = 0
    confused: Sequence[tuple[str, str, float]] = ()

    def probabilities(self, evidence: np.ndarray) -> np.ndarray:
        """Return how likely the photo shows each product.

        Args:
            evidence: (P, 4) float64, as `scoring.collect_evidence` returns it.
        Returns:
            (P,) float64; the rest to 1 is the probability that the photo shows none of them.
        """
        if not len(evidence):
            return np.empty(0)
        terms = explain(evidence, self.weights)
        shares = softmax(terms.sharpness * self.weights.sharpness * terms.scores)
        return np.asarray(sigmoid(terms.known @ known_weights(self.weights)) * shares)

    def decide(self, probabilities: np.ndarray) -> Decision:
        """Return the decision for (P,) float64 probabilities, as `probabilities` returns them."""
        if not len(probabilities) or probabilities.sum() < self.known_from:
            return "unknown"
        return "match" if probabilities.max() >= self.match_from else "ambiguous"

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form, which `from_dict` reads."""
        return asdict(self) | {"confused": [list(pair) for pair in self.confused]}

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> "Calibration":
        """Read a `to_dict` of this version or an earlier one.

        Raises:
            KeyError, TypeError, ValueError, OverflowError: Something is missing or wrong.
        """
        if "threshold" in table or "accept" in table:  # earlier formats, whose single threshold answered otherwise
            return cls()
        return cls(
            Weights.from_dict(table["weights"]),
            _finite("match_from", table["match_from"]),
            _finite("known_from", table["known_from"]),
            {str(name): _finite(name, value) for name, value in dict(table["expected"]).items()},
            str(table["source"]),
            int(table["questions"]),
            tuple((str(sku), str(other), _finite("confused", share)) for sku, other, share in table["confused"]),
        )


@dataclass(frozen=True)
class Terms:
    """Evidence as the model takes it.

    Attributes:
        scores: (P,) float64, likeness raised by local features.
        sharpness: Factor of the sharpness, which grows with the pictures and with what is printed.
        known: (4,) float64, the terms of the logistic regression.
    """

    scores: np.ndarray
    sharpness: float
    known: np.ndarray


def explain(evidence: np.ndarray, weights: Weights) -> Terms:
    """Return the terms of the model, from (P, 4) float64 evidence for P >= 1 products."""
    rows = np.asarray(evidence, np.float64)
    cosines = (1 - weights.mean) * rows[:, NEAREST] + weights.mean * rows[:, MEAN]
    pictures = np.log(rows[:, PICTURES].clip(1))
    likeness = cosines - weights.pictures * pictures
    scores = likeness + weights.printed * rows[:, PRINTED] ** 2
    first = int(scores.argmax())
    crowd = float(np.sort(likeness)[-CROWD:].sum()) / CROWD  # a missing product counts as unlike
    known = np.array([1, likeness[first], rows[first, PRINTED], crowd])
    sharpness = 1 + weights.growth * pictures.mean() + weights.firmness * rows[first, PRINTED]
    return Terms(scores, float(sharpness), known)


def known_weights(weights: Weights) -> np.ndarray:
    """Return the weights of the logistic regression: (4,) float64."""
    return np.array([weights.known, weights.height, weights.details, weights.crowd])


def softmax(utilities: np.ndarray) -> np.ndarray:
    """Return the shares of exponentiated utilities: (P,) float64."""
    shares = np.exp(utilities - utilities.max())
    return np.asarray(shares / shares.sum())


def sigmoid(logits: np.ndarray | float) -> np.ndarray | float:
    """Return the logistic function, without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * logits))


def _finite(name: str, value: Any) -> float:
    read = float(value)
    if not math.isfinite(read):
        raise ValueError(f"{name}, {read}")
    return read
