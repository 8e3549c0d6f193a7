"""Take photos of one product while a camera moves: judge each frame, keep good ones of different views, and say what to
do next; then measure how recognition of the product changed.

What is taken is learned as `learner` learns from staff, with the source "capture".

Measured on the first 12 of 40 groceries with one catalogue picture each, by `photo_needs`, with a network that was
trained on these groceries; photos of each product play the frames. Of 53 frames, 46 were taken. Of these photos, 23 had
found their product first before and 41 did after; of all other photos of the 12 products, 0.62 and 0.93 do, by the
vectors alone. `SAME_VIEW` lies between photos of one product (95% of the pairs below 0.91) and one photo moved by 3%,
turned by 4 degrees and lit differently (95% above 0.90); turned by 15 degrees or a quarter nearer, half are below 0.91.
"""

import copy
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from ..device.learned import LearnedPicture
from ..errors import CatalogError, DeviceError
from ..images import quality
from ..images.image import Photo
from ..images.quality import Flaw
from ..search import pipeline
from ..search.gallery import LEARNED, Gallery
from ..search.pipeline import Observation
from .learner import Learner

LEAST, MOST = 3, 5  # photos of a product
ENOUGH_S = 10.0  # after which the least number is enough
SAME_VIEW = 0.9  # cosine to a known picture, from which a view is not worth taking

Advice = Literal["taken", "turn", "other", "dark", "empty", "blurred", "far"]
ADVICE: dict[Advice, str] = {
    "taken": "good; now turn it, or go closer.",
    "turn": "this side is known; turn it, or go closer.",
    "other": "it looks like this product; Enter says that it is another.",
    "dark": quality.ADVICE["dark"],
    "empty": quality.ADVICE["empty"],
    "blurred": quality.ADVICE["blurred"],
    "far": quality.ADVICE["far"],
}


@dataclass(frozen=True)
class Step:
    """Tell what became of one frame.

    Attributes:
        advice: "taken"; "turn": it shows a known view; "other": it looks like another product; or what is wrong with
            the frame, as `images.quality` names it.
        taken: Photos taken so far.
        enough: Whether these are enough.
        like: SKU of the other product; "" if there is none.
    """

    advice: Advice
    taken: int
    enough: bool
    like: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form."""
        return asdict(self)


@dataclass(frozen=True)
class Recognition:
    """How the photos of a session are recognized, each without itself.

    They were taken in one place within seconds, so photos of other days will gain less.

    Attributes:
        photos: How many there are.
        first_before, first_after: How many of them found the product first, before the session and after it.
        match_before, match_after: How many of them were answered with a match of the product.
    """

    photos: int
    first_before: int
    first_after: int
    match_before: int
    match_after: int

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form."""
        return asdict(self)


class PhotoSession:
    """Photos of one product. Safe to share between threads.

    Attributes:
        sku: Of the product.
        numbers: Of the learned pictures that were taken.
    """

    def __init__(
        self,
        learner: Learner,
        gallery: Callable[[], Gallery],
        sku: str,
        who: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        """Begin.

        Args:
            learner: Stores what is taken; it must be on.
            gallery: Returns what to search now.
            sku: Of the product.
            who: Who takes the photos; None takes the user of this process.
            clock: Returns seconds.
        Raises:
            CatalogError: No product has that SKU.
        """
        self._learner, self._gallery, self.sku, self._who, self._clock = learner, gallery, sku, who, clock
        self.numbers: list[int] = []
        self._before, self._began = gallery(), clock()
        if self._before.find_product(sku) is None:
            raise CatalogError(f"{sku}: no product of that SKU is here; check it.")
        self._taken: list[Observation] = []
        self._doubted = ""  # the product that the last frame looked like
        self._settled: set[str] = set()  # products that a person says it is not
        self._lock = threading.Lock()

    @property
    def enough(self) -> bool:
        """Whether enough photos were taken."""
        return len(self.numbers) >= (MOST if self._clock() - self._began < ENOUGH_S else LEAST)

    def add(self, frame: Photo, press: bool = False) -> Step:
        """Judge a frame, and take it if it is good and shows the product in a new way.

        Args:
            frame: As for `Store.search`.
            press: Whether a person asked for this frame. It is then taken although the product is small in it or the
                view is nearly known. After "other" it says that the session does not show that product.
        Raises:
            ImageError: The frame cannot be read.
            DeviceError: It cannot be stored, or learning was switched off meanwhile.
        """
        with self._lock:
            if self.enough:
                return Step("turn", len(self.numbers), True)
            gallery = self._gallery()
            observation = pipeline.observe(gallery, frame, 1)
            if press and self._doubted:
                self._settled.add(self._doubted)
            self._doubted = ""
            flaw = quality.find_flaw(observation.pixels, observation.crop)
            if flaw and not (press and flaw == "far"):
                return self._step(flaw)
            if not press and self._is_known(gallery, observation):
                return self._step("turn")
            if other := _other_by_barcode(gallery, observation, self.sku):
                return self._step("other", other)
            rival = self._learner.find_rival(observation, self.sku, self._who)
            if rival and rival not in self._settled:
                self._doubted = rival
                return self._step("other", rival)
            return self._take(observation)

    def take_back(self) -> list[LearnedPicture]:
        """Delete what was taken for good, and return it."""
        with self._lock:
            numbers, self.numbers = self.numbers, []
            self._taken.clear()
            return self._learner.take_back(numbers, who=self._who) if numbers else []

    def measure(self) -> Recognition | None:
        """Ask each photo before and after the session, each without itself; None if another bundle runs since."""
        with self._lock:
            gallery = self._gallery()
            if gallery.base is not self._before.base:
                return None
            before = [_ask(self._before, one, self.sku) for one in self._taken]
            pairs = zip(self._taken, self.numbers, strict=True)
            after = [_ask(_without(gallery, number), one, self.sku) for one, number in pairs]
        counts = [sum(found) for some in (before, after) for found in zip(*some, strict=True)] or [0] * 4
        return Recognition(len(before), counts[0], counts[2], counts[1], counts[3])

    def _take(self, observation: Observation) -> Step:
        """Learn from a photo; a person has settled what it seemed to show."""
        lesson = self._learner.learn(observation, self.sku, "capture", who=self._who)
        if lesson.state == "refused":
            if not self._learner.settings().on:
                raise DeviceError(f"{self.sku}: learning was switched off; switch it on to take more photos.")
            return self._step("turn")
        if lesson.state == "aside":
            self._learner.accept([lesson.number], who=self._who)
        self.numbers.append(lesson.number)
        self._taken.append(observation)
        return self._step("taken")

    def _step(self, advice: "Flaw | Advice", like: str = "") -> Step:
        assert advice
        return Step(advice, len(self.numbers), self.enough, like)

    def _is_known(self, gallery: Gallery, observation: Observation) -> bool:
        known = gallery.vectors(np.array(gallery.rows_of(self.sku), np.int64))
        return bool(len(known) and (known @ observation.embedding[0]).max() >= SAME_VIEW)


def _other_by_barcode(gallery: Gallery, observation: Observation, sku: str) -> str:
    """Return the SKU of another product whose barcode is in the photo, if that of the product is not; "" otherwise."""
    named = [found for code in observation.barcodes for found in gallery.barcodes.find(code).skus]
    return "" if sku in named or not named else named[0]


def _ask(gallery: Gallery, observation: Observation, sku: str) -> tuple[bool, bool]:
    """Return whether a photo finds a product first, and whether the answer is a match of it."""
    found = gallery.find_product(sku)
    candidates, evidence = pipeline.find_candidates(gallery, observation.embedding, observation.extract)
    judged, _ = pipeline.judge(gallery, [replace(observation, candidates=candidates, evidence=evidence)])
    decision = gallery.base.calibration.decide(np.array([candidate.probability for candidate in judged]))
    is_first = bool(found and judged and gallery.owner(judged[0].row) == found[0])
    return is_first, is_first and decision == "match"


def _without(gallery: Gallery, number: int) -> Gallery:
    """Return the same gallery without a learned picture."""
    rows = range(gallery.first_taught, gallery.first_taught + len(gallery.taught.owners))
    is_other = np.array([one != LEARNED + number for one in gallery.picture_numbers(rows)], bool)
    fewer = copy.copy(gallery)
    fewer.taught = replace(gallery.taught, visible=gallery.taught.visible & is_other)
    return fewer
