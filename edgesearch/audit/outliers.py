"""Find pictures that look like another product than their own.

A catalogue picture and a shop photo of one product look less alike than the catalogue pictures of two products. So a
picture is compared with those of its own and of other products that have the same kind of background, and must be
nearer to the other product by both kinds. `tools/bench catalogue` measures how much is found at how many false alarms.
"""

from collections import Counter, defaultdict
from typing import NamedTuple

import numpy as np

from .suspects import ExaminedPictures, Neighbours, PictureRef

MARGIN = 0.2  # cosine; an outlier is nearer to another product than to its own by so much
MARGIN_OF_BOTH = 0.15  # if pictures of both kinds of background say so
MARGIN_OF_TWO = 0.3  # of a product with two pictures, either of which may be the wrong one


class Outlier(NamedTuple):
    """A picture that is nearer to one of another product than to any of its own.

    Attributes:
        nearest: the nearest picture of another product, of the kind of background that says so least.
        sibling: the nearest picture of its own product, of that kind.
        nearest_cosine, own_cosine: to these.
    """

    picture: PictureRef
    nearest: PictureRef
    sibling: PictureRef
    nearest_cosine: float
    own_cosine: float


def find_outliers(examined: ExaminedPictures, near: Neighbours) -> list[Outlier]:
    """Return the outliers, at most one a product, worst first."""
    rows_of: dict[int, list[int]] = defaultdict(list)
    for row, ref in enumerate(examined.readable):
        rows_of[ref.entry].append(row)
    totals = Counter(examined.plain.tolist())
    products = [np.array(rows) for rows in rows_of.values() if len(rows) > 1]
    found = [one for rows in products if (one := _find_outlier(examined, near, rows, totals))]
    return sorted(found, key=lambda outlier: outlier.own_cosine - outlier.nearest_cosine)


def _find_outlier(
    examined: ExaminedPictures, near: Neighbours, rows: np.ndarray, totals: Counter[bool]
) -> Outlier | None:
    """Return the worst outlier among the pictures of one product, (R,) int64."""
    compared = [
        [_compare(examined, near, row, siblings, kind) for row in rows]
        for kind in (True, False)
        if 0 < len(siblings := rows[examined.plain[rows] == kind]) < totals[kind]
    ]
    worst, excess = None, 0.0
    for answers in zip(*compared, strict=True):
        usable = [one for one in answers if one]
        least = min(usable, key=lambda one: one.nearest_cosine - one.own_cosine, default=None)
        if least is None:
            continue
        limit = MARGIN_OF_TWO if len(rows) == 2 else MARGIN_OF_BOTH if len(usable) == 2 else MARGIN
        over = least.nearest_cosine - least.own_cosine - limit
        if over >= excess:
            worst, excess = least, over
    return worst


def _compare(
    examined: ExaminedPictures, near: Neighbours, row: int, siblings: np.ndarray, kind: bool
) -> Outlier | None:
    """Compare a picture with those of one kind of background; None if its product has no other of that kind."""
    others = siblings[siblings != row]
    if not len(others):
        return None
    cosines = examined.vectors[others] @ examined.vectors[row]
    scores = np.where(examined.plain[near.rows[row]] == kind, near.scores[row], -np.inf)
    rank = int(scores.argmax())
    picture, nearest, sibling = (
        examined.readable[int(one)] for one in (row, near.rows[row, rank], others[cosines.argmax()])
    )
    return Outlier(picture, nearest, sibling, float(scores[rank]), float(cosines.max()))
