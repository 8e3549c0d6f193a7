"""What a process has opened of a store. A process that is forked from it opens its own when it first asks."""

import functools
import os
import threading
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from .._util import forks
from ..bundle.bundle_file import Bundle
from ..bundle.sealing import Key
from ..device.overlay import Overlay
from ..device.overlay_gallery import merge_overlay
from ..device.profile import Profile
from ..device.slots import Slots, open_bundle
from ..embedding.run_settings import DEFAULT, Settings
from ..errors import DeviceError
from ..search.gallery import Gallery, OverlayRows
from ..search.open_bundle import OpenBundle, run_environment


@dataclass
class Parts:
    """As it is open; state: of the path, when it was opened; gallery: as it was last merged."""

    base: OpenBundle
    state: object
    overlay: Overlay | None
    profile: Profile | None
    gallery: Gallery


class StoreSession:
    """A file or a device folder, open. Safe to share between threads, and with forked processes."""

    def __init__(
        self,
        path: Path,
        threads: int | None,
        trusted: Collection[str],
        key: Key | None,
        settings: Settings | None,
        later: bool = False,
    ):
        """As `Store` has them; later: it is opened when it is first asked."""
        self.path, self._key = path, key
        self._again = os.path.abspath(path), threads, tuple(trusted), settings
        self._settings = functools.partial(_settings, path, threads, settings)
        self._base = functools.partial(_base, path, trusted, key, self._settings)
        self._lock, self._closed, self._is_fresh = threading.RLock(), False, True
        self._parts: Parts | None = None if later else self._open()
        forks.watch(self)

    @property
    def parts(self) -> Parts:
        """Raises EdgeSearchError: they are opened only now, and cannot be, or the store was closed before."""
        if self._parts is None or not self._is_fresh:
            with self._lock:
                if self._parts is None:
                    self._check_open()
                    self._parts = self._open()
                elif not self._is_fresh:
                    self._reopen(self._parts)
                self._is_fresh = True
                return self._parts
        return self._parts

    def refresh(self) -> None:
        """See what runs by now when it is next asked."""
        self._is_fresh = False

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    def now(self) -> Gallery:
        """The base with all that is taught by now; raises DeviceError: it was closed, or cannot be read."""
        self._check_open()
        parts = self.parts
        gallery, version = parts.gallery, parts.overlay.version() if parts.overlay else 0
        if (gallery.base, gallery.version) != (parts.base, version):
            with self._lock:  # one thread merges, the others find it done
                gallery = parts.gallery
                if (gallery.base, gallery.version) != (parts.base, version):
                    gallery = (
                        merge_overlay(parts.base, parts.overlay, gallery) if parts.overlay else _untaught(parts.base)
                    )
                    parts.gallery = gallery
        return gallery

    def reopen(self) -> bool:
        """As `Store.reopen`."""
        self._check_open()
        return self._reopen(self.parts)

    def again(self) -> tuple[str, int | None, tuple[str, ...], Settings | None, str | None]:
        """What another process needs to open the same; raises DeviceError: it cannot be told."""
        self._check_open()
        if self._key is not None:
            raise DeviceError(
                f"{self.path}: its key is not put into a pickle; open the store in the other process, or name the key "
                "in EDGESEARCH_KEY_FILE for both."
            )
        return self._again

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
        """As `forks.Holder`."""
        if self._parts is not None:
            forks.leave(self._parts)
        self._parts, self._lock = None, threading.RLock()

    def _open(self) -> Parts:
        state, base = self._state(), self._base()
        seal = Slots(self.path, self._key).seal if os.path.isdir(self.path) else None
        overlay, profile = (Overlay(self.path, seal), Profile(self.path, seal)) if seal else (None, None)
        return Parts(base, state, overlay, profile, _untaught(base))

    def _reopen(self, parts: Parts) -> bool:
        state = self._state()
        if (state, self._settings(parts.base.bundle)) == (parts.state, parts.base.settings):
            return False
        before, parts.base = parts.base, self._base()  # the old one goes with the last search that uses it
        parts.state = state
        return before.bundle.digest != parts.base.bundle.digest

    def _state(self) -> object:
        """Which bundle is there, without opening it; None: nothing that could be opened."""
        if os.path.isdir(self.path):
            return Slots(self.path).running()
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

    def _check_open(self) -> None:
        if self._closed:
            raise DeviceError(f"{self.path}: the store was closed; open it again.")


def _base(path: Path, trusted: Collection[str], key: Key | None, settings: "functools.partial[Settings]") -> OpenBundle:
    bundle = open_bundle(path, trusted, key)
    try:
        return OpenBundle(bundle, settings(bundle))
    except BaseException:
        bundle.close()
        raise


def _settings(path: Path, threads: int | None, given: Settings | None, bundle: Bundle) -> Settings:
    """As given, else as `doctor` chose for what a device folder runs; else, and of a file, as everywhere.

    Of another network neither the times are known nor whether float kernels answer its golden queries: to run it as it
    was tried when it was installed is safe, until `doctor` has measured it. Raises DeviceError: the choice is damaged.
    """
    kept = None if given else Slots(path).settings()
    chosen = given or (kept[0] if kept and kept[1] == run_environment(bundle) else DEFAULT)
    return chosen if threads is None else replace(chosen, threads=threads)


def _untaught(base: OpenBundle) -> Gallery:
    return Gallery(base, 0, OverlayRows(), {})
