"""Share a SQLite file between threads and processes, so that no power cut or killed process damages it.

It uses a write-ahead log (sqlite.org/wal.html), which is synced before a transaction counts as done. Readers see the
last complete transaction and wait for nobody; writers wait for each other.
"""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import DeviceError

BUSY_TIMEOUT_S = 60  # a writer waits this long for others


class DamagedError(Exception):
    """Content that differs from what was written; `reading` and `writing` turn it into a DeviceError."""


class SqliteFile:
    """A SQLite file, which need not exist yet. Safe to share between threads and processes."""

    def __init__(self, path: Path, schema: Sequence[str], version: int):
        """Name the file; `schema` are the statements that create its tables, `version` is the number of its format."""
        self.path, self._schema, self._version = path, schema, version
        self._lock = threading.Lock()
        self._reader: _Reader | None = None

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection | None]:
        """Yield a connection that sees one moment of the file, or None if the file is empty; raise DeviceError."""
        with self._lock, self._translating_errors():
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
                yield connection if self._has_tables(connection) else None
            finally:
                connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection in a transaction, which is stored completely or not at all; raise DeviceError.

        Each writer has its own connection, so that no reader waits.
        """
        with self._translating_errors():
            # SQLite gives its -wal and -shm files the permissions of the file. An existing file must not be opened
            # here: closing it would release the locks of this process's other connections.
            with contextlib.suppress(FileExistsError):
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            with contextlib.closing(sqlite3.connect(self.path, BUSY_TIMEOUT_S, isolation_level=None)) as connection:
                connection.execute("PRAGMA synchronous = FULL")
                if not self._has_tables(connection):
                    self._create_tables(connection)
                with contextlib.suppress(sqlite3.OperationalError):  # others are creating the file; the next writer can
                    connection.execute("PRAGMA journal_mode = WAL")
                with _transaction(connection):
                    yield connection
                with contextlib.suppress(sqlite3.Error):  # it is stored; this moves it from the -wal into the file,
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)")  # which nobody deletes as a leftover

    def wipe(self) -> None:
        """Delete all rows so that no byte of them stays in the file or its log; raise DeviceError.

        Rows are overwritten with zeros, the file is written anew, and the log is truncated. Blocks that the file system
        or the flash has released may keep the old bytes; only an encrypted folder protects those.
        """
        if not os.path.exists(self.path):
            return
        with self.writing() as database:
            database.execute("PRAGMA secure_delete = ON")
            for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                database.execute(f'DELETE FROM "{table}"')
        self.scrub()

    def scrub(self) -> None:
        """Write the file anew, so that no byte of rows that were deleted with `secure_delete` stays; as `wipe`."""
        with (
            self._translating_errors(),
            contextlib.closing(sqlite3.connect(self.path, BUSY_TIMEOUT_S, isolation_level=None)) as connection,
        ):
            self._truncate_log(connection)  # writes the zeros over the pages that are released next
            connection.execute("VACUUM")
            self._truncate_log(connection)

    def close(self) -> None:
        """Close the file; reading it opens it again."""
        with self._lock:
            if self._reader is not None:
                self._reader.close()
                self._reader = None

    def _truncate_log(self, connection: sqlite3.Connection) -> None:
        ((busy, _, _),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if busy:
            raise DeviceError(f"{self.path}: is deleted, but another process still reads it; do it again.")

    def _create_tables(self, connection: sqlite3.Connection) -> None:
        with _transaction(connection):
            if not self._has_tables(connection):
                for statement in self._schema:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {self._version}")

    def _has_tables(self, connection: sqlite3.Connection) -> bool:
        ((tables,),) = connection.execute("SELECT count(*) FROM sqlite_master")
        ((found,),) = connection.execute("PRAGMA user_version")
        if tables and found != self._version:
            raise DeviceError(f"{self.path}: format {found}; this version reads {self._version}, upgrade edgesearch.")
        return bool(tables)

    @contextlib.contextmanager
    def _translating_errors(self) -> Iterator[None]:
        """Raise DeviceError for errors of the disk, and for damaged content."""
        try:
            yield
        except (sqlite3.OperationalError, OSError) as error:
            raise DeviceError(
                f"{self.path}: cannot be used ({error}); check its space and permissions, and who else is writing."
            ) from error
        except (sqlite3.Error, UnicodeDecodeError, DamagedError) as error:  # SQLite quotes bytes of a damaged file
            raise DeviceError(
                f"{self.path}: is damaged ({error}); restore it with its -wal and -shm, or move them away to go on "
                "without what is in it."
            ) from error


class _Reader:
    """A connection for reading; if the folder is read-only and no write is pending, it reads the file as immutable."""

    def __init__(self, path: Path):
        self._path, self._is_immutable = path, False
        try:
            self.connection = self._connect("mode=rw")
        except sqlite3.OperationalError:
            if self._has_pending_writes():
                raise
            self._is_immutable, self.connection = True, self._connect("immutable=1")
        self.connection.execute("PRAGMA query_only = 1")
        self._opened_identity = self._identity()

    def is_stale(self) -> bool:
        """Return whether a path names another file by now, or a file read as immutable has changed."""
        return self._identity() != self._opened_identity

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def _connect(self, mode: str) -> sqlite3.Connection:
        address = f"{self._path.resolve().as_uri()}?{mode}"
        connection = sqlite3.connect(address, BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, uri=True)
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
        if self._is_immutable:
            return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, self._has_pending_writes())
        return (found.st_dev, found.st_ino, *(self._inode(suffix) for suffix in ("-wal", "-shm")))

    def _inode(self, suffix: str) -> int | None:
        """Return the number of a file beside it; None if somebody has deleted it, and others may have a new one."""
        with contextlib.suppress(OSError):
            return os.stat(f"{self._path}{suffix}").st_ino
        return None

    def _has_pending_writes(self) -> bool:
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
