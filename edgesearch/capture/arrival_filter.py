"""What is new in front of a camera: when an answer is sure enough to be told, and when it was told already.

Frames answer together (`stream`), so an answer that stays the same for some of them is told once; a product is told
again when it has been out of view for a while. A frame in which nothing moved since the last that was looked at is not
looked at: a device at rest takes next to nothing of its battery.
"""

from dataclasses import dataclass, field

import numpy as np

from ..answer import Answer
from ..errors import ImageError
from ..images import image
from ..images.image import Photo

STEADY = {"match": 2, "ambiguous": 4, "unknown": 6}  # frames in a row that say the same
GONE_S = 0.6  # out of view for so long, and it is another piece
SIDE = 24  # px of a frame that are compared
MOVED, SMALLEST = 12.0, 0.03  # of 255, by which this share of them differs at least where something moves
LOOKS = 8  # at a frame in which nothing moves: as many as any answer needs to be steady
RANKS = {"unknown": 0, "ambiguous": 1, "match": 2}


@dataclass
class ArrivalFilter:
    """What is in view; at_s: of any clock that does not go back.

    Attributes: told: by SKU, when it was last seen and what was told of it; "" for what is unknown.
    """

    told: dict[str, tuple[float, str]] = field(default_factory=dict)
    _last: tuple[str, str] = ("", "")
    _run: int = 0

    def add(self, answer: Answer, at_s: float) -> bool:
        """One more frame; whether its answer is to be told now."""
        sku = _sku(answer)
        now = (answer.decision, sku)
        self._run = self._run + 1 if now == self._last else 1
        self._last = now
        self.told = {key: told for key, told in self.told.items() if at_s - told[0] < GONE_S}
        known = self.told.get(sku)
        if known:
            self.told[sku] = (at_s, known[1])
        if self._run < STEADY[answer.decision] or (known and RANKS[known[1]] >= RANKS[answer.decision]):
            return False
        if not sku and self.told:  # a product that is lost for a moment
            return False
        self.told[sku] = (at_s, answer.decision)
        return True

    def tell(self, answer: Answer, at_s: float) -> None:
        """It was told, however steady it was."""
        self.told[_sku(answer)] = (at_s, answer.decision)

    def stay(self, at_s: float) -> None:
        """One more frame in which nothing moved."""
        if self._run:
            sku = self._last[1]
            if sku in self.told:
                self.told[sku] = (at_s, self.told[sku][1])


class Stillness:
    """Tells frames in which nothing moves, by a few grey pixels."""

    def __init__(self) -> None:
        self._seen: np.ndarray | None = None
        self._looks = 0

    def needs_look(self, frame: Photo) -> bool:
        """Something moved since the last frame that was looked at, or too few looked at this; counts as a look then."""
        try:
            small = image.to_grey(image.read(frame, 2 * SIDE), SIDE).astype(np.float32)
        except ImageError:
            return True  # whoever looks at it says why
        seen = self._seen
        moved = (
            seen is None or seen.shape != small.shape or float(np.quantile(np.abs(small - seen), 1 - SMALLEST)) > MOVED
        )
        self._looks = 1 if moved else self._looks + 1
        if moved or seen is None:
            self._seen = small
        return self._looks <= LOOKS


def _sku(answer: Answer) -> str:
    return answer.matches[0].sku if answer.decision != "unknown" and answer.matches else ""
