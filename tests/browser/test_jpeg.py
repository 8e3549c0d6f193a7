"""The browser decodes JPEGs to the pixels that Python gets, and refuses those that Python refuses."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgesearch._util.hashing import sha256
from edgesearch.errors import ImageError
from edgesearch.images import image
from tests.browser.test_engine import run_node

WIDTH, HEIGHT = 1501, 1103  # px; no multiple of anything that JPEG has
SIDE, LARGE_SIDE = 320, 720  # px that the network and the reader of barcodes need
KINDS: dict[str, dict[str, Any]] = {
    "4:4:4": {"subsampling": 0},
    "4:2:2": {"subsampling": 1},
    "4:2:0": {"subsampling": 2},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_rows": 1},
}


@pytest.mark.slow
def test_pixels_are_those_of_python(jpeg_decoder: Path, tmp_path: Path) -> None:
    files = make_files()
    for name, content in files.items():
        (tmp_path / f"{name}.jpg").write_bytes(content)
    cases = [{"name": name, "side": side} | _decode(files[name], side) for name in files for side in (SIDE, LARGE_SIDE)]
    assert sum("sha256" in case for case in cases) > len(cases) // 2
    (tmp_path / "cases.json").write_text(json.dumps(cases), encoding="utf-8")
    run_node(Path(__file__).with_name("jpeg.test.mjs"), WASM=jpeg_decoder, CASES=tmp_path)


def make_files() -> dict[str, bytes]:
    """Return JPEGs of every kind, turned in every way, and cut off, by their names."""
    drawn = _draw()
    files = {name.replace(":", ""): _encode(drawn, **options) for name, options in KINDS.items()}
    files |= {mode: _encode(drawn.convert(mode)) for mode in ("L", "CMYK")}
    small = drawn.resize((699, 421))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        files[f"turned{orientation}"] = _encode(small, exif=exif)
    for kind in ("420", "progressive"):
        whole = files[kind]
        for kept in (3, 700, len(whole) // 2, len(whole) - 2, len(whole) - 1):
            files[f"{kind}-first{kept}"] = whole[:kept]
    return files


def _draw() -> Image.Image:
    """Return a picture with soft and hard edges and noise."""
    y, x, c = np.ogrid[:HEIGHT, :WIDTH, :3]
    shapes = (x * 2 + y + c * 70 + (x // 37 * (y // 23) * 37) % 101) % 256
    noise = np.random.default_rng(0).integers(-20, 20, shapes.shape)
    return Image.fromarray((shapes + noise).clip(0, 255).astype(np.uint8))


def _encode(picture: Image.Image, **options: Any) -> bytes:
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=85, **options)
    return encoded.getvalue()


def _decode(content: bytes, side: int) -> dict[str, Any]:
    try:
        pixels = image.read(content, side)
    except ImageError:
        return {"refused": True}
    return {"shape": pixels.shape[:2], "sha256": sha256(np.ascontiguousarray(pixels).tobytes())}
