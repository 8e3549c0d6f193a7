"""Hash what a line of the device's log stands for: itself, all lines before it, and what was in force after it."""

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .._util.sqlite_file import DamagedError


@contextlib.contextmanager
def decoding() -> Iterator[None]:
    """Raise DamagedError for the errors of decoding foreign content."""
    try:
        yield
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise DamagedError(str(error)) from error


def last_line(database: sqlite3.Connection) -> tuple[int, bytes]:
    """Return number and chain hash of the last line of the log."""
    row = database.execute("SELECT number, chain FROM event ORDER BY number DESC LIMIT 1").fetchone()
    number, chain = row or (0, b"")
    if number < 0 or not isinstance(chain, bytes):
        raise DamagedError("the last line of its log is cut off")
    return number, chain


def chain_hash(before: bytes, number: int, content: bytes) -> bytes:
    """Return the hash of a line and all lines before it, of which `before` is the hash."""
    return hashlib.sha256(before + number.to_bytes(8, "big") + content).digest()


def hash_rows(rows: Sequence[tuple[bytes, bytes]]) -> str:
    """Return the hex hash of names and contents."""
    digest = hashlib.sha256()
    for name, content in rows:
        digest.update(len(name).to_bytes(8, "big") + name + len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()


def hash_learned(database: sqlite3.Connection) -> str:
    """Return the hex hash of what the device learned, without pictures, and of its settings."""
    rows: list[tuple[bytes, bytes]] = []
    for table in ("learned", "learned_setting"):
        sql = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
        if database.execute(sql, (table,)).fetchone():
            found = database.execute(f"SELECT number, content FROM {table} ORDER BY number").fetchall()
            rows += [(f"{table} {number}".encode(), content) for number, content in found]
    return hash_rows(rows)


def to_json(table: Mapping[str, Any]) -> bytes:
    """Return a table as it is stored."""
    return json.dumps(table, ensure_ascii=False, sort_keys=True).encode()
