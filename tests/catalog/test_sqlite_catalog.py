"""Storing products in one SQLite file."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edgesearch import CatalogError
from edgesearch.catalog import sqlite_catalog
from edgesearch.catalog.product import Product
from edgesearch.catalog.sqlite_catalog import Catalog, Picture


def test_products_round_trip(tmp_path: Path) -> None:
    products = [
        (
            Product("A", "Tasse 'grün'; DROP TABLE product", 2.5, attributes=(("size", "L"),)),
            [Picture(0, "a.jpg", 0, 9)],
        ),
        (Product("B", "杯子", stock=3), [Picture(1, "b.jpg", 9, 5), Picture(2, "c.jpg", 14, 5)]),
    ]
    sqlite_catalog.write(tmp_path / "catalog.sqlite", products)
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
    sqlite_catalog.write(path, [(Product("A", "Cup"), [Picture(0, "a.jpg", 0, 9)])])
    data = bytearray(path.read_bytes())
    data[60:64] = (9).to_bytes(4, "big")  # user_version, at offset 60 of every SQLite file
    path.write_bytes(data)
    with pytest.raises(CatalogError, match="format 9"):
        Catalog(path)


def write_changed(folder: Path, change: str) -> Path:
    """Write a catalogue of one product, and change its file."""
    path = folder / "catalog.sqlite"
    sqlite_catalog.write(path, [(Product("A", "Cup", 2.5), [Picture(0, "a.jpg", 0, 9)])])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(change)
    return path


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
def test_damaged_values_are_errors(tmp_path: Path, change: str) -> None:
    path = write_changed(tmp_path, change)
    with closing(Catalog(path)) as stored, pytest.raises(CatalogError, match="not a readable catalogue"):
        stored.find([0])


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n) SELECT i, i, i, i, i FROM n"


@pytest.mark.parametrize(
    "change",
    [
        f"DROP TABLE picture; CREATE VIEW picture (row, product, source, start, size) AS {ENDLESS}",
        f"CREATE VIEW more AS {ENDLESS}",
        "CREATE TRIGGER t AFTER INSERT ON product BEGIN SELECT 1; END",
        "CREATE INDEX hidden ON product (name)",
        "ALTER TABLE product ADD COLUMN more AS (name || name)",
    ],
)
def test_a_catalogue_has_the_tables_of_a_bundle_and_nothing_else(tmp_path: Path, change: str) -> None:
    path = write_changed(tmp_path, change)
    for file in (path, path.read_bytes()):
        with pytest.raises(CatalogError, match="its tables are not those of a bundle"):
            Catalog(file)


@pytest.mark.parametrize("table", ["product", "picture"])
def test_a_table_whose_pages_name_each_other_many_times_is_refused(tmp_path: Path, table: str) -> None:
    path = tmp_path / "catalog.sqlite"
    sqlite_catalog.write(path, [(Product(f"{i:05}", "x" * 40), [Picture(i, "a" * 40, 0, 9)]) for i in range(3000)])
    with closing(sqlite3.connect(path)) as connection:
        ((root,),) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", [table])
        ((size,),) = connection.execute("PRAGMA page_size")
    data = bytearray(path.read_bytes())
    page = data[(root - 1) * size : root * size]
    assert page[0] == 5  # an interior page: its cells name its children
    cells = [int.from_bytes(page[at : at + 2], "big") for at in range(12, 12 + 2 * int.from_bytes(page[3:5], "big"), 2)]
    leaf, middle = (bytes(page[cell : cell + 4]) for cell in cells[:2])
    for number, child in ((root, middle), (int.from_bytes(middle, "big"), leaf)):
        for cell in cells:
            page[cell : cell + 4] = child
        page[8:12] = child
        data[(number - 1) * size : number * size] = page
    path.write_bytes(data)
    with pytest.raises(CatalogError, match="rows in"):
        Catalog(path)
