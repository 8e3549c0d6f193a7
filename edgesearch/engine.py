"""The object users hold: open a store, show it a photo, get an answer."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from . import signing
from .answer import Answer, Match
from .base import Base
from .bundle import Bundle
from .gallery import VERIFIED, Gallery, is_sure
from .image import Photo
from .local import look
from .manifest import Manifest
from .slots import Slots, open_bundle
from .views import explained

T = TypeVar("T")


class Store:
    """An open catalogue with its model. Safe to share between threads."""

    def __init__(self, base: Base):
        self.base = base

    @property
    def bundle(self) -> Bundle:
        """What it runs."""
        return self.base.bundle

    def search(self, photo: Photo, k: int = 5, fast: bool = False) -> Answer:
        """Find the products that a photo shows.

        Args:    photo: path, encoded bytes, PIL image, or (H, W, 3) uint8 RGB array; k: products wanted;
                 fast: one look at the photo, its centre, instead of three, and none at its print; less than half the
                 time, and less accurate.
        Raises:  ImageError: the photo cannot be read; ValueError: k < 1.
        """
        if k < 1:
            raise ValueError(f"k is {k}; expected at least 1.")
        base, gallery = self.base, Gallery(self.base)
        elapsed: dict[str, float] = {}
        pixels = _timed(elapsed, "image", lambda: base.embedder.read(photo))
        embedding, objects = _timed(elapsed, "embed", lambda: base.embedder.see([pixels], fast))
        near = _timed(elapsed, "index", lambda: gallery.nearest(embedding, max(k, VERIFIED)))
        found = list(gallery.by_product(near).values())
        if base.local is not None and not fast and not is_sure(found):
            found = _timed(elapsed, "print", lambda: gallery.verified(near, look(pixels, objects[0]), embedding))
        base.let_go()
        matches = _timed(elapsed, "catalog", lambda: gallery.matches(found[:k], pixels.shape[:2]))
        elapsed["total"] = sum(elapsed.values())
        scores = np.array([one.score for one in found[:2]])
        decision = base.calibration.decide(scores, found[0].cosine, found[0].evidence.points)
        return Answer(_photo_name(photo), decision, matches, elapsed)

    def embed(self, photos: Sequence[Photo], fast: bool = False) -> np.ndarray:
        """Embeddings of photos, as `search` uses them: (B, D) float32, unit rows; raises ImageError."""
        return self.base.embedder.embed_photos(photos, fast)

    def picture(self, match: Match) -> bytes:
        """The reference image of a match, as a small JPEG."""
        return self.base.picture(match.row)

    def self_test(self) -> None:
        """Ask the golden queries; raises BundleError where this device answers otherwise than the one that built it."""
        self.base.self_test()

    def explain(self, photo: Photo, answer: Answer) -> bytes:
        """A JPEG of the photo, where the print of the first match is in it, and that match's reference image beside.

        Raises: ImageError: the photo cannot be read; ValueError: the answer has no match.
        """
        if not answer.matches:
            raise ValueError("the answer has no match to explain.")
        best = answer.matches[0]
        return explained(self.base.embedder.read(photo), best.outline, self.picture(best))

    def close(self) -> None:
        """Close the catalogue and remove temporary files; the store is not used afterwards."""
        self.base.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open(path: str | os.PathLike[str], threads: int = 1, trust: Path | None = None) -> Store:
    """Open a store: verify every byte of it, then load it.

    Args:    path: a `.edge` file, or a device folder where one is installed; threads: of the network, for one photo;
             trust: public key that must have signed it, None for what a device has checked or whoever gave the file.
    Raises:  EdgeSearchError: it is not a bundle, or damaged, or its parts do not belong together.
    """
    bundle = open_bundle(Path(path), [signing.read_public(trust)] if trust else ())
    try:
        return Store(Base(bundle, threads))
    except BaseException:
        bundle.close()
        raise


def install(bundle: str | os.PathLike[str], device: str | os.PathLike[str], trust: Path | None = None) -> Manifest:
    """Install a bundle in a device folder beside the one that runs there, and switch to it.

    Verified, copied, verified again, and asked its golden queries first; whatever fails or interrupts that, the old one
    runs on. A running process goes on with what it has open.

    Args:    device: made where it is absent; trust: public key that a new device trusts from now on.
    Raises:  SignatureError: signed by nobody whom the device trusts; BundleError: damaged, or does not do on this
             device what it did where it was built; DeviceError: older than what the device has had, another
             installation is going on, or the folder cannot be changed.
    """
    return Slots(Path(device)).install(Path(bundle), trust, _tried)


def rollback(device: str | os.PathLike[str]) -> Manifest:
    """Go back to the bundle that ran before the last one; raises BundleError, DeviceError."""
    return Slots(Path(device)).roll_back(_tried)


def _tried(bundle: Bundle) -> None:
    base = Base(bundle)
    try:
        base.self_test()
    finally:
        base.catalog.close()


def _timed(elapsed: dict[str, float], stage: str, work: Callable[[], T]) -> T:
    start = time.perf_counter()
    done = work()
    elapsed[stage] = (time.perf_counter() - start) * 1000
    return done


def _photo_name(photo: Photo) -> str:
    return os.fspath(photo) if isinstance(photo, (str, os.PathLike)) else "photo"
