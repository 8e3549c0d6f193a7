"""Evaluating a store."""

from pathlib import Path

import pytest

import edgesearch
from edgesearch import CatalogError, ImageError
from edgesearch.catalog.loader import read_queries
from edgesearch.evaluation.evaluate import evaluate


def test_all_catalogue_pictures_are_found(shop: Path, shop_edge: Path) -> None:
    queries = [(path, path.stem) for path in sorted((shop / "pictures").glob("*.jpg"))]
    with edgesearch.open(shop_edge) as store:
        figures = evaluate(store, queries).to_dict()
    assert (figures["recall@1"], figures["recall@5"], figures["map"]) == (1, 1, 1)
    assert figures["false_accept_rate"] is None
    assert 0 < figures["p50_ms"] <= figures["p95_ms"]


@pytest.mark.slow
def test_unknown_products_are_counted_separately(shop: Path, tiny_edge: Path) -> None:
    with edgesearch.open(tiny_edge) as store:
        figures = evaluate(store, read_queries(shop / "queries.csv")).to_dict()
        only_unknown = evaluate(store, [(shop / "photos" / "P000000-1.jpg", "")]).to_dict()
    assert (figures["queries"], figures["known"]) == (10, 8)
    assert figures["false_accept_rate"] is not None
    assert only_unknown["recall@1"] is None


def test_an_unknown_sku_is_reported(shop: Path, tiny_edge: Path) -> None:
    with edgesearch.open(tiny_edge) as store:
        with pytest.raises(CatalogError, match=r"1 SKU of the queries is not in .*the first: Z9"):
            evaluate(store, [(shop / "photos" / "P000000-1.jpg", "Z9")])
        with pytest.raises(CatalogError, match="no queries to ask"):
            evaluate(store, [])


def test_an_unreadable_photo_raises_unless_skipped(shop: Path, tiny_edge: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    queries = [(tmp_path / "bad.jpg", ""), (shop / "photos" / "P000000-1.jpg", "P000000")]
    with edgesearch.open(tiny_edge) as store:
        with pytest.raises(ImageError, match=r"bad\.jpg"):
            evaluate(store, queries)
        found = evaluate(store, queries, skip_bad=True)
        assert (found.to_dict()["queries"], len(found.skipped)) == (1, 1)
        with pytest.raises(ImageError, match="none of the 1 photos"):
            evaluate(store, queries[:1], skip_bad=True)


@pytest.mark.slow
def test_each_result_matches_its_search(shop: Path, tiny_edge: Path) -> None:
    queries = read_queries(shop / "queries.csv")
    with edgesearch.open(tiny_edge) as store:
        found = evaluate(store, queries)
        answers = [store.search(photo, k=8) for photo, _ in queries]
    assert [(one.photo, one.sku) for one in found.results] == queries
    for one, answer in zip(found.results, answers, strict=True):
        assert one.best == answer.matches[0]
        assert one.right == (one.best.sku == one.sku)
        assert one.right_score == next((match.score for match in answer.matches if match.sku == one.sku), None)
        assert 0 <= one.probability <= 1
    assert set(found.products) == {sku for _, sku in queries if sku}
    assert 0 <= found.to_dict()["auroc"] <= 1
    assert 0 <= found.to_dict()["ece"] <= 1


@pytest.mark.slow
def test_taught_products_count_as_known(shop: Path, tiny_edge: Path, tmp_path: Path) -> None:
    edgesearch.install(tiny_edge, tmp_path / "device")
    strange = sorted((shop / "photos").glob("P12*.jpg"))[0]
    with edgesearch.open(tmp_path / "device") as store:
        store.enrol("NEW", [strange], name="Blue mug", category="Mugs")
        store.edit("P000001", name="Other name")
        store.remove("P000002")
        found = evaluate(store, [(strange, "NEW"), (shop / "pictures" / "P000001.jpg", "P000001")])
        assert [one.right for one in found.results] == [True, True]
        assert found.products["P000001"].name == "Other name"
        assert store.picture(found.products["NEW"]).startswith(b"\xff\xd8")
        assert found.products["NEW"].product.category == "Mugs"
        with pytest.raises(CatalogError, match="the first: P000002"):
            evaluate(store, [(strange, "P000002")])
