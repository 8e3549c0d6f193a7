"""Read the cells of tables in text, Parquet and spreadsheet files, row by row."""

import csv
import datetime
import importlib
import io
import itertools
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from types import ModuleType
from typing import Any, BinaryIO

from ..errors import CatalogError
from . import spreadsheet, text_encoding
from .spreadsheet import CountWanted
from .typed_cells import NumberCell

MAX_ROWS = 1_000_000  # read from a table unless the caller allows more
MAX_CELL_CHARACTERS = 140_000_000  # a picture of 100 MB in base64
PARQUET_ROWS = 4096  # read at once
PARQUET_ROW_BYTES = 500  # unpacked, on average, of the rows that may be read
BATCH_ROWS = 500
DELIMITERS = ",;\t|"
SAMPLE_CHARACTERS, SAMPLE_ROWS = 1 << 16, 50  # searched for the delimiter
SPREADSHEET_SUFFIXES, PARQUET_SUFFIXES = (".xlsx", ".xlsm"), (".parquet", ".pq")
Row = tuple[int, list[str]]
_limit_lock = threading.Lock()


@dataclass(frozen=True)
class TableRows:
    """The rows of a table.

    Attributes:
        rows: (line or row number, stripped cells) per row, the header first.
        detected: a phrase for each format detail that was detected; empty for UTF-8 with commas.
        pictures: name and source of the pictures in each row of a workbook, by row number.
    """

    rows: Iterator[Row]
    detected: tuple[str, ...]
    pictures: Mapping[int, Sequence[tuple[str, str]]] = field(default_factory=dict)


def read(
    file: BinaryIO,
    where: str,
    encoding: str | None,
    count_wanted: CountWanted,
    sheet: str = "",
    max_rows: int = MAX_ROWS,
) -> TableRows:
    """Open a table of the kind that its file name says.

    Args:
        file: must stay open while the rows are read.
        where: the name of the file.
        encoding: of a text file; None or "" to detect it.
        count_wanted: returns how many of the wanted columns a header has.
        sheet: of a workbook, by name or number; "" to find it.
        max_rows: rows that may be read; another one is an error.
    Raises:
        CatalogError: the file is damaged, too large or of a kind that is not supported, or reading it needs an extra.
    """
    table = _open(file, where, encoding, count_wanted, sheet, max_rows)
    return replace(table, rows=_limit(table.rows, where, max_rows))


def _limit(rows: Iterator[Row], where: str, max_rows: int) -> Iterator[Row]:
    """Yield rows; raise CatalogError behind the last that may be read. Blank ones do not count."""
    count = 0
    for number, row in rows:
        count += any(row)
        if count > max_rows + 1:  # the header
            raise CatalogError(f"{where}: over {max_rows:,} rows; read them with --max-rows {10 * max_rows}.")
        yield number, row


def _open(
    file: BinaryIO, where: str, encoding: str | None, count_wanted: CountWanted, sheet: str, max_rows: int
) -> TableRows:
    name = where.lower()
    if name.endswith(SPREADSHEET_SUFFIXES):
        openpyxl = _import_library("openpyxl", where)
        rows, described, pictures = spreadsheet.read_sheet(openpyxl, file, where, count_wanted, sheet, max_rows)
        return TableRows(rows, (described,) if described else (), pictures)
    if sheet:
        raise CatalogError(f"{where}: no workbook, so it has no sheets; leave out --sheet.")
    if name.endswith(PARQUET_SUFFIXES):
        return TableRows(_read_parquet_rows(file, where, max_rows), ())
    if name.endswith((".xls", ".ods", ".numbers")):
        raise CatalogError(f"{where}: spreadsheets of this kind are not supported; save it as .xlsx or CSV.")
    return _open_text(file, where, encoding, count_wanted)


def _open_text(file: BinaryIO, where: str, encoding: str | None, count_wanted: CountWanted) -> TableRows:
    """Open a text table: detect its encoding and delimiter, unless the file or the user declares them."""
    name, sample = text_encoding.detect_encoding(file, where, encoding)
    is_plain = not sample and name in ("utf-8", text_encoding.UTF_8)
    detected = [] if is_plain else [f"{name} ({sample!r})" if sample else name]
    errors = "strict"
    if name == text_encoding.MIXED:
        name, errors, detected = "utf-8", name, [f"utf-8, where it is not as cp1252 ({sample!r})"]
    file.seek(0)
    text = io.TextIOWrapper(file, name, errors, newline="")
    head = text.read(SAMPLE_CHARACTERS)
    declared = re.match(r'sep=([^\r\n"])\r?\n', head)  # how spreadsheets declare the delimiter
    start = declared.end() if declared else 0
    delimiter = declared[1] if declared else _detect_delimiter(head, count_wanted)
    if delimiter != ",":
        detected.append({"\t": "tabs"}.get(delimiter, repr(delimiter)) + " between cells")
    text.seek(0)
    text.read(start)
    return TableRows(_read_csv_rows(text, where, delimiter, 1 if declared else 0), tuple(detected))


def _detect_delimiter(head: str, count_wanted: CountWanted) -> str:
    """Return the delimiter that gives the header most of the wanted columns and all rows the same number of cells."""

    def rank(delimiter: str) -> tuple[int, bool, int]:
        lines = head.splitlines(keepends=True)
        reader = csv.reader(lines[:-1] or lines, delimiter=delimiter)
        try:
            rows = [row for row in itertools.islice(reader, SAMPLE_ROWS) if any(row)]
        except csv.Error:
            rows = []
        header = max(rows[: spreadsheet.HEAD_ROWS], key=count_wanted, default=[])
        return count_wanted(header), len(header) > 1 and len({len(row) for row in rows}) == 1, len(header)

    return max(DELIMITERS, key=rank)  # the first of equals: the comma


def _read_csv_rows(text: io.TextIOWrapper, where: str, delimiter: str, lines_before: int) -> Iterator[Row]:
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    line = lines_before + 1
    try:
        failed = None
        while not failed:
            rows, failed = _read_batch(reader)
            for end, row in rows:
                line = end + lines_before
                yield line, [cell.strip() for cell in row]
                line += 1
            if not rows and not failed:
                return
        # An unclosed quote starts on this line, wherever the reader notices it.
        raise CatalogError(f"{where}, line {line}: not a well-formed CSV ({failed}); check its quotes.") from failed
    finally:
        if not text.closed:
            text.detach()  # the caller closes the file


def _read_batch(reader: Any) -> tuple[list[Row], csv.Error | None]:
    """Return the next rows with the lines they end in, and the error after them; allow cells that hold pictures."""
    rows: list[Row] = []
    with _limit_lock:
        limit = csv.field_size_limit(MAX_CELL_CHARACTERS)  # of the whole process
        try:
            for row in itertools.islice(reader, BATCH_ROWS):
                rows.append((reader.line_num, row))
        except csv.Error as error:
            return rows, error
        finally:
            csv.field_size_limit(limit)
    return rows, None


def _read_parquet_rows(file: BinaryIO, where: str, max_rows: int) -> Iterator[Row]:
    parquet = _import_library("pyarrow.parquet", where)
    limit_bytes = PARQUET_ROW_BYTES * max_rows
    try:
        schema = parquet.read_metadata(file).schema
        columns = [schema.column(number) for number in range(len(schema))]
        texts = [column.path for column in columns if column.physical_type == "BYTE_ARRAY"]
        file.seek(0)
        # As dictionaries, because a text that many rows share is then unpacked once.
        table = parquet.ParquetFile(file, read_dictionary=texts)
        groups = [table.metadata.row_group(number) for number in range(table.metadata.num_row_groups)]
        size, rows = sum(group.total_byte_size for group in groups), table.metadata.num_rows
        if size > limit_bytes or rows > max_rows:
            raise _too_large(where, f"{rows:,} rows, {size:,} bytes unpacked", max_rows)
        yield 1, list(map(str, table.schema_arrow.names))
        number = 1
        for batch in table.iter_batches(batch_size=PARQUET_ROWS):
            if batch.nbytes > limit_bytes:
                raise _too_large(where, f"{batch.nbytes:,} bytes in {PARQUET_ROWS} rows", max_rows)
            for row in zip(*map(_to_cells, batch.columns), strict=True):
                number += 1
                cells = [_format_cell(value, where, number) for value in row]
                size = sum(map(len, cells)) + size
                if size > 2 * limit_bytes:  # each text counts in every row
                    raise _too_large(where, f"{size:,} characters up to row {number}", max_rows)
                yield number, cells
    except CatalogError:
        raise
    except Exception as error:  # pyarrow's exceptions share no base class
        raise CatalogError(f"{where}: damaged, or no Parquet file ({error}); write it again.") from error


def _to_cells(column: Any) -> list[Any]:
    """Return the values of a column; rows that share a text share the object."""
    if hasattr(column, "dictionary"):
        values = column.dictionary.to_pylist()
        return [None if index is None else values[index] for index in column.indices.to_pylist()]
    if hasattr(column, "offsets"):  # lists
        values, ends = _to_cells(column.values), itertools.pairwise(column.offsets.to_pylist())
        return [
            values[slice(*pair)] if ok else None for pair, ok in zip(ends, column.is_valid().to_pylist(), strict=True)
        ]
    return list(column.to_pylist())


def _too_large(where: str, found: str, max_rows: int) -> CatalogError:
    return CatalogError(
        f"{where}: {found}, more than a table of {max_rows:,} rows has; read it with --max-rows {10 * max_rows} if you "
        "trust it."
    )


def _format_cell(value: object, where: str, number: int) -> str:
    """Return a cell as a CSV would hold it; join lists of texts like pictures."""
    if value is None:
        return ""
    if isinstance(value, float):
        if value != value:  # NaN
            return ""
        return NumberCell(int(value) if value.is_integer() and abs(value) < 1e15 else repr(value))
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        return NumberCell(value)
    if isinstance(value, list):
        if sum(len(part) for part in value if isinstance(part, str)) > MAX_CELL_CHARACTERS:
            raise CatalogError(f"{where}, row {number}: a list of over {MAX_CELL_CHARACTERS:,} characters; shorten it.")
        return ";".join(_format_cell(part, where, number) for part in value)
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    if isinstance(value, (bytes, dict)):
        raise CatalogError(f"{where}, row {number}: a cell holds {type(value).__name__}; expected text or a number.")
    return str(value).strip()


def _import_library(name: str, where: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise CatalogError(
            f"{where}: reading it needs {name.partition('.')[0]}; pip install edgesearch[tables], or give a CSV."
        ) from error
