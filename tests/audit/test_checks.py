"""Likely mistakes in a catalogue are found, named and shown."""

import csv
import io
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgesearch import CatalogError, ReportError
from edgesearch.audit import check_page, outliers, suspects
from edgesearch.audit.checks import KINDS, CheckResult, _describe_near_duplicates, _join_pairs, check
from edgesearch.audit.suspects import PictureRef
from edgesearch.catalog import loader
from edgesearch.commands.cli import main
from edgesearch.html import html_page

NASTY = "<script>alert(1)</script>&\"'"


@pytest.fixture
def market(shop: Path, tmp_path: Path) -> Path:
    """Return a folder with a catalogue of 8 of the shop's products, a picture and a photo of each."""
    folder = tmp_path / "market"
    folder.mkdir()
    rows = []
    for number in range(8):
        sku = f"P{number:06}"
        for kind, source in enumerate(("pictures/{}.jpg", "photos/{}-1.jpg")):
            image = f"{sku}-{kind}.jpg"
            shutil.copy(shop / source.format(sku), folder / image)
            rows.append([sku, f"Product {number}", image, 3 + number / 10, "Mugs", f"40000000000{number:02}"])
    write(folder, rows)
    return folder


def write(folder: Path, rows: list[list[object]]) -> None:
    with open(folder / "catalogue.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["sku", "name", "images", "price", "category", "barcode"], *rows])


def rows_of(folder: Path) -> list[list[object]]:
    with open(folder / "catalogue.csv", encoding="utf-8", newline="") as file:
        return [list(row) for row in csv.reader(file)][1:]


def checked(folder: Path, **options: object) -> CheckResult:
    return check(loader.read(folder / "catalogue.csv"), **options)  # type: ignore[arg-type]


def kinds(found: CheckResult) -> Counter[str]:
    return Counter(one.kind for one in found.findings)


@pytest.mark.slow
def test_a_sound_catalogue_has_no_findings(market: Path) -> None:
    found = checked(market)
    assert (found.products, found.pictures, found.examined, found.findings) == (8, 16, 8, ())
    assert "Nothing was found" in check_page.render(found, "shop")


@pytest.mark.slow
def test_each_kind_is_found_and_named(market: Path) -> None:
    shutil.copy(market / "P000000-0.jpg", market / "P000001-0.jpg")
    with Image.open(market / "P000002-0.jpg") as picture:
        picture.crop((6, 4, picture.width - 3, picture.height - 8)).resize((200, 190)).save(market / "P000003-0.jpg")
    (market / "P000004-0.jpg").write_bytes(b"no picture")
    (market / "P000004-1.jpg").unlink()
    Image.new("RGB", (200, 200), "white").save(market / "P000005-0.jpg")
    with Image.open(market / "P000006-0.jpg") as picture:
        picture.resize((60, 90)).save(market / "P000006-0.jpg")
    rows = rows_of(market)
    for row in rows[:2]:
        row[3] = 0
    for row in rows[2:4]:
        row[3] = 99_999
    for row in rows[4:6]:
        row[1], row[5] = "product  0", "4000000000003"  # as another
    write(market, rows)
    found = checked(market)
    says = {kind: [one.says for one in found.findings_of(kind)] for kind in KINDS}
    assert says["same"] == ["Product 0 (P000000) and Product 1 (P000001) have the same picture"]
    assert "0 (P000002) and Product 3 (P000003) have nearly the same picture (correlation 0.9" in says["alike"][0]
    assert [one.skus for one in found.findings_of("unreadable")] == [("P000004",)] * 2
    assert "no such file" in says["unreadable"][1]
    assert says["small"] == ["Product 6 (P000006): P000006-0.jpg: 60 px; products are found less often below 100"]
    assert says["blank"] == ["Product 5 (P000005): P000005-0.jpg: one colour all over"]
    assert says["name"] == ["Product 0 is the name of P000000 and P000002"]
    assert says["barcode"] == ["product  0 (P000002) and Product 3 (P000003) have the barcode 4000000000003"]
    assert says["price"] == [
        "Product 0 (P000000) costs 0",
        "Product 1 (P000001) costs 99,999.00; the median of Mugs is 3.50",
    ]
    assert [one.kind for one in found.findings] == sorted((one.kind for one in found.findings), key=[*KINDS].index)


@pytest.mark.slow
def test_a_product_may_repeat_its_own_barcode(market: Path) -> None:
    rows = rows_of(market)
    rows[0][5] = rows[1][5] = "012345678905;12345678905"
    write(market, rows)
    assert checked(market).findings == ()


def made_up() -> suspects.ExaminedPictures:
    """Return six products with a catalogue picture and three photos each; all catalogue pictures look alike."""
    rng = np.random.default_rng(0)
    products, white = rng.normal(size=(6, 1, 64)), rng.normal(size=64)
    vectors = np.repeat(products, 4, 1) + rng.normal(size=(6, 4, 64)) / 3
    vectors[:, 0] = vectors[:, 0] / 2 + white
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    refs = [PictureRef(product, picture) for product in range(6) for picture in range(4)]
    return suspects.ExaminedPictures(refs, vectors.reshape(-1, 64).astype(np.float32), np.arange(24) % 4 == 0)


def find_outliers(examined: suspects.ExaminedPictures) -> list[PictureRef]:
    return [one.picture for one in outliers.find_outliers(examined, suspects.find_neighbours(examined, "test"))]


def test_catalogue_pictures_may_look_more_like_each_other_than_like_photos() -> None:
    examined = made_up()
    cosines = examined.vectors @ examined.vectors.T
    assert cosines[0, 4] > cosines[0, 1:4].max()  # nearer to another catalogue picture than to the own photos
    assert find_outliers(examined) == []


def test_exchanged_photos_and_catalogue_pictures_are_found() -> None:
    examined = made_up()
    examined.vectors[[1, 5]] = examined.vectors[[5, 1]]
    assert set(find_outliers(examined)) == {PictureRef(0, 1), PictureRef(1, 1)}
    examined.vectors[[8, 12]] = examined.vectors[[12, 8]]
    assert {PictureRef(2, 0), PictureRef(3, 0)} < set(find_outliers(examined))


def test_an_outlier_is_compared_with_the_picture_of_its_kind() -> None:
    examined = made_up()
    examined.vectors[1] = examined.vectors[5]
    (found,) = outliers.find_outliers(examined, suspects.find_neighbours(examined, "test"))
    assert (found.picture, found.nearest.entry, found.sibling.entry) == (PictureRef(0, 1), 1, 0)
    assert (found.sibling.picture == 0) == (found.nearest.picture == 0)


@pytest.mark.parametrize("kinds", [[True] * 24, [False] * 24, [True] + [False] * 23])
def test_pictures_of_one_kind_are_compared_with_each_other(kinds: list[bool]) -> None:
    examined = made_up()
    examined.plain = np.array(kinds)
    examined.vectors[1] = examined.vectors[6]
    assert PictureRef(0, 1) in find_outliers(examined)


def test_plain_backgrounds_are_recognized(shop: Path) -> None:
    for folder, plain in (("pictures", True), ("photos", False)):
        paths = sorted((shop / folder).glob("*.jpg"))[:8]
        assert [suspects._is_plain(np.asarray(Image.open(path).convert("RGB"))) for path in paths] == [plain] * 8
    assert suspects._is_plain(np.zeros((1, 1, 3), np.uint8))


def test_products_that_share_pictures_in_pairs_are_one_finding(market: Path) -> None:
    entries = loader.read(market / "catalogue.csv").entries
    pairs = [(4, 5, 0.999), (0, 1, 0.99), (2, 3, 0.985), (1, 2, 0.98)]
    found = [suspects.NearDuplicate(PictureRef(a, 0), PictureRef(b, 0), value) for a, b, value in pairs]
    one, other = (_describe_near_duplicates(entries, group) for group in _join_pairs(found))
    assert one.skus == ("P000004", "P000005")
    assert other.skus == ("P000000", "P000001", "P000002", "P000003")
    assert other.says.endswith("and Product 3 (P000003) have nearly the same picture (correlation 0.990)")


def test_a_wrong_picture_is_found_on_real_photos(real_photos: Path, tmp_path: Path) -> None:
    fruit = real_photos / "groceries" / "train" / "Fruit"
    for name in ("Kiwi", "Lime", "Pineapple"):
        (tmp_path / name).mkdir()
        for photo in sorted((fruit / name).iterdir())[:4]:
            shutil.copy(photo, tmp_path / name)
    shutil.copy(sorted((fruit / "Pineapple").iterdir())[5], tmp_path / "Lime" / "wrong.jpg")
    found = check(loader.read(tmp_path))
    (one,) = found.findings
    assert (one.kind, one.skus, one.pictures[0].name, one.pictures[2].sku) == (
        "unlike", ("Lime",), "Lime/wrong.jpg", "Pineapple",
    )  # fmt: skip


def test_a_saved_again_and_cropped_picture_correlates(shop: Path) -> None:
    with Image.open(shop / "pictures" / "P000000.jpg") as one, Image.open(shop / "pictures" / "P000001.jpg") as two:
        whole, other = np.asarray(one.convert("RGB")), np.asarray(two.convert("RGB"))
    again = io.BytesIO()
    Image.fromarray(whole[5:-9, 12:]).resize((150, 140)).save(again, "JPEG", quality=60)
    sound, cut, another = (suspects.frame_picture(pixels) for pixels in (whole, np.asarray(Image.open(again)), other))
    assert suspects.correlation(sound, sound) == pytest.approx(1)
    assert suspects.correlation(sound, cut) == pytest.approx(suspects.correlation(cut, sound))
    assert suspects.correlation(sound, cut) > suspects.MIN_CORRELATION > suspects.correlation(sound, another)
    plain = np.full_like(sound, 7)
    assert suspects.correlation(plain, plain) == 0


@pytest.mark.slow
def test_many_products_with_one_placeholder_are_one_finding(market: Path) -> None:
    for number in range(8):
        shutil.copy(market / "P000000-0.jpg", market / f"P00000{number}-1.jpg")
    found = checked(market)
    assert [one.skus[0] for one in found.findings_of("same")] == ["P000000"]
    assert found.findings_of("same")[0].says.startswith(
        "Product 0 (P000000), Product 1 (P000001), Product 2 (P000002) and 5 more have the same"
    )
    assert kinds(found) == {"same": 1}


@pytest.mark.slow
def test_a_sample_examines_only_some_products(market: Path) -> None:
    (market / "P000004-1.jpg").unlink()
    every = [checked(market, sample=2, seed=seed) for seed in range(12)]
    assert {one.examined for one in every} == {2}
    assert {len(one.findings) for one in every} == {0, 1}
    assert "the pictures of 2 of 8 products, chosen at random, were examined" in every[0].notes[-1]
    assert checked(market, sample=9).examined == 8


def test_pairs_beyond_the_limit_are_noted(market: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suspects, "MAX_COMPARED", 0)
    monkeypatch.setattr(suspects, "MIN_COSINE", -1.0)
    assert "more pairs of similar pictures were not compared closely" in checked(market).notes[-1]


@pytest.mark.parametrize("pictures", ["none", "one"])
def test_catalogues_with_hardly_any_readable_picture_are_checked(market: Path, pictures: str) -> None:
    for path in sorted(market.glob("*.jpg"))[pictures == "one" :]:
        path.unlink()
    assert kinds(checked(market)) == {"unreadable": 16 - (pictures == "one")}


@pytest.mark.slow
def test_the_page_is_self_contained_and_escapes_names(market: Path) -> None:
    rows = rows_of(market)
    for row in rows[:4]:
        row[0], row[1] = f"{row[0]}{NASTY}", NASTY
    write(market, rows)
    shutil.copy(market / "P000000-0.jpg", market / "P000001-0.jpg")
    (market / "P000007-0.jpg").unlink()
    page = check_page.render(checked(market), NASTY, f"edgesearch check {NASTY}")
    assert "Product 7" in page
    assert "<script" not in page and page.count("&lt;script&gt;") >= 4
    assert page.count('src="data:image/jpeg;base64,') == 2
    assert "(cannot be shown)" in page and "http" not in page.replace("http-equiv", "")
    assert html_page.POLICY.split(";")[0] in page.replace("&#x27;", "'")


@pytest.mark.slow
def test_the_command_prints_and_writes_the_findings(
    market: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (market / "P000004-1.jpg").unlink()
    report = tmp_path / "report.html"
    assert main(["check", str(market / "catalogue.csv"), "-o", str(report)]) == 0
    assert capsys.readouterr().out == "8 products, 16 pictures; 1 finding: pictures that cannot be read 1\n"
    assert "P000004-1.jpg" in report.read_text(encoding="utf-8")
    assert f"edgesearch check {market / 'catalogue.csv'} -o {report}" in report.read_text(encoding="utf-8")
    assert main(["check", str(market), "--json"]) == 0
    printed = capsys.readouterr()
    assert [one["kind"] for one in json.loads(printed.out)["findings"]] == ["unreadable"]
    assert "read catalogue.csv in it" in printed.err
    assert main(["check", str(market), "--map", "name=Titel"]) == 1
    assert "the column 'Titel' of --map is not in the header" in capsys.readouterr().err


def test_impossible_paths_are_refused_at_once(market: Path, tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"written as \.html"):
        html_page.check_path(tmp_path / "report.pdf")
    assert main(["check", str(market), "-o", str(market / "none" / "report.html")]) == 1
    with pytest.raises(CatalogError):
        loader.read(tmp_path / "none.csv")
