"""The lists of a count: what is there, and what waits for somebody. CSV, written beside and renamed into place.

stock.csv         sku,name,counted,location,stock,difference,photos
stock.review.csv  photo,why,sku,candidates,id: whoever fills in a SKU, or "-" for nothing to count, is heard by the
                  next run
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from .._util import files
from ..catalog.product import Product
from ..errors import CountError
from .count_journal import Seen

COLUMNS = ("sku", "name", "counted", "location", "stock", "difference", "photos")
REVIEW = ("photo", "why", "sku", "candidates", "id")
NOTHING = "-"  # in place of a SKU: nothing to count


def write_stock(path: Path, counted: Iterable[Seen], products: Mapping[str, Product]) -> None:
    """Write what was counted, by SKU.

    Args:    products: by SKU, all of which are listed; one that is none any more is listed as it was counted.
    Raises:  CountError: it cannot be written.
    """
    photos: dict[str, list[Seen]] = {}
    for seen in counted:
        photos.setdefault(seen.sku, []).append(seen)
    rows = []
    for sku in sorted(photos.keys() | products.keys()):
        own = photos.get(sku, [])
        product = products.get(sku) or Product(sku, own[0].name)
        number = sum(seen.times for seen in own)
        difference = None if product.stock is None else number - product.stock
        names = ";".join(sorted(seen.photo for seen in own if seen.photo))
        rows.append((sku, product.name, number, product.location, product.stock, difference, names))
    _write(path, COLUMNS, rows)


def write_review(path: Path, waiting: Iterable[Seen], typed: Mapping[str, str]) -> None:
    """Write the photos that wait; typed: by id or name, what was written for a SKU and is none. Raises CountError."""
    rows = []
    for seen in waiting:
        candidates = "; ".join(f"{sku} {name}" for sku, name in seen.candidates)
        rows.append((seen.photo, seen.why, typed.get(seen.id or seen.photo, ""), candidates, seen.id))
    _write(path, REVIEW, rows)


def read_review(path: Path) -> list[tuple[str, str, str]]:
    """What somebody wrote for a SKU: photo, id and SKU; empty where there is no file.

    Raises:  CountError: it cannot be read, or lacks the columns sku and id.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise CountError(f"{path}: cannot be read ({error}); save it as UTF-8, or delete it and run again.") from error
    head = text.partition("\n")[0]
    separator = max(",;\t", key=head.count)  # as spreadsheets save it where a comma is for decimals
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        if not {"sku", "id"} <= {*(rows.fieldnames or [])}:
            raise CountError(f"{path}: its header has no sku and id; write {','.join(REVIEW)} there, or delete it.")
        filled = [row for row in rows if (row["sku"] or "").strip()]
    except csv.Error as error:
        raise CountError(f"{path}: is no list ({error}); mend it, or delete it and run again.") from error
    return [(row.get("photo") or "", (row["id"] or "").strip(), (row["sku"] or "").strip()) for row in filled]


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([columns, *rows])
    try:
        with files.replacing(path) as file:
            file.write(text.getvalue().encode(errors="backslashreplace"))
    except OSError as error:
        raise CountError(f"{path}: cannot be written ({error.strerror}); check its space and permissions.") from error
