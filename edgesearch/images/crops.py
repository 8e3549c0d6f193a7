"""Where to look in a picture: squares of it, each embedded alone; the mean of their embeddings is the picture's.

The object is where the network's last feature maps respond: no second model. It is what finds small things that stand
aside (`tools/bench accuracy --protocol objects-unseen-small`).

H height, W width in px; h, w of the network's response.
"""

import math
from typing import NamedTuple

import numpy as np

WHOLE_MAX_SHARE = 2.5  # side of the whole look, to the picture's shorter side: of a long strip, the middle
NEAR_SHARE = 0.7  # side of the near look, to the picture's shorter side
OBJECT_RESPONSE = 0.65  # of the strongest: what responds less is not the object
OBJECT_MARGIN = 0.1  # on each side, of the object's longer side
OBJECT_MIN_SHARE = 0.3  # side of the smallest object looked at, to the side of the look it was found in
BACKGROUND_QUANTILE = 0.2  # of the response: this much of a picture is taken for background


class Crop(NamedTuple):
    """Part of a picture in px, left, top and side; it may reach beyond the picture."""

    left: float
    top: float
    side: float

    def clip(self, size: tuple[int, int], margin: float) -> tuple[int, int, int, int]:
        """What lies inside a picture of (H, W) px: left, top, right, bottom; margin: on each side, of the square's."""
        left, top = self.left - margin * self.side, self.top - margin * self.side
        side = self.side * (1 + 2 * margin)
        return (
            max(0, math.floor(left)),
            max(0, math.floor(top)),
            min(size[1], math.ceil(left + side)),
            min(size[0], math.ceil(top + side)),
        )


def centre_crop(size: tuple[int, int], share: float) -> Crop:
    """The middle square; size: (H, W); share: its side to the picture's shorter side."""
    return _around(size[1] / 2, size[0] / 2, min(size) * share)


def whole_crop(size: tuple[int, int]) -> Crop:
    """The square around the whole picture; size: (H, W)."""
    return _around(size[1] / 2, size[0] / 2, min(max(size), min(size) * WHOLE_MAX_SHARE))


def object_crop(look: Crop, response: np.ndarray) -> Crop:
    """The square around what responds most in a look.

    Args:    response: (h, w) float32, sums over the channels of the network's last feature maps.
    """
    strength = response - np.quantile(response, BACKGROUND_QUANTILE)
    rows, columns = np.nonzero(_connected(strength >= OBJECT_RESPONSE * strength.max(), strength.argmax()))
    cell = look.side / np.array(response.shape)
    top, left = rows.min() * cell[0], columns.min() * cell[1]
    height, width = (rows.max() + 1) * cell[0] - top, (columns.max() + 1) * cell[1] - left
    side = max(max(height, width) * (1 + 2 * OBJECT_MARGIN), look.side * OBJECT_MIN_SHARE)
    found = _around(look.left + left + width / 2, look.top + top + height / 2, min(side, look.side))
    # Pushed back into the look where it stands at its border.
    left, top = (
        float(np.clip(place, start, start + look.side - found.side))
        for place, start in ((found.left, look.left), (found.top, look.top))
    )
    return Crop(left, top, found.side)


def connected_parts(mask: np.ndarray) -> list[np.ndarray]:
    """What hangs together in a (h, w) mask, each as a mask."""
    found, left = [], mask.copy()
    while left.any():
        found.append(_connected(left, left.argmax()))
        left &= ~found[-1]
    return found


def _around(x: float, y: float, side: float) -> Crop:
    return Crop(x - side / 2, y - side / 2, side)


def _connected(mask: np.ndarray, start: np.integer) -> np.ndarray:
    """The part of a (h, w) mask that hangs together with the place `start` (flat index)."""
    part = np.zeros_like(mask)
    part.flat[start] = mask.flat[start] = True
    while True:
        grown = part.copy()
        grown[1:] |= part[:-1]
        grown[:-1] |= part[1:]
        grown[:, 1:] |= part[:, :-1]
        grown[:, :-1] |= part[:, 1:]
        grown &= mask
        if (grown == part).all():
            return part
        part = grown
