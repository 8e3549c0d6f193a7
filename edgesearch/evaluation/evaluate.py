"""How well a store answers photos whose product is known."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..answer import Answer, Decision, Match
from ..catalog import product
from ..errors import CatalogError, ImageError
from ..store.store import Store
from . import metrics

DEPTH = 100  # products ranked for each query; a product farther down counts as not found


@dataclass(frozen=True)
class Asked:
    """One query and what it found.

    Attributes: sku: of its product, "" where that is not in the catalogue; best: the first match, None where nothing
                was found; rank: place of the right product, 0 where it is not among the first `DEPTH`, or unknown;
                right_score: its score, None likewise; probability: that the first match is right, and inside: that the
                photo shows a product of the catalogue, as the store says; elapsed_ms: by stage.
    """

    photo: Path
    sku: str
    decision: Decision
    best: Match | None
    rank: int
    right_score: float | None
    probability: float
    inside: float
    elapsed_ms: Mapping[str, float]

    @property
    def known(self) -> bool:
        """Its product is in the catalogue."""
        return bool(self.sku)

    @property
    def accepted(self) -> bool:
        """It was not answered "unknown"."""
        return self.decision != "unknown"

    @property
    def right(self) -> bool:
        """The first match is its product."""
        return self.rank == 1


@dataclass(frozen=True)
class Evaluation:
    """All queries with what they found, and the figures over them; Q queries, at least one.

    Attributes: products: the right ones, by SKU, each as its first reference picture finds it; fast: as it was asked;
                skipped: why each photo that was left out cannot be read.
    """

    asked: tuple[Asked, ...]
    products: Mapping[str, Match]
    fast: bool | None = None
    skipped: tuple[str, ...] = ()

    @property
    def ranks(self) -> np.ndarray:
        """(Q,) int64."""
        return np.array([one.rank for one in self.asked])

    @property
    def known(self) -> np.ndarray:
        """(Q,) bool."""
        return np.array([one.known for one in self.asked])

    @property
    def accepted(self) -> np.ndarray:
        """(Q,) bool."""
        return np.array([one.accepted for one in self.asked])

    @property
    def errors(self) -> metrics.ErrorCurve | None:
        """What other thresholds of probability would do; None where products are all known, or all unknown."""
        return metrics.error_curve(self.known, np.array([one.inside for one in self.asked]))

    @property
    def reliability(self) -> metrics.Reliability:
        """Whether probabilities mean what they say; of an unknown product no match is right."""
        return metrics.reliability(np.array([one.probability for one in self.asked]), self.ranks == 1)

    def elapsed_ms(self, stage: str = "total") -> np.ndarray:
        """(Q,) float64, of one stage fewer: those of photos that went through it."""
        return np.array([one.elapsed_ms[stage] for one in self.asked if stage in one.elapsed_ms])

    def to_dict(self) -> dict[str, Any]:
        """JSON-able figures; recall@k and mAP are over the known products' queries, None where there are none."""
        ranks, errors = self.ranks[self.known], self.errors
        ranked = {
            "recall@1": metrics.recall_at(ranks, 1),
            "recall@5": metrics.recall_at(ranks, 5),
            "map": metrics.mean_average_precision(ranks),
        }
        p50, p95 = np.percentile(self.elapsed_ms(), [50, 95])
        return {
            "queries": len(self.asked),
            "known": len(ranks),
            **(ranked if len(ranks) else dict.fromkeys(ranked)),
            **metrics.open_set(self.known, self.accepted, self.ranks == 1),
            "auroc": errors.auroc if errors else None,
            "ece": self.reliability.ece,
            "p50_ms": float(p50),
            "p95_ms": float(p95),
        }


def evaluate(
    store: Store,
    queries: Sequence[tuple[Path, str]],
    fast: bool | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    skip_bad: bool = False,
) -> Evaluation:
    """Ask every query, one after the other.

    Args:    queries: (photo, SKU); an empty SKU: a product that is not in the catalogue; fast: as in `Store.search`;
             skip_bad: leave out photos that cannot be read, instead of stopping.
    Raises:  CatalogError: a SKU is not in the catalogue, or there are no queries;
             ImageError: a photo cannot be read, or none can.
    """
    if not queries:
        raise CatalogError("no queries to ask; give at least one, a photo and its SKU.")
    products = store.named({sku for _, sku in queries if sku})
    product.check_queries(queries, products, store.bundle.path)
    asked, skipped = [], []
    for done, (photo, sku) in enumerate(queries, 1):
        try:
            asked.append(_asked(photo, sku, store.search(photo, k=DEPTH, fast=fast)))
        except ImageError as error:
            if not skip_bad:
                raise
            skipped.append(str(error))
        progress(done, len(queries))
    if not asked:
        raise ImageError(f"none of the {len(queries)} photos can be read (the first: {skipped[0]}); check their paths.")
    return Evaluation(tuple(asked), products, fast, tuple(skipped))


def _asked(photo: Path, sku: str, answer: Answer) -> Asked:
    """Only what is needed later: the matches of thousands of photos would fill a small device."""
    skus, best = [match.sku for match in answer.matches], answer.matches[0] if answer.matches else None
    rank = skus.index(sku) + 1 if sku in skus else metrics.NOT_FOUND
    right_score = answer.matches[rank - 1].score if rank else None
    return Asked(
        photo, sku, answer.decision, best, rank, right_score, answer.probability, answer.known, answer.elapsed_ms
    )
