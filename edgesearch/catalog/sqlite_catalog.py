"""Products and their reference pictures, kept in one SQLite file."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .._util.sqlite_reader import SqliteReader
from ..errors import CatalogError
from .product import COLUMNS, Product

FORMAT = 1
BATCH_PRODUCTS = 1024  # products read at once
SCHEMA = f"""
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
class Picture:
    """One reference picture: `row` of the index, `start` and `size` in bytes of its copy in the bundle's pictures.

    Its size is 0 where none is kept.
    """

    row: int
    source: str
    start: int
    size: int


@dataclass(frozen=True)
class StoredProduct:
    """A product as a catalogue file has it: its number, the rows of its pictures, and their sources."""

    number: int
    product: Product
    rows: list[int]
    sources: list[str]


_TYPES = {"price": float, "stock": int, "start": int, "size": int}  # the others are text
_REQUIRED = ("sku", "name", "source", "start", "size")


def write(path: Path, products: Iterable[tuple[Product, Sequence[Picture]]]) -> None:
    """Write a catalogue file; products keep their order and get the numbers 0, 1, 2, ..."""
    connection = sqlite3.connect(path)
    try:
        with connection:
            connection.executescript(SCHEMA)
            for number, (product, pictures) in enumerate(products):
                cells = [getattr(product, name) for name in COLUMNS]
                attributes = json.dumps(dict(product.attributes), ensure_ascii=False)
                marks = ", ".join("?" * (len(cells) + 2))
                connection.execute(f"INSERT INTO product VALUES ({marks})", [number, *cells, attributes])
                rows = [(p.row, number, p.source, p.start, p.size) for p in pictures]
                connection.executemany("INSERT INTO picture VALUES (?, ?, ?, ?, ?)", rows)
        connection.execute("VACUUM")
    finally:
        connection.close()


def set_picture_offsets(path: Path, places: Iterable[tuple[int, int]]) -> None:
    """Say of a written catalogue file where the pictures lie now: start and size of each row, in their order."""
    connection = sqlite3.connect(path)
    try:
        with connection:
            rows = ((start, size, row) for row, (start, size) in enumerate(places))
            connection.executemany("UPDATE picture SET start = ?, size = ? WHERE row = ?", rows)
        connection.execute("VACUUM")
    finally:
        connection.close()


class Catalog:
    """A catalogue file, read only. Safe to share between threads."""

    def __init__(self, file: Path | bytes):
        """
        Args:    file: its path, or its content, which is then kept in memory.
        Raises:  CatalogError: no catalogue of this format.
        """
        self._name = "catalogue" if isinstance(file, bytes) else file.name
        self._file = SqliteReader(file, self._damaged)
        self._query = self._file.query
        try:
            self._owner = self._checked()
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

    @property
    def owners(self) -> np.ndarray:
        """(N,) int32: the number of each row's product."""
        return self._owner

    def owner(self, row: int) -> int:
        """The number of the product that a row of the index shows."""
        return int(self._owner[row])

    def rows_of(self, products: Sequence[int]) -> np.ndarray:
        """The rows of these products, by their numbers: (R,) int64."""
        asked = np.zeros(len(self), bool)
        asked[list(products)] = True
        return np.flatnonzero(asked[self._owner])

    def picture_offsets(self) -> list[tuple[int, int]]:
        """Where each row's picture lies: start and size."""
        found = self._query("SELECT start, size FROM picture ORDER BY row")
        if not all(isinstance(number, int) for place in found for number in place):
            raise self._damaged("its pictures lie nowhere")
        return [(start, size) for start, size in found]

    def find(self, rows: Sequence[int]) -> list[tuple[Product, Picture]]:
        """The product and the picture of each row, in the order asked."""
        columns = ", ".join(COLUMNS)
        found = self._query(
            f"SELECT row, source, start, size, {columns}, attributes FROM picture JOIN product ON product = number "
            "WHERE row IN (SELECT value FROM json_each(?))",
            json.dumps(list(rows)),
        )
        pairs = {}
        try:
            for row, source, start, size, *cells, attributes in found:
                pairs[row] = _load_product(cells, attributes), _load_picture(row, source, start, size)
            return [pairs[row] for row in rows]
        except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise self._damaged(error) from error

    def find_skus(self, skus: Iterable[str]) -> dict[str, StoredProduct]:
        """What is here of these SKUs, by SKU; those that are not here are left out."""
        columns = ", ".join(COLUMNS)
        found = self._query(
            f"SELECT number, {columns}, attributes, row, source FROM product JOIN picture ON product = number "
            "WHERE sku IN (SELECT value FROM json_each(?)) ORDER BY row",
            json.dumps(list(skus)),
        )
        entered: dict[str, StoredProduct] = {}
        try:
            for number, *cells, attributes, row, source in found:
                one = entered.setdefault(cells[0], StoredProduct(number, _load_product(cells, attributes), [], []))
                one.rows.append(row)
                one.sources.append(source)
            return entered
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise self._damaged(error) from error

    def details(self, names: Sequence[str]) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """Details of all products, by number, read in portions; names: of `Product`, but its attributes."""
        for number, cells in enumerate(self._portions(", ".join(names))):
            try:
                _check_types(dict(zip(names, cells, strict=True)))
            except TypeError as error:
                raise self._damaged(error) from error
            yield number, cells

    def products(self) -> Iterator[Product]:
        """All products, by number, read in portions."""
        for *cells, attributes in self._portions(f"{', '.join(COLUMNS)}, attributes"):
            try:
                yield _load_product(cells, attributes)
            except (ValueError, TypeError, AttributeError, RecursionError) as error:
                raise self._damaged(error) from error

    def _portions(self, columns: str) -> Iterator[tuple[Any, ...]]:
        sql = f"SELECT {columns} FROM product WHERE number BETWEEN ? AND ? ORDER BY number"
        for first in range(0, self._count, BATCH_PRODUCTS):
            yield from self._query(sql, first, first + BATCH_PRODUCTS - 1)

    def columns(self) -> list[str]:
        """The columns in which any product says something: those of `Product`, then attributes."""
        (said,) = self._query(f"SELECT {', '.join(f'max({name} IS NOT NULL)' for name in COLUMNS)} FROM product")
        own = self._query("SELECT DISTINCT key FROM product, json_each(attributes)")
        names = [name for name, any_said in zip(COLUMNS, said, strict=True) if any_said]
        return [*names, *(str(name) for (name,) in own if name not in names)]

    def column(self, name: str) -> list[Any]:
        """What each product says in a column, by number; None where it says nothing."""
        if name in COLUMNS:
            found = self._query(f"SELECT {name} FROM product ORDER BY number")
        else:
            one = "(SELECT value FROM json_each(attributes) WHERE key = ?)"
            found = self._query(f"SELECT {one} FROM product ORDER BY number", name)
        values = [value for (value,) in found]
        kind = _TYPES.get(name, str) if name in COLUMNS else str
        wrong = [value for value in values if value is not None and not isinstance(value, kind)]
        if wrong:
            raise self._damaged(f"{name} is {wrong[0]!r}")
        return values

    def skus(self) -> set[str]:
        """All SKUs."""
        return {sku for (sku,) in self._query("SELECT sku FROM product")}

    def skus_with_barcodes(self, codes: Iterable[str]) -> list[str]:
        """The SKUs of the products that have one of these barcodes, written so."""
        written = "';' || replace(replace(barcode, ' ', ''), '-', '') || ';'"
        sql = f"SELECT DISTINCT sku FROM product, json_each(?) WHERE instr({written}, ';' || value || ';')"
        return [sku for (sku,) in self._query(sql, json.dumps(list(codes)))]

    def has_barcodes(self) -> bool:
        """There is a product with a barcode."""
        return bool(self._query("SELECT EXISTS (SELECT 1 FROM product WHERE barcode IS NOT NULL)")[0][0])

    def _checked(self) -> np.ndarray:
        """(N,) int32: the product of each row, where the file is as it should be."""
        ((found,),) = self._query("PRAGMA user_version")
        if found != FORMAT:
            raise CatalogError(
                f"{self._name}: catalogue format {found}; this version reads {FORMAT}, upgrade edgesearch."
            )
        ((lowest, highest),) = self._query("SELECT (SELECT min(row) FROM picture), (SELECT max(row) FROM picture)")
        # As one text: to hand over 100,000 rows one after the other takes twice as long, and 8 MB more.
        ((text,),) = self._query("SELECT group_concat(product) FROM (SELECT product FROM picture ORDER BY row)")
        try:
            owner = np.fromstring(text or "", np.int32, sep=",")
        except (ValueError, TypeError, DeprecationWarning) as error:
            raise self._damaged(error) from error
        if (lowest, highest) != (0, len(owner) - 1):
            raise self._damaged(f"its picture rows are not 0 to {len(owner) - 1}")
        return owner

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _damaged(self, what: object) -> CatalogError:
        return CatalogError(f"{self._name}: not a readable catalogue ({what}); build the bundle again.")


def _load_product(cells: Sequence[Any], attributes: str) -> Product:
    """cells: in the order of `COLUMNS`; raises TypeError or ValueError: not what `write` stores."""
    named = dict(zip(COLUMNS, cells, strict=True))
    _check_types(named)
    return Product(**named, attributes=tuple(json.loads(attributes).items()))


def _load_picture(row: int, source: str, start: int, size: int) -> Picture:
    """Raises TypeError: not what `write` stores."""
    _check_types({"source": source, "start": start, "size": size})
    return Picture(row, source, start, size)


def _check_types(named: Mapping[str, object]) -> None:
    """SQLite itself keeps no type."""
    for name, value in named.items():
        if not isinstance(value, _TYPES.get(name, str)) and (value is not None or name in _REQUIRED):
            raise TypeError(f"{name} is {value!r}")
