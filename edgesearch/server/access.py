"""Store the PINs of people and the tokens of programs, each with its role.

access.json is {"format": 1, "holders": [{"name": "night shift", "role": "staff", "kind": "pin", "secret": "..."}]}. It
holds each PIN as an Argon2id hash (RFC 9106, by libsodium) and each token, which is random, as its SHA-256. Reading the
file does not let anybody in.
"""

import contextlib
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
from ..device.slots import ACCESS, Slots
from ..errors import DeviceError

FILE = ACCESS
FORMAT = 1
MAX_HOLDERS = 50  # a log-in tries every PIN
PIN_DIGITS = (6, 12)
HASH_BYTES = 16 * 1024 * 1024  # memory to try one PIN; a scanner has little
HASH_PASSES = 4


class Role(enum.IntEnum):
    """A role; each includes the rights of the roles below it."""

    CUSTOMER = 0  # search
    STAFF = 1  # teach, edit, count
    MANAGER = 2  # install, roll back, export, erase, read the log

    @classmethod
    def of(cls, name: str) -> "Role":
        """Return the role of that name; raise ValueError for any other name."""
        try:
            return cls[name.upper()]
        except KeyError:
            raise ValueError(f"{name!r} is not a role; expected one of {', '.join(map(str, cls))}.") from None

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Holder:
    """A person or program with a secret.

    Attributes:
        secret: The hash that is stored, not the PIN or token.
    """

    name: str
    role: Role
    kind: Literal["pin", "token"]
    secret: str

    @classmethod
    def from_dict(cls, table: dict[str, Any]) -> "Holder":
        """Read the result of `to_dict`; raise KeyError, TypeError or ValueError for anything else."""
        if table["kind"] not in ("pin", "token") or not isinstance(table["secret"], str):
            raise ValueError(f"kind {table['kind']!r}")
        return cls(str(table["name"]), Role.of(table["role"]), table["kind"], table["secret"])

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-able form."""
        return asdict(self) | {"role": str(self.role)}

    def accepts(self, secret: str) -> bool:
        """Return whether a PIN or token is this holder's; a wrong one takes as long to check."""
        if self.kind == "token":
            return secrets.compare_digest(self.secret, hash_token(secret))
        try:
            return bool(argon2id.verify(self.secret.encode(), secret.encode()))
        except (nacl.exceptions.InvalidkeyError, nacl.exceptions.ValueError, nacl.exceptions.TypeError):
            return False


class Access:
    """The access file, read again whenever it changes. If there never was one, nobody has a secret."""

    def __init__(self, path: Path, device: Slots | None = None, required: bool = False):
        """Refer to a file.

        Args:
            path: Of the file.
            device: The device folder that holds it; None for a file elsewhere.
            required: Whether the file must exist.
        """
        self.path, self._device, self._required = path, device, required
        self._cached: tuple[tuple[int, int] | None, tuple[Holder, ...]] = (None, ())

    def holders(self) -> tuple[Holder, ...]:
        """Return everybody in the file; raise DeviceError if it is damaged, unreadable or lost."""
        try:
            found = os.stat(self.path)
            state = found.st_mtime_ns, found.st_size
            if self._cached[0] != state:
                self._cached = state, _parse_holders(self._read())
        except (FileNotFoundError, NotADirectoryError):
            if self._required or self._cached[0] or self._is_lost():
                raise DeviceError(
                    f"{self.path}: PINs or tokens were set up, and the file is gone; restore it, or begin a new one "
                    "with `access --add`."
                ) from None
            return ()
        except OSError as error:
            raise DeviceError(f"{self.path}: cannot be read ({error.strerror}); check its permissions.") from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise DeviceError(f"{self.path}: is damaged ({error}); restore it, or delete it and start over.") from error
        return self._cached[1]

    def guard(self) -> None:
        """Let the server of a device stay closed if the file is lost; raise DeviceError as `holders` does."""
        if self.holders() and self._device:
            with contextlib.suppress(DeviceError):  # a folder that is read-only or being installed; the next start can
                self._device.guard()

    def add_pin(self, name: str, role: Role, pin: str) -> None:
        """Give somebody a PIN.

        Raises:
            DeviceError: The PIN is malformed or taken, the name is taken, or the file cannot be written.
        """
        shortest, longest = PIN_DIGITS
        if not (pin.isascii() and pin.isdigit() and shortest <= len(pin) <= longest) or len(set(pin)) < 3:
            raise DeviceError(
                f"{name}: not a PIN; expected {shortest} to {longest} digits, at least three of them different."
            )
        if any(holder.kind == "pin" and holder.accepts(pin) for holder in self._holders_left()):
            raise DeviceError(f"{name}: somebody else has that PIN; choose another.")
        hashed = argon2id.str(pin.encode(), opslimit=HASH_PASSES, memlimit=HASH_BYTES).decode()
        self._add(Holder(name, role, "pin", hashed))

    def add_token(self, name: str, role: Role) -> str:
        """Give a program a token and return it; only its hash is stored.

        Raises:
            DeviceError: The name is taken, or the file cannot be written.
        """
        token = secrets.token_urlsafe(32)
        self._add(Holder(name, role, "token", hash_token(token)))
        return token

    def remove(self, name: str) -> None:
        """Remove the PIN or token of that name.

        Raises:
            DeviceError: Nobody has that name, or the file cannot be written.
        """
        holders = self.holders()
        left = [holder for holder in holders if holder.name != name]
        if len(left) == len(holders):
            names = ", ".join(holder.name for holder in holders) or "nobody"
            raise DeviceError(f"{name}: has no PIN or token here; expected one of: {names}.")
        self._write(left)

    def _add(self, holder: Holder) -> None:
        holders = self._holders_left()
        taken = [other.name for other in holders]
        if not holder.name.strip() or not holder.name.isprintable() or holder.name in taken:
            raise DeviceError(f"{holder.name!r}: the name is empty or taken; choose another.")
        if len(holders) >= MAX_HOLDERS:
            raise DeviceError(f"{self.path}: has {len(holders)} of {MAX_HOLDERS} PINs and tokens; remove one first.")
        self._write([*holders, holder])

    def _holders_left(self) -> tuple[Holder, ...]:
        """Return everybody in the file, nobody if it was lost: whoever may write it begins a new one."""
        return self.holders() if self.path.exists() else ()

    def _is_lost(self) -> bool:
        device = self._device
        return device is not None and (device.read_file(FILE) is not None or device.guarded)

    def _read(self) -> bytes:
        content = self._device.read_file(FILE) if self._device else self.path.read_bytes()
        if content is None:
            raise FileNotFoundError(self.path)
        return content

    def _write(self, holders: list[Holder]) -> None:
        table = {"format": FORMAT, "holders": [holder.to_dict() for holder in holders]}
        content = json.dumps(table, ensure_ascii=False, indent=1).encode()
        try:
            if self._device:
                self._device.write_file(FILE, content)
            else:
                with files.replacing(self.path, files.open_private) as file:
                    file.write(content)
        except OSError as error:
            raise DeviceError(f"{self.path}: cannot be written ({error.strerror}); check its permissions.") from error
        self.guard()


def _parse_holders(content: bytes) -> tuple[Holder, ...]:
    table = json.loads(content)
    if table["format"] != FORMAT:
        raise ValueError(f"format {table['format']!r}, this version reads {FORMAT}")
    return tuple(map(Holder.from_dict, table["holders"]))


def hash_token(token: str) -> str:
    """Return the SHA-256 that is stored in place of a random token or session."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
