"""Evaluate how well a store answers photos whose product is known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .._util import progress
from ..answer import Answer, Decision, Match
from ..catalog import product
from ..errors import CatalogError, ImageError
from ..images.quality import Flaw
from ..store.store import Store
from . import metrics

UNNAMED = "(no category)"
DEPTH = 100  # products ranked for each query; a product below counts as not found


@dataclass(frozen=True)
class QueryResult:
    """One query and its answer.

    Attributes:
        sku: SKU of its product; "" if the product is not in the catalogue.
        best: First match; None if there is none.
        rank: Rank of the right product; 0 if it is not among the first `DEPTH`, or not in the catalogue.
        right_score: Score of the right product; None if its rank is 0.
        probability: Stated probability that the first match is right.
        known_probability: Stated probability that the photo shows a product of the catalogue.
        elapsed_ms: Time by stage.
        flaw: What is wrong with the photo, if the answer is no match.
    """

    photo: Path
    sku: str
    decision: Decision
    best: Match | None
    rank: int
    right_score: float | None
    probability: float
    known_probability: float
    elapsed_ms: Mapping[str, float]
    flaw: Flaw = ""

    @property
    def known(self) -> bool:
        """True if the product is in the catalogue."""
        return bool(self.sku)

    @property
    def accepted(self) -> bool:
        """True if the answer is a match, on which a user acts without being asked."""
        return self.decision == "match"

    @property
    def rejected(self) -> bool:
        """True if the answer is "unknown"."""
        return self.decision == "unknown"

    @property
    def right(self) -> bool:
        """True if the first match is the right product."""
        return self.rank == 1


@dataclass(frozen=True)
class Evaluation:
    """The results of Q queries, at least one, and the figures over them.

    Attributes:
        results: One for each query.
        products: The right products by SKU, each as a match of its first reference picture.
        fast: As it was passed to `Store.search`.
        skipped: Reason for each photo that could not be read and was skipped.
    """

    results: tuple[QueryResult, ...]
    products: Mapping[str, Match]
    fast: bool | None = None
    skipped: tuple[str, ...] = ()

    @property
    def ranks(self) -> np.ndarray:
        """Ranks of the right products, (Q,) int64."""
        return np.array([result.rank for result in self.results])

    @property
    def known(self) -> np.ndarray:
        """True for products in the catalogue, (Q,) bool."""
        return np.array([result.known for result in self.results])

    @property
    def accepted(self) -> np.ndarray:
        """True for matches, (Q,) bool."""
        return np.array([result.accepted for result in self.results])

    @property
    def answers(self) -> metrics.Answers:
        """The answers as arrays."""
        rejected = np.array([result.rejected for result in self.results])
        probabilities = np.array([result.probability for result in self.results])
        return metrics.Answers(self.known, self.accepted, rejected, self.ranks, probabilities)

    @property
    def errors(self) -> metrics.ErrorCurve | None:
        """Error rates at other thresholds of probability; None unless there are known and unknown products."""
        return metrics.error_curve(self.known, np.array([result.known_probability for result in self.results]))

    @property
    def reliability(self) -> metrics.Reliability:
        """Stated probabilities against the share of right first matches; for an unknown product none is right."""
        return metrics.reliability(np.array([result.probability for result in self.results]), self.ranks == 1)

    @property
    def by_category(self) -> dict[str, dict[str, float | None]]:
        """Figures by category of the right product, as `metrics.by_category`; empty if no product has a category."""
        right = [self.products[result.sku].product for result in self.results if result.known]
        if not any(one.category for one in right):
            return {}
        own = [one.category or UNNAMED for one in right]
        return metrics.by_category(own, self.answers.of(self.known))

    def elapsed_ms(self, stage: str = "total") -> np.ndarray:
        """Return the times of a stage, (Q,) float64; fewer if some photos did not reach the stage."""
        return np.array([result.elapsed_ms[stage] for result in self.results if stage in result.elapsed_ms])

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able figures; recall@k and mAP are over known products, None if there are none.

        Those of each category are under "by_category".
        """
        ranks, errors = self.ranks[self.known], self.errors
        ranked = {
            "recall@1": metrics.recall_at(ranks, 1),
            "recall@5": metrics.recall_at(ranks, 5),
            "map": metrics.mean_average_precision(ranks),
        }
        p50, p95 = np.percentile(self.elapsed_ms(), [50, 95])
        return {
            "queries": len(self.results),
            "known": len(ranks),
            **(ranked if len(ranks) else dict.fromkeys(ranked)),
            **self.answers.figures(),
            "auroc": errors.auroc if errors else None,
            "ece": self.reliability.ece,
            "p50_ms": float(p50),
            "p95_ms": float(p95),
            "by_category": self.by_category,
        }


def evaluate(
    store: Store,
    queries: Sequence[tuple[Path, str]],
    fast: bool | None = None,
    skip_bad: bool = False,
) -> Evaluation:
    """Search each query, one after the other.

    Args:
        store: To evaluate.
        queries: Photo and SKU; an empty SKU marks a product that is not in the catalogue.
        fast: As in `Store.search`.
        skip_bad: Skip photos that cannot be read, instead of raising ImageError.
    Raises:
        CatalogError: A SKU is not in the catalogue, or there are no queries.
        ImageError: A photo cannot be read, or none can.
    """
    if not queries:
        raise CatalogError("no queries to ask; give at least one, a photo and its SKU.")
    products = store.named({sku for _, sku in queries if sku})
    product.check_queries(queries, products, store.bundle.path)
    results, skipped = [], []
    for photo, sku in progress.track("search", "photo", queries, len(queries)):
        try:
            results.append(_make_result(photo, sku, store.search(photo, k=DEPTH, fast=fast)))
        except ImageError as error:
            if not skip_bad:
                raise
            skipped.append(str(error))
    if not results:
        raise ImageError(f"none of the {len(queries)} photos can be read (the first: {skipped[0]}); check their paths.")
    return Evaluation(tuple(results), products, fast, tuple(skipped))


def _make_result(photo: Path, sku: str, answer: Answer) -> QueryResult:
    """Keep only what the figures need: all matches of thousands of photos would fill the memory of a small device."""
    skus, best = [match.sku for match in answer.matches], answer.matches[0] if answer.matches else None
    rank = skus.index(sku) + 1 if sku in skus else metrics.NOT_FOUND
    right_score = answer.matches[rank - 1].score if rank else None
    return QueryResult(
        photo, sku, answer.decision, best, rank, right_score, answer.probability, answer.known, answer.elapsed_ms,
        answer.flaw,
    )  # fmt: skip
