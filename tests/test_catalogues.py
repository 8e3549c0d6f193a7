"""Catalogues as people have them."""

from pathlib import Path

import pytest

from edgesearch import CatalogError, catalogues
from edgesearch.catalog import Product


def csv_file(folder: Path, text: str | bytes) -> Path:
    path = folder / "catalogue.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_all_columns_are_read(tmp_path: Path) -> None:
    path = csv_file(
        tmp_path,
        "sku,name,images,price,currency,category,brand,description,location,stock,barcode,colour\n"
        'A-1,"Milk, fresh",a.jpg;b.jpg,2.50,EUR,Dairy,Ko,Good,Aisle 3,7,2000000000008,white\n',
    )
    (entry,) = catalogues.read(path).entries
    assert entry.product == Product(
        "A-1",
        "Milk, fresh",
        2.5,
        "EUR",
        "Dairy",
        "Ko",
        "Good",
        "Aisle 3",
        7,
        "2000000000008",
        (("colour", "white"),),
    )
    assert entry.images == (("a.jpg", str(tmp_path / "a.jpg")), ("b.jpg", str(tmp_path / "b.jpg")))


def test_a_row_for_each_picture(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "sku,name,images\nA,Cup,a.jpg\nB,Jug,b.jpg\nA,Cup,c.jpg\nA,Cup,a.jpg\n")
    entries = catalogues.read(path).entries
    assert [(e.product.sku, [name for name, _ in e.images]) for e in entries] == [
        ("A", ["a.jpg", "c.jpg"]),
        ("B", ["b.jpg"]),
    ]


def test_spreadsheet_habits_are_accepted(tmp_path: Path) -> None:
    path = csv_file(tmp_path, '\ufeffsku, name ,images,,\r\n A , Tasse grün ," a.jpg \n /b/c.jpg",,\r\n,,,,\r\n\r\n')
    (entry,) = catalogues.read(path).entries
    assert entry.product.name == "Tasse grün"
    assert entry.images == (("a.jpg", str(tmp_path / "a.jpg")), ("/b/c.jpg", "/b/c.jpg"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no column sku, name, images"),
        ("sku,name\nA,Cup\n", "no column images"),
        ("sku,name,images,sku\n", "a column twice"),
        ("sku,name,images\n", "no products below the header"),
        ("sku,name,images\nA,Cup\n", "line 2: not the header's 3 cells"),
        ("sku,name,images\nA,Cup,a.jpg,4\n", "line 2: not the header's 3 cells"),
        ("sku,name,images\n,Cup,a.jpg\n", "line 2: empty sku"),
        ("sku,name,images\nA,,a.jpg\n", "line 2: empty name"),
        ("sku,name,images\nA,Cup, ; \n", "line 2: A has no images"),
        ("sku,name,images\nA,Cup,a.jpg\nA,Jug,b.jpg\n", "line 3: SKU A came before with other details"),
        ("sku,name,images,price\nA,Cup,a.jpg,-1\n", "line 2: price is '-1'"),
        ("sku,name,images,price\nA,Cup,a.jpg,nan\n", "line 2: price is 'nan'"),
        ("sku,name,images,price\nA,Cup,a.jpg,inf\n", "line 2: price is 'inf'"),
        ("sku,name,images,stock\nA,Cup,a.jpg,1.5\n", "line 2: stock is '1.5'"),
        ("sku,name,images,stock\nA,Cup,a.jpg,99999999999999999999\n", "line 2: stock is '9"),
        ('sku,name,images\nA,"Cup,a.jpg\n', "not a well-formed CSV"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str | bytes, says: str) -> None:
    with pytest.raises(CatalogError, match=says):
        catalogues.read(csv_file(tmp_path, text))


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="no such file"):
        catalogues.read(tmp_path / "none.csv")


def test_queries(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "image,sku\na.jpg,A\nb.jpg,\n")
    assert catalogues.read_queries(path) == [(tmp_path / "a.jpg", "A"), (tmp_path / "b.jpg", "")]
    for text, says in (
        ("image,sku\n", "no queries"),
        ("image\na.jpg\n", "no column sku"),
        ("image,sku\n,A\n", "no image"),
    ):
        with pytest.raises(CatalogError, match=says):
            catalogues.read_queries(csv_file(tmp_path, text))
