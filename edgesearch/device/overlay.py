"""The overlay: what a device was taught, and the log of everything done to the device, in one SQLite file.

    change     change of each product (`changes`), by SKU
    picture    reference pictures that staff added
    reference  what a bundle's network computed from a picture, by the space in which references can be compared
    event      the log: who, when, what; each line contains a hash of all earlier lines, and of all changes after it

Each change is one transaction together with its line of the log, and is synced before it counts as done. Readers see
the last complete transaction and wait for nobody; writers wait for each other. Installing another bundle rewrites
nothing: the overlay is merged with the bundle when both are read. All contents are sealed (`sealing`).
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

from .._util.plain_text import has_control, plain
from .._util.sqlite_file import DamagedError, SqliteFile
from ..bundle.sealing import Seal
from ..errors import DeviceError
from .changes import Change, describe
from .head import Head
from .log_chain import chain_hash, decoding, hash_learned, hash_rows, last_line, to_json

FILE = "overlay.sqlite"
FORMAT = 1
NAME_DIGITS = 16  # of the hash that names a picture
MAX_NAME = 100  # characters of a user
_SCHEMA = (
    "CREATE TABLE change (sku BLOB PRIMARY KEY, content BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE picture (number INTEGER PRIMARY KEY AUTOINCREMENT, content BLOB NOT NULL)",
    "CREATE TABLE reference (picture INTEGER, space TEXT, content BLOB NOT NULL, PRIMARY KEY (picture, space))",
    "CREATE TABLE event (number INTEGER PRIMARY KEY, content BLOB NOT NULL, chain BLOB NOT NULL)",
    "CREATE TRIGGER kept BEFORE DELETE ON event BEGIN SELECT raise(ABORT, 'the log is only added to'); END",
    "CREATE TRIGGER unchanged BEFORE UPDATE ON event BEGIN SELECT raise(ABORT, 'the log is only added to'); END",
)
UNDOABLE = ("enrol", "edit", "remove")  # kinds of events


@dataclass(frozen=True)
class Event:
    """A line of the log.

    Attributes:
        number: Counts from 1.
        time: ISO 8601, UTC, by the device's clock.
        who: User.
        what: One of `UNDOABLE`, "undo", "install", "rollback", "forward", "failed", "fold" or "accept" (of changes made
            without the key); of `learned`, "learning", "learn", "settle", "forget" or "erase".
        sku: Of the changed product; "" if there is none.
        detail: Further values, JSON-able.
        state: Hex hash of all changes after the event.
        learned: Hex hash of what was learned by then; "" in lines of versions before 2026-12.
        chain: Hex hash of this line and all earlier ones.
    """

    number: int
    time: str
    who: str
    what: str
    sku: str
    detail: Mapping[str, Any]
    state: str
    chain: str
    learned: str = ""

    @property
    def changes(self) -> list[str]:
        """Say what the event changed, such as "price 2.50 -> 4.50"; raise DeviceError if it is damaged."""
        with decoding():
            states = [self.detail.get(state) for state in ("before", "after")]
            before, after = (Change.from_dict(state) if state else None for state in states)
            return describe(before, after)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form, with the changes in words."""
        return dict(vars(self)) | {"changes": self.changes}


@dataclass(frozen=True)
class OverlaySnapshot:
    """The changes of all products at one moment.

    Attributes:
        version: Number of the last line of the log; 0 if the log is empty.
        changes: By SKU.
    """

    version: int = 0
    changes: Mapping[str, Change] = field(default_factory=dict)


class Overlay:
    """The overlay of a device folder; its file need not exist yet. Safe to share between threads and processes.

    All methods raise DeviceError if the file cannot be read or written, or is damaged.
    """

    def __init__(self, folder: Path, seal: Seal, head: Head | None = None):
        """Refer to the overlay of a folder, whose contents are sealed with `seal`; `head` is that of the folder."""
        self.path = Path(folder) / FILE
        self.seal = seal
        self._file, self._head = SqliteFile(self.path, _SCHEMA, FORMAT), head
        self.scrub = self._file.scrub

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection | None]:
        """Yield a connection that sees one moment of the file, or None if the file is empty."""
        required = self._required_line()  # before the transaction, which then sees this line
        with self._file.reading() as database:
            self._check_line(database, *required)
            yield database

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection in a transaction, which is stored completely or not at all."""
        required = self._required_line()
        with self._file.writing() as database:
            self._check_line(database, *required)
            yield database
            line, chain = last_line(database)
        if self._head and line > required[0]:
            self._head.advance(line, chain.hex())

    def version(self) -> int:
        """Return the number of the last line of the log; this is quick enough for every query."""
        with self.reading() as database:
            return last_line(database)[0] if database else 0

    def snapshot(self) -> OverlaySnapshot:
        """Return all current changes."""
        with self.reading() as database:
            return self._read_snapshot(database) if database else OverlaySnapshot()

    def picture(self, number: int) -> bytes:
        """Return a picture as JPEG; raise DeviceError if it was deleted."""
        with self.reading() as database:
            sql = "SELECT content FROM picture WHERE number = ?"
            row = database.execute(sql, (number,)).fetchone() if database else None
            if row is None:
                raise DeviceError(f"{self.path}: picture {number} was deleted; search again.")
            return self.unseal(row[0], f"picture {number}")

    def references(self, space: str, pictures: Iterable[int]) -> dict[int, bytes]:
        """Return the references of these pictures in a space, as far as `store_references` stored them."""
        with self.reading() as database:
            sql = "SELECT picture, content FROM reference, json_each(?) WHERE space = ? AND picture = value"
            rows = database.execute(sql, (json.dumps(list(pictures)), space)).fetchall() if database else []
            return {number: self.unseal(content, f"reference {number} {space}") for number, content in rows}

    def store_references(self, space: str, references: Mapping[int, bytes]) -> None:
        """Store references by picture; only those of the same space can be compared."""
        with self.writing() as database:
            self._write_references(database, space, references)

    def change(
        self,
        what: str,
        sku: str,
        revise: Callable[[Change | None], Change | None],
        who: str | None = None,
        pictures: Sequence[tuple[bytes, bytes]] = (),
        space: str = "",
    ) -> Change | None:
        """Change a product in one transaction, and add a line to the log; do neither if nothing changes.

        Args:
            what: One of `UNDOABLE`.
            sku: Of the product.
            revise: Returns the new change from the current one; None stands for no change. If it raises an error,
                nothing is changed.
            who: For the log; None takes the user of this process.
            pictures: Pictures to add, each a JPEG and its reference.
            space: Of the references.
        Returns:
            The product's change from now on; None if it is shown as the bundle has it.
        """
        with self.writing() as database:
            before = self._read_snapshot(database).changes.get(sku)
            after = revise(before)
            if pictures:
                after = after or Change()
                added = self._add_pictures(database, pictures, space, after.pictures)
                after = replace(after, pictures={**after.pictures, **added})
            after = after if after != Change() else None
            if after != before:
                self._write_change(database, what, sku, before, after, who)
            return after

    def undo(self, who: str | None = None) -> Event:
        """Take back the last change that was not taken back yet; raise DeviceError if there is none."""
        with self.writing() as database:
            last = self._last_undoable(database)
            if last is None:
                raise DeviceError(
                    f"{self.path.parent}: nothing was taught since the last install folded the overlay; there is "
                    "nothing to undo."
                )
            with decoding():
                states = [last.detail[state] for state in ("before", "after")]
                after, before = (Change.from_dict(state) if state else None for state in states)
            undone = {"undoes": last.number, "undone": last.what, "by": last.who}
            return self._write_change(database, "undo", last.sku, before, after, who, **undone)

    def record(self, what: str, detail: Mapping[str, Any], who: str | None = None) -> Event:
        """Add a line to the log for an event that changes no product."""
        with self.writing() as database:
            return self.add_event(database, what, "", who, detail)

    def fold(self, is_redundant: Callable[[str, Change], bool], spaces: Collection[str]) -> list[str]:
        """Delete redundant changes, pictures without a change, and references outside the given spaces.

        Args:
            is_redundant: Returns whether the bundles already contain the change of a SKU.
            spaces: Of the installed bundles.
        Returns:
            The SKUs whose changes were deleted.
        """
        with self.writing() as database:
            changes = self._read_snapshot(database).changes
            deleted = [sku for sku, change in changes.items() if is_redundant(sku, change)]
            database.executemany("DELETE FROM change WHERE sku = ?", [(self.seal.name(sku),) for sku in deleted])
            kept = [number for sku in changes.keys() - deleted for number in changes[sku].pictures.values()]
            picture_count = database.execute(
                "DELETE FROM picture WHERE number NOT IN (SELECT value FROM json_each(?))", (json.dumps(kept),)
            ).rowcount
            database.execute(
                "DELETE FROM reference WHERE picture NOT IN (SELECT number FROM picture)"
                " OR space NOT IN (SELECT value FROM json_each(?))",
                (json.dumps([*spaces]),),
            )
            if deleted or picture_count:  # `undo` cannot restore what was deleted
                self.add_event(database, "fold", "", None, {"skus": deleted})
        return deleted

    def events(self) -> list[Event]:
        """Return the log, oldest line first; raise DeviceError if a line was altered or is missing in between."""
        with self.reading() as database:
            sql = "SELECT number, content, chain FROM event ORDER BY number"
            rows = database.execute(sql).fetchall() if database else []
            chain = b""
            with decoding():
                for expected_number, (number, content, expected) in enumerate(rows, 1):
                    chain = chain_hash(chain, number, content)
                    if (number, expected) != (expected_number, chain):
                        raise DamagedError(f"line {expected_number} of its log was changed")
                return [self._read_event(*row) for row in rows]

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _required_line(self) -> tuple[int, str]:
        """Return number and chain hash of the line that the head requires."""
        line, chain = self._head.line() if self._head else (0, "")
        if line and not self.path.exists():  # a writer would make a new one
            self._check_line(None, line, chain)
        return line, chain

    def _check_line(self, database: sqlite3.Connection | None, line: int, chain: str) -> None:
        """Raise DeviceError if the log lacks a line that it had, or has another in its place."""
        if not line:
            return
        sql = "SELECT chain FROM event WHERE number = ?"
        row = database.execute(sql, (line,)).fetchone() if database else None
        if row is None or row[0] != bytes.fromhex(chain):
            found = "has another one" if row else f"ends at {last_line(database)[0] if database else 0}"
            raise DeviceError(
                f"{self.path}: line {line} of its log was written, and it {found}; without the folder's key lines were "
                "removed or an older or foreign file put there, or the disk lost in a power cut what it had confirmed; "
                "restore it, or install a bundle with --accept-changes to go on with what is there."
            )

    def _read_snapshot(self, database: sqlite3.Connection) -> OverlaySnapshot:
        """Read all changes; raise DamagedError if they differ from their hash in the last line of the log."""
        rows = database.execute("SELECT sku, content FROM change ORDER BY sku").fetchall()
        version, _ = last_line(database)
        with decoding():
            if (self._event_at(database, version).state if version else hash_rows([])) != hash_rows(rows):
                raise DamagedError("its changes are not those of its log")
            tables = [self.open_table(content, f"change {name.hex()}") for name, content in rows]
            return OverlaySnapshot(version, {table["sku"]: Change.from_dict(table) for table in tables})

    def _write_change(
        self,
        database: sqlite3.Connection,
        what: str,
        sku: str,
        before: Change | None,
        after: Change | None,
        who: str | None,
        **detail: Any,
    ) -> Event:
        name = self.seal.name(sku)
        was, is_now = (change.to_dict() if change else None for change in (before, after))
        if is_now is None:
            database.execute("DELETE FROM change WHERE sku = ?", (name,))
        else:
            content = self.seal.close(to_json({"sku": sku, **is_now}), f"change {name.hex()}")
            database.execute("INSERT OR REPLACE INTO change VALUES (?, ?)", (name, content))
        return self.add_event(database, what, sku, who, {"before": was, "after": is_now, **detail})

    def _add_pictures(
        self, database: sqlite3.Connection, pictures: Sequence[tuple[bytes, bytes]], space: str, known: Collection[str]
    ) -> dict[str, int]:
        """Store new pictures with their references; return their numbers by name."""
        added: dict[str, int] = {}
        for jpeg, reference in pictures:
            name = hashlib.sha256(jpeg).hexdigest()[:NAME_DIGITS]
            if name in known or name in added:
                continue
            number = database.execute("INSERT INTO picture (content) VALUES (x'')").lastrowid  # the seal contains it
            assert number is not None
            content = self.seal.close(jpeg, f"picture {number}")
            database.execute("UPDATE picture SET content = ? WHERE number = ?", (content, number))
            self._write_references(database, space, {number: reference})
            added[name] = number
        return added

    def _write_references(self, database: sqlite3.Connection, space: str, references: Mapping[int, bytes]) -> None:
        rows = [(n, space, self.seal.close(content, f"reference {n} {space}")) for n, content in references.items()]
        database.executemany("INSERT OR REPLACE INTO reference VALUES (?, ?, ?)", rows)

    def add_event(
        self, database: sqlite3.Connection, what: str, sku: str, who: str | None, detail: Mapping[str, Any]
    ) -> Event:
        """Add a line to the log, in a transaction of `writing`."""
        last, before = last_line(database)
        number = last + 1
        time = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        state = hash_rows(database.execute("SELECT sku, content FROM change ORDER BY sku").fetchall())
        user = (who or user_name()).encode(errors="replace").decode()
        if has_control(user) or len(user) > MAX_NAME:
            raise DeviceError(f"{plain(user[:MAX_NAME])}: not a name for the log; give up to {MAX_NAME} characters.")
        table = {"time": time, "who": user, "what": what, "sku": sku, "detail": detail, "state": state}
        table["learned"] = hash_learned(database)
        content = self.seal.close(to_json(table), f"event {number}")
        chain = chain_hash(before, number, content)
        database.execute("INSERT INTO event VALUES (?, ?, ?)", (number, content, chain))
        return self._read_event(number, content, chain)

    def _last_undoable(self, database: sqlite3.Connection) -> Event | None:
        undone = set()
        for row in database.execute("SELECT number, content, chain FROM event ORDER BY number DESC"):
            event = self._read_event(*row)
            if event.what == "fold":
                return None
            if event.what == "undo":
                undone.add(event.detail.get("undoes"))
            elif event.what in UNDOABLE and event.number not in undone:
                return event
        return None

    def _event_at(self, database: sqlite3.Connection, number: int) -> Event:
        sql = "SELECT number, content, chain FROM event WHERE number = ?"
        return self._read_event(*database.execute(sql, (number,)).fetchone())

    def _read_event(self, number: int, content: bytes, chain: bytes) -> Event:
        with decoding():
            return Event(number=number, chain=chain.hex(), **self.open_table(content, f"event {number}"))

    def check_learned(self, database: sqlite3.Connection) -> None:
        """Raise DamagedError if what was learned differs from its hash in the last line of the log."""
        version, _ = last_line(database)
        expected = self._event_at(database, version).learned if version else ""
        if expected and expected != hash_learned(database):
            raise DamagedError("what it learned is not what its log says")

    def close_table(self, table: Mapping[str, Any], context: str) -> bytes:
        """Return names and values, sealed for a place in the file."""
        return self.seal.close(to_json(table), context)

    def open_table(self, sealed: bytes, context: str) -> dict[str, Any]:
        """Return what `close_table` sealed; raise DamagedError or ValueError for anything else."""
        return dict(json.loads(self.unseal(sealed, context)))

    def unseal(self, sealed: bytes, context: str) -> bytes:
        """Return the content of a place in the file; raise DamagedError if it is not what was sealed for it."""
        try:
            return self.seal.open(sealed, context)
        except (ValueError, TypeError) as error:
            raise DamagedError(f"{context[:80]}: {error}") from error


def user_name() -> str:
    """Return the name of the user of this process."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a user without a name
        return "unknown"
