"""What somebody liked on this device: rows of one SQLite file in its folder, sealed as the rest of it is (`sealing`).

Off until it is switched on; while it is off nothing is kept and nothing is moved. Kept are SKUs and their traits
(`preference`), so that what was liked outlives a product, in the order they were said: no photo, no time, no user. Nothing
of it is in the device's log, which cannot be erased, nor in what `overlay export` writes for headquarters. One folder
has one profile, of whoever uses the device.

    said    what was picked or dismissed, the newest with the highest number; the last `KEPT`
    switch  one row: whether it is on; none: off
"""

import json
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .._util import files
from .._util.sqlite_file import DamagedError, Database
from ..bundle.sealing import Seal
from ..catalog.product import Product
from ..errors import DeviceError
from ..search.preference import BOUND, Preference, Said, traits_of

FILE = "profile.sqlite"
FORMAT = 1
KEPT = 200  # what was said before weighs less than a hundredth
_SCHEMA = (
    "CREATE TABLE said (number INTEGER PRIMARY KEY, content BLOB NOT NULL)",
    "CREATE TABLE switch (number INTEGER PRIMARY KEY, content BLOB NOT NULL)",
)


class Profile:
    """The profile of a device folder. Safe to share between threads and processes.

    All it does raises DeviceError where the file cannot be read or written, or is not what was written.
    """

    def __init__(self, folder: Path, seal: Seal):
        self.path = Path(folder) / FILE
        self._seal = seal
        self._file = Database(self.path, _SCHEMA, FORMAT)
        self._made: tuple[object, Preference | None] = (None, None)  # what of the file the taste was made of, and it

    def is_on(self) -> bool:
        """Whether what is picked and dismissed is kept, and moves rankings."""
        with self._file.reading() as database:
            return database is not None and self._is_on(database)

    def switch(self, on: bool) -> None:
        """Switch it on, or off; what was kept stays, and is not used while it is off."""
        with self._file.writing() as database:
            content = self._seal.close(json.dumps({"on": on}).encode(), "switch 0")
            database.execute("INSERT OR REPLACE INTO switch VALUES (0, ?)", (content,))

    def pick(self, product: Product, passed: Sequence[Product] = ()) -> bool:
        """Keep that a product was picked; passed: what was shown before it. False: it is off, and nothing is kept."""
        return self._keep(Said(True, product.sku, traits_of(product), [(one.sku, traits_of(one)) for one in passed]))

    def dismiss(self, product: Product) -> bool:
        """Keep that a product was dismissed; False: it is off, and nothing is kept."""
        return self._keep(Said(False, product.sku, traits_of(product)))

    def said(self) -> list[Said]:
        """All that is kept, newest first."""
        with self._file.reading() as database:
            return self._said(database) if database else []

    def preference(self) -> Preference | None:
        """What is made of it; None while it is off.

        Each search asks: it is made anew only where the file has changed, for it takes as long as a look at a photo.
        """
        with self._file.reading() as database:
            if not database:
                return None
            ((version,),) = database.execute("PRAGMA data_version")  # as this connection counts them
            state, (made_of, preference) = (database, version), self._made
            if made_of != state:
                preference = Preference.of(self._said(database)) if self._is_on(database) else None
                self._made = (state, preference)
            return preference

    def to_dict(self) -> dict[str, Any]:
        """All that is kept and what is made of it, JSON-able: newest first, and the strongest trait first."""
        with self._file.reading() as database:
            on, said = (self._is_on(database), self._said(database)) if database else (False, [])
        weights = [
            {"kind": kind, "value": value, **vars(weight), "log_odds": weight.log_odds}
            for (kind, value), weight in Preference.of(said).weights.items()
        ]
        weights.sort(key=lambda one: -abs(float(one["log_odds"])))
        return {"format": FORMAT, "on": on, "bound": BOUND, "said": [_table(one) for one in said], "traits": weights}

    def export(self, path: Path) -> int:
        """Write `to_dict` into a new file that its owner alone may read; returns of how much that was said.

        Raises:  DeviceError: the file is there already, or cannot be written.
        """
        table = self.to_dict()
        if os.path.lexists(path):
            raise DeviceError(f"{path}: is there already; give the name of a new file.")
        try:
            with files.replacing(path, files.private) as file:
                file.write(json.dumps(table, ensure_ascii=False, indent=1).encode())
        except OSError as error:
            raise DeviceError(
                f"{path}: cannot be written ({error.strerror}); check the folder and its space."
            ) from error
        return len(table["said"])

    def erase(self) -> None:
        """Forget everything, and that it was on; no byte of it stays in the file or its log (`Database.wipe`)."""
        self._file.wipe()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _keep(self, said: Said) -> bool:
        if not self.is_on():  # so that a device where it was never on has no such file
            return False
        with self._file.writing() as database:
            if not self._is_on(database):
                return False
            database.execute("PRAGMA secure_delete = ON")
            ((last,),) = database.execute("SELECT coalesce(max(number), 0) FROM said")
            content = self._seal.close(json.dumps(_table(said), ensure_ascii=False).encode(), f"said {last + 1}")
            database.execute("INSERT INTO said VALUES (?, ?)", (last + 1, content))
            database.execute("DELETE FROM said WHERE number <= ?", (last + 1 - KEPT,))
        return True

    def _is_on(self, database: sqlite3.Connection) -> bool:
        row = database.execute("SELECT content FROM switch WHERE number = 0").fetchone()
        return row is not None and self._opened(row[0], "switch 0").get("on") is True

    def _said(self, database: sqlite3.Connection) -> list[Said]:
        rows = database.execute("SELECT number, content FROM said ORDER BY number DESC").fetchall()
        return [_parsed(self._opened(content, f"said {number}")) for number, content in rows]

    def _opened(self, sealed: bytes, context: str) -> dict[str, Any]:
        try:
            return dict(json.loads(self._seal.open(sealed, context)))
        except (ValueError, TypeError) as error:
            raise DamagedError(f"{context[:80]}: {error}") from error


def _table(said: Said) -> dict[str, Any]:
    passed = [{"sku": sku, "traits": dict(traits)} for sku, traits in said.passed]
    return {"picked": said.picked, "sku": said.sku, "traits": dict(said.traits), "passed": passed}


def _parsed(table: dict[str, Any]) -> Said:
    try:
        passed = [(str(one["sku"]), dict(one["traits"])) for one in table["passed"]]
        return Said(bool(table["picked"]), str(table["sku"]), dict(table["traits"]), passed)
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedError(f"what was said: {error}") from error
