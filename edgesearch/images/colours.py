"""Name the colours of a product from its reference pictures.

Each pixel gets one of the eleven basic colour terms (Berlin & Kay, Basic Color Terms, 1969): that of the nearest named
colour (CSS Color Module Level 4, section 6.1, assigned to the terms by hand) in CIELAB (CIE 015, D65). Lightness counts
less than hue, because light falls unevenly on a product. Pixels of little chroma are black, grey or white by their
lightness and count less, because shadow, metal and lettering have little chroma. The terms of many pixels are the
product's colours.

H height, W width, P pixels; T the eleven terms, in the order of `TERMS`.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from .augmented_views import cut_out

MIN_SHARE = 0.2  # of the product's pixels
MAX_COLOURS = 3
SIDE = 128  # px; longer side of the picture whose pixels are counted
MIN_CHROMA = 14  # of a pixel that is not black, grey or white
DARK, LIGHT = 25, 80  # highest lightness of black, lowest of white
GREY_WEIGHT = 0.25  # of a black, grey or white pixel
LIGHTNESS_WEIGHT = 0.75
MIDDLE = 0.6  # of each side; the part that counts if a picture has no plain background
TERMS = {
    "black": (),
    "grey": (),
    "white": (),
    "red": ("ff0000", "dc143c", "b22222", "8b0000", "cd5c5c"),
    "orange": ("ffa500", "ff8c00", "ff7f50", "ff4500", "d2691e"),
    "yellow": ("ffff00", "ffd700", "f0e68c", "ffffe0", "daa520", "b8860b"),
    "green": ("008000", "00ff00", "90ee90", "2e8b57", "556b2f", "006400", "9acd32", "20b2aa"),
    "blue": ("0000ff", "4682b4", "87ceeb", "000080", "1e90ff", "add8e6", "00bfff", "5f9ea0", "4169e1"),
    "purple": ("800080", "9370db", "4b0082", "8b008b", "dda0dd", "ba55d3"),
    "pink": ("ffc0cb", "ff69b4", "ff1493", "db7093", "ffb6c1"),
    "brown": ("8b4513", "a0522d", "d2b48c", "5c4033"),
}
GREYS = 3  # the first terms of `TERMS`, without chroma: dark, between, light
_WHITE_POINT = np.array([0.95047, 1.0, 1.08883])  # D65
_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def colour_shares(picture: np.ndarray) -> np.ndarray:
    """Return the share of each colour term in the product's pixels.

    Args:
        picture: (H, W, 3) uint8; a plain light background does not count, and without one only the middle counts.
    Returns:
        (T,) float64 that sums to 1.
    """
    small = Image.fromarray(picture)
    small.thumbnail((SIDE, SIDE), reducing_gap=3.0)
    product = cut_out(np.asarray(small))
    if product.getchannel("A").getextrema()[0] == 255:
        across, down = (int(side * (1 - MIDDLE) / 2) for side in product.size)
        product = product.crop((across, down, product.width - across, product.height - down))
    pixels = np.asarray(product).reshape(-1, 4)
    opaque = pixels[pixels[:, 3] == 255, :3]
    terms = _assign_terms(_to_lab(opaque if len(opaque) else pixels[:, :3]))
    counts = np.bincount(terms, minlength=len(TERMS)) * np.where(np.arange(len(TERMS)) < GREYS, GREY_WEIGHT, 1)
    return counts / counts.sum()


def name_colours(shares: Sequence[np.ndarray]) -> str:
    """Name a product's colours, the most frequent first, such as "red, white".

    Args:
        shares: of each of its pictures, (T,) float64, from `colour_shares`.
    """
    mean = np.mean(shares, axis=0)
    most = np.argsort(-mean, kind="stable")[:MAX_COLOURS]
    return ", ".join([list(TERMS)[n] for n in most if mean[n] >= MIN_SHARE] or [list(TERMS)[most[0]]])


def _to_lab(rgb: np.ndarray) -> np.ndarray:
    """Convert sRGB (IEC 61966-2-1), (P, 3) uint8, to CIELAB, (P, 3) float64."""
    linear = np.where(rgb <= 0.04045 * 255, rgb / 255 / 12.92, ((rgb / 255 + 0.055) / 1.055) ** 2.4)
    ratio = linear @ _TO_XYZ.T / _WHITE_POINT
    root = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.column_stack([116 * root[:, 1] - 16, 500 * (root[:, 0] - root[:, 1]), 200 * (root[:, 1] - root[:, 2])])


def _assign_terms(lab: np.ndarray) -> np.ndarray:
    """Return the index of each pixel's colour term: (P, 3) float64 CIELAB -> (P,) int64."""
    weights = np.array([LIGHTNESS_WEIGHT, 1, 1]) ** 2
    # Squared distances without the term that all prototypes share.
    distances = (_PROTOTYPES**2 @ weights)[None] - 2 * (lab * weights) @ _PROTOTYPES.T
    nearest = _OWNERS[np.argmin(distances, axis=1)]
    is_grey = np.hypot(lab[:, 1], lab[:, 2]) < MIN_CHROMA
    return np.where(is_grey, np.digitize(lab[:, 0], (DARK, LIGHT)), nearest)


_CODES = list(TERMS.values())[GREYS:]
_PROTOTYPES = _to_lab(np.array([list(bytes.fromhex(code)) for codes in _CODES for code in codes], np.uint8))
_OWNERS = np.repeat(np.arange(GREYS, len(TERMS)), [len(codes) for codes in _CODES])
