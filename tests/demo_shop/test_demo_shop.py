"""Check the drawn shop: it is reproducible and complete."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from demo_shop import Product, ean13, make_pictures, make_twins, write_catalogue, write_twins
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


def test_unwritable_folder_is_reported_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    assert make_pictures.main([str(tmp_path / "file"), "--products", "1", "--unknown", "0", "--photos", "0"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


DERIVED = {
    "sku": "",
    "name": "",
    "description": "",
    "barcode": "",
    "small_print": "",
}  # fields that follow from the difference


@pytest.mark.parametrize(
    "family, fields", [(0, {"variant"}), (1, {"size"}), (2, {"brand"}), (3, {"noun", "variant"}), (2999, {"noun"})]
)
def test_twins_differ_in_one_property(family: int, fields: set[str]) -> None:
    twins = make_twins(0, family)
    assert 3 <= len(twins) <= 6
    assert len({twin.name for twin in twins}) == len({twin.barcode for twin in twins}) == len(twins)
    for field in fields:
        assert len({getattr(twin, field) for twin in twins}) == len(twins)

    def without(twin: Product) -> Product:
        return replace(twin, **DERIVED, **dict.fromkeys(fields | {"variant"}, ""))  # type: ignore[arg-type]

    assert len({without(twin) for twin in twins}) == 1


@pytest.mark.slow
def test_twins_are_reproducible(tmp_path: Path) -> None:
    all_photos, fewer = tmp_path / "all", tmp_path / "fewer"
    write_twins(all_photos, families=1, photos=2)
    write_twins(fewer, families=1, photos=1)
    queries = rows(all_photos / "queries.csv")
    assert [q["sku"] for q in queries] == [p["sku"] for p in rows(all_photos / "catalogue.csv") for _ in range(2)]
    assert {query["difficulty"] for query in queries} == {"plain", "far", "angle", "hidden", "pair"}
    assert all((all_photos / query["image"]).exists() for query in queries)
    assert rows(fewer / "queries.csv") == queries[::2]
    for path in fewer.glob("p*/*"):
        assert path.read_bytes() == (all_photos / path.relative_to(fewer)).read_bytes()
