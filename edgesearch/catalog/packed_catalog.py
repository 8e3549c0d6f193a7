"""Pack a catalogue for small bundles: LZMA-compressed text from which the SQLite file is made again.

Each line is a JSON array: the name of a table, then the columns of up to some thousand of its rows. Values of one
column resemble each other, so they compress better than the pages of a SQLite file: to 21 instead of 213 bytes a
product, for 50,000 drawn products (`tools/bench budget`).

The price: it is unpacked whenever the bundle is opened, and a delta always carries all of it.
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
TABLES = {"product": 12, "picture": 5}  # columns of each
BATCH_ROWS, BATCH_CHARACTERS = 4096, 1 << 22  # a line ends when it has this many of either
MAX_LINE_BYTES, MAX_TOTAL_BYTES = 1 << 26, 1 << 31  # unpacked: a short file could unpack to far too much
LZMA_MEMORY_BYTES = 1 << 24  # the most that unpacking may use; it needs 9 million
STEP_BYTES = 1 << 20  # unpacked at once


def pack(file: Path) -> bytes:
    """Pack a catalogue file; the same rows always give the same bytes.

    Raises:  CatalogError: the texts are longer than `unpack` accepts.
    """
    lzma = _import_lzma()
    packer, packed, total = lzma.LZMACompressor(check=lzma.CHECK_NONE, preset=6), [], 0
    with contextlib.closing(sqlite3.connect(file)) as connection:
        for table in TABLES:
            found = connection.execute(f"SELECT * FROM {table} ORDER BY 1")
            for rows in _batch_rows(found):
                text = json.dumps([table, *zip(*rows, strict=True)], ensure_ascii=False, separators=(",", ":"))
                line = text.encode() + b"\n"
                total += len(line)
                if len(line) > MAX_LINE_BYTES or total > MAX_TOTAL_BYTES:
                    raise CatalogError(
                        f"{FILE}: the product texts are too long to pack; shorten them, or build without --budget-mb."
                    )
                packed.append(packer.compress(line))
    return b"".join(packed) + packer.flush()


def _batch_rows(found: Iterable[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows of one line at a time."""
    rows: list[tuple[Any, ...]] = []
    characters = 0
    for row in found:
        rows.append(row)
        characters += sum(len(value) for value in row if isinstance(value, str))
        if len(rows) == BATCH_ROWS or characters >= BATCH_CHARACTERS:
            yield rows
            rows, characters = [], 0
    if rows:
        yield rows


def unpack(data: bytes | memoryview, file: Path) -> None:
    """Write a packed catalogue to a new SQLite file; raise CatalogError if `data` is damaged."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        _fill_database(connection, data)


def unpack_to_bytes(data: bytes | memoryview) -> bytes:
    """Return the content of the SQLite file of a packed catalogue; raise CatalogError if `data` is damaged."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        _fill_database(connection, data)
        return connection.serialize()


def _fill_database(connection: sqlite3.Connection, data: bytes | memoryview) -> None:
    lzma = _import_lzma()
    try:
        connection.execute("PRAGMA journal_mode = OFF")  # durability is not needed: an unfinished file
        connection.execute("PRAGMA synchronous = OFF")  # is thrown away, and a finished one is only a copy
        connection.executescript(SCHEMA)
        with connection:
            for line in _decompress_lines(lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=LZMA_MEMORY_BYTES), data):
                table, *columns = json.loads(line)
                if len(columns) != TABLES[table]:
                    raise ValueError(f"{len(columns)} columns of {table}, expected {TABLES[table]}")
                marks = ", ".join("?" * len(columns))
                connection.executemany(f"INSERT INTO {table} VALUES ({marks})", zip(*columns, strict=True))
    except (lzma.LZMAError, sqlite3.Error, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise CatalogError(f"{FILE}: not a readable catalogue ({error}); build the bundle again.") from error


def _import_lzma() -> ModuleType:
    """Import Python's LZMA module; raise CatalogError if this Python was built without it."""
    try:
        import lzma  # here: nothing else needs it, and the Python of some systems lacks it
    except ImportError as error:
        raise CatalogError(
            f"{FILE}: this Python has no LZMA ({error}); use another Python, or build the bundle without --budget-mb."
        ) from error
    return lzma


def _decompress_lines(decompressor: Any, data: bytes | memoryview) -> Iterator[bytes]:
    """Yield the lines; raise lzma.LZMAError or ValueError if the data is damaged, cut off or unpacks to too much."""
    rest, total = b"", 0
    while not decompressor.eof:
        more = decompressor.decompress(data, STEP_BYTES)
        data = b""
        if not more and decompressor.needs_input:
            raise ValueError("it is cut off")
        total += len(more)
        *lines, rest = (rest + more).split(b"\n")
        if len(rest) > MAX_LINE_BYTES or total > MAX_TOTAL_BYTES:
            raise ValueError("it unpacks to too much")
        yield from lines
    if rest or decompressor.unused_data:
        raise ValueError("data after its end")
