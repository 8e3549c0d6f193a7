"""Which products need photos most."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from edgesearch import Store
from edgesearch.answer import Match
from edgesearch.catalog.product import Product
from edgesearch.search.gallery import Gallery
from edgesearch.search.photo_needs import rank_needs


class Shelf:
    """A gallery of taught pictures in the plane; each product has a SKU, a category, a location and directions."""

    def __init__(self, *products: tuple[str, str, str, list[float]], confused: tuple[Any, ...] = (), source: str = ""):
        self._products = products
        angles = np.radians([angle for *_, some in products for angle in some])
        owners = np.array([number for number, (*_, some) in enumerate(products) for _ in some], np.int32)
        embeddings = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
        self.taught = SimpleNamespace(embeddings=embeddings, owners=owners)
        calibration = SimpleNamespace(confused=confused, source=source)
        self.base = SimpleNamespace(index=[], calibration=calibration)

    def skus(self) -> set[str]:
        return {sku for sku, *_ in self._products}

    def details(self, names: list[str]) -> Any:
        assert names == ["sku", "category", "location"]
        return ((number, tuple(cells)) for number, (*cells, _) in enumerate(self._products))

    def owners(self) -> np.ndarray:
        return np.asarray(self.taught.owners)

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self.taught.embeddings[rows])

    def rows_of_products(self, numbers: list[int]) -> list[int]:
        return [*np.flatnonzero(np.isin(self.taught.owners, numbers)).tolist()]

    def first_matches(self, skus: list[str]) -> dict[str, Match]:
        return {sku: Match(Product(sku, sku), 1.0, "", 0) for sku in skus}


def rank(shelf: Shelf, location: str = "") -> list[str]:
    return [need.match.sku for need in rank_needs(cast(Gallery, shelf), 9, location)]


def test_a_category_whose_photos_are_missed_comes_first() -> None:
    """The photo of M1 lies nearer to M2 than to M1's picture, that of B1 by its own."""
    shelf = Shelf(
        ("B1", "Boxes", "", [0, 1]),
        ("B2", "Boxes", "", [20]),
        ("M1", "Melons", "", [60, 99]),
        ("M2", "Melons", "", [100]),
    )
    needs = {need.match.sku: need for need in rank_needs(cast(Gallery, shelf), 9)}
    assert [*needs] == ["M2", "M1", "B2", "B1"]
    assert (needs["M2"].missed or 0) > (needs["B2"].missed or 0)
    assert (needs["M1"].pictures, needs["M2"].pictures) == (2, 1)


def test_products_without_a_picture_come_before_all_others() -> None:
    assert rank(Shelf(("A", "", "", [0]), ("B", "", "", []), ("C", "", "", [90])))[0] == "B"


def test_a_location_names_what_lies_in_it() -> None:
    places = ("A3", "a3-2", "A3, shelf 1", "A30", "B A3", "")
    shelf = Shelf(*((place, "", place, [10.0 * n]) for n, place in enumerate(places)))
    assert set(rank(shelf, "a3")) == {"A3", "a3-2", "A3, shelf 1"}
    assert rank(shelf, "C") == []
    assert len(rank(shelf)) == len(places)


def test_confusions_count_only_where_photos_measured_them() -> None:
    products = (("A", "", "", [0.0]), ("B", "", "", [90.0]))
    assert rank(Shelf(*products, confused=(("B", "A", 0.9),), source="photos")) == ["B", "A"]
    assert rank(Shelf(*products, confused=(("B", "A", 0.9),), source="model")) == ["A", "B"]


def test_a_store_ranks_all_its_products(store: Store) -> None:
    needs = store.photo_needs(3)
    assert [(need.pictures, need.missed) for need in needs] == [(1, None)] * 3
    assert set(needs[0].to_dict()) == {"pictures", "missed", "gain"}
    assert {need.match.sku for need in store.photo_needs(99)} == store.skus()
    place = needs[0].match.product.location or ""
    assert needs[0].match.sku in {need.match.sku for need in store.photo_needs(99, location=place)}
    with pytest.raises(ValueError, match="k is 0"):
        store.photo_needs(0)
