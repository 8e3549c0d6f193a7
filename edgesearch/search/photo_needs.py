"""Order products by how much more of their photos would be recognized if somebody took some: their expected gain.

    gain = share of a product's photos that are missed / number of its pictures

The share is measured where pictures tell it: each picture of a product but the first is asked without itself, and is
missed if another product is nearer. For products with one picture it is that of their category, whose products are
asked with their first picture alone. Each is averaged with what is known more generally. How much the catalogue's
pictures resemble each other does not tell it: their cosine to the nearest other product does not correlate with the
gain (Spearman -0.01).

Measured on 40 groceries with one catalogue picture each, which the network was trained on; a visit takes four photos of
the first product. Mean recall@1, by the vectors alone, after 0, 10, 20 and 40 visits: 0.70, 0.72, 0.80 and 0.94 in this
order, 0.70, 0.70, 0.76 and 0.94 by the number of pictures alone, 0.70, 0.72, 0.75 and 0.84 in random order.

R rows, P products, Q rows that are asked, D dimensions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..answer import Match
from .gallery import Gallery

MAX_ASKED = 4000  # pictures; of more, evenly spaced ones
NEIGHBOURS = 16  # rows of the bundle in which the nearest other product is looked for
BATCH = 256  # rows compared with all taught ones at once
MISSED = 0.4  # share of photos of a product with one picture, as long as nothing is known
MISSED_STILL = 0.1  # the same for products with more
WEIGHT = 1.0  # of what is known more generally, in products or pictures


@dataclass(frozen=True)
class PhotoNeed:
    """How much a product needs photos.

    Attributes:
        match: The product, as its first picture matches it.
        pictures: Number of its reference pictures.
        missed: Estimated share of its photos that do not find it first; None if neither its pictures nor those of its
            category tell it.
        gain: By which products are ordered, the largest first.
    """

    match: Match
    pictures: int
    missed: float | None
    gain: float

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form, without the product."""
        missed = None if self.missed is None else round(self.missed, 3)
        return {"pictures": self.pictures, "missed": missed, "gain": round(self.gain, 3)}


class _Shown(NamedTuple):
    number: int
    sku: str
    category: str
    place: str

    def is_at(self, location: str) -> bool:
        place, wanted = self.place.casefold().strip(), location.casefold().strip()
        return not wanted or (place.startswith(wanted) and not place[len(wanted) : len(wanted) + 1].isalnum())


class _Share(NamedTuple):
    """Share of photos that are missed, and whether anything measured it."""

    share: float
    is_measured: bool

    @property
    def measured(self) -> float | None:
        return self.share if self.is_measured else None


@dataclass(frozen=True)
class _Misses:
    """Of each product, the share of its pictures that were missed, nan if none was asked: (P,) float64.

    Attributes:
        now: Asked with the product's other pictures.
        first: Asked with its first picture alone.
        asked: Number of its pictures that were asked.
    """

    now: np.ndarray
    first: np.ndarray
    asked: np.ndarray


def rank_needs(gallery: Gallery, k: int, location: str = "") -> list[PhotoNeed]:
    """Return the products that need photos most, k at most.

    Args:
        gallery: What the device searches.
        k: Number of products.
        location: Only products there: "A3" also names "A3-2" and "A3, shelf 1", not "A30".
    """
    skus = gallery.skus()
    products = [(number, *cells) for number, cells in gallery.details(["sku", "category", "location"])]
    shown = [
        _Shown(number, sku, category or "", place or "") for number, sku, category, place in products if sku in skus
    ]
    counts, missed = _estimate(gallery, shown)
    gains = {one.number: missed[one.number].share / max(1, counts[one.number]) for one in shown if one.is_at(location)}
    ordered = sorted((one for one in shown if one.number in gains), key=lambda one: -gains[one.number])[:k]
    matches = gallery.first_matches([one.sku for one in ordered])
    numbers = [(one.number, matches[one.sku]) for one in ordered if one.sku in matches]
    return [PhotoNeed(match, int(counts[n]), missed[n].measured, gains[n]) for n, match in numbers]


def _estimate(gallery: Gallery, shown: Sequence[_Shown]) -> tuple[np.ndarray, dict[int, _Share]]:
    """Return the number of pictures of each product, (P,), and the share of photos that are missed, by product number.

    Args:
        gallery: What the device searches.
        shown: All products.
    """
    owners, size = gallery.owners(), 1 + max((one.number for one in shown), default=0)
    counts = np.bincount(owners[owners >= 0], minlength=size)
    misses = _measure(gallery, owners, len(counts))
    of_category: dict[str, list[float]] = {}
    for number, _, category, _ in shown:
        if not np.isnan(misses.first[number]):
            of_category.setdefault(category, []).append(float(misses.first[number]))
    usual = _mix([share for shares in of_category.values() for share in shares], MISSED)
    calibration = gallery.base.calibration
    confused = {sku: share for sku, _, share in calibration.confused if calibration.source == "photos"}
    shares = {}
    for number, sku, category, _ in shown:
        if counts[number] > 1:
            asked = int(misses.asked[number])
            shares[number] = _Share(_mix([float(misses.now[number])] * asked, MISSED_STILL), asked > 0)
        elif counts[number]:
            like = of_category.get(category, [])
            known = max(_mix(like, usual), confused.get(sku, 0.0))
            shares[number] = _Share(known, bool(like) or sku in confused)
        else:
            shares[number] = _Share(1.0, True)
    return counts, shares


def _mix(shares: Sequence[float], usual: float) -> float:
    """Return the mean of shares, drawn towards what is usual the more, the fewer they are."""
    return (sum(shares) + WEIGHT * usual) / (len(shares) + WEIGHT)


def _measure(gallery: Gallery, owners: np.ndarray, size: int) -> _Misses:
    """Ask the pictures of products with several; `owners` is the product of each row, (R,), -1 if it is not shown."""
    order = np.argsort(owners, kind="stable")
    order = order[owners[order] >= 0]
    is_first = np.append(True, owners[order][1:] != owners[order][:-1]) if len(order) else np.empty(0, bool)
    first = np.full(size, -1)
    first[owners[order][is_first]] = order[is_first]
    rows = np.sort(order[~is_first])
    if len(rows) > MAX_ASKED:
        rows = rows[np.linspace(0, len(rows) - 1, MAX_ASKED).astype(int)]
    now, alone, asked = np.zeros(size), np.zeros(size), np.zeros(size)
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        vectors = gallery.vectors(part)
        other = _nearest_other(gallery, part, vectors, owners)
        for row, vector, nearest in zip(part.tolist(), vectors, other.tolist(), strict=True):
            product = int(owners[row])
            own = [one for one in gallery.rows_of_products([product]) if one != row]
            cosines = gallery.vectors(np.array(own)) @ vector
            asked[product] += 1
            now[product] += nearest > cosines.max()
            alone[product] += nearest > cosines[own.index(first[product])]
    with np.errstate(invalid="ignore"):
        return _Misses(now / asked, alone / asked, asked)


def _nearest_other(gallery: Gallery, rows: np.ndarray, vectors: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """Return the cosine of the nearest picture of another product: (Q,) float32 for rows (Q,), vectors (Q, D)."""
    index = gallery.base.index
    nearest = np.full(len(rows), -np.inf, np.float32)
    if len(index):
        hits = index.search(vectors, min(NEIGHBOURS, len(index)), allowed=gallery.allowed)
        is_other = (hits.rows >= 0) & (owners[hits.rows] != owners[rows][:, None])
        nearest = np.where(is_other, hits.scores, -np.inf).max(1)
    if len(gallery.taught.owners):
        cosines = vectors @ gallery.taught.embeddings.T
        cosines[gallery.taught.owners[None] == owners[rows][:, None]] = -np.inf
        nearest = np.maximum(nearest, cosines.max(1))
    return np.asarray(nearest)
