"""Barcodes: read from a photo, checked, and compared whatever form they are written in.

The reader is zxing-cpp, the extra `barcode`; without it no photo is read. Codes are read in the red channel: that is
the light of the scanners they are printed for. Measured on photos of 4000 x 3000 px: at a shorter side
of 750 px a code is read from a fifth of the photo's width on, in 9 ms beside 75 of decoding; at 1500 px from a tenth
on, in 22 ms beside 100. Codes in two dimensions besides would double the reading. Of 3,817 photos of groceries and
packaging at 224 px one gave a code, on a can.
"""

import importlib.util
import re
from dataclasses import dataclass
from functools import cache

import numpy as np

from ..errors import EdgeSearchError
from . import image

SIDE = 720  # px; to which photos are decoded at least
READ = ("EAN13", "EAN8", "UPCA", "UPCE", "Code128")  # zxing-cpp gives UPC-A and UPC-E as EAN-13
LENGTHS = (8, 12, 13, 14)  # of the numbers of trade: EAN-8, UPC-A, EAN-13, GTIN-14
_ALSO_WRITTEN = str.maketrans("", "", " -")


@dataclass(frozen=True)
class Barcode:
    """A code in a photo.

    Attributes: text: as it was read; format: of the code, "EAN-13" for instance.
    """

    text: str
    format: str


def can_read() -> bool:
    """The reader is installed."""
    return importlib.util.find_spec("zxingcpp") is not None


def read(photo: image.Photo, side: int) -> tuple[np.ndarray, tuple[Barcode, ...]]:
    """Decode a photo once, for its barcodes and for the network.

    Args:    side: px; as `image.read` takes it, for the network.
    Returns: (H, W, 3) uint8, as `image.read` gives it; and the barcodes, each once, from the top.
    Raises:  ImageError: the photo cannot be read; EdgeSearchError: the reader is not installed.
    """
    if not can_read():
        raise EdgeSearchError("barcodes: no reader is installed; pip install edgesearch[barcode], or do without them.")
    large = image.read(photo, max(side, SIDE))
    return image.reduce_to(large, side), scan(image.reduce_to(large, max(side, SIDE)))


def scan(pixels: np.ndarray) -> tuple[Barcode, ...]:
    """The barcodes in a picture, (H, W, 3) uint8, each once, from the top."""
    import zxingcpp

    formats = zxingcpp.BarcodeFormats([getattr(zxingcpp.BarcodeFormat, name) for name in READ])
    found = zxingcpp.read_barcodes(np.ascontiguousarray(pixels[..., 0]), formats=formats, try_invert=False)
    found = sorted(found, key=lambda one: (one.position.top_left.y, one.position.top_left.x))
    return tuple(dict.fromkeys(Barcode(one.text, str(one.format)) for one in found))


@cache
def parse_gtin(text: str) -> str | None:
    """A number of trade (GTIN) in 14 digits; None: it is none, or its check digit is wrong.

    EAN-8, UPC-A, EAN-13 and GTIN-14 are the same number with zeros in front, which a spreadsheet takes away.
    """
    digits = text.translate(_ALSO_WRITTEN)
    if not re.fullmatch(r"[0-9]{7,14}", digits) or not int(digits):
        return None
    padded = digits.zfill(LENGTHS[-1])
    weighted = sum(int(digit) * (1 if place % 2 else 3) for place, digit in enumerate(padded))
    return None if weighted % 10 else padded


def equivalent_codes(text: str) -> set[str]:
    """All that a catalogue may write for a code: itself, and a number of trade with more or fewer zeros in front."""
    padded = parse_gtin(text)
    least = padded.lstrip("0") if padded else text
    return {text.translate(_ALSO_WRITTEN), *(least.zfill(length) for length in range(len(least), LENGTHS[-1] + 1))}


def split_codes(cell: str) -> list[str]:
    """The codes of a product, as a catalogue's cell has them, separated by ";"."""
    return [code for code in (part.translate(_ALSO_WRITTEN) for part in cell.split(";")) if code]
