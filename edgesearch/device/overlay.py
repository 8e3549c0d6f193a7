"""What a device was taught: one SQLite file beside its bundles, and the log of all that was done to the device.

    change     what it was told of a product (`changes`), by SKU
    picture    reference pictures that it was given
    reference  what the network of a base sees in a picture, by the space in which that can be compared
    event      the log: who, when, what; each carries the hash of those before and of all changes after it

Every change is one transaction (WAL, synced before it is said to be done), with its line of the log. Readers see the
last one that was done and wait for nobody; writers wait for each other. Nothing is rewritten when a base changes: what
the two say together is worked out when they are read. Contents are sealed (`sealing`).
"""

import contextlib
import datetime
import getpass
import hashlib
import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .._util.sqlite_file import DamagedError, Database
from ..bundle.sealing import Seal
from ..errors import DeviceError
from .changes import Change

FILE = "overlay.sqlite"
FORMAT = 1
NAME_DIGITS = 16  # of the hash that names a picture
_SCHEMA = (
    "CREATE TABLE change (sku BLOB PRIMARY KEY, content BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE picture (number INTEGER PRIMARY KEY AUTOINCREMENT, content BLOB NOT NULL)",
    "CREATE TABLE reference (picture INTEGER, space TEXT, content BLOB NOT NULL, PRIMARY KEY (picture, space))",
    "CREATE TABLE event (number INTEGER PRIMARY KEY, content BLOB NOT NULL, chain BLOB NOT NULL)",
    "CREATE TRIGGER kept BEFORE DELETE ON event BEGIN SELECT raise(ABORT, 'the log is only added to'); END",
    "CREATE TRIGGER unchanged BEFORE UPDATE ON event BEGIN SELECT raise(ABORT, 'the log is only added to'); END",
)
TAUGHT = ("enrol", "edit", "remove")  # what `undo` takes back


@dataclass(frozen=True)
class Event:
    """A line of the log.

    Attributes: time: ISO 8601, UTC, by the device's clock; what: one of `TAUGHT`, "undo", "install", "rollback" or
                "fold"; detail: what was done, JSON-able; state: hex hash of all that is taught after it; chain: of this
                and all lines before.
    """

    number: int
    time: str
    who: str
    what: str
    sku: str
    detail: Mapping[str, Any]
    state: str
    chain: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return dict(vars(self))


@dataclass(frozen=True)
class Taught:
    """Everything that is taught at one moment.

    Attributes: version: grows with every line of the log, 0 where there is none; changes: by SKU.
    """

    version: int = 0
    changes: Mapping[str, Change] = field(default_factory=dict)


class Overlay:
    """The overlay of a device folder, which need not be there yet. Safe to share between threads and processes.

    All it does raises DeviceError where the file cannot be read or written, or is not what was written.
    """

    def __init__(self, folder: Path, seal: Seal):
        self.path = Path(folder) / FILE
        self._seal = seal
        self._file = Database(self.path, _SCHEMA, FORMAT)

    def version(self) -> int:
        """The number of the last line of the log; so quick that every query may ask."""
        with self._file.reading() as database:
            return _last(database)[0] if database else 0

    def taught(self) -> Taught:
        """Everything that is taught now."""
        with self._file.reading() as database:
            return self._taught(database) if database else Taught()

    def picture(self, number: int) -> bytes:
        """The JPEG of a picture."""
        with self._file.reading() as database:
            sql = "SELECT content FROM picture WHERE number = ?"
            row = database.execute(sql, (number,)).fetchone() if database else None
            if row is None:
                raise DeviceError(f"{self.path}: picture {number} is not there any more; search again.")
            return self._opened(row[0], f"picture {number}")

    def references(self, space: str, pictures: Iterable[int]) -> dict[int, bytes]:
        """What `keep_references` kept of these pictures, as far as it did."""
        with self._file.reading() as database:
            sql = "SELECT picture, content FROM reference, json_each(?) WHERE space = ? AND picture = value"
            rows = database.execute(sql, (json.dumps(list(pictures)), space)).fetchall() if database else []
            return {number: self._opened(content, f"reference {number} {space}") for number, content in rows}

    def keep_references(self, space: str, references: Mapping[int, bytes]) -> None:
        """Keep what a network sees in pictures; space: in which that can be compared."""
        with self._file.writing() as database:
            self._refer(database, space, references)

    def change(
        self,
        what: str,
        sku: str,
        revise: Callable[[Change | None], Change | None],
        who: str | None = None,
        pictures: Sequence[tuple[bytes, bytes]] = (),
        space: str = "",
    ) -> Event:
        """Change what is known of a product, in one transaction.

        Args:    what: one of `TAUGHT`; revise: from what the device was told of it to what it is told from now on, None
                 where it was, or is, told nothing; where it raises nothing is done; who: None for the user of this
                 process; pictures: to be added, each a JPEG and what is seen in it; space: in which.
        """
        with self._file.writing() as database:
            before = self._taught(database).changes.get(sku)
            after = revise(before)
            if after and pictures:
                added = self._add(database, pictures, space, after.pictures)
                after = replace(after, pictures={**after.pictures, **added})
            return self._tell(database, what, sku, (before, after), who)

    def undo(self, who: str | None = None) -> Event:
        """Take back the last change that was not yet taken back; raises DeviceError where there is none."""
        with self._file.writing() as database:
            last = self._to_undo(database)
            if last is None:
                raise DeviceError(
                    f"{self.path.parent}: nothing was taught since an install forgot what its bundles say; there is "
                    "nothing to undo."
                )
            with _decoding():
                states = [last.detail[state] for state in ("before", "after")]
                after, before = (Change.from_dict(state) if state else None for state in states)
            return self._tell(database, "undo", last.sku, (before, after), who, undoes=last.number)

    def record(self, what: str, detail: Mapping[str, Any], who: str | None = None) -> Event:
        """Add a line to the log, of something that changes nothing that is taught."""
        with self._file.writing() as database:
            return self._log(database, what, "", who, detail)

    def fold(self, settled: Callable[[str, Change], bool], spaces: Collection[str]) -> list[str]:
        """Forget what the bases say by now, pictures that were taken away, and what is seen in other spaces than these.

        Args:    settled: whether a change, with its SKU, says nothing any more.
        Returns: the SKUs of which nothing is kept.
        """
        with self._file.writing() as database:
            changes = self._taught(database).changes
            gone = [sku for sku, change in changes.items() if settled(sku, change)]
            database.executemany("DELETE FROM change WHERE sku = ?", [(self._seal.name(sku),) for sku in gone])
            kept = [number for sku in changes.keys() - gone for number in changes[sku].pictures.values()]
            taken = database.execute(
                "DELETE FROM picture WHERE number NOT IN (SELECT value FROM json_each(?))", (json.dumps(kept),)
            ).rowcount
            database.execute(
                "DELETE FROM reference WHERE picture NOT IN (SELECT number FROM picture)"
                " OR space NOT IN (SELECT value FROM json_each(?))",
                (json.dumps([*spaces]),),
            )
            if gone or taken:  # what is gone cannot be brought back by `undo`
                self._log(database, "fold", "", None, {"skus": gone})
        return gone

    def events(self) -> list[Event]:
        """The log, oldest first; raises DeviceError where a line is not what was written, or is missing in between."""
        with self._file.reading() as database:
            sql = "SELECT number, content, chain FROM event ORDER BY number"
            rows = database.execute(sql).fetchall() if database else []
            chain = b""
            with _decoding():
                for place, (number, content, expected) in enumerate(rows, 1):
                    chain = _chained(chain, number, content)
                    if (number, expected) != (place, chain):
                        raise DamagedError(f"line {place} of its log was changed")
                return [self._event(*row) for row in rows]

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _taught(self, database: sqlite3.Connection) -> Taught:
        """The last line of the log says the hash of all changes: none can have been lost."""
        rows = database.execute("SELECT sku, content FROM change ORDER BY sku").fetchall()
        version, _ = _last(database)
        with _decoding():
            if (self._event_at(database, version).state if version else _hash_of([])) != _hash_of(rows):
                raise DamagedError("its changes are not those of its log")
            tables = [self._table(content, f"change {name.hex()}") for name, content in rows]
            return Taught(version, {table["sku"]: Change.from_dict(table) for table in tables})

    def _tell(
        self,
        database: sqlite3.Connection,
        what: str,
        sku: str,
        states: tuple[Change | None, Change | None],
        who: str | None,
        **detail: Any,
    ) -> Event:
        """states: before and after."""
        name = self._seal.name(sku)
        before, after = (state.to_dict() if state else None for state in states)
        if after is None:
            database.execute("DELETE FROM change WHERE sku = ?", (name,))
        else:
            content = self._seal.close(_json({"sku": sku, **after}), f"change {name.hex()}")
            database.execute("INSERT OR REPLACE INTO change VALUES (?, ?)", (name, content))
        return self._log(database, what, sku, who, {"before": before, "after": after, **detail})

    def _add(
        self, database: sqlite3.Connection, pictures: Sequence[tuple[bytes, bytes]], space: str, known: Collection[str]
    ) -> dict[str, int]:
        """A picture's number is part of what it is sealed for, so that is asked first."""
        added: dict[str, int] = {}
        for jpeg, reference in pictures:
            name = hashlib.sha256(jpeg).hexdigest()[:NAME_DIGITS]
            if name in known or name in added:
                continue
            number = database.execute("INSERT INTO picture (content) VALUES (x'')").lastrowid
            assert number is not None
            content = self._seal.close(jpeg, f"picture {number}")
            database.execute("UPDATE picture SET content = ? WHERE number = ?", (content, number))
            self._refer(database, space, {number: reference})
            added[name] = number
        return added

    def _refer(self, database: sqlite3.Connection, space: str, references: Mapping[int, bytes]) -> None:
        rows = [(n, space, self._seal.close(content, f"reference {n} {space}")) for n, content in references.items()]
        database.executemany("INSERT OR REPLACE INTO reference VALUES (?, ?, ?)", rows)

    def _log(
        self, database: sqlite3.Connection, what: str, sku: str, who: str | None, detail: Mapping[str, Any]
    ) -> Event:
        last, before = _last(database)
        number = last + 1
        time = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        state = _hash_of(database.execute("SELECT sku, content FROM change ORDER BY sku").fetchall())
        user = (who or _user()).encode(errors="replace").decode()
        table = {"time": time, "who": user, "what": what, "sku": sku, "detail": detail, "state": state}
        content = self._seal.close(_json(table), f"event {number}")
        chain = _chained(before, number, content)
        database.execute("INSERT INTO event VALUES (?, ?, ?)", (number, content, chain))
        return self._event(number, content, chain)

    def _to_undo(self, database: sqlite3.Connection) -> Event | None:
        undone = set()
        for row in database.execute("SELECT number, content, chain FROM event ORDER BY number DESC"):
            event = self._event(*row)
            if event.what == "fold":
                return None
            if event.what == "undo":
                undone.add(event.detail.get("undoes"))
            elif event.what in TAUGHT and event.number not in undone:
                return event
        return None

    def _event_at(self, database: sqlite3.Connection, number: int) -> Event:
        sql = "SELECT number, content, chain FROM event WHERE number = ?"
        return self._event(*database.execute(sql, (number,)).fetchone())

    def _event(self, number: int, content: bytes, chain: bytes) -> Event:
        with _decoding():
            return Event(number=number, chain=chain.hex(), **self._table(content, f"event {number}"))

    def _table(self, sealed: bytes, context: str) -> dict[str, Any]:
        return dict(json.loads(self._opened(sealed, context)))

    def _opened(self, sealed: bytes, context: str) -> bytes:
        try:
            return self._seal.open(sealed, context)
        except (ValueError, TypeError) as error:
            raise DamagedError(f"{context[:80]}: {error}") from error


@contextlib.contextmanager
def _decoding() -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise DamagedError(str(error)) from error


def _last(database: sqlite3.Connection) -> tuple[int, bytes]:
    """Number and chain of the last line of the log."""
    row = database.execute("SELECT number, chain FROM event ORDER BY number DESC LIMIT 1").fetchone()
    number, chain = row or (0, b"")
    if number < 0 or not isinstance(chain, bytes):
        raise DamagedError("the last line of its log is cut off")
    return number, chain


def _chained(before: bytes, number: int, content: bytes) -> bytes:
    return hashlib.sha256(before + number.to_bytes(8, "big") + content).digest()


def _hash_of(rows: list[tuple[bytes, bytes]]) -> str:
    digest = hashlib.sha256()
    for name, content in rows:
        digest.update(len(name).to_bytes(8, "big") + name + len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()


def _json(table: Mapping[str, Any]) -> bytes:
    return json.dumps(table, ensure_ascii=False, sort_keys=True).encode()


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a user without a name
        return "unknown"
