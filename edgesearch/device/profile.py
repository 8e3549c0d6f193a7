"""The profile of a device: which products its user picked and dismissed, in one SQLite file of the device folder.

The profile is off until it is switched on. While it is off, nothing is recorded and no ranking is changed. A record
holds the SKU of a product and its traits (`preference`), so that it outlives the product, and its order; it holds no
photo, no time and no user. Records are sealed as the rest of the folder is (`sealing`). They are kept out of the
device's log, which cannot be erased, and out of `overlay export`. One folder has one profile, of whoever uses the
device.

    said    picks and dismissals, the newest with the highest number; the last `MAX_RECORDS`
    switch  one row: whether the profile is on; no row: off
"""

import json
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .._util import files
from .._util.sqlite_file import DamagedError, SqliteFile
from ..bundle.sealing import Seal
from ..catalog.product import Product
from ..errors import DeviceError
from ..search.preference import BOUND, Preference, Reaction, traits_of

FILE = "profile.sqlite"
FORMAT = 1
MAX_RECORDS = 200  # older ones weigh less than a hundredth
_SCHEMA = (
    "CREATE TABLE said (number INTEGER PRIMARY KEY, content BLOB NOT NULL)",
    "CREATE TABLE switch (number INTEGER PRIMARY KEY, content BLOB NOT NULL)",
)


class Profile:
    """The profile of a device folder. Safe to share between threads and processes.

    All methods raise DeviceError if the file cannot be read or written, or is damaged.
    """

    def __init__(self, folder: Path, seal: Seal):
        """Refer to the profile of a folder, whose contents are sealed with `seal`."""
        self.path = Path(folder) / FILE
        self._seal = seal
        self._file = SqliteFile(self.path, _SCHEMA, FORMAT)
        self._cached: tuple[object, Preference | None] = (None, None)  # state of the file, and its preference

    def is_on(self) -> bool:
        """Return whether picks and dismissals are recorded and change rankings."""
        with self._file.reading() as database:
            return database is not None and self._is_on(database)

    def switch(self, on: bool) -> None:
        """Switch the profile on or off; existing records stay, and are not used while it is off."""
        with self._file.writing() as database:
            content = self._seal.close(json.dumps({"on": on}).encode(), "switch 0")
            database.execute("INSERT OR REPLACE INTO switch VALUES (0, ?)", (content,))

    def pick(self, product: Product, passed: Sequence[Product] = ()) -> bool:
        """Record that a product was picked, and which ones before it were passed over; return False if it is off."""
        others = [(other.sku, traits_of(other)) for other in passed]
        return self._record(Reaction(True, product.sku, traits_of(product), others))

    def dismiss(self, product: Product) -> bool:
        """Record that a product was dismissed; return False if the profile is off."""
        return self._record(Reaction(False, product.sku, traits_of(product)))

    def reactions(self) -> list[Reaction]:
        """Return all records, newest first."""
        with self._file.reading() as database:
            return self._read_reactions(database) if database else []

    def preference(self) -> Preference | None:
        """Return the preference derived from the records, or None while the profile is off.

        Each search asks for it, and deriving it takes as long as embedding a photo. So it is derived again only when
        the file has changed.
        """
        with self._file.reading() as database:
            if not database:
                return None
            ((version,),) = database.execute("PRAGMA data_version")  # as this connection counts changes
            state, (cached_state, preference) = (database, version), self._cached
            if cached_state != state:
                preference = Preference.of(self._read_reactions(database)) if self._is_on(database) else None
                self._cached = (state, preference)
            return preference

    def to_dict(self) -> dict[str, Any]:
        """Return all records, newest first, and the derived traits, strongest first, in a JSON-able form."""
        with self._file.reading() as database:
            on, reactions = (self._is_on(database), self._read_reactions(database)) if database else (False, [])
        weights = [
            {"kind": kind, "value": value, **vars(weight), "log_odds": weight.log_odds}
            for (kind, value), weight in Preference.of(reactions).weights.items()
        ]
        weights.sort(key=lambda weight: -abs(float(weight["log_odds"])))
        tables = [_to_table(reaction) for reaction in reactions]
        return {"format": FORMAT, "on": on, "bound": BOUND, "said": tables, "traits": weights}

    def export(self, path: Path) -> int:
        """Write `to_dict` into a new file that only its owner may read; return the number of records.

        Raises:
            DeviceError: The file exists, or cannot be written.
        """
        table = self.to_dict()
        if os.path.lexists(path):
            raise DeviceError(f"{path}: exists already; give the name of a new file.")
        try:
            with files.replacing(path, files.open_private) as file:
                file.write(json.dumps(table, ensure_ascii=False, indent=1).encode())
        except OSError as error:
            raise DeviceError(
                f"{path}: cannot be written ({error.strerror}); check the folder and its space."
            ) from error
        return len(table["said"])

    def erase(self) -> None:
        """Erase all records and the switch, so that no byte of them stays in the file or its log."""
        self._file.wipe()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _record(self, reaction: Reaction) -> bool:
        if not self.is_on():  # so that a device whose profile was never on has no such file
            return False
        with self._file.writing() as database:
            if not self._is_on(database):
                return False
            database.execute("PRAGMA secure_delete = ON")
            ((last,),) = database.execute("SELECT coalesce(max(number), 0) FROM said")
            content = self._seal.close(json.dumps(_to_table(reaction), ensure_ascii=False).encode(), f"said {last + 1}")
            database.execute("INSERT INTO said VALUES (?, ?)", (last + 1, content))
            database.execute("DELETE FROM said WHERE number <= ?", (last + 1 - MAX_RECORDS,))
        return True

    def _is_on(self, database: sqlite3.Connection) -> bool:
        row = database.execute("SELECT content FROM switch WHERE number = 0").fetchone()
        return row is not None and self._unseal(row[0], "switch 0").get("on") is True

    def _read_reactions(self, database: sqlite3.Connection) -> list[Reaction]:
        rows = database.execute("SELECT number, content FROM said ORDER BY number DESC").fetchall()
        return [_parse_reaction(self._unseal(content, f"said {number}")) for number, content in rows]

    def _unseal(self, sealed: bytes, context: str) -> dict[str, Any]:
        try:
            return dict(json.loads(self._seal.open(sealed, context)))
        except (ValueError, TypeError) as error:
            raise DamagedError(f"{context[:80]}: {error}") from error


def _to_table(reaction: Reaction) -> dict[str, Any]:
    passed = [{"sku": sku, "traits": dict(traits)} for sku, traits in reaction.passed]
    return {"picked": reaction.picked, "sku": reaction.sku, "traits": dict(reaction.traits), "passed": passed}


def _parse_reaction(table: dict[str, Any]) -> Reaction:
    try:
        passed = [(str(other["sku"]), dict(other["traits"])) for other in table["passed"]]
        return Reaction(bool(table["picked"]), str(table["sku"]), dict(table["traits"]), passed)
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedError(f"record of a pick: {error}") from error
