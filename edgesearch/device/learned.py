"""Store what a device learned from use: reference pictures of products, in the file of the overlay.

    learned          one row a picture: product, source, time, device, person, trust and whether it is used
    learned_part     its picture, and what each network computed from it, by the space of the references
    learned_setting  one row: whether the device learns, from whom, and how much it keeps

Each change is one transaction together with its line of the log, as in `overlay`. The tables are made when the device
is first told to learn. What is learned is kept apart from changes: `undo` and `fold` leave it, and it can be erased.
"""

import json
import secrets
import sqlite3
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from .._util.sqlite_file import DamagedError
from ..errors import DeviceError
from .overlay import Overlay

_TABLES = (
    "CREATE TABLE IF NOT EXISTS learned (number INTEGER PRIMARY KEY AUTOINCREMENT, content BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS learned_part (number INTEGER, kind TEXT, content BLOB NOT NULL,"
    " PRIMARY KEY (number, kind))",
    "CREATE TABLE IF NOT EXISTS learned_setting (number INTEGER PRIMARY KEY, content BLOB NOT NULL)",
)
PICTURE = "picture"  # kind of a part; other kinds are spaces
MB = 1_000_000
State = Literal["used", "waiting", "aside"]


@dataclass(frozen=True)
class LearningSettings:
    """Whether and how a device learns.

    Attributes:
        on: Whether it learns from staff.
        customers: Whether it learns from customers too.
        vectors_only: Whether it keeps no pictures, only what the network computes from them.
        per_product: Learned pictures of a product at most.
        max_mb: Megabytes of all learned pictures at most.
        device: Random name of this device, by which pictures of several devices are told apart.
    """

    on: bool = False
    customers: bool = False
    vectors_only: bool = False
    per_product: int = 16
    max_mb: int = 64
    device: str = ""


@dataclass(frozen=True)
class LearnedPicture:
    """A picture that the device learned, without its content.

    Attributes:
        number: Of the picture; 0 before it is stored.
        sku: Of its product.
        time: ISO 8601, UTC, by the device's clock.
        source: "barcode" (read in the photo), "wedge" (typed by a scanner while the camera saw the product), "choice"
            (a person chose the product) or "capture" (a person took photos of the product on purpose).
        code: The barcode; "" for a choice.
        who: User who scanned or chose; "" if unknown.
        device: Name of the device.
        trust: 0 to 1, of the source.
        state: "used" by searches; "waiting" for another one that agrees; "aside" for a person to settle.
        why: Reason why it is not used.
        like: SKU of the product that it resembles instead; "" if there is none.
        against: How often a match by it was dismissed.
        name: Hash of the picture, or of its vectors if no picture is kept; bundles that contain it name it so.
        size_bytes: Of picture and vectors.
    """

    number: int
    sku: str
    time: str
    source: str
    code: str
    who: str
    device: str
    trust: float
    state: State
    why: str = ""
    like: str = ""
    against: int = 0
    name: str = ""
    size_bytes: int = 0

    @property
    def group(self) -> str:
        """Name of the pictures that one mistake would spoil together: one product, code or person, and day."""
        return "|".join([self.sku, self.code or self.who, self.time[:10]])

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> "LearnedPicture":
        """Read what `to_dict` returned; raise KeyError, TypeError or ValueError for anything else."""
        picture = cls(**table)
        if picture.state not in get_args(State):
            raise ValueError(f"state {picture.state!r}")
        return picture


class LearnedPictures:
    """Store what a device learned. Safe to share between threads and processes.

    All methods raise DeviceError if the file cannot be read or written, or is damaged.
    """

    def __init__(self, overlay: Overlay):
        """Use the file of an overlay, which opens and closes it."""
        self._overlay = overlay
        self._parsed: dict[int, tuple[bytes, LearnedPicture]] = {}

    def settings(self) -> LearningSettings:
        """Return the settings; those of a new device are off."""
        with self._overlay.reading() as database:
            return self._read_settings(database) if database and _has_tables(database) else LearningSettings()

    def change_settings(self, who: str | None = None, **changes: Any) -> LearningSettings:
        """Change settings by their names, and log that if it changes any."""
        with self._overlay.writing() as database:
            for statement in _TABLES:
                database.execute(statement)
            before = self._read_settings(database)
            settings = replace(before, **changes)
            settings = replace(settings, device=settings.device or secrets.token_hex(4))
            if settings == before:
                return settings
            content = self._overlay.close_table(asdict(settings), "learned_setting 0")
            database.execute("INSERT OR REPLACE INTO learned_setting VALUES (0, ?)", (content,))
            self._overlay.add_event(database, "learning", "", who, changes)
        return settings

    def all(self) -> list[LearnedPicture]:
        """Return all learned pictures, the oldest first."""
        with self._overlay.reading() as database:
            if database is None or not _has_tables(database):
                return []
            self._overlay.check_learned(database)
            found = database.execute("SELECT number, content FROM learned ORDER BY number").fetchall()
            known = self._parsed
            parsed = {number: (content, self._parse(number, content, known)) for number, content in found}
        self._parsed = parsed
        return [picture for _, picture in parsed.values()]

    def add(
        self,
        learned: LearnedPicture,
        picture: bytes | None,
        space: str,
        reference: bytes,
        dropped: Collection[int] = (),
        used: Collection[int] = (),
    ) -> LearnedPicture:
        """Store a picture, drop others for it, and log that.

        Args:
            learned: The picture; its number and size are filled in.
            picture: JPEG; None keeps none.
            space: Of the reference.
            reference: What the network computed.
            dropped: Numbers of pictures to delete.
            used: Numbers of waiting pictures that are used from now on.
        """
        with self._overlay.writing() as database:
            if not self._read_settings(database).on:
                raise DeviceError(f"{self._overlay.path.parent}: was switched off meanwhile; it learned nothing.")
            size = len(reference) + len(picture or b"")
            cursor = database.execute("INSERT INTO learned (content) VALUES (x'')")  # the seal contains the number
            learned = replace(learned, number=int(cursor.lastrowid or 0), size_bytes=size)
            self._write(database, learned)
            for kind, content in ((PICTURE, picture), (space, reference)):
                if content is not None:
                    self._write_part(database, learned.number, kind, content)
            for number in used:
                self._write(database, replace(self._read(database, number), state="used", why="", like=""))
            self._delete(database, dropped)
            table = {name: value for name, value in learned.to_dict().items() if name not in ("who", "sku", "time")}
            detail = table | {"dropped": [*dropped], "confirmed": [*used]}
            self._overlay.add_event(database, "learn", learned.sku, learned.who or None, detail)
        return learned

    def change(self, pictures: Iterable[LearnedPicture], what: str, who: str | None = None) -> None:
        """Replace pictures that still exist by these, with one line in the log."""
        with self._overlay.writing() as database:
            exists = {number for (number,) in database.execute("SELECT number FROM learned")}
            kept = [picture for picture in pictures if picture.number in exists]
            for picture in kept:
                self._write(database, picture)
            if kept:
                names = ("number", "sku", "state", "why", "like", "against")
                detail = {"pictures": [{name: getattr(picture, name) for name in names} for picture in kept]}
                self._overlay.add_event(database, what, "", who, detail)

    def delete(self, numbers: Collection[int], who: str | None = None) -> list[LearnedPicture]:
        """Take pictures back: delete them for good, and log that; return those that existed."""
        with self._overlay.writing() as database:
            if not _has_tables(database):
                return []
            exists = {number for (number,) in database.execute("SELECT number FROM learned")}
            found = [self._read(database, number) for number in sorted(exists & set(numbers))]
            self._delete(database, [picture.number for picture in found])
            if found:
                detail = {"pictures": [{"number": picture.number, "sku": picture.sku} for picture in found]}
                self._overlay.add_event(database, "forget", "", who, detail)
        return found

    def erase(self, who: str | None = None) -> int:
        """Erase all learned pictures so that no byte of them stays in the file; return their number.

        The settings and the log stay. The log says how many were erased, and what was learned before, without pictures.
        """
        with self._overlay.writing() as database:
            if not _has_tables(database):
                return 0
            numbers = [number for (number,) in database.execute("SELECT number FROM learned")]
            self._delete(database, numbers)
            self._overlay.add_event(database, "erase", "", who, {"of": "learned", "pictures": len(numbers)})
        self._overlay.scrub()
        return len(numbers)

    def picture(self, number: int) -> bytes | None:
        """Return a picture as JPEG; None if none is kept. Raises DeviceError: it was deleted."""
        with self._overlay.reading() as database:
            found = None
            if database and _has_tables(database):
                found = database.execute("SELECT 1 FROM learned WHERE number = ?", (number,)).fetchone()
            if database is None or found is None:
                raise DeviceError(f"{self._overlay.path}: learned picture {number} was deleted; search again.")
            return self._read_parts(database, PICTURE, [number]).get(number)

    def references(self, space: str, numbers: Collection[int]) -> dict[int, bytes]:
        """Return what a network computed from these pictures, as far as it is stored."""
        with self._overlay.reading() as database:
            return self._read_parts(database, space, numbers) if database and _has_tables(database) else {}

    def store_references(self, space: str, references: Mapping[int, bytes]) -> None:
        """Store what another network computed from pictures."""
        with self._overlay.writing() as database:
            for number, content in references.items():
                self._write_part(database, number, space, content)

    def fold(self, spaces: Collection[str]) -> None:
        """Delete what networks outside the given spaces computed, and pictures of which nothing is left."""
        with self._overlay.writing() as database:
            if not _has_tables(database):
                return
            kinds = json.dumps([PICTURE, *spaces])
            database.execute("DELETE FROM learned_part WHERE kind NOT IN (SELECT value FROM json_each(?))", (kinds,))
            without = "SELECT number FROM learned WHERE number NOT IN (SELECT number FROM learned_part)"
            numbers = [number for (number,) in database.execute(without)]
            self._delete(database, numbers)
            if numbers:
                detail = {"pictures": [{"number": number} for number in numbers], "why": "another network"}
                self._overlay.add_event(database, "forget", "", None, detail)

    def _read_settings(self, database: sqlite3.Connection) -> LearningSettings:
        if not _has_tables(database):
            return LearningSettings()
        row = database.execute("SELECT content FROM learned_setting WHERE number = 0").fetchone()
        try:
            table = self._overlay.open_table(row[0], "learned_setting 0") if row else {}
            return LearningSettings(**table)
        except (TypeError, ValueError) as error:
            raise DamagedError(f"learned_setting: {error}") from error

    def _parse(self, number: int, content: bytes, known: Mapping[int, tuple[bytes, LearnedPicture]]) -> LearnedPicture:
        before = known.get(number)
        if before and before[0] == content:
            return before[1]
        try:
            return LearnedPicture.from_dict(self._overlay.open_table(content, f"learned {number}"))
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedError(f"learned {number}: {error}") from error

    def _read(self, database: sqlite3.Connection, number: int) -> LearnedPicture:
        row = database.execute("SELECT content FROM learned WHERE number = ?", (number,)).fetchone()
        if row is None:
            raise DeviceError(f"{self._overlay.path}: learned picture {number} was deleted meanwhile; do it again.")
        return self._parse(number, row[0], {})

    def _write(self, database: sqlite3.Connection, learned: LearnedPicture) -> None:
        content = self._overlay.close_table(learned.to_dict(), f"learned {learned.number}")
        database.execute("UPDATE learned SET content = ? WHERE number = ?", (content, learned.number))

    def _write_part(self, database: sqlite3.Connection, number: int, kind: str, content: bytes) -> None:
        sealed = self._overlay.seal.close(content, f"learned {number} {kind}")
        database.execute("INSERT OR REPLACE INTO learned_part VALUES (?, ?, ?)", (number, kind, sealed))

    def _read_parts(self, database: sqlite3.Connection, kind: str, numbers: Collection[int]) -> dict[int, bytes]:
        sql = "SELECT number, content FROM json_each(?) JOIN learned_part ON number = value WHERE kind = ?"
        rows = database.execute(sql, (json.dumps([*numbers]), kind)).fetchall()
        return {number: self._overlay.unseal(content, f"learned {number} {kind}") for number, content in rows}

    def _delete(self, database: sqlite3.Connection, numbers: Collection[int]) -> None:
        database.execute("PRAGMA secure_delete = ON")
        given = (json.dumps([*numbers]),)
        for table in ("learned", "learned_part"):
            database.execute(f"DELETE FROM {table} WHERE number IN (SELECT value FROM json_each(?))", given)


def _has_tables(database: sqlite3.Connection) -> bool:
    sql = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'learned'"
    return database.execute(sql).fetchone() is not None
