"""Alternatives to a product."""

import json
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

import edgesearch
from edgesearch import CatalogError, Store
from edgesearch.catalog import sqlite_catalog
from edgesearch.catalog.loader import read
from edgesearch.catalog.product import Product
from edgesearch.catalog.sqlite_catalog import Picture
from edgesearch.commands.cli import main
from edgesearch.index.compact_index import CompactIndex
from edgesearch.search.gallery import Gallery
from edgesearch.search.similar import (
    AlternativeFilter,
    ComparedDetails,
    _nearest_products,
    choose_diverse,
    product_likeness,
)

from ..conftest import TINY_MODEL

DETAILS = {  # of the eight products of the shop: price, currency, category, brand, stock
    "P000000": ("4.00", "EUR", "Mugs", "Alm", "3"),
    "P000001": ("3.00", "EUR", "Mugs", "Birk", "0"),
    "P000002": ("2.00", "EUR", "Jugs", "alm ", "2"),
    "P000003": ("1.00", "USD", "Mugs", "Birk", "5"),
    "P000004": ("", "", "Mugs", "", ""),
    "P000005": ("9.00", "EUR", "Mugs", "Corv", "1"),
    "P000006": ("3.50", "eur", "mugs", "Corv", "7"),
    "P000007": ("4.00", "EUR", "", "Dorn", "1"),
}


@pytest.fixture(scope="module")
def edge(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the shop with these details."""
    folder = tmp_path_factory.mktemp("details")
    lines = ["sku,name,images,price,currency,category,brand,stock"]
    lines += [f"{sku},{sku},{shop}/pictures/{sku}.jpg,{','.join(cells)}" for sku, cells in DETAILS.items()]
    (folder / "c.csv").write_text("\n".join(lines))
    edgesearch.build(folder / "c.csv", folder / "c.edge", TINY_MODEL)
    return folder / "c.edge"


@pytest.fixture
def store(edge: Path, tmp_path: Path) -> Store:
    edgesearch.install(edge, tmp_path / "device")
    return edgesearch.open(tmp_path / "device")


def skus(store: Store, sku: str = "P000000", k: int = 20, **conditions: bool) -> set[str]:
    return {match.sku for match in store.similar(sku, k, **conditions)}


def test_all_other_products_are_alternatives_nearest_first(store: Store) -> None:
    matches = store.similar("P000000", k=20)
    assert {match.sku for match in matches} == DETAILS.keys() - {"P000000"}
    assert [match.score for match in matches] == sorted((match.score for match in matches), reverse=True)
    assert len(store.similar("P000000", k=3)) == 3
    assert all(store.picture(match).startswith(b"\xff\xd8") for match in matches)
    assert {match.product.price for match in matches} == {3.0, 2.0, 1.0, None, 9.0, 3.5, 4.0}


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (("cheaper",), "126"),  # neither another currency, nor no price, nor the same one
        (("other_brand",), "13567"),  # neither the same in other letters, nor none
        (("same_category",), "13456"),
        (("in_stock",), "23567"),  # neither none, nor nobody knows
        (("cheaper", "other_brand"), "16"),
        (("cheaper", "other_brand", "in_stock", "same_category"), "6"),
    ],
)
def test_conditions_are_exact(store: Store, conditions: tuple[str, ...], expected: str) -> None:
    asked = dict.fromkeys(conditions, True)
    assert skus(store, **asked) == {f"P00000{digit}" for digit in expected}
    assert skus(store, k=1, **asked) <= {f"P00000{digit}" for digit in expected}


def test_taught_changes_affect_alternatives(store: Store, shop: Path) -> None:
    photos = sorted((shop / "photos").glob("P12*.jpg"))
    store.enrol("NEW", [photos[0]], name="Blue mug", price=1, currency="EUR")
    store.remove("P000001")
    store.edit("P000006", price=5)
    assert skus(store, cheaper=True) == {"P000002", "NEW"}
    assert "P000001" not in skus(store)
    assert skus(store, "NEW") == DETAILS.keys() - {"P000001"}
    with pytest.raises(CatalogError, match="P000001: no product of that SKU"):
        store.similar("P000001")
    matches = store.similar("P000000", k=20)
    new = next(match for match in matches if match.sku == "NEW")
    assert store.picture(new).startswith(b"\xff\xd8")


def test_likeness_uses_all_pictures_of_a_product(store: Store, shop: Path) -> None:
    before = store.similar("P000000", k=20)
    other = next(match for match in before[2:] if match.sku in ("P000004", "P000005", "P000006", "P000007"))
    store.enrol("P000000", [shop / "pictures" / f"{other.sku}.jpg"])
    after = store.similar("P000000", k=20)
    assert next(match.score for match in after if match.sku == other.sku) > other.score + 0.01
    store.undo()
    assert store.similar("P000000", k=20) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sku", "conditions", "message"),
    [
        ("P9", (), "P9: no product of that SKU is here"),
        ("P000004", ("cheaper",), "has no price, so no product is cheaper; leave that out"),
        ("P000004", ("other_brand",), "has no brand"),
        ("P000007", ("same_category",), "has no category"),
        ("P000003", ("cheaper",), r"none of the 7 other products .*cheaper: 0\); leave out \"cheaper\", and 7 are"),
        ("P000002", ("cheaper", "in_stock"), r"cheaper: 0, in stock: 5\); leave out \"cheaper\", and 5 are left"),
        ("P000002", ("cheaper", "same_category"), r"cheaper: 0, same category: 0\); leave out more than one"),
    ],
)
def test_impossible_condition_explains_why(store: Store, sku: str, conditions: tuple[str, ...], message: str) -> None:
    with pytest.raises(CatalogError, match=message):
        store.similar(sku, **dict.fromkeys(conditions, True))


def test_only_product_has_no_alternative(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(f"sku,name,images\nA,Cup,{shop}/pictures/P000000.jpg\n")
    edgesearch.build(tmp_path / "c.csv", tmp_path / "c.edge", TINY_MODEL)
    with edgesearch.open(tmp_path / "c.edge") as store:
        with pytest.raises(CatalogError, match="only product"):
            store.similar("A")
        with pytest.raises(ValueError, match="k is 0"):
            store.similar("A", k=0)


def test_diverse_choice_starts_with_the_nearest_and_avoids_twins() -> None:
    rng = np.random.default_rng(0)
    spread = rng.standard_normal((4, 64)).astype(np.float32)
    centres = np.concatenate([spread, spread[:1] + 0.01 * rng.standard_normal((5, 64)).astype(np.float32)])
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    scores = np.array([0.9, 0.6, 0.58, 0.56, *[0.89] * 5])
    likeness = (centres @ centres.T).__getitem__
    assert choose_diverse(scores, likeness, 4, relevance=1.0) == [0, 4, 5, 6]
    assert set(choose_diverse(scores, likeness, 4)) == {0, 1, 2, 3}
    assert choose_diverse(scores, likeness, 4)[0] == 0
    assert sorted(choose_diverse(scores, likeness, 99)) == list(range(9))


def test_index_returns_the_vectors_it_was_built_from() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((8300, 8)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    index = CompactIndex.build(x, "space")
    rows = np.array([8299, 0, 17, 17])
    np.testing.assert_allclose(index.read_vectors(rows), x[rows], atol=0.01)  # int8
    assert index.cells > 1
    assert index.read_vectors(rows[:0]).shape == (0, 8)


def test_product_likeness_equals_the_plain_loop() -> None:
    rng = np.random.default_rng(0)
    products = [rng.standard_normal((count, 8)).astype(np.float32) for count in (1, 3, 2, 5)]
    products = [one / np.linalg.norm(one, axis=1, keepdims=True) for one in products]
    vectors, counts = np.concatenate(products), np.array([len(one) for one in products])
    for i, one in enumerate(products):
        for j, other in enumerate(products):
            there = np.mean([max(row @ column for column in other) for row in one])
            back = np.mean([max(row @ column for column in one) for row in other])
            assert product_likeness(i, vectors, counts)[j] == pytest.approx((there + back) / 2, abs=1e-6)


def test_nearest_products_fill_up_despite_filters_and_large_products() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((8300, 8)).astype(np.float32)
    x[:400] = [1, 0, 0, 0, 0, 0, 0, 0] + 0.01 * x[:400]  # of one product, nearer to its first than all others
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    index, taught = CompactIndex.build(x, "space"), np.array([[-1, 0, 0, 0, 0, 0, 0, 0]], np.float32)
    base = SimpleNamespace(index=index)
    gallery = cast(
        Gallery, SimpleNamespace(base=base, first_taught=len(x), vectors=lambda rows: np.concatenate([x, taught])[rows])
    )
    owners = np.concatenate([np.zeros(400, np.int32), np.arange(1, 7902, dtype=np.int32)])
    cosines = np.concatenate([x, taught]) @ x[0]
    for one_of in (1, 3, 500, 4000):
        mask = (owners % one_of == 0) & (np.arange(len(owners)) > 0)
        found = _nearest_products(gallery, mask, np.array([0]), owners, 20)
        assert mask[found].all()
        assert owners[found[0]] == 0
        assert len(set(owners[found].tolist())) == len(found) == min(20, len(np.unique(owners[mask])))
        assert cosines[found].tolist() == sorted(cosines[found], reverse=True)
        others = np.flatnonzero(mask & (owners > 0))
        nearest = others[np.argsort(-cosines[others])][: len(found) - 1]
        assert len(set(nearest.tolist()) & set(found)) >= 0.9 * len(nearest)  # as exact as the index is
    assert _nearest_products(gallery, owners == 7901, np.array([0]), owners, 20) == [
        8300
    ]  # though nothing of the index is left


def test_missing_detail_satisfies_no_condition() -> None:
    full, free = Product("B", "b", 1.0, "EUR", "Mugs", "Alm", stock=1), Product("C", "c", 0.0, "EUR")
    conditions = AlternativeFilter(True, True, True, True).conditions(full)

    def satisfied(one: Product) -> list[str]:
        return [name for name, test in conditions.items() if test(ComparedDetails.of(one), ComparedDetails.of(full))]

    assert satisfied(Product("A", "a")) == []
    assert satisfied(full) == ["same_category", "in_stock"]
    assert satisfied(free) == ["cheaper"]
    assert AlternativeFilter().conditions(Product("A", "a")) == {}


def test_catalogue_with_a_value_of_wrong_type_raises(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    sqlite_catalog.write(path, [(Product("A", "a", 1.0), [Picture(0, "a.jpg", 0, 1)])])
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE product SET price = 'cheap'")
    connection.close()
    with pytest.raises(CatalogError, match=r"not a readable catalogue .*price is 'cheap'"):
        list(sqlite_catalog.Catalog(path).details(["brand", "price"]))


def test_similar_command(edge: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["similar", str(edge), "--sku", "P000000", "--cheaper", "-k", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert "EUR" in lines[0].upper()
    assert main(["similar", str(edge), "--sku", "P000000", "--other-brand", "--in-stock", "--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert (table["sku"], len(table["matches"])) == ("P000000", 4)
    assert main(["similar", str(edge), "--sku", "P000003", "--cheaper"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("edgesearch: P000003: none of the 7")
    assert err.count("\n") == 1


def test_shipped_model_ranks_alternatives_by_likeness(shop: Path, shop_edge: Path) -> None:
    products = [entry.product for entry in read(shop / "catalogue.csv").entries]
    with edgesearch.open(shop_edge) as store:
        for product in products:
            matches = store.similar(product.sku, k=3)
            assert len({match.sku for match in matches} - {product.sku}) == 3
            assert matches[0].score > np.mean([match.score for match in store.similar(product.sku, k=7)])
