"""Find alternatives to a product: products that look like it, satisfy the conditions, and are not all the same.

The likeness of two products: for each picture of one, take the highest cosine with a picture of the other; average
these, in both directions. With groceries photographed in shops (41 products, 5 photos each, drawn 20 times) likeness
ranks products of the same kind first with a mAP of 0.590; the cosine of the means reaches 0.547, the best pair 0.571
and one photo each 0.501.

Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998) then picks, one after another, products that are near
the product and far from those already picked; `RELEVANCE` weighs the first against the second. With 240 drawn products
(`tools/bench personal`) it lowers the likeness among five alternatives from 0.726 to 0.683, that of the closest two
from 0.863 to 0.800, and the likeness to the product only from 0.768 to 0.760. The alternatives are returned nearest
first.

P products, R rows, D dimensions.
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

RELEVANCE = 0.7  # 1 returns the nearest, however similar they are to each other
POOL = 4  # products to pick each of the k from
MAX_PICTURES = 32  # compared of a product


class ComparedDetails(NamedTuple):
    """The details by which conditions compare products; names as in `Product`."""

    price: float | None
    currency: str | None
    category: str | None
    brand: str | None
    stock: int | None

    @classmethod
    def of(cls, product: Product) -> "ComparedDetails":
        """Return the details of a product."""
        return cls(*(getattr(product, name) for name in cls._fields))


Condition = Callable[[ComparedDetails, ComparedDetails], bool]  # takes an alternative, then the product
_CONDITIONS: Mapping[str, Condition] = {
    "cheaper": lambda one, than: _have_same_currency(one, than) and (one.price or 0.0) < (than.price or 0.0),
    "other_brand": lambda one, than: _normalize(one.brand) not in ("", _normalize(than.brand)),
    "same_category": lambda one, than: _normalize(one.category) == _normalize(than.category),
    "in_stock": lambda one, _: (one.stock or 0) > 0,
}
_NEEDED = {"cheaper": "price", "other_brand": "brand", "same_category": "category"}  # details the product must have


@dataclass(frozen=True)
class AlternativeFilter:
    """Conditions for alternatives to a product. An alternative that lacks a detail does not satisfy its condition.

    Attributes:
        cheaper: It has a lower price, in the product's currency.
        other_brand: It has a different brand.
        same_category: It has the product's category.
        in_stock: At least one is known to be in stock.
    """

    cheaper: bool = False
    other_brand: bool = False
    same_category: bool = False
    in_stock: bool = False

    def conditions(self, product: Product) -> dict[str, Condition]:
        """Return the conditions that are set, by name; raise CatalogError if the product lacks what they compare."""
        conditions = {name: condition for name, condition in _CONDITIONS.items() if getattr(self, name)}
        for name in conditions:
            detail = _NEEDED.get(name)
            if detail and getattr(product, detail) is None:
                raise CatalogError(
                    f"{product.sku}: has no {detail}, so no product is {_condition_name(name)}; leave that out, or "
                    f"give it a {detail}."
                )
        return conditions


def find_similar(
    gallery: Gallery,
    sku: str,
    k: int,
    wanted: AlternativeFilter,
    preference: Preference | None,
    relevance: float = RELEVANCE,
) -> tuple[Match, ...]:
    """Return k alternatives to a product, nearest first; fewer only if no more satisfy the conditions.

    Args:
        gallery: The gallery to search.
        sku: Of the product.
        k: Number of alternatives.
        wanted: Conditions.
        preference: Moves the order a little; None leaves it.
        relevance: As for `choose_diverse`.
    Raises:
        CatalogError: The product is not shown or lacks a detail that a condition compares, or no other product
            satisfies all conditions.
    """
    found = gallery.find_product(sku)
    if found is None:
        raise CatalogError(f"{sku}: no product of that SKU is here; check it, or enrol the product.")
    owners = gallery.owners()
    own = _last_rows(owners, found[0])
    if not len(own):
        raise CatalogError(f"{sku}: has no picture, so nothing is known to look like it; `enrol` one.")
    near = _nearest_products(gallery, _admit(gallery, owners, found, wanted)[owners], own, owners, k * POOL)
    rows = [own, *(_last_rows(owners, owners[row]) for row in near)]
    vectors, counts = gallery.vectors(np.concatenate(rows)), np.array([len(one) for one in rows])
    likeness = product_likeness(0, vectors, counts)[1:].tolist()
    matches = gallery.matches([Candidate(row, score) for row, score in zip(near, likeness, strict=True)])
    scores = np.array([match.score + (preference.lift(match.product) if preference else 0.0) for match in matches])
    chosen = choose_diverse(scores, lambda i: product_likeness(i + 1, vectors, counts)[1:], k, relevance)
    return tuple(matches[i] for i in sorted(chosen, key=lambda i: -scores[i]))


def product_likeness(number: int, vectors: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the likeness of one product to each of P: one row only, for P x P would be too many.

    Args:
        number: Position of the product among the P.
        vectors: (R, D) float32, unit rows of all pictures, product after product.
        counts: (P,) int, pictures of each product, at least 1.
    Returns:
        (P,) float32.
    """
    starts = np.cumsum(counts) - counts
    cosines = vectors[starts[number] :][: counts[number]] @ vectors.T
    there = np.maximum.reduceat(cosines, starts, axis=1).mean(axis=0)
    back = np.add.reduceat(cosines.max(axis=0), starts) / counts.astype(np.float32)
    return np.asarray((there + back) / 2)


def choose_diverse(
    scores: np.ndarray, likeness: Callable[[int], np.ndarray], k: int, relevance: float = RELEVANCE
) -> list[int]:
    """Choose k of P products by maximal marginal relevance.

    Args:
        scores: (P,) float.
        likeness: Takes the position of a product and returns its likeness to each, (P,) float.
        k: Number of products.
        relevance: Weight of the score; the likeness to those already chosen has the rest to 1.
    Returns:
        Positions in the order they were chosen, the highest score first; all of them if P < k.
    """
    chosen: list[int] = []
    worth, nearest = relevance * scores, np.full(len(scores), -1.0)
    for _ in range(min(k, len(scores))):
        best = int(np.argmax(worth - (1 - relevance) * nearest))
        chosen.append(best)
        nearest = np.maximum(nearest, likeness(best))
        worth[best] = -np.inf
    return chosen


def _admit(gallery: Gallery, owners: np.ndarray, found: tuple[int, Product], wanted: AlternativeFilter) -> np.ndarray:
    """Return whether each product may be an alternative: (P + 1,) bool by number.

    The last element stands for number -1, the owner of rows that are not shown.

    Args:
        gallery: The gallery to search.
        owners: (R,) int32, the product of each row.
        found: The product, with its number.
        wanted: Conditions.
    """
    number, product = found
    conditions, than = wanted.conditions(product), ComparedDetails.of(product)
    admitted = np.zeros(max(owners.max(initial=0), len(gallery.base.catalog)) + 2, bool)
    admitted[owners] = True
    admitted[[number, -1]] = False
    satisfied: Counter[tuple[bool, ...]] = Counter()
    for other, cells in gallery.details(ComparedDetails._fields) if conditions else ():
        if admitted[other]:
            one = ComparedDetails(*cells)
            which = tuple(condition(one, than) for condition in conditions.values())
            satisfied[which] += 1
            admitted[other] = all(which)
    if not admitted.any():
        raise CatalogError(_explain_none(product.sku, [*conditions], satisfied))
    return admitted


def _explain_none(sku: str, names: list[str], satisfied: Counter[tuple[bool, ...]]) -> str:
    """Return which conditions leave no alternative, and which to leave out.

    Args:
        sku: Of the product.
        names: Of the conditions.
        satisfied: Number of products by which conditions they satisfy.
    """
    total = satisfied.total()
    if not total:
        return f"{sku}: is the only product with a picture here; there is none to compare it with."
    alone = [sum(count for which, count in satisfied.items() if which[i]) for i in range(len(names))]
    without = [
        sum(count for which, count in satisfied.items() if all(which[:i] + which[i + 1 :])) for i in range(len(names))
    ]
    best = int(np.argmax(without))
    advice = f'leave out "{_condition_name(names[best])}", and {without[best]} are left'
    if not without[best]:
        advice = "leave out more than one of them"
    counts = ", ".join(f"{_condition_name(name)}: {count}" for name, count in zip(names, alone, strict=True))
    return f"{sku}: none of the {total} other products satisfies all conditions ({counts}); {advice}."


def _nearest_products(
    gallery: Gallery, mask: np.ndarray, own: np.ndarray, owners: np.ndarray, products: int
) -> list[int]:
    """Return the nearest row of each of the nearest products, nearest first.

    Args:
        gallery: The gallery to search.
        mask: (R,) bool, rows of products that may be alternatives.
        own: Rows of the product itself.
        owners: (R,) int32, the product of each row.
        products: How many are wanted; fewer come back only if there are fewer.
    """
    index, first, asked = gallery.base.index, gallery.first_taught, products * ROWS_PER_RESULT
    allowed, vectors = index.make_filter(mask[:first]), gallery.vectors(own)
    rows = np.flatnonzero(mask)
    while asked < allowed.count:
        hits = np.unique(index.search(vectors, asked, allowed=allowed).rows)
        found = np.concatenate([hits[hits >= 0], rows[rows >= first]])  # and every taught picture
        if len(np.unique(owners[found])) >= products:
            rows = found
            break
        asked *= 4
    cosines = (gallery.vectors(rows) @ vectors.T).max(1)
    rows = rows[np.argsort(-cosines, kind="stable")]
    _, best = np.unique(owners[rows], return_index=True)
    return rows[np.sort(best)[:products]].tolist()


def _last_rows(owners: np.ndarray, number: int) -> np.ndarray:
    """Return the last `MAX_PICTURES` rows of a product, which include all taught ones: (R,) int."""
    return np.flatnonzero(owners == number)[-MAX_PICTURES:]


def _have_same_currency(one: ComparedDetails, other: ComparedDetails) -> bool:
    priced = one.price is not None and other.price is not None
    return priced and _normalize(one.currency) == _normalize(other.currency)


def _normalize(text: str | None) -> str:
    return (text or "").strip().casefold()


def _condition_name(condition: str) -> str:
    return condition.replace("_", " ")
