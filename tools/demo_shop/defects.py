"""Damage drawn onto a product's cut-out: scratches, a torn label, a stain, other words or colours, a part gone."""

from collections.abc import Callable
from math import cos, pi, sin

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from .cutouts import View, draw_cutout, fitted
from .labels import write
from .phone_camera import MARGIN, photograph
from .photos import FRAMES
from .products import Product
from .shelves import shadow
from .surfaces import surface
from .vocabulary import SMALL_PRINT

DEFECTS = ("scratch", "torn", "stain", "text", "recolour", "missing")
LONG_PX = 560  # of a cut-out, as of twins
SPANS = (0.5, 0.7, 0.88)  # least, usual and largest share of the frame that the product spans
CORNERS = 14  # of a ragged patch
SCRATCH_WIDTH = 0.012  # of the longer side
WORDS = [word for text in SMALL_PRINT[:1] for word in text.split() if len(word) > 3]


def deface(cutout: Image.Image, kind: str, share: float, rng: np.random.Generator) -> Image.Image:
    """A cut-out with one defect.

    Args:    cutout: RGBA; kind: one of `DEFECTS`; share: of the product that it covers, about; rng: all that varies.
    """
    body = cutout.getchannel("A").point(lambda value: 255 * (value > 127))
    area = share * np.count_nonzero(np.asarray(body))
    where = _place(body, rng, at_the_edge=kind == "missing")
    if kind == "text":
        return _kept(cutout, _renamed(cutout, where, area, rng))
    mask = _scratches(cutout.size, where, area, rng) if kind == "scratch" else _patch(cutout.size, where, area, rng)
    changed = cutout.copy()
    if kind == "missing":
        changed.putalpha(ImageChops.subtract(cutout.getchannel("A"), mask))
        return changed
    changed.paste(_paint(cutout, kind, mask, rng), (0, 0), mask)
    return _kept(cutout, changed)


def lone_photo(
    product: Product, rng: np.random.Generator, altered: Callable[[Image.Image], Image.Image] = lambda cutout: cutout
) -> Image.Image:
    """A phone photo of one product on a table, drawn as finely as twins are.

    Args:    altered: what happened to the product: its cut-out, RGBA, before and after, of one size.
    """
    size = FRAMES[rng.integers(len(FRAMES))]
    room, span = (round(size[0] * MARGIN), round(size[1] * MARGIN)), rng.triangular(*SPANS) * np.array(size)
    view = View(int(rng.integers(-18, 19)), int(rng.integers(2, 20)))
    cutout = fitted(altered(draw_cutout(product, view, LONG_PX)), *span)
    cutout = fitted(cutout.rotate(rng.normal(0, 15), Image.Resampling.BICUBIC, expand=True), *span)
    place = (round((room[0] - cutout.width) / 2), round((room[1] - cutout.height) / 2))
    scene = surface(room, rng).convert("RGB")
    shadow(scene, cutout, place, standing=False, strength=0.6)
    scene.paste(cutout, place, cutout)
    return photograph(scene, size, rng)


def _kept(cutout: Image.Image, changed: Image.Image) -> Image.Image:
    changed.putalpha(cutout.getchannel("A"))
    return changed


def _place(body: Image.Image, rng: np.random.Generator, at_the_edge: bool) -> tuple[float, float]:
    """A point of the product, not right at its edge unless that is asked for."""
    inner = body.filter(ImageFilter.MinFilter(2 * (min(body.size) // 12) + 1))
    ring = ImageChops.subtract(body, body.filter(ImageFilter.MinFilter(5)))
    wanted = ring if at_the_edge else inner
    rows, columns = np.nonzero(np.asarray(wanted if wanted.getbbox() else body))
    chosen = rng.integers(len(rows))
    return float(columns[chosen]), float(rows[chosen])


def _patch(size: tuple[int, int], where: tuple[float, float], area: float, rng: np.random.Generator) -> Image.Image:
    """A ragged patch of so many px: "L"."""
    radius, long = (area / pi) ** 0.5, rng.uniform(0.7, 1.4)
    reach = rng.uniform(0.75, 1.25, CORNERS) * radius
    turns = (np.arange(CORNERS) + rng.uniform(-0.3, 0.3, CORNERS)) * 2 * pi / CORNERS
    x, y = where
    corners = [(x + r * long * cos(t), y + r / long * sin(t)) for r, t in zip(reach, turns, strict=True)]
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).polygon(corners, fill=255)
    return mask.filter(ImageFilter.GaussianBlur(0.7))


def _scratches(size: tuple[int, int], where: tuple[float, float], area: float, rng: np.random.Generator) -> Image.Image:
    """Nearly parallel strokes that cover so many px together: "L"."""
    mask, width = Image.new("L", size), max(1, round(SCRATCH_WIDTH * max(size)))
    draw, angle, left = ImageDraw.Draw(mask), rng.uniform(0, pi), area / width
    (x, y), longest = where, 0.7 * max(size)
    while left > 0:
        length, lean = min(left, longest * rng.uniform(0.5, 1)), angle + rng.normal(0, 0.15)
        reach = np.array([cos(lean), sin(lean)]) * length / 2
        middle = np.array([x, y]) + rng.normal(0, 0.05 * max(size), 2)
        draw.line([tuple(middle - reach), tuple(middle + reach)], fill=255, width=width)
        left -= length
    return mask


def _paint(cutout: Image.Image, kind: str, mask: Image.Image, rng: np.random.Generator) -> Image.Image:
    """What is seen where the mask is: RGB of the cut-out's size."""
    pixels = np.asarray(cutout.convert("RGB"), np.float32)
    if kind == "scratch":
        bright = pixels[np.asarray(mask) > 0].mean() > 150
        painted = np.full_like(pixels, rng.uniform(20, 60) if bright else rng.uniform(215, 250))
    elif kind == "torn":
        paper = np.array([[150, 118, 84], [236, 232, 224]][rng.integers(2)], np.float32)
        painted = paper + rng.normal(0, 7, (*pixels.shape[:2], 1)).astype(np.float32)
    elif kind == "stain":
        tint = np.array([[0.42, 0.3, 0.2], [0.3, 0.3, 0.34]][rng.integers(2)], np.float32)
        painted = pixels * tint + 12
    else:
        painted = np.roll(pixels, int(rng.integers(1, 3)), 2)  # another hue, the same print
    return Image.fromarray(painted.clip(0, 255).astype(np.uint8))


def _renamed(cutout: Image.Image, where: tuple[float, float], area: float, rng: np.random.Generator) -> Image.Image:
    """A strip in the colour that is there, with another word on it."""
    tall = max(6, round((area / 3) ** 0.5))
    wide = min(cutout.width, round(area / tall))
    left, top = (
        round(min(max(0, c - n / 2), most - n)) for c, n, most in zip(where, (wide, tall), cutout.size, strict=True)
    )
    flat = cutout.convert("RGB")
    around = np.asarray(flat.crop((left, top, left + wide, top + tall))).reshape(-1, 3)
    flat.paste(tuple(int(v) for v in np.median(around, 0)), (left, top, left + wide, top + tall))
    width, height = flat.size
    box = ((left + 1) / width, (top + 1) / height, (left + wide - 1) / width, (top + tall - 1) / height)
    write(flat, box, WORDS[rng.integers(len(WORDS))].upper(), 0.03, 1.0)
    return flat.convert("RGBA")
