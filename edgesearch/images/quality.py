"""Judge whether a photo can show a product at all, and advise what to do if it cannot.

The bounds were measured on 100 photos of groceries, made worse step by step, with one crop. Recall@1 is 0.82 and falls
to 0.57 at 0.3 of the light (95 of 100 of these are below `DARK`, none of the sound ones), to 0.53 at a blur of 4 px of
256, and to 0.48 at a smear of 20 px (95 of 100 below `BLURRED`; of 571 sound photos of groceries, clothing, packaging
and the drawn shop, one in a hundred of packaging). A plain picture is not checked for blur.

H height, W width in px.
"""

from typing import Literal

import numpy as np

from .._util.quantile import quantile
from . import crops, image
from .crops import Crop

Flaw = Literal["", "dark", "empty", "blurred", "far"]
ADVICE: dict[Flaw, str] = {
    "": "",
    "dark": "it is too dark; add light or clean the lens.",
    "empty": "it shows nothing; point the camera at a product, and check that nothing covers the lens.",
    "blurred": "it is blurred; hold still, tap to focus, or step back a little.",
    "far": "the product is small in it; go closer.",
}
USELESS: tuple[Flaw, ...] = ("dark", "empty")  # flaws of photos that show nothing
SIDE, BLOCK = 256, 12  # px; geometric mean of the sides of the checked picture, and side of its blocks
SHARPEST = 0.95  # quantile of the blocks
DARK = 55  # of 255; a photo is dark if its brightest twentieth is below
PLAIN = 10  # standard deviation, of 255
BLURRED = 0.09  # second difference along the axis where it is smaller, to the standard deviation
FAR = 0.34  # side of the object, to the side of the whole crop


def find_flaw(picture: np.ndarray, crop: Crop | None = None) -> Flaw:
    """Return what is wrong with a photo, or "".

    Args:
        picture: (H, W, 3) uint8.
        crop: the crop around its object, as `Embedder.embed_and_locate` returns it; without it no photo is "far".
    """
    grey = image.to_grey(picture, SIDE).astype(np.float32)
    if quantile(grey, SHARPEST) < DARK:
        return "dark"
    if grey.std() < PLAIN:
        return "empty"
    if min(_measure_sharpness(grey), _measure_sharpness(grey.T)) < BLURRED * grey.std():
        return "blurred"
    return "far" if crop and crop.side <= FAR * crops.whole_crop(picture.shape[:2]).side else ""


def _measure_sharpness(grey: np.ndarray) -> float:
    """Return the root mean square second difference along the rows of (h, w) float32, in the sharpest blocks."""
    bend = (grey[:, 2:] - 2 * grey[:, 1:-1] + grey[:, :-2]) ** 2
    height, width = (length // BLOCK for length in bend.shape)
    if not height or not width:
        return float(np.sqrt(bend.mean())) if bend.size else np.inf
    blocks = bend[: height * BLOCK, : width * BLOCK].reshape(height, BLOCK, width, BLOCK)
    return float(np.sqrt(quantile(blocks.mean((1, 3)), SHARPEST)))
