"""Hold what a process has opened of a store; a process forked from it opens its own when it first needs it.

What only device folders need is loaded for them alone.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from .._util import forks
from ..bundle.bundle_file import Bundle
from ..bundle.sealing import Key
from ..device.slots import Slots, open_bundle
from ..embedding.run_settings import DEFAULT, Settings
from ..errors import DeviceError
from ..search.gallery import Gallery, OverlayRows
from ..search.open_bundle import OpenBundle, run_environment

if TYPE_CHECKING:
    from ..device.learned import LearnedPictures
    from ..device.overlay import Overlay
    from ..device.profile import Profile

PickleArguments = tuple[str, int | None, tuple[str, ...], Settings | None]


@dataclass
class OpenParts:
    """The open parts of a store.

    Attributes:
        base: The bundle.
        state: Identifies the bundle that lay at the path when it was opened.
        overlay: What the device was taught; None for a file.
        profile: The device's record of picks and dismissals; None for a file.
        learned: What the device learned from use; None for a file.
        gallery: The bundle merged with the overlay, as of the last search.
    """

    base: OpenBundle
    state: object
    overlay: Overlay | None
    profile: Profile | None
    learned: LearnedPictures | None
    gallery: Gallery


class StoreSession:
    """An open file or device folder. Safe to share between threads, and with forked processes."""

    def __init__(
        self,
        path: Path,
        threads: int | None,
        trusted: Collection[str],
        key: Key | None,
        settings: Settings | None,
        later: bool = False,
    ):
        """Open a store, or if `later` is set, open it at the first use; the other arguments are as for `Store`."""
        self.path, self._key = path, key
        self._arguments = os.path.abspath(path), threads, tuple(trusted), settings
        self._settings = functools.partial(_choose_settings, path, key, threads, settings)
        self._open_base = functools.partial(_open_base, path, trusted, key, self._settings)
        self._lock, self._closed, self._is_stale = threading.RLock(), False, False
        self._parts: OpenParts | None = None if later else self._open()
        forks.forget_after_fork(self)

    @property
    def parts(self) -> OpenParts:
        """The open parts, opened if need be. Raises EdgeSearchError: that fails, or the store was closed."""
        if self._parts is None or self._is_stale:
            with self._lock:
                if self._parts is None:
                    self._check_open()
                    self._parts = self._open()
                elif self._is_stale:
                    self._reopen(self._parts)
                self._is_stale = False
                return self._parts
        return self._parts

    def mark_stale(self) -> None:
        """Reopen at the next use if another bundle runs by then."""
        self._is_stale = True

    @property
    def closed(self) -> bool:
        """True once the store was closed."""
        return self._closed

    def gallery(self) -> Gallery:
        """Return the bundle with everything taught so far; raise DeviceError if it was closed or cannot be read."""
        self._check_open()
        parts = self.parts
        gallery, version = parts.gallery, parts.overlay.version() if parts.overlay else 0
        if (gallery.base, gallery.version) != (parts.base, version):
            with self._lock:  # one thread merges, the others find the result
                gallery = parts.gallery
                if (gallery.base, gallery.version) != (parts.base, version):
                    gallery = parts.gallery = _merge_gallery(parts)
        return gallery

    def reopen(self) -> bool:
        """Switch to what runs now, and return whether it is another bundle; as `Store.reopen`."""
        self._check_open()
        return self._reopen(self.parts)

    def pickle_arguments(self) -> PickleArguments:
        """Return the arguments to open it in another process; raise DeviceError if it was closed or has a key."""
        self._check_open()
        if self._key is not None:
            raise DeviceError(
                f"{self.path}: its key is not put into a pickle; open the store in the other process, or name the key "
                "in EDGESEARCH_KEY_FILE for both."
            )
        return self._arguments

    def close(self) -> None:
        """Close what this process has opened."""
        self._closed = True
        if self._parts is not None:
            self._parts.base.close()
            if self._parts.overlay:
                self._parts.overlay.close()
            if self._parts.profile:
                self._parts.profile.close()

    def forget(self) -> None:
        """Drop, in a forked process, what its parent has opened; as `forks.Holder`."""
        if self._parts is not None:
            forks.leak(self._parts)
        self._parts, self._lock = None, threading.RLock()

    def _open(self) -> OpenParts:
        state, base = self._state(), self._open_base()
        if not os.path.isdir(self.path):
            return OpenParts(base, state, None, None, None, _plain_gallery(base))
        from ..device.learned import LearnedPictures
        from ..device.overlay import Overlay
        from ..device.profile import Profile

        slots = Slots(self.path, self._key)
        overlay = Overlay(self.path, slots.seal, slots.head)
        profile = Profile(self.path, slots.seal)
        return OpenParts(base, state, overlay, profile, LearnedPictures(overlay), _plain_gallery(base))

    def _reopen(self, parts: OpenParts) -> bool:
        state = self._state()
        if (state, self._settings(parts.base.bundle)) == (parts.state, parts.base.settings):
            return False
        before, parts.base = parts.base, self._open_base()  # the old one is freed after the last search that uses it
        parts.state = state
        return before.bundle.digest != parts.base.bundle.digest

    def _state(self) -> object:
        """Identify the bundle at the path without opening it; return None if there is nothing to open."""
        if os.path.isdir(self.path):
            return Slots(self.path, self._key).running()
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

    def _check_open(self) -> None:
        if self._closed:
            raise DeviceError(f"{self.path}: the store was closed; open it again.")


def _open_base(
    path: Path, trusted: Collection[str], key: Key | None, settings: functools.partial[Settings]
) -> OpenBundle:
    bundle = open_bundle(path, trusted, key)
    try:
        return OpenBundle(bundle, settings(bundle))
    except BaseException:
        bundle.close()
        raise


def _choose_settings(
    path: Path, key: Key | None, threads: int | None, given: Settings | None, bundle: Bundle
) -> Settings:
    """Return the given settings, or else those that `doctor` chose for this bundle's network, or else the default.

    For another network neither the speed is known, nor whether float kernels answer its golden queries. The settings
    that passed the self-test at installation are safe until `doctor` has measured again. Raise DeviceError if the
    choice is damaged.
    """
    kept = Slots(path, key).settings() if given is None and os.path.isdir(path) else None
    chosen = given or (kept[0] if kept and kept[1] == run_environment(bundle) else DEFAULT)
    return chosen if threads is None else replace(chosen, threads=threads)


def _merge_gallery(parts: OpenParts) -> Gallery:
    """Return the bundle with what the overlay adds to it now."""
    if parts.overlay is None:
        return _plain_gallery(parts.base)
    from ..device.overlay_gallery import merge_overlay

    return merge_overlay(parts.base, parts.overlay, parts.gallery, parts.learned)


def _plain_gallery(base: OpenBundle) -> Gallery:
    return Gallery(base, 0, OverlayRows(), {})
