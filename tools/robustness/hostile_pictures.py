"""Make pictures that are built to cost their reader time or memory, of every format that is read."""

import io
import struct
import zlib
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image, ImageFile

Make = Callable[[np.random.Generator], bytes]
SCAN, FRAME, END = b"\xff\xda", b"\xff\xc0", b"\xff\xd9"
PATCH = 512  # px; noise is repeated from a patch of this size
ImageFile.MAXBLOCK = 1 << 28  # so that Pillow can write noise as a progressive JPEG


def many_scans(rng: np.random.Generator) -> bytes:
    """Return a progressive JPEG whose last scan is repeated."""
    data = encode(_flat(rng, 6000), "JPEG", progressive=True, subsampling=0)
    head, _, last = data.rpartition(SCAN)
    return head + (SCAN + last.removesuffix(END)) * int(10 ** rng.uniform(0.5, 3.5)) + END


def many_scans_without_end(rng: np.random.Generator) -> bytes:
    """Return the same without its end marker, so that it is decoded again to complete it."""
    return many_scans(rng).removesuffix(END)


def noisy_progressive(rng: np.random.Generator) -> bytes:
    """Return a progressive JPEG of noise, which takes longest a byte."""
    return encode(_noise(rng, 4000), "JPEG", progressive=True, quality=int(rng.integers(60, 100)), subsampling=0)


def unfinished_progressive(rng: np.random.Generator) -> bytes:
    """Return a progressive JPEG with its first scans only, which libjpeg smooths."""
    parts = encode(_noise(rng, 5000), "JPEG", progressive=True, quality=50).split(SCAN)
    return SCAN.join(parts[: int(rng.integers(2, len(parts)))]) + END


def component_scans(rng: np.random.Generator) -> bytes:
    """Return a JPEG without progression whose first component is sent again and again."""
    data = encode(_flat(rng, 4000).convert("L"), "JPEG")
    frame = data.index(FRAME)
    width_height = data[frame + 5 : frame + 9]
    components = b"".join(bytes((number, 0x11, 0)) for number in (1, 2, 3))
    colours = FRAME + struct.pack(">HB", 17, 8) + width_height + b"\3" + components
    head, _, scan = (data[:frame] + colours + data[frame + 13 :]).rpartition(SCAN)
    return head + (SCAN + scan.removesuffix(END)) * int(10 ** rng.uniform(0.5, 3)) + END


def noisy_baseline(rng: np.random.Generator) -> bytes:
    """Return a large JPEG of noise."""
    return encode(_noise(rng, 5500), "JPEG", quality=int(rng.integers(80, 96)), subsampling=0)


def many_segments(rng: np.random.Generator) -> bytes:
    """Return a JPEG with millions of empty segments, fill bytes, blocks or other bytes before its picture."""
    data = encode(_flat(rng, 100), "JPEG")
    photoshop = b"Photoshop 3.0\0" + b"8BIM".ljust(12, b"\0") * 5400
    full = [b"\xff" + struct.pack(">BH", 0xE1, 65_535) + b"Exif\0\0".ljust(65_533, b"\0")]
    full += [b"\xff" + struct.pack(">BH", 0xED, len(photoshop) + 2) + photoshop]
    filler = (b"\xff\xfe\0\2", b"\xff", b"\xff\1", b"\0", *full)[rng.integers(6)]
    return data[:2] + _repeated(filler, 10 ** rng.uniform(3, 7)) + data[2:]


def exif_of_everything(rng: np.random.Generator) -> bytes:
    """Return a JPEG whose EXIF, in many segments, has thousands of tags that each name all of it."""
    exif = _directory(int(rng.integers(100, 65_000)), int(rng.integers(1, 20_000_000)))
    parts = [exif[start : start + 65_000] for start in range(0, len(exif), 65_000)]
    segments = b"".join(b"\xff\xe1" + struct.pack(">H", len(part) + 8) + b"Exif\0\0" + part for part in parts)
    data = encode(_flat(rng, 100), "JPEG")
    return data[:2] + segments + data[2:]


def png_chunks(rng: np.random.Generator) -> bytes:
    """Return a PNG with very many chunks, or with packed ones."""
    packed = zlib.compress(bytes(1_000_000))
    kinds = ((b"teXt", b"a\0b"), (b"iCCP", b"a\0\0" + packed), (b"zTXt", b"a\0\0" + packed), (b"IDAT", b""))
    kind, content = kinds[rng.integers(4)]
    data = encode(_flat(rng, 100), "PNG")
    place = data.index(b"IDAT") - 4
    chunks = _chunk(kind, content) * int(10 ** rng.uniform(2, 5))
    return data[:place] + chunks + data[place:]


def png_pixels(rng: np.random.Generator) -> bytes:
    """Return a PNG of few bytes and very many, or very deep, pixels; some interlaced."""
    colour, samples = ((0, 1), (2, 3), (4, 2), (6, 4))[rng.integers(4)]
    depth, interlaced = int(rng.choice((8, 16))), int(rng.integers(2))
    width, height = _size(rng, 9300)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    line = bytes([rng.integers(5)]) + bytes(rng.integers(0, 256, width * samples * depth // 8, np.uint8))
    packer = zlib.compressobj(1)
    body = b"".join(packer.compress(line) for _ in range(height)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def png_noise(rng: np.random.Generator) -> bytes:
    """Return a PNG that is slow to unpack."""
    return encode(_noise(rng, 4500, smooth=True), "PNG", compress_level=1)


def gif_blocks(rng: np.random.Generator) -> bytes:
    """Return a GIF with very many comments, or other bytes, before its picture."""
    data = encode(_flat(rng, 100).quantize(4), "GIF")
    place = 13 + (6 << (data[10] & 7))
    long_comments = [b"!\xfe" + b"\xff" * 256 * blocks + b"\0" for blocks in (20, 40_000)]
    filler = (b"!\xfe\1a\0", *long_comments, b"\0", b"!\xff\0")[rng.integers(5)]
    return data[:place] + _repeated(filler, 10 ** rng.uniform(3, 6)) + data[place:]


def gif_pixels(rng: np.random.Generator) -> bytes:
    """Return a GIF of many pixels, even or noisy."""
    picture = (_noise if rng.integers(2) else _flat)(rng, 5000)
    return encode(picture.convert("L"), "GIF")


def webp_flat(rng: np.random.Generator) -> bytes:
    """Return a WebP of a few kilobytes and up to 40 megapixels."""
    picture = _flat(rng, 6300).convert(("RGB", "RGBA")[rng.integers(2)])
    return encode(picture, "WEBP", lossless=bool(rng.integers(2)), quality=0, method=0)


def webp_noise(rng: np.random.Generator) -> bytes:
    """Return a WebP of noise."""
    quality = int(rng.integers(50, 101))
    return encode(_noise(rng, 1800), "WEBP", lossless=not rng.integers(3), quality=quality, method=0)


def webp_frames(rng: np.random.Generator) -> bytes:
    """Return a WebP with very many frames."""
    still = encode(_flat(rng, 40).resize((16, 16)), "WEBP", lossless=True)[12:]
    frame = b"ANMF" + struct.pack("<I", 16 + len(still)) + bytes(6) + b"\x0f\0\0\x0f\0\0" + bytes(4) + still
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\2\0\0\0" + b"\x0f\0\0\x0f\0\0" + b"ANIM" + struct.pack("<I", 6)
    body += bytes(6) + frame * int(10 ** rng.uniform(3, 5.5))
    return b"RIFF" + struct.pack("<I", len(body)) + body


def bmp_runs(rng: np.random.Generator) -> bytes:
    """Return a BMP of run lengths, which Pillow decodes in Python."""
    width, height = _size(rng, 9300)
    kind = int(rng.integers(1, 3))
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8 // kind, kind, 0, 0, 0, 4, 0)
    run = (b"\1\0", b"\xff\0", b"\0\0", b"\0\2\xff\0", b"\0\2\1\1\0\0")[rng.integers(5)]
    runs = run * int(10 ** rng.uniform(2, 6.5))
    offset = 14 + len(header) + 16
    return b"BM" + struct.pack("<IHHI", offset + len(runs), 0, 0, offset) + header + bytes(range(16)) + runs


def tiff_pixels(rng: np.random.Generator) -> bytes:
    """Return a TIFF of many pixels in one of the compressions."""
    kind = ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "group4", "zstd")[rng.integers(7)]
    picture = (_noise if rng.integers(2) else _flat)(rng, 5500)
    return encode(picture.convert("1") if kind == "group4" else picture, "TIFF", compression=kind)


def tiff_tags(rng: np.random.Generator) -> bytes:
    """Return a TIFF whose tags name the whole file, or that has very many numbers in a tag."""
    if rng.integers(2):
        return _directory(int(rng.integers(100, 65_000)), int(rng.integers(1_000, 30_000_000)))
    numbers = int(10 ** rng.uniform(4, 7))
    tags = {256: (4, 1, 64), 257: (4, 1, 64), 258: (3, 1, 8), 262: (3, 1, 1), 273: (4, numbers, 200)}
    return _tiff(tags, 4 * numbers)


def tiff_tiles(rng: np.random.Generator) -> bytes:
    """Return a small TIFF in enormous or tiny tiles."""
    side, tile = (int(2 ** rng.uniform(6, 14)) // 16 * 16 for _ in range(2))
    count = (-(-side // tile)) ** 2
    tags = {256: (4, 1, side), 257: (4, 1, side), 258: (3, 1, 8), 259: (3, 1, 8), 262: (3, 1, 1), 277: (3, 1, 1)}
    tags |= {322: (4, 1, tile), 323: (4, 1, tile), 324: (4, count, 300), 325: (4, count, 300)}
    return _tiff(tags, 8 * count + 1000)


def damaged(rng: np.random.Generator) -> bytes:
    """Return a sound picture with wrong bytes in it."""
    kind = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")[rng.integers(6)]
    picture = _noise(rng, 600)
    data = bytearray(encode(picture.convert("P") if kind == "GIF" else picture, kind))
    for _ in range(int(rng.integers(1, 30))):
        data[int(rng.integers(2, min(len(data), 2000)))] = int(rng.integers(256))
    return bytes(data)


KINDS: Mapping[str, Make] = {
    make.__name__: make
    for make in (
        many_scans,
        many_scans_without_end,
        noisy_progressive,
        unfinished_progressive,
        component_scans,
        noisy_baseline,
        many_segments,
        exif_of_everything,
        png_chunks,
        png_pixels,
        png_noise,
        gif_blocks,
        gif_pixels,
        webp_flat,
        webp_noise,
        webp_frames,
        bmp_runs,
        tiff_pixels,
        tiff_tags,
        tiff_tiles,
        damaged,
    )
}


def encode(picture: Image.Image, kind: str, **options: object) -> bytes:
    """Return a picture as a file."""
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def _size(rng: np.random.Generator, most: int) -> tuple[int, int]:
    """Return a width and a height, up to `most` in geometric mean, and seldom small."""
    side, aspect = most * rng.uniform(0.1, 1) ** 0.5, 2 ** rng.uniform(-1, 1)
    return max(8, int(side * aspect)), max(8, int(side / aspect))


def _flat(rng: np.random.Generator, most: int) -> Image.Image:
    return Image.new("RGB", _size(rng, most), tuple(rng.integers(0, 256, 3).tolist()))


def _noise(rng: np.random.Generator, most: int, smooth: bool = False) -> Image.Image:
    width, height = _size(rng, most)
    patch = rng.integers(0, 256, (PATCH, PATCH, 3), dtype=np.uint8)
    if smooth:
        patch = np.asarray(Image.fromarray(patch[:64, :64]).resize((PATCH, PATCH), Image.Resampling.BICUBIC))
    tiles = np.tile(patch, (-(-height // PATCH), -(-width // PATCH), 1))
    return Image.fromarray(np.ascontiguousarray(tiles[:height, :width]))


def _repeated(filler: bytes, times: float) -> bytes:
    """Return a filler many times, but no more of it than a picture may have bytes."""
    return filler * min(int(times), 95_000_000 // len(filler))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _directory(tags: int, size: int) -> bytes:
    """Return a TIFF of `tags` tags, each of which names `size` bytes."""
    entries = b"".join(struct.pack("<HHII", number, 7, size, 8) for number in range(300, 300 + tags))
    return b"II*\0" + struct.pack("<IH", 8, tags) + entries + bytes(4 + size)


def _tiff(tags: Mapping[int, tuple[int, int, int]], size: int) -> bytes:
    entries = b"".join(struct.pack("<HHII", number, *tag) for number, tag in sorted(tags.items()))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + b"\x10\0\0\0" * (size // 4)
