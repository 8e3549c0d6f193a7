"""All reference pictures that a photo is compared with, and the products they show: a base, and what was taught beside.

A row is the number of a picture: those of the base as its index has them, then those that were taught. A product's
number is that of the base's catalogue, or one after them.
"""

import copy
import functools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..answer import Answer, Label, Match
from ..catalog.product import Product
from ..catalog.sqlite_catalog import Picture
from ..images import barcode
from ..images.barcode import Barcode
from ..images.image import Photo
from ..index.compact_index import Hits
from ..local_features.descriptors import LocalFeatures
from ..local_features.local_index import NOTHING, Evidence, LocalIndex
from ..text.full_text import Words
from ..text.product_table import Table
from .barcode_labels import Labels, judged
from .open_bundle import OpenBundle, Reference

ROWS_PER_RESULT = 4  # rows asked of the index for each product wanted, before asking again for more
SURE_LEAD = 0.1  # of the best cosine, with which the print is not looked at: it never mended what led by so much
VERIFIED = 20  # pictures the embedding is nearest to whose print is compared
NAMED = 10  # and pictures that share most visual words


@dataclass(frozen=True)
class Candidate:
    """A product's best picture, what its print has in common with the photo, and how likely it is the product.

    Attributes: size: (H, W) of the photo.
    """

    row: int
    cosine: float
    evidence: Evidence = NOTHING
    probability: float = 0.0
    size: tuple[int, ...] = (1, 1)

    @property
    def score(self) -> float:
        """The cosine, raised where the print agrees."""
        return self.evidence.raise_score(self.cosine)


@dataclass
class OverlayRows:
    """What was taught, as it changes a catalogue.

    Attributes: products: those that something is said of, by number; hidden: rows of the base that are not shown, by
                SKU; pictures: of those that were taught, the overlay's number, the name and the number of the product.
    """

    products: dict[int, Product] = field(default_factory=dict)
    hidden: dict[str, list[int]] = field(default_factory=dict)
    pictures: list[tuple[int, str, int]] = field(default_factory=list)


class Gallery:
    """What photos are compared with at one moment. Safe to share between threads.

    Attributes: version: of what was taught; references: what is seen in the taught pictures, by the overlay's number.
    """

    def __init__(self, base: OpenBundle, version: int, overlay_rows: OverlayRows, references: Mapping[int, Reference]):
        """As the attributes."""
        self.base, self.version, self.references, self._overlay_rows = base, version, references, overlay_rows
        self._first = len(base.index)  # row of the taught pictures
        taught = [references[picture] for picture, _, _ in overlay_rows.pictures]
        self._embeddings = np.array([one.embedding for one in taught], np.float32).reshape(-1, base.index.dim)
        prints = [one.coded for one in taught if one.coded]
        self._local = LocalIndex.build(base.local.codebook, prints) if base.local and prints else None
        self._products = len(base.catalog) - len(overlay_rows.hidden)
        self._shown: np.ndarray | None = None  # rows of the base that may be found
        if overlay_rows.hidden:
            self._shown = np.ones(len(base.index), bool)
            self._shown[[row for rows in overlay_rows.hidden.values() for row in rows]] = False
        self._own_shown = np.ones(len(overlay_rows.pictures), bool)
        self._labels = Labels(
            base.catalog, {one.sku: one for one in overlay_rows.products.values()}, overlay_rows.hidden
        )
        self._allowed = None if self._shown is None else base.index.allow(self._shown)

    @functools.cached_property
    def table(self) -> Table:
        """What is said of all products, column by column."""
        hidden = [self.base.catalog.owner(rows[0]) for rows in self._overlay_rows.hidden.values()]
        return Table(self.base.catalog, self._overlay_rows.products, hidden)

    @functools.cached_property
    def words(self) -> Words:
        """The words of all products; raises QueryError: SQLite cannot search words."""
        return Words(self.base.words, self._overlay_rows.products, self.table.size)

    def only(self, allowed: np.ndarray) -> "Gallery":
        """The same with fewer products to be found; allowed: (P,) bool, by number, those of `table.shown` at most."""
        chosen, index = copy.copy(self), self.base.index
        chosen._shown = allowed[self.base.catalog.owners]
        chosen._own_shown = np.array([allowed[number] for *_, number in self._overlay_rows.pictures], bool)
        chosen._products = int(allowed[: len(self.base.catalog)].sum())
        chosen._allowed = index.allow(chosen._shown)
        return chosen

    def skus(self) -> set[str]:
        """Of all products that are shown."""
        own = {product.sku for product in self._overlay_rows.products.values()}
        return (self.base.catalog.skus() | own) - self._overlay_rows.hidden.keys()

    def product(self, sku: str) -> tuple[int, Product] | None:
        """The number of a product, and how it is shown; None where it is not."""
        return self._known([sku]).get(sku)

    def _known(self, skus: Collection[str]) -> dict[str, tuple[int, Product]]:
        """The number of each of these products that is shown, and how it is."""
        wanted = set(skus)
        entered = self.base.catalog.named(wanted - self._overlay_rows.hidden.keys())
        known = {sku: (one.number, one.product) for sku, one in entered.items()}
        return known | {
            one.sku: (number, one) for number, one in self._overlay_rows.products.items() if one.sku in wanted
        }

    def details(self, names: Sequence[str]) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """Details of all products, of those that are not shown too, by number; names: as `Catalog.details` has them."""
        changed = self._overlay_rows.products
        for number, cells in self.base.catalog.details(names):
            if number not in changed:
                yield number, cells
        for number, product in changed.items():
            yield number, tuple(getattr(product, name) for name in names)

    def owners(self) -> np.ndarray:
        """(R,) int32: the number of each row's product, -1 of rows that are not shown."""
        owners = self.base.catalog.owners
        known = owners if self._shown is None else np.where(self._shown, owners, -1)
        return np.concatenate([known, np.array([number for _, _, number in self._overlay_rows.pictures], np.int32)])

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """(R,) int -> (R, D) float32, unit rows."""
        known = rows < self._first
        found = np.empty((len(rows), self.base.index.dim), np.float32)
        found[known] = self.base.index.vectors(rows[known])
        found[~known] = self._embeddings[rows[~known] - self._first]
        return found

    def named(self, skus: Collection[str]) -> dict[str, Match]:
        """Those of these products that are shown, by SKU, each as its first reference picture finds it."""
        entered, changed = (
            self.base.catalog.named(set(skus) - self._overlay_rows.hidden.keys()),
            self._overlay_rows.products,
        )
        first = {sku: (changed.get(e.number, e.product), e.sources[0], e.rows[0]) for sku, e in entered.items()}
        for picture, name, number in self._overlay_rows.pictures:
            first.setdefault(changed[number].sku, (changed[number], f"{name}.jpg", -picture))
        found = {sku: (product, 1.0, source, row) for sku, (product, source, row) in first.items() if sku in skus}
        return {sku: Match(*one, self.base.bundle.digest) for sku, one in found.items()}

    def products(self, skus: Collection[str] | None = None) -> dict[str, Product]:
        """What is known of these products, by SKU, None for all; those that are not here are left out."""
        return {sku: product for sku, (_, product) in self._known(self.skus() if skus is None else skus).items()}

    def read(self, photo: Photo, barcodes: bool | None) -> tuple[np.ndarray, tuple[Barcode, ...]]:
        """A photo as `Embedder.read` gives it, and its barcodes; None: read where a product has one, if they can be."""
        embedder = self.base.embedder
        if barcodes or (barcodes is None and barcode.can_read() and self._labels.has_any):
            return barcode.read(photo, embedder.config.preprocessing.decoded_side)
        return embedder.read(photo), ()

    def nearest(self, embedding: np.ndarray, k: int) -> list[Candidate]:
        """The nearest pictures, nearest first: enough of them to show k products, where there are as many.

        Args:    embedding: (1, D) float32, unit row.
        """
        index, wanted = self.base.index, min(k, self._products)
        rows = min(len(index), k * ROWS_PER_RESULT)
        while True:
            pictures = _pictures(index.search(embedding, rows, allowed=self._allowed))
            if len(self.by_product(pictures)) >= wanted or rows >= len(index):
                return sorted([*pictures, *self._taught(embedding, rows)], key=lambda one: -one.cosine)
            rows = min(len(index), rows * 4)

    def by_product(self, pictures: Iterable[Candidate]) -> dict[int, Candidate]:
        """The first picture of each product speaks for it."""
        first: dict[int, Candidate] = {}
        for one in pictures:
            first.setdefault(self.owner(one.row), one)
        return first

    def evidence(self, found: Sequence[Candidate], embedding: np.ndarray) -> np.ndarray:
        """What speaks for each product.

        Returns: (P, 3) float64: cosine of its nearest picture and of the mean of its pictures, and the share of the
                 print that agrees.
        """
        means = self._mean_cosines(found, embedding)
        rows = [(one.cosine, mean, one.evidence.share) for one, mean in zip(found, means, strict=True)]
        return np.array(rows, np.float64).reshape(-1, 3)

    def _mean_cosines(self, found: Sequence[Candidate], embedding: np.ndarray) -> list[float]:
        """The cosine of a photo and the mean of each product's pictures."""
        products = [self.owner(one.row) for one in found]
        rows = self._rows(products)
        if len(rows) == len(products):  # one picture each
            return [one.cosine for one in found]
        owners, vectors = np.array([self.owner(row) for row in rows]), self.vectors(np.array(rows))
        sums = [vectors[owners == product].sum(0) for product in products]
        return [float(one @ embedding[0] / np.linalg.norm(one)) for one in sums]

    def verified(self, near: list[Candidate], photo: LocalFeatures, embedding: np.ndarray) -> list[Candidate]:
        """The products of these pictures and of those that visual words name, as their print orders them.

        A product's nearest picture and the one whose print agrees most need not be the same: photos of a product differ
        in what they show of it.
        """
        looked = near[:VERIFIED]
        seen = {one.row for one in looked}
        looked = [*looked, *self.compared([row for row in self._named(photo) if row not in seen], embedding)]
        looked = self.agreeing(looked, photo)
        nearest = self.by_product(sorted([*near, *looked], key=lambda one: -one.cosine))
        agreeing = self.by_product(sorted(looked, key=lambda one: -one.evidence.weight))
        together = [_together(one, agreeing.get(product, one)) for product, one in nearest.items()]
        return sorted(together, key=lambda one: -one.score)

    def of_products(self, numbers: Sequence[int], embedding: np.ndarray | None = None) -> dict[int, Candidate]:
        """These products by their nearest picture to a photo, or by their first one; those without any are left out.

        Args:    numbers: of products; embedding: (1, D) float32, unit row.
        """
        rows = self._rows(numbers)
        seen = [Candidate(row, 0.0) for row in rows] if embedding is None else self.compared(rows, embedding)
        found = self.by_product(sorted(seen, key=lambda one: -one.cosine))
        return {number: found[number] for number in numbers if number in found}

    def rows_of(self, sku: str) -> list[int]:
        """All pictures of a product; none where it is not shown."""
        known = self.product(sku)
        return self._rows([known[0]]) if known else []

    def matches(self, found: Sequence[Candidate]) -> tuple[Match, ...]:
        """What is known of these products."""
        rows = [one.row for one in found if one.row < self._first]
        entered = dict(zip(rows, self.base.catalog.find(rows), strict=True))
        return tuple(self._match(one, entered.get(one.row)) for one in found)

    def label(self, code: Barcode) -> Label:
        """A barcode with the products it belongs to."""
        return self._labels.label(code)

    def labelled(
        self, answer: Answer, codes: Sequence[Barcode], found: Sequence[Candidate], embedding: np.ndarray
    ) -> Answer:
        """The answer of the look with what barcodes say.

        Args:    found: all that the look judged, of which the answer has the best; embedding: (1, D) of the photo.
        """
        labels = [self.label(code) for code in codes]
        skus = {sku for label in labels for sku in label.skus}
        numbers = [number for number, _ in self._known(skus).values()]
        looked = self.by_product(found)
        first = self.of_products([number for number in numbers if number not in looked], embedding)
        first |= {number: looked[number] for number in numbers if number in looked}
        shown = {match.sku: match for match in answer.matches}
        named = [shown.get(match.sku, match) for match in self.matches([*first.values()])]
        named.sort(key=lambda match: (-match.probability, -match.score))
        return judged(answer, labels, named, self.base.calibration)

    def _rows(self, products: Collection[int]) -> list[int]:
        """Those that are shown of these products, by their numbers."""
        wanted = set(products)
        known = self.base.catalog.rows_of([number for number in wanted if number < len(self.base.catalog)])
        known = known if self._shown is None else known[self._shown[known]]
        own = zip(self._overlay_rows.pictures, self._own_shown.tolist(), strict=True)
        taught = (row for row, ((*_, number), is_shown) in enumerate(own, self._first) if is_shown and number in wanted)
        return [*known.tolist(), *taught]

    def _match(self, one: Candidate, entered: tuple[Product, Picture] | None) -> Match:
        changed = self._overlay_rows.products.get(self.owner(one.row))
        if entered:
            product, source, row = changed or entered[0], entered[1].source, one.row
        else:
            assert changed is not None
            picture, name, _ = self._overlay_rows.pictures[one.row - self._first]
            product, source, row = changed, f"{name}.jpg", -picture
        shares = max(one.size) / np.array(one.size[::-1])
        outline = tuple((x, y) for x, y in (one.evidence.outline * shares).tolist())
        evidence, base = one.evidence, self.base.bundle.digest
        return Match(
            product, one.score, source, row, base, evidence.points, outline, evidence.mirrored, one.probability
        )

    def owner(self, row: int) -> int:
        """The number of a row's product."""
        own = row - self._first
        return self.base.catalog.owner(row) if own < 0 else self._overlay_rows.pictures[own][2]

    def _taught(self, embedding: np.ndarray, rows: int | Sequence[int]) -> list[Candidate]:
        """Of the taught pictures as many that are nearest, or those rows."""
        cosines = self._embeddings @ embedding[0]
        if isinstance(rows, int):
            order = np.argsort(-cosines, kind="stable")
            own = order[self._own_shown[order]][:rows]
        else:
            own = np.array(rows, int) - self._first
        return [Candidate(self._first + row, float(cosines[row])) for row in own.tolist()]

    def _named(self, photo: LocalFeatures) -> list[int]:
        """Rows that share most words with a photo."""
        named: list[int] = []
        if self.base.local:
            named += self.base.local.candidates(photo, NAMED, self._shown).tolist()
        if self._local:
            named += (self._local.candidates(photo, NAMED, self._own_shown) + self._first).tolist()
        return named

    def compared(self, rows: list[int], embedding: np.ndarray) -> list[Candidate]:
        """Those rows with their cosines."""
        index = self.base.index
        known = [row for row in rows if row < self._first]
        found = self._taught(embedding, [row for row in rows if row >= self._first])
        if known:
            mask = np.zeros(len(index), bool)
            mask[known] = True
            found += _pictures(index.search(embedding, len(known), allowed=index.allow(mask)))
        return found

    def agreeing(self, found: list[Candidate], photo: LocalFeatures) -> list[Candidate]:
        """The same with what their print has in common with a photo's."""
        first = self._first
        evidence: dict[int, Evidence] = {}
        for local, start, end in ((self.base.local, 0, first), (self._local, first, first + len(self._embeddings))):
            rows = [one.row for one in found if start <= one.row < end]
            if local and rows:
                evidence |= zip(rows, local.verify(photo, [row - start for row in rows]), strict=True)
        return [replace(one, evidence=evidence.get(one.row, NOTHING)) for one in found]


def is_sure(found: list[Candidate]) -> bool:
    """The first leads by so much that its print need not be looked at."""
    return len(found) < 2 or found[0].score - found[1].score >= SURE_LEAD


def _pictures(hits: Hits) -> list[Candidate]:
    """What one query found."""
    pairs = zip(hits.rows[0].tolist(), hits.scores[0].tolist(), strict=True)
    return [Candidate(row, cosine) for row, cosine in pairs if row >= 0]


def _together(nearest: Candidate, agreeing: Candidate) -> Candidate:
    """Two pictures of one product: the cosine of the one, the print of the other."""
    return replace(agreeing if agreeing.evidence.points else nearest, cosine=nearest.cosine, evidence=agreeing.evidence)
