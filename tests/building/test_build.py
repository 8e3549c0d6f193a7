"""Building a bundle from a catalogue, and the errors on the way."""

import shutil
import sqlite3
from pathlib import Path

import pytest
from PIL import Image

import edgesearch
from edgesearch import BundleError, CatalogError, ModelError
from edgesearch.bundle.bundle_file import Bundle
from edgesearch.catalog import sqlite_catalog
from edgesearch.images import image

from ..conftest import TINY_MODEL

pytestmark = pytest.mark.slow


@pytest.fixture
def spoiled(shop: Path, tmp_path: Path) -> Path:
    """Return a shop with one picture missing, one cut off, and one that is a text."""
    folder = Path(shutil.copytree(shop, tmp_path / "spoiled"))
    (folder / "pictures" / "P000001.jpg").unlink()
    cut = folder / "pictures" / "P000002.jpg"
    cut.write_bytes(cut.read_bytes()[:2000])
    (folder / "pictures" / "P000003.jpg").write_text("sorry")
    return folder


def test_the_manifest_counts_and_measures_the_build(tiny_edge: Path) -> None:
    manifest = Bundle(tiny_edge).manifest
    assert manifest.counts["products"] == manifest.counts["pictures"] == 8 < manifest.counts["local_features"]
    assert set(manifest.hashes) == {"model", "preprocessing", "codebook", "index", "local"}
    assert manifest.accuracy["ann_recall@10"] >= 0.9


@pytest.mark.slow
def test_bad_pictures_stop_the_build_and_are_all_listed(spoiled: Path) -> None:
    with pytest.raises(CatalogError, match=r"1 of its pictures .*\(P000001: .*no such file\)"):
        edgesearch.build(spoiled / "catalogue.csv", spoiled / "x.edge", TINY_MODEL)
    (spoiled / "pictures" / "P000001.jpg").touch()
    with pytest.raises(CatalogError, match="3 of its pictures") as caught:
        edgesearch.build(spoiled / "catalogue.csv", spoiled / "x.edge", TINY_MODEL)
    for sku in ("P000001", "P000002", "P000003"):
        assert sku in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (spoiled / "x.edge").exists()


@pytest.mark.slow
def test_skip_bad_leaves_out_bad_pictures_and_keeps_their_products(spoiled: Path) -> None:
    built = edgesearch.build(spoiled / "catalogue.csv", spoiled / "x.edge", skip_bad=True)
    assert built.without_picture == ("P000001", "P000002", "P000003")
    assert len(built.skipped) == 3
    assert (built.manifest.counts["products"], built.manifest.counts["pictures"]) == (8, 5)
    with edgesearch.open(spoiled / "x.edge") as store:
        matches = store.search(spoiled / "pictures" / "P000007.jpg").matches
    assert matches[0].sku == "P000007"
    assert {match.sku for match in matches} == {f"P00000{number}" for number in (0, 4, 5, 6, 7)}


def test_one_good_picture_among_many_bad_ones_is_enough(shop: Path, tmp_path: Path) -> None:
    lines = [f"B{i},Jug,none-{i}.jpg" for i in range(900)]
    lines.insert(450, f"A,Cup,{shop}/pictures/P000000.jpg")
    (tmp_path / "c.csv").write_text("\n".join(["sku,name,images", *lines]))
    built = edgesearch.build(tmp_path / "c.csv", tmp_path / "c.edge", TINY_MODEL, skip_bad=True)
    assert (built.manifest.counts["products"], built.manifest.counts["pictures"]) == (901, 1)
    assert len(built.skipped) == len(built.without_picture) == 900


@pytest.mark.slow
def test_any_model_file_name_works(shop: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(TINY_MODEL, tmp_path / "model"))
    (folder / "model.int8.onnx").rename(folder / "My Model-8.onnx")
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace("model.int8.onnx", "My Model-8.onnx"))
    edgesearch.build(shop / "catalogue.csv", tmp_path / "x.edge", folder)
    edgesearch.open(tmp_path / "x.edge").close()


@pytest.mark.slow
def test_a_full_disk_is_reported_and_leaves_only_the_extracts(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(sqlite_catalog, "write", full)
    with pytest.raises(BundleError, match="disk is full"):
        edgesearch.build(shop / "catalogue.csv", tmp_path / "x.edge", TINY_MODEL)
    assert [path.name for path in tmp_path.iterdir()] == ["x.edge.work"]


def test_a_catalogue_without_a_usable_picture_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("sku,name,images\nA,Cup,none.jpg\n")
    with pytest.raises(CatalogError, match="none of its pictures can be used"):
        edgesearch.build(tmp_path / "c.csv", tmp_path / "c.edge", TINY_MODEL, skip_bad=True)


def test_one_product_is_enough(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(f"sku,name,images\nA,Cup,{shop}/pictures/P000000.jpg\n")
    edgesearch.build(tmp_path / "c.csv", tmp_path / "c.edge", TINY_MODEL)
    with edgesearch.open(tmp_path / "c.edge") as store:
        answer = store.search(shop / "pictures" / "P000000.jpg")
    assert [match.sku for match in answer.matches] == ["A"]
    assert answer.decision == "match"


@pytest.mark.slow
def test_progress_is_reported_to_the_end(shop: Path, tmp_path: Path) -> None:
    reports: list[tuple[int, int]] = []
    edgesearch.build(shop / "catalogue.csv", tmp_path / "x.edge", TINY_MODEL, progress=lambda *at: reports.append(at))
    assert reports[-1] == (8, 8)
    assert reports == sorted(reports)


def test_an_unwritable_output_is_reported_first(shop: Path, tmp_path: Path) -> None:
    for output in (tmp_path / "none" / "x.edge", tmp_path):
        with pytest.raises(BundleError, match="not a file in a folder that exists"):
            edgesearch.build(shop / "catalogue.csv", output, TINY_MODEL)


@pytest.mark.slow
def test_like_refuses_a_bundle_of_another_model(shop: Path, tiny_edge: Path, tmp_path: Path) -> None:
    edgesearch.build(shop / "catalogue.csv", tmp_path / "x.edge", TINY_MODEL, local_features=0, like=tiny_edge)
    with pytest.raises(BundleError, match="another model"):
        edgesearch.build(shop / "catalogue.csv", tmp_path / "x.edge", like=tiny_edge)


def test_a_missing_model_is_reported(shop: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such model"):
        edgesearch.build(shop / "catalogue.csv", tmp_path / "x.edge", tmp_path / "none")
    with pytest.raises(ModelError, match="cannot be read"):
        edgesearch.build(shop / "catalogue.csv", tmp_path / "x.edge", tmp_path)


def test_a_stopped_build_leaves_the_old_output(shop: Path, tmp_path: Path) -> None:
    output = tmp_path / "x.edge"
    before = b"PK\3\4" + bytes(26) + b"manifest.json"  # as a bundle begins
    output.write_bytes(before)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        edgesearch.build(shop / "catalogue.csv", output, TINY_MODEL, progress=stop)
    assert output.read_bytes() == before
    assert list(tmp_path.iterdir()) == [output]


def test_a_very_long_picture_can_be_a_product(tmp_path: Path) -> None:
    Image.new("RGB", (1200, 10), (200, 150, 40)).save(tmp_path / "ruler.png")
    (tmp_path / "c.csv").write_text("sku,name,images\nR,Ruler,ruler.png\n")
    edgesearch.build(tmp_path / "c.csv", tmp_path / "c.edge", TINY_MODEL)
    with edgesearch.open(tmp_path / "c.edge") as store:
        assert image.read(store.base.picture(0)).shape[:2] == (8, 224)
        store.base.self_test()
    assert image.read(image.to_webp((tmp_path / "ruler.png").read_bytes(), 64, 60)).shape[:2] == (8, 64)
