"""Whether a photo can show a product at all, and what to do about one that cannot.

Measured on 100 photos of groceries, made worse step by step, with one look: recall@1 is 0.82, and falls to 0.57 where
0.3 of the light is left (95 of 100 of these lie below `DARK`, none of the sound ones), to 0.53 where 4 px of 256 are
blurred and 0.48 where 20 px are smeared (95 of 100 below `BLURRED`; of 571 sound photos of groceries, clothing,
packaging and the drawn shop, one in a hundred of packaging). Of what is plain nothing is asked to be sharp.

H height, W width in px.
"""

from typing import Literal

import numpy as np

from . import crops, image
from .crops import Crop

Flaw = Literal["", "dark", "empty", "blurred", "far"]
ADVICE: dict[Flaw, str] = {
    "": "",
    "dark": "it is too dark; make light, or clean the lens.",
    "empty": "there is nothing to see in it; point the camera at a product, and see that nothing covers the lens.",
    "blurred": "it is blurred; hold still, tap to focus, or go a little farther away.",
    "far": "the product is small in it; go nearer.",
}
SIDE, BLOCK = 256, 12  # px; geometric mean of the sides that are looked at, and of the blocks whose sharpest count
SHARPEST = 95  # percentile of the blocks
DARK = 55  # of 255; of the brightest twentieth
PLAIN = 10  # standard deviation, of 255
BLURRED = 0.09  # of the standard deviation: how much neighbours bend, along the axis where they bend less
FAR = 0.34  # side of the object, to that of the whole look


def find_flaw(picture: np.ndarray, part: Crop) -> Flaw:
    """What is wrong with a photo, (H, W, 3) uint8; part: its object, as `Embedder.see` finds it."""
    grey = image.to_grey(picture, SIDE).astype(np.float32)
    if np.percentile(grey, SHARPEST) < DARK:
        return "dark"
    if grey.std() < PLAIN:
        return "empty"
    if min(_bend(grey), _bend(grey.T)) < BLURRED * grey.std():
        return "blurred"
    return "far" if part.side <= FAR * crops.whole_crop(picture.shape[:2]).side else ""


def _bend(grey: np.ndarray) -> float:
    """How much neighbours along a row bend away from a line, in the sharpest blocks."""
    bend = (grey[:, 2:] - 2 * grey[:, 1:-1] + grey[:, :-2]) ** 2
    height, width = (length // BLOCK for length in bend.shape)
    if not height or not width:
        return float(np.sqrt(bend.mean())) if bend.size else np.inf
    blocks = bend[: height * BLOCK, : width * BLOCK].reshape(height, BLOCK, width, BLOCK)
    return float(np.sqrt(np.percentile(blocks.mean((1, 3)), SHARPEST)))
