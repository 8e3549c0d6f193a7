"""Alternatives to a product: what looks like it, among those that are wanted, and not all the same.

How alike two products are: of each picture of the one the highest cosine with a picture of the other, in the mean, and
that both ways. Of groceries photographed in shops (41 products, 5 photos each drawn 20 times) it puts those of the same
kind first with a mAP of 0.590, where the cosine of the means has 0.547, the best pair 0.571 and one photo each 0.501.

Of the nearest products those are chosen one after the other that are near it and far from those already chosen: maximal
marginal relevance (Carbonell and Goldstein, SIGIR 1998). A choice weighs `RELEVANCE` of the first against the rest of
the second. Of 240 drawn products (`tools/bench personal`) five alternatives then have a likeness of 0.683 instead of
0.726 among each other, the most alike two 0.800 instead of 0.863, and 0.760 instead of 0.768 to the product. They are
shown nearest first.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..answer import Match
from ..catalog.product import Product
from ..errors import CatalogError
from .candidate import Candidate
from .gallery import Gallery
from .preference import Preference
from .scoring import ROWS_PER_RESULT

RELEVANCE = 0.7  # of 1; 1 is the nearest, however alike
POOL = 4  # products to choose each of the k from
PICTURES = 32  # of a product that are looked at


class Compared(NamedTuple):
    """What alternatives are compared by, as `Product` has it."""

    price: float | None
    currency: str | None
    category: str | None
    brand: str | None
    stock: int | None

    @classmethod
    def of(cls, product: Product) -> "Compared":
        """Of a product."""
        return cls(*(getattr(product, name) for name in cls._fields))


Condition = Callable[[Compared, Compared], bool]  # of an alternative, and the product itself
_CONDITIONS: Mapping[str, Condition] = {
    "cheaper": lambda one, than: _priced_alike(one, than) and (one.price or 0.0) < (than.price or 0.0),
    "other_brand": lambda one, than: _word(one.brand) not in ("", _word(than.brand)),
    "same_category": lambda one, than: _word(one.category) == _word(than.category),
    "in_stock": lambda one, _: (one.stock or 0) > 0,
}
_NEEDED = {"cheaper": "price", "other_brand": "brand", "same_category": "category"}  # of the product itself


@dataclass(frozen=True)
class Wanted:
    """Which alternatives to a product are wanted. What the catalogue does not say of one is not taken for granted.

    Attributes: cheaper: it has a price, in the product's currency, and a lower one; other_brand: it has a brand, and
                another; same_category: it has the product's; in_stock: it is known that there is one at least.
    """

    cheaper: bool = False
    other_brand: bool = False
    same_category: bool = False
    in_stock: bool = False

    def conditions(self, product: Product) -> dict[str, Condition]:
        """Those that are set, by name; raises CatalogError: the product lacks what one compares."""
        asked = {name: condition for name, condition in _CONDITIONS.items() if getattr(self, name)}
        for name in asked:
            detail = _NEEDED.get(name)
            if detail and getattr(product, detail) is None:
                raise CatalogError(
                    f"{product.sku}: has no {detail}, so no product is {_named(name)}; leave that out, or give it a "
                    f"{detail}."
                )
        return asked


def similar(
    gallery: Gallery, sku: str, k: int, wanted: Wanted, preference: Preference | None, relevance: float = RELEVANCE
) -> tuple[Match, ...]:
    """At most k alternatives to a product, best first; fewer only where no more are wanted ones.

    Args:    taste: moves the order a little; None: it does not; relevance: as `diverse` has it.
    Raises:  CatalogError: no product of that SKU is shown, it lacks what a condition compares, or no other satisfies
             them all.
    """
    known = gallery.find_product(sku)
    if known is None:
        raise CatalogError(f"{sku}: no product of that SKU is here; check it, or enrol the product.")
    owners = gallery.owners()
    own = _pictures(owners, known[0])
    near = _near(gallery, _wanted(gallery, owners, known, wanted)[owners], own, owners, k * POOL)
    pictures = [own, *(_pictures(owners, owners[row]) for row in near)]
    vectors, counts = gallery.vectors(np.concatenate(pictures)), np.array([len(rows) for rows in pictures])
    matches = gallery.matches(
        [Candidate(*one) for one in zip(near, alike(0, vectors, counts)[1:].tolist(), strict=True)]
    )
    scores = np.array([match.score + (preference.lift(match.product) if preference else 0.0) for match in matches])
    chosen = diverse(scores, lambda place: alike(place + 1, vectors, counts)[1:], k, relevance)
    return tuple(matches[place] for place in sorted(chosen, key=lambda place: -scores[place]))


def alike(place: int, vectors: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """How alike one product is to each of P; of all with all there would be too many where very many are asked for.

    Args:    place: of the one; vectors: (R, D) float32, unit rows of the pictures of all, product after product;
             counts: (P,) int, how many each has, at least 1.
    Returns: (P,) float32.
    """
    starts = np.cumsum(counts) - counts
    cosines = vectors[starts[place] :][: counts[place]] @ vectors.T
    there = np.maximum.reduceat(cosines, starts, axis=1).mean(axis=0)
    back = np.add.reduceat(cosines.max(axis=0), starts) / counts.astype(np.float32)
    return np.asarray((there + back) / 2)


def diverse(
    scores: np.ndarray, likeness: Callable[[int], np.ndarray], k: int, relevance: float = RELEVANCE
) -> list[int]:
    """Choose k of some products by maximal marginal relevance.

    Args:    scores: (P,) float; likeness: gives (P,) of the product at a place, as `alike`; relevance: share of the
             score.
    Returns: their places in the order they were chosen, the highest score first; all of them where P < k.
    """
    chosen: list[int] = []
    worth, nearest = relevance * scores, np.full(len(scores), -1.0)
    for _ in range(min(k, len(scores))):
        place = int(np.argmax(worth - (1 - relevance) * nearest))
        chosen.append(place)
        nearest = np.maximum(nearest, likeness(place))
        worth[place] = -np.inf
    return chosen


def _wanted(gallery: Gallery, owners: np.ndarray, known: tuple[int, Product], wanted: Wanted) -> np.ndarray:
    """Whether each product is wanted, by its number, and last, for -1, that what is not shown is not.

    Args:    known: the product they are alternatives to, with its number.
    """
    number, product = known
    conditions, than = wanted.conditions(product), Compared.of(product)
    admitted = np.zeros(max(owners.max(initial=0), len(gallery.base.catalog)) + 2, bool)
    admitted[owners] = True
    admitted[[number, -1]] = False
    satisfied: Counter[tuple[bool, ...]] = Counter()
    for other, cells in gallery.details(Compared._fields) if conditions else ():
        if admitted[other]:
            one = Compared(*cells)
            which = tuple(condition(one, than) for condition in conditions.values())
            satisfied[which] += 1
            admitted[other] = all(which)
    if not admitted.any():
        raise CatalogError(_nothing(product.sku, [*conditions], satisfied))
    return admitted


def _nothing(sku: str, asked: list[str], satisfied: Counter[tuple[bool, ...]]) -> str:
    """Which condition leaves nothing, and what would do.

    Args:    satisfied: how many of the other products satisfy which of the conditions.
    """
    total = satisfied.total()
    if not total:
        return f"{sku}: is the only product that is shown here; there is none to compare it with."
    alone = [sum(count for which, count in satisfied.items() if which[place]) for place in range(len(asked))]
    without = [
        sum(count for which, count in satisfied.items() if all(which[:place] + which[place + 1 :]))
        for place in range(len(asked))
    ]
    place = int(np.argmax(without))
    best = f'leave out "{_named(asked[place])}", and {without[place]} are left'
    if not without[place]:
        best = "leave out more than one of them"
    counts = ", ".join(f"{_named(name)}: {count}" for name, count in zip(asked, alone, strict=True))
    return f"{sku}: none of the {total} other products satisfies all that is asked ({counts}); {best}."


def _near(gallery: Gallery, mask: np.ndarray, own: np.ndarray, owners: np.ndarray, products: int) -> list[int]:
    """Rows of the mask that are nearest to some rows, nearest first: one of each product, so many or all there are."""
    index, first, asked = gallery.base.index, len(gallery.base.index), products * ROWS_PER_RESULT
    allowed, vectors = index.allow(mask[:first]), gallery.vectors(own)
    rows = np.flatnonzero(mask)
    while asked < allowed.count:
        hits = np.unique(index.search(vectors, asked, allowed=allowed).rows)
        found = np.concatenate([hits[hits >= 0], rows[rows >= first]])  # and all that is taught
        if len(np.unique(owners[found])) >= products:
            rows = found
            break
        asked *= 4
    cosines = (gallery.vectors(rows) @ vectors.T).max(1)
    rows = rows[np.argsort(-cosines, kind="stable")]
    _, best = np.unique(owners[rows], return_index=True)
    return rows[np.sort(best)[:products]].tolist()


def _pictures(owners: np.ndarray, number: int) -> np.ndarray:
    """(R,) int: the rows of a product, the last `PICTURES`, so that what was taught is among them."""
    return np.flatnonzero(owners == number)[-PICTURES:]


def _priced_alike(one: Compared, other: Compared) -> bool:
    priced = one.price is not None and other.price is not None
    return priced and _word(one.currency) == _word(other.currency)


def _word(text: str | None) -> str:
    return (text or "").strip().casefold()


def _named(condition: str) -> str:
    return condition.replace("_", " ")
