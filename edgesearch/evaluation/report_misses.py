"""Select the answers that a report shows: confused products, and the worst misses of each kind."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from ..answer import Match
from .evaluate import Evaluation, QueryResult

MAX_SHOWN = 12  # of a kind


@dataclass(frozen=True)
class Confusion:
    """Two or more photos of one product whose first match was the same other product.

    Attributes:
        sku: SKU of the right product.
        found: The other product, as a match of the most confident photo.
        results: Most confident first.
        photos: Number of all photos of the product.
    """

    sku: str
    found: Match
    results: tuple[QueryResult, ...]
    photos: int


def confusions(evaluation: Evaluation) -> list[Confusion]:
    """Return products mistaken for the same other one more than once, most frequent first, whatever the decision."""
    pairs: dict[tuple[str, str], list[QueryResult]] = defaultdict(list)
    photos: dict[str, int] = defaultdict(int)
    for result in evaluation.results:
        photos[result.sku] += 1
        if result.known and result.best and not result.right:
            pairs[result.sku, result.best.sku].append(result)
    found = []
    for (sku, _), results in pairs.items():
        ordered = _most_confident(results)
        if len(results) > 1 and ordered[0].best:
            found.append(Confusion(sku, ordered[0].best, tuple(ordered), photos[sku]))
    return sorted(found, key=lambda pair: (-len(pair.results), -pair.results[0].probability))


def wrong_products(evaluation: Evaluation) -> list[QueryResult]:
    """Return matches that name another product of the catalogue, most confident first."""
    return _most_confident(
        result for result in evaluation.results if result.known and result.accepted and not result.right
    )


def false_rejects(evaluation: Evaluation) -> list[QueryResult]:
    """Return known products that were answered "unknown", least confident first."""
    return _most_confident(result for result in evaluation.results if result.known and result.rejected)[::-1]


def false_accepts(evaluation: Evaluation) -> list[QueryResult]:
    """Return unknown products that got a match, most confident first."""
    return _most_confident(result for result in evaluation.results if not result.known and result.accepted)


def _most_confident(results: Iterable[QueryResult]) -> list[QueryResult]:
    return sorted(results, key=lambda result: -result.probability)
