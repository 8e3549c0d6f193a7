"""Store products and their reference pictures in one SQLite file."""

import contextlib
import functools
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
BATCH_PRODUCTS = 1024  # read at once
LEAST_ROW_BYTES = 8  # a row's pointer, length, number and header, without its values
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
    """A reference picture.

    Attributes:
        row: its row in the index.
        source: its name in the catalogue that was built.
        start, size: bytes; where its copy is in the bundle's pictures. The size is 0 if the bundle has no copy.
    """

    row: int
    source: str
    start: int
    size: int


@dataclass(frozen=True)
class StoredProduct:
    """A product in a catalogue file: its number, and the index rows and sources of its pictures, if it has any."""

    number: int
    product: Product
    rows: list[int]
    sources: list[str]


_TYPES = {"price": float, "stock": int, "start": int, "size": int}  # of columns that are not text
_REQUIRED = ("sku", "name", "source", "start", "size")
_SOURCES = "SELECT row, source FROM picture WHERE row IN (SELECT value FROM json_each(?))"


def write(path: Path, products: Iterable[tuple[Product, Sequence[Picture]]]) -> None:
    """Write a catalogue file; the products keep their order and get the numbers 0, 1, 2, ..."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
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


def set_picture_offsets(path: Path, offsets: Iterable[tuple[int, int]]) -> None:
    """Change where a catalogue file says the pictures are: (start, size) of each row, in the order of the rows."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        with connection:
            rows = ((start, size, row) for row, (start, size) in enumerate(offsets))
            connection.executemany("UPDATE picture SET start = ?, size = ? WHERE row = ?", rows)
        connection.execute("VACUUM")


class Catalog:
    """A catalogue file, read only. Safe to share between threads.

    N pictures, one row of the index each, of P products; a product may have none.
    """

    def __init__(self, file: Path | bytes):
        """Open a catalogue file.

        Args:    file: its path, or its content, which is then kept in memory.
        Raises:  CatalogError: not a readable catalogue of this format.
        """
        self._name = "catalogue" if isinstance(file, bytes) else file.name
        self._file = SqliteReader(file, SCHEMA, self._damaged_error)
        self._query = self._file.query
        try:
            self._count = self._read_count()
            self._owners = self._read_owners()
        except CatalogError:
            self.close()
            raise

    def __len__(self) -> int:
        """Return the number of products."""
        return int(self._count)

    @property
    def rows(self) -> int:
        """Number of reference pictures."""
        return len(self._owners)

    @property
    def owners(self) -> np.ndarray:
        """(N,) int32: the product number of each row."""
        return self._owners

    @functools.cached_property
    def pictured(self) -> np.ndarray:
        """(P,) bool: whether each product has a picture."""
        return np.asarray(np.bincount(self._owners, minlength=len(self)) > 0)

    def owner(self, row: int) -> int:
        """Return the number of the product that an index row belongs to."""
        return int(self._owners[row])

    def rows_of(self, products: Sequence[int]) -> np.ndarray:
        """Return the index rows of products, given by number: (R,) int64, ascending."""
        selected = np.zeros(len(self), bool)
        selected[list(products)] = True
        return np.flatnonzero(selected[self._owners])

    def picture_offsets(self) -> list[tuple[int, int]]:
        """Return (start, size) in bytes of each row's picture; raise CatalogError if they are damaged."""
        found = self._query("SELECT start, size FROM picture ORDER BY row")
        if not all(isinstance(number, int) for offset in found for number in offset):
            raise self._damaged_error("its picture offsets are not whole numbers")
        return [(start, size) for start, size in found]

    def find(self, rows: Sequence[int]) -> list[tuple[Product, Picture]]:
        """Return the product and picture of each row, in the given order; raise CatalogError if they are damaged."""
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
            raise self._damaged_error(error) from error

    def find_skus(self, skus: Iterable[str]) -> dict[str, StoredProduct]:
        """Return products by SKU; omit unknown SKUs. Raise CatalogError if a product is damaged."""
        wanted = "SELECT number FROM product WHERE sku IN (SELECT value FROM json_each(?)) ORDER BY number"
        products = self.numbered(number for (number,) in self._query(wanted, json.dumps(list(skus))))
        found = {number: StoredProduct(number, product, [], []) for number, product in products.items()}
        rows = self.rows_of([*found]).tolist()
        sources = dict(self._query(_SOURCES, json.dumps(rows)))
        for row in rows:
            if not isinstance(source := sources[row], str):
                raise self._damaged_error(f"source is {source!r}")
            found[self.owner(row)].rows.append(row)
            found[self.owner(row)].sources.append(source)
        return {stored.product.sku: stored for stored in found.values()}

    def numbered(self, numbers: Iterable[int]) -> dict[int, Product]:
        """Return products by number; raise CatalogError if one is damaged."""
        columns = ", ".join(COLUMNS)
        sql = (
            f"SELECT number, {columns}, attributes FROM product WHERE number IN (SELECT value FROM json_each(?)) "
            "ORDER BY number"
        )
        try:
            return {n: _load_product(cells, more) for n, *cells, more in self._query(sql, json.dumps(list(numbers)))}
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise self._damaged_error(error) from error

    def details(self, names: Sequence[str]) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """Yield the number and some details of every product, read in batches.

        Args:    names: fields of `Product`, except `attributes`.
        Raises:  CatalogError: a detail is damaged.
        """
        for number, cells in enumerate(self._read_batches(", ".join(names))):
            try:
                _check_types(dict(zip(names, cells, strict=True)))
            except TypeError as error:
                raise self._damaged_error(error) from error
            yield number, cells

    def products(self) -> Iterator[Product]:
        """Yield all products by number, read in batches; raise CatalogError if one is damaged."""
        for *cells, attributes in self._read_batches(f"{', '.join(COLUMNS)}, attributes"):
            try:
                yield _load_product(cells, attributes)
            except (ValueError, TypeError, AttributeError, RecursionError) as error:
                raise self._damaged_error(error) from error

    def _read_batches(self, columns: str) -> Iterator[tuple[Any, ...]]:
        sql = f"SELECT {columns} FROM product WHERE number BETWEEN ? AND ? ORDER BY number"
        for first in range(0, self._count, BATCH_PRODUCTS):
            yield from self._query(sql, first, first + BATCH_PRODUCTS - 1)

    def columns(self) -> list[str]:
        """Return the names of the columns that any product fills: fields of `Product`, then attributes."""
        (filled,) = self._query(f"SELECT {', '.join(f'max({name} IS NOT NULL)' for name in COLUMNS)} FROM product")
        attributes = self._query("SELECT DISTINCT key FROM product, json_each(attributes)")
        names = [name for name, is_filled in zip(COLUMNS, filled, strict=True) if is_filled]
        return [*names, *(str(name) for (name,) in attributes if name not in names)]

    def column(self, name: str) -> list[Any]:
        """Return every product's value in a column, by number; None where it is empty.

        Raises:  CatalogError: a value is damaged.
        """
        if name in COLUMNS:
            found = self._query(f"SELECT {name} FROM product ORDER BY number")
        else:
            attribute = "(SELECT value FROM json_each(attributes) WHERE key = ?)"
            found = self._query(f"SELECT {attribute} FROM product ORDER BY number", name)
        values = [value for (value,) in found]
        expected = _TYPES.get(name, str) if name in COLUMNS else str
        wrong = [value for value in values if value is not None and not isinstance(value, expected)]
        if wrong:
            raise self._damaged_error(f"{name} is {wrong[0]!r}")
        return values

    def skus_without_picture(self) -> list[str]:
        """Return the SKUs of the products without a picture, in the catalogue's order."""
        products = self.numbered(np.flatnonzero(~self.pictured).tolist())
        return [product.sku for product in products.values()]

    def skus(self) -> set[str]:
        """Return all SKUs."""
        return {sku for (sku,) in self._query("SELECT sku FROM product")}

    def skus_with_barcodes(self, codes: Iterable[str]) -> list[str]:
        """Return the SKUs of products that have one of these barcodes in exactly this spelling."""
        written = "';' || replace(replace(barcode, ' ', ''), '-', '') || ';'"
        sql = f"SELECT DISTINCT sku FROM product, json_each(?) WHERE instr({written}, ';' || value || ';')"
        return [sku for (sku,) in self._query(sql, json.dumps(list(codes)))]

    def has_barcodes(self) -> bool:
        """Return whether any product has a barcode."""
        return bool(self._query("SELECT EXISTS (SELECT 1 FROM product WHERE barcode IS NOT NULL)")[0][0])

    def _read_count(self) -> int:
        """Check the file's format and size, and return the number of products."""
        ((found,),) = self._query("PRAGMA user_version")
        if found != FORMAT:
            raise CatalogError(
                f"{self._name}: catalogue format {found}; this version reads {FORMAT}, upgrade edgesearch."
            )
        ((size,),) = self._query("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
        # NOT INDEXED, since the index on the SKUs may hold another number of rows.
        products, pictures = (
            self._query(f"SELECT count(*) FROM {table} NOT INDEXED")[0][0] for table in ("product", "picture")
        )
        if (products + pictures) * LEAST_ROW_BYTES > size:  # pages that are part of their table many times
            raise self._damaged_error(f"{products + pictures:,} rows in {size:,} bytes")
        return int(products)

    def _read_owners(self) -> np.ndarray:
        """Return the product number of each row: (N,) int32."""
        ((lowest, highest),) = self._query("SELECT (SELECT min(row) FROM picture), (SELECT max(row) FROM picture)")
        # As one text: fetching 100,000 rows one by one takes twice as long, and 8 MB more.
        ((text,),) = self._query("SELECT group_concat(product) FROM (SELECT product FROM picture ORDER BY row)")
        try:
            owners = np.fromstring(text or "", np.int32, sep=",")
        except (ValueError, TypeError, DeprecationWarning) as error:
            raise self._damaged_error(error) from error
        if (lowest, highest) != (0, len(owners) - 1):
            raise self._damaged_error(f"its picture rows are not 0 to {len(owners) - 1}")
        return owners

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _damaged_error(self, what: object) -> CatalogError:
        return CatalogError(f"{self._name}: not a readable catalogue ({what}); build the bundle again.")


def _load_product(cells: Sequence[Any], attributes: str) -> Product:
    """Return a product from its cells, in the order of `COLUMNS`, and its attributes as JSON.

    Raises:  TypeError, ValueError: `write` stores no such values.
    """
    named = dict(zip(COLUMNS, cells, strict=True))
    _check_types(named)
    return Product(**named, attributes=tuple(json.loads(attributes).items()))


def _load_picture(row: int, source: str, start: int, size: int) -> Picture:
    """Return a picture; raise TypeError if a value is not what `write` stores."""
    _check_types({"source": source, "start": start, "size": size})
    return Picture(row, source, start, size)


def _check_types(named: Mapping[str, object]) -> None:
    """Raise TypeError if a value has the wrong type, since SQLite itself does not enforce types."""
    for name, value in named.items():
        if not isinstance(value, _TYPES.get(name, str)) and (value is not None or name in _REQUIRED):
            raise TypeError(f"{name} is {value!r}")
