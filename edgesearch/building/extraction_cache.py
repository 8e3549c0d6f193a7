"""What a build took from pictures so far, by the hash of their files: of a build that is stopped, and of the next one.

One SQLite file. A picture is written once; what was written before a process was killed is there after.
"""

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from .._util.files import try_lock
from ..errors import BundleError

FILE, LOCK = "extracts.sqlite", "lock"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS made (digest TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS extract (key BLOB PRIMARY KEY, content BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS learned (digest TEXT NOT NULL, content TEXT NOT NULL);
"""


class ExtractionCache:
    """The extracts of one extraction."""

    def __init__(self, folder: Path, digest: str):
        """
        Args:    digest: of the extraction; what another one left is thrown away.
        Raises:  BundleError: another build works there; sqlite3.Error, OSError: it cannot be written.
        """
        self._path = folder / FILE
        with contextlib.ExitStack() as held:
            lock = held.enter_context(open(folder / LOCK, "wb"))
            if not try_lock(lock.fileno()):
                raise BundleError(f"{folder}: another build works there; wait for it, or build without --resume.")
            if not self._is_of(digest):
                for suffix in ("", "-wal", "-shm"):
                    Path(f"{self._path}{suffix}").unlink(missing_ok=True)
            self._connection = held.enter_context(contextlib.closing(self._opened()))
            with self._connection:
                self._connection.execute("INSERT OR IGNORE INTO made VALUES (?)", [digest])
            self._held = held.pop_all()

    def known(self) -> frozenset[bytes]:
        """The keys of all that is here."""
        return frozenset(key for (key,) in self._connection.execute("SELECT key FROM extract"))

    def add(self, extracts: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep extracts by their keys."""
        with self._connection:
            self._connection.executemany("INSERT OR IGNORE INTO extract VALUES (?, ?)", extracts)

    def find(self, keys: Iterable[bytes]) -> Iterator[bytes]:
        """The extracts of these keys, one after the other."""
        for key in keys:
            ((content,),) = self._connection.execute("SELECT content FROM extract WHERE key = ?", [key])
            yield content

    def learned(self, digest: str, learn: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What is learned of something, JSON-able; digest: of all that it depends on, the last is kept."""
        found = self._connection.execute("SELECT content FROM learned WHERE digest = ?", [digest]).fetchall()
        if not found:
            found = [(json.dumps(learn()),)]
            with self._connection:
                self._connection.execute("DELETE FROM learned")
                self._connection.execute("INSERT INTO learned VALUES (?, ?)", [digest, *found[0]])
        return dict(json.loads(found[0][0]))

    def keep(self, keys: Iterable[bytes]) -> None:
        """Forget all others; their place in the file is used again."""
        others = sorted(self.known().difference(keys))
        with self._connection:
            self._connection.executemany("DELETE FROM extract WHERE key = ?", [(key,) for key in others])

    def close(self) -> None:
        """Let another build work there."""
        self._held.close()

    def _is_of(self, digest: str) -> bool:
        try:
            with contextlib.closing(self._opened()) as connection:
                return connection.execute("SELECT digest FROM made").fetchall() == [(digest,)]
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            raise BundleError(f"{self._path}: is damaged ({error}); remove its folder, and build again.") from error

    def _opened(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # a power cut may lose the last pictures, and nothing else
        connection.executescript(_SCHEMA)
        return connection


@contextlib.contextmanager
def opened(folder: Path, digest: str) -> Iterator[ExtractionCache]:
    """The work in a folder, until the context ends; raises as `ExtractionCache`."""
    work = ExtractionCache(folder, digest)
    with contextlib.closing(work):
        yield work
