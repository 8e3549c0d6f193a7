"""The part of a store that changes its device: the profile, what staff teach it, and what it learns from use.

It loads the modules that teach and learn when they are first used: a search starts without them.
"""

from __future__ import annotations

import functools
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..answer import Answer
from ..catalog.product import Product
from ..errors import CatalogError, DeviceError
from ..images import image
from ..images.image import Photo
from ..search import pipeline
from ..search.gallery import LEARNED, Gallery
from ..search.open_bundle import OpenBundle
from ..search.pipeline import Observation
from .store_session import StoreSession

if TYPE_CHECKING:
    from ..device.overlay import Event, Overlay
    from ..device.profile import Profile
    from ..search.photo_needs import PhotoNeed
    from .learner import Learner, Lesson, Source
    from .photo_session import PhotoSession
    from .teaching import Enrolment


class TaughtStore(ABC):
    """Change what a device knows; `Store` adds the rest."""

    _path: Path
    _session: StoreSession

    @property
    @abstractmethod
    def base(self) -> OpenBundle:
        """The opened parts of the bundle."""

    @abstractmethod
    def search(self, photo: Any = None, k: int = 5) -> Answer:
        """Find the products that a photo shows."""

    @abstractmethod
    def _gallery(self) -> Gallery:
        """Return the bundle with everything taught so far."""

    @property
    def overlay(self) -> Overlay | None:
        """The overlay: products the device was taught; None if the store is a file."""
        return self._session.parts.overlay

    @property
    def profile(self) -> Profile:
        """The device's record of picks and dismissals. Raises DeviceError: the store is a file."""
        profile = self._session.parts.profile
        if profile is None:
            raise DeviceError(f"{self._path}: a file keeps no profile; install it in a device folder, and open that.")
        return profile

    @property
    def learner(self) -> Learner:
        """Return what the device learns from use. Raises DeviceError: the store is a file."""
        from .learner import Learner

        learned = self._session.parts.learned
        if learned is None:
            raise DeviceError(f"{self._path}: a file cannot learn; install it in a device folder, and open that.")
        return Learner(learned, self._gallery)

    def learn(
        self,
        photo: Photo,
        sku: str,
        *,
        source: Source = "choice",
        code: str = "",
        who: str | None = None,
        may_teach: bool = True,
    ) -> Lesson:
        """Learn from a photo whose product a person or a barcode scanner names.

        Args:
            photo: As for `search`.
            sku: Of the product.
            source: "choice", "wedge", "barcode" or "capture".
            code: Its barcode.
            who: Who scanned or chose it, for the log; None takes the user of this process.
            may_teach: Whether the person's role may teach alone; otherwise two choices must agree.
        Returns:
            What became of it; it is refused while learning is off.
        Raises:
            ImageError: The photo cannot be read.
            CatalogError: The product is unknown.
            DeviceError: The store is a file, or its folder cannot be changed.
        """
        from .learner import Lesson

        learner, gallery = self.learner, self._gallery()
        if not learner.settings().on:
            return Lesson(sku, "refused", "learning is off")
        return learner.learn(pipeline.observe(gallery, photo, 1), sku, source, code, who, may_teach)

    def photo_needs(self, k: int = 20, *, location: str = "") -> list[PhotoNeed]:
        """Return the products of which photos would help recognition most, the first one most.

        Args:
            k: Number of products at most.
            location: Only products there: "A3" also names "A3-2" and "A3, shelf 1".
        Raises:
            DeviceError: The overlay cannot be read.
            ValueError: k is below 1.
        """
        from ..search.photo_needs import rank_needs

        if k < 1:
            raise ValueError(f"k is {k}; expected at least 1.")
        return rank_needs(self._gallery(), k, location)

    def photo_session(self, sku: str, *, who: str | None = None) -> PhotoSession:
        """Begin to take photos of a product with a camera: `PhotoSession.add` each frame.

        Args:
            sku: Of the product.
            who: Who takes them, for the log; None takes the user of this process.
        Raises:
            CatalogError: The product is unknown.
            DeviceError: The store is a file, or learning is off.
        """
        from .photo_session import PhotoSession

        if not self.learner.settings().on:
            raise DeviceError(f"{self._path}: learning is off; `edgesearch learn {self._path} on` switches it on.")
        return PhotoSession(self.learner, self._gallery, sku, who)

    def feedback(
        self,
        shown: Answer | Sequence[str],
        sku: str,
        picked: bool = True,
        *,
        row: int | None = None,
        may_teach: bool = False,
    ) -> bool:
        """Record in the profile which of the products on display was picked or dismissed.

        A dismissed match also counts against the learned picture that caused it, if the device learns.

        Args:
            shown: An answer, or SKUs in the order they were displayed. Those before a picked product count as passed
                over; all of them do if it is not among them.
            sku: Of the product.
            picked: Whether it was picked; False if it was dismissed.
            row: Of the dismissed match, if `shown` is no answer.
            may_teach: Whether the person's role may teach.
        Returns:
            Whether it was recorded; False if the profile is off.
        Raises:
            CatalogError: The product is unknown.
            DeviceError: The store is a file, or its profile cannot be written.
        """
        profile, gallery = self.profile, self._gallery()
        skus = [match.sku for match in shown.matches] if isinstance(shown, Answer) else list(shown)
        found = gallery.find_product(sku)
        if found is None:
            raise CatalogError(f"{sku}: no product of that SKU is here; check it.")
        if not picked:
            rows = [match.row for match in shown.matches if match.sku == sku] if isinstance(shown, Answer) else [row]
            for number in (-row - LEARNED for row in rows if row is not None):
                if number > 0:
                    self.learner.dismiss(number, may_teach=may_teach)
            return profile.dismiss(found[1])
        before = [gallery.find_product(one) for one in skus[: skus.index(sku) if sku in skus else None]]
        return profile.pick(found[1], [one[1] for one in before if one])

    def enrol(
        self, /, sku: str, photos: Photo | Sequence[Photo], *, who: str | None = None, **details: object
    ) -> Enrolment:
        """Teach the device a product, or more pictures of a known one; searches find it from then on.

        Args:
            sku: Of the product.
            photos: A photo as for `search`, or a list of 1 to 5.
            who: For the log; None takes the user of this process.
            details: Name, price and the other fields of `Product`; any other name becomes an attribute. For a known
                product, give only what changes. The colour of a new product is measured unless it is given.
        Raises:
            ImageError: A photo cannot be read, is too dark, or shows nothing.
            CatalogError: A detail is wrong, or a new product has no name.
            DeviceError: The store is a file, or its folder cannot be changed. After an error nothing has changed.
        """
        from . import teaching

        search = functools.partial(self.search, k=1)
        listed: list[Photo] = [*photos] if isinstance(photos, (list, tuple)) else [photos]  # type: ignore[list-item]
        return teaching.enrol(self._writable_overlay(), self.base, search, sku, listed, details, who)

    def edit(self, /, sku: str, *, who: str | None = None, **details: object) -> Product:
        """Change details of a product, and return it as it is shown from then on.

        Args:
            sku: Of the product.
            who: As for `enrol`.
            details: As for `enrol`; None empties a detail.
        Raises:
            CatalogError: The product is unknown, or a detail is wrong.
            DeviceError: As `enrol`.
        """
        from . import teaching

        return teaching.edit(self._writable_overlay(), self.base, sku, details, who)

    def remove(self, sku: str, *, who: str | None = None) -> None:
        """Stop showing a product. Raise CatalogError for an unknown SKU, DeviceError as `enrol`."""
        from . import teaching

        teaching.remove(self._writable_overlay(), self.base, sku, who)

    def undo(self, *, who: str | None = None) -> Event:
        """Undo the last enrolment, edit or removal; each further call undoes the one before.

        Raises:
            DeviceError: There was none since the last installation; or as `enrol`.
        """
        return self._writable_overlay().undo(who)

    def _writable_overlay(self) -> Overlay:
        if self.overlay is None:
            raise DeviceError(f"{self._path}: a file cannot be taught; install it in a device folder, and open that.")
        return self.overlay

    def _taught_picture(self, number: int) -> bytes:
        """Return a taught or learned picture by its number in the gallery; a blank one if only its vectors are kept."""
        if number > LEARNED:
            return self.learner.picture(number - LEARNED) or image.blank_picture()
        return self._writable_overlay().picture(number)

    def _learn_from_barcodes(
        self, answer: Answer, observations: Sequence[Observation], who: str | None = None
    ) -> Answer:
        """Learn from photos whose barcodes name one product, and add the time that took to the answer."""
        named = {sku for label in answer.barcodes for sku in label.skus}
        if self._session.parts.learned is None or len(named) != 1:
            return answer
        (sku,), (label, *_) = named, [label for label in answer.barcodes if label.skus]
        taken_ms = 0.0
        try:
            learner = self.learner
            if not learner.settings().on:
                return answer
            for observation in observations:
                if observation.barcodes:
                    taken_ms += learner.learn(observation, sku, "barcode", label.text, who).elapsed_ms
        except (DeviceError, CatalogError) as error:  # the answer stands
            warnings.warn(f"nothing was learned: {error}", RuntimeWarning, stacklevel=3)
        total = answer.elapsed_ms["total"] + taken_ms
        return replace(answer, elapsed_ms={**answer.elapsed_ms, "learn": taken_ms, "total": total})
