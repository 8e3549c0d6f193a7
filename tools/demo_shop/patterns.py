"""Paint background patterns: stripes, dots, checks, waves, rays, hills."""

from collections.abc import Callable
from math import cos, pi, sin

import numpy as np
from PIL import Image, ImageDraw

from .products import Colour, mix

DARK = (28, 28, 34)


def paint_pattern(sheet: Image.Image, name: str, tone: Colour, rng: np.random.Generator) -> None:
    """Paint a pattern of one tone over a whole sheet."""
    step = max(6, int(min(sheet.size) * rng.uniform(0.08, 0.2)))
    PATTERNS[name](sheet, tone, step, rng)


def _fade(sheet: Image.Image, tone: Colour, step: int, rng: np.random.Generator) -> None:
    sheet.paste(mix(tone, DARK, 0.2), (0, 0), Image.linear_gradient("L").resize(sheet.size))


def _stripes(sheet: Image.Image, tone: Colour, step: int, rng: np.random.Generator) -> None:
    for x in range(0, sheet.width, 2 * step):
        ImageDraw.Draw(sheet).rectangle((x, 0, x + step, sheet.height), fill=tone)


def _diagonal(sheet: Image.Image, tone: Colour, step: int, rng: np.random.Generator) -> None:
    h = sheet.height
    for x in range(-h, sheet.width, 2 * step):
        ImageDraw.Draw(sheet).polygon([(x, h), (x + step, h), (x + step + h, 0), (x + h, 0)], fill=tone)


def _dots(sheet: Image.Image, tone: Colour, step: int, rng: np.random.Generator) -> None:
    for row, y in enumerate(range(0, sheet.height + step, step)):
        for x in range(step // 2 * (row % 2), sheet.width + step, step):
            _disc(sheet, x, y, step / 4, tone)


def _checks(sheet: Image.Image, tone: Colour, step: int, rng: np.random.Generator) -> None:
    for row, y in enumerate(range(0, sheet.height, step)):
        for x in range(step * (row % 2), sheet.width, 2 * step):
            ImageDraw.Draw(sheet).rectangle((x, y, x + step, y + step), fill=tone)


def _waves(sheet: Image.Image, tone: Colour, step: int, rng: np.random.Generator) -> None:
    xs = np.arange(0, sheet.width + step, step / 4)
    for y in range(0, sheet.height + step, step):
        curve = np.stack([xs, y + step * 0.3 * np.sin(xs / step * 2)], axis=1)
        ImageDraw.Draw(sheet).line(curve.ravel().tolist(), fill=tone, width=max(2, step // 5))


def _rays(sheet: Image.Image, tone: Colour, step: int, rng: np.random.Generator) -> None:
    x, y, far = sheet.width / 2, sheet.height * 0.45, 2 * max(sheet.size)
    for k in range(0, 28, 2):
        one, other = pi * k / 14, pi * (k + 1) / 14
        ends = [(x + far * cos(angle), y + far * sin(angle)) for angle in (one, other)]
        ImageDraw.Draw(sheet).polygon([(x, y), *ends], fill=tone)


def _hills(sheet: Image.Image, tone: Colour, step: int, rng: np.random.Generator) -> None:
    w, h = sheet.size
    for k in range(3):
        x, y = rng.uniform(0, w), h * (0.75 + 0.12 * k)
        ImageDraw.Draw(sheet).ellipse((x - w * 0.8, y, x + w * 0.8, y + h), fill=mix(tone, DARK, 0.08 * k))


def _confetti(sheet: Image.Image, tone: Colour, step: int, rng: np.random.Generator) -> None:
    for x, y, size in rng.uniform(0, 1, (60, 3)).tolist():
        _disc(sheet, x * sheet.width, y * sheet.height, step * (0.12 + 0.2 * size), tone)


def _disc(sheet: Image.Image, x: float, y: float, radius: float, tone: Colour) -> None:
    ImageDraw.Draw(sheet).ellipse((x - radius, y - radius, x + radius, y + radius), fill=tone)


PATTERNS: dict[str, Callable[[Image.Image, Colour, int, np.random.Generator], None]] = {
    "fade": _fade,
    "stripes": _stripes,
    "diagonal": _diagonal,
    "dots": _dots,
    "checks": _checks,
    "waves": _waves,
    "rays": _rays,
    "hills": _hills,
    "confetti": _confetti,
}
