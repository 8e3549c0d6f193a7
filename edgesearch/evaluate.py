"""How well a store answers photos whose product is known."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import metrics
from .answer import Answer
from .engine import Store
from .errors import CatalogError

DEPTH = 100  # products ranked for each query; a product farther down counts as not found


@dataclass(frozen=True)
class Evaluation:
    """Figures over Q queries, and what they were counted from.

    Attributes: ranks (Q,) int64: place of the right product, 0 where it is not among the first `DEPTH`, or unknown;
                known (Q,) bool: the product is in the catalogue; accepted (Q,) bool: not answered "unknown";
                elapsed_ms (Q,) float64.
    """

    ranks: np.ndarray
    known: np.ndarray
    accepted: np.ndarray
    elapsed_ms: np.ndarray

    def to_dict(self) -> dict[str, Any]:
        """JSON-able figures; recall@k and mAP are over the known products' queries, None where there are none."""
        ranks = self.ranks[self.known]
        ranked = {
            "recall@1": metrics.recall_at(ranks, 1),
            "recall@5": metrics.recall_at(ranks, 5),
            "map": metrics.mean_average_precision(ranks),
        }
        p50, p95 = np.percentile(self.elapsed_ms, [50, 95])
        return {
            "queries": len(self.ranks),
            "known": len(ranks),
            **(ranked if len(ranks) else dict.fromkeys(ranked)),
            **metrics.open_set(self.known, self.accepted, self.ranks == 1),
            "p50_ms": float(p50),
            "p95_ms": float(p95),
        }


def evaluate(
    store: Store,
    queries: Sequence[tuple[Path, str]],
    fast: bool | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Ask every query, one after the other.

    Args:    queries: (photo, SKU); an empty SKU: a product that is not in the catalogue; fast: as in `Store.search`.
    Raises:  CatalogError: a SKU is not in the catalogue; ImageError: a photo cannot be read.
    """
    strange = sorted({sku for _, sku in queries if sku} - store.skus())
    if strange:
        raise CatalogError(
            f"{len(strange)} SKUs of the queries are not in {store.bundle.path} (the first: {strange[0]}); "
            "correct them, or leave the cell empty for a product that is not in the catalogue."
        )
    answers = []
    for done, (photo, _) in enumerate(queries, 1):
        answers.append(store.search(photo, k=DEPTH, fast=fast))
        progress(done, len(queries))
    return Evaluation(
        ranks=np.array([_rank(answer, sku) for answer, (_, sku) in zip(answers, queries, strict=True)]),
        known=np.array([bool(sku) for _, sku in queries]),
        accepted=np.array([answer.decision != "unknown" for answer in answers]),
        elapsed_ms=np.array([answer.elapsed_ms["total"] for answer in answers]),
    )


def _rank(answer: Answer, sku: str) -> int:
    skus = [match.sku for match in answer.matches]
    return skus.index(sku) + 1 if sku in skus else metrics.NOT_FOUND
