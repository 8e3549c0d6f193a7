"""Resize grey pictures as Pillow does, in a fraction of the time.

`resampling.c` does the work. Its specification is the twin below, which resizes with Pillow; both give the same bits.
The twin replaces it if it is not compiled, or if a picture shrinks so much that Pillow averages blocks of pixels first.

H, W px of the picture; h, w px of the result.
"""

import numpy as np
from PIL import Image

from .._util.compiled import warn_not_compiled

try:
    from . import _resampling  # type: ignore[attr-defined]
except ImportError:
    _resampling = None
    warn_not_compiled()

MAX_SHRINKING = 5  # px of the picture to one of the result; Pillow averages blocks from 6 on
MAX_SIDE = 4096  # px of the result
BICUBIC, LANCZOS = Image.Resampling.BICUBIC, Image.Resampling.LANCZOS
_FILTERS = {BICUBIC: 1, LANCZOS: 2}


def resize(grey: np.ndarray, size: tuple[int, int], resampling: Image.Resampling) -> np.ndarray:
    """Resize a picture.

    Args:
        grey: (H, W) uint8.
        size: w and h.
        resampling: `BICUBIC` or `LANCZOS`.
    Returns:
        (h, w) uint8.
    """
    (height, width), (to_width, to_height) = grey.shape, size
    shrinks = width > MAX_SHRINKING * to_width or height > MAX_SHRINKING * to_height
    if _resampling is None or shrinks or max(size) > MAX_SIDE:
        return resize_by_pillow(grey, size, resampling)
    result = np.empty((to_height, to_width), np.uint8)
    grey = np.ascontiguousarray(grey)
    _resampling.resize_grey(grey, width, height, _FILTERS[resampling], result, to_width, to_height)
    return result


def resize_by_pillow(grey: np.ndarray, size: tuple[int, int], resampling: Image.Resampling) -> np.ndarray:
    """Specify `resize`: (h, w) uint8."""
    return np.asarray(Image.fromarray(grey).resize(size, resampling, reducing_gap=3.0))
