"""A device folder as a whole: the bundle it runs, what it was taught, and the log of what was done to it."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from ..bundle.bundle_file import Bundle
from ..bundle.manifest import Manifest
from ..bundle.sealing import Key
from ..errors import EdgeSearchError
from ..search.open_bundle import OpenBundle, open_catalog, space_of
from . import overlay_export
from .changes import Change
from .overlay import Event, Overlay, Taught
from .overlay_gallery import merge_overlay
from .profile import Profile
from .slots import Check, Slots


def install(
    bundle: str | os.PathLike[str],
    device: str | os.PathLike[str],
    trust: Path | None = None,
    who: str | None = None,
    encrypt: bool = False,
    key: Key | None = None,
) -> Manifest:
    """Install a bundle, or a delta, in a device folder beside the one that runs there, and switch to it.

    Verified, copied, verified again, and asked its golden queries first; whatever fails or interrupts that, the old one
    runs on. A running process goes on with what it has open. What the device was taught stays, by the rules of
    `changes`; what all its bundles say by then is forgotten.

    Args:    device: made where it is absent; trust: public key that a new device trusts from now on; who: for the log,
             None for the user of this process; encrypt: make a new device an encrypted one; key: of an encrypted one,
             32 bytes or what returns them, None for that of the environment (`sealing.key_bytes`).
    Raises:  SignatureError: signed by nobody whom the device trusts; BundleError: damaged, or does not do on this
             device what it did where it was built; DeviceError: older than what the device has had, a delta of what
             it has not, another installation is going on, or the folder cannot be changed.
    """
    slots = Slots(Path(device), key)
    if encrypt:
        slots.encrypt()
    with _logged(slots, "install", who) as check:
        manifest = slots.install(Path(bundle), trust, check, _had(slots))
    with contextlib.suppress(EdgeSearchError):  # it runs; what could not be forgotten can be next time
        _fold(slots)
    return manifest


def rollback(device: str | os.PathLike[str], who: str | None = None, key: Key | None = None) -> Manifest:
    """Go back to the bundle that ran before the last one; raises BundleError, DeviceError."""
    slots = Slots(Path(device), key)
    with _logged(slots, "rollback", who) as check:
        return slots.roll_back(check)


def log(device: str | os.PathLike[str], key: Key | None = None) -> list[Event]:
    """All that was done to a device, oldest first.

    Raises:  DeviceError: nothing is installed there, or a line of the log is not what was written.
    """
    with _installed(device, key) as overlay:
        return overlay.events()


def taught(device: str | os.PathLike[str], key: Key | None = None) -> Taught:
    """What a device was taught, by SKU, and how long its log is; raises DeviceError."""
    with _installed(device, key) as overlay:
        return overlay.taught()


def export(device: str | os.PathLike[str], folder: str | os.PathLike[str], key: Key | None = None) -> int:
    """Write what a device was taught into a new folder, for `build` to merge; as `exchange.export` says."""
    with _installed(device, key) as overlay:
        return overlay_export.export(overlay, Path(folder))


def profile(device: str | os.PathLike[str], key: Key | None = None) -> contextlib.closing[Profile]:
    """What was liked on a device, to be closed; no bundle is opened. Raises DeviceError: nothing is installed there."""
    slots = Slots(Path(device), key)
    slots.digests()
    return contextlib.closing(Profile(slots.folder, slots.seal))


def _installed(device: str | os.PathLike[str], key: Key | None) -> contextlib.closing[Overlay]:
    """What a device was taught; raises DeviceError: nothing is installed there."""
    slots = Slots(Path(device), key)
    slots.digests()
    return _overlay(slots)


def _overlay(slots: Slots) -> contextlib.closing[Overlay]:
    return contextlib.closing(Overlay(slots.folder, slots.seal))


@contextlib.contextmanager
def _logged(slots: Slots, what: str, who: str | None) -> Iterator[Check]:
    """What to check just before a bundle runs, and log: that it will, and where it then does not after all."""
    logged = False

    def check(bundle: Bundle) -> None:
        """It answers as it should, and its network has seen all pictures that were taught."""
        nonlocal logged
        base = OpenBundle(bundle)
        try:
            base.self_test()
            with _overlay(slots) as overlay:
                merge_overlay(base, overlay)
                manifest = bundle.manifest
                detail = {"name": manifest.name, "sequence": manifest.sequence, "manifest": bundle.digest}
                overlay.record(what, detail, who)
            logged = True
        finally:
            base.catalog.close()

    try:
        yield check
    except EdgeSearchError as error:
        if logged:
            with contextlib.suppress(EdgeSearchError), _overlay(slots) as overlay:
                overlay.record("failed", {"reason": str(error)}, who)
        raise


def _had(slots: Slots) -> int:
    """The highest sequence number in the log: `current` may be lost."""
    had = [0]
    with _overlay(slots) as overlay:
        for event in overlay.events():
            if event.what == "install":
                had.append(event.detail["sequence"])
            elif event.what == "failed":
                had.pop()
    return max(had)


def _fold(slots: Slots) -> None:
    """Forget what all bundles of a device say by now."""
    with contextlib.ExitStack() as stack:
        overlay = stack.enter_context(_overlay(slots))
        catalogs, spaces = [], []
        for slot in slots.digests():
            bundle = stack.enter_context(contextlib.closing(slots.bundle(slot)))
            spaces.append(space_of(bundle.manifest))
            catalogs.append(stack.enter_context(contextlib.closing(open_catalog(bundle))))

        def settled(sku: str, change: Change) -> bool:
            return all(change.is_settled(sku, one.find_skus([sku]).get(sku)) for one in catalogs)

        overlay.fold(settled, spaces)
