"""Tables as shops export them: lists of pictures, pictures in cells, rows for each picture, columns nobody needs."""

import base64
import csv
import json
from pathlib import Path

import pytest

import edgesearch
from edgesearch import CatalogError, ImageError
from edgesearch.catalog import columns, image_cell, loader, sources

from ..conftest import TINY_MODEL
from .test_loader import csv_file
from .test_sources import picture

SHOP = "https://shop.example"


def names(folder: Path, cell: str) -> list[str]:
    text = f"""sku,name,images\nA,Cup,"{cell.replace('"', '""')}"\n"""
    return [name for name, _ in loader.read(csv_file(folder, text)).entries[0].images]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (f"{SHOP}/a.jpg?v=1, {SHOP}/b.jpg?v=2", [f"{SHOP}/a.jpg?v=1", f"{SHOP}/b.jpg?v=2"]),
        (f"{SHOP}/i?id=1,{SHOP}/i?id=2|{SHOP}/i?id=3", [f"{SHOP}/i?id={n}" for n in (1, 2, 3)]),
        (f"{SHOP}/a.jpg {SHOP}/b.jpg", [f"{SHOP}/a.jpg", f"{SHOP}/b.jpg"]),
        (f"{SHOP}/w_300,h_200/a.jpg", [f"{SHOP}/w_300,h_200/a.jpg"]),
        ("a.jpg?v=1,b.png", ["a.jpg?v=1", "b.png"]),
        ('["a.jpg", "b.jpg"]', ["a.jpg", "b.jpg"]),
        ("['a.jpg', 'b;c.jpg']", ["a.jpg", "b;c.jpg"]),
        (json.dumps([{"id": 1, "src": f"{SHOP}/a.jpg"}, {"url": "b.jpg"}]), [f"{SHOP}/a.jpg", "b.jpg"]),
        ("[1].jpg", ["[1].jpg"]),
        ("a.jpg;a.jpg;b.jpg", ["a.jpg", "b.jpg"]),
    ],
)
def test_lists_of_pictures_are_split(tmp_path: Path, cell: str, expected: list[str]) -> None:
    assert names(tmp_path, cell) == expected


@pytest.mark.parametrize("cell", ["[1, 2]", "[", "[[]]", "[{}]", '[""]', "{}", "[" * 5000 + "]" * 5000, "[a.jpg]"])
def test_a_malformed_list_is_one_short_sentence(tmp_path: Path, cell: str) -> None:
    if cell == "[":
        assert names(tmp_path, cell) == ["["]
        return
    with pytest.raises(CatalogError, match=r"line 2: A has the picture '.*: expected names of pictures") as caught:
        names(tmp_path, cell)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("prefix", ["data:image/png;base64,", "data:image/png;charset=utf-8;base64,", "DATA"])
def test_pictures_in_cells_are_read(tmp_path: Path, prefix: str) -> None:
    content = picture()
    packed = base64.b64encode(content).decode()
    cells = [f"{prefix}{packed}" if prefix != "DATA" else f"{packed[:90]}\n{packed[90:]}"]
    cells += [f"{prefix}{packed};b.jpg"] if prefix != "DATA" else []
    for cell in cells:
        read = loader.read(csv_file(tmp_path, f'sku,name,images\nA,Cup,"{cell}"\n'))
        name, source = read.entries[0].images[0]
        assert sources.read_bytes(source) == content
        assert not sources.is_missing(source)
        assert len(name) < 80
        assert sources.format_source(source).startswith("image/")
        assert len(read.entries[0].images) == (2 if cell.endswith("b.jpg") else 1)
    with pytest.raises(ImageError, match=r"^image/png in the cell, .* cannot be read \(malformed base64") as caught:
        sources.read_bytes("data:image/png;base64," + packed[:-7] + "=")
    assert len(str(caught.value)) < 300


def test_a_bundle_is_built_of_pictures_in_cells(shop: Path, tmp_path: Path) -> None:
    packed = base64.b64encode((shop / "pictures" / "P000000.jpg").read_bytes()).decode()
    path = csv_file(tmp_path, f'sku,name,images\nA,Cup,"data:image/jpeg;base64,{packed}"\n')
    built = edgesearch.build(path, tmp_path / "c.edge", TINY_MODEL)
    assert built.manifest.counts["pictures"] == 1
    assert image_cell.describe("a.jpg") == "a.jpg"


def test_rows_that_hold_only_a_picture_belong_to_the_product(tmp_path: Path) -> None:
    text = (
        "Handle,Title,Vendor,Variant Price,Image Src,Image Position,Image Alt Text\n"
        "mug,Blue Mug,Acme,9.90,a.jpg,1,front\nmug,,,,b.jpg,2,\nmug,,,,c.jpg,3,back\ncup,Red Cup,,4.00,d.jpg,1,\n"
        "mug,,,,,,\n"
    )
    mapping = columns.parse_mapping(["sku=Handle,name=Title,images=Image Src,price=Variant Price"])
    mug, cup = loader.read(csv_file(tmp_path, text), mapping).entries
    assert [name for name, _ in mug.images] == ["a.jpg", "b.jpg", "c.jpg"]
    assert (mug.product.name, mug.product.price, cup.product.price) == ("Blue Mug", 9.9, 4.0)
    for row in ("mug,,,8.00,b.jpg,2,\n", "mug,Green Mug,,,b.jpg,2,\n"):
        with pytest.raises(CatalogError, match="line 7: SKU mug is in an earlier row with other details"):
            loader.read(csv_file(tmp_path, text + row), mapping)
    with pytest.raises(CatalogError, match="line 7: empty name"):
        loader.read(csv_file(tmp_path, text + "jug,,,,e.jpg,1,\n"), mapping)


def test_products_without_pictures_are_listed_not_refused(shop: Path, tmp_path: Path) -> None:
    name = shop / "pictures" / "P000000.jpg"
    path = csv_file(tmp_path, f"sku,name,images,price\nA,Cup,{name},1\nB,Cup red,,2\n")
    read = loader.read(path)
    assert [entry.product.sku for entry in read.entries] == ["A", "B"]
    assert read.notes == [f"{path}: products without a picture (1): B in line 3"]
    assert edgesearch.build(path, tmp_path / "c.edge", TINY_MODEL).without_picture == ("B",)


def test_two_columns_of_one_name_that_nothing_needs_are_kept_apart(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "sku,name,images,Menge,Menge\nA,Cup,a.jpg,1,ST\n")
    read = loader.read(path)
    assert read.entries[0].product.attributes == (("Menge", "1"), ("Menge 2", "ST"))
    assert read.notes == [f"{path}: a further column Menge is called Menge 2"]
    assert loader.read(path, {"unit": "Menge 2"}).entries[0].product.attributes == (("Menge", "1"), ("unit", "ST"))


def test_a_large_cell_that_nothing_needs_is_left_out(tmp_path: Path) -> None:
    path = csv_file(tmp_path, f"sku,name,images,raw\nA,Cup,a.jpg,{'x' * 300_000}\nB,Jug,b.jpg,y\n")
    limit = csv.field_size_limit()
    read = loader.read(path)
    assert csv.field_size_limit() == limit
    assert [entry.product.attributes for entry in read.entries] == [(), (("raw", "y"),)]
    assert read.notes == [f"{path}: cells of over 32,767 characters, as in raw, are read as empty"]


def test_columns_that_look_like_details_are_proposed(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "Nr,Bezeichnung,Foto,VK,EAN,Lagerort\nA,Cup,a.jpg,4.50,4006381333931,R3\n")
    mapping = columns.parse_mapping(["sku=Nr,name=Bezeichnung,images=Foto"])
    read = loader.read(path, mapping)
    assert dict(read.entries[0].product.attributes)["VK"] == "4.50"
    assert read.notes == [
        f"{path}: columns that look like other details are kept as attributes; "
        "add --map price=VK,barcode=EAN,location=Lagerort"
    ]
    mapped = loader.read(path, mapping | columns.parse_mapping([read.notes[0].partition("--map ")[2]]))
    assert (mapped.notes, mapped.entries[0].product.price) == ([], 4.5)


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        (
            '<img src="http://x/a.jpg?w=1&amp;h=2"/><IMG alt=x SRC=http://x/b.jpg>',
            ["http://x/a.jpg?w=1&h=2", "http://x/b.jpg"],
        ),
        ("a.jpg (https://x/1/a.jpg)", ["https://x/1/a.jpg"]),
        ("a.jpg (https://x/1),b.jpg (https://x/2)", ["https://x/1", "https://x/2"]),
        ("[a.jpg](https://x/1) ![](https://x/2)", ["https://x/1", "https://x/2"]),
        ("http://x/a.jpg ! alt : red, wide ! title : x | http://x/b.jpg", ["http://x/a.jpg", "http://x/b.jpg"]),
        ('"a.jpg","b.jpg"', ["a.jpg", "b.jpg"]),
        ("'a.jpg'", ["a.jpg"]),
        ("{a.jpg,b.jpg}", ["a.jpg", "b.jpg"]),
        ("a.jpg, , b.jpg,", ["a.jpg", "b.jpg"]),
        ("a.jpg,", ["a.jpg"]),
        ("a (1).jpg", ["a (1).jpg"]),
        ("it's a 5\" jug.jpg", ["it's a 5\" jug.jpg"]),
    ],
)
def test_cells_of_pictures_as_programs_export_them(cell: str, names: list[str]) -> None:
    assert image_cell.split(cell, lambda note: None) == names
