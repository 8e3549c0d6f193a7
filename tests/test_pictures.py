"""The drawn shop."""

import csv
from pathlib import Path

import make_pictures
import pytest
from pictures import ean13, write_catalogue
from PIL import Image


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_same_seed_draws_the_same_shop(shop: Path, tmp_path: Path) -> None:
    write_catalogue(tmp_path, products=3, unknown=1, photos=1, seed=0)  # fewer products: the same first ones
    for path in [*tmp_path.glob("pictures/*"), *tmp_path.glob("photos/*")]:
        assert path.read_bytes() == (shop / path.relative_to(tmp_path)).read_bytes()
    assert rows(tmp_path / "catalogue.csv") == rows(shop / "catalogue.csv")[:3]


def test_another_seed_draws_another_shop(shop: Path, tmp_path: Path) -> None:
    write_catalogue(tmp_path, products=1, unknown=0, photos=0, seed=1)
    assert rows(tmp_path / "catalogue.csv")[0]["name"] != rows(shop / "catalogue.csv")[0]["name"]


def test_catalogue_and_queries_are_complete(shop: Path) -> None:
    products, queries = rows(shop / "catalogue.csv"), rows(shop / "queries.csv")
    assert len({product["sku"] for product in products}) == 8
    for product in products:
        assert ean13(int(product["barcode"][:12])) == product["barcode"]
        with Image.open(shop / product["images"]) as picture:
            assert min(picture.getpixel((2, 2))) > 225  # type: ignore[type-var, arg-type]
    assert [query["sku"] for query in queries] == [product["sku"] for product in products] + ["", ""]
    assert all((shop / query["image"]).exists() for query in queries)


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    assert make_pictures.main([str(tmp_path / "file"), "--products", "1", "--unknown", "0", "--photos", "0"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
