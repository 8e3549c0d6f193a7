"""Let a device learn from use: from photos whose product a barcode or a person names.

`Learner.learn` decides about one photo, from the checks of `learning`, and stores it; searches find it from then on.

T learned pictures, D dimensions.
"""

import datetime
import functools
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ..device.learned import MB, LearnedPicture, LearnedPictures, LearningSettings
from ..device.overlay import user_name
from ..errors import CatalogError
from ..images import quality
from ..learning import contradiction, diverse_memory
from ..learning.contradiction import Neighbour
from ..search import scoring
from ..search.candidate import Candidate
from ..search.decision import CONSIDERED
from ..search.gallery import LEARNED, Gallery
from ..search.open_bundle import Reference
from ..search.pipeline import Observation
from .learning_progress import LearningProgress, measure_progress
from .new_picture import NewPicture, make_picture

Source = Literal["barcode", "wedge", "choice", "capture"]
TRUST: dict[Source, float] = {"barcode": 0.9, "wedge": 0.8, "choice": 0.7, "capture": 0.95}
CUSTOMER_TRUST = 0.4  # of a choice; below `ALONE` two must agree
ALONE = 0.5
DISMISSALS = 2  # after which a picture is set aside
MOST_UNUSED = 16  # pictures of a product that wait or are set aside


@dataclass(frozen=True)
class Lesson:
    """Tell what a device made of one photo whose product is known.

    Attributes:
        sku: Of the product.
        state: "used": searches find the product by it. "waiting": until another picture agrees. "aside": kept for a
            person to settle. "refused": nothing is kept.
        why: The reason; "" if it is used.
        number: Of the learned picture; 0 if nothing is kept.
        elapsed_ms: Time it took.
    """

    sku: str
    state: Literal["used", "waiting", "aside", "refused"]
    why: str = ""
    number: int = 0
    elapsed_ms: float = 0.0


class Learner:
    """Learn from use; off until `switch`. Safe to share between threads.

    Attributes:
        clock: Returns the time.

    All methods raise DeviceError if the device folder cannot be read or written.
    """

    def __init__(self, pictures: LearnedPictures, gallery: Callable[[], Gallery]):
        """Learn into the pictures of a device, whose current gallery is as `gallery` returns it."""
        self._pictures, self._gallery = pictures, gallery
        self.clock: Callable[[], datetime.datetime] = functools.partial(datetime.datetime.now, datetime.UTC)

    def settings(self) -> LearningSettings:
        """Return whether and how the device learns."""
        return self._pictures.settings()

    def switch(self, on: bool, *, who: str | None = None, **changes: object) -> LearningSettings:
        """Switch learning on or off. Learned pictures stay in use, until they are taken back or erased.

        Args:
            on: Whether to learn.
            who: For the log; None takes the user of this process.
            changes: Other fields of `LearningSettings`, such as `vectors_only=True`.
        Raises:
            ValueError: A limit is below 1.
        """
        if any(isinstance(value, int) and not isinstance(value, bool) and value < 1 for value in changes.values()):
            raise ValueError(f"limits {changes}; expected at least 1.")
        return self._pictures.change_settings(who, on=on, **changes)

    def pictures(self) -> list[LearnedPicture]:
        """Return what was learned, the oldest first, with what waits and what is set aside."""
        return self._pictures.all()

    def picture(self, number: int) -> bytes | None:
        """Return a learned picture as JPEG; None if only its vectors are kept. Raise DeviceError if it was deleted."""
        return self._pictures.picture(number)

    def take_back(
        self,
        numbers: Sequence[int] = (),
        *,
        day: str | None = None,
        person: str | None = None,
        sku: str | None = None,
        who: str | None = None,
    ) -> list[LearnedPicture]:
        """Delete learned pictures for good, and return them.

        Args:
            numbers: Of pictures; those below are added.
            day: All of this day, "2026-11-30" in UTC; with `person` or `sku`, those that fit all.
            person: All that this person scanned or chose.
            sku: All of this product.
            who: For the log.
        """
        wanted = {name: value for name, value in (("who", person), ("sku", sku)) if value is not None}
        found = [] if day is None and not wanted else self._pictures.all()
        chosen = [one for one in found if one.time.startswith(day or "")]
        chosen = [one for one in chosen if all(getattr(one, name) == value for name, value in wanted.items())]
        return self._pictures.delete([*numbers, *(one.number for one in chosen)], who)

    def accept(self, numbers: Sequence[int], *, sku: str | None = None, who: str | None = None) -> list[LearnedPicture]:
        """Use pictures that wait or were set aside: a person says that they are right.

        Args:
            numbers: Of pictures.
            sku: Of the product that they show; None for the one that their label says.
            who: For the log.
        Raises:
            CatalogError: No product has that SKU.
        """
        if sku is not None and self._gallery().find_product(sku) is None:
            raise CatalogError(f"{sku}: no product of that SKU is here; check it.")
        chosen = [one for one in self._pictures.all() if one.number in set(numbers)]
        chosen = [replace(one, sku=sku or one.sku) for one in chosen]
        accepted = [replace(one, state="used", why="", like="", against=0, trust=1.0) for one in chosen]
        self._pictures.change(accepted, "settle", who)
        return accepted

    def progress(self) -> LearningProgress:
        """Measure how recognition grew, product by product and week by week; this takes seconds."""
        return measure_progress(self._gallery(), self._pictures.all())

    def erase(self, *, who: str | None = None) -> int:
        """Erase every learned picture and vector, so that no byte of them stays in the file; return their number."""
        return self._pictures.erase(who)

    def dismiss(self, number: int, *, may_teach: bool = False, who: str | None = None) -> LearnedPicture | None:
        """Count a dismissed match against the learned picture that caused it; two set it aside, or one of staff.

        Args:
            number: Of the learned picture.
            may_teach: Whether the person's role may teach.
            who: For the log.
        Returns:
            The picture as it is from now on; None if it is not here any more, or nothing is learned.
        """
        settings = self.settings()
        found = next((one for one in self._pictures.all() if one.number == number), None)
        if found is None or not settings.on or not (may_teach or settings.customers):
            return None
        against = found.against + (DISMISSALS if may_teach else 1)
        is_out = against >= DISMISSALS and found.state == "used"
        changed = replace(found, against=against)
        changed = replace(changed, state="aside", why="its match was dismissed") if is_out else changed
        self._pictures.change([changed], "settle", who)
        return changed

    def check(self, *, who: str | None = None) -> list[LearnedPicture]:
        """Ask each learned picture what it looks like without its group; set those aside that contradict their label.

        Returns:
            The pictures that were set aside.
        """
        gallery, learned = self._gallery(), {one.number: one for one in self._pictures.all()}
        first, found = gallery.first_taught, []
        for row, picture in enumerate(gallery.picture_numbers(range(first, first + len(gallery.taught.owners))), first):
            one = learned.get(picture - LEARNED)
            if one is None or one.trust >= 1:  # a person settled it
                continue
            vector = gallery.vectors(np.array([row]))[0]
            near = _find_neighbours(gallery, learned, vector, gallery.owner(row), row)
            rival = _find_rival(gallery, near, gallery.owner(row), one.group)
            if rival:
                found.append(replace(one, state="aside", why=_describe_rival(one, rival), like=rival))
        if found:
            self._pictures.change(found, "settle", who)
        return found

    def find_rival(self, observation: Observation, sku: str, who: str | None = None) -> str:
        """Return the SKU of a product that a photo resembles more than this one, clearly enough to ask; "" if none.

        It contradicts its label or is not supported, by the rules of `learning.contradiction`.

        Args:
            observation: Of the photo.
            sku: Of the product that it is said to show.
            who: Who says so; None takes the user of this process.
        """
        gallery = self._gallery()
        product = gallery.find_product(sku)
        if product is None:
            return ""
        one = self._entry(self.settings(), sku, "capture", "", who, 0.0)
        learned = {known.number: known for known in self._pictures.all()}
        near = _find_neighbours(gallery, learned, observation.embedding[0], product[0])
        rival = _find_rival(gallery, near, product[0], one.group)
        if rival or contradiction.is_supported(product[0], one.group, near):
            return rival
        other = max((one for one in near if one.product != product[0]), key=lambda one: one.cosine)
        return _sku_of(gallery, gallery.rows_of_products([other.product])[0])

    def learn(
        self,
        observation: Observation,
        sku: str,
        source: Source,
        code: str = "",
        who: str | None = None,
        may_teach: bool = True,
    ) -> Lesson:
        """Learn from a photo of a product, if that is worth it.

        Args:
            observation: Of the photo.
            sku: Of the product.
            source: How it is known.
            code: Its barcode.
            who: Who scanned or chose; None takes the user of this process.
            may_teach: Whether the person's role may teach alone.
        Raises:
            CatalogError: No product has that SKU.
        """
        begun = time.perf_counter()
        lesson = self._learn(observation, sku, source, code, who, may_teach)
        return replace(lesson, elapsed_ms=(time.perf_counter() - begun) * 1000)

    def _learn(
        self, observation: Observation, sku: str, source: Source, code: str, who: str | None, may_teach: bool
    ) -> Lesson:
        settings, gallery = self.settings(), self._gallery()
        product = gallery.find_product(sku)
        if product is None:
            raise CatalogError(f"{sku}: no product of that SKU is here; check it.")
        if not settings.on:
            return Lesson(sku, "refused", "learning is off")
        if not may_teach and not settings.customers:
            return Lesson(sku, "refused", "customers do not teach this device")
        flaw = quality.find_flaw(observation.pixels, observation.crop)
        if flaw and flaw != "far":
            return Lesson(sku, "refused", quality.ADVICE[flaw])
        new, rows = make_picture(gallery, observation), np.array(gallery.rows_of(sku), np.int64)
        if diverse_memory.adds_nothing(new.vector, gallery.vectors(rows)):
            return Lesson(sku, "refused", "it adds nothing to what is known")
        learned = {one.number: one for one in self._pictures.all()}
        trust = TRUST[source] if may_teach else CUSTOMER_TRUST
        one = self._entry(settings, sku, source, code, who, trust)
        near = _find_neighbours(gallery, learned, new.vector, product[0])
        rival = _find_rival(gallery, near, product[0], one.group)
        if rival:
            one = replace(one, state="aside", why=_describe_rival(one, rival), like=rival)
            return self._store(gallery, one, new, learned, settings)
        other = contradiction.nearest_other(product[0], near)
        agreeing = self._find_agreeing(gallery, one, new.vector, other, learned)
        if trust < ALONE and not agreeing:
            one = replace(one, state="waiting", why="no other choice agrees yet")
        elif source != "capture" and not agreeing and not contradiction.is_supported(product[0], one.group, near):
            one = replace(one, state="waiting", why="it looks unlike the product so far; no other day agrees yet")
        return self._store(gallery, one, new, learned, settings, agreeing)

    def _entry(
        self, settings: LearningSettings, sku: str, source: Source, code: str, who: str | None, trust: float
    ) -> LearnedPicture:
        now = self.clock().isoformat(timespec="seconds")
        return LearnedPicture(0, sku, now, source, code, who or user_name(), settings.device, trust, "used")

    def _find_agreeing(
        self,
        gallery: Gallery,
        one: LearnedPicture,
        vector: np.ndarray,
        other: float,
        learned: dict[int, LearnedPicture],
    ) -> list[int]:
        """Return waiting pictures of the same product, of another group, that are nearer than another product is.

        Two choices of customers may agree on one day, for no code misleads both.
        """
        waiting = [known for known in learned.values() if known.sku == one.sku and known.state == "waiting"]
        numbers = [known.number for known in waiting if known.group != one.group or known.trust < ALONE]
        stored = self._pictures.references(gallery.base.space, numbers)
        if not stored:
            return []
        vectors = np.array([Reference.from_bytes(data, len(vector)).embedding for data in stored.values()])
        cosines = gallery.base.embedder.whiten(vectors) @ vector
        agree = np.flatnonzero((cosines > other) & (cosines < diverse_memory.NOTHING_NEW))
        return [[*stored][i] for i in agree]

    def _store(
        self,
        gallery: Gallery,
        one: LearnedPicture,
        new: NewPicture,
        learned: dict[int, LearnedPicture],
        settings: LearningSettings,
        confirmed: Sequence[int] = (),
    ) -> Lesson:
        """Store a picture, and drop what adds least if there are too many."""
        picture = None if settings.vectors_only else new.picture
        data = new.reference.to_bytes()
        one = replace(one, name=hashlib.sha256(picture or data).hexdigest()[:16])
        if one.state == "used":
            dropped = _choose_dropped(gallery, one, new.vector, learned, settings.per_product)
            if 0 in dropped:
                return Lesson(one.sku, "refused", "it adds less than what is known")
        else:
            unused = [other.number for other in learned.values() if other.sku == one.sku and other.state == one.state]
            dropped = unused[: max(0, len(unused) + 1 - MOST_UNUSED)]
        size = len(data) + len(picture or b"")
        dropped += _make_room(learned, dropped, size, settings.max_mb * MB)
        stored = self._pictures.add(one, picture, gallery.base.space, data, dropped, confirmed)
        return Lesson(one.sku, one.state, one.why, stored.number)


def _find_neighbours(
    gallery: Gallery, learned: dict[int, LearnedPicture], vector: np.ndarray, number: int, without: int | None = None
) -> list[Neighbour]:
    """Return the pictures nearest to a new one, (D,) float32, and all of its product; `without` omits a row."""
    nearest = scoring.find_nearest(gallery, vector[None], CONSIDERED)
    own = scoring.compare_rows(gallery, gallery.rows_of_products([number]), vector[None])
    candidates = [*(candidate for candidate in nearest if gallery.owner(candidate.row) != number), *own]
    candidates = [candidate for candidate in candidates if candidate.row != without]
    names = _group_names(gallery, learned, [candidate.row for candidate in candidates])
    pairs = zip(candidates, names, strict=True)
    return [Neighbour(gallery.owner(candidate.row), candidate.cosine, name) for candidate, name in pairs]


def _find_rival(gallery: Gallery, neighbours: Sequence[Neighbour], number: int, group: str) -> str:
    """Return the SKU of a product that a picture resembles much more than its own; "" if there is none."""
    rival = contradiction.find_rival(number, group, neighbours)
    if rival is None:
        return ""
    rows = gallery.rows_of_products([rival[0]])
    return _sku_of(gallery, rows[0]) if contradiction.is_usual(rival[1], gallery.vectors(np.array(rows))) else ""


def _group_names(gallery: Gallery, learned: dict[int, LearnedPicture], rows: Sequence[int]) -> list[str]:
    """Return the group of each row; each picture that was not learned is its own."""
    found = [learned.get(number - LEARNED) for number in gallery.picture_numbers(rows)]
    return [one.group if one else f"row {row}" for row, one in zip(rows, found, strict=True)]


def _sku_of(gallery: Gallery, row: int) -> str:
    return gallery.matches([Candidate(row, 1.0)])[0].sku


def _describe_rival(one: LearnedPicture, sku: str) -> str:
    said = "the label says" if one.source != "choice" else "the choice says"
    return f"{said} {one.sku}, but it looks like {sku}"


def _choose_dropped(
    gallery: Gallery, one: LearnedPicture, vector: np.ndarray, learned: dict[int, LearnedPicture], limit: int
) -> list[int]:
    """Return the numbers of the product's learned pictures to drop for a new one; 0 stands for the new one."""
    rows = gallery.rows_of(one.sku)
    numbers = [number - LEARNED for number in gallery.picture_numbers(rows)]
    own = [(row, number) for row, number in zip(rows, numbers, strict=True) if number in learned]
    fixed = gallery.vectors(np.array([row for row, number in zip(rows, numbers, strict=True) if number not in learned]))
    own.sort(key=lambda pair: pair[1])
    vectors = np.concatenate([gallery.vectors(np.array([row for row, _ in own], np.int64)), vector[None]])
    groups = [_mistake(learned[number], number) for _, number in own] + [_mistake(one, 0)]
    dropped = diverse_memory.choose_dropped(vectors, fixed, groups, limit)
    return [(*(number for _, number in own), 0)[i] for i in dropped]


def _mistake(one: LearnedPicture, number: int) -> str:
    """Return the group that may not outnumber the other pictures; each photo taken on purpose is one of its own."""
    return f"capture {number}" if one.source == "capture" else one.group


def _make_room(
    learned: dict[int, LearnedPicture], dropped: Sequence[int], size_bytes: int, limit_bytes: int
) -> list[int]:
    """Return more pictures to drop so that all fit the limit: those not in use, then of the product with most."""
    kept = {number: one for number, one in learned.items() if number not in dropped}
    total, going = sum(one.size_bytes for one in kept.values()) + size_bytes, list[int]()
    while total > limit_bytes and kept:
        counts: dict[str, int] = {}
        for one in kept.values():
            counts[one.sku] = counts.get(one.sku, 0) + 1
        least = min(kept.values(), key=lambda one: (one.state == "used", -counts[one.sku], one.number))
        total -= least.size_bytes
        going.append(least.number)
        del kept[least.number]
    return going
