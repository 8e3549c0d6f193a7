"""Write and read the two lists of a count, as CSV files: the stock list, and the photos that a person must review.

stock.csv         sku,name,counted,location,stock,difference,photos
stock.review.csv  photo,why,sku,candidates,id: fill in a SKU, or "-" for nothing to count; the next run applies it

Text that a spreadsheet would take for a formula gets an apostrophe, as a person would type it.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from .._util import files
from ..catalog.product import Product
from ..errors import CountError
from .count_journal import CountEntry

COLUMNS = ("sku", "name", "counted", "location", "stock", "difference", "photos")
REVIEW_COLUMNS = ("photo", "why", "sku", "candidates", "id")
NO_PRODUCT = "-"  # in place of a SKU: nothing to count
# A spreadsheet takes such a cell for a formula, and splits cells where it separates columns by semicolons.
_FORMULA = re.compile(r"(^|[;\r\n])(?='*[=+\-@\t\r])")
_NEUTRAL = re.compile(r"(^|[;\r\n])'(?='*[=+\-@\t\r])")
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")


def format_stock(counted: Iterable[CountEntry], products: Mapping[str, Product]) -> bytes:
    """Return the stock list, sorted by SKU.

    Args:
        counted: Counted entries, also of products that no longer exist.
        products: By SKU; each is listed, even if none was counted.
    """
    by_sku: dict[str, list[CountEntry]] = {}
    for entry in counted:
        by_sku.setdefault(entry.sku, []).append(entry)
    rows = []
    for sku in sorted(by_sku.keys() | products.keys()):
        entries = by_sku.get(sku, [])
        product = products.get(sku) or Product(sku, entries[0].name)
        pieces = sum(entry.times for entry in entries)
        difference = None if product.stock is None else pieces - product.stock
        photos = ";".join(sorted(entry.photo for entry in entries if entry.photo))
        rows.append((sku, product.name, pieces, product.location, product.stock, difference, photos))
    return _format(COLUMNS, rows)


def format_review(to_review: Iterable[CountEntry], rejected_skus: Mapping[str, str]) -> bytes:
    """Return the review list.

    Args:
        to_review: The entries that a person must review.
        rejected_skus: Entries filled in before that are no SKUs, by the photo's id or name; they stay to be corrected.
    """
    rows = []
    for entry in to_review:
        candidates = "; ".join(f"{sku} {name}" for sku, name in entry.candidates)
        rows.append((entry.photo, entry.why, rejected_skus.get(entry.id or entry.photo, ""), candidates, entry.id))
    return _format(REVIEW_COLUMNS, rows)


def read_review(path: Path) -> list[tuple[str, str, str]]:
    """Return photo, id and SKU of each row with a filled-in SKU; return nothing if the file does not exist.

    Raises:
        CountError: The file cannot be read, or lacks the columns sku and id.
    """
    try:
        text = _decode(path.read_bytes())
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise CountError(f"{path}: cannot be read ({error}); save it as UTF-8, or delete it and run again.") from error
    if declared := re.match(r"sep=.\r?\n", text):
        text = text[declared.end() :]
    head = text.partition("\n")[0]
    separator = max(",;\t", key=head.count)  # spreadsheets use another one where the comma marks decimals
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        if not {"sku", "id"} <= {*(rows.fieldnames or [])}:
            raise CountError(
                f"{path}: its header lacks sku or id; write {','.join(REVIEW_COLUMNS)} there, or delete it."
            )
        filled = [row for row in rows if (row["sku"] or "").strip()]
    except csv.Error as error:
        raise CountError(f"{path}: is not a CSV file ({error}); repair it, or delete it and run again.") from error
    names = ("photo", "id", "sku")
    photos, ids, skus = ([_NEUTRAL.sub(r"\1", (row.get(name) or "").strip(" ")) for row in filled] for name in names)
    return [*zip(photos, ids, skus, strict=True)]


def _decode(data: bytes) -> str:
    """Decode a list as spreadsheets save it: UTF-8, UTF-16 with its mark, or else Windows' Western code page."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252")


def write(path: Path, content: bytes) -> None:
    """Write a list; raise CountError if that fails."""
    try:
        with files.replacing(path) as file:
            file.write(content)
    except OSError as error:
        raise CountError(f"{path}: cannot be written ({error.strerror}); check its space and permissions.") from error


def _format(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([columns, *([_neutralize(cell) for cell in row] for row in rows)])
    # Without the mark, spreadsheets read UTF-8 as another encoding.
    return codecs.BOM_UTF8 + text.getvalue().encode(errors="backslashreplace")


def _neutralize(cell: object) -> object:
    """Return a cell that no spreadsheet takes for a formula; numbers stay as they are."""
    return _FORMULA.sub(r"\1'", cell) if isinstance(cell, str) and not _NUMBER.fullmatch(cell) else cell
