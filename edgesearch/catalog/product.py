"""Describe products, and check the details that describe them.

It loads what reads cells when it reads some: a search does not.
"""

import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from numbers import Number
from pathlib import Path
from types import NoneType
from typing import Any

from .._util.plain_text import has_control
from ..errors import CatalogError

_PLAIN_NUMBER = re.compile(r"\d*\.?\d*")
_LINES = re.compile(r"[\t\r\n]")  # allowed in all details but the name
CELL_CHARACTERS_SHOWN = 40  # of a wrong cell, in an error message
MAX_DETAIL_BYTES, MAX_DETAILS_BYTES = 10_000, 100_000  # of one that a user gives, and of all of a product


@dataclass(frozen=True, slots=True)
class Product:
    """A product as the catalogue describes it; `attributes` holds the columns that have no field here."""

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


REQUIRED = ("sku", "name", "images")
COLUMNS = tuple(field.name for field in fields(Product) if field.name != "attributes")
OPTIONAL = COLUMNS[2:]
_TEXTS = tuple(name for name in OPTIONAL if name not in ("price", "stock"))
_KNOWN = frozenset(REQUIRED + OPTIONAL)


@dataclass(frozen=True, slots=True)
class Entry:
    """A product and its pictures before they are read: (name in the catalogue, source as in `sources`) for each."""

    product: Product
    images: tuple[tuple[str, str], ...]


def check_queries(queries: Iterable[tuple[Path, str]], known: Collection[str], where: object) -> None:
    """Raise CatalogError if a query names an unknown SKU; where: names the holder of the known SKUs in the message."""
    strange = sorted({sku for _, sku in queries if sku}.difference(known))
    if strange:
        skus = "SKU of the queries is" if len(strange) == 1 else "SKUs of the queries are"
        raise CatalogError(
            f"{len(strange)} {skus} not in {where} (the first: {strange[0]}); correct it, or leave the cell empty "
            "for a product that is not in the catalogue."
        )


def parse_product(row: Mapping[str, str], where: str) -> Product:
    """Parse a product from stripped cells by column name; raise CatalogError, which begins with `where`."""
    from . import barcode_text

    if not row["sku"] or not row["name"]:
        raise CatalogError(
            f"{where}: empty {'sku' if not row['sku'] else 'name'}; every product needs a sku and a name."
        )
    texts = {name: row.get(name) or None for name in _TEXTS}
    texts["barcode"] = barcode_text.clean_cell(row.get("barcode", "")) or None
    others = tuple([(name, cell) for name, cell in row.items() if name not in _KNOWN and cell])
    return Product(
        sku=row["sku"],
        name=row["name"],
        price=_parse_price(row.get("price", ""), where),
        stock=_parse_stock(row.get("stock", ""), where),
        attributes=others,
        **texts,
    )


def details_of(product: Product) -> dict[str, Any]:
    """Return all details of a product by name, except its SKU; omit empty ones."""
    table = {name: getattr(product, name) for name in COLUMNS[1:]} | dict(product.attributes)
    return {name: value for name, value in table.items() if value is not None}


def product_of(sku: str, details: Mapping[str, Any]) -> Product:
    """Return the product with these details, the inverse of `details_of`; None counts as empty."""
    columns: dict[str, Any] = {name: details.get(name) for name in COLUMNS[1:]}
    others = {name: value for name, value in details.items() if name not in columns and value is not None}
    return Product(sku, **columns, attributes=tuple(others.items()))


def check_details(sku: str, details: Mapping[str, object], currency: str = "") -> dict[str, Any]:
    """Check details that a user gives, as text or numbers, and return them as they are stored.

    A price in text is read as in a catalogue: "4,50" is 4.5, and "4,50 €" also names the currency.

    Args:    details: by name; None or "" empties a detail.
             currency: of the product so far, "" if unknown.
    Raises:  CatalogError: the SKU, or the name or value of a detail, is not valid.
    """
    if not isinstance(sku, str):
        raise CatalogError(f"sku is {sku!r} of type {type(sku).__name__}; give it as text.")
    cells = {name: "" if value is None else str(value).strip() for name, value in details.items()}
    names = [sku, *cells]
    invalid = [
        name for name in names if name in ("", "sku", "images") or name != name.strip() or not name.isprintable()
    ]
    invalid += [name for name, value in details.items() if not isinstance(value, (str, Number, NoneType))]
    invalid += [cell for cell in cells.values() if cell != cell.encode(errors="replace").decode()]
    invalid += [cell for name, cell in cells.items() if has_control(cell if name == "name" else _LINES.sub("", cell))]
    if invalid:
        shown = invalid[0][:CELL_CHARACTERS_SHOWN]
        raise CatalogError(f"{shown!r}: not a SKU or a detail of a product; give it as text.")
    check_size(sku, cells)
    if isinstance(details.get("price"), str):
        cells |= _read_price(sku, cells, cells.get("currency") or currency)
    product = parse_product({"name": "-", **cells, "sku": sku}, sku)
    return dict.fromkeys(cells) | {name: value for name, value in details_of(product).items() if name in cells}


def check_size(sku: str, details: Mapping[str, object]) -> None:
    """Raise CatalogError if a detail is larger than 10 kB, or all of a product together are larger than 100 kB."""
    sizes = {name: len(f"{name}{'' if value is None else value}".encode()) for name, value in details.items()}
    for name, size in sizes.items():
        if size > MAX_DETAIL_BYTES:
            raise CatalogError(f"{sku}: {name[:40]} has {size:,} bytes; give at most {MAX_DETAIL_BYTES:,}.")
    if (total := sum(sizes.values())) > MAX_DETAILS_BYTES:
        raise CatalogError(f"{sku}: its details have {total:,} bytes; give at most {MAX_DETAILS_BYTES:,} together.")


def _read_price(sku: str, cells: Mapping[str, str], currency: str) -> dict[str, str]:
    """Return the price in details, as a number, and the currency in it if it names another than the product has."""
    from . import numerals

    cell = numerals.normalize(cells["price"])
    if not _PLAIN_NUMBER.fullmatch(cell) and numerals.is_ambiguous(cell, currency):
        raise CatalogError(f"{sku}: price is {cell!r}, which could mean two numbers; write it without thousands.")
    price, found = numerals.parse_price(cell, "", currency)
    return {"price": price} | ({"currency": found} if found and not cells.get("currency") else {})


def _parse_price(cell: str, where: str) -> float | None:
    try:
        price = float(cell or 0)
    except ValueError:
        price = math.nan
    if not 0 <= price < math.inf:
        raise CatalogError(
            f"{where}: price is {cell[:CELL_CHARACTERS_SHOWN]!r}; expected a number such as 2.50, 0 or more, or an "
            "empty cell."
        )
    return price if cell else None


def _parse_stock(cell: str, where: str) -> int | None:
    if cell and not re.fullmatch(r"[+-]?\d{1,15}", cell):
        raise CatalogError(
            f"{where}: stock is {cell[:CELL_CHARACTERS_SHOWN]!r}; expected a whole number, or an empty cell."
        )
    return int(cell) if cell else None
