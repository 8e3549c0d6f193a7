"""Read a SQLite file, and share the connection between threads."""

import sqlite3
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

from ..errors import EdgeSearchError


class SqliteReader:
    """A SQLite file that is only read, or its content in memory. Safe to share between threads."""

    def __init__(self, file: Path | bytes | None, damaged: Callable[[object], EdgeSearchError]):
        """Open the file.

        Args:
            file: path, or content; None: an empty database in memory.
            damaged: returns the error to raise if SQLite refuses the file, from SQLite's reason.
        Raises:
            EdgeSearchError: the error that `damaged` returns.
        """
        self._damaged, self._lock = damaged, threading.Lock()
        try:
            self.connection = _connect(file)
        except sqlite3.Error as error:
            raise damaged(error) from error
        weakref.finalize(self, self.connection.close)

    def query(self, sql: str, *arguments: object) -> list[tuple]:  # type: ignore[type-arg]
        """Return all rows of a statement; raise the error of `damaged` if SQLite fails."""
        try:
            with self._lock:
                return self.connection.execute(sql, arguments).fetchall()
        except (sqlite3.Error, UnicodeDecodeError) as error:  # SQLite quotes bytes of a damaged file
            raise self._damaged(error) from error

    def close(self) -> None:
        """Close the file."""
        self.connection.close()


def _connect(file: Path | bytes | None) -> sqlite3.Connection:
    if isinstance(file, Path):
        return sqlite3.connect(file.resolve().as_uri() + "?mode=ro&immutable=1", uri=True, check_same_thread=False)
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    if file is not None:
        connection.deserialize(file)
    return connection
