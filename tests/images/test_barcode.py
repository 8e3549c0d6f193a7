"""Check that barcodes are compared in any spelling, read from photos, and weighed against the visual match."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from demo_shop import draw_ean13, ean13
from PIL import Image

import edgesearch
from edgesearch import Answer, EdgeSearchError, Match
from edgesearch.answer import Decision, Label
from edgesearch.catalog.loader import read
from edgesearch.catalog.product import Product
from edgesearch.images import barcode
from edgesearch.images.barcode import Barcode
from edgesearch.search import barcode_labels

from ..conftest import TINY_MODEL

needs_reader = pytest.mark.skipif(not barcode.can_read(), reason="zxing-cpp is not installed (the extra `barcode`)")


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("036000291452", "0036000291452"),  # UPC-A, EAN-13
        ("36000291452", "0036000291452"),  # without its zero, as a spreadsheet leaves it
        ("4006381333931", "04006381333931"),  # GTIN-14
        ("4 006381-333931", "4006381333931"),
        ("96385074", "0000096385074"),  # EAN-8
    ],
)
def test_spellings_of_one_gtin_are_equal(text: str, same: str) -> None:
    assert barcode.parse_gtin(text) == barcode.parse_gtin(same) is not None
    assert not barcode.equivalent_codes(same).isdisjoint(barcode.split_codes(text))
    assert not barcode.equivalent_codes(text.replace(" ", "")).isdisjoint(barcode.split_codes(same))


@pytest.mark.parametrize("text", ["4006381333932", "96385075", "", "0000000000000", "SKU-42", "123", "١٢٣٤٥٦٧٠"])
def test_text_that_is_no_gtin_is_refused(text: str) -> None:
    assert barcode.parse_gtin(text) is None


def test_the_code_of_a_carton_differs_from_that_of_its_content() -> None:
    assert barcode.equivalent_codes("14006381333938").isdisjoint({"4006381333931"})


def match(sku: str, probability: float, code: str | None = None) -> Match:
    return Match(Product(sku, sku.lower(), barcode=code), 0.8, "x.jpg", 0, probability=probability)


def judge_with_labels(decision: Decision, found: list[Match], said: list[Label], named: list[Match]) -> Answer:
    return barcode_labels.combine(Answer("photo", decision, tuple(found), {}), said, named)


A, B = match("A", 0.05), match("B", 0.9, "4006381333931")
FAINT = match("B", 0.3, "4006381333931")
SAYS_A = [Label("2000000000015", "EAN-13", ("A",))]


def test_a_label_wins_if_the_visual_match_agrees_or_is_unsure() -> None:
    for decision, found in (("match", [A, B]), ("ambiguous", [A]), ("unknown", [FAINT])):
        answer = judge_with_labels(decision, found, SAYS_A, [A])  # type: ignore[arg-type]
        assert (answer.decision, answer.matches[0].sku, answer.conflict) == ("match", "A", "")
        assert answer.by_barcode
        assert len(answer.matches) == len(found)


def test_an_ambiguous_visual_match_agrees_with_either_product() -> None:
    either, close = match("B", 0.42), match("A", 0.41)
    assert judge_with_labels("ambiguous", [either, close], SAYS_A, [close]).decision == "match"


def test_a_label_on_another_product_is_reported_as_a_conflict() -> None:
    answer = judge_with_labels("match", [B, A], SAYS_A, [A])
    assert answer.decision == "ambiguous"
    assert answer.conflict == "the label names A a, but the photo looks like B b"
    assert [one.sku for one in answer.matches] == ["A", "B"]
    assert not answer.by_barcode
    assert answer.to_dict()["barcodes"] == [{"text": "2000000000015", "format": "EAN-13", "skus": ("A",)}]


def test_a_label_does_not_win_against_printed_details() -> None:
    printed = match("B", 0.6)  # not enough to be accepted, but it is more likely B than anything else
    assert (
        judge_with_labels("unknown", [printed], SAYS_A, [A]).conflict
        == "the label names A a, but the photo looks like B b"
    )


def test_labels_of_two_products_are_ambiguous() -> None:
    said = [*SAYS_A, Label("4006381333931", "EAN-13", ("B",))]
    answer = judge_with_labels("match", [B], said, [B, A])
    assert (answer.decision, answer.conflict) == ("ambiguous", "the labels name B b and A a")


def test_with_a_code_of_two_products_the_visual_match_decides() -> None:
    said = [Label("2000000000015", "EAN-13", ("A", "B"))]
    assert judge_with_labels("match", [B], said, [B, A]).decision == "match"
    assert judge_with_labels("unknown", [FAINT], said, [FAINT, A]).decision == "ambiguous"


def test_a_code_of_no_product_contradicts_a_product_with_another() -> None:
    said = [Label("2000000000015", "EAN-13", ())]
    answer = judge_with_labels("match", [B, A], said, [])
    assert answer.decision == "ambiguous"
    assert "whose barcode is 4006381333931" in answer.conflict
    assert judge_with_labels("match", [A], said, []).decision == "match"  # whose barcode nobody knows
    assert judge_with_labels("match", [B], [Label("SHELF-7", "Code 128", ())], []).decision == "match"
    assert judge_with_labels("unknown", [FAINT], said, []).conflict == ""


@needs_reader
def test_rotated_and_small_codes_are_read() -> None:
    code = draw_ean13("4006381333931", 3)
    photo = Image.new("RGB", (1600, 1200), (190, 170, 140))
    photo.paste(code.rotate(15, expand=True, fillcolor=(190, 170, 140)), (400, 300))
    for turned in (photo, photo.rotate(90, expand=True)):
        small, codes = barcode.read(np.asarray(turned), 320)
        assert codes == (Barcode("4006381333931", "EAN-13"),)
        assert min(small.shape[:2]) == 600


@needs_reader
def test_a_wrong_check_digit_is_not_read() -> None:
    assert barcode.scan(np.asarray(draw_ean13("4006381333932"))) == ()


def add_label(photo: Path, code: str) -> Image.Image:
    """Return a photo with a barcode pasted on its corner."""
    with Image.open(photo) as opened:
        picture = opened.convert("RGB").resize((1000, 1000))
    picture.paste(draw_ean13(code, 3), (0, 0))
    return picture


@needs_reader
def test_a_photo_with_a_label_is_answered_by_its_barcode(shop: Path, shop_edge: Path) -> None:
    one, other = (entry for entry in read(shop / "catalogue.csv").entries[1:3])
    photo = shop / "photos" / f"{one.product.sku}-1.jpg"
    assert one.product.barcode
    assert other.product.barcode
    with edgesearch.open(shop_edge) as store:
        assert store.search(photo).decision == "match"
        own = store.search(add_label(photo, one.product.barcode), k=2)
        assert (own.decision, own.by_barcode, own.matches[0].sku) == ("match", True, one.product.sku)
        wrong = store.search(add_label(photo, other.product.barcode), k=1)
        assert (wrong.decision, wrong.matches[0].sku) == ("ambiguous", other.product.sku)
        assert one.product.name in wrong.conflict
        foreign = store.search(add_label(photo, ean13(400_638_133_393)))
        assert foreign.barcodes == (Label("4006381333931", "EAN-13"),)
        assert not store.search(add_label(photo, one.product.barcode), barcodes=False).barcodes


@pytest.mark.slow
@needs_reader
def test_the_number_of_results_does_not_change_how_a_label_is_judged(tmp_path: Path, shop: Path) -> None:
    picture = shop / "pictures" / "P000001.jpg"
    lines = ["sku,name,images,barcode"]
    lines += [f"{sku},{sku},{picture},{code}" for sku, code in (("A", "4006381333931"), ("B", "2000000000015"))]
    (tmp_path / "twins.csv").write_text("\n".join(lines))
    edgesearch.build(tmp_path / "twins.csv", tmp_path / "twins.edge", TINY_MODEL)
    with edgesearch.open(tmp_path / "twins.edge") as store:
        for code, sku in (("4006381333931", "A"), ("2000000000015", "B")):
            answers = [store.search(add_label(picture, code), k=k) for k in (1, 2)]
            assert [(one.decision, one.matches[0].sku, one.conflict) for one in answers] == [("match", sku, "")] * 2


@pytest.mark.slow
@needs_reader
def test_a_label_of_a_filtered_out_product_is_no_match(shop: Path, tmp_path: Path) -> None:
    edgesearch.build(shop / "catalogue.csv", tmp_path / "x.edge", TINY_MODEL)
    edgesearch.install(tmp_path / "x.edge", tmp_path / "device")
    photo = add_label(shop / "photos" / "P000001-1.jpg", "4006381333931")
    with edgesearch.open(tmp_path / "device") as store:
        store.enrol("NEW", [shop / "photos" / "P000002-1.jpg"], name="New", price=1, barcode="4006381333931")
        assert "NEW" in {one.sku for one in store.search(photo, where="price<2").matches}
        store.edit("NEW", price=900)
        assert "NEW" not in {one.sku for one in store.search(photo, where="price<500").matches}


@pytest.mark.slow
@needs_reader
def test_barcodes_taught_to_a_device_are_found(shop: Path, tmp_path: Path) -> None:
    edgesearch.build(shop / "catalogue.csv", tmp_path / "x.edge", TINY_MODEL)
    edgesearch.install(tmp_path / "x.edge", tmp_path / "device")
    photo = add_label(shop / "photos" / "P000001-1.jpg", "4006381333931")
    with edgesearch.open(tmp_path / "device") as store:
        skus = lambda: store.search(photo).barcodes[0].skus  # noqa: E731
        assert skus() == ()
        store.enrol("NEW", [shop / "photos" / "P000002-1.jpg"], name="New", barcode="4006381333931;2000000000015")
        assert skus() == ("NEW",)
        assert "NEW" in {one.sku for one in store.search(photo, k=1).matches}
        store.edit("P000003", barcode="04006381333931")
        assert skus() == ("NEW", "P000003")
        store.edit("P000003", barcode="")
        store.remove("NEW")
        assert skus() == ()


def test_search_works_without_the_barcode_reader(shop: Path, tiny_edge: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = shop / "photos" / "P000001-1.jpg"
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "zxingcpp" else find(name))
    with edgesearch.open(tiny_edge) as store:
        plain, asked = store.search(photo, barcodes=False), store.search(photo)
        assert (plain.matches, plain.decision, asked.barcodes) == (asked.matches, asked.decision, ())
        with pytest.raises(EdgeSearchError, match=r"edgesearch\[barcode\]"):
            store.search(photo, barcodes=True)


@needs_reader
@pytest.mark.parametrize("turn", [0, 25, 90])
def test_a_covered_code_cannot_be_read_and_the_rest_stays(turn: int) -> None:
    photo = Image.new("RGB", (900, 900), (190, 170, 140))
    photo.paste(draw_ean13("4006381333931", 3), (300, 300))
    pixels = np.asarray(photo.rotate(turn, fillcolor=(190, 170, 140)))
    codes = barcode.scan(pixels)
    assert len(codes) == 1
    covered = barcode.cover(pixels, codes)
    assert barcode.scan(covered) == ()
    changed = (covered != pixels).any(2)
    assert 0 < changed.mean() < 0.3
    assert barcode.cover(pixels, [Barcode("400", "")]) is pixels  # typed, so it lies nowhere
    inside = barcode.covers_points(codes[0], (900, 900), np.array([[450.0, 450.0], [5.0, 5.0]]))
    assert not inside[1]
