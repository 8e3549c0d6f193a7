"""Two slots: the bundle that a device runs and the one before it, switched by one rename.

    DEVICE/current                    JSON: which slot runs, what each holds, the highest sequence number seen, and the
                                      hash of all that
    DEVICE/slots/a/<manifest>.edge    bundles, named by the hash of their manifest
    DEVICE/slots/b/<manifest>.edge
    DEVICE/trusted.pub                keys whose bundles may be installed; none: any bundle
    DEVICE/encrypted                  where it is: something sealed with its key, to know it by
    DEVICE/settings.json              how they run best here, as `doctor` measured it; none: as everywhere
    DEVICE/lock                       held while something is changed

A new bundle is copied beside what runs, verified there and asked its golden queries; only then `current` names it. So
whatever interrupts an installation, the device runs what it ran, and a file that `current` does not name is waste.
From a delta the new bundle is made instead, with the one it changes, and then treated as a copy is.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path

from .._util.files import private, replacing, sync_folder, try_lock
from .._util.hashing import digest_of
from ..bundle import signing
from ..bundle.bundle_file import Bundle
from ..bundle.content import SealedFile, SealedFileWriter, read_portions
from ..bundle.delta import rebuild
from ..bundle.manifest import DIGEST, Delta, Manifest
from ..bundle.sealing import KEY_FILE, Key, Seal, resolve_key
from ..embedding import run_settings as settings
from ..embedding.run_settings import Environment, Settings
from ..errors import BundleError, DeviceError, EdgeSearchError, SignatureError

FORMAT = 2  # 1 had no hash of itself
CURRENT, SLOTS, TRUSTED, LOCK, ENCRYPTED = "current", "slots", "trusted.pub", "lock", "encrypted"
NAMES = ("a", "b")
MAX_BYTES = 1 << 16  # of `current` and of the settings
Check = Callable[[Bundle], None]  # raises EdgeSearchError where a bundle does not do on this device what it promises


@dataclass(frozen=True)
class State:
    """What `current` says.

    Attributes: slot: which runs; highest: sequence number that no bundle to install may be below; installed: hash of
                the manifest in each slot; trusting: there are keys in `trusted.pub`; encrypted: there is a mark.
    """

    slot: str
    highest: int
    installed: Mapping[str, str] = field(default_factory=dict)
    trusting: bool = False
    encrypted: bool = False

    @property
    def other(self) -> str:
        """The slot that does not run."""
        return NAMES[1 - NAMES.index(self.slot)]

    def to_bytes(self) -> bytes:
        """The file."""
        table = {"format": FORMAT, **asdict(self)}
        return json.dumps({**table, "sha256": digest_of(table)}).encode()

    @classmethod
    def parse(cls, data: bytes, name: str) -> "State":
        """Raises DeviceError: not such a file."""
        try:
            table = json.loads(data)
            if table["format"] != FORMAT:
                raise DeviceError(f"{name}: device format {table['format']}; this version reads {FORMAT}, upgrade it.")
            if table.pop("sha256") != digest_of(table):
                raise ValueError("its numbers changed")
            flags = (bool(table[name]) for name in ("trusting", "encrypted"))
            state = cls(table["slot"], int(table["highest"]), dict(table["installed"]), *flags)
            odd = [key for key, digest in state.installed.items() if not (key in NAMES and DIGEST.fullmatch(digest))]
            if odd or state.slot not in state.installed:
                raise ValueError(f"slots {odd or state.slot!r}")
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise DeviceError(f"{name}: is damaged ({error}); restore it, or make a new device folder.") from error
        return state


class Slots:
    """A device folder."""

    def __init__(self, folder: Path, key: Key | None = None):
        """key: of an encrypted one, None for that of the environment (`sealing.key_bytes`)."""
        self.folder, self._key = Path(folder), key

    @property
    def encrypted(self) -> bool:
        """What it keeps of products and pictures can be read with its key alone."""
        return os.path.exists(self.folder / ENCRYPTED)

    @cached_property
    def seal(self) -> Seal:
        """With which the folder's contents are sealed; raises DeviceError: it is encrypted, with another key."""
        mark = self._read(ENCRYPTED)
        if mark is None:
            state = self._state()
            if state and state.encrypted:
                raise DeviceError(f"{self.folder / ENCRYPTED}: is gone; restore it, or make a new device folder.")
            return Seal()
        key = resolve_key(self._key)
        if key is None:
            raise DeviceError(f"{self.folder}: is encrypted; give its key (--key-file, or {KEY_FILE}).")
        seal = Seal(key)
        try:
            seal.open(mark, ENCRYPTED)
        except ValueError as error:
            raise DeviceError(f"{self.folder}: is encrypted with another key, or damaged; give its own key.") from error
        return seal

    def encrypt(self) -> None:
        """Make the folder an encrypted one, before anything is in it; raises DeviceError."""
        with self._changing(make=True):
            if self.encrypted:
                return
            if self._state() is not None:
                raise DeviceError(f"{self.folder}: is in use without encryption; give the name of a new folder.")
            key = resolve_key(self._key)
            if key is None:
                raise DeviceError(f"{self.folder}: to encrypt it a key is needed (--key-file, or {KEY_FILE}).")
            self._write(ENCRYPTED, Seal(key).close(b"", ENCRYPTED))

    def open(self, trusted: Collection[str] = ()) -> Bundle:
        """The bundle that runs, verified as it is read: all of it was when it was installed.

        Args:    trusted: as `Bundle` has it.
        Raises:  DeviceError: nothing is installed there; BundleError: it is damaged.
        """
        state = self._installed()
        return self._bundle(state, state.slot, trusted, whole=False)

    def running(self) -> str:
        """The hash of the manifest that runs; raises DeviceError: nothing is installed."""
        state = self._installed()
        return state.installed[state.slot]

    def digests(self) -> Mapping[str, str]:
        """The hash of the manifest in each slot; raises DeviceError: nothing is installed."""
        return self._installed().installed

    def bundle(self, slot: str) -> Bundle:
        """The bundle in a slot, as `open` gives that which runs."""
        return self._bundle(self._installed(), slot, whole=False)

    def install(self, source: Path, trust: Path | None, check: Check, least: int = 0) -> Manifest:
        """Verify a bundle, copy it, try it, and run it from now on; `device.install` says the rest.

        Args:    least: sequence number that it may not be below, besides those that the folder has had.
        """
        with self._changing(make=True):
            state = self._state()
            trusted = self._trusted(state, trust)
            bundle = Bundle(source, trusted, delta=True)
            try:
                manifest = bundle.manifest
                digest = manifest.delta.digest if manifest.delta else bundle.digest
                least = max(least, state.highest if state else 0)
                if manifest.sequence < least:
                    raise DeviceError(
                        f"{source}: its sequence number is {manifest.sequence}, and {self.folder} has had {least}; "
                        "build it again, or go back to the previous one with `rollback`."
                    )
                self._sweep(state)
                before = state or State(NAMES[1], 0)  # of a new device, the first slot is the other one
                slot = before.slot if before.installed.get(before.slot) == digest else before.other
                after = State(slot, max(manifest.sequence, before.highest), {**before.installed, slot: digest})
                if before.installed.get(slot) != digest or not self._sound(after, slot, trusted):
                    self._fill(after, bundle, before)
                new = self._try(after, slot, check, trusted)
                if new.manifest.sequence != manifest.sequence:
                    raise BundleError(
                        f"{source}: its sequence number is {manifest.sequence}, and that of the bundle it makes is "
                        f"{new.manifest.sequence}; install the full bundle."
                    )
            except BaseException:
                self._sweep(state)  # a full disk would stay full
                raise
            finally:
                bundle.close()
            # Trust is widened before the switch and narrowed after it: in between, either bundle may be installed.
            kept = trusted[trusted.index(new.signer) :] if new.signer in trusted else []
            following = new.manifest.next_key
            if kept and following not in ("", new.signer):  # a device that trusts nobody is given no key
                kept = [*(key for key in kept if key != following), following]
            self._trust(list(dict.fromkeys([*trusted, *kept])))
            self._switch(replace(after, trusting=bool(kept), encrypted=self.encrypted))
            self._trust(kept)
            self._sweep(after)
        return new.manifest

    def roll_back(self, check: Check) -> Manifest:
        """Run the bundle that ran before; `device.rollback` says the rest."""
        with self._changing():
            state = self._state()
            if state is None or state.other not in state.installed:
                raise DeviceError(f"{self.folder}: there is no previous bundle to go back to; install one.")
            bundle = self._try(state, state.other, check)
            self._switch(replace(state, slot=state.other))
        return bundle.manifest

    def settings(self) -> tuple[Settings, Environment] | None:
        """What `doctor` chose here, and for what; None where it has not run; raises DeviceError."""
        content = self._read(settings.FILE)
        return None if content is None else settings.parse(content, str(self.folder / settings.FILE))

    def settle(self, chosen: Settings, place: Environment) -> None:
        """Run so from now on, in whatever process opens the folder; raises DeviceError."""
        with self._changing():
            self._write(settings.FILE, settings.to_bytes(chosen, place))

    def _path(self, slot: str, digest: str) -> Path:
        return self.folder / SLOTS / slot / f"{digest}.edge"

    def _bundle(self, state: State, slot: str, trusted: Collection[str] = (), whole: bool = True) -> Bundle:
        path = self._path(slot, state.installed[slot])
        seal = self.seal  # its errors are not the bundle's
        unseal = (lambda file: SealedFile(file, seal, state.installed[slot])) if seal.is_encrypted else None
        bundle = Bundle(path, trusted, whole, unseal=unseal)
        if bundle.digest != state.installed[slot]:
            bundle.close()
            raise DeviceError(f"{path}: is not the bundle that was installed there; install it again, or roll back.")
        return bundle

    def _sound(self, state: State, slot: str, trusted: Collection[str]) -> bool:
        try:
            self._bundle(state, slot, trusted).close()
        except EdgeSearchError:
            return False
        return True

    def _try(self, state: State, slot: str, check: Check, trusted: Collection[str] = ()) -> Bundle:
        """What is in a slot, closed again, when it was tried."""
        with contextlib.closing(self._bundle(state, slot, trusted)) as bundle:
            check(bundle)
        return bundle

    def _installed(self) -> State:
        state = self._state()
        if state is None:
            raise DeviceError(f"{self.folder}: no device folder, nothing is installed there; install a bundle first.")
        return state

    def _state(self) -> State | None:
        content = self._read(CURRENT)
        return None if content is None else State.parse(content, str(self.folder / CURRENT))

    def _read(self, name: str) -> bytes | None:
        path = self.folder / name
        try:
            with open(path, "rb") as file:
                return file.read(MAX_BYTES)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise DeviceError(f"{path}: cannot be read ({error.strerror}); check its permissions.") from error

    def _trusted(self, state: State | None, trust: Path | None) -> list[str]:
        """The keys that a bundle may be signed by; `trust` gives a new device its first."""
        trusted = signing.read_trusted(self.folder / TRUSTED)
        if trust is None:
            if state and state.trusting and not trusted:
                raise SignatureError(f"{self.folder / TRUSTED}: is gone; restore it, or install with --trust.")
            return trusted
        key = signing.read_public(trust)
        if trusted and key not in trusted:
            raise DeviceError(
                f"{self.folder}: trusts another key than {trust}; a bundle signed by that one can bring the next "
                "(`build --next-key`)."
            )
        return trusted or [key]

    def _trust(self, keys: list[str]) -> None:
        if keys != signing.read_trusted(self.folder / TRUSTED):
            self._write(TRUSTED, signing.trusted_text(keys).encode())

    def _switch(self, state: State) -> None:
        self._write(CURRENT, state.to_bytes())

    def _fill(self, after: State, bundle: Bundle, before: State) -> None:
        """Copy the bundle that is to run, or make it, where it is a delta, of one that is there."""
        digest, delta = after.installed[after.slot], bundle.manifest.delta
        path = self._path(after.slot, digest)
        for folder in (path.parent.parent, path.parent):
            folder.mkdir(mode=0o700, exist_ok=True)
        with contextlib.ExitStack() as stack:
            base = stack.enter_context(contextlib.closing(self._base(bundle, delta, before))) if delta else None
            file = stack.enter_context(replacing(path, private))  # a damaged one may be mapped by who runs it
            size = delta.size if delta else bundle.content.size
            write = SealedFileWriter(file, size, self.seal, digest).write if self.seal.is_encrypted else file.write
            if base:
                rebuild(bundle, base, write)
            else:
                for portion in read_portions(bundle.content, 0, size):  # what was verified, not what has its name by now
                    write(portion)
        for folder in (path.parent.parent, self.folder):
            sync_folder(folder)

    def _base(self, bundle: Bundle, delta: Delta, state: State) -> Bundle:
        """The bundle that a delta changes; there is room for what it makes."""
        free = shutil.disk_usage(self.folder).free
        if delta.size > free:
            raise DeviceError(f"{self.folder}: {delta.size} bytes are needed and {free} are free; make room there.")
        for slot, digest in state.installed.items():
            if digest == delta.base:
                with contextlib.suppress(BundleError):  # damaged: as if it were not there
                    return self._bundle(state, slot)
        has = " and ".join(digest[:8] for digest in state.installed.values()) or "none"
        raise DeviceError(
            f"{bundle.path}: changes bundle {delta.base[:8]}, and {self.folder} has no sound one of it (it has {has}); "
            "install the full bundle."
        )

    def _write(self, name: str, content: bytes) -> None:
        with replacing(self.folder / name, private) as file:
            file.write(content)

    def _sweep(self, state: State | None) -> None:
        """Remove what an interrupted installation left, and what no slot names any more."""
        named = {self._path(slot, digest) for slot, digest in state.installed.items()} if state else set()
        for path in (self.folder / SLOTS).glob("*/*"):
            if path not in named:
                with contextlib.suppress(OSError):  # mapped by a running process, where that forbids it: another time
                    path.unlink()

    @contextlib.contextmanager
    def _changing(self, make: bool = False) -> Iterator[None]:
        """One at a time; what the system refuses is our error, and what ran runs on.

        Args:    make: the folder, where there is none.
        """
        try:
            if make:
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            else:
                self._installed()
            with open(self.folder / LOCK, "wb", opener=private) as lock:
                if not try_lock(lock.fileno()):
                    raise DeviceError(f"{self.folder}: another installation is going on there; wait for its end.")
                yield
        except OSError as error:
            raise DeviceError(
                f"{self.folder}: cannot be changed ({error}); check its space and permissions, then try again."
            ) from error


def open_bundle(path: Path, trusted: Collection[str] = (), key: Key | None = None) -> Bundle:
    """A `.edge` file, or what a device folder runs, as `Bundle` opens it; raises BundleError, DeviceError."""
    return Slots(path, key).open(trusted) if os.path.isdir(path) else Bundle(path, trusted)
