"""Draw the surfaces under products and the walls behind them: wood, tiles, stone, cloth, metal."""

import numpy as np
from PIL import Image

from .products import Colour, mix, rgb

Size = tuple[int, int]  # width, height in pixels


def surface(size: Size, rng: np.random.Generator) -> Image.Image:
    """Draw a surface seen from above, RGB."""
    paint = (wood, tiles, stone, cloth, metal)[rng.integers(5)]
    return paint(size, rng)


def wall(size: Size, rng: np.random.Generator) -> Image.Image:
    """Draw the back of a shelf, RGB, at half resolution because it is out of focus."""
    paint = (stone, metal, metal, wood, tiles)[rng.integers(5)]
    half = (size[0] // 2, size[1] // 2)
    plain = Image.new("RGB", half, rgb(rng.random(), rng.uniform(0, 0.25), rng.uniform(0.3, 0.9)))
    return Image.blend(paint(half, rng), plain, rng.uniform(0.2, 0.8)).resize(size, Image.Resampling.BILINEAR)


def wood(size: Size, rng: np.random.Generator) -> Image.Image:
    """Draw planks along the width."""
    h = size[1]
    tone = mix((120, 78, 44), (226, 190, 146), rng.random())
    grain = _noise(size, (6, h // 3), rng) * 0.09 + _noise(size, (14, h), rng) * 0.05
    plank = np.arange(h) // max(24, int(h * rng.uniform(0.12, 0.3)))
    grain += rng.normal(0, 0.06, plank.max() + 1)[plank][:, None]
    grain[np.flatnonzero(np.diff(plank)), :] -= 0.35
    picture = _shade(tone, grain)
    return picture if rng.random() < 0.6 else picture.transpose(Image.Transpose.TRANSPOSE).resize(size)


def tiles(size: Size, rng: np.random.Generator) -> Image.Image:
    """Draw square tiles with joints."""
    w, h = size
    side, joint = int(min(size) * rng.uniform(0.14, 0.3)), int(rng.integers(3, 7))
    tone = rgb(rng.random(), rng.uniform(0, 0.35), rng.uniform(0.55, 0.95))
    row, column = np.arange(h), np.arange(w)
    level = rng.normal(0, 0.035, (h // side + 1, w // side + 1))[row[:, None] // side, column[None] // side]
    level = level + _noise(size, (12, 12), rng) * 0.03
    level[(row % side < joint), :] = -0.3
    level[:, (column % side < joint)] = -0.3
    return _shade(tone, level)


def stone(size: Size, rng: np.random.Generator) -> Image.Image:
    """Draw speckled concrete or granite."""
    tone = rgb(rng.random(), rng.uniform(0, 0.12), rng.uniform(0.35, 0.85))
    level = sum(_noise(size, (n, n), rng) * share for n, share in ((5, 0.07), (30, 0.05), (220, 0.06)))
    return _shade(tone, np.asarray(level))


def cloth(size: Size, rng: np.random.Generator) -> Image.Image:
    """Draw a checked or striped tablecloth."""
    w, h = size
    step = int(rng.integers(18, 60))
    across, down = (np.arange(w) // step % 2)[None], (np.arange(h) // step % 2)[:, None]
    share = across * 0.5 + down * 0.5 * (rng.random() < 0.6)
    dye, weave = (
        rgb(rng.random(), rng.uniform(0.4, 0.8), rng.uniform(0.4, 0.8)),
        _noise(size, (9, 9), rng)[..., None],
    )
    pixels = np.array((240, 238, 232)) * (1 - share[..., None]) + np.array(dye) * share[..., None]
    return Image.fromarray(np.clip(pixels * (1 + 0.06 * weave), 0, 255).astype(np.uint8))


def metal(size: Size, rng: np.random.Generator) -> Image.Image:
    """Draw brushed or painted sheet metal."""
    tone = rgb(rng.random(), rng.uniform(0, 0.08), rng.uniform(0.55, 0.95))
    level = _noise(size, (2, size[1] // 2), rng) * 0.03 + np.linspace(-0.1, 0.1, size[0])[None]
    return _shade(tone, level)


def _noise(size: Size, cells: Size, rng: np.random.Generator) -> np.ndarray:
    """Draw smooth noise, (height, width) of about unit spread, with `cells` lumps across and down."""
    lumps = rng.standard_normal((max(2, cells[1]), max(2, cells[0])), dtype=np.float32)
    return np.array(Image.fromarray(lumps).resize(size, Image.Resampling.BICUBIC))


def _shade(tone: Colour, level: np.ndarray) -> Image.Image:
    pixels = np.array(tone, np.float32) * (1 + level[..., None].astype(np.float32))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
