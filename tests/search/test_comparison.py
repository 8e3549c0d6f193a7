"""Comparison of a photo with one product."""

import io
import json
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from demo_shop import DEFECTS, Product, catalogue_picture, deface, lone_photo, make_twins
from PIL import Image

import edgesearch
from edgesearch import CatalogError, ImageError, Store
from edgesearch.commands.cli import main
from edgesearch.embedding.embedder import Embedder
from edgesearch.local_features import alignment
from edgesearch.local_features.descriptors import extract_query_features

pytestmark = pytest.mark.slow

FIRST, SECOND, THIRD = make_twins(31, 0)[:3]  # differ in one word


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a store of two twins, beside their pictures."""
    out = tmp_path_factory.mktemp("twins")
    rows = ["sku,name,images"]
    for product in (FIRST, SECOND):
        catalogue_picture(product, 640, 560).save(out / f"{product.sku}.png")
        rows.append(f"{product.sku},{product.name},{product.sku}.png")
    (out / "c.csv").write_text("\n".join(rows))
    edgesearch.build(out / "c.csv", out / "twins.edge")
    return out


@pytest.fixture(scope="module")
def store(folder: Path) -> Iterator[Store]:
    with edgesearch.open(folder / "twins.edge") as opened:
        yield opened


@cache
def take_photo(product: Product, **damage: Any) -> Image.Image:
    """Return a photo of a product, damaged or not; the same one each time, which no test may change."""
    altered = partial(deface, rng=np.random.default_rng(1), **damage) if damage else lambda cutout: cutout
    return lone_photo(product, np.random.default_rng([31, 0, 0]), altered)


def test_sound_product_is_the_same(store: Store) -> None:
    found = store.compare(take_photo(FIRST), FIRST.sku)
    assert (found.verdict, found.regions, found.rival) == ("same", (), None)
    assert found.points > 50
    assert found.compared > 0.1
    assert found.own is None  # of one picture
    table = json.loads(json.dumps(found.to_dict()))
    assert {"verdict", "why", "score", "own_scores", "regions", "limits", "image"} <= set(table)


@pytest.mark.parametrize("kind", ["torn", "stain", "text", "recolour", "scratch"])
def test_damage_is_reported_with_its_region(store: Store, kind: str) -> None:
    found = store.compare(take_photo(FIRST, kind=kind, share=0.08), FIRST.sku)
    assert found.verdict == "damaged or altered"
    left, top, right, bottom = found.regions[0].box
    assert 0 <= left < right <= 1
    assert 0 <= top < bottom <= 1


def test_twin_is_not_the_same(store: Store) -> None:
    assert store.compare(take_photo(SECOND), FIRST.sku).verdict == "different"
    assert store.compare(take_photo(SECOND), SECOND.sku).verdict == "same"
    unlisted = store.compare(take_photo(THIRD), FIRST.sku)
    assert unlisted.verdict in ("different", "damaged or altered")


def test_photo_without_details_cannot_be_judged(store: Store) -> None:
    found = store.compare(np.full((300, 300, 3), 120, np.uint8), FIRST.sku)
    assert (found.verdict, found.pair, found.points) == ("cannot tell", None, 0)
    assert Image.open(io.BytesIO(found.drawn(np.zeros((9, 90, 3), np.uint8), np.zeros((90, 9, 3), np.uint8)))).width > 9


def test_photo_as_reference_picture_proves_no_damage(tmp_path: Path) -> None:
    lone_photo(FIRST, np.random.default_rng(5)).save(tmp_path / "a.png")
    (tmp_path / "c.csv").write_text("sku,name,images\nA,Muesli,a.png")
    edgesearch.build(tmp_path / "c.csv", tmp_path / "c.edge")
    with edgesearch.open(tmp_path / "c.edge") as store:
        found = store.compare(take_photo(FIRST, kind="text", share=0.08), "A")
    assert found.verdict == "cannot tell"
    assert found.regions


def test_comparison_reports_how_alike_own_pictures_are(tmp_path: Path) -> None:
    for number, product in enumerate((FIRST, FIRST, THIRD)):
        lone_photo(product, np.random.default_rng(number)).save(tmp_path / f"{number}.png")
    (tmp_path / "c.csv").write_text("sku,name,images\nA,Muesli,0.png\nA,Muesli,1.png\nB,Other,2.png")
    edgesearch.build(tmp_path / "c.csv", tmp_path / "c.edge")
    with edgesearch.open(tmp_path / "c.edge") as store:
        found = store.compare(tmp_path / "0.png", "A")
        first, second = store.embed([tmp_path / "0.png", tmp_path / "1.png"])
    assert found.own == pytest.approx((first @ second,) * 2, abs=0.02)  # of pictures kept in 8 bits
    assert found.score > 0.98


def test_photo_is_embedded_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, embed = [], Embedder.embed_and_locate
    monkeypatch.setattr(Embedder, "embed_and_locate", lambda self, *given: calls.append(1) or embed(self, *given))
    store.compare(take_photo(FIRST), FIRST.sku)
    assert len(calls) == 1


def test_errors_name_the_bad_input(store: Store, tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="nowhere: no product"):
        store.compare(take_photo(FIRST), "nowhere")
    with pytest.raises(ImageError, match="no such file"):
        store.compare(tmp_path / "none.jpg", FIRST.sku)


def test_taught_pictures_are_compared_and_removed_products_are_not(folder: Path, tmp_path: Path) -> None:
    from edgesearch.device.maintenance import install

    install(folder / "twins.edge", tmp_path / "device")
    with edgesearch.open(tmp_path / "device") as store:
        store.enrol("NEW", [catalogue_picture(THIRD, 640, 560)], name="New one")
        assert store.compare(take_photo(THIRD), "NEW").verdict == "same"
        store.remove(SECOND.sku)
        with pytest.raises(CatalogError, match=SECOND.sku):
            store.compare(take_photo(SECOND), SECOND.sku)


def test_command_answers_and_draws(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo, out = tmp_path / "p.jpg", tmp_path / "why.png"
    take_photo(FIRST, kind="text", share=0.08).save(photo)
    command = ["compare", str(folder / "twins.edge"), str(photo), "--sku", FIRST.sku]
    assert main([*command, "-o", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "damaged or altered"
    assert out.read_bytes().startswith(b"\x89PNG")
    assert main(command) == 0
    assert "differs at" in capsys.readouterr().out
    assert main([*command, "-o", str(tmp_path / "why.gif")]) == 1
    assert main([*command[:-1], "nowhere"]) == 1
    assert capsys.readouterr().err.count("\n") == 2
    (tmp_path / "folder.png").mkdir()
    for name in ("none/why.png", "folder.png"):
        assert main([*command, "-o", str(tmp_path / name)]) == 1
        captured = capsys.readouterr()
        assert captured.err.startswith(f"edgesearch: {tmp_path / name}: ")
        assert "damaged or altered" in captured.out  # the answer is there, its picture is not


def test_rotated_picture_aligns_to_itself() -> None:
    picture = np.asarray(catalogue_picture(FIRST, 640, 560).resize((224, 224)))
    turned = np.asarray(Image.fromarray(picture).resize((400, 400)).rotate(20, fillcolor=(245, 245, 245)))
    found, keypoints = alignment.match_features(extract_query_features(turned), extract_query_features(picture))
    pair = alignment.align(turned, picture, found.affine)
    inside = alignment.find_shared_area(pair, keypoints)
    off, colours = alignment.measure_differences(pair, inside)
    assert found.inliers > 50
    assert inside.mean() > 0.15
    assert float(off[inside].max()) < 0.3
    assert float(colours[inside].max()) < 0.1


@pytest.mark.parametrize("kind", DEFECTS)
@pytest.mark.parametrize("size", [(60, 90), (300, 40)])
def test_defects_have_the_requested_size_and_follow_the_seed(kind: str, size: tuple[int, int]) -> None:
    cutout = Image.fromarray(np.random.default_rng(0).integers(0, 255, (*size, 4), np.uint8))
    cutout.putalpha(255)
    first, again = (np.asarray(deface(cutout, kind, 0.1, np.random.default_rng(3)), int) for _ in range(2))
    assert np.array_equal(first, again)
    changed = (np.abs(first - np.asarray(cutout, int)).max(2) > 8).mean()
    assert 0.02 < changed < 0.25
