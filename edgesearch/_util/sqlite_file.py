"""A SQLite file of a device that many threads and processes use at once, and that no fault may break.

Write-ahead log (sqlite.org/wal.html), synced before a transaction is said to be done. Readers see the last that was
done and wait for nobody; writers wait for each other.
"""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import DeviceError

PATIENCE_S = 60  # a writer waits for the others


class DamagedError(Exception):
    """What is read is not what was written; an error of the device where it leaves `reading` or `writing`."""


class Database:
    """The file, which need not be there yet. Safe to share between threads and processes."""

    def __init__(self, path: Path, schema: Sequence[str], version: int):
        """
        Args:    schema: statements that make the file; version: of its format.
        """
        self.path, self._schema, self._version = path, schema, version
        self._lock = threading.Lock()
        self._reader: _Reader | None = None

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection | None]:
        """One moment of the file; None where nothing is there yet. Raises DeviceError."""
        with self._lock, self._explained():
            if self._reader is not None and self._reader.is_stale():
                self._reader.close()
                self._reader = None
            if self._reader is None and os.path.exists(self.path):
                self._reader = _Reader(self.path)
            if self._reader is None:
                yield None
                return
            connection = self._reader.connection
            connection.execute("BEGIN")
            try:
                yield connection if self._is_made(connection) else None
            finally:
                connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is done, and kept, or nothing. Raises DeviceError.

        A connection of its own keeps no reader waiting.
        """
        with self._explained():
            # SQLite gives its files beside it the same permissions. One that is there must not be opened here: to close
            # it would end the locks that other connections of this process hold.
            with contextlib.suppress(FileExistsError):
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            with contextlib.closing(sqlite3.connect(self.path, PATIENCE_S, isolation_level=None)) as connection:
                connection.execute("PRAGMA synchronous = FULL")
                if not self._is_made(connection):
                    self._make(connection)
                with contextlib.suppress(sqlite3.OperationalError):  # others are making it: another time
                    connection.execute("PRAGMA journal_mode = WAL")
                with _transaction(connection):
                    yield connection

    def wipe(self) -> None:
        """Delete all rows so that no byte of them stays in the file or its log. Raises DeviceError.

        The contents of rows are overwritten with zeros, then the file is written anew, and the log is cut off. What the
        file system or the flash keeps of blocks it has given up, only an encrypted folder protects.
        """
        if not os.path.exists(self.path):
            return
        with self.writing() as database:
            database.execute("PRAGMA secure_delete = ON")
            for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                database.execute(f'DELETE FROM "{table}"')
        with (
            self._explained(),
            contextlib.closing(sqlite3.connect(self.path, PATIENCE_S, isolation_level=None)) as connection,
        ):
            self._cut_log(connection)  # zeros over what is now in pages that are given up
            connection.execute("VACUUM")
            self._cut_log(connection)

    def _cut_log(self, connection: sqlite3.Connection) -> None:
        ((busy, _, _),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if busy:
            raise DeviceError(f"{self.path}: is deleted, but another process still reads it; do it again.")

    def close(self) -> None:
        """Close the file; it is opened again where it is read again."""
        with self._lock:
            if self._reader is not None:
                self._reader.close()
                self._reader = None

    def _make(self, connection: sqlite3.Connection) -> None:
        with _transaction(connection):
            if not self._is_made(connection):
                for statement in self._schema:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {self._version}")

    def _is_made(self, connection: sqlite3.Connection) -> bool:
        ((tables,),) = connection.execute("SELECT count(*) FROM sqlite_master")
        ((found,),) = connection.execute("PRAGMA user_version")
        if tables and found != self._version:
            raise DeviceError(f"{self.path}: format {found}; this version reads {self._version}, upgrade edgesearch.")
        return bool(tables)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """What goes wrong is the disk's, or what is read is not what was written."""
        try:
            yield
        except (sqlite3.OperationalError, OSError) as error:
            raise DeviceError(
                f"{self.path}: cannot be used ({error}); check its space and permissions, and who else is writing."
            ) from error
        except (sqlite3.Error, UnicodeDecodeError, DamagedError) as error:  # SQLite quotes what it found
            raise DeviceError(
                f"{self.path}: is damaged ({error}); restore it with its -wal and -shm, or move them away to go on "
                "without what is in it."
            ) from error


class _Reader:
    """A connection to read; where the folder cannot be written and nothing is pending, of the file as it is."""

    def __init__(self, path: Path):
        self._path, self._fixed = path, False
        try:
            self.connection = self._connected("mode=rw")
        except sqlite3.OperationalError:
            if self._pending():
                raise
            self._fixed, self.connection = True, self._connected("immutable=1")
        self.connection.execute("PRAGMA query_only = 1")
        self._seen = self._identity()

    def is_stale(self) -> bool:
        """The file is another by now, or one that is taken for fixed has changed."""
        return self._identity() != self._seen

    def close(self) -> None:
        """Close it."""
        self.connection.close()

    def _connected(self, mode: str) -> sqlite3.Connection:
        address = f"{self._path.resolve().as_uri()}?{mode}"
        connection = sqlite3.connect(address, PATIENCE_S, isolation_level=None, check_same_thread=False, uri=True)
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except BaseException:
            connection.close()
            raise
        return connection

    def _identity(self) -> tuple[object, ...]:
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return ()
        changing = (found.st_size, found.st_mtime_ns, self._pending()) if self._fixed else ()
        return (found.st_dev, found.st_ino, *changing)

    def _pending(self) -> bool:
        log = self._path.with_name(f"{self._path.name}-wal")
        return log.exists() and log.stat().st_size > 0


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
