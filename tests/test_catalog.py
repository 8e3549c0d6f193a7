"""Catalogues as people write them."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edgesearch import CatalogError, catalog
from edgesearch.catalog import Catalog, Picture, Product


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
    (entry,) = catalog.read_csv(path)
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
    assert entry.images == (("a.jpg", tmp_path / "a.jpg"), ("b.jpg", tmp_path / "b.jpg"))


def test_a_row_for_each_picture(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "sku,name,images\nA,Cup,a.jpg\nB,Jug,b.jpg\nA,Cup,c.jpg\nA,Cup,a.jpg\n")
    entries = catalog.read_csv(path)
    assert [(e.product.sku, [name for name, _ in e.images]) for e in entries] == [
        ("A", ["a.jpg", "c.jpg"]),
        ("B", ["b.jpg"]),
    ]


def test_spreadsheet_habits_are_accepted(tmp_path: Path) -> None:
    path = csv_file(tmp_path, '\ufeffsku, name ,images,,\r\n A , Tasse grün ," a.jpg \n /b/c.jpg",,\r\n,,,,\r\n\r\n')
    (entry,) = catalog.read_csv(path)
    assert entry.product.name == "Tasse grün"
    assert entry.images == (("a.jpg", tmp_path / "a.jpg"), ("/b/c.jpg", Path("/b/c.jpg")))


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
        ("sku,name,images,price\nA,Cup,a.jpg,2.50€\n", "line 2: price is '2.50€'"),
        ('sku,name,images,price\nA,Cup,a.jpg,"2,50"\n', "line 2: price is '2,50'"),
        ("sku,name,images,price\nA,Cup,a.jpg,-1\n", "line 2: price is '-1'"),
        ("sku,name,images,price\nA,Cup,a.jpg,nan\n", "line 2: price is 'nan'"),
        ("sku,name,images,price\nA,Cup,a.jpg,inf\n", "line 2: price is 'inf'"),
        ("sku,name,images,stock\nA,Cup,a.jpg,1.5\n", "line 2: stock is '1.5'"),
        ("sku,name,images,stock\nA,Cup,a.jpg,99999999999999999999\n", "line 2: stock is '9"),
        ('sku,name,images\nA,"Cup,a.jpg\n', "not a well-formed CSV"),
        ("sku,name,images\nA,Tasse grün,a.jpg\n".encode("latin-1"), "line 2: not UTF-8"),
        ("sku,name,images\nA,Cup,a.jpg\n".encode("utf-16"), "not UTF-8"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str | bytes, says: str) -> None:
    with pytest.raises(CatalogError, match=says):
        catalog.read_csv(csv_file(tmp_path, text))


def test_no_such_file(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(CatalogError, match="no such file"):
            catalog.read_csv(path)


def test_queries(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "image,sku\na.jpg,A\nb.jpg,\n")
    assert catalog.read_queries(path) == [(tmp_path / "a.jpg", "A"), (tmp_path / "b.jpg", "")]
    for text, says in (
        ("image,sku\n", "no queries"),
        ("image\na.jpg\n", "no column sku"),
        ("image,sku\n,A\n", "no image"),
    ):
        with pytest.raises(CatalogError, match=says):
            catalog.read_queries(csv_file(tmp_path, text))


def test_products_survive_the_file(tmp_path: Path) -> None:
    products = [
        (
            Product("A", "Tasse 'grün'; DROP TABLE product", 2.5, attributes=(("size", "L"),)),
            [Picture(0, "a.jpg", 0, 9)],
        ),
        (Product("B", "杯子", stock=3), [Picture(1, "b.jpg", 9, 5), Picture(2, "c.jpg", 14, 5)]),
    ]
    catalog.write(tmp_path / "catalog.sqlite", products)
    stored = Catalog(tmp_path / "catalog.sqlite")
    assert (len(stored), stored.rows, stored.skus()) == (2, 3, {"A", "B"})
    assert [stored.owner(row) for row in range(3)] == [0, 1, 1]
    (cup, pictures), (jug, others) = products
    assert stored.find([2, 0]) == [(jug, others[1]), (cup, pictures[0])]
    assert stored.find([]) == []
    stored.close()


def test_a_foreign_or_newer_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    path.write_bytes(b"no database, but long enough to be read as the header of one" * 40)
    with pytest.raises(CatalogError, match="not a readable catalogue"):
        Catalog(path)
    path.unlink()
    catalog.write(path, [(Product("A", "Cup"), [Picture(0, "a.jpg", 0, 9)])])
    data = bytearray(path.read_bytes())
    data[60:64] = (9).to_bytes(4, "big")  # user_version, at offset 60 of every SQLite file
    path.write_bytes(data)
    with pytest.raises(CatalogError, match="format 9"):
        Catalog(path)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE product SET price = 'cheap'",
        "UPDATE product SET attributes = '[]'",
        "UPDATE product SET name = x'00'",
        "UPDATE picture SET start = 'here'",
        "UPDATE picture SET product = 7",
    ],
)
def test_what_no_catalogue_holds_is_an_error(tmp_path: Path, change: str) -> None:
    path = tmp_path / "catalog.sqlite"
    catalog.write(path, [(Product("A", "Cup", 2.5), [Picture(0, "a.jpg", 0, 9)])])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(change)
    with closing(Catalog(path)) as stored, pytest.raises(CatalogError, match="not a readable catalogue"):
        stored.find([0])
