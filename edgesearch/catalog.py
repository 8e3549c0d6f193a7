"""Products and their reference pictures: read from a CSV, kept in one SQLite file."""

import csv
import json
import math
import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from .errors import CatalogError

FORMAT = 1
_SCHEMA = f"""
PRAGMA user_version = {FORMAT};
CREATE TABLE product (
    number INTEGER PRIMARY KEY, sku TEXT NOT NULL UNIQUE, name TEXT NOT NULL, price REAL, currency TEXT, category TEXT,
    brand TEXT, description TEXT, location TEXT, stock INTEGER, barcode TEXT, attributes TEXT NOT NULL
);
CREATE TABLE picture (
    row INTEGER PRIMARY KEY, product INTEGER NOT NULL REFERENCES product, source TEXT NOT NULL,
    start INTEGER NOT NULL, size INTEGER NOT NULL
);
"""


@dataclass(frozen=True)
class Product:
    """One product as the catalogue describes it; `attributes` are the columns this package gives no meaning to."""

    sku: str
    name: str
    price: float | None = None
    currency: str | None = None
    category: str | None = None
    brand: str | None = None
    description: str | None = None
    location: str | None = None
    stock: int | None = None
    barcode: str | None = None
    attributes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Picture:
    """One reference picture: `row` of the index, `start` and `size` in bytes of its JPEG in the bundle's pictures."""

    row: int
    source: str
    start: int
    size: int


REQUIRED = ("sku", "name", "images")
_COLUMNS = tuple(field.name for field in fields(Product) if field.name != "attributes")
OPTIONAL = _COLUMNS[2:]
_KINDS = {"price": float, "stock": int, "start": int, "size": int}  # the others are text
_NEVER_EMPTY = ("sku", "name", "source", "start", "size")


@dataclass(frozen=True)
class Entry:
    """A product and its pictures before they are read: each as the catalogue names it, and where that is."""

    product: Product
    images: tuple[tuple[str, Path], ...]


def read_csv(path: Path) -> list[Entry]:
    """Read a catalogue: header, `sku,name,images` and what `OPTIONAL` names; other columns become attributes.

    A product may have its pictures in one row, separated by ";" or line breaks, or a row for each; its other cells
    then agree. Paths are relative to the CSV. Nothing is said here about whether the pictures exist.

    Raises:  CatalogError: names the line, what was found and what was expected.
    """
    entries: dict[str, Entry] = {}
    for line, row in _rows(path, REQUIRED):
        product = _product(row, f"{path}, line {line}")
        names = (part.strip() for part in re.split(r"[;\r\n]", row["images"]))
        images = tuple((name, path.parent / name) for name in names if name)
        if not images:
            raise CatalogError(f"{path}, line {line}: {product.sku} has no images; name at least one picture.")
        known = entries.get(product.sku)
        if known and known.product != product:
            raise CatalogError(
                f"{path}, line {line}: SKU {product.sku} came before with other details; give every product its own "
                "SKU, or repeat the details unchanged in a row for each picture."
            )
        before = known.images if known else ()
        entries[product.sku] = Entry(product, before + tuple(i for i in images if i not in before))
    if not entries:
        raise CatalogError(f"{path}: no products below the header; add at least one.")
    return list(entries.values())


def read_queries(path: Path) -> list[tuple[Path, str]]:
    """Read `image,sku` rows: (photo, SKU); an empty SKU: a product of no catalogue. Raises CatalogError."""
    queries = []
    for line, row in _rows(path, ("image", "sku")):
        if not row["image"]:
            raise CatalogError(f"{path}, line {line}: no image; name a picture, or take the line out.")
        queries.append((path.parent / row["image"], row["sku"]))
    if not queries:
        raise CatalogError(f"{path}: no queries below the header; add at least one.")
    return queries


def _rows(path: Path, required: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and stripped cells of each row; blank rows are passed over."""
    reader = csv.DictReader(_text(path).splitlines(keepends=True), strict=True)
    try:
        names = [name.strip() for name in reader.fieldnames or []]
        reader.fieldnames = names
        missing = [name for name in required if name not in names]
        named = [name for name in names if name]
        if missing or len(set(named)) < len(named):
            wrong = f"no column {', '.join(missing)}" if missing else "a column twice"
            raise CatalogError(f"{path}: its header has {wrong}; expected at least {','.join(required)}, each once.")
        for row in reader:
            where = f"{path}, line {reader.line_num}"
            if None in row or None in row.values():
                raise CatalogError(f"{where}: not the header's {len(names)} cells; put a cell with commas in quotes.")
            cells = {name: cell.strip() for name, cell in row.items() if name}
            if any(cells.values()):
                yield reader.line_num, cells
    except csv.Error as error:
        raise CatalogError(f"{path}: not a well-formed CSV ({error}); check its quotes.") from error


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            raise CatalogError(f"{path}: no such file; give a CSV file.")
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise CatalogError(f"{path}, line {line}: not UTF-8; save the file as UTF-8.") from error
    except OSError as error:
        raise CatalogError(f"{path}: cannot be read ({error.strerror}); give a CSV file.") from error


def _product(row: dict[str, str], where: str) -> Product:
    if not row["sku"] or not row["name"]:
        raise CatalogError(f"{where}: empty {'sku' if not row['sku'] else 'name'}; every product needs both.")
    texts = {name: row.get(name) or None for name in OPTIONAL if name not in ("price", "stock")}
    others = tuple((name, cell) for name, cell in row.items() if name not in REQUIRED + OPTIONAL and cell)
    return Product(
        sku=row["sku"],
        name=row["name"],
        price=_price(row.get("price", ""), where),
        stock=_stock(row.get("stock", ""), where),
        attributes=others,
        **texts,
    )


def _price(cell: str, where: str) -> float | None:
    try:
        price = float(cell or 0)
    except ValueError:
        price = math.nan
    if not 0 <= price < math.inf:
        raise CatalogError(f"{where}: price is {cell!r}; expected a number such as 2.50, or an empty cell.")
    return price if cell else None


def _stock(cell: str, where: str) -> int | None:
    if cell and not re.fullmatch(r"[+-]?\d{1,15}", cell):
        raise CatalogError(f"{where}: stock is {cell!r}; expected a whole number, or an empty cell.")
    return int(cell) if cell else None


def write(path: Path, products: Iterable[tuple[Product, Sequence[Picture]]]) -> None:
    """Write a catalogue file; products keep their order and get the numbers 0, 1, 2, ..."""
    connection = sqlite3.connect(path)
    try:
        with connection:
            connection.executescript(_SCHEMA)
            for number, (product, pictures) in enumerate(products):
                cells = [getattr(product, name) for name in _COLUMNS]
                attributes = json.dumps(dict(product.attributes), ensure_ascii=False)
                marks = ", ".join("?" * (len(cells) + 2))
                connection.execute(f"INSERT INTO product VALUES ({marks})", [number, *cells, attributes])
                rows = [(p.row, number, p.source, p.start, p.size) for p in pictures]
                connection.executemany("INSERT INTO picture VALUES (?, ?, ?, ?, ?)", rows)
        connection.execute("VACUUM")
    finally:
        connection.close()


class Catalog:
    """A catalogue file, read only. Safe to share between threads."""

    def __init__(self, path: Path):
        """Raises CatalogError: no catalogue of this format."""
        address = path.resolve().as_uri() + "?mode=ro&immutable=1"
        self._name = path.name
        self._lock = threading.Lock()
        try:
            self._connection = sqlite3.connect(address, uri=True, check_same_thread=False)
        except sqlite3.Error as error:
            raise self._damaged(error) from error
        try:
            self._check()
            self._owner = [number for (number,) in self._query("SELECT product FROM picture ORDER BY row")]
            self._count = self._query("SELECT count(*) FROM product")[0][0]
        except CatalogError:
            self.close()
            raise

    def __len__(self) -> int:
        """Number of products."""
        return int(self._count)

    @property
    def rows(self) -> int:
        """Number of reference pictures."""
        return len(self._owner)

    def owner(self, row: int) -> int:
        """The number of the product that a row of the index shows."""
        return self._owner[row]

    def find(self, rows: Sequence[int]) -> list[tuple[Product, Picture]]:
        """The product and the picture of each row, in the order asked."""
        columns = ", ".join(_COLUMNS)
        found = self._query(
            f"SELECT row, source, start, size, {columns}, attributes FROM picture JOIN product ON product = number "
            "WHERE row IN (SELECT value FROM json_each(?))",
            json.dumps(list(rows)),
        )
        pairs = {}
        try:
            for row, source, start, size, *details, attributes in found:
                pairs[row] = _stored(row, (source, start, size), details, attributes)
            return [pairs[row] for row in rows]
        except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise self._damaged(error) from error

    def skus(self) -> set[str]:
        """All SKUs."""
        return {sku for (sku,) in self._query("SELECT sku FROM product")}

    def _check(self) -> None:
        ((found,),) = self._query("PRAGMA user_version")
        if found != FORMAT:
            raise CatalogError(
                f"{self._name}: catalogue format {found}; this version reads {FORMAT}, upgrade edgesearch."
            )
        ((lowest, highest, count),) = self._query("SELECT min(row), max(row), count(*) FROM picture")
        if (lowest, highest) != (0, count - 1):
            raise self._damaged(f"its picture rows are not 0 to {count - 1}")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _query(self, sql: str, *arguments: object) -> list[tuple]:  # type: ignore[type-arg]
        try:
            with self._lock:
                return self._connection.execute(sql, arguments).fetchall()
        except (sqlite3.Error, UnicodeDecodeError) as error:  # SQLite quotes what it found
            raise self._damaged(error) from error

    def _damaged(self, what: object) -> CatalogError:
        return CatalogError(f"{self._name}: not a readable catalogue ({what}); build the bundle again.")


def _stored(row: int, place: Sequence[Any], details: Sequence[Any], attributes: str) -> tuple[Product, Picture]:
    """Raises TypeError or ValueError: not what `write` stores; SQLite itself keeps no type."""
    named = dict(zip(("source", "start", "size", *_COLUMNS), (*place, *details), strict=True))
    for name, value in named.items():
        if not isinstance(value, _KINDS.get(name, str)) and (value is not None or name in _NEVER_EMPTY):
            raise TypeError(f"{name} of row {row} is {value!r}")
    columns = {name: named[name] for name in _COLUMNS}
    return Product(**columns, attributes=tuple(json.loads(attributes).items())), Picture(row, *place)
