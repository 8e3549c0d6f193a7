"""Check that pictures of every mode and rotation are read, and that all others fail with one clear sentence."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgesearch import ImageError
from edgesearch.images import image

RED, WHITE = (200, 30, 40), (255, 255, 255)


def encoded(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def red(mode: str = "RGB") -> Image.Image:
    return Image.new("RGB", (40, 30), RED).convert(mode)


@pytest.mark.parametrize(
    "data",
    [
        encoded(red()),
        encoded(red(), "WEBP", lossless=True),
        encoded(red(), "BMP"),
        encoded(red(), "TIFF"),
        encoded(red().quantize(4)),
        encoded(red().quantize(4), "GIF"),
        encoded(red("RGBA")),
        encoded(red(), "JPEG", quality=95),
        encoded(red("CMYK"), "JPEG", quality=95),
        encoded(red("CMYK"), "TIFF"),
    ],
)
def test_every_mode_becomes_rgb(data: bytes) -> None:
    pixels = image.read(data)
    assert pixels.shape == (30, 40, 3)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels[15, 20].astype(int) - RED).max() <= 12  # JPEG, palette and CMYK round


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    pixels = image.read(encoded(Image.fromarray(ramp)))
    assert np.array_equal(pixels[..., 0], (ramp >> 8).astype(np.uint8))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_on_white(mode: str) -> None:
    clear = Image.new("RGBA", (20, 20), (*RED, 0)).convert(mode)
    assert (image.read(encoded(clear))[10, 10] == WHITE).all()


def test_palette_transparency_is_laid_on_white() -> None:
    picture = Image.new("P", (20, 20), 0)
    picture.putpalette([*RED])
    assert (image.read(encoded(picture, transparency=0))[10, 10] == WHITE).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    upright = Image.new("RGB", (40, 24), WHITE)
    upright.paste(RED, (0, 0, 20, 12))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the transposition a camera would have stored
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = image.read(encoded(stored, exif=exif))
    assert pixels.shape == (24, 40, 3)
    assert (pixels[3, 3] == RED).all()
    assert (pixels[20, 36] == WHITE).all()


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_is_ignored() -> None:
    data = encoded(red(), "JPEG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff")
    assert image.read(data).shape == (30, 40, 3)


def test_the_first_frame_of_an_animation_is_read() -> None:
    frames = [Image.new("RGB", (20, 20), color) for color in (RED, WHITE)]
    for kind in ("GIF", "WEBP", "PNG"):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        assert np.abs(image.read(data)[10, 10].astype(int) - RED).max() <= 12


def test_a_large_jpeg_is_decoded_at_reduced_scale() -> None:
    data = encoded(Image.new("RGB", (2000, 1600), RED), "JPEG")
    assert image.read(data, needed_side=256).shape[:2] == (400, 500)
    assert image.read(data).shape[:2] == (1600, 2000)


@pytest.mark.parametrize("orientation", [1, 6])
def test_other_large_pictures_are_reduced_and_stay_upright(orientation: int) -> None:
    wide = Image.new("RGB", (1200, 800), WHITE)
    wide.paste(RED, (0, 0, 300, 800))
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = image.read(encoded(wide, exif=exif), needed_side=200)
    assert pixels.shape[:2] == ((200, 300) if orientation == 1 else (300, 200))
    assert (pixels[5, 5] == RED).all()  # turned clockwise, the red left becomes the top
    assert (pixels[-5, -5] == WHITE).all()


def test_arrays_bytes_paths_and_pil_images_give_the_same_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    red().save(path)
    expected = np.asarray(red())
    for photo in (path, str(path), path.read_bytes(), red(), expected):
        assert np.array_equal(image.read(photo), expected)


def huge_png(width: int, height: int) -> bytes:
    """Return a well-formed PNG of a few bytes whose header claims an enormous size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("photo", "says"),
    [
        (b"", "empty"),
        (b"hello, I am a text", "no picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no picture"),
        (encoded(red())[:60], "damaged or cut off"),
        (encoded(red(), "JPEG")[:-200], "damaged or cut off"),
        (encoded(Image.new("RGB", (2000, 2000)))[:-9000], "damaged or cut off"),
        (huge_png(9500, 9400), "at most 89,000,000 pixels"),
        (huge_png(60000, 60000), "far too large; at most 89,000,000 pixels are read"),
        (encoded(Image.new("RGB", (400, 4))), "at least 8 px"),
        (encoded(Image.new("F", (40, 40)), "TIFF"), "floating-point"),
        (np.zeros((20, 20), np.uint8), "expected uint8 of shape"),
        (np.zeros((20, 20, 3), np.float32), "expected uint8 of shape"),
        (np.zeros((2, 20, 3), np.uint8), "at least 8 px"),
    ],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_bad_pictures_fail_with_one_sentence(photo: image.Photo, says: str) -> None:
    with pytest.raises(ImageError, match=says) as caught:
        image.read(photo)
    assert "\n" not in str(caught.value)


def test_a_file_above_the_size_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "MAX_BYTES", 50)
    path = tmp_path / "a.png"
    path.write_bytes(encoded(red()))
    with pytest.raises(ImageError, match="at most 50"):
        image.read(path)


def test_paths_that_are_no_files_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, says in (
        ("missing.jpg", "no such file"),
        ("", "not a file|cannot be read"),
        ("pipe", "not a file"),
    ):
        with pytest.raises(ImageError, match=says):
            image.read(tmp_path / name)


def test_a_square_is_cut_and_resized() -> None:
    pixels = np.zeros((100, 300, 3), np.uint8)
    pixels[:, 100:200] = 255
    cut = image.crop_square(pixels, (106.25, 6.25, 87.5), 224)
    assert cut.shape == (224, 224, 3)
    assert (cut == 255).all()


def test_a_square_beyond_the_picture_has_the_colour_of_its_border() -> None:
    pixels = np.full((10, 30, 3), RED, np.uint8)
    pixels[4:6, 10:20] = 0
    cut = image.crop_square(pixels, (0, -10, 30), 30)
    assert (cut[:10] == RED).all()
    assert (cut[20:] == RED).all()
    assert (cut[14:16, 11:19] == 0).all()


def test_a_thumbnail_is_a_small_jpeg() -> None:
    small = Image.open(io.BytesIO(image.thumbnail(np.zeros((300, 600, 3), np.uint8), 100)))
    assert (small.format, small.size) == ("JPEG", (100, 50))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_large_pictures_of_every_mode_are_reduced(mode: str) -> None:
    assert image.read(encoded(Image.new(mode, (900, 600))), needed_side=100).shape == (100, 150, 3)


def test_a_large_picture_is_the_same_in_one_band_or_many(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (301, 407, 4), np.uint8)
    data = encoded(Image.fromarray(noise))
    expected = image.read(data, needed_side=100)
    monkeypatch.setattr(image, "BAND_PIXELS", 5000)
    assert np.array_equal(image.read(data, needed_side=100), expected)


def test_pictures_that_would_fill_the_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImageError, match="20,000 px a side"):
        image.read(encoded(Image.new("L", (image.MAX_SIDE + 1, 10))))
    monkeypatch.setattr(image, "MAX_WEBP_PIXELS", 99)
    with pytest.raises(ImageError, match="at most 99 pixels"):
        image.read(encoded(red(), "WEBP"))


@pytest.mark.parametrize("side", [100, 320, 480, 481, 2000])
def test_reducing_equals_decoding_a_jpeg_at_reduced_scale(side: int) -> None:
    smooth = np.linspace(0, 255, 960 * 1280).reshape(960, 1280, 1).repeat(3, 2).astype(np.uint8)
    photo = encoded(Image.fromarray(smooth), "JPEG", quality=95)
    small, decoded = image.reduce_to(image.read(photo, 720), side), image.read(photo, side)
    assert small.shape == decoded.shape
    assert np.abs(small.astype(int) - decoded).mean() < 1  # of 255: the two methods round differently
