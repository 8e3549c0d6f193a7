"""The cells of tables in text, Parquet and spreadsheet files, row after row."""

import csv
import datetime
import importlib
import io
import itertools
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import ModuleType
from typing import Any, BinaryIO

from ..errors import CatalogError
from . import text_encoding

DELIMITERS = ",;\t|"
SAMPLE_CHARACTERS, SAMPLE_ROWS = 1 << 16, 50
MAX_UNPACKED_BYTES = 2_000_000_000  # bytes, of a spreadsheet
SPREADSHEET_SUFFIXES, PARQUET_SUFFIXES = (".xlsx", ".xlsm"), (".parquet", ".pq")
Row = tuple[int, list[str]]


class Number(str):
    """A cell that its file holds as a number: a point in it is its decimal sign, whatever texts beside it have."""


@dataclass(frozen=True)
class TableRows:
    """A table's rows, the header first: line or number of the row, and its cells, stripped.

    Attributes: how: what was detected, one phrase each; none for plain UTF-8 with commas.
    """

    rows: Iterator[Row]
    how: tuple[str, ...]


def read(file: BinaryIO, where: str, encoding: str | None, fits: Callable[[Sequence[str]], int]) -> TableRows:
    """Read a table of any kind, chosen by the name of its file.

    Args:    file: stays open while the rows are read; fits: how many of the wanted columns a header has.
    Raises:  CatalogError: it is no such file, or an extra is needed for it.
    """
    name = where.lower()
    if name.endswith(PARQUET_SUFFIXES):
        return TableRows(_read_parquet_rows(file, where), ())
    if name.endswith(SPREADSHEET_SUFFIXES):
        return _open_sheet(file, where)
    if name.endswith((".xls", ".ods", ".numbers")):
        raise CatalogError(f"{where}: spreadsheets of this kind are not read; save it as .xlsx or CSV.")
    return _open_text(file, where, encoding, fits)


def _open_text(file: BinaryIO, where: str, encoding: str | None, fits: Callable[[Sequence[str]], int]) -> TableRows:
    name, seen = text_encoding.detect_encoding(file, where, encoding)
    how = [] if not seen and name in ("utf-8", text_encoding.UTF_8) else [f"{name} ({seen!r})" if seen else name]
    file.seek(0)
    text = io.TextIOWrapper(file, name, newline="")
    head = text.read(SAMPLE_CHARACTERS)
    said = re.match(r'sep=([^\r\n"])\r?\n', head)
    start = said.end() if said else 0
    delimiter = said[1] if said else _detect_delimiter(head, fits)
    if delimiter != ",":
        how.append({"\t": "tabs"}.get(delimiter, repr(delimiter)) + " between cells")
    text.seek(0)
    text.read(start)
    return TableRows(_read_csv_rows(text, where, delimiter, 1 if said else 0), tuple(how))


def _detect_delimiter(head: str, fits: Callable[[Sequence[str]], int]) -> str:
    """The one with which the header has most of the wanted columns, and the rows below it as many cells."""

    def worth(delimiter: str) -> tuple[int, bool, int]:
        lines = head.splitlines(keepends=True)
        reader = csv.reader(lines[:-1] or lines, delimiter=delimiter)
        try:
            rows = [row for row in itertools.islice(reader, SAMPLE_ROWS) if any(row)]
        except csv.Error:
            rows = []
        header = rows[0] if rows else []
        return fits(header), len(header) > 1 and len({len(row) for row in rows}) == 1, len(header)

    return max(DELIMITERS, key=worth)  # of equals the first, the comma


def _read_csv_rows(text: io.TextIOWrapper, where: str, delimiter: str, lines_before: int) -> Iterator[Row]:
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    line = lines_before + 1
    try:
        for row in reader:
            line = reader.line_num + lines_before
            yield line, [cell.strip() for cell in row]
            line += 1
    except csv.Error as error:  # a quote that is never closed begins there, and is noticed anywhere
        raise CatalogError(f"{where}, line {line}: not a well-formed CSV ({error}); check its quotes.") from error
    finally:
        if not text.closed:
            text.detach()  # its file is not its own to close


def _read_parquet_rows(file: BinaryIO, where: str) -> Iterator[Row]:
    parquet = _import_library("pyarrow.parquet", where)
    try:
        table = parquet.ParquetFile(file)
        yield 1, list(map(str, table.schema_arrow.names))
        number = 1
        for batch in table.iter_batches(batch_size=4096):
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                number += 1
                yield number, [_format_cell(value, where, number) for value in row]
    except CatalogError:
        raise
    except Exception as error:  # pyarrow's exceptions share no base class
        raise CatalogError(f"{where}: damaged, or no Parquet file ({error}); write it again.") from error


def _open_sheet(file: BinaryIO, where: str) -> TableRows:
    """The first sheet of a workbook; where it has several, that is told."""
    openpyxl = _import_library("openpyxl", where)
    try:
        with zipfile.ZipFile(file) as members:
            if sum(info.file_size for info in members.infolist()) > MAX_UNPACKED_BYTES:
                raise CatalogError(f"{where}: over {MAX_UNPACKED_BYTES:,} bytes unpacked; save it as CSV.")
        book = openpyxl.load_workbook(file, read_only=True, data_only=True)
        sheets = book.worksheets
        first = sheets[0]
    except CatalogError:
        raise
    except Exception as error:  # openpyxl raises nearly anything on damaged files
        raise CatalogError(f"{where}: damaged, or no .xlsx file ({error}); save it again, or as CSV.") from error
    how = (f"its first sheet {first.title!r} of {len(sheets)}",) if len(sheets) > 1 else ()
    return TableRows(_read_sheet_rows(first, where), how)


def _read_sheet_rows(sheet: Any, where: str) -> Iterator[Row]:
    width = 0
    try:
        for number, row in enumerate(sheet.iter_rows(values_only=True), 1):
            width = width or len(row)
            yield number, [_format_cell(value, where, number) for value in row] + [""] * (width - len(row))
    except CatalogError:
        raise
    except Exception as error:  # openpyxl's, as above
        raise CatalogError(f"{where}: damaged ({error}); save it again, or as CSV.") from error


def _format_cell(value: object, where: str, number: int) -> str:
    """A cell as a CSV would have it; lists of texts are joined as pictures are."""
    if value is None:
        return ""
    if isinstance(value, float):
        if value != value:
            return ""
        return Number(int(value) if value.is_integer() and abs(value) < 1e15 else repr(value))
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        return Number(value)
    if isinstance(value, list):
        return ";".join(_format_cell(one, where, number) for one in value)
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    if isinstance(value, (bytes, dict)):
        raise CatalogError(f"{where}, row {number}: a cell holds {type(value).__name__}; expected texts and numbers.")
    return str(value).strip()


def _import_library(name: str, where: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise CatalogError(
            f"{where}: {name.partition('.')[0]} is needed to read it; pip install edgesearch[tables], or give a CSV."
        ) from error
