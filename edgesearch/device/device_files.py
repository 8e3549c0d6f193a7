"""The small files of a device folder, and the seal of its contents.

DEVICE/encrypted  in an encrypted folder: its number, sealed with its key, to recognize the key
DEVICE/head       in an encrypted folder: what the other files contain (`head`)
"""

import contextlib
import functools
import os
from functools import cached_property
from pathlib import Path

from .._util.files import open_private, replacing
from ..bundle.sealing import KEY_FILE, Key, Seal, derive_key, resolve_key
from ..errors import DeviceError
from .head import Head
from .slot_state import SlotState

CURRENT, ENCRYPTED = "current", "encrypted"
MAX_BYTES = 1 << 16  # of each of these files
NUMBER_BYTES = 16  # of an encrypted folder


class DeviceFiles:
    """The files of a device folder."""

    def __init__(self, folder: Path, key: Key | None = None):
        """Refer to a folder, which need not exist; `key` opens an encrypted one, None takes that of the environment."""
        self.folder, self._key = Path(folder), key

    @property
    def encrypted(self) -> bool:
        """True if the folder's key is needed to read its products and pictures."""
        return os.path.exists(self.folder / ENCRYPTED)

    @property
    def seal(self) -> Seal:
        """Seal of the folder's contents.

        Raises:
            DeviceError: The folder is encrypted with another key, or a key is given and it is not encrypted.
        """
        return self._unlocked[0]

    @property
    def head(self) -> Head | None:
        """The head of an encrypted folder; None if it is not encrypted, or was by a version before 2026-12."""
        return self._unlocked[1]

    def read_file(self, name: str) -> bytes | None:
        """Return the content of a file in the folder, None if it is missing.

        Raises:
            DeviceError: It cannot be read, or the folder is encrypted and the file was changed without its key.
        """
        read = functools.partial(self._read_raw, name)
        return self.head.read(name, read) if self.head else read()

    def write_file(self, name: str, content: bytes) -> None:
        """Replace a file in the folder; raise OSError or DeviceError if that fails."""
        with contextlib.ExitStack() as stack:
            if self.head:
                stack.enter_context(self.head.changing(name, functools.partial(self._read_raw, name), content))
            with replacing(self.folder / name, open_private) as file:
                file.write(content)

    @cached_property
    def _unlocked(self) -> tuple[Seal, Head | None]:
        mark, key = self._read_raw(ENCRYPTED), resolve_key(self._key)
        if mark is None:
            state = self._read_raw(CURRENT)
            if state is not None and SlotState.parse(state, str(self.folder / CURRENT)).encrypted:
                raise DeviceError(f"{self.folder / ENCRYPTED}: is gone; restore it, or make a new device folder.")
            if state is not None and key is not None:
                raise DeviceError(
                    f"{self.folder}: is not encrypted, and a key is given; leave the key out, or restore the folder."
                )
            return Seal(), None
        if key is None:
            raise DeviceError(f"{self.folder}: is encrypted; give its key (--key-file, or {KEY_FILE}).")
        try:
            number = Seal(key).open(mark, ENCRYPTED)
        except ValueError as error:
            raise DeviceError(f"{self.folder}: is encrypted with another key, or damaged; give its own key.") from error
        if not number:
            return Seal(key), None
        seal = Seal(derive_key(key, number))
        return seal, Head(self.folder, seal)

    def _make_encrypted(self) -> None:
        """Seal an empty folder with the key; raise DeviceError if it is in use, or no key is given."""
        if self.encrypted:
            return
        if self._read_raw(CURRENT) is not None:
            raise DeviceError(f"{self.folder}: is in use without encryption; give the name of a new folder.")
        key = resolve_key(self._key)
        if key is None:
            raise DeviceError(f"{self.folder}: to encrypt it a key is needed (--key-file, or {KEY_FILE}).")
        number = os.urandom(NUMBER_BYTES)
        Head(self.folder, Seal(derive_key(key, number))).create()
        with replacing(self.folder / ENCRYPTED, open_private) as file:
            file.write(Seal(key).close(number, ENCRYPTED))

    def _read_raw(self, name: str) -> bytes | None:
        path = self.folder / name
        try:
            with open(path, "rb") as file:
                return file.read(MAX_BYTES)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise DeviceError(f"{path}: cannot be read ({error.strerror}); check its permissions.") from error
