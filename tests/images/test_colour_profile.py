"""Pictures of other colour spaces look like their twins in sRGB."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms, features

from edgesearch.images import image

from .test_image import encoded

pytestmark = pytest.mark.skipif(not features.check("littlecms2"), reason="Pillow has no LittleCMS")
P3 = [(0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)]
ADOBE = [(0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)]
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def profile(primaries: list[tuple[float, float, float]], gamma: float) -> bytes:
    """Return an ICC profile of these primaries (XYZ, D50) and gamma."""

    def fixed(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, int(gamma * 256)) + b"\0\0"
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"wide\0" + bytes(78 + 1)
    tags = [(b"desc", text), (b"cprt", b"text\0\0\0\0none\0\0\0\0")]
    tags += [(b"wtpt", b"XYZ \0\0\0\0" + b"".join(map(fixed, (0.9642, 1, 0.8249))))]
    for name, values in zip("rgb", primaries, strict=True):
        tags += [
            (f"{name}XYZ".encode(), b"XYZ \0\0\0\0" + b"".join(map(fixed, values))),
            (f"{name}TRC".encode(), curve),
        ]
    head, body = struct.pack(">I", len(tags)), b""
    for tag, value in tags:
        head += tag + struct.pack(">II", 132 + 12 * len(tags) + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    start = struct.pack(">I4sI", 128 + len(head) + len(body), bytes(4), 0x02100000) + b"mntrRGB XYZ "
    start += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    start += b"".join(map(fixed, (0.9642, 1, 0.8249)))
    return start + bytes(128 - len(start)) + head + body


def scene() -> Image.Image:
    picture = Image.new("RGB", (60, 40), (230, 30, 30))
    picture.paste((40, 160, 60), (20, 0, 40, 40))
    picture.paste((250, 250, 250), (40, 0, 60, 40))
    return picture


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP"])
@pytest.mark.parametrize("data", [profile(P3, 2.2), profile(ADOBE, 2.2)])
def test_a_wide_gamut_picture_looks_like_its_srgb_twin(kind: str, data: bytes) -> None:
    wide = ImageCms.profileToProfile(scene(), SRGB, ImageCms.ImageCmsProfile(io.BytesIO(data)), renderingIntent=1)
    options = {"quality": 100} if kind in ("JPEG", "WEBP") else {}
    written = encoded(wide, kind, icc_profile=data, **options)
    for photo, side in ((written, None), (written, 20), (Image.open(io.BytesIO(written)), None)):
        pixels = image.read(photo, side)
        expected = np.asarray(scene().resize(pixels.shape[1::-1], Image.Resampling.NEAREST))
        step = pixels.shape[1] // 6
        for x in (step, 3 * step, 5 * step):
            assert np.abs(pixels[5, x].astype(int) - expected[5, x]).max() <= 6
    clear = wide.convert("RGBA")
    clear.putalpha(0)
    assert (image.read(encoded(clear, icc_profile=data)) >= 254).all()


@pytest.mark.parametrize("data", [SRGB.tobytes(), b"", b"no profile", profile(P3, 2.2)[:150], bytes(5000)])
def test_srgb_and_damaged_profiles_change_no_pixel(data: bytes) -> None:
    picture = scene()
    assert np.array_equal(image.read(encoded(picture, icc_profile=data)), np.asarray(picture))
    grey = picture.convert("L")
    assert np.array_equal(image.read(encoded(grey, icc_profile=profile(P3, 2.2)))[..., 0], np.asarray(grey))
