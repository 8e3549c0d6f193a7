"""The head of an encrypted folder: what its other files contain, sealed with its key.

    DEVICE/head       sealed JSON: {"format", "files": {name: [SHA-256, ...]}, "line", "chain"}
    DEVICE/head.lock  locked while the head changes

Without the key, the files that decide (`current`, `trusted.pub`, `settings.json`, `access.json`, the log) can be
exchanged, removed or turned back one by one, but not to what the head says. A change announces itself: the head
lists the old and the new hash, then the file is renamed into place, then the head lists the new hash alone. A power
cut in between leaves a file that the head accepts. The log grows first and the head follows: it names a line that the
log must have, with the hash of all lines up to it. Lines after that one are accepted, because a power cut can leave
them, and nobody can write one without the key.

An older copy of the whole folder agrees with itself, and cannot be told from a backup that was restored.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from .._util.files import locking, open_private, replacing
from ..bundle.sealing import Seal
from ..errors import DeviceError

FILE, LOCK = "head", "head.lock"
FORMAT = 1
MAX_BYTES = 1 << 16
LOCK_S = 60.0
ABSENT = ""  # in place of the hash of a file
_ADVICE = "restore it, or if the change is yours, install a bundle with --accept-changes"


@dataclass(frozen=True)
class _Content:
    """The content of the head.

    Attributes:
        files: The hashes that each file may have.
        line, chain: Number of a line of the log, and its chain hash in hex.
    """

    files: Mapping[str, Sequence[str]] = field(default_factory=dict)
    line: int = 0
    chain: str = ""

    def accepts(self, name: str, content: bytes | None) -> bool:
        return _hash(content) in self.files.get(name, [ABSENT])


class Head:
    """The head of a folder. Safe to share between threads and processes.

    All methods raise DeviceError if the head is missing, damaged, or of another folder.
    """

    def __init__(self, folder: Path, seal: Seal):
        """Refer to the head of a folder, sealed with `seal`."""
        self.path, self._seal = Path(folder) / FILE, seal
        self._parsed: tuple[bytes | None, _Content] = None, _Content()

    def create(self) -> None:
        """Write the first head, of a folder whose files are all still missing; raise OSError if that fails."""
        self._write(_Content())

    def read(self, name: str, read: Callable[[], bytes | None]) -> bytes | None:
        """Return what `read` returns of a file, None if it is missing.

        Raises:
            DeviceError: The file was changed, added or removed without the key.
        """
        while True:
            before, content, after = self._read(), read(), self._read()
            if before.accepts(name, content) or after.accepts(name, content):
                return content
            if before == after:  # else another process has changed the file meanwhile
                raise self._changed(name, content, before)

    @contextlib.contextmanager
    def changing(self, name: str, read: Callable[[], bytes | None], content: bytes) -> Iterator[None]:
        """Accept the new content of a file, which the caller writes; accept no longer the old one afterwards.

        Raises:
            DeviceError: The file was changed without the key before.
            OSError: The head cannot be written; the file is unchanged.
        """
        with self._locked():
            before, old = self._read(), read()
            if not before.accepts(name, old):
                raise self._changed(name, old, before)
            self._write(_with_file(before, name, [_hash(old), _hash(content)]))
            yield
            with contextlib.suppress(OSError):  # the change is done; the next one of the file tidies up
                self._write(_with_file(before, name, [_hash(content)]))

    def line(self) -> tuple[int, str]:
        """Return number and chain hash of a line that the log must have; 0 and "" if it may be empty."""
        content = self._read()
        return content.line, content.chain

    def advance(self, line: int, chain: str) -> None:
        """Require a line of the log, which is stored already."""
        with contextlib.suppress(OSError), self._locked():  # the next line is required with it
            before = self._read()
            if line > before.line:
                self._write(replace(before, line=line, chain=chain))

    def accept(self, names: Collection[str], read: Callable[[str], bytes | None], line: int, chain: str) -> list[str]:
        """Accept files and log as they are; return the names of those that were changed without the key.

        Raises:
            OSError: The head cannot be written.
        """
        with self._locked():
            contents = {name: read(name) for name in names}
            try:
                before = self._read()
                changed = [name for name, content in contents.items() if not before.accepts(name, content)]
            except DeviceError:
                changed = [FILE]
            self._write(_Content({name: [_hash(content)] for name, content in contents.items()}, line, chain))
        return changed

    def _changed(self, name: str, content: bytes | None, before: _Content) -> DeviceError:
        was_there = ABSENT not in before.files.get(name, [ABSENT])
        what = "changed" if content is not None and was_there else "removed" if was_there else "added"
        return DeviceError(f"{self.path.with_name(name)}: was {what} without the folder's key; {_ADVICE}.")

    def _read(self) -> _Content:
        try:
            with open(self.path, "rb") as file:
                sealed = file.read(MAX_BYTES)
        except FileNotFoundError:
            raise DeviceError(f"{self.path}: was removed without the folder's key; {_ADVICE}.") from None
        except OSError as error:
            raise DeviceError(f"{self.path}: cannot be read ({error.strerror}); check its permissions.") from error
        if sealed != self._parsed[0]:
            self._parsed = sealed, self._parse(sealed)
        return self._parsed[1]

    def _parse(self, sealed: bytes) -> _Content:
        try:
            table = json.loads(self._seal.open(sealed, FILE))
            if table.pop("format") != FORMAT:
                raise DeviceError(f"{self.path}: is of another version; upgrade edgesearch.")
            return _Content(**table)
        except (ValueError, KeyError, TypeError) as error:
            raise DeviceError(
                f"{self.path}: is damaged, or was changed without the folder's key; {_ADVICE}."
            ) from error

    def _write(self, content: _Content) -> None:
        sealed = self._seal.close(json.dumps({"format": FORMAT, **asdict(content)}).encode(), FILE)
        with replacing(self.path, open_private) as file:
            file.write(sealed)

    def _locked(self) -> contextlib.AbstractContextManager[None]:
        return locking(self.path.with_name(LOCK), LOCK_S)


def _hash(content: bytes | None) -> str:
    return ABSENT if content is None else hashlib.sha256(content).hexdigest()


def _with_file(content: _Content, name: str, hashes: Sequence[str]) -> _Content:
    return replace(content, files={**content.files, name: hashes})
