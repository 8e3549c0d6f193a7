"""Parse the rows of a table into products, and undo what spreadsheets do to cells."""

import re
import unicodedata
from collections.abc import Callable, Sequence

from ..errors import REASONS_SHOWN, CatalogError, several
from ..images.barcode import LENGTHS, parse_gtin
from . import barcode_text, image_cell, numerals
from .product import CELL_CHARACTERS_SHOWN, COLUMNS, REQUIRED, Entry, Product, details_of, parse_product
from .typed_cells import DateCell, NumberCell, ShownCell, UncalculatedCell

_ROUNDED = re.compile(r"\d([.,]\d+)?[Ee]\+\d+")
_QUOTED_FORMULA = re.compile(r'="(.*)"')  # ="0012": tells a spreadsheet to keep the zeros of a number
_SPREADSHEET_ERROR = re.compile(
    r"#(N/A|REF!|NAME\?|DIV/0!|VALUE!|NULL!|NUM!|SPILL!|CALC!|NV|BEZUG!|WERT!|ZAHL!|VALEUR!|NOMBRE!|NOM\?)"
)
_PICTURE_FORMULA = re.compile(r"=?(_xlfn\.)?DISPIMG\(.*\)")  # of WPS Office; `workbook_pictures` finds its picture
_TOTAL = re.compile(
    r"(grand |sub)?totals?:?|(zwischen|gesamt)?summe:?|gesamt:?|sous-total|somme|totale|suma|razem|"
    r"\u0438\u0442\u043e\u0433\u043e|\u5408\u8ba1|\u603b\u8ba1",  # Russian, Chinese
    re.I,
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # a terminal may obey them
_PICTURE_DETAIL = re.compile(  # columns that describe the picture in a row, not the product
    r"\b(image|picture|photo|media|img|bild|foto)s?[\W_]*"
    r"(position|pos|order|sort|rank|index|number|nr|no|id|alt|text|title|caption|type|width|height|reihenfolge)",
    re.I,
)
_UNSHARED_COLUMNS = ("sku", "name", "images", "price", "description", "stock", "barcode")  # other texts repeat
_CALCULATED = (*REQUIRED, "price", "stock", "barcode")  # never lost with a note alone
MAX_CELL_CHARACTERS = 32_767  # as in spreadsheets; longer ones hold files
MAX_SHARED_TEXTS = 1 << 16
Resolve = Callable[[str], str]  # picture name in a catalogue -> source; raises ValueError if the name is not allowed


class RowParser:
    """Collects the products of a table, row by row."""

    def __init__(self, where: str, resolve: Resolve, decimal: str, plain: bool):
        """Start a table.

        Args:
            where: the name of the table, for error messages.
            resolve: gives the source of a picture.
            decimal: the decimal sign of the table, "." or ","; "" if unknown.
            plain: the table is UTF-8 with commas between its cells, where a point is probably a decimal sign.
        """
        self._where, self._resolve, self._decimal, self._plain = where, resolve, decimal, plain
        self._entries: dict[str, Entry] = {}
        self._more: dict[str, dict[tuple[str, str], None]] = {}  # pictures of products that have several rows
        self._lines: dict[str, int] = {}  # of each product's first row
        self._texts: dict[str, str] = {}
        self._odd_codes, self._shortened = 0, ""
        self._adjustments: dict[str, str] = {}  # a note for each kind of cell

    def add(self, line: int, row: dict[str, str], pictures: Sequence[tuple[str, str]] = ()) -> None:
        """Parse a row, given as cells by column name; raise CatalogError, which names the line.

        pictures: name and source of those in the table itself.
        """
        where = f"{self._where}, line {line}"
        row.setdefault("images", "")
        if not (row["sku"] and row["name"]) and any(_TOTAL.fullmatch(cell) for cell in row.values()):
            self._note(f"line {line}: a line of totals is left out")
            return
        if pictures and (_SPREADSHEET_ERROR.fullmatch(row["images"]) or isinstance(row["images"], UncalculatedCell)):
            row["images"] = ""  # what a picture in a cell is to other programs
        self._adjust(row, where)
        known = self._entries.get(row["sku"])
        if known and not row["name"]:
            row["name"] = known.product.name  # a further row may hold only the SKU and a picture
        product = parse_product(row, where)
        images = (*self._parse_images(row["images"], product.sku, where), *pictures)
        if known is None:
            self._entries[product.sku] = Entry(product, images)
            self._lines[product.sku] = line
        elif not _repeats(product, known.product):
            raise CatalogError(
                f"{where}: SKU {product.sku} is in an earlier row with other details; give every product its own "
                "SKU, or repeat the details unchanged in a row for each picture."
            )
        elif images:
            self._more.setdefault(product.sku, dict.fromkeys(known.images)).update(dict.fromkeys(images))

    def entries(self) -> list[Entry]:
        """Return the products, in the order of their first rows."""
        for sku, images in self._more.items():
            self._entries[sku] = Entry(self._entries[sku].product, tuple(images))
        return list(self._entries.values())

    def notes(self) -> list[str]:
        """Return a sentence for each kind of cell that was read differently from how it is written."""
        notes = [f"{self._where}: {adjustment}" for adjustment in self._adjustments.values()]
        if without := [sku for sku, entry in self._entries.items() if not entry.images]:
            listed = several([f"{sku} in line {self._lines[sku]}" for sku in without[:REASONS_SHOWN]], len(without))
            notes.append(f"{self._where}: products without a picture ({len(without)}): {listed}")
        if not self._shortened:
            return notes
        return [
            *notes,
            f"{self._shortened}: without its leading zeros, as spreadsheets leave it; {self._odd_codes} barcodes have "
            "an unusual length; they are found all the same, but format the column as text",
        ]

    def _adjust(self, row: dict[str, str], where: str) -> None:
        """Correct a row's cells in place, and keep texts that repeat only once in memory."""
        self._clear_errors(row, where)
        self._adjust_names(row, where)
        if row.get("price"):
            self._adjust_price(row, where)
        if (stock := row.get("stock")) and not stock.isdecimal():
            row["stock"] = self._plain_integer(stock)
        if cell := row.get("barcode"):
            row["barcode"] = barcode_text.clean_cell(cell)
            if row["barcode"] != cell:
                shown = f"{cell[:CELL_CHARACTERS_SHOWN]!r} are read as {row['barcode'][:CELL_CHARACTERS_SHOWN]}"
                self._note(f"barcodes such as {shown}", "barcodes")
            self._note_shortened_barcode(row["barcode"], where)
        if len(self._texts) > MAX_SHARED_TEXTS:
            self._texts.clear()
        for name, cell in row.items():
            text = str(cell)
            row[name] = text if name in _UNSHARED_COLUMNS else self._texts.setdefault(text, text)

    def _note(self, text: str, kind: str = "") -> None:
        """Keep the first note of each kind; without a kind, each text once."""
        self._adjustments.setdefault(kind or text, text)

    def _clear_errors(self, row: dict[str, str], where: str) -> None:
        for name, cell in row.items():
            if isinstance(cell, ShownCell) and name in ("price", "stock"):
                row[name] = cell = NumberCell(cell.number)
            if len(cell) > MAX_CELL_CHARACTERS and name != "images":
                if name in COLUMNS:
                    raise CatalogError(
                        f"{where}: {name} is {len(cell):,} characters long; at most {MAX_CELL_CHARACTERS:,} are read."
                    )
                self._note(f"cells of over {MAX_CELL_CHARACTERS:,} characters, as in {name}, are read as empty")
                row[name] = ""
            if isinstance(cell, UncalculatedCell):
                if name in _CALCULATED:
                    raise CatalogError(
                        f"{where}: {name} is a formula whose result is not in the file; open the file in a "
                        "spreadsheet, save it there, or export it as CSV."
                    )
                self._note(f"formulas without results in the file, as in {name}, are read as empty")
            if "DISPIMG(" in cell and _PICTURE_FORMULA.fullmatch(cell):
                row[name] = ""
            if cell[:1] == "#" and _SPREADSHEET_ERROR.fullmatch(cell):
                if name in REQUIRED:
                    raise CatalogError(f"{where}: {name} is {cell}, an error of the spreadsheet; correct it there.")
                self._note("cells that show a spreadsheet's error, such as #N/A, are read as empty")
                row[name] = ""

    def _adjust_names(self, row: dict[str, str], where: str) -> None:
        """Correct the SKU, the barcode and the name."""
        for name in ("sku", "barcode"):
            cell = row.get(name, "")
            if isinstance(cell, DateCell):
                raise CatalogError(
                    f"{where}: {name} is {cell}, a date, which spreadsheets make of texts such as 2-Mar; format the "
                    "column as text, and type it again."
                )
            if isinstance(cell, ShownCell):
                self._note(f"numbers in {name} are read as the spreadsheet shows them, such as {cell}", f"shown {name}")
            if cell[:1] == "=" and (quoted := _QUOTED_FORMULA.fullmatch(cell)):
                row[name] = cell = quoted[1].strip()
            if "+" in cell and _ROUNDED.fullmatch(cell):
                raise CatalogError(
                    f"{where}: {name} is {cell!r}, a number that a spreadsheet has rounded; format the column as text "
                    "in the original file, and export it again."
                )
        for name in ("sku", "name"):
            if not row[name].isascii():
                row[name] = unicodedata.normalize("NFC", row[name])  # one text may have two forms that look the same
        if not row["sku"].isprintable() and _CONTROL.search(row["sku"]):
            raise CatalogError(f"{where}: sku is {row['sku']!r}, with a control character; remove it.")
        if not row["name"].isprintable() and _CONTROL.search(row["name"]):
            row["name"] = " ".join(_CONTROL.sub(" ", row["name"]).split())
            self._note("line breaks and other control characters in names are read as spaces")

    def _adjust_price(self, row: dict[str, str], where: str) -> None:
        cell = row["price"]
        decimal = self._decimal_sign(cell)
        if decimal and isinstance(cell, NumberCell):
            return
        cell, known = numerals.normalize(cell), row.get("currency", "").strip().upper()
        if not decimal and numerals.is_ambiguous(cell, known):
            if not self._plain or not cell.replace(".", "").isdecimal():
                raise CatalogError(
                    f"{where}: price is {cell!r}, which could mean two numbers, and no price in the first rows shows "
                    "which; give --decimal , or --decimal ."
                )
            self._note(
                f"prices such as {cell} are read with a decimal point, as {float(cell):g}; if it separates thousands, "
                "give --decimal ,",
                "ambiguous price",
            )
        row["price"], currency = numerals.parse_price(cell, decimal, known)
        if currency and not row.get("currency"):
            row["currency"] = currency

    def _plain_integer(self, cell: str) -> str:
        """Return a whole number without thousands separators and without zeros after its decimal sign.

        Return any other cell unchanged.
        """
        decimal = self._decimal_sign(cell)
        if not decimal and numerals.is_ambiguous(cell):
            return cell
        whole, _, part = (numerals.parse_number(cell, decimal) or "").partition(".")
        return cell if part.strip("0") or not whole else whole

    def _decimal_sign(self, cell: str) -> str:
        """Return the decimal sign that holds for a cell, or "" if it is unknown."""
        return numerals.POINT if isinstance(cell, NumberCell) else self._decimal

    def _note_shortened_barcode(self, cell: str, where: str) -> None:
        if cell.isdecimal() and len(cell) not in LENGTHS and 7 <= len(cell) < LENGTHS[-1] and parse_gtin(cell):
            self._odd_codes += 1
            self._shortened = self._shortened or f"{where}: barcode {cell}"

    def _parse_images(self, cell: str, sku: str, where: str) -> tuple[tuple[str, str], ...]:
        """Return name and source of each picture in a cell; raise CatalogError if a name is not allowed."""
        if "\\" in cell:
            self._note("names of pictures have \\ between folders, read as /")
        try:
            names = image_cell.split(cell, self._note)
            return tuple([(image_cell.describe(name), self._locate(name)) for name in names])
        except ValueError as error:
            raise CatalogError(f"{where}: {sku} has the picture {cell[:CELL_CHARACTERS_SHOWN]!r}: {error}.") from error

    def _locate(self, name: str) -> str:
        return name if name.startswith(image_cell.DATA_PREFIX) else self._resolve(name.replace("\\", "/"))


def _repeats(product: Product, known: Product) -> bool:
    """Return whether a further row of a product contradicts none of its details, apart from those of the picture."""
    details, before = details_of(product), details_of(known)
    return all(before.get(name) == value or _PICTURE_DETAIL.search(name) for name, value in details.items())
