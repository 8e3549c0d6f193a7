"""Measuring a store."""

from pathlib import Path

import pytest

import edgesearch
from edgesearch import CatalogError
from edgesearch.catalog import read_queries
from edgesearch.evaluate import evaluate


def test_catalogue_pictures_are_all_found(shop: Path, shop_edge: Path) -> None:
    queries = [(path, path.stem) for path in sorted((shop / "pictures").glob("*.jpg"))]
    with edgesearch.open(shop_edge) as store:
        figures = evaluate(store, queries).to_dict()
    assert (figures["recall@1"], figures["recall@5"], figures["map"]) == (1, 1, 1)
    assert figures["false_accept_rate"] is None
    assert 0 < figures["p50_ms"] <= figures["p95_ms"]


def test_unknown_products_count_apart(shop: Path, tiny_edge: Path) -> None:
    with edgesearch.open(tiny_edge) as store:
        figures = evaluate(store, read_queries(shop / "queries.csv")).to_dict()
        only_unknown = evaluate(store, [(shop / "photos" / "P000000-1.jpg", "")]).to_dict()
    assert (figures["queries"], figures["known"]) == (10, 8)
    assert figures["false_accept_rate"] is not None
    assert only_unknown["recall@1"] is None


def test_a_sku_that_is_not_there_is_named(shop: Path, tiny_edge: Path) -> None:
    with edgesearch.open(tiny_edge) as store, pytest.raises(CatalogError, match="the first: Z9"):
        evaluate(store, [(shop / "photos" / "P000000-1.jpg", "Z9")])
