"""Read pictures as upright RGB arrays within limits, and resize and encode them.

H height, W width, S side of a square in px.
"""

import contextlib
import functools
import inspect
import io
import math
import os
import re
import stat
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import PIL
from PIL import (  # the plugins are imported to register their readers
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from ..errors import EdgeSearchError, ImageError
from . import colour_profile, decoding_work, grey_resizing, orientation, photo_formats
from .decoding_memory import SHARED
from .decoding_work import RASTER_BYTES

Photo: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | np.ndarray | Image.Image"

# Formats of phones, scanners and shops. Pillow's other readers are not used: each is one more parser to trust.
PLUGINS = (
    JpegImagePlugin.JpegImageFile,
    PngImagePlugin.PngImageFile,
    WebPImagePlugin.WebPImageFile,
    GifImagePlugin.GifImageFile,
    BmpImagePlugin.BmpImageFile,
    TiffImagePlugin.TiffImageFile,
)
FORMATS = tuple(str(plugin.format) for plugin in PLUGINS)
MAX_BYTES = 100_000_000
MAX_PIXELS = 89_000_000  # just below the size at which Pillow warns
MAX_WEBP_PIXELS = 40_000_000  # decoding takes 16 bytes a pixel; other formats take at most 4
MIN_SIDE, MAX_SIDE = 8, 20_000
BAND_PIXELS = 1_000_000  # converted at a time
WORKING_SIDE = 320  # px; pictures keep at least this shorter side: the near crop, 0.7 of it, then has 224 px
MAX_ENLARGEMENT = 3.0  # a larger factor would add no detail
MAX_ELONGATION = 3.0  # longest side to the requested one
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.I)
_RESULT_BYTES = 14  # a pixel of the result, at most, while it is converted, turned and copied
_BAND_BYTES = 20  # a pixel of the band that is being converted
WHITE = (255, 255, 255)


def read(photo: Photo, needed_side: int | None = None) -> np.ndarray:
    """Decode one photo.

    Apply the EXIF orientation, lay transparency on white, convert any colour mode and profile to 8-bit sRGB, and take
    the first frame of an animation. Reduce a picture of at least twice the needed size, a JPEG while it is decoded.

    Args:
        photo: path, encoded bytes, stream of them, PIL image, or (H, W, 3) uint8 array.
        needed_side: px that the shorter side must keep; None keeps every pixel.
    Returns:
        (H, W, 3) uint8.
    Raises:
        ImageError: the photo is unreadable, unsupported, truncated, too large or too small, or takes too long.
        BusyError: other photos that are being decoded leave no memory for this one.
    """
    if isinstance(photo, np.ndarray):
        return _check_array(photo)
    name = _describe(photo)
    try:
        if isinstance(photo, Image.Image):
            _check_size(photo.size, name)
            with SHARED.reserved(_needed_bytes(photo.size, needed_side)):
                return _to_upright_rgb(photo.copy(), needed_side, name)
        data = _read_encoded(photo, name)
        return (_decode_heic if photo_formats.is_heic(data) else _decode)(data, name, needed_side)
    except (EdgeSearchError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name}: far too large; at most {MAX_PIXELS:,} pixels are read, save it smaller.") from error
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged data
        raise ImageError(f"{name}: the picture is damaged or cut off ({error}); take or copy it again.") from error


def read_bytes(path: Path) -> bytes:
    """Read a picture's file, at most `MAX_BYTES` + 1 bytes; raise ImageError if it cannot be read."""
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ImageError(f"{path}: not a file; give the path of a picture.")
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise ImageError(f"{path}: no such file; check the path.") from error
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror}); check the file and its permissions.") from error


def crop_square(image: np.ndarray, square: tuple[float, float, float], side: int) -> np.ndarray:
    """Cut a square out of a picture and resize it; outside the picture it has the median colour of its border.

    Args:
        image: (H, W, 3) uint8.
        square: its left, top and side in px.
        side: S.
    Returns:
        (S, S, 3) uint8.
    """
    left, top, length = square
    picture = Image.fromarray(image)
    if left < 0 or top < 0 or left + length > picture.width or top + length > picture.height:
        border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
        canvas = Image.new("RGB", (math.ceil(length), math.ceil(length)), tuple(np.median(border, 0).astype(int)))
        canvas.paste(picture, (round(-left), round(-top)))
        picture, left, top = canvas, 0, 0
    box = (left, top, left + length, top + length)
    return np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR, box=box, reducing_gap=3.0))


def reduce_to(image: np.ndarray, needed_side: int) -> np.ndarray:
    """Halve a picture's sides while they suffice, as `read` does with a JPEG.

    Args:
        image: (H, W, 3) uint8.
        needed_side: smallest shorter side of the result in px.
    Returns:
        (h, w, 3) uint8.
    """
    factor = 1 << max(0, (min(image.shape[:2]) // needed_side).bit_length() - 1)
    return image if factor == 1 else np.asarray(Image.fromarray(image).reduce(factor))


def to_grey(image: np.ndarray, side: int) -> np.ndarray:
    """Convert a picture to luminance and resize it.

    Args:
        image: (H, W, 3) uint8.
        side: geometric mean of the result's sides in px; it is less if the picture would grow more than threefold or
            one side exceed three times `side`.
    Returns:
        (h, w) uint8.
    """
    grey = np.asarray(Image.fromarray(image).convert("L"))
    height, width = grey.shape
    longest = MAX_ELONGATION * side / max(height, width)
    scale = min(MAX_ENLARGEMENT, longest, side / math.sqrt(width * height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return grey_resizing.resize(grey, size, grey_resizing.BICUBIC)


def resize_box(image: np.ndarray, box: tuple[float, float, float, float], side: int) -> np.ndarray:
    """Resize a box of a picture to a square, without keeping its aspect ratio.

    Args:
        image: (H, W, 3) uint8.
        box: left, top, right and bottom in px.
        side: S.
    Returns:
        (S, S, 3) uint8.
    """
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BOX, box=box))


def thumbnail(image: np.ndarray, side: int) -> bytes:
    """Encode a picture, (H, W, 3) uint8, as a JPEG whose longer side is at most `side` px."""
    encoded = io.BytesIO()
    _shrink(Image.fromarray(image), side).save(encoded, "JPEG", quality=80, optimize=True)
    return encoded.getvalue()


def decoder_version() -> str:
    """Return name and version of the decoder, Pillow."""
    return f"Pillow {PIL.__version__} to sRGB"


def to_webp(picture: bytes, side: int, quality: int) -> bytes:
    """Convert an encoded picture to WebP with a longer side of at most `side` px.

    WebP takes half the bytes of a JPEG of the same visual quality.
    """
    encoded = io.BytesIO()
    with Image.open(io.BytesIO(picture), formats=FORMATS) as picture_file:
        _shrink(picture_file, side).save(encoded, "WEBP", quality=quality, method=4)
    return encoded.getvalue()


@functools.cache
def blank_picture(side: int = 224) -> bytes:
    """Return a JPEG for a product without a picture: a closed box on a pale ground."""
    drawn = np.full((side, side, 3), 238, np.uint8)
    low, high, lid = side // 4, side - side // 4, side // 2 - side // 14
    drawn[low:high, low:high] = 205
    drawn[lid : lid + side // 40, low:high] = 238
    drawn[low:lid, side // 2 - side // 24 : side // 2 + side // 24] = 222
    return thumbnail(drawn, side)


def media_type(picture: bytes) -> str:
    """Return the media type of a stored picture, which is a JPEG or a WebP."""
    return "image/webp" if picture[8:12] == b"WEBP" else "image/jpeg"


def _shrink(image: Image.Image, side: int) -> Image.Image:
    """Shrink an image, in place, to a longer side of at most `side` px, but no side shorter than `read` accepts."""
    image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    if min(image.size) >= MIN_SIDE:
        return image
    return image.resize((max(image.width, MIN_SIDE), max(image.height, MIN_SIDE)))


def _describe(photo: Any) -> str:
    if isinstance(photo, (str, os.PathLike)):
        return str(photo)
    return f"picture of {len(photo):,} bytes" if isinstance(photo, bytes) else "picture"


def _decode(data: bytes, name: str, needed_side: int | None) -> np.ndarray:
    """Decode a file within the limits; raise ImageError for one outside them, and Pillow's errors for damage."""
    work = decoding_work.estimate(data, name)
    work.check((0, 0), name)  # Pillow unpacks the chunks of a PNG when it opens it
    image = _open(data, name)
    size = image.size
    _check_size(size, name, MAX_WEBP_PIXELS if image.format == "WEBP" else MAX_PIXELS)
    work.check(size, name)
    _draft(image, needed_side)
    with SHARED.reserved(work.memory_bytes(size) + _needed_bytes(image.size, needed_side)):
        return _to_upright_rgb(_load(image, data, needed_side), needed_side, name)


def _decode_heic(data: bytes, name: str, needed_side: int | None) -> np.ndarray:
    with contextlib.ExitStack() as stack:

        def check(size: tuple[int, int]) -> None:
            _check_size(size, name)
            stack.enter_context(SHARED.reserved(_needed_bytes(size, needed_side) + size[0] * size[1] * RASTER_BYTES))

        return _to_upright_rgb(photo_formats.open_heic(data, name, check), needed_side, name)


def _to_upright_rgb(image: Image.Image, needed_side: int | None, name: str) -> np.ndarray:
    turned, profile = orientation.orientation_of(image), colour_profile.profile_of(image)
    image = _reduce_bands(image, _reduction(image.size, needed_side), name)
    image = colour_profile.to_srgb(image, profile)
    return np.asarray(orientation.turn_upright(image, turned))


def _open(data: bytes, name: str) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        found = photo_formats.describe_unreadable(data)
        raise ImageError(f"{name}: {found}; expected one of {', '.join(FORMATS)}.") from error


def _load(image: Image.Image, data: bytes, needed_side: int | None) -> Image.Image:
    """Decode an open picture; a JPEG that only lacks its end is completed."""

    def decode(completed: bytes) -> Image.Image:
        picture = Image.open(io.BytesIO(completed), formats=FORMATS)
        _draft(picture, needed_side)
        picture.load()
        return picture

    try:
        image.load()
        return image
    except OSError:
        whole = photo_formats.complete_jpeg(data, decode) if photo_formats.lacks_end(data) else None
        if whole is None:
            raise
        return whole


def _draft(image: Image.Image, needed_side: int | None) -> None:
    """Reduce a JPEG that is not decoded yet to a size that suffices."""
    if needed_side:
        image.draft("RGB", _draft_size(image.size, needed_side))


def _needed_bytes(size: tuple[int, int], needed_side: int | None) -> int:
    """Return the memory for a decoded picture of (W, H) px and its conversion."""
    pixels = size[0] * size[1]
    result = pixels // _reduction(size, needed_side) ** 2
    return pixels * RASTER_BYTES + min(pixels, BAND_PIXELS) * _BAND_BYTES + result * _RESULT_BYTES


def _reduction(size: tuple[int, int], needed_side: int | None) -> int:
    """Return the factor by which a picture of (W, H) px may be reduced."""
    return max(1, min(size) // needed_side) if needed_side else 1


def _read_encoded(photo: Any, name: str) -> bytes:
    """Return the encoded bytes of a path, bytes or a stream; leave a stream where it was."""
    if isinstance(photo, str) and _URL.match(photo):
        raise ImageError(f"{photo}: a URL, and photos are not fetched; download it, and give its bytes.")
    if isinstance(photo, (str, os.PathLike)):
        data = read_bytes(Path(photo))
    elif isinstance(photo, (bytes, bytearray, memoryview)):
        data = bytes(photo)
    else:
        data = _read_stream(getattr(photo, "file", photo))  # web frameworks wrap the stream of an upload
    if len(data) > MAX_BYTES:
        raise ImageError(f"{name}: {len(data):,} bytes; at most {MAX_BYTES:,} are read, save it smaller.")
    return data


def _read_stream(stream: Any) -> bytes:
    read = getattr(stream, "read", None)
    if read is None:
        raise ImageError(
            f"{type(stream).__name__}: not a photo; expected a path, encoded bytes, a binary stream, a PIL image or an "
            "array (H, W, 3) of uint8."
        )
    start = stream.tell() if hasattr(stream, "seekable") and stream.seekable() else None
    parts: list[bytes] = []
    while sum(map(len, parts)) <= MAX_BYTES and (part := read(MAX_BYTES + 1)):
        if inspect.isawaitable(part):
            getattr(part, "close", lambda: None)()
            raise ImageError(f"{type(stream).__name__}: its read() is asynchronous; give `await photo.read()`.")
        if not isinstance(part, bytes):
            raise ImageError(f"{type(stream).__name__}: reads {type(part).__name__}; open the photo in binary mode.")
        parts.append(part)
    if start is not None:
        stream.seek(start)
    return b"".join(parts)


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a file without blocking; a named pipe would block until it has a writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _draft_size(size: tuple[int, int], needed_side: int) -> tuple[int, int]:
    """Return the size in px, of the same aspect ratio, whose shorter side is `needed_side`."""
    scale = needed_side / min(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _check_size(size: tuple[int, int], name: str, most: int = MAX_PIXELS) -> None:
    width, height = size
    if width * height > most:
        raise ImageError(f"{name}: {width}x{height} px; at most {most:,} pixels are read, save it smaller.")
    if max(size) > MAX_SIDE:
        raise ImageError(f"{name}: {width}x{height} px; at most {MAX_SIDE:,} px a side are read, save it smaller.")
    if min(size) < MIN_SIDE:
        raise ImageError(f"{name}: {width}x{height} px; at least {MIN_SIDE} px a side are needed, take it from closer.")


def _check_array(array: np.ndarray) -> np.ndarray:
    """Return an (H, W, 3) uint8 array, contiguous; raise ImageError for any other, or for a wrong size."""
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise ImageError(f"array: {array.dtype} of shape {array.shape}; expected uint8 of shape (H, W, 3), RGB.")
    _check_size((array.shape[1], array.shape[0]), "array")
    return np.ascontiguousarray(array)


def _reduce_bands(image: Image.Image, factor: int, name: str) -> Image.Image:
    """Convert to RGB and average blocks of `factor` x `factor` pixels.

    It works band by band, because a small device has no memory for whole copies.
    """
    width, height = image.size
    rows = max(1, BAND_PIXELS // (width * factor)) * factor
    reduced = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    for top in range(0, height, rows):
        band = _flatten(image.crop((0, top, width, min(top + rows, height))), name)
        reduced.paste(band.reduce(factor), (0, top // factor))
    return reduced


def _flatten(image: Image.Image, name: str) -> Image.Image:
    """Convert any mode to RGB with transparent parts white; raise ImageError for floating-point pixels."""
    if image.mode == "F":
        raise ImageError(f"{name}: floating-point pixels; save it as 8-bit RGB.")
    if image.mode.startswith("I"):  # 16 bits; Pillow's own conversion would clip the values
        image = Image.fromarray((np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, (*WHITE, 255)), image).convert("RGB")
    return image.convert("RGB")
