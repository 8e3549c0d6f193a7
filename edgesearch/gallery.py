"""All reference pictures that a photo is compared with, and the products they show."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from .answer import Match
from .base import Base
from .index import Hits
from .local import NOTHING, Evidence, Print

ROWS_PER_RESULT = 4  # rows asked of the index for each product wanted, before asking again for more
SURE_LEAD = 0.1  # of the best cosine, with which the print is not looked at: it never mended what led by so much
VERIFIED = 20  # pictures the embedding is nearest to whose print is compared
NAMED = 10  # and pictures that share most visual words


@dataclass(frozen=True)
class Found:
    """A product's best picture, and what its print has in common with the photo."""

    row: int
    cosine: float
    evidence: Evidence = NOTHING

    @property
    def score(self) -> float:
        """The cosine, raised where the print agrees."""
        return self.evidence.raise_score(self.cosine)


class Gallery:
    """The pictures of a base."""

    def __init__(self, base: Base):
        self.base = base

    def nearest(self, embedding: np.ndarray, k: int) -> list[Found]:
        """The nearest pictures, nearest first: enough of them to show k products, where there are as many.

        Args:    embedding: (1, D) float32, unit row.
        """
        wanted = min(k, len(self.base.catalog))
        rows = min(len(self.base.index), k * ROWS_PER_RESULT)
        while True:
            pictures = _pictures(self.base.index.search(embedding, rows))
            if len(self.by_product(pictures)) >= wanted or rows >= len(self.base.index):
                return pictures
            rows = min(len(self.base.index), rows * 4)

    def by_product(self, pictures: Iterable[Found]) -> dict[int, Found]:
        """The first picture of each product speaks for it."""
        first: dict[int, Found] = {}
        for one in pictures:
            first.setdefault(self.base.catalog.owner(one.row), one)
        return first

    def verified(self, near: list[Found], photo: Print, embedding: np.ndarray) -> list[Found]:
        """The products of these pictures and of those that visual words name, as their print orders them.

        A product's nearest picture and the one whose print agrees most need not be the same: photos of a product differ
        in what they show of it.
        """
        assert self.base.local is not None
        looked = near[:VERIFIED]
        seen = {one.row for one in looked}
        named = [row for row in self.base.local.candidates(photo, NAMED).tolist() if row not in seen]
        looked = [*looked, *self._compared(named, embedding)]
        evidence = self.base.local.verify(photo, [one.row for one in looked])
        looked = [replace(one, evidence=agrees) for one, agrees in zip(looked, evidence, strict=True)]
        nearest = self.by_product(sorted([*near, *looked], key=lambda one: -one.cosine))
        agreeing = self.by_product(sorted(looked, key=lambda one: -one.evidence.weight))
        together = [_together(one, agreeing.get(product, one)) for product, one in nearest.items()]
        return sorted(together, key=lambda one: -one.score)

    def matches(self, found: list[Found], size: tuple[int, ...]) -> tuple[Match, ...]:
        """What is known of these products; size: (H, W) of the photo."""
        details = self.base.catalog.find([one.row for one in found])
        shares = np.array([max(size) / size[1], max(size) / size[0]])
        return tuple(
            Match(
                product,
                one.score,
                picture.source,
                one.row,
                one.evidence.points,
                tuple((x, y) for x, y in (one.evidence.outline * shares).tolist()),
                one.evidence.mirrored,
            )
            for one, (product, picture) in zip(found, details, strict=True)
        )

    def _compared(self, rows: list[int], embedding: np.ndarray) -> list[Found]:
        """Those rows with their cosines."""
        if not rows:
            return []
        mask = np.zeros(len(self.base.index), bool)
        mask[rows] = True
        return _pictures(self.base.index.search(embedding, len(rows), allowed=self.base.index.allow(mask)))


def is_sure(found: list[Found]) -> bool:
    """The first leads by so much that its print need not be looked at."""
    return len(found) < 2 or found[0].score - found[1].score >= SURE_LEAD


def _pictures(hits: Hits) -> list[Found]:
    """What one query found."""
    pairs = zip(hits.rows[0].tolist(), hits.scores[0].tolist(), strict=True)
    return [Found(row, cosine) for row, cosine in pairs if row >= 0]


def _together(nearest: Found, agreeing: Found) -> Found:
    """Two pictures of one product: the cosine of the one, the print of the other."""
    return replace(agreeing if agreeing.evidence.points else nearest, cosine=nearest.cosine, evidence=agreeing.evidence)
