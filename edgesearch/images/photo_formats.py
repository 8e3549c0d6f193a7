"""Recognize pictures by their first bytes, read HEIC, and complete JPEGs that lack their end.

HEIC is read by pillow-heif, the extra `heic`; it is not registered with Pillow, so that Pillow reads elsewhere what it
read before.
"""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from ..errors import ImageError
from . import jpeg_scans

_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"mif2", b"msf1")
_SIGNATURES = (  # of what people take for pictures
    (b"%PDF", "a PDF document"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"8BPS", "a Photoshop document"),
    (b"\x1a\x45\xdf\xa3", "a video"),
    (b"PK\3\4", "a zip archive"),
    (b"version https://git-lfs", "a placeholder of Git LFS"),
)
_END = b"\xff\xd9"  # EOI, a JPEG's last marker
WITHOUT_END = "a JPEG without its end marker, perhaps cut off; all its pixels are there, and it is read"
# Bits that decode to visible detail where picture data is missing, with every restart marker.
_FILLER = b"".join(b"\x5a\xa5\x36\xc9\x13" * 40 + bytes((0xFF, 0xD0 + number)) for number in range(8))


def is_heic(data: bytes) -> bool:
    """Return whether data begins like a HEIC or HEIF picture."""
    brands = {data[8:12], *(data[start : start + 4] for start in range(16, min(_box_size(data), 64), 4))}
    return data[4:8] == b"ftyp" and not brands & {b"avif", b"avis"} and not brands.isdisjoint(_HEIC_BRANDS)


def open_heic(data: bytes, name: str, check_size: Callable[[tuple[int, int]], None]) -> Image.Image:
    """Decode a HEIC picture, turned upright.

    Args:    name: of the picture, for error messages.
             check_size: called with width and height before any pixel is decoded; raises for a wrong size.
    Raises:  ImageError: pillow-heif is not installed.
    """
    try:
        import pillow_heif
    except ImportError as missing:
        raise ImageError(
            f"{name}: HEIC, as iPhones take pictures; pip install edgesearch[heic], or save it as JPEG (on the iPhone: "
            "Settings, Camera, Formats, Most Compatible)."
        ) from missing
    found: Any = pillow_heif.open_heif(io.BytesIO(data))
    check_size(found.size)
    picture: Image.Image = found.to_pillow()  # libheif turns it
    picture.info = {key: value for key, value in picture.info.items() if key == "icc_profile"}
    return picture


def describe_unreadable(data: bytes) -> str:
    """Return what data that is no readable picture probably is, and what to do if that is known."""
    if not data:
        return "empty"
    start = data[:1000].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page, no picture; check its address"
    if start.startswith(b"<svg") or (start.startswith(b"<?xml") and b"<svg" in start):
        return "SVG, which has no pixels; save it as PNG"
    if data[4:8] == b"ftyp":
        return "AVIF; save it as JPEG" if data[8:12] in (b"avif", b"avis") else "a video; take a photo"
    named = next((kind for signature, kind in _SIGNATURES if data.startswith(signature)), "")
    return f"{named}, no picture that can be read" if named else "no picture, or of an unknown format"


def lacks_end(data: bytes) -> bool:
    """Return whether data is a JPEG that stops before its last marker, as after a broken transfer."""
    at = 2 if data.startswith(b"\xff\xd8") else len(data)
    for _ in range(jpeg_scans.MAX_SEGMENTS):
        if at + 4 > len(data) or data[at] != 0xFF:
            break
        if data[at + 1] == 0xDA:  # picture data, which no other marker follows but the last
            return data.rfind(_END, at) < 0  # from the end, where it is
        at += 1 if data[at + 1] == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return False


def complete_jpeg(data: bytes, decode: Callable[[bytes], Image.Image]) -> Image.Image | None:
    """Decode a JPEG that lacks its end if all its pixels are there; return None if some are missing.

    Bits after the last pixel change nothing, while bits in place of missing pixels show.
    """
    data = data.rstrip(b"\xff")
    picture, filled = (decode(data + end) for end in (_END, _FILLER + _END))
    return picture if np.array_equal(np.asarray(picture), np.asarray(filled)) else None


def _box_size(data: bytes) -> int:
    return int.from_bytes(data[:4], "big")
