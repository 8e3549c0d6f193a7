"""Read a sheet of an .xlsx workbook: its cells as the spreadsheet shows them."""

import atexit
import datetime
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

from ..errors import CatalogError
from . import sources, workbook_limits, workbook_pictures
from .typed_cells import DateCell, NumberCell, ShownCell, UncalculatedCell

HEAD_ROWS = 20  # of each sheet, searched for the header
EXACT_DIGITS = 15  # of a number in a spreadsheet; further ones are lost
_CHUNK_BYTES, _OVERLAP_BYTES = 1 << 20, 1 << 14
_LITERAL = re.compile(r'"([^"]*)"|\\(.)|([0 /_-]|[A-DF-Za-df-z](?=-))')  # parts of a format that only fills digits in
_DECIMALS = re.compile(r"0\.(0+)")
# A formula without a result; an empty text as result has the type "str".
_UNCALCULATED = re.compile(
    rb'<c r="([A-Z]+\d+)"((?:(?! t="str")[^<>])*)><f(?:[^<>]*/>|[^<>]*>[^<]*</f>)\s*(?:<v\s*/>|<v></v>)?\s*</c>'
)
CountWanted = Callable[[Sequence[str]], int]


def read_sheet(
    openpyxl: Any, file: BinaryIO, where: str, count_wanted: CountWanted, sheet: str, max_rows: int
) -> tuple[Iterator[tuple[int, list[str]]], str, dict[int, list[tuple[str, str]]]]:
    """Open the sheet of a workbook that holds the wanted columns.

    Args:
        openpyxl: the library.
        file: the workbook; must stay open while the rows are read.
        where: the name of the file, for error messages.
        count_wanted: returns how many of the wanted columns a header has.
        sheet: the name of the sheet, or its number from 1; "" to find it.
        max_rows: rows that may be read.
    Returns: (row number, cells) per row; a phrase on the sheet that was chosen, "" if there is only one; and name and
             source of the pictures in each row.
    Raises:  CatalogError: the workbook is damaged or too large, or has no such sheet.
    """
    try:
        workbook_limits.check(file, where, max_rows)
        sheets = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False).worksheets
        for one in sheets:
            one.reset_dimensions()  # writers leave stale ones, beyond which openpyxl would read nothing
        chosen = _find_sheet(sheets, where, count_wanted, sheet)
        uncalculated = _find_uncalculated(chosen)
        member = str(chosen._worksheet_path).lstrip("/")
        pictures = workbook_pictures.find_pictures(openpyxl, file, member, where)
        if pictures and not sources.is_url(where) and not os.path.isfile(where):  # a workbook in an archive
            pictures = workbook_pictures.find_pictures(openpyxl, file, member, _unpack(file))
    except CatalogError:
        raise
    except Exception as error:  # openpyxl raises nearly anything on damaged files
        raise CatalogError(f"{where}: damaged, or no .xlsx file ({error}); save it again, or as CSV.") from error
    names = ", ".join(repr(one.title) for one in sheets if one is not chosen)
    described = f"its sheet {chosen.title!r} of {len(sheets)} (not {names})" if len(sheets) > 1 else ""
    return _read_rows(chosen, where, uncalculated, max_rows), described, pictures


def _unpack(file: BinaryIO) -> str:
    """Copy a workbook to a temporary file that stays until this process ends, and return its path."""
    folder = tempfile.mkdtemp(prefix="edgesearch-unpacked-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = os.path.join(folder, "catalogue.xlsx")
    file.seek(0)
    with open(path, "wb") as copy:
        shutil.copyfileobj(file, copy)
    return path


def _find_sheet(sheets: Sequence[Any], where: str, count_wanted: CountWanted, wanted: str) -> Any:
    if wanted:
        found = [one for one in sheets if one.title.strip().casefold() == wanted.strip().casefold()]
        found += [sheets[int(wanted) - 1]] if wanted.isdecimal() and 0 < int(wanted) <= len(sheets) else []
        if not found:
            names = ", ".join(one.title for one in sheets)
            raise CatalogError(f"{where}: no sheet {wanted!r}; its sheets are {names}.")
        return found[0]
    if len(sheets) == 1:
        return sheets[0]
    return max(sheets, key=lambda one: _count_in_head(one, count_wanted))  # the first of equals


def _count_in_head(sheet: Any, count_wanted: CountWanted) -> int:
    """Return the most wanted columns in one of a sheet's first rows."""
    rows = zip(range(HEAD_ROWS), sheet.iter_rows(values_only=True), strict=False)
    return max((count_wanted(["" if cell is None else str(cell) for cell in row]) for _, row in rows), default=0)


def _find_uncalculated(sheet: Any) -> set[str]:
    """Return the addresses of the formulas whose results are not in the file."""
    found: set[str] = set()
    with sheet._get_source() as source:
        rest = b""
        while part := source.read(_CHUNK_BYTES):
            rest += part
            if b"<f" in rest:
                found.update(address.decode() for address, _ in _UNCALCULATED.findall(rest))
            rest = rest[-_OVERLAP_BYTES:]
    return found


def _read_rows(sheet: Any, where: str, uncalculated: set[str], max_rows: int) -> Iterator[tuple[int, list[str]]]:
    width = count = 0  # of the widest row so far; the file leaves out empty cells at the end of a row
    try:
        for number, row in enumerate(sheet.iter_rows(), 1):
            width, count = max(width, len(row)), count + max(width, len(row)) * bool(row)
            if number > workbook_limits.EXCEL_ROWS:
                raise CatalogError(
                    f"{where}: a cell below row {workbook_limits.EXCEL_ROWS:,}, the last that a sheet has; delete it."
                )
            if count > workbook_limits.ROW_CELLS * max_rows:
                raise CatalogError(
                    f"{where}: over {workbook_limits.ROW_CELLS * max_rows:,} cells up to row {number}, {width:,} in a "
                    f"row; delete what is far to the right, or read it with --max-rows {10 * max_rows}."
                )
            yield number, [_format(cell, uncalculated) for cell in row] + [""] * (width - len(row)) if row else []
    except CatalogError:
        raise
    except Exception as error:  # openpyxl's, as above
        raise CatalogError(f"{where}: damaged ({error}); save it again, or as CSV.") from error


def _format(cell: Any, uncalculated: set[str]) -> str:
    """Return a cell as its spreadsheet shows it, except for separators of thousands and currencies."""
    value = cell.value
    if value is None:
        return UncalculatedCell() if uncalculated and cell.data_type and _address(cell) in uncalculated else ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, (int, float)):
        return _format_number(value, cell)
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return DateCell(value.date().isoformat())
    if isinstance(value, (datetime.date, datetime.time, datetime.timedelta)):
        return DateCell(value)
    return str(value).strip()


def _format_number(value: float, cell: Any) -> str:
    if value != value:  # NaN
        return ""
    if isinstance(value, int) or (value.is_integer() and abs(value) < 10**EXACT_DIGITS):
        text = str(int(value)) if abs(value) < 10**EXACT_DIGITS else f"{float(value):.14e}"
    else:
        text = repr(value)
    shown = text
    if cell._style_id:
        form = _number_format(cell)
        if text.isdecimal() and (filled := _fill_in(form, text)):
            shown = filled
        elif (decimals := _DECIMALS.fullmatch(form)) and float(f"{value:.{len(decimals[1])}f}") == value:
            shown = f"{value:.{len(decimals[1])}f}"
    return NumberCell(text) if shown == text else ShownCell.of(shown, text)


def _fill_in(form: str, digits: str) -> str:
    """Return digits in a format of zeros and texts, such as "SKU-"0000; "" for any other format."""
    if "0" not in form or _LITERAL.sub("", form):
        return ""
    parts = [found[1] or found[2] or found[3] or "" for found in _LITERAL.finditer(form)]
    is_digit = [found[3] == "0" for found in _LITERAL.finditer(form)]
    digits = digits.zfill(sum(is_digit))
    left, rest = digits[: len(digits) - sum(is_digit)], iter(digits[len(digits) - sum(is_digit) :])
    shown = []
    for part, digit in zip(parts, is_digit, strict=True):
        shown.append(left + next(rest) if digit else part)
        left = "" if digit else left  # digits for which there are no zeros stand before the first
    return "".join(shown)


def _number_format(cell: Any) -> str:
    try:
        return str(cell.number_format)
    except IndexError:  # a style that the workbook lacks
        return "General"


def _address(cell: Any) -> str:
    return getattr(cell, "coordinate", "")
