"""Read a SQLite file that somebody else wrote, and share the connection between threads.

SQLite itself withstands hostile files (sqlite.org/security.html), but runs what their schema says: a view in place of a
table can be an endless query. So a file must have exactly the schema that this program writes, and no query runs for
longer than `MAX_QUERY_S`.
"""

import contextlib
import math
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path

from ..errors import EdgeSearchError
from . import stopping

MAX_QUERY_S = 60.0  # far above what an honest file needs, on a handheld too
MAX_VALUE_BYTES = 1 << 28  # the list of the products of 20 million pictures
_STEPS = 100_000  # of SQLite's virtual machine between looks at the clock, about a millisecond
_SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name LIMIT 100"
_VERSION = "PRAGMA user_version"


class SqliteReader:
    """A SQLite file that is only read, or its content in memory. Safe to share between threads."""

    def __init__(self, file: Path | bytes | None, schema: str, damaged: Callable[[object], EdgeSearchError]):
        """Open the file.

        Args:
            file: path, or content; None: an empty database in memory.
            schema: statements that create the tables, which a file must have and no others.
            damaged: returns the error to raise if SQLite refuses the file, from SQLite's reason.
        Raises:
            EdgeSearchError: the error that `damaged` returns.
        """
        self._damaged, self._lock, self._until_s = damaged, threading.Lock(), math.inf
        self._stopped: EdgeSearchError | None = None
        try:
            self.connection = _connect(file)
        except sqlite3.Error as error:
            raise damaged(error) from error
        weakref.finalize(self, self.connection.close)
        self.connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)
        reader = weakref.ref(self)  # the connection must not keep this object
        self.connection.set_progress_handler(lambda: (one := reader()) is not None and one._is_over(), _STEPS)
        if file is not None:
            try:
                self._check_schema(schema)
            except EdgeSearchError:
                self.close()
                raise

    def query(self, sql: str, *arguments: object) -> list[tuple]:  # type: ignore[type-arg]
        """Return all rows of a statement; raise the error of `damaged` if SQLite fails, and StoppedError if stopped."""
        with self._lock:
            self._until_s, self._stopped = time.monotonic() + MAX_QUERY_S, None
            try:
                return self.connection.execute(sql, arguments).fetchall()
            except (sqlite3.Error, UnicodeDecodeError) as error:  # SQLite quotes bytes of a damaged file
                raise self._stopped or self._damaged(error) from error
            finally:
                self._until_s = math.inf

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def _check_schema(self, schema: str) -> None:
        """Raise the error of `damaged` unless the file has the tables that `schema` creates, and nothing else.

        A file of another format passes; its reader refuses it by its number.
        """
        with contextlib.closing(sqlite3.connect(":memory:")) as model:
            model.executescript(schema)
            expected, version = (model.execute(sql).fetchall() for sql in (_SCHEMA, _VERSION))
        self.query("PRAGMA trusted_schema = OFF")
        self.query("PRAGMA cell_size_check = ON")
        if self.query(_VERSION) == version and self.query(_SCHEMA) != expected:
            raise self._damaged("its tables are not those of a bundle")

    def _is_over(self) -> bool:
        """Return whether the running query is to end."""
        try:
            stopping.check()
        except EdgeSearchError as stopped:
            self._stopped = stopped
        return self._stopped is not None or time.monotonic() > self._until_s


def _connect(file: Path | bytes | None) -> sqlite3.Connection:
    if isinstance(file, Path):
        return sqlite3.connect(file.resolve().as_uri() + "?mode=ro&immutable=1", uri=True, check_same_thread=False)
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    if file is not None:
        connection.deserialize(file)
    return connection
