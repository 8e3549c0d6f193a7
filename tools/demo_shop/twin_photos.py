"""Photograph twins under the difficulties of a shop: far away, at an angle, partly hidden, beside another product."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageChops

from .cutouts import ANGULAR, View, catalogue_view, draw_cutout, fit_within, perspective_coefficients
from .phone_camera import MARGIN, photograph
from .photos import FRAMES, add_glare, hide_a_part, place_in_frame
from .products import Product
from .shelves import Position, shadow, shelf, table
from .surfaces import Size

LONG_PX = 560  # twins are drawn finer than other products, whose small print is a blur
PICTURE_PX = 640  # side of a twin's catalogue picture
SHARES = {  # least, usual and largest share of the frame that the product spans
    "plain": (0.6, 0.75, 0.88),
    "far": (0.3, 0.4, 0.5),
    "angle": (0.5, 0.7, 0.88),
    "hidden": (0.5, 0.7, 0.85),
    "pair": (0.42, 0.52, 0.62),
}
DIFFICULTIES = tuple(SHARES)
HIDDEN = 0.35  # share of the product that something in front of it may cover
ASIDE = 0.08  # the product stands nearly in the middle, which tells it from others of its size


class Surroundings(NamedTuple):
    """The products around the one that is photographed."""

    twin: Product  # of the same family; it is not in the photo
    beside: Product  # of another family; stands next to the product in a "pair"
    others: Sequence[Product]  # may stand around the product or partly in front of it


def twin_photo(product: Product, difficulty: str, surroundings: Surroundings, rng: np.random.Generator) -> Image.Image:
    """Return a phone photo of a product, RGB, 480x640 or 640x480; `rng` decides everything that varies."""
    size = FRAMES[rng.integers(len(FRAMES))]
    room = (round(size[0] * MARGIN), round(size[1] * MARGIN))
    span, view = rng.triangular(*SHARES[difficulty]) * np.array(size), _view(product, difficulty, rng)
    cutout = fit_within(draw_cutout(product, view, LONG_PX), *span)
    lying = difficulty == "angle"
    if lying:
        cutout = fit_within(_tip_over(cutout, rng), *span)
    position = place_in_frame(cutout, size, room, rng, ASIDE)
    scene = (table if lying else shelf)(room, cutout, position, surroundings.others, rng)
    if difficulty == "pair":
        position = _put_beside(scene, cutout, position, size, surroundings.beside, rng)
    shadow(scene, cutout, position, standing=not lying, strength=rng.uniform(0.4, 0.8))
    scene.paste(add_glare(cutout, rng), position, cutout)
    if difficulty == "hidden":
        twin = fit_within(draw_cutout(surroundings.twin, view, LONG_PX), *span)
        hide_a_part(scene, cutout, position, surroundings.others, rng, HIDDEN, _difference_mask(cutout, twin))
    return photograph(scene, size, rng)


def _view(product: Product, difficulty: str, rng: np.random.Generator) -> View:
    wide = 28 if product.shape in ANGULAR else 18
    if difficulty == "angle":
        return View(int(rng.integers(wide, wide + 14) * rng.choice([-1, 1])), int(rng.integers(8, 28)))
    return View(int(rng.integers(-wide, wide + 1)), int(rng.integers(2, 20)))


def _tip_over(cutout: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Show a cut-out from close by and askew: its sides converge, and it is rolled in the plane."""
    (w, h), (lean, turn) = cutout.size, rng.uniform(-0.2, 0.2, 2)
    wide, tall = round(w * (1 + abs(lean))), round(h * (1 + abs(turn)))
    target = [
        (wide / 2 + x * w / 2 * (1 + lean * y), tall / 2 + y * h / 2 * (1 + turn * x))
        for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))
    ]
    numbers = perspective_coefficients(target, [(0, 0), (w, 0), (w, h), (0, h)])
    seen = cutout.transform((wide, tall), Image.Transform.PERSPECTIVE, numbers, Image.Resampling.BICUBIC)
    rolled = seen.rotate(rng.uniform(-40, 40), Image.Resampling.BICUBIC, expand=True)
    return rolled.crop(rolled.getbbox())


def _put_beside(
    scene: Image.Image, cutout: Image.Image, position: Position, size: Size, other: Product, rng: np.random.Generator
) -> Position:
    """Stand another, smaller product next to the cut-out; return the cut-out's new position, a little aside."""
    neighbour, side = draw_cutout(other, catalogue_view(other), LONG_PX), rng.choice([-1, 1])
    area = cutout.width * cutout.height * rng.uniform(0.4, 0.75)
    scale = (area / (neighbour.width * neighbour.height)) ** 0.5
    neighbour = fit_within(neighbour, neighbour.width * scale, neighbour.height * scale)
    middle = scene.width / 2 - side * min(0.3 * neighbour.width, 0.46 * size[0] - 0.5 * cutout.width)
    position = (round(middle - cutout.width / 2), position[1])
    gap = round(rng.uniform(0.0, 0.06) * cutout.width)
    left = position[0] + cutout.width + gap if side > 0 else position[0] - gap - neighbour.width
    corner = (left, position[1] + cutout.height - neighbour.height)
    shadow(scene, neighbour, corner, standing=True, strength=0.5)
    scene.paste(neighbour, corner, neighbour)
    return position


def _difference_mask(cutout: Image.Image, twin: Image.Image) -> Image.Image:
    """Return a mask ("L", 0 or 255) of the pixels in which two cut-outs of one outline differ."""
    difference = ImageChops.difference(cutout.convert("RGB"), twin.convert("RGB")).convert("L")
    return difference.point(lambda value: 255 if value > 40 else 0)
