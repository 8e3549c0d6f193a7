"""Choose the thresholds of a decision from photos whose product is known, and say what to expect of it.

Q questions: photos whose product the catalogue has, and photos of products that it lacks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..answer import CHOICES
from .decision import LEAST_MATCH, sigmoid

PRECISION = 0.95  # of answers, at which coverage is stated
NOT_FOUND = 0  # rank of a product that was not found
TINY, STEPS = 1e-4, 20  # least probability, and steps of Newton's method, of the fitted curve


@dataclass(frozen=True)
class Targets:
    """The errors that a shop accepts.

    Attributes:
        wrong_matches: Share of the matches that may be wrong.
        missed: Share of the photos of known products that may be called unknown.
        unknown_share: Share of all photos that show unknown products, for `wrong_matches`.
    """

    wrong_matches: float = 0.05
    missed: float = 0.03
    unknown_share: float = 0.1

    def __post_init__(self) -> None:
        """Raise ValueError for a share outside its limits."""
        for name, value in vars(self).items():
            if not 0 < value < 1:
                raise ValueError(f"{name} is {value}; expected a share above 0 and below 1.")


DEFAULT_TARGETS = Targets()


class Outcomes(NamedTuple):
    """The judgements of Q photos.

    Attributes:
        first: (Q,) float64, probability of the first product.
        known: (Q,) float64, probability that the catalogue has the product.
        ranks: (Q,) int64, rank of the right product; `NOT_FOUND` if it was not found or is unknown.
        is_known: (Q,) bool, whether the catalogue has the product.
        weights: (Q,) float64, how much each photo counts.
    """

    first: np.ndarray
    known: np.ndarray
    ranks: np.ndarray
    is_known: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, rows: Sequence[tuple[float, float, int, bool]], unknown_share: float) -> "Outcomes":
        """Return the outcomes of rows without weights, such that unknown products have a share of all weights."""
        first, known = (np.array([row[i] for row in rows], float) for i in range(2))
        ranks, is_known = np.array([row[2] for row in rows], int), np.array([row[3] for row in rows], bool)
        counts = max(1, is_known.sum()), max(1, (~is_known).sum())
        weights = np.where(is_known, (1 - unknown_share) / counts[0], unknown_share / counts[1])
        return cls(first, known, ranks, is_known, weights)

    def scaled(self, weight: float) -> "Outcomes":
        """Return the same outcomes, all together of some weight."""
        return self._replace(weights=self.weights * (weight / max(self.weights.sum(), 1e-12)))

    @classmethod
    def join(cls, parts: Sequence["Outcomes"]) -> "Outcomes":
        """Return the outcomes of all parts."""
        return cls(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def coverage_at(self, precision: float = PRECISION) -> float:
        """Return the largest share of photos whose answers are right with a precision; 0 if there is none."""
        coverage, risk, _ = risk_curve(self)
        allowed = np.flatnonzero(risk <= 1 - precision + 1e-9)
        return float(coverage[allowed[-1]]) if len(allowed) else 0.0

    @property
    def right(self) -> np.ndarray:
        """Whether the first product is right, (Q,) bool."""
        return np.asarray(self.is_known & (self.ranks == 1))


def choose_thresholds(outcomes: Outcomes, targets: Targets) -> tuple[float, float]:
    """Return `match_from` and `known_from`: as many answers as the targets allow.

    Few wrong matches are seen, and one of them can move a threshold far. So the risk is the mean of the measured one
    and of that of a curve fitted to all probabilities.

    Args:
        outcomes: Of known and of unknown products.
        targets: The errors to accept.
    """
    known = outcomes.is_known
    order = np.argsort(outcomes.known[known], kind="stable")
    share = np.cumsum(outcomes.weights[known][order]) / outcomes.weights[known].sum()
    kept = min(int(np.searchsorted(share, targets.missed, side="right")), len(order) - 1)
    known_from = float(outcomes.known[known][order][kept])
    answered = np.where(outcomes.known < known_from, 0, outcomes.first)
    outcomes = outcomes._replace(first=answered)
    _, measured, thresholds = risk_curve(outcomes)
    risk = (measured + _smooth_risk(outcomes, thresholds)) / 2
    allowed = np.flatnonzero((risk <= targets.wrong_matches) & (thresholds >= LEAST_MATCH))
    return (float(thresholds[allowed[-1]]) if len(allowed) else 1.0), known_from


def _smooth_risk(outcomes: Outcomes, thresholds: np.ndarray) -> np.ndarray:
    """Return the risk at thresholds, (T,) float64, if the logit of being right is linear in that of the probability.

    Platt: Probabilistic outputs for support vector machines, 1999.
    """
    logits = np.log(outcomes.first.clip(TINY, 1 - TINY) / (1 - outcomes.first.clip(TINY, 1 - TINY)))
    terms = np.column_stack([np.ones(len(logits)), logits])
    counts = np.where(outcomes.first > 0, outcomes.weights * len(logits), 0)  # 0: never answered
    line = np.array([0.0, 1.0])
    for _ in range(STEPS):
        likely = sigmoid(terms @ line)
        hessian = (terms.T * (counts * likely * (1 - likely))) @ terms + np.eye(2)
        line = line - np.linalg.solve(hessian, terms.T @ (counts * (likely - outcomes.right)) + line - (0, 1))
    order = np.argsort(-outcomes.first, kind="stable")
    weights, wrong = outcomes.weights[order], 1 - sigmoid(terms[order] @ line)
    risk = np.cumsum(weights * wrong) / np.maximum(np.cumsum(weights), 1e-12)
    return np.asarray(risk[np.searchsorted(-outcomes.first[order], -thresholds, side="right") - 1])


def risk_curve(outcomes: Outcomes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return coverage, risk and threshold of each choice of answers, the surest answers first: (T,) float64 each.

    Coverage is the share of photos that are answered, risk the share of wrong answers among them (El-Yaniv, Wiener: On
    the foundations of noise-free selective classification, JMLR 2010).
    """
    order = np.argsort(-outcomes.first, kind="stable")
    weights, first = outcomes.weights[order], outcomes.first[order]
    answered = np.cumsum(weights)
    risk = 1 - np.cumsum(weights * outcomes.right[order]) / np.maximum(answered, 1e-12)
    last = np.append(first[1:] != first[:-1], True) if len(first) else np.empty(0, bool)  # equal ones stand together
    return answered[last] / max(answered[-1:].sum(), 1e-12), risk[last], first[last]


def expect(outcomes: Outcomes, match_from: float, known_from: float) -> dict[str, float]:
    """Return the shares of photos by answer.

    Returns: By name
        match, choice, unknown: shares of the photos of known products that are answered so;
        shown: share of them whose product is the match or among the choices;
        wrong_matches: share of wrong products among the matches, with the unknown products;
        unknown_sent_away: share of photos of unknown products that are answered unknown;
        coverage_at_95: share of the photos of known products that can be answered with a precision of 0.95.
    """
    known = outcomes.is_known
    away = outcomes.known < known_from
    match = ~away & (outcomes.first >= match_from)
    shown = outcomes.right & match | (~match & ~away & (outcomes.ranks >= 1) & (outcomes.ranks <= CHOICES))

    def share(chosen: np.ndarray, among: np.ndarray) -> float:
        return float(outcomes.weights[chosen & among].sum() / max(outcomes.weights[among].sum(), 1e-12))

    return {
        "match": share(match, known),
        "choice": share(~match & ~away, known),
        "unknown": share(away, known),
        "shown": share(shown, known),
        "wrong_matches": share(~outcomes.right, match),
        "unknown_sent_away": share(away, ~known),
        "coverage_at_95": Outcomes(*(column[known] for column in outcomes)).coverage_at(),
    }
