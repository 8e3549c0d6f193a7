"""A device folder: two slots, for the bundle that runs and the one before it, switched by one rename.

    DEVICE/current                    JSON (`slot_state`): the slot that runs, the content of each, and a hash of itself
    DEVICE/slots/a/<manifest>.edge    bundles, named by the hash of their manifest
    DEVICE/slots/b/<manifest>.edge
    DEVICE/trusted.pub                keys whose bundles may be installed; missing: any bundle
    DEVICE/settings.json              how bundles run best here, as `doctor` measured it; missing: defaults
    DEVICE/lock                       locked during a change

A new bundle is copied beside the one that runs, verified there and tested with its golden queries. Only then does
`current` name it. An interrupted installation therefore leaves the device as it was, and files that `current` does not
name are garbage. A delta is first rebuilt into the new bundle from the bundle it changes.
"""

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from .._util import progress
from .._util.files import open_private, replacing, sync_folder, try_lock
from .._util.scratch import sweep
from ..bundle import signing
from ..bundle.bundle_file import Bundle
from ..bundle.content import SealedFile, SealedFileWriter, read_portions
from ..bundle.manifest import Delta, Manifest
from ..bundle.sealing import Key, resolve_key
from ..embedding import run_settings
from ..embedding.run_settings import Environment, Settings
from ..errors import BundleError, DeviceError, EdgeSearchError, SignatureError
from .device_files import CURRENT, DeviceFiles
from .slot_state import SLOT_NAMES, SlotState

SLOTS, TRUSTED, LOCK = "slots", "trusted.pub", "lock"
ACCESS = "access.json"  # PINs and tokens of the server
AHEAD_S = 366 * 86400  # that a bundle's sequence number may be ahead of the clock here
Check = Callable[[Bundle], None]  # raises EdgeSearchError if a bundle does not work on this device as it promises


class Slots(DeviceFiles):
    """A device folder."""

    def encrypt(self) -> None:
        """Make an empty folder an encrypted one; raise DeviceError if it is in use, or no key is given."""
        with self._locked(create=True):
            self._make_encrypted()

    def accept_changes(self, line: int, chain: str) -> list[str]:
        """Accept what was changed without the folder's key, and return the names of these files.

        Args:
            line, chain: Number and chain hash of the last line of the log.
        Raises:
            DeviceError: The folder is not encrypted, or cannot be changed.
        """
        if self.head is None:
            raise DeviceError(f"{self.folder}: is not encrypted, so that no change is noticed; leave the option out.")
        with self._locked(create=True):
            return self.head.accept((CURRENT, TRUSTED, run_settings.FILE, ACCESS), self._read_raw, line, chain)

    def open(self, trusted: Collection[str] = ()) -> Bundle:
        """Open the bundle that runs. It was verified at installation, so it is verified as it is read.

        Args:
            trusted: As in `Bundle`.
        Raises:
            DeviceError: Nothing is installed.
            BundleError: The bundle is damaged.
        """
        state = self._require_state()
        return self._open_bundle(state, state.slot, trusted, whole=False)

    def running(self) -> str:
        """Return the hash of the manifest that runs; raise DeviceError if nothing is installed."""
        state = self._require_state()
        return state.installed[state.slot]

    def digests(self) -> Mapping[str, str]:
        """Return the hash of the manifest in each slot; raise DeviceError if nothing is installed."""
        return self._require_state().installed

    def open_slot(self, slot: str) -> Bundle:
        """Open the bundle in a slot, as `open` does for the one that runs."""
        return self._open_bundle(self._require_state(), slot, whole=False)

    def install(self, source: Path, trust: Path | None, check: Check, least_sequence: int | None = 0) -> Manifest:
        """Verify a bundle, copy it, check it, and switch to it, as `maintenance.install` describes.

        Args:
            source: The bundle or delta.
            trust: Public key that a new device trusts from now on.
            check: Raises EdgeSearchError if the bundle does not work here.
            least_sequence: Lowest sequence number to accept; it cannot be lower than the folder's own. None accepts
                any, and later bundles are compared with it.
        Raises:
            SignatureError, BundleError, DeviceError: As `maintenance.install` does.
        """
        with self._locked(create=True):
            sweep(self.folder)
            state = self._read_state()
            if not self.encrypted and resolve_key(self._key) is not None:
                raise DeviceError(f"{self.folder}: a key is given; install with --encrypt, or leave the key out.")
            trusted = self._accepted_keys(state, trust)
            with contextlib.closing(Bundle(source, trusted, delta=True)) as bundle:
                try:
                    after, new = self._prepare(bundle, state, trusted, check, least_sequence)
                except BaseException:
                    self._remove_unused(state)  # otherwise a full disk would stay full
                    raise
            self._switch_to(after, new, trusted)
        return new.manifest

    def roll_back(self, check: Check, check_direction: Callable[[], None]) -> Manifest:
        """Check the bundle in the other slot, and switch to it.

        Args:
            check: As for `install`.
            check_direction: Raises DeviceError if it is not the one to go back to.
        Raises:
            DeviceError: There is none.
        """
        with self._locked():
            state = self._read_state()
            if state is None or state.other_slot not in state.installed:
                raise DeviceError(f"{self.folder}: there is no previous bundle to go back to; install one.")
            check_direction()
            bundle = self._check_slot(state, state.other_slot, check)
            self._write_state(replace(state, slot=state.other_slot))
        return bundle.manifest

    @property
    def guarded(self) -> bool:
        """True if PINs or tokens were set up, so that their file must be there."""
        state = self._read_state()
        return state is not None and state.guarded

    def guard(self) -> None:
        """Require the file of PINs and tokens from now on; raise DeviceError if that fails."""
        if not self.guarded:
            with self._locked():
                self._write_state(replace(self._require_state(), guarded=True))

    def settings(self) -> tuple[Settings, Environment] | None:
        """Return the settings that `doctor` chose, and the environment they were chosen for; None before its first run.

        Raises:
            DeviceError: The file is damaged.
        """
        content = self.read_file(run_settings.FILE)
        return None if content is None else run_settings.parse(content, str(self.folder / run_settings.FILE))

    def save_settings(self, settings: Settings, measured_for: Environment) -> None:
        """Use these settings whenever the folder is opened from now on; raise DeviceError if that fails."""
        with self._locked():
            self.write_file(run_settings.FILE, run_settings.to_bytes(settings, measured_for))

    def _prepare(
        self, bundle: Bundle, state: SlotState | None, trusted: list[str], check: Check, least_sequence: int | None
    ) -> tuple[SlotState, Bundle]:
        """Write a bundle into the other slot, and check it there; return the state after the switch, and the bundle."""
        manifest = bundle.manifest
        digest = manifest.delta.digest if manifest.delta else bundle.digest
        before = state or SlotState(SLOT_NAMES[1], 0)  # a new device uses the first slot
        highest = manifest.sequence
        if least_sequence is not None:
            highest = max(highest, before.highest)
            self._check_sequence(bundle, max(least_sequence, before.highest))
        self._remove_unused(state)
        slot = before.slot if before.installed.get(before.slot) == digest else before.other_slot
        installed = {**before.installed, slot: digest}
        after = replace(before, slot=slot, highest=highest, installed=installed)
        if before.installed.get(slot) != digest or not self._is_intact(after, slot, trusted):
            self._write_slot(after, bundle, before)
        new = self._check_slot(after, slot, check, trusted)
        if new.manifest.sequence != manifest.sequence:
            raise BundleError(
                f"{bundle.path}: its sequence number is {manifest.sequence}, and that of the bundle it makes is "
                f"{new.manifest.sequence}; install the full bundle."
            )
        return after, new

    def _check_sequence(self, bundle: Bundle, least: int) -> None:
        """Raise DeviceError if a bundle is older than one before, or would keep out all later ones."""
        found = bundle.manifest.sequence
        if found < least:
            raise DeviceError(
                f"{bundle.path}: its sequence number is {found}, and {self.folder} has had {least}; build it again, go "
                "back to the previous one with `rollback`, or accept it with --any-sequence."
            )
        if found > (now := int(time.time())) + AHEAD_S:
            raise DeviceError(
                f"{bundle.path}: its sequence number is {found}, seconds since 1970, and the clock here is at {now}; "
                "no earlier bundle could follow it; set the clocks right, or accept it with --any-sequence."
            )

    def _switch_to(self, after: SlotState, new: Bundle, trusted: list[str]) -> None:
        """Switch to a checked bundle, and update the trusted keys.

        The keys are widened before the switch and narrowed after it, because in between either bundle may be installed.
        """
        keys = trusted[trusted.index(new.signer) :] if new.signer in trusted else []
        next_key = new.manifest.next_key
        if keys and next_key not in ("", new.signer):  # a device that trusts nobody gets no key
            keys = [*(key for key in keys if key != next_key), next_key]
        self._write_trusted(list(dict.fromkeys([*trusted, *keys])))
        self._write_state(replace(after, trusting=bool(keys), encrypted=self.encrypted))
        self._write_trusted(keys)
        self._remove_unused(after)

    def _path(self, slot: str, digest: str) -> Path:
        return self.folder / SLOTS / slot / f"{digest}.edge"

    def _open_bundle(self, state: SlotState, slot: str, trusted: Collection[str] = (), whole: bool = True) -> Bundle:
        path = self._path(slot, state.installed[slot])
        seal = self.seal  # raises errors of the folder, not of the bundle
        unseal = (lambda file: SealedFile(file, seal, state.installed[slot])) if seal.is_encrypted else None
        bundle = Bundle(path, trusted, whole, unseal=unseal)
        if bundle.digest != state.installed[slot]:
            bundle.close()
            raise DeviceError(f"{path}: is not the bundle that was installed there; install it again, or roll back.")
        return bundle

    def _is_intact(self, state: SlotState, slot: str, trusted: Collection[str]) -> bool:
        try:
            self._open_bundle(state, slot, trusted).close()
        except EdgeSearchError:
            return False
        return True

    def _check_slot(self, state: SlotState, slot: str, check: Check, trusted: Collection[str] = ()) -> Bundle:
        """Verify and check the bundle in a slot; return it closed."""
        with contextlib.closing(self._open_bundle(state, slot, trusted)) as bundle:
            check(bundle)
        return bundle

    def _require_state(self) -> SlotState:
        state = self._read_state()
        if state is None:
            raise DeviceError(f"{self.folder}: no device folder, nothing is installed there; install a bundle first.")
        return state

    def _read_state(self) -> SlotState | None:
        content = self.read_file(CURRENT)
        return None if content is None else SlotState.parse(content, str(self.folder / CURRENT))

    def _accepted_keys(self, state: SlotState | None, trust: Path | None) -> list[str]:
        """Return the keys that may have signed a bundle; `trust` gives a new device its first one."""
        trusted = self._read_trusted()
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

    def _read_trusted(self) -> list[str]:
        content = self.read_file(TRUSTED)
        return [] if content is None else signing.parse_trusted(content, self.folder / TRUSTED)

    def _write_trusted(self, keys: list[str]) -> None:
        if keys != self._read_trusted():
            self.write_file(TRUSTED, signing.trusted_text(keys).encode())

    def _write_state(self, state: SlotState) -> None:
        self.write_file(CURRENT, state.to_bytes())

    def _write_slot(self, after: SlotState, bundle: Bundle, before: SlotState) -> None:
        """Copy a bundle into its slot, or rebuild it there from a delta and the bundle that the delta changes."""
        from ..bundle.delta import rebuild  # here, so that a search does not load it

        digest, delta = after.installed[after.slot], bundle.manifest.delta
        path = self._path(after.slot, digest)
        for folder in (path.parent.parent, path.parent):
            folder.mkdir(mode=0o700, exist_ok=True)
        with contextlib.ExitStack() as stack:
            base = stack.enter_context(contextlib.closing(self._open_base(bundle, delta, before))) if delta else None
            file = stack.enter_context(replacing(path, open_private))  # a running process may have a damaged one mapped
            size = delta.size if delta else bundle.content.size
            write = SealedFileWriter(file, size, self.seal, digest).write if self.seal.is_encrypted else file.write
            with progress.stage(f"write {bundle.manifest.name} to {self.folder}", progress.BYTE, size) as stage:

                def write_portion(portion: memoryview) -> None:
                    write(portion)
                    stage.done += len(portion)

                if base:
                    rebuild(bundle, base, write_portion)
                else:
                    for portion in read_portions(bundle.content, 0, size):  # verified bytes; the path may name others
                        write_portion(portion)
        for folder in (path.parent.parent, self.folder):
            sync_folder(folder)

    def _open_base(self, bundle: Bundle, delta: Delta, state: SlotState) -> Bundle:
        """Open the bundle that a delta changes; raise DeviceError if it is missing, or the result does not fit."""
        free = shutil.disk_usage(self.folder).free
        if delta.size > free:
            raise DeviceError(f"{self.folder}: {delta.size} bytes are needed and {free} are free; make room there.")
        for slot, digest in state.installed.items():
            if digest == delta.base:
                with contextlib.suppress(BundleError):  # a damaged one counts as missing
                    return self._open_bundle(state, slot)
        installed = " and ".join(digest[:8] for digest in state.installed.values()) or "none"
        raise DeviceError(
            f"{bundle.path}: changes bundle {delta.base[:8]}, and {self.folder} has no intact one of it (it has "
            f"{installed}); install the full bundle."
        )

    def _remove_unused(self, state: SlotState | None) -> None:
        """Remove bundles that no slot names, such as those of an interrupted installation."""
        named = {self._path(slot, digest) for slot, digest in state.installed.items()} if state else set()
        for path in (self.folder / SLOTS).glob("*/*"):
            if path not in named:
                with contextlib.suppress(OSError):  # Windows refuses while a process has it mapped; try the next time
                    path.unlink()

    @contextlib.contextmanager
    def _locked(self, create: bool = False) -> Iterator[None]:
        """Lock the folder for a change; raise DeviceError if another process changes it, or the system refuses.

        Args:
            create: Create a folder that does not exist.
        """
        try:
            if create:
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            else:
                self._require_state()
            with open(self.folder / LOCK, "wb", opener=open_private) as lock:
                if not try_lock(lock.fileno()):
                    raise DeviceError(f"{self.folder}: another installation is running there; wait for its end.")
                yield
        except OSError as error:
            raise DeviceError(
                f"{self.folder}: cannot be changed ({error.strerror or error}); "
                "check its space and permissions, then try again."
            ) from error


def open_bundle(path: Path, trusted: Collection[str] = (), key: Key | None = None) -> Bundle:
    """Open a `.edge` file, or the bundle that a device folder runs; raise BundleError or DeviceError."""
    return Slots(path, key).open(trusted) if os.path.isdir(path) else Bundle(path, trusted)
