"""Decide which answers to a camera's frames to report: each product once when it arrives in view.

Consecutive frames are answered together (`frame_stream`), so an answer is reported once several frames agree. A product
is reported again after it was out of view for a while. Frames without motion are not searched, so that a device at rest
uses hardly any battery.
"""

from dataclasses import dataclass, field

import numpy as np

from ..answer import Answer
from ..errors import ImageError
from ..images import image
from ..images.image import Photo

STEADY_FRAMES = {"match": 2, "ambiguous": 4, "unknown": 6}  # consecutive frames that must agree
GONE_S = 0.6  # out of view for this time: when it returns, it is another piece
SIDE = 24  # px of the reduced frame that is compared
MIN_DIFFERENCE, MIN_SHARE = 12.0, 0.03  # motion: at least this share of pixels differs by more than this, of 255
STILL_SEARCHES = 8  # searches of a still scene: as many as any answer needs to be steady
RANKS = {"unknown": 0, "ambiguous": 1, "match": 2}


@dataclass
class ArrivalFilter:
    """Tracks the products in view. All times are in seconds of one monotonic clock.

    Attributes:
        reported: By SKU, when the product was last in view and which decision was reported; "" is an unknown product.
    """

    reported: dict[str, tuple[float, str]] = field(default_factory=dict)
    _last: tuple[str, str] = ("", "")
    _run: int = 0

    def add(self, answer: Answer, at_s: float) -> bool:
        """Add the answer to a frame; return whether to report it now.

        The products of a choice may swap places from frame to frame; it stays the same choice.
        """
        sku = _sku(answer)
        if answer.decision == self._last[0] == "ambiguous" and self._last[1] in {match.sku for match in answer.choices}:
            sku = self._last[1]
        now = (answer.decision, sku)
        self._run = self._run + 1 if now == self._last else 1
        self._last = now
        self.reported = {key: report for key, report in self.reported.items() if at_s - report[0] < GONE_S}
        before = self.reported.get(sku)
        if before:
            self.reported[sku] = (at_s, before[1])
        if self._run < STEADY_FRAMES[answer.decision] or (before and RANKS[before[1]] >= RANKS[answer.decision]):
            return False
        if not sku and self.reported:  # a product in view was not recognized for a moment
            return False
        self.reported[sku] = (at_s, answer.decision)
        return True

    def mark_reported(self, answer: Answer, at_s: float) -> None:
        """Record that an answer was reported without waiting for steady frames."""
        self.reported[_sku(answer)] = (at_s, answer.decision)

    def add_still_frame(self, at_s: float) -> None:
        """Add a frame without motion: the last product stays in view."""
        if self._run:
            sku = self._last[1]
            if sku in self.reported:
                self.reported[sku] = (at_s, self.reported[sku][1])


class MotionDetector:
    """Finds frames without motion by comparing a few grey pixels."""

    def __init__(self) -> None:
        self._reference: np.ndarray | None = None
        self._searches = 0

    def should_search(self, frame: Photo) -> bool:
        """Return whether the scene has moved, or was searched too few times; count the frame as searched if so."""
        try:
            small = image.to_grey(image.read(frame, 2 * SIDE), SIDE).astype(np.float32)
        except ImageError:
            return True  # the search reports the reason
        reference = self._reference
        has_moved = reference is None or reference.shape != small.shape or _differs(small, reference)
        self._searches = 1 if has_moved else self._searches + 1
        if has_moved:
            self._reference = small
        return self._searches <= STILL_SEARCHES


def _differs(small: np.ndarray, reference: np.ndarray) -> bool:
    """Compare two (H, W) float32 grey pictures."""
    return float(np.quantile(np.abs(small - reference), 1 - MIN_SHARE)) > MIN_DIFFERENCE


def _sku(answer: Answer) -> str:
    return answer.matches[0].sku if answer.decision != "unknown" and answer.matches else ""
