"""Keep the extracts of pictures between builds, by the hash of each file.

A stopped build continues from it, and the next build reuses it. It is one SQLite file. Every picture is written once;
committed extracts survive a killed process.
"""

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from .._util import progress
from .._util.files import try_lock
from ..errors import BundleError

FILE, LOCK = "extracts.sqlite", "lock"
_DATABASE = (FILE, f"{FILE}-wal", f"{FILE}-shm")
FILES = (*_DATABASE, LOCK)  # all that is written
_SCHEMA = """
CREATE TABLE IF NOT EXISTS made (digest TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS extract (key BLOB PRIMARY KEY, content BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS learned (digest TEXT NOT NULL, content TEXT NOT NULL);
"""


class ExtractionCache:
    """The extracts of one extraction setup (see `Extraction.digest`)."""

    def __init__(self, folder: Path, digest: str, fresh: bool = False):
        """Open the cache in `folder`, or create it.

        Args:
            folder: Existing folder; this object holds its lock until `close`.
            digest: Digest of the extraction. A cache of another extraction is discarded.
            fresh: Discard a cache of the same extraction too.
        Raises:
            BundleError: Another build uses the folder, or the file is damaged.
            sqlite3.Error, OSError: The file cannot be written.
        """
        self.folder, self._path = folder, folder / FILE
        with contextlib.ExitStack() as stack:
            lock = stack.enter_context(open(folder / LOCK, "wb"))
            if not try_lock(lock.fileno()):
                raise BundleError(f"{folder}: another build uses it; wait for it, or give another output.")
            if fresh or not self._matches(digest):
                for name in _DATABASE:
                    (folder / name).unlink(missing_ok=True)
            self._connection = stack.enter_context(contextlib.closing(self._connect()))
            with self._connection:
                self._connection.execute("INSERT OR IGNORE INTO made VALUES (?)", [digest])
            self._resources = stack.pop_all()

    def keys(self) -> frozenset[bytes]:
        """Return the keys of all extracts."""
        return frozenset(key for (key,) in self._connection.execute("SELECT key FROM extract"))

    def add(self, extracts: Iterable[tuple[bytes, bytes]]) -> None:
        """Store pairs of key and extract."""
        with self._connection:
            self._connection.executemany("INSERT OR IGNORE INTO extract VALUES (?, ?)", extracts)

    def read(self, keys: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the extract of each key, in their order."""
        for key in keys:
            ((content,),) = self._connection.execute("SELECT content FROM extract WHERE key = ?", [key])
            yield content

    def calibration(self, digest: str, calibrate: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the stored calibration, or compute and store it.

        Args:
            digest: Digest of everything that the calibration depends on. Only the last calibration is kept.
            calibrate: Computes the calibration as a JSON-able dictionary.
        """
        rows = self._connection.execute("SELECT content FROM learned WHERE digest = ?", [digest]).fetchall()
        if not rows:
            rows = [(json.dumps(calibrate()),)]
            with self._connection:
                self._connection.execute("DELETE FROM learned")
                self._connection.execute("INSERT INTO learned VALUES (?, ?)", [digest, *rows[0]])
        return dict(json.loads(rows[0][0]))

    def keep_only(self, keys: Iterable[bytes]) -> None:
        """Delete all other extracts; SQLite reuses their space."""
        others = sorted(self.keys().difference(keys))
        with self._connection:
            self._connection.executemany("DELETE FROM extract WHERE key = ?", [(key,) for key in others])

    def close(self) -> None:
        """Close the file and release the lock."""
        self._resources.close()

    def _matches(self, digest: str) -> bool:
        """Return whether the file was written by the extraction of this digest; tell if by another one."""
        try:
            with contextlib.closing(self._connect()) as connection:
                found = connection.execute("SELECT digest FROM made").fetchall()
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            raise BundleError(f"{self._path}: is damaged ({error}); build again with --fresh.") from error
        if found and found != [(digest,)]:
            progress.note(f"{self.folder}: is of another model, other settings or another version; starts anew.")
        return found == [(digest,)]

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # a power cut can lose the last pictures, nothing else
        connection.executescript(_SCHEMA)
        return connection
