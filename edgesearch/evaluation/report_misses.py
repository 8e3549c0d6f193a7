"""Which of many answers are worth looking at: what was mistaken for what, and the worst of each kind of miss."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from ..answer import Match
from .evaluate import Asked, Evaluation

SHOWN = 12  # of a kind


@dataclass(frozen=True)
class Confusion:
    """Photos of one product that found another, at least two.

    Attributes: sku: of the product; found: of the other, as the surest photo found it; asked: surest first; photos: of
                the product in all.
    """

    sku: str
    found: Match
    asked: tuple[Asked, ...]
    photos: int


def confusions(evaluation: Evaluation) -> list[Confusion]:
    """What was mistaken for the same other product more than once, most often first; accepted or not."""
    pairs: dict[tuple[str, str], list[Asked]] = defaultdict(list)
    photos: dict[str, int] = defaultdict(int)
    for one in evaluation.asked:
        photos[one.sku] += 1
        if one.known and one.best and not one.right:
            pairs[one.sku, one.best.sku].append(one)
    found = []
    for (sku, _), asked in pairs.items():
        surest = _surest(asked)
        if len(asked) > 1 and surest[0].best:
            found.append(Confusion(sku, surest[0].best, tuple(surest), photos[sku]))
    return sorted(found, key=lambda one: (-len(one.asked), -one.asked[0].probability))


def mistaken(evaluation: Evaluation) -> list[Asked]:
    """Another product of the catalogue was accepted, surest first."""
    return _surest(one for one in evaluation.asked if one.known and one.accepted and not one.right)


def refused(evaluation: Evaluation) -> list[Asked]:
    """Products of the catalogue that were called unknown, the least sure first."""
    return _surest(one for one in evaluation.asked if one.known and not one.accepted)[::-1]


def strangers(evaluation: Evaluation) -> list[Asked]:
    """Products that are not in the catalogue and were accepted, surest first."""
    return _surest(one for one in evaluation.asked if not one.known and one.accepted)


def _surest(asked: Iterable[Asked]) -> list[Asked]:
    return sorted(asked, key=lambda one: -one.probability)
