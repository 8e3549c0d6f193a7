"""A catalogue made small: a text that unpacks to the SQLite file it was made of, compressed by LZMA.

A line is a JSON array: the name of a table, then its columns, of up to some thousand rows each. What stands in one
column is alike, so that less of it is left than of the pages of a SQLite file: of 50,000 drawn products 21 bytes each
instead of 213 (`tools/bench budget`).

It costs the time of unpacking whenever the bundle is opened, and deltas in which all of it is new.
"""

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import CatalogError
from .sqlite_catalog import SCHEMA

FILE = "catalog.columns.xz"
TABLES = {"product": 12, "picture": 5}  # and how many columns each has
BATCH_ROWS, BATCH_CHARACTERS = 4096, 1 << 22  # of a line: rows, and the letters after which it has enough of them
MAX_LINE_BYTES, MAX_TOTAL_BYTES = 1 << 26, 1 << 31  # bytes unpacked: a short file may promise very many
LZMA_MEMORY_BYTES = 1 << 24  # bytes, of LZMA, which needs 9 million
STEP_BYTES = 1 << 20  # bytes unpacked at once


def pack(file: Path) -> bytes:
    """The catalogue of a file, as `unpack` takes it; the same rows give the same bytes.

    Raises:  CatalogError: more is said in it than is ever unpacked.
    """
    lzma = _import_lzma()
    packer, packed, total = lzma.LZMACompressor(check=lzma.CHECK_NONE, preset=6), [], 0
    with contextlib.closing(sqlite3.connect(file)) as connection:
        for table in TABLES:
            found = connection.execute(f"SELECT * FROM {table} ORDER BY 1")  # ours
            for rows in _batch_rows(found):
                text = json.dumps([table, *zip(*rows, strict=True)], ensure_ascii=False, separators=(",", ":"))
                line = text.encode() + b"\n"
                total += len(line)
                if len(line) > MAX_LINE_BYTES or total > MAX_TOTAL_BYTES:
                    raise CatalogError(f"{FILE}: too much is said of the products; shorten it, or give no --budget-mb.")
                packed.append(packer.compress(line))
    return b"".join(packed) + packer.flush()


def _batch_rows(found: Iterable[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    """Rows of a line each."""
    rows: list[tuple[Any, ...]] = []
    letters = 0
    for row in found:
        rows.append(row)
        letters += sum(len(value) for value in row if isinstance(value, str))
        if len(rows) == BATCH_ROWS or letters >= BATCH_CHARACTERS:
            yield rows
            rows, letters = [], 0
    if rows:
        yield rows


def unpack(data: bytes | memoryview, file: Path) -> None:
    """Write the catalogue to a new SQLite file; raises CatalogError: `data` is not what `pack` gives."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        _fill_database(connection, data)


def unpack_to_bytes(data: bytes | memoryview) -> bytes:
    """The content of such a file, which nobody writes; raises CatalogError."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        _fill_database(connection, data)
        return connection.serialize()


def _fill_database(connection: sqlite3.Connection, data: bytes | memoryview) -> None:
    lzma = _import_lzma()
    try:
        connection.execute("PRAGMA journal_mode = OFF")  # it is thrown away where it does not get finished,
        connection.execute("PRAGMA synchronous = OFF")  # and when it is closed
        connection.executescript(SCHEMA)
        with connection:
            for line in _decompress_lines(lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=LZMA_MEMORY_BYTES), data):
                table, *columns = json.loads(line)
                if len(columns) != TABLES[table]:
                    raise ValueError(f"{len(columns)} columns of {table}")
                marks = ", ".join("?" * len(columns))
                connection.executemany(f"INSERT INTO {table} VALUES ({marks})", zip(*columns, strict=True))
    except (lzma.LZMAError, sqlite3.Error, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise CatalogError(f"{FILE}: not a readable catalogue ({error}); build the bundle again.") from error


def _import_lzma() -> ModuleType:
    """Python's own; raises CatalogError: this one was made without it."""
    try:
        import lzma  # here: nothing else needs it, and some systems' Python lacks it
    except ImportError as error:
        raise CatalogError(
            f"{FILE}: this Python has no LZMA ({error}); use another, or build the bundle without --budget-mb."
        ) from error
    return lzma


def _decompress_lines(unpacker: Any, data: bytes | memoryview) -> Iterator[bytes]:
    """Raises lzma.LZMAError, ValueError: it is damaged, cut off, or unpacks to more than any catalogue has."""
    rest, total = b"", 0
    while not unpacker.eof:
        more = unpacker.decompress(data, STEP_BYTES)
        data = b""
        if not more and unpacker.needs_input:
            raise ValueError("it is cut off")
        total += len(more)
        *lines, rest = (rest + more).split(b"\n")
        if len(rest) > MAX_LINE_BYTES or total > MAX_TOTAL_BYTES:
            raise ValueError("it unpacks to too much")
        yield from lines
    if rest or unpacker.unused_data:
        raise ValueError("its end is not where it should be")
