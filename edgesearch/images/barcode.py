"""Read barcodes from photos, check them, and compare them in any spelling.

The reader is zxing-cpp, the extra `barcode`; without it no barcode is read. It reads the red channel, because barcodes
are printed for scanners with red light. Measured on photos of 4000 x 3000 px: at a shorter side of 750 px it reads
codes that fill a fifth of the photo's width or more, in 9 ms beside 75 ms of decoding; at 1500 px codes that fill a
tenth, in 22 ms beside 100 ms. Two-dimensional codes would double the reading time. Among 3,817 photos of groceries and
packaging at 224 px, one code was read, on a can.
"""

import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from ..errors import EdgeSearchError
from . import image

SIDE = 720  # px; photos are decoded with at least this shorter side
COVER_WIDTH, COVER_HEIGHT = 1.15, 0.8  # of the rectangle that covers a code, to the code's width; an EAN-13 is 0.7 high
RING = 1.3  # outer size of the ring whose colour covers a code, to the rectangle
FORMATS = ("EAN13", "EAN8", "UPCA", "UPCE", "Code128")  # zxing-cpp gives UPC-A and UPC-E as EAN-13
LENGTHS = (8, 12, 13, 14)  # digits of a GTIN: EAN-8, UPC-A, EAN-13, GTIN-14
_SEPARATORS = str.maketrans("", "", " -")


@dataclass(frozen=True)
class Barcode:
    """A code in a photo.

    Attributes:
        text: the code.
        format: its symbology, such as "EAN-13".
        line: from the left end of its bars to the right end: x, y, x, y in shares of the photo's width and height;
            empty if it was not read in a photo.
    """

    text: str
    format: str
    line: tuple[float, ...] = field(default=(), compare=False)


def can_read() -> bool:
    """Return whether the barcode reader is installed."""
    return importlib.util.find_spec("zxingcpp") is not None


def read(photo: image.Photo, side: int) -> tuple[np.ndarray, tuple[Barcode, ...]]:
    """Decode a photo once, for its barcodes and for the network.

    Args:
        photo: any form that `image.read` accepts.
        side: shorter side in px that the network needs.
    Returns:
        The photo as `image.read` returns it, (H, W, 3) uint8, and its barcodes without duplicates, from the top.
    Raises:
        ImageError: the photo cannot be read.
        EdgeSearchError: the barcode reader is not installed.
    """
    if not can_read():
        raise EdgeSearchError(
            "barcodes: no reader is installed; run `pip install edgesearch[barcode]`, or do without them."
        )
    large = image.read(photo, max(side, SIDE))
    return image.reduce_to(large, side), scan(image.reduce_to(large, max(side, SIDE)))


def scan(pixels: np.ndarray) -> tuple[Barcode, ...]:
    """Return the barcodes in a picture, (H, W, 3) uint8, without duplicates, from the top."""
    import zxingcpp

    formats = zxingcpp.BarcodeFormats([getattr(zxingcpp.BarcodeFormat, name) for name in FORMATS])
    found = zxingcpp.read_barcodes(np.ascontiguousarray(pixels[..., 0]), formats=formats, try_invert=False)
    found = sorted(found, key=lambda code: (code.position.top_left.y, code.position.top_left.x))
    codes = (Barcode(code.text, str(code.format), _find_line(code.position, pixels.shape)) for code in found)
    return tuple(dict.fromkeys(codes))


def _find_line(position: Any, shape: tuple[int, ...]) -> tuple[float, ...]:
    """Return the line through the middle of a code's bars, as `Barcode.line`."""
    left, right = (position.top_left, position.bottom_left), (position.top_right, position.bottom_right)
    ends = [(sum(corner.x for corner in side) / 2, sum(corner.y for corner in side) / 2) for side in (left, right)]
    return tuple(value / length for end in ends for value, length in zip(end, (shape[1], shape[0]), strict=True))


def cover(pixels: np.ndarray, codes: Sequence[Barcode]) -> np.ndarray:
    """Return a picture, (H, W, 3) uint8, whose barcodes are covered with the colour around them."""
    covered = pixels
    for code in codes:
        if code.line:
            inside, ring = (find_region(code, pixels.shape[:2], size) for size in (1.0, RING))
            ring &= ~inside
            covered = covered.copy() if covered is pixels else covered
            covered[inside] = np.median(pixels[ring if ring.any() else inside], axis=0) if inside.any() else 0
    return covered


def find_region(code: Barcode, size: tuple[int, int], scale: float = 1.0) -> np.ndarray:
    """Return which pixels of a picture of (H, W) belong to a code with its digits and margin: (H, W) bool.

    Args:
        code: read in the picture, or in a larger version of it.
        size: H and W.
        scale: factor of the region's width and height.
    """
    rows, columns = np.ogrid[: size[0], : size[1]]
    return _covers(code, size, columns + 0.5, rows + 0.5, scale)


def covers_points(code: Barcode, size: tuple[int, int], points: np.ndarray) -> np.ndarray:
    """Return which points (P, 2), x and y in px, lie on a code in a picture of (H, W): (P,) bool."""
    return _covers(code, size, points[:, 0], points[:, 1], 1.0)


def _covers(code: Barcode, size: tuple[int, int], x: np.ndarray, y: np.ndarray, scale: float) -> np.ndarray:
    height, width = size
    ends = np.array(code.line).reshape(2, 2) * (width, height)
    centre, along = ends.mean(0), ends[1] - ends[0]
    length = max(float(np.hypot(*along)), 1.0)
    along = along / length
    x, y = x - centre[0], y - centre[1]
    half_width, half_height = (share * scale * length / 2 for share in (COVER_WIDTH, COVER_HEIGHT))
    is_along = np.abs(x * along[0] + y * along[1]) <= half_width
    return np.asarray(is_along & (np.abs(y * along[0] - x * along[1]) <= half_height))


@cache
def parse_gtin(text: str) -> str | None:
    """Return a GTIN padded to 14 digits, or None if the text is no GTIN or has a wrong check digit.

    EAN-8, UPC-A, EAN-13 and GTIN-14 are one number with more or fewer leading zeros, which spreadsheets remove.
    """
    digits = text.translate(_SEPARATORS)
    if not re.fullmatch(r"[0-9]{7,14}", digits) or not int(digits):
        return None
    padded = digits.zfill(LENGTHS[-1])
    weighted = sum(int(digit) * (1 if position % 2 else 3) for position, digit in enumerate(padded))
    return None if weighted % 10 else padded


def equivalent_codes(text: str) -> set[str]:
    """Return all spellings of a code in a catalogue: the text itself, and a GTIN with any number of leading zeros."""
    padded = parse_gtin(text)
    least = padded.lstrip("0") if padded else text
    return {text.translate(_SEPARATORS), *(least.zfill(length) for length in range(len(least), LENGTHS[-1] + 1))}


def split_codes(cell: str) -> list[str]:
    """Split a catalogue cell into a product's codes, which ";" separates."""
    return [code for code in (part.translate(_SEPARATORS) for part in cell.split(";")) if code]
