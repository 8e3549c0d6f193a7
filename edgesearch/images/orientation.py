"""Turn pictures upright as their metadata says.

Pillow's own function parses all of EXIF and writes it anew; one number of it is needed.
"""

import contextlib
import re

from PIL import Image

from . import tiff_directory

_TURNS = {  # EXIF 2.3, tag Orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PREFIX = re.compile(rb"^(?:Exif\0\0){1,2}")
_XMP = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')
_PNG_TEXT = "Raw profile type exif"  # hexadecimal EXIF of older programs, behind three lines


def orientation_of(image: Image.Image) -> int:
    """Return the orientation in a picture's EXIF or XMP, 1 to 8; 1, upright, if there is none or it is damaged."""
    exif, xmp = image.info.get("exif", b""), image.info.get("XML:com.adobe.xmp") or image.info.get("xmp") or b""
    if not exif and isinstance(text := image.info.get(_PNG_TEXT), str):
        with contextlib.suppress(ValueError):
            exif = bytes.fromhex("".join(text.split("\n")[3:]))
    stated = tiff_directory.read_orientation(_PREFIX.sub(b"", exif)) if isinstance(exif, bytes) else 0
    found = _XMP.search(xmp.encode() if isinstance(xmp, str) else xmp)
    return stated or (int(found[1]) if found else 1)


def turn_upright(image: Image.Image, orientation: int) -> Image.Image:
    """Undo an orientation; other numbers than 2 to 8 change nothing."""
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)
