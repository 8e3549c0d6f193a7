"""Install a bundle on a device, roll back, read the log, and export what the device was taught."""

import contextlib
import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .._util import progress
from ..bundle.bundle_file import Bundle
from ..bundle.manifest import Manifest
from ..bundle.sealing import Key
from ..errors import DeviceError, EdgeSearchError
from ..search.open_bundle import OpenBundle, open_catalog, space_of
from . import overlay_export
from .changes import Change
from .learned import LearnedPictures
from .overlay import FILE, Event, Overlay, OverlaySnapshot
from .overlay_export import Exported
from .overlay_gallery import merge_overlay
from .profile import Profile
from .slots import Check, Slots

SWITCHES = ("install", "rollback", "forward")  # events


def install(
    bundle: str | os.PathLike[str],
    device: str | os.PathLike[str],
    trust: Path | None = None,
    who: str | None = None,
    encrypt: bool = False,
    key: Key | None = None,
    *,
    accept_changes: bool = False,
    any_sequence: bool = False,
) -> Manifest:
    """Install a bundle, or a delta, on a device and switch to it.

    The bundle is verified, copied beside the current one, verified again, and tested with its golden queries. If any
    step fails or is interrupted, the current bundle stays in use. Running processes keep the bundle they have open.
    What the device was taught stays, by the rule of `changes`; changes that all installed bundles contain are deleted.

    Args:
        bundle: `.edge` file, or a delta of an installed bundle.
        device: Device folder, created if it does not exist.
        trust: Public key that a new device trusts from now on.
        who: User for the log; None takes the user of this process.
        encrypt: Make a new device folder an encrypted one.
        key: Of an encrypted folder: 32 bytes, or a function that returns them; None takes that of the environment
            (`sealing.resolve_key`).
        accept_changes: Accept, and log, what was changed in an encrypted folder without its key.
        any_sequence: Accept, and log, a bundle that is older than one before, or ahead of the clock by over a year;
            later bundles are compared with it.
    Raises:
        SignatureError: No key that the device trusts has signed the bundle.
        BundleError: The bundle is damaged, or gives other results on this device than where it was built.
        DeviceError: The bundle is older than one the device has had, or far ahead of the clock; it is a delta of a
            bundle the device lacks; another installation is running, or the folder cannot be changed.
    """
    slots = Slots(Path(device), key)
    if encrypt:
        slots.encrypt()
    if accept_changes:
        _accept_changes(slots, who)
    with _check_and_log(slots, "install", who, any_sequence) as check:
        least = None if any_sequence else _highest_sequence(slots)
        manifest = slots.install(Path(bundle), trust, check, least)
    with contextlib.suppress(EdgeSearchError):  # the bundle is installed; the next install can fold
        _fold_overlay(slots)
    return manifest


def rollback(
    device: str | os.PathLike[str], who: str | None = None, key: Key | None = None, *, forward: bool = False
) -> Manifest:
    """Test the bundle that ran before the last installation, and switch back to it.

    Args:
        device: Device folder.
        who: As for `install`.
        key: As for `install`.
        forward: Switch instead to the bundle that the last rollback left.
    Raises:
        BundleError: That bundle is damaged or gives other results on this device.
        DeviceError: There is none; or the last rollback left it, and `forward` is not given; or another installation
            is running.
    """
    slots = Slots(Path(device), key)
    with _check_and_log(slots, "forward" if forward else "rollback", who) as check:
        return slots.roll_back(check, functools.partial(_check_direction, slots, forward))


def log(device: str | os.PathLike[str], key: Key | None = None) -> list[Event]:
    """Return the log of a device, oldest line first.

    Raises:
        DeviceError: Nothing is installed there, or a line was altered.
    """
    with _open_overlay(device, key) as overlay:
        return overlay.events()


def overlay_snapshot(device: str | os.PathLike[str], key: Key | None = None) -> OverlaySnapshot:
    """Return what a device was taught; raise DeviceError if nothing is installed there."""
    with _open_overlay(device, key) as overlay:
        return overlay.snapshot()


def export(device: str | os.PathLike[str], folder: str | os.PathLike[str], key: Key | None = None) -> Exported:
    """Write what a device was taught and what it learned into a new folder, for `build` to merge.

    Raises:
        DeviceError: Nothing is installed there, or the folder exists or cannot be written.
    """
    slots = Slots(Path(device), key)
    slots.digests()
    with _overlay(slots) as overlay:
        return overlay_export.export(overlay, Path(folder), functools.partial(_running, slots))


def export_zip(device: str | os.PathLike[str], file: BinaryIO, key: Key | None = None) -> Exported:
    """Write the same as a zip into an open file; raise DeviceError if nothing is installed there, or OSError."""
    slots = Slots(Path(device), key)
    slots.digests()
    with _overlay(slots) as overlay:
        return overlay_export.export_zip(overlay, file, functools.partial(_running, slots))


def open_profile(device: str | os.PathLike[str], key: Key | None = None) -> contextlib.closing[Profile]:
    """Open the profile of a device without opening its bundle; raise DeviceError if nothing is installed there."""
    slots = Slots(Path(device), key)
    slots.digests()
    return contextlib.closing(Profile(slots.folder, slots.seal))


def _running(slots: Slots) -> Manifest:
    with contextlib.closing(slots.open()) as bundle:
        return bundle.manifest


def _open_overlay(device: str | os.PathLike[str], key: Key | None) -> contextlib.closing[Overlay]:
    slots = Slots(Path(device), key)
    slots.digests()
    return _overlay(slots)


def _overlay(slots: Slots) -> contextlib.closing[Overlay]:
    return contextlib.closing(Overlay(slots.folder, slots.seal, slots.head))


@contextlib.contextmanager
def _check_and_log(slots: Slots, what: str, who: str | None, any_sequence: bool = False) -> Iterator[Check]:
    """Yield the check to run just before a switch; it logs the switch, and a later error is logged as "failed"."""
    is_logged = False

    def check(bundle: Bundle) -> None:
        """Test the bundle's golden queries, compute the references of all taught pictures, and log the switch."""
        nonlocal is_logged
        base = OpenBundle(bundle)
        try:
            with progress.stage("ask the golden queries"):
                base.self_test()
            with _overlay(slots) as overlay:
                with progress.stage("read what the device was taught"):
                    merge_overlay(base, overlay)
                manifest = bundle.manifest
                detail = {"name": manifest.name, "sequence": manifest.sequence, "manifest": bundle.digest}
                if any_sequence:
                    detail["any_sequence"] = True
                overlay.record(what, detail, who)
            is_logged = True
        finally:
            base.catalog.close()

    try:
        yield check
    except EdgeSearchError as error:
        if is_logged:
            with contextlib.suppress(EdgeSearchError), _overlay(slots) as overlay:
                overlay.record("failed", {"reason": str(error)}, who)
        raise


def _check_direction(slots: Slots, forward: bool) -> None:
    """Raise DeviceError if the bundle in the other slot is not the one that is asked for."""
    running = slots.running()  # what the log says of another bundle may have been interrupted before the switch
    with _overlay(slots) as overlay:
        switches = [one for one in overlay.events() if one.what in SWITCHES and one.detail["manifest"] == running]
    was_rolled_back = bool(switches) and switches[-1].what == "rollback"
    if was_rolled_back and not forward:
        raise DeviceError(
            f"{slots.folder}: runs the bundle before the last install already; to run the one again that the last "
            "rollback left, give --forward."
        )
    if forward and not was_rolled_back:
        raise DeviceError(f"{slots.folder}: the last change was no rollback; leave out --forward.")


def _accept_changes(slots: Slots, who: str | None) -> None:
    """Accept what was changed in an encrypted folder without its key, and log the names of these files."""
    changed = []
    try:
        with _overlay(slots) as overlay:
            overlay.version()
    except DeviceError:
        changed = [FILE]
    with contextlib.closing(Overlay(slots.folder, slots.seal)) as overlay:
        last = [(event.number, event.chain) for event in overlay.events()[-1:]] or [(0, "")]
    changed = slots.accept_changes(*last[0]) + changed
    with _overlay(slots) as overlay:
        overlay.record("accept", {"files": changed}, who)


def _highest_sequence(slots: Slots) -> int:
    """Return the highest installed sequence number by the log, since the file `current` may be lost."""
    highest = [0]  # after each switch
    with _overlay(slots) as overlay:
        for event in overlay.events():
            if event.what == "install":
                before = 0 if event.detail.get("any_sequence") else highest[-1]
                highest.append(max(before, event.detail["sequence"]))
            elif event.what in SWITCHES:
                highest.append(highest[-1])
            elif event.what == "failed":
                highest.pop()
    return highest[-1]


def _fold_overlay(slots: Slots) -> None:
    """Delete the changes that all installed bundles contain."""
    with contextlib.ExitStack() as stack:
        overlay = stack.enter_context(_overlay(slots))
        catalogs, spaces = [], []
        for slot in slots.digests():
            bundle = stack.enter_context(contextlib.closing(slots.open_slot(slot)))
            spaces.append(space_of(bundle.manifest))
            catalogs.append(stack.enter_context(contextlib.closing(open_catalog(bundle))))

        def is_redundant(sku: str, change: Change) -> bool:
            return all(change.is_redundant(sku, catalog.find_skus([sku]).get(sku)) for catalog in catalogs)

        overlay.fold(is_redundant, spaces)
        LearnedPictures(overlay).fold(spaces)
