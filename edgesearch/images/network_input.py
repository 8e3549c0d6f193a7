"""Turn squares of a picture into the input of a network: cut out, resized, and scaled to floats.

`resampling.c` does the work in one call for all squares of a picture. Its specification is the twin below, which
resizes with Pillow; both give the same bits. The twin replaces it if it is not compiled, or if a square is so large
that Pillow averages blocks of pixels first.

B squares of a picture of H, W px; S px, the side of the result.
"""

import math
from collections.abc import Sequence

import numpy as np

from .._util.compiled import warn_not_compiled
from . import image
from .crops import Crop
from .grey_resizing import MAX_SHRINKING

try:
    from . import _resampling  # type: ignore[attr-defined]
except ImportError:
    _resampling = None
    warn_not_compiled()


def crop_squares(picture: np.ndarray, squares: Sequence[Crop], side: int, scale: float, offset: float) -> np.ndarray:
    """Cut squares out of a picture; outside the picture they have the median colour of its border.

    Args:
        picture: (H, W, 3) uint8.
        squares: the squares.
        side: S.
        scale: factor of the RGB values.
        offset: added to the scaled values.
    Returns:
        (B, 3, S, S) float32.
    """
    if _resampling is None or any(square.side > MAX_SHRINKING * side for square in squares):
        return crop_squares_by_pillow(picture, squares, side, scale, offset)
    height, width = picture.shape[:2]
    placed = [_place(square, width, height) for square in squares]
    boxes, places = np.array([box for box, _ in placed], np.float32), np.array([place for _, place in placed], np.int32)
    values = np.empty((len(squares), 3, side, side), np.float32)
    _resampling.crop(np.ascontiguousarray(picture), width, height, boxes, places, values, side, scale, offset)
    return values


def crop_squares_by_pillow(
    picture: np.ndarray, squares: Sequence[Crop], side: int, scale: float, offset: float
) -> np.ndarray:
    """Specify `crop_squares`: (B, 3, S, S) float32."""
    pixels = np.stack([image.crop_square(picture, square, side) for square in squares])
    return pixels.transpose(0, 3, 1, 2).astype(np.float32) * np.float32(scale) + np.float32(offset)


def _place(square: Crop, width: int, height: int) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Place a picture on a canvas that holds a square.

    Returns: left, top, right and bottom of the square; x and y of the picture, and the width and height of the canvas.
    """
    left, top, side = square
    if left < 0 or top < 0 or left + side > width or top + side > height:
        return (0, 0, side, side), (round(-left), round(-top), math.ceil(side), math.ceil(side))
    return (left, top, left + side, top + side), (0, 0, width, height)
