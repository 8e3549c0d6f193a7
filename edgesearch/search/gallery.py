"""The reference pictures and products that a search may find: a bundle, and what the device was taught since.

A row numbers a reference picture: the rows of the bundle's index come first, taught pictures follow. Products of the
bundle keep the numbers of its catalogue; products that the device was taught follow those. Candidates of products
without a picture, which only words, filters and barcodes find, have rows of their own that follow all others.

R rows, P products, D dimensions, T taught pictures.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..answer import Match
from ..catalog.product import Product
from ..catalog.sqlite_catalog import Picture
from ..index.compact_index import RowFilter
from ..local_features.local_index import PAGE, LocalIndex
from .barcode_index import BarcodeIndex
from .candidate import Candidate
from .open_bundle import OpenBundle, Reference

if TYPE_CHECKING:
    from ..text.full_text import WordSearch
    from ..text.product_table import ProductTable

LEARNED = 1 << 32  # numbers of learned pictures begin above it
NO_PICTURE: tuple[str, int | None] = ("", None)  # source and row


@dataclass
class OverlayRows:
    """The changes that a device's overlay makes to a catalogue.

    Attributes:
        products: Products that are new or changed, by number.
        hidden: Rows of the bundle that are not shown, by SKU; none for a product without a picture.
        hidden_numbers: The numbers of the products that are not shown.
        pictures: Taught and learned pictures: number, name, and the number of the product. The number of a taught
            picture is the overlay's, that of a learned one follows `LEARNED`.
    """

    products: dict[int, Product] = field(default_factory=dict)
    hidden: dict[str, list[int]] = field(default_factory=dict)
    hidden_numbers: list[int] = field(default_factory=list)
    pictures: list[tuple[int, str, int]] = field(default_factory=list)


@dataclass(frozen=True)
class TaughtRows:
    """The pictures that the device was taught, as photos are compared with them.

    Attributes:
        embeddings: (T, D) float32, unit rows.
        local: Their local features; None if the bundle has none.
        visible: (T,) bool, whether a search may find each.
        owners: (T,) int32, the number of each one's product.
    """

    embeddings: np.ndarray
    local: LocalIndex | None
    visible: np.ndarray
    owners: np.ndarray


class Gallery:
    """The pictures and products that photos are compared with at one moment. Safe to share between threads.

    Attributes:
        base: The bundle.
        version: Version of the overlay that was merged in.
        references: Embedding and local features of each taught picture, by the overlay's number.
        first_taught: Row of the first taught picture.
        taught: The taught pictures.
        visible: (R,) bool, the bundle's rows that a search may find; None for all.
        allowed: `visible` as the index takes it.
        base_products: How many products of the bundle a photo may find.
        barcodes: Finds products by barcode.
    """

    def __init__(
        self,
        base: OpenBundle,
        version: int,
        overlay_rows: OverlayRows,
        references: Mapping[int, Reference],
        before: Gallery | None = None,
    ):
        """Merge a bundle with the rows of an overlay; the arguments are as the attributes.

        `before` is an earlier gallery, whose taught rows need not be made again.
        """
        self.base, self.version, self.references, self._overlay = base, version, references, overlay_rows
        self.first_taught = len(base.index)
        known = before._overlay.pictures if before and before.base is base else []
        kept = _kept_rows(known, overlay_rows.pictures)
        taught = before.taught if before and kept.any() else None
        self.taught: TaughtRows = _taught_rows(base, overlay_rows, references, taught, kept)
        self.base_products = int(base.catalog.pictured.sum()) - sum(map(bool, overlay_rows.hidden.values()))
        self.visible: np.ndarray | None = None
        self._admitted: np.ndarray | None = None
        if any(overlay_rows.hidden.values()):
            self.visible = np.ones(len(base.index), bool)
            self.visible[[row for rows in overlay_rows.hidden.values() for row in rows]] = False
        self.allowed: RowFilter | None = None if self.visible is None else base.index.make_filter(self.visible)
        changed = {product.sku: product for product in overlay_rows.products.values()}
        self.barcodes = BarcodeIndex(base.catalog, changed, overlay_rows.hidden)

    @functools.cached_property
    def table(self) -> ProductTable:
        """The details of all products, column by column."""
        from ..text.product_table import ProductTable  # here, so that a photo does not wait for it

        return ProductTable(self.base.catalog, self._overlay.products, self._overlay.hidden_numbers)

    @functools.cached_property
    def words(self) -> WordSearch:
        """The word index of all products. Raises QueryError: SQLite lacks full-text search."""
        from ..text.full_text import WordSearch  # here, so that a photo does not wait for it

        return WordSearch(self.base.words, self._overlay.products, self.table.size)

    def restrict_to(self, allowed: np.ndarray) -> Gallery:
        """Return the same gallery with fewer products to find.

        Args:
            allowed: (P,) bool by product number, at most the products of `table.visible`.
        """
        restricted, owners = copy.copy(self), self.base.catalog.owners
        restricted.visible = allowed[owners]
        restricted.allowed = self.base.index.make_filter(restricted.visible)
        restricted.base_products = int((allowed[: len(self.base.catalog)] & self.base.catalog.pictured).sum())
        restricted._admitted = allowed
        restricted.taught = replace(self.taught, visible=allowed[self.taught.owners])
        return restricted

    def skus(self) -> set[str]:
        """Return the SKUs of all products that are shown."""
        taught = {product.sku for product in self._overlay.products.values()}
        return (self.base.catalog.skus() | taught) - self._overlay.hidden.keys()

    def find_product(self, sku: str) -> tuple[int, Product] | None:
        """Return a product and its number; None if it is not shown."""
        return self.find_products([sku]).get(sku)

    def find_products(self, skus: Collection[str]) -> dict[str, tuple[int, Product]]:
        """Return these products and their numbers, by SKU; omit those that are not shown."""
        wanted = set(skus)
        stored = self.base.catalog.find_skus(wanted - self._overlay.hidden.keys())
        found = {sku: (entry.number, entry.product) for sku, entry in stored.items()}
        changed = self._overlay.products.items()
        return found | {product.sku: (number, product) for number, product in changed if product.sku in wanted}

    def products(self, skus: Collection[str] | None = None) -> dict[str, Product]:
        """Return product details by SKU; omit unknown SKUs. `None` returns all products."""
        return {sku: product for sku, (_, product) in self.find_products(self.skus() if skus is None else skus).items()}

    def details(self, names: Sequence[str]) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """Yield the number and details of every product, hidden ones too; `names` as for `Catalog.details`."""
        changed = self._overlay.products
        for number, cells in self.base.catalog.details(names):
            if number not in changed:
                yield number, cells
        for number, product in changed.items():
            yield number, tuple(getattr(product, name) for name in names)

    def owner(self, row: int) -> int:
        """Return the number of a row's product."""
        taught, count = row - self.first_taught, len(self.taught.owners)
        if taught < 0:
            return self.base.catalog.owner(row)
        return int(self.taught.owners[taught]) if taught < count else taught - count

    def row_without_picture(self, number: int) -> int | None:
        """Return the row that stands for a product without a visible picture; None if a filter excludes the product."""
        is_admitted = self._admitted is None or self._admitted[number]
        return self.first_taught + len(self.taught.owners) + number if is_admitted else None

    def owners(self) -> np.ndarray:
        """Return the product number of each row, -1 for rows that are not shown: (R,) int32."""
        owners = self.base.catalog.owners
        shown = owners if self.visible is None else np.where(self.visible, owners, -1)
        return np.concatenate([shown, self.taught.owners])

    def rows_of(self, sku: str) -> list[int]:
        """Return all rows of a product; none if it is not shown."""
        found = self.find_product(sku)
        return self.rows_of_products([found[0]]) if found else []

    def rows_of_products(self, numbers: Collection[int]) -> list[int]:
        """Return the visible rows of these products."""
        wanted = set(numbers)
        stored = self.base.catalog.rows_of([number for number in wanted if number < len(self.base.catalog)])
        stored = stored if self.visible is None else stored[self.visible[stored]]
        # By a table: sorting would load numpy's masked arrays, for which the first search of a process would wait.
        is_wanted = np.isin(self.taught.owners, np.array([*wanted], np.int64), kind="table")
        taught = np.flatnonzero(is_wanted & self.taught.visible) + self.first_taught
        return [*stored.tolist(), *taught.tolist()]

    def picture_numbers(self, rows: Sequence[int]) -> list[int]:
        """Return the number of each taught or learned row's picture, as in `OverlayRows`; 0 for rows of the bundle."""
        first, pictures = self.first_taught, self._overlay.pictures
        return [pictures[row - first][0] if row >= first else 0 for row in rows]

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """Return the embeddings of rows.

        Args:
            rows: (R,) int.
        Returns:
            (R, D) float32, unit rows.
        """
        is_stored = rows < self.first_taught
        vectors = np.empty((len(rows), self.base.index.dim), np.float32)
        vectors[is_stored] = self.base.index.read_vectors(rows[is_stored])
        vectors[~is_stored] = self.taught.embeddings[rows[~is_stored] - self.first_taught]
        return vectors

    def first_matches(self, skus: Collection[str]) -> dict[str, Match]:
        """Return these products as their first reference picture matches them, by SKU; omit those not shown."""
        changed, taught = self._overlay.products, dict[int, tuple[str, int]]()
        for picture, name, number in self._overlay.pictures:
            taught.setdefault(number, (f"{name}.jpg", -picture))
        stored = self.base.catalog.find_skus(set(skus) - self._overlay.hidden.keys()).values()
        first = {one.number: (one.sources[0], one.rows[0]) for one in stored if one.rows}
        shown = {one.number: one.product for one in stored}
        shown |= {number: product for number, product in changed.items() if product.sku in skus}
        matches = {}
        for number, product in shown.items():
            source, row = first.get(number) or taught.get(number) or NO_PICTURE
            matches[product.sku] = Match(product, 1.0, source, row, self.base.bundle.digest)
        return matches

    def matches(self, candidates: Sequence[Candidate]) -> tuple[Match, ...]:
        """Return candidates with the details of their products."""
        rows = [candidate.row for candidate in candidates if candidate.row < self.first_taught]
        stored = dict(zip(rows, self.base.catalog.find(rows), strict=True))
        return tuple(self._match(candidate, stored.get(candidate.row)) for candidate in candidates)

    def _match(self, candidate: Candidate, stored: tuple[Product, Picture] | None) -> Match:
        number = self.owner(candidate.row)
        changed = self._overlay.products.get(number)
        taught = candidate.row - self.first_taught
        source: str
        row: int | None
        if stored:
            product, source, row = changed or stored[0], stored[1].source, candidate.row
        else:
            product, (source, row) = changed or self.base.catalog.numbered([number])[number], NO_PICTURE
            if taught < len(self._overlay.pictures):
                picture, name, _ = self._overlay.pictures[taught]
                source, row = f"{name}.jpg", -picture
        evidence = candidate.evidence
        sides = max(candidate.size) / np.array(candidate.size[::-1])
        outline = tuple((x, y) for x, y in (evidence.outline * sides).tolist())
        return Match(
            product,
            candidate.score,
            source,
            row,
            self.base.bundle.digest,
            evidence.points,
            outline,
            evidence.mirrored,
            candidate.probability,
        )


def _kept_rows(before: Sequence[tuple[int, str, int]], now: Sequence[tuple[int, str, int]]) -> np.ndarray:
    """Return which taught rows stay, if the others only follow them: (T,) bool; all False otherwise."""
    numbers = [number for number, *_ in now]
    known = {number for number, *_ in before} & {*numbers}
    kept = np.array([number in known for number, *_ in before], bool)
    is_prefix = [number for number, *_ in before if number in known] == numbers[: len(known)]
    return kept if is_prefix and len(numbers) <= PAGE else np.zeros(len(before), bool)


def _taught_rows(
    base: OpenBundle,
    overlay_rows: OverlayRows,
    references: Mapping[int, Reference],
    before: TaughtRows | None,
    kept: np.ndarray,
) -> TaughtRows:
    pictures = overlay_rows.pictures
    added = [references[picture] for picture, *_ in pictures[int(kept.sum()) :]]
    embeddings = np.array([one.embedding for one in added], np.float32).reshape(-1, base.index.dim)
    embeddings = base.embedder.whiten(embeddings)
    features = [one.features for one in added if one.features]
    if before is not None:
        embeddings = np.concatenate([before.embeddings[kept], embeddings])
    if before is not None and before.local is not None:
        local: LocalIndex | None = before.local.revise(kept, features)
    else:
        local = LocalIndex.build(base.local.codebook, features) if base.local and features else None
    owners = np.array([number for *_, number in pictures], np.int32)
    return TaughtRows(embeddings, local, np.ones(len(pictures), bool), owners)
