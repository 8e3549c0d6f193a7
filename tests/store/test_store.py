"""Searches through an open store."""

import io
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edgesearch
from edgesearch import BundleError, EdgeSearchError, ImageError
from edgesearch.bundle import bundle_file
from edgesearch.catalog.loader import read, read_queries

from ..bundle.test_delta import manifest_fields, unpack
from ..conftest import TINY_MODEL

GOLDEN = Path(__file__).parents[1] / "golden"


def test_shipped_model_finds_catalogue_pictures_and_photos(shop: Path, shop_edge: Path) -> None:
    with edgesearch.open(shop_edge) as store:
        for entry in read(shop / "catalogue.csv").entries:
            best = store.search(entry.images[0][1]).matches[0]
            stored = replace(best.product, attributes=())  # without the colours that were seen
            assert (stored, best.image) == (entry.product, entry.images[0][0])
            assert best.score > 0.7  # its row is the mean with made views of it
        known = [(photo, sku) for photo, sku in read_queries(shop / "queries.csv") if sku]
        found = [store.search(photo).matches[0].sku == sku for photo, sku in known]
    assert sum(found) >= len(found) / 2


def test_answer_has_all_fields(shop: Path, tiny_edge: Path) -> None:
    photo = shop / "pictures" / "P000003.jpg"
    with edgesearch.open(tiny_edge) as store:
        answer = store.search(photo, k=3)
        assert len(answer.matches) == 3
        assert list(answer.elapsed_ms) == ["image", "embed", "index", "local_features", "decision", "catalog", "total"]
        likely = [match.probability for match in answer.matches]
        assert likely == sorted(likely, reverse=True)
        assert answer.matches[0].score > 0.99
        table = json.loads(json.dumps(answer.to_dict()))
        assert table["photo"] == str(photo)
        assert {"sku", "name", "score", "price", "category", "image"} <= set(table["matches"][0])
        picture = store.picture(answer.matches[0])
        assert picture.startswith(b"\xff\xd8")


def test_every_kind_of_photo_gives_the_same_answer(shop: Path, tiny_edge: Path) -> None:
    path = shop / "photos" / "P000001-1.jpg"
    with Image.open(path) as image, edgesearch.open(tiny_edge) as store:
        image.draft("RGB", (1, 1))
        photos = [path, str(path), path.read_bytes()]
        answers = [[(m.sku, m.score) for m in store.search(photo).matches] for photo in photos]
        assert answers[0] == answers[1] == answers[2]
        assert store.search(np.asarray(image)).matches[0].sku == store.search(image).matches[0].sku


def test_large_k_returns_all_products(tiny_edge: Path, shop: Path) -> None:
    with edgesearch.open(tiny_edge) as store:
        assert len({m.sku for m in store.search(shop / "pictures" / "P000000.jpg", k=50).matches}) == 8


@pytest.mark.slow
def test_product_with_many_pictures_is_one_match(shop: Path, tmp_path: Path) -> None:
    lines = ["sku,name,images", *(f"A,Cup,{shop}/photos/{p.name}" for p in (shop / "photos").glob("*.jpg"))]
    lines += [f"B,Jug,{shop}/pictures/P000000.jpg"]
    (tmp_path / "c.csv").write_text("\n".join(lines))
    edgesearch.build(tmp_path / "c.csv", tmp_path / "c.edge", TINY_MODEL)
    with edgesearch.open(tmp_path / "c.edge") as store:
        for photo in (shop / "photos").glob("*.jpg"):
            assert {m.sku for m in store.search(photo, k=2).matches} == {"A", "B"}


@pytest.mark.slow
def test_store_can_be_shared_between_threads(shop: Path, tiny_edge: Path) -> None:
    photos = sorted((shop / "photos").glob("*.jpg")) * 6
    with edgesearch.open(tiny_edge) as store, ThreadPoolExecutor(8) as pool:
        expected = [store.search(photo).matches for photo in photos]
        assert list(pool.map(lambda photo: store.search(photo).matches, photos)) == expected


def test_bad_photo_raises_image_error(tiny_edge: Path, tmp_path: Path) -> None:
    with edgesearch.open(tiny_edge) as store, pytest.raises(ImageError):
        store.search(tmp_path / "none.jpg")


@pytest.mark.slow
def test_killed_process_leaves_no_files(tiny_edge: Path, tmp_path: Path) -> None:
    code = f"import edgesearch, os; s = edgesearch.open({str(tiny_edge)!r}); s.skus(); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code], check=False, env=os.environ | {"TMPDIR": str(tmp_path)})
    assert not list(tmp_path.iterdir())


def test_k_below_one_is_refused(tiny_edge: Path, shop: Path) -> None:
    with edgesearch.open(tiny_edge) as store, pytest.raises(ValueError, match="k is 0"):
        store.search(shop / "pictures" / "P000000.jpg", k=0)


def restage_bundle(edge: Path, tmp_path: Path, members: dict[str, bytes], **described: object) -> Path:
    """Return the bundle with some members replaced and its hashes corrected, as a careless tool would produce it."""
    opened = bundle_file.Bundle(edge)
    stage = tmp_path / "stage"
    for name in opened.manifest.files:
        (stage / name).parent.mkdir(parents=True, exist_ok=True)
        (stage / name).write_bytes(members.get(name, bytes(opened.member(name))))
    fields = {key: value for key, value in vars(opened.manifest).items() if key != "files"}
    opened.close()
    bundle_file.write(tmp_path / "mixed.edge", stage, fields | described)
    return tmp_path / "mixed.edge"


def test_parts_of_two_bundles_are_refused(tiny_edge: Path, shop_edge: Path, tmp_path: Path) -> None:
    other = bundle_file.Bundle(shop_edge)
    config, index = (bytes(other.member(name)) for name in ("model/config.json", "index/index.arrays"))
    for name, content in (("index/index.arrays", index), ("model/config.json", config)):
        mixed = restage_bundle(tiny_edge, tmp_path, {name: content})
        with pytest.raises(EdgeSearchError, match=r"maps .* to .* per picture|its .* is not the one"):
            edgesearch.open(mixed)


def test_wrong_binding_hash_is_named(tiny_edge: Path, tmp_path: Path) -> None:
    hashes = bundle_file.Bundle(tiny_edge).manifest.hashes
    for part in ("model", "preprocessing", "codebook", "index"):
        mixed = restage_bundle(tiny_edge, tmp_path, {}, hashes={**hashes, part: "0" * 64})
        with pytest.raises(BundleError, match=f"its {part} is not the one"):
            edgesearch.open(mixed)


def test_manifest_without_calibration_is_refused(tiny_edge: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="calibration"):
        edgesearch.open(restage_bundle(tiny_edge, tmp_path, {}, calibration={}))


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.edge")), ids=lambda path: path.name)
def test_bundles_of_released_formats_open(path: Path) -> None:
    expected = json.loads(path.with_suffix(".json").read_text())
    with edgesearch.open(path) as store:
        picture = store.picture(store.search(np.full((64, 64, 3), 128, np.uint8)).matches[0])
        answer = store.search(picture, k=3)
    assert [match.sku for match in answer.matches] == [match["sku"] for match in expected]
    np.testing.assert_allclose([m.score for m in answer.matches], [m["score"] for m in expected], atol=0.01)


def test_local_features_of_the_right_product_agree(shop: Path, shop_edge: Path) -> None:
    with edgesearch.open(shop_edge) as store:
        picture = shop / "pictures" / "P000000.jpg"
        photo = np.asarray(Image.open(picture).convert("RGB").resize((400, 400)).rotate(10, fillcolor=(90, 90, 90)))
        store.base.local, local = None, store.base.local
        alone = store.search(photo).matches
        store.base.local = local
        answer = store.search(photo)
        mirrored = store.search(np.ascontiguousarray(photo[:, ::-1]))
        explained = store.explain(photo, answer)
    best = answer.matches[0]
    assert best.sku == "P000000"
    assert "local_features" not in answer.elapsed_ms or best.points >= 5
    assert best.score >= next(match.score for match in alone if match.sku == "P000000")
    assert all(match.points == 0 and match.outline == () for match in alone)
    assert {match.points == 0 for match in answer.matches} >= {match.outline == () for match in answer.matches}
    assert mirrored.matches[0].sku == "P000000"
    assert Image.open(io.BytesIO(explained)).width > 400


def test_damaged_reference_image_raises(shop: Path, tiny_edge: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edgesearch.Store, "picture", lambda *_: b"no picture")
    photo = shop / "photos" / "P000000-1.jpg"
    with edgesearch.open(tiny_edge) as store, pytest.raises(ImageError, match="no picture"):
        store.explain(photo, store.search(photo))


def test_fast_search_skips_local_features(shop: Path, shop_edge: Path) -> None:
    with edgesearch.open(shop_edge) as store:
        answer = store.search(shop / "photos" / "P000000-1.jpg", fast=True)
    assert "local_features" not in answer.elapsed_ms
    assert all(match.points == 0 for match in answer.matches)


@pytest.mark.slow
def test_store_without_local_features_answers_by_embedding(shop: Path, tmp_path: Path) -> None:
    built = edgesearch.build(shop / "catalogue.csv", tmp_path / "x.edge", TINY_MODEL, local_features=0)
    assert built.manifest.counts["local_features"] == 0
    with edgesearch.open(tmp_path / "x.edge") as store:
        answer = store.search(shop / "photos" / "P000000-1.jpg")
        assert store.base.local is None
    assert "local_features" not in answer.elapsed_ms
    with pytest.raises(ValueError, match="local_features"):
        edgesearch.build(shop / "catalogue.csv", tmp_path / "x.edge", TINY_MODEL, local_features=-1)


def test_a_bundle_that_routes_by_a_graph_is_searched_without_it(tiny_edge: Path, shop: Path, tmp_path: Path) -> None:
    stage = unpack(tiny_edge, tmp_path / "stage")
    (stage / "index" / "router.usearch").write_bytes(b"a graph over the cells, as bundles of millions of rows had")
    bundle_file.write(tmp_path / "routed.edge", stage, manifest_fields(tiny_edge))
    photo = sorted(shop.glob("**/*.jpg"))[0]
    with edgesearch.open(tiny_edge) as plain, edgesearch.open(tmp_path / "routed.edge") as routed:
        assert routed.search(photo).matches[0].sku == plain.search(photo).matches[0].sku
