"""Pictures as phones, cameras and web shops make them."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgesearch import ImageError
from edgesearch.images import image, photo_formats

from .test_image import encoded

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)


def scene(width: int = 200, height: int = 160) -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}, {"subsampling": 0}])
@pytest.mark.parametrize("missing", [1, 2])
def test_a_jpeg_without_its_last_marker_is_whole(options: dict[str, object], missing: int) -> None:
    data = encoded(scene(), "JPEG", **options)
    for tail in (b"", bytes(100)):  # cameras pad with zeros
        for side in (None, 64):
            assert np.array_equal(image.read(data[:-missing] + tail, side), image.read(data, side))


@pytest.mark.parametrize("options", [{}, {"restart_marker_rows": 1}])
def test_a_jpeg_without_some_of_its_pixels_is_damaged(options: dict[str, object]) -> None:
    data = encoded(scene(), "JPEG", **options)
    body = data.index(b"\xff\xda") + 14
    restarts = [at for at in range(body, len(data)) if data[at] == 0xFF and 0xD0 <= data[at + 1] <= 0xD7]
    for end in (len(data) // 2, len(data) - 40, len(data) - 400, *restarts[::4]):
        with pytest.raises(ImageError, match="damaged or cut off"):
            image.read(data[:end])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (HEIC, r"HEIC, as iPhones take pictures; pip install edgesearch\[heic\], or save it as JPEG"),
        (HEIC.replace(b"ftypheic", b"ftypmif1"), "HEIC"),
        (HEIC.replace(b"heic", b"avif"), "AVIF; save it as JPEG"),
        (HEIC.replace(b"heic", b"mp42").replace(b"mif1", b"isom"), "a video"),
        (b"\n<!DOCTYPE html><html>404", "a web page, no picture; check its address"),
        (b"<?xml version='1.0'?><svg/>", "SVG"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"\xff\x0a" + bytes(9), "JPEG XL"),
        (bytes(3), "no picture, or of an unknown format"),
    ],
)
def test_what_cannot_be_read_is_named(data: bytes, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    with pytest.raises(ImageError, match=says):
        image.read(data)


def test_heic_is_read_upright_in_srgb() -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    picture = scene(160, 96)
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    out = io.BytesIO()
    pillow_heif.from_pillow(picture).save(out, quality=90, exif=exif.tobytes())
    pixels = image.read(out.getvalue())
    expected = np.asarray(picture.transpose(Image.Transpose.ROTATE_270))
    assert np.abs(pixels.astype(int) - expected).mean() < 8
    with pytest.raises(ImageError, match="damaged or cut off"):
        image.read(out.getvalue()[: len(out.getvalue()) // 2])
    assert photo_formats.is_heic(out.getvalue())


def test_streams_and_buffers_are_photos(tmp_path: Path) -> None:
    data = encoded(scene())
    (tmp_path / "a.png").write_bytes(data)

    class Upload:
        file = io.BytesIO(data)

    expected = np.asarray(scene())
    with open(tmp_path / "a.png", "rb") as file:
        for photo in (io.BytesIO(data), file, Upload(), bytearray(data), memoryview(data)):
            for _ in range(2):  # a stream stays where it was
                assert np.array_equal(image.read(photo), expected)
    flipped = image.read(expected[::-1, ::2])
    assert flipped.flags.c_contiguous
    assert np.array_equal(flipped, expected[::-1, ::2])
    for photo, says in (
        (5, "int: not a photo; expected a path"),
        (io.StringIO("x"), "reads str; open the photo in bin"),
    ):
        with pytest.raises(ImageError, match=says):
            image.read(photo)  # type: ignore[arg-type]


def test_a_jpeg_that_lacks_only_its_end_marker_is_noticed() -> None:
    small, out = io.BytesIO(), io.BytesIO()
    scene(64, 48).save(small, "JPEG")
    exif = Image.Exif()
    exif[0x010E] = "a description"
    scene().save(out, "JPEG", exif=exif)
    data, thumbnail = out.getvalue(), small.getvalue()
    inside = b"\xff\xd8\xff\xe2" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail + data[2:]
    for whole in (data, inside, data + b"MotionPhoto" + bytes(range(256)), data + thumbnail[:-2]):
        assert not photo_formats.lacks_end(whole)
    for cut in (data[:-2], data[:-1], inside[:-2], data[:-2] + b"\xff\xff", data[: len(data) // 2]):
        assert photo_formats.lacks_end(cut)
    for other in (b"", b"\xff\xd8", b"\xff\xd8\xff", data[:30], encoded(scene())):
        assert not photo_formats.lacks_end(other)
    assert np.array_equal(image.read(inside[:-2]), image.read(data))
