"""Choose square crops of a picture; the mean of their embeddings is the picture's embedding.

The crop around the object is where the network's last feature maps respond, so no second model is needed. It makes
small products at the side of a photo findable (`tools/bench accuracy --protocol objects-unseen-small`).

H height, W width in px; h, w size of the network's response.
"""

import math
from typing import NamedTuple, SupportsIndex

import numpy as np

from .._util.quantile import quantile

WHOLE_MAX_SHARE = 2.5  # largest side of the whole crop, to the picture's shorter side: a long strip keeps its middle
NEAR_SHARE = 0.7  # side of the near crop, to the picture's shorter side
OBJECT_RESPONSE = 0.65  # of the strongest response; weaker cells are not part of the object
OBJECT_MARGIN = 0.1  # on each side, of the object's longer side
OBJECT_MIN_SHARE = 0.3  # side of the smallest object crop, to the side of the crop it was found in
BACKGROUND_QUANTILE = 0.2  # share of the response that counts as background


class Crop(NamedTuple):
    """A square part of a picture in px; it may reach beyond the picture."""

    left: float
    top: float
    side: float

    def clip(self, size: tuple[int, int], margin: float) -> tuple[int, int, int, int]:
        """Return the box of the crop that lies inside a picture.

        Args:
            size: the picture's (H, W).
            margin: added on each side, as a share of the crop's side.
        Returns:
            Left, top, right and bottom in px.
        """
        left, top = self.left - margin * self.side, self.top - margin * self.side
        side = self.side * (1 + 2 * margin)
        return (
            max(0, math.floor(left)),
            max(0, math.floor(top)),
            min(size[1], math.ceil(left + side)),
            min(size[0], math.ceil(top + side)),
        )


def centre_crop(size: tuple[int, int], share: float) -> Crop:
    """Return the middle square of a picture of (H, W) px; share: its side to the picture's shorter side."""
    return _square_around(size[1] / 2, size[0] / 2, min(size) * share)


def whole_crop(size: tuple[int, int]) -> Crop:
    """Return the square around a whole picture of (H, W) px, at most `WHOLE_MAX_SHARE` times its shorter side."""
    return _square_around(size[1] / 2, size[0] / 2, min(max(size), min(size) * WHOLE_MAX_SHARE))


def object_crop(crop: Crop, response: np.ndarray) -> Crop:
    """Return the square around the strongest response inside a crop.

    Args:
        crop: the crop that the network saw.
        response: (h, w) float32, the network's last feature maps summed over their channels.
    """
    strength = response - quantile(response, BACKGROUND_QUANTILE)
    strongest = np.unravel_index(strength.argmax(), strength.shape)
    rows, columns = np.nonzero(connected_part(strength >= OBJECT_RESPONSE * strength.max(), strongest))
    cell = crop.side / np.array(response.shape)
    top, left = rows.min() * cell[0], columns.min() * cell[1]
    height, width = (rows.max() + 1) * cell[0] - top, (columns.max() + 1) * cell[1] - left
    side = max(max(height, width) * (1 + 2 * OBJECT_MARGIN), crop.side * OBJECT_MIN_SHARE)
    found = _square_around(crop.left + left + width / 2, crop.top + top + height / 2, min(side, crop.side))
    # An object at the border: shift its square back into the crop.
    left, top = (
        float(np.clip(position, start, start + crop.side - found.side))
        for position, start in ((found.left, crop.left), (found.top, crop.top))
    )
    return Crop(left, top, found.side)


def connected_parts(mask: np.ndarray) -> list[np.ndarray]:
    """Split an (h, w) bool mask into its 4-connected parts, (h, w) bool each."""
    parts, remaining = [], mask.copy()
    while remaining.any():
        parts.append(connected_part(remaining, np.unravel_index(remaining.argmax(), remaining.shape)))
        remaining &= ~parts[-1]
    return parts


def connected_part(mask: np.ndarray, start: tuple[SupportsIndex, ...]) -> np.ndarray:
    """Return the 4-connected part of a mask that contains a pixel.

    Each round fills whole runs of rows and columns. Filling one pixel at a time would take as many rounds as the
    longest path has pixels, and Pillow's floodfill visits pixels one by one.

    Args:
        mask: (h, w) bool.
        start: row and column of the pixel, which counts as part of the mask.
    Returns:
        (h, w) bool.
    """
    mask = mask.copy()
    mask[start] = True
    rows, columns = _number_runs(mask), _number_runs(mask.T).T
    found, before = np.zeros_like(mask), 0
    found[start] = True
    while (count := int(found.sum())) > before:
        before = count
        for runs in (rows, columns):
            reached = np.zeros(runs.max() + 1, bool)
            reached[runs[found]] = True
            found = reached[runs] & mask
    return found


def _number_runs(mask: np.ndarray) -> np.ndarray:
    """Number the runs of each row of an (h, w) bool mask from 1; pixels outside the mask get arbitrary numbers."""
    begins = mask.copy()
    begins[:, 1:] &= ~mask[:, :-1]
    return begins.cumsum().reshape(mask.shape)


def _square_around(x: float, y: float, side: float) -> Crop:
    return Crop(x - side / 2, y - side / 2, side)
