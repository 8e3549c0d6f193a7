"""Estimate how long a picture takes to decode, and how much memory, before it is decoded.

Pillow's decoders cannot be interrupted, and a small file can keep one busy for minutes. So the file is walked without
decoding it: its scans, chunks, blocks or tags are counted, and what would take longer than `MAX_WORK_S` is refused. The
factors are upper bounds of what Pillow took on one core of an AMD EPYC: of hostile pictures of 21 kinds,
none that took over a millisecond took more than 0.97 of its estimate. `tools/robustness/pictures` makes them.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import ImageError
from . import jpeg_scans, photo_formats, tiff_directory

MAX_WORK_S = 2.5
MAX_BLOCKS = 50_000  # of a PNG or GIF: each costs Pillow some microseconds
RASTER_BYTES = 4  # a pixel, in most of Pillow's modes
_BLOCK_S = 10e-6  # Pillow's time for a chunk, block, tag or strip
_COMMENT_S = 4e-13  # by squared bytes: older Pillows copy a comment anew for each of its blocks
_PACKED_CHUNK_S = 3e-3  # its time to unpack one that holds a megabyte, the most that it accepts
_PNG_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_BITS, _TIFF_COMPRESSION, _TIFF_SAMPLES = 256, 257, 258, 259, 277
_TIFF_TILE_WIDTH, _TIFF_TILE_HEIGHT = 322, 323
_TIFF_PARTS = ((273, 279), (324, 325))  # offsets and sizes of strips, and of tiles
_TIFF_JPEG = 7
_TIFF_COMPRESSIONS = (1, 2, 3, 4, 5, _TIFF_JPEG, 8, 32773, 32946)  # none, fax, LZW, JPEG, deflate, PackBits
_BMP_RUN_LENGTHS = (1, 2)
_GIF_EXTENSION = 0x21


@dataclass(frozen=True)
class Work:
    """Hold what decoding a picture takes.

    Attributes:
        fixed_s: seconds, whatever its size in pixels.
        pixel_ns: nanoseconds for each pixel.
        fixed_bytes: memory besides that of its pixels.
        pixel_bytes: memory for each pixel, besides the decoded picture.
    """

    fixed_s: float = 0.0
    pixel_ns: float = 0.0
    fixed_bytes: int = 0
    pixel_bytes: float = 0.0

    def check(self, size: tuple[int, int], name: str) -> None:
        """Raise ImageError if a picture of this width and height takes longer than `MAX_WORK_S`."""
        needed_s = self.fixed_s + self.pixel_ns * size[0] * size[1] / 1e9
        if needed_s > MAX_WORK_S:
            raise ImageError(
                f"{name}: decoding it takes about {needed_s:.1f} s, and at most {MAX_WORK_S} s are spent on a picture; "
                "save it anew as JPEG."
            )

    def memory_bytes(self, size: tuple[int, int]) -> int:
        """Return the memory for a picture of this width and height, besides the decoded picture."""
        return self.fixed_bytes + round(self.pixel_bytes * size[0] * size[1])


def estimate(data: bytes, name: str) -> Work:
    """Walk an encoded picture.

    Args:
        data: the file; of an unknown format, nothing is estimated, because Pillow refuses it.
        name: of the picture, for error messages.
    Raises:
        ImageError: it has more parts than any camera or program writes.
    """
    walk = next((walk for signature, walk in _FORMATS if signature.match(data)), None)
    return walk(data, name) if walk else Work()


def _walk_jpeg(data: bytes, name: str) -> Work:
    scans = jpeg_scans.count_scans(data, name)
    for directory in scans.directories:
        tiff_directory.read_directory(directory, name)
    times = 3 if photo_formats.lacks_end(data) else 1  # `complete_jpeg` decodes it twice more
    if not scans.coefficient_bytes:
        return Work(times * len(data) * 15e-9, times * 5, pixel_bytes=(times - 1) * RASTER_BYTES)
    fixed_s = times * (scans.end * 35e-9 + scans.pixels * 1.2e-9)
    return Work(fixed_s, times * 8, scans.coefficient_bytes, (times - 1) * RASTER_BYTES)


def _walk_png(data: bytes, name: str) -> Work:
    seconds, sample_bytes, chunks, position = 0.0, 0.0, 0, 8
    while position + 8 <= len(data):
        size, kind = int.from_bytes(data[position : position + 4], "big"), data[position + 4 : position + 8]
        if kind == b"IHDR":
            header = data[position + 8 : position + 21].ljust(13, b"\0")
            sample_bytes = max(sample_bytes, max(1, header[8] / 8) * _PNG_SAMPLES.get(header[9], 4))
        chunks, position = chunks + 1, position + 12 + size
        seconds += _PACKED_CHUNK_S if kind in (b"iCCP", b"zTXt", b"iTXt") else _BLOCK_S
        _check_blocks(chunks, name)
        if kind == b"IEND":
            break
    return Work(seconds, 10 * sample_bytes)


def _walk_gif(data: bytes, name: str) -> Work:
    """Walk to the first frame; only that is decoded."""
    flags = data[10:11] or b"\0"
    position, blocks = 13 + (6 << (flags[0] & 7) if flags[0] & 128 else 0), 0  # behind the palette
    while data[position : position + 1] not in (b",", b";", b""):
        is_extension = data[position] == _GIF_EXTENSION
        position, blocks = position + 1 + is_extension, blocks + 1
        while is_extension and position < len(data) and data[position]:
            position, blocks = position + 1 + data[position], blocks + 1
            _check_blocks(blocks, name)
        position += is_extension
        _check_blocks(blocks, name)
    return Work(blocks * _BLOCK_S + position**2 * _COMMENT_S, 15)


def _walk_webp(data: bytes, name: str) -> Work:
    """Walk all chunks; of an animation, only the first frame is decoded."""
    seconds, kinds, chunks, position = 0.0, set[bytes](), 0, 12
    while position + 8 <= len(data):
        kind, size = data[position : position + 4], int.from_bytes(data[position + 4 : position + 8], "little")
        chunks += 1
        _check_blocks(chunks, name)
        if kind == b"ANMF" and kind not in kinds:
            position += 24  # into the frame
        else:
            seconds += size * (66e-9 if kind == b"VP8 " else 10e-9)
            position += 8 + size + size % 2
        kinds.add(kind)
    pixel_ns = 5 + 20 * (b"VP8 " in kinds) + 25 * (not kinds.isdisjoint((b"VP8L", b"ALPH")))
    return Work(seconds, pixel_ns, pixel_bytes=12)


def _walk_bmp(data: bytes, name: str) -> Work:
    if int.from_bytes(data[30:34], "little") in _BMP_RUN_LENGTHS:  # which Pillow decodes in Python
        return Work(len(data) * 0.5e-6, 150, pixel_bytes=4)
    return Work(pixel_ns=5)


def _walk_tiff(data: bytes, name: str) -> Work:
    directory = tiff_directory.read_directory(data, name)
    compression = directory.integer(_TIFF_COMPRESSION, 1)
    if compression not in _TIFF_COMPRESSIONS:
        raise ImageError(f"{name}: a TIFF with compression {compression}, which is not read; save it anew as JPEG.")
    width, height = directory.integer(_TIFF_WIDTH), directory.integer(_TIFF_HEIGHT)
    across = directory.integer(_TIFF_TILE_WIDTH) or max(1, width)
    down = directory.integer(_TIFF_TILE_HEIGHT) or max(1, height)
    pixels = -(-width // across) * across * -(-height // down) * down  # tiles reach beyond the picture
    pixel_bytes = directory.integer(_TIFF_SAMPLES, 1) * max(directory.integers(_TIFF_BITS) or [1]) / 8
    seconds = directory.numbers * _BLOCK_S + pixels * max(1, pixel_bytes) * 8e-9
    if compression == _TIFF_JPEG:
        seconds += len(data) * 15e-9 + _count_scanned_pixels(data, directory, name) * 1.2e-9
    return Work(seconds, 5, round(min(across * down, pixels) * max(1, pixel_bytes)))


def _count_scanned_pixels(data: bytes, directory: tiff_directory.Directory, name: str) -> int:
    """Return the pixels that the scans of all JPEGs in a TIFF go through."""
    parts = [zip(*map(directory.integers, tags), strict=False) for tags in _TIFF_PARTS]
    return sum(jpeg_scans.count_scans(data[at : at + size], name).pixels for part in parts for at, size in part)


def _refuse_tiff(data: bytes, name: str) -> Work:
    raise ImageError(f"{name}: a damaged TIFF (its first bytes contradict each other); save it anew as JPEG.")


def _check_blocks(count: int, name: str) -> None:
    if count > MAX_BLOCKS:
        raise ImageError(f"{name}: over {MAX_BLOCKS:,} blocks in a picture; save it anew as JPEG.")


_FORMATS: tuple[tuple[re.Pattern[bytes], Callable[[bytes, str], Work]], ...] = (
    (re.compile(rb"\xff\xd8\xff"), _walk_jpeg),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), _walk_png),
    (re.compile(rb"GIF8[79]a"), _walk_gif),
    (re.compile(rb"RIFF....WEBP", re.S), _walk_webp),
    (re.compile(rb"BM"), _walk_bmp),
    (re.compile(rb"II[\x2a\x2b]\0|MM\0[\x2a\x2b]"), _walk_tiff),
    (re.compile(rb"II\0[\x2a\x2b]|MM[\x2a\x2b]\0"), _refuse_tiff),
)
