"""Draw damage onto a product's cut-out: scratches, a torn label, a stain, other words or colours, a missing part."""

from collections.abc import Callable
from math import cos, pi, sin

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from .cutouts import View, draw_cutout, fit_within
from .labels import write
from .phone_camera import MARGIN, photograph
from .photos import FRAMES
from .products import Product
from .shelves import shadow
from .surfaces import surface
from .vocabulary import SMALL_PRINT

DEFECTS = ("scratch", "torn", "stain", "text", "recolour", "missing")
LONG_PX = 560  # longer side of a cut-out, as for twins
SPANS = (0.5, 0.7, 0.88)  # least, usual and largest share of the frame that the product spans
CORNERS = 14  # of a ragged patch
SCRATCH_WIDTH = 0.012  # of the longer side
WORDS = [word for text in SMALL_PRINT[:1] for word in text.split() if len(word) > 3]


def deface(cutout: Image.Image, kind: str, share: float, rng: np.random.Generator) -> Image.Image:
    """Return a cut-out with one defect.

    Args:
        cutout: RGBA.
        kind:   one of `DEFECTS`.
        share:  about how much of the product the defect covers.
        rng:    decides everything that varies.
    """
    body = cutout.getchannel("A").point(lambda value: 255 * (value > 127))
    area = share * np.count_nonzero(np.asarray(body))
    where = _pick_point(body, rng, at_edge=kind == "missing")
    if kind == "text":
        return _keep_outline(cutout, _replace_text(cutout, where, area, rng))
    mask = _scratches(cutout.size, where, area, rng) if kind == "scratch" else _patch(cutout.size, where, area, rng)
    changed = cutout.copy()
    if kind == "missing":
        changed.putalpha(ImageChops.subtract(cutout.getchannel("A"), mask))
        return changed
    changed.paste(_paint(cutout, kind, mask, rng), (0, 0), mask)
    return _keep_outline(cutout, changed)


def lone_photo(
    product: Product, rng: np.random.Generator, altered: Callable[[Image.Image], Image.Image] = lambda cutout: cutout
) -> Image.Image:
    """Return a phone photo of one product on a table, drawn as finely as twins are.

    Args:
        altered: maps the product's RGBA cut-out to an altered one of the same size.
    """
    size = FRAMES[rng.integers(len(FRAMES))]
    room, span = (round(size[0] * MARGIN), round(size[1] * MARGIN)), rng.triangular(*SPANS) * np.array(size)
    view = View(int(rng.integers(-18, 19)), int(rng.integers(2, 20)))
    cutout = fit_within(altered(draw_cutout(product, view, LONG_PX)), *span)
    cutout = fit_within(cutout.rotate(rng.normal(0, 15), Image.Resampling.BICUBIC, expand=True), *span)
    position = (round((room[0] - cutout.width) / 2), round((room[1] - cutout.height) / 2))
    scene = surface(room, rng).convert("RGB")
    shadow(scene, cutout, position, standing=False, strength=0.6)
    scene.paste(cutout, position, cutout)
    return photograph(scene, size, rng)


def _keep_outline(cutout: Image.Image, changed: Image.Image) -> Image.Image:
    changed.putalpha(cutout.getchannel("A"))
    return changed


def _pick_point(body: Image.Image, rng: np.random.Generator, at_edge: bool) -> tuple[float, float]:
    """Pick a point of the product: on its edge, or well inside it."""
    inner = body.filter(ImageFilter.MinFilter(2 * (min(body.size) // 12) + 1))
    ring = ImageChops.subtract(body, body.filter(ImageFilter.MinFilter(5)))
    wanted = ring if at_edge else inner
    rows, columns = np.nonzero(np.asarray(wanted if wanted.getbbox() else body))
    chosen = rng.integers(len(rows))
    return float(columns[chosen]), float(rows[chosen])


def _patch(size: tuple[int, int], where: tuple[float, float], area: float, rng: np.random.Generator) -> Image.Image:
    """Draw a ragged patch of `area` px as a mask ("L")."""
    radius, long = (area / pi) ** 0.5, rng.uniform(0.7, 1.4)
    reach = rng.uniform(0.75, 1.25, CORNERS) * radius
    turns = (np.arange(CORNERS) + rng.uniform(-0.3, 0.3, CORNERS)) * 2 * pi / CORNERS
    x, y = where
    corners = [(x + r * long * cos(t), y + r / long * sin(t)) for r, t in zip(reach, turns, strict=True)]
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).polygon(corners, fill=255)
    return mask.filter(ImageFilter.GaussianBlur(0.7))


def _scratches(size: tuple[int, int], where: tuple[float, float], area: float, rng: np.random.Generator) -> Image.Image:
    """Draw nearly parallel strokes that together cover `area` px, as a mask ("L")."""
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
    """Return RGB of the cut-out's size, to be shown through the mask."""
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
        painted = np.roll(pixels, int(rng.integers(1, 3)), 2)  # another hue, the same drawing
    return Image.fromarray(painted.clip(0, 255).astype(np.uint8))


def _replace_text(
    cutout: Image.Image, where: tuple[float, float], area: float, rng: np.random.Generator
) -> Image.Image:
    """Cover a strip with its median colour and write another word on it."""
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
