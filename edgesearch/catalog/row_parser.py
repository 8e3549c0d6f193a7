"""The rows of a table become products, and what spreadsheets did to their cells is undone."""

import re
from collections.abc import Callable

from ..errors import CatalogError
from ..images.barcode import LENGTHS, parse_gtin
from ..images.photo_files import SUFFIXES
from . import numerals
from .product import REQUIRED, Entry, parse_product
from .tabular import Number

_ROUNDED = re.compile(r"\d([.,]\d+)?[Ee]\+\d+")
_QUOTED_FORMULA = re.compile(r'="(.*)"')  # ="0012": how spreadsheets are told to leave a number alone
_SPREADSHEET_ERROR = re.compile(
    r"#(N/A|REF!|NAME\?|DIV/0!|VALUE!|NULL!|NUM!|SPILL!|CALC!|NV|BEZUG!|WERT!|ZAHL!|VALEUR!|NOMBRE!|NOM\?)"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # a terminal may act on them
_IMAGE_SEPARATOR = re.compile(r"[;\r\n]")
_UNSHARED_COLUMNS = ("sku", "name", "images", "price", "description", "stock", "barcode")  # texts of other columns are kept once
MAX_SHARED_TEXTS = 1 << 16
Resolve = Callable[[str], str]  # what a catalogue names, to its place; raises ValueError: it must not be


class RowParser:
    """A table as it is read, row after row."""

    def __init__(self, where: str, resolve: Resolve, decimal: str, plain: bool):
        """where: what to call the table; decimal: the sign in its numbers, "" where they do not tell; plain: it is
        plain UTF-8 with commas, in which a point is a decimal sign.
        """
        self._where, self._resolve, self._decimal, self._plain = where, resolve, decimal, plain
        self._entries: dict[str, Entry] = {}
        self._more: dict[str, dict[tuple[str, str], None]] = {}  # pictures of products with several rows
        self._texts: dict[str, str] = {}
        self._odd_codes, self._shortened = 0, ""
        self._habits: dict[str, None] = {}  # what was read otherwise than it is written

    def add(self, line: int, row: dict[str, str]) -> None:
        """Read a row, its cells by their columns; raises CatalogError, which names the line."""
        where = f"{self._where}, line {line}"
        self._mend(row, where)
        product = parse_product(row, where)
        images = self._images(row["images"], product.sku, where)
        known = self._entries.setdefault(product.sku, Entry(product, images))
        if known.product != product:
            raise CatalogError(
                f"{where}: SKU {product.sku} came before with other details; give every product its own "
                "SKU, or repeat the details unchanged in a row for each picture."
            )
        if known.images is not images:
            self._more.setdefault(product.sku, dict.fromkeys(known.images)).update(dict.fromkeys(images))

    def entries(self) -> list[Entry]:
        """The products, in the order of their first rows."""
        for sku, images in self._more.items():
            self._entries[sku] = Entry(self._entries[sku].product, tuple(images))
        return list(self._entries.values())

    def notes(self) -> list[str]:
        """How cells were read otherwise than they are written, a sentence each."""
        said = [f"{self._where}: {habit}" for habit in self._habits]
        if not self._shortened:
            return said
        return [
            *said,
            f"{self._shortened}: without its leading zeros, as spreadsheets leave it; {self._odd_codes} barcodes have "
            "an unusual length; they are found all the same, but format the column as text",
        ]

    def _mend(self, row: dict[str, str], where: str) -> None:
        """Numbers as they are read, texts that come again and again once."""
        self._mend_faults(row, where)
        self._mend_names(row, where)
        if row.get("price"):
            self._mend_price(row, where)
        if (stock := row.get("stock")) and not stock.isdecimal():
            row["stock"] = self._whole(stock)
        if row.get("barcode"):
            self._look_at_code(row["barcode"], where)
        if len(self._texts) > MAX_SHARED_TEXTS:
            self._texts.clear()
        for name, cell in row.items():
            text = str(cell)
            row[name] = text if name in _UNSHARED_COLUMNS else self._texts.setdefault(text, text)

    def _mend_faults(self, row: dict[str, str], where: str) -> None:
        for name, cell in row.items():
            if cell[:1] == "#" and _SPREADSHEET_ERROR.fullmatch(cell):
                if name in REQUIRED:
                    raise CatalogError(f"{where}: {name} is {cell}, an error of the spreadsheet; mend it there.")
                self._habits["cells that show a spreadsheet's error, such as #N/A, are read as empty"] = None
                row[name] = ""

    def _mend_names(self, row: dict[str, str], where: str) -> None:
        """What the product is called, by people and by machines."""
        for name in ("sku", "barcode"):
            cell = row.get(name, "")
            if cell[:1] == "=" and (quoted := _QUOTED_FORMULA.fullmatch(cell)):
                row[name] = cell = quoted[1].strip()
            if "+" in cell and _ROUNDED.fullmatch(cell):
                raise CatalogError(
                    f"{where}: {name} is {cell!r}, a spreadsheet has rounded its digits away; format the column as "
                    "text where they still are, and export it again."
                )
        if not row["sku"].isprintable() and _CONTROL.search(row["sku"]):
            raise CatalogError(f"{where}: sku is {row['sku']!r}, with a sign for machines in it; write it without.")
        if not row["name"].isprintable() and _CONTROL.search(row["name"]):
            row["name"] = " ".join(_CONTROL.sub(" ", row["name"]).split())
            self._habits["line breaks and other signs for machines in names are read as spaces"] = None

    def _mend_price(self, row: dict[str, str], where: str) -> None:
        cell = row["price"]
        decimal = self._sign(cell)
        if not decimal and numerals.is_ambiguous(cell) and not (self._plain and "," not in cell):
            raise CatalogError(
                f"{where}: price is {cell!r}, which may be two numbers, and no price before tells which; "
                "give --decimal , or --decimal ."
            )
        row["price"], currency = numerals.parse_price(cell, decimal)
        if currency and not row.get("currency"):
            row["currency"] = currency

    def _whole(self, cell: str) -> str:
        """A whole number that is written with thousands or with zeros behind its decimal sign; others as they are."""
        decimal = self._sign(cell)
        if not decimal and numerals.is_ambiguous(cell):
            return cell
        whole, _, part = (numerals.parse_number(cell, decimal) or "").partition(".")
        return cell if part.strip("0") or not whole else whole

    def _sign(self, cell: str) -> str:
        """The decimal sign of a cell, "" where nothing tells."""
        return numerals.POINT if isinstance(cell, Number) else self._decimal

    def _look_at_code(self, cell: str, where: str) -> None:
        if cell.isdecimal() and len(cell) not in LENGTHS and 7 <= len(cell) < LENGTHS[-1] and parse_gtin(cell):
            self._odd_codes += 1
            self._shortened = self._shortened or f"{where}: barcode {cell}"

    def _images(self, cell: str, sku: str, where: str) -> tuple[tuple[str, str], ...]:
        names = [name for part in _IMAGE_SEPARATOR.split(cell) if (name := part.strip())]
        if not names:
            raise CatalogError(f"{where}: {sku} has no images; name at least one picture.")
        if "," in cell or "|" in cell:
            names = [part for name in names for part in self._apart(name)]
        if "\\" in cell:
            self._habits["names of pictures have \\ between folders, read as /"] = None
        try:
            return tuple([(name, self._resolve(name.replace("\\", "/"))) for name in dict.fromkeys(names)])
        except ValueError as error:
            raise CatalogError(f"{where}: {sku} has the picture {cell!r}: {error}.") from error

    def _apart(self, name: str) -> list[str]:
        """Several names with commas or bars between them, where each of them is a picture's."""
        parts = [part.strip() for part in re.split("[,|]", name)]
        if len(parts) == 1 or not all(part.lower().endswith(SUFFIXES) for part in parts):
            return [name]
        self._habits["names of pictures with , or | between them are taken apart"] = None
        return parts
