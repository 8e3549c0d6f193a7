"""Find, count and teach products that have no picture in the catalogue."""

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edgesearch
from edgesearch.answer import Label
from edgesearch.audit import check_page, checks
from edgesearch.bundle.delta import delta
from edgesearch.catalog import loader
from edgesearch.commands.cli import main
from edgesearch.device import maintenance
from edgesearch.errors import CatalogError
from edgesearch.images import image
from edgesearch.images.barcode import Barcode
from edgesearch.search import barcode_labels, pipeline

from ..conftest import TINY_MODEL

HAMMER, VOUCHER = "4006381333931", "4012345678901"
HEADER = "sku,name,images,price,category,barcode\n"


def write_catalogue(shop: Path, folder: Path, more: str = "") -> Path:
    """Write a catalogue in which the first, a middle and the last product have no picture."""
    pictures = [f"P{i},Jug {i},{shop}/pictures/P00000{i}.jpg,{i + 1}.50,Jugs,\n" for i in range(4)]
    path = folder / "catalogue.csv"
    rows = [f"V,Gift voucher,,20,Services,{VOUCHER}\n", *pictures[:2], "X,Delivery,,5,Services,\n", *pictures[2:]]
    path.write_text(HEADER + "".join([*rows, f"H,Claw hammer,,12.90,Tools,{HAMMER}\n", more]))
    return path


@pytest.fixture(scope="module")
def edge(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mixed")
    built = edgesearch.build(write_catalogue(shop, folder), folder / "mixed.edge", TINY_MODEL, sequence=1)
    assert built.without_picture == ("V", "X", "H")
    assert (built.manifest.counts["products"], built.manifest.counts["pictures"]) == (7, 4)
    return folder / "mixed.edge"


@pytest.fixture
def device(edge: Path, tmp_path: Path) -> Path:
    edgesearch.install(edge, tmp_path / "device")
    return tmp_path / "device"


def skus(answer: edgesearch.Answer) -> list[str]:
    return [match.sku for match in answer.matches]


def test_words_filters_and_barcodes_find_them(edge: Path) -> None:
    with edgesearch.open(edge) as store:
        found = store.search(text="claw hammer")
        assert (found.decision, skus(found)) == ("match", ["H"])
        assert skus(store.search(where="category=Services order by price")) == ["X", "V"]
        assert skus(store.search(where="price>10")) == ["V", "H"]
        assert [skus(store.named_by(code)) for code in (HAMMER, VOUCHER, "X")] == [["H"], ["V"], ["X"]]
        match = store.named(["H"])["H"]
        assert (match.image, match.row, match.to_dict()["image"]) == ("", None, "")
        assert store.references("H") == (match,)
        assert store.picture(match) == store.picture(found.matches[0]) == image.blank_picture()
        assert store.skus() >= {"V", "X", "H"}
        assert store.products(["V"])["V"].price == 20


def test_photos_find_the_others_alone(edge: Path, shop: Path) -> None:
    with edgesearch.open(edge) as store:
        photo = shop / "pictures" / "P000002.jpg"
        answer = store.search(photo, k=10)
        assert sorted(skus(answer)) == ["P0", "P1", "P2", "P3"]
        assert skus(store.search(photo, k=10, where="category=Services")) == []
        assert "P2" in skus(store.search(photo, k=10, where="price>1"))
        assert "V" in skus(store.search(photo, k=10, text="voucher"))
        assert len(store.similar("P2", 9)) == 3
        with pytest.raises(CatalogError, match="H: has no picture, so nothing"):
            store.similar("H")
        with pytest.raises(CatalogError, match="H: has no picture to compare with"):
            store.compare(photo, "H")
        store.warm_up(words=True).result()


def test_a_label_in_the_photo_names_them(edge: Path, shop: Path) -> None:
    with edgesearch.open(edge) as store:
        gallery = store._gallery()
        seen = pipeline.observe(gallery, shop / "photos" / "P120000-1.jpg", 5)
        answer = pipeline.answer_observations(gallery, [seen], 5)
        unsure = answer.__class__("photo", "unknown", answer.matches, answer.elapsed_ms)
        code = [Barcode(HAMMER, "EAN-13")]
        named = barcode_labels.apply_labels(gallery, unsure, code, seen.candidates, seen.embedding)
        assert named.barcodes == (Label(HAMMER, "EAN-13", ("H",)),)
        assert (named.matches[0].sku, named.matches[0].row) == ("H", None)
        jugs = gallery.restrict_to(gallery.table.visible & (np.arange(gallery.table.size) < 3))  # without H
        left_out = barcode_labels.apply_labels(jugs, unsure, code, seen.candidates, seen.embedding)
        assert "H" not in skus(left_out)
        drawn = Image.open(io.BytesIO(store.explain(shop / "photos" / "P120000-1.jpg", named)))
        assert min(drawn.size) > 100


def test_staff_edit_remove_and_restore_them(store: edgesearch.Store) -> None:
    store.edit("H", price=9)
    assert store.search(text="claw hammer").matches[0].price == 9
    store.remove("H")
    assert skus(store.search(where="category=Tools")) == skus(store.named_by(HAMMER)) == []
    assert "H" not in store.skus()
    store.undo()
    assert skus(store.named_by(HAMMER)) == ["H"]


def test_the_first_picture_is_enrolled_and_then_built(
    store: edgesearch.Store, device: Path, shop: Path, tmp_path: Path, edge: Path
) -> None:
    photo = shop / "photos" / "P120000-1.jpg"
    store.enrol("H", photo)
    found = store.search(photo).matches[0]
    assert (found.sku, found.row) == ("H", -1)
    assert store.named(["H"])["H"].row == -1
    assert image.read(store.picture(found)).shape[2] == 3
    assert store.compare(photo, "H").match.sku == "H"
    assert [match.sku for match in store.similar("H", 9)]
    maintenance.export(device, tmp_path / "taught")
    catalogue = write_catalogue(shop, tmp_path)
    merged = edgesearch.build(
        catalogue, tmp_path / "next.edge", TINY_MODEL, sequence=2, merge=[tmp_path / "taught"], like=edge
    )
    assert merged.without_picture == ("V", "X")
    delta(edge, tmp_path / "next.edge", tmp_path / "next.delta")
    edgesearch.install(tmp_path / "next.delta", device)
    with edgesearch.open(device) as after:
        match = after.search(photo).matches[0]
        assert (match.sku, match.row) == ("H", 4)
        assert skus(after.named_by(VOUCHER)) == ["V"]


def test_a_barcode_teaches_the_first_picture(store: edgesearch.Store, shop: Path) -> None:
    store.learner.switch(True)
    photos = [shop / "photos" / name for name in ("P120000-1.jpg", "P120001-1.jpg")]
    lesson = store.learn(photos[0], "X", source="barcode", code="X")
    assert lesson.number > 0
    store.learner.accept([lesson.number])
    match = store.search(photos[0]).matches[0]
    assert match.sku == "X"
    assert match.row is not None
    assert match.row < 0
    assert store.named(["X"])["X"].row == match.row
    store.learner.take_back([lesson.number])
    assert store.named(["X"])["X"].row is None


def test_small_bundles_keep_them(shop: Path, tmp_path: Path) -> None:
    catalogue = write_catalogue(shop, tmp_path)
    whole = edgesearch.build(catalogue, tmp_path / "whole.edge", TINY_MODEL, sequence=1)
    limit = whole.size_bytes / 1e6 - 0.03
    built = edgesearch.build(catalogue, tmp_path / "small.edge", TINY_MODEL, sequence=1, budget_mb=limit)
    assert built.fitted
    with edgesearch.open(tmp_path / "small.edge") as store:
        assert skus(store.search(text="claw hammer")) == skus(store.named_by(HAMMER)) == ["H"]


def test_bad_pictures_leave_the_product_in(shop: Path, tmp_path: Path) -> None:
    catalogue = write_catalogue(shop, tmp_path, "B,Broken jug,none.jpg,3,Jugs,\n")
    with pytest.raises(CatalogError, match=r"1 of its pictures .*\(B: .*none\.jpg: no such file\)"):
        edgesearch.build(catalogue, tmp_path / "x.edge", TINY_MODEL)
    built = edgesearch.build(catalogue, tmp_path / "x.edge", TINY_MODEL, skip_bad=True)
    assert built.without_picture == ("V", "X", "H", "B")
    with edgesearch.open(tmp_path / "x.edge") as store:
        assert skus(store.search(text="broken jug"))[0] == "B"


def test_a_catalogue_without_any_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("sku,name,images\nA,Cup,none.jpg\nB,Jug,\n")
    with pytest.raises(CatalogError, match="none of its pictures can be used"):
        edgesearch.build(tmp_path / "c.csv", tmp_path / "x.edge", TINY_MODEL, skip_bad=True)


def test_build_inspect_and_check_list_them(
    edge: Path, shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    catalogue = write_catalogue(shop, tmp_path)
    assert main(["build", str(catalogue), "-o", str(tmp_path / "x.edge"), "--model", str(TINY_MODEL)]) == 0
    assert "3 products have no picture, so only words, filters and barcodes find them: V; X; H" in (
        capsys.readouterr().err
    )
    assert main(["inspect", str(edge)]) == 0
    assert "without picture          V; X; H\n" in capsys.readouterr().out
    assert main(["inspect", str(edge), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["without picture"] == ["V", "X", "H"]
    checked = checks.check(loader.read(catalogue), model=TINY_MODEL)
    assert "Products without a picture" in check_page.render(checked, str(catalogue))
    found = checked.findings_of("without")
    assert [finding.skus for finding in found] == [("V",), ("X",), ("H",)]
    assert found[2].says == "Claw hammer (H) has no picture; only words, filters and barcodes find it"


def test_a_count_takes_them_by_hand(edge: Path, shop: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    shutil.copy(shop / "photos" / "P120000-1.jpg", tmp_path / "photos" / "one.jpg")
    output = tmp_path / "stock.csv"
    arguments = ["count", str(edge), str(tmp_path / "photos"), "-o", str(output)]
    assert main(arguments) == 0
    assert main([*arguments, "--correct", "one.jpg=H"]) == 0
    (row,) = csv.DictReader(output.read_text(encoding="utf-8-sig").splitlines())
    assert (row["sku"], row["name"], row["counted"]) == ("H", "Claw hammer", "1")


def test_evaluation_counts_their_photos_as_missed(edge: Path, shop: Path) -> None:
    from edgesearch.evaluation.evaluate import evaluate

    with edgesearch.open(edge) as store:
        figures = evaluate(store, [(shop / "photos" / "P120000-1.jpg", "H")]).to_dict()
    assert figures["recall@5"] == 0


def test_the_server_sends_a_blank_picture(edge: Path, tmp_path: Path) -> None:
    pytest.importorskip("fastapi", reason="the extra `server` is not installed")
    from edgesearch.server.state import ServerState

    from ..server.client import Client

    with edgesearch.open(edge) as store:
        state = ServerState(store, edge)
        client = Client(state)
        (match,) = client("GET", "/v1/search", params={"text": "claw hammer"}).json()["matches"]
        assert (match["row"], match["image"], match["picture"]) == (None, "", "/v1/pictures/H")
        assert client("GET", match["picture"]).content == image.blank_picture()
        shown = client("GET", "/v1/products/H").json()
        assert (shown["product"]["name"], shown["pictures"]) == ("Claw hammer", ["/v1/pictures/H"])
        assert client("GET", "/v1/similar/H").status_code == 422
        state.close()
