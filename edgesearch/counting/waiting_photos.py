"""Keep the photos of a count that wait for review, until a person settles them.

    aisle-4.photos/p0f3....jpg    at most 1,024 px, named by the photo's id; only its owner may read it

In an encrypted device folder each file is sealed with the folder's key.
"""

import contextlib
import re
from collections import OrderedDict
from collections.abc import Collection
from pathlib import Path

from .._util import files
from ..bundle.sealing import Seal
from ..errors import CountError, ImageError
from ..images import image
from ..store.store import Store

SIDE = 1024  # px; enough to read a label
FOLDER_SUFFIX, SUFFIX = ".photos", ".jpg"
RECENT, RECENT_BYTES = 4, 1 << 20  # photos to remember, so that an undo can show them again; and the size of each
_ID = re.compile(r"\w{1,64}")


class WaitingPhotos:
    """The photos of one count."""

    def __init__(self, folder: Path, seal: Seal | None):
        """Refer to a folder, which need not exist; `seal` encrypts its files, None leaves them readable."""
        self.folder, self._seal = folder, seal
        self._recent: OrderedDict[str, bytes] = OrderedDict()

    def remember(self, photo_id: str, content: bytes) -> None:
        """Remember a counted photo for a while, in memory."""
        if len(content) <= RECENT_BYTES:
            self._recent[photo_id] = content
            if len(self._recent) > RECENT:
                self._recent.popitem(last=False)

    def keep(self, photo_id: str, content: bytes | None = None) -> None:
        """Write a photo, None for the remembered one; do nothing if there is none, or if it is unreadable.

        Raises:
            CountError: The photo cannot be written.
        """
        content, path = content or self._recent.pop(photo_id, None), self._path(photo_id)
        if content is None or path is None:
            return
        try:
            jpeg = image.thumbnail(image.read(content, SIDE), SIDE)
        except ImageError:
            return
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            self._write(path, jpeg)
        except OSError as error:
            raise CountError(
                f"{path}: cannot be written ({error.strerror}); check its folder, space and permissions."
            ) from error

    def read(self, photo_id: str) -> bytes | None:
        """Return a photo as JPEG; None if it is not here, or cannot be read."""
        path = self._path(photo_id)
        try:
            content = path.read_bytes() if path else None
            return self._seal.open(content, photo_id) if self._seal and content else content
        except (OSError, ValueError):
            return None

    def discard(self, photo_id: str) -> None:
        """Delete a photo that was settled, and remember it for a while."""
        if content := self.read(photo_id):
            self.remember(photo_id, content)
        if path := self._path(photo_id):
            self._delete(path)

    def discard_others(self, waiting: Collection[str]) -> None:
        """Delete all photos but those that wait: a killed process may have left them."""
        with contextlib.suppress(OSError):
            for path in self.folder.iterdir():
                if path.stem not in waiting or path.suffix != SUFFIX:
                    self._delete(path)
            if not waiting:
                self.folder.rmdir()

    def _write(self, path: Path, jpeg: bytes) -> None:
        with files.replacing(path, files.open_private) as file:
            file.write(self._seal.close(jpeg, path.stem) if self._seal else jpeg)

    def _delete(self, path: Path) -> None:
        with contextlib.suppress(OSError):
            path.unlink()

    def _path(self, photo_id: str) -> Path | None:
        return self.folder / f"{photo_id}{SUFFIX}" if _ID.fullmatch(photo_id) else None


def is_kept(path: Path) -> bool:
    """Return whether a file is a copy that a count has kept."""
    return path.parent.suffix == FOLDER_SUFFIX and path.parent.with_suffix(".session").exists()


def find_seal(store: Store, output: Path) -> Seal | None:
    """Return the seal of the store's device folder if it is encrypted and the count lies in it; otherwise None."""
    overlay = store.overlay
    if overlay is None or not overlay.seal.is_encrypted:
        return None
    return overlay.seal if output.resolve().is_relative_to(overlay.path.parent.resolve()) else None
