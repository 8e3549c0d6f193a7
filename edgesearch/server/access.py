"""Who may do what: PINs for people, tokens for programs.

access.json is {"format": 1, "holders": [{"name": "night shift", "role": "staff", "kind": "pin", "secret": "..."}]}. A
PIN is kept as Argon2id makes it (RFC 9106, by libsodium), a token, which is random, as its SHA-256: who reads the file
is not let in by it.
"""

import enum
import hashlib
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import nacl.exceptions
from nacl.pwhash import argon2id

from .._util import files
from ..errors import DeviceError

FILE = "access.json"
FORMAT = 1
MOST_HOLDERS = 50  # each PIN is tried on a log-in
PIN_DIGITS = (6, 12)
HASH_BYTES = 16 * 1024 * 1024  # of memory to try one PIN: a scanner has little
HASH_PASSES = 4


class Role(enum.IntEnum):
    """What somebody may do; each may do what those below may."""

    CUSTOMER = 0  # search
    STAFF = 1  # teach, edit, count
    MANAGER = 2  # install, roll back, export, erase, read the log

    @classmethod
    def of(cls, name: str) -> "Role":
        """Raises ValueError."""
        try:
            return cls[name.upper()]
        except KeyError:
            raise ValueError(f"{name!r} is no role; expected one of {', '.join(map(str, cls))}.") from None

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Holder:
    """Somebody, or a program, with a secret; secret: as it is kept."""

    name: str
    role: Role
    kind: Literal["pin", "token"]
    secret: str

    @classmethod
    def from_dict(cls, table: dict[str, Any]) -> "Holder":
        """Raises KeyError, TypeError or ValueError on anything else than a `to_dict`."""
        if table["kind"] not in ("pin", "token") or not isinstance(table["secret"], str):
            raise ValueError(f"kind {table['kind']!r}")
        return cls(str(table["name"]), Role.of(table["role"]), table["kind"], table["secret"])

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return asdict(self) | {"role": str(self.role)}

    def has(self, secret: str) -> bool:
        """Whether it is theirs; takes as long for a wrong one."""
        if self.kind == "token":
            return secrets.compare_digest(self.secret, digest(secret))
        try:
            return bool(argon2id.verify(self.secret.encode(), secret.encode()))
        except (nacl.exceptions.InvalidkeyError, nacl.exceptions.ValueError, nacl.exceptions.TypeError):
            return False


class Access:
    """The file, which need not be there: then nobody has a secret. Read again when it has changed."""

    def __init__(self, path: Path):
        self.path = path
        self._read: tuple[tuple[int, int] | None, tuple[Holder, ...]] = (None, ())

    def holders(self) -> tuple[Holder, ...]:
        """Raises DeviceError: the file cannot be read, or is not what was written."""
        try:
            found = os.stat(self.path)
            state = found.st_mtime_ns, found.st_size
            if self._read[0] != state:
                self._read = state, _parsed(self.path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return ()
        except OSError as error:
            raise DeviceError(f"{self.path}: cannot be read ({error.strerror}); check its permissions.") from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise DeviceError(f"{self.path}: is damaged ({error}); restore it, or delete it and begin anew.") from error
        return self._read[1]

    def add_pin(self, name: str, role: Role, pin: str) -> None:
        """Raises DeviceError: it is none, or somebody has it, or that name; or the file cannot be written."""
        shortest, longest = PIN_DIGITS
        if not (pin.isascii() and pin.isdigit() and shortest <= len(pin) <= longest) or len(set(pin)) < 3:
            raise DeviceError(
                f"{name}: not a PIN; expected {shortest} to {longest} digits, at least three of them different."
            )
        if any(holder.kind == "pin" and holder.has(pin) for holder in self.holders()):
            raise DeviceError(f"{name}: somebody has that PIN; choose another.")
        hashed = argon2id.str(pin.encode(), opslimit=HASH_PASSES, memlimit=HASH_BYTES).decode()
        self._add(Holder(name, role, "pin", hashed))

    def add_token(self, name: str, role: Role) -> str:
        """Returns: the token, which is kept nowhere; raises as `add_pin`."""
        token = secrets.token_urlsafe(32)
        self._add(Holder(name, role, "token", digest(token)))
        return token

    def remove(self, name: str) -> None:
        """Raises DeviceError: nobody has that name, or the file cannot be written."""
        holders = self.holders()
        left = [holder for holder in holders if holder.name != name]
        if len(left) == len(holders):
            names = ", ".join(holder.name for holder in holders) or "nobody"
            raise DeviceError(f"{name}: has neither PIN nor token here; {names} has.")
        self._write(left)

    def _add(self, holder: Holder) -> None:
        holders = self.holders()
        if not holder.name.strip() or not holder.name.isprintable() or holder.name in [one.name for one in holders]:
            raise DeviceError(f"{holder.name!r}: empty, or somebody's name; give each a name of its own.")
        if len(holders) >= MOST_HOLDERS:
            raise DeviceError(f"{self.path}: has {len(holders)} of {MOST_HOLDERS} PINs and tokens; remove one.")
        self._write([*holders, holder])

    def _write(self, holders: list[Holder]) -> None:
        table = {"format": FORMAT, "holders": [holder.to_dict() for holder in holders]}
        try:
            with files.replacing(self.path, files.private) as file:
                file.write(json.dumps(table, ensure_ascii=False, indent=1).encode())
        except OSError as error:
            raise DeviceError(f"{self.path}: cannot be written ({error.strerror}); check its permissions.") from error


def _parsed(content: bytes) -> tuple[Holder, ...]:
    table = json.loads(content)
    if table["format"] != FORMAT:
        raise ValueError(f"format {table['format']!r}, this version reads {FORMAT}")
    return tuple(map(Holder.from_dict, table["holders"]))


def digest(token: str) -> str:
    """What is kept in place of something random that lets somebody in."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
