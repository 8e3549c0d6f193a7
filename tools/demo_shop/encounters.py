"""Photos of twins with one of the difficulties that a shop has: from afar, at an angle, half hidden, not alone."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageChops

from .cutouts import ANGULAR, View, catalogue_view, draw_cutout, fitted, unwarp
from .phone_camera import MARGIN, photograph
from .photos import FRAMES, hide_a_part, placed, with_glare
from .products import Product
from .shelves import Place, shadow, shelf, table
from .surfaces import Size

LONG_PX = 560  # twins are drawn finer than other products: on the usual ones small print is a blur
PICTURE_PX = 640  # side of a twin's catalogue picture
SHARES = {  # least, usual and largest share of the frame that the product spans
    "plain": (0.6, 0.75, 0.88),
    "far": (0.3, 0.4, 0.5),
    "angle": (0.5, 0.7, 0.88),
    "hidden": (0.5, 0.7, 0.85),
    "pair": (0.42, 0.52, 0.62),
}
DIFFICULTIES = tuple(SHARES)
HIDDEN = 0.35  # share of the product that something in front may cover
ASIDE = 0.08  # among others of its size a product is the asked one by standing in the middle


class Company(NamedTuple):
    """What is around a product that is photographed."""

    twin: Product  # differs from it in print; it is not in the photo
    beside: Product  # of another family; stands next to it in a "pair"
    others: Sequence[Product]  # may stand around it or partly in front of it


def twin_photo(product: Product, difficulty: str, company: Company, rng: np.random.Generator) -> Image.Image:
    """A phone photo of a product: RGB, 480x640 or 640x480; everything that varies is drawn from `rng`."""
    size = FRAMES[rng.integers(len(FRAMES))]
    room = (round(size[0] * MARGIN), round(size[1] * MARGIN))
    span, view = rng.triangular(*SHARES[difficulty]) * np.array(size), _view(product, difficulty, rng)
    cutout = fitted(draw_cutout(product, view, LONG_PX), *span)
    lying = difficulty == "angle"
    if lying:
        cutout = fitted(_tipped(cutout, rng), *span)
    place = placed(cutout, size, room, rng, ASIDE)
    scene = (table if lying else shelf)(room, cutout, place, company.others, rng)
    if difficulty == "pair":
        place = _put_beside(scene, cutout, place, size, company.beside, rng)
    shadow(scene, cutout, place, standing=not lying, strength=rng.uniform(0.4, 0.8))
    scene.paste(with_glare(cutout, rng), place, cutout)
    if difficulty == "hidden":
        twin = fitted(draw_cutout(company.twin, view, LONG_PX), *span)
        hide_a_part(scene, cutout, place, company.others, rng, HIDDEN, _unlike(cutout, twin))
    return photograph(scene, size, rng)


def _view(product: Product, difficulty: str, rng: np.random.Generator) -> View:
    wide = 28 if product.shape in ANGULAR else 18
    if difficulty == "angle":
        return View(int(rng.integers(wide, wide + 14) * rng.choice([-1, 1])), int(rng.integers(8, 28)))
    return View(int(rng.integers(-wide, wide + 1)), int(rng.integers(2, 20)))


def _tipped(cutout: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A cut-out as seen from close by and askew: its sides converge, and it is rolled in the plane."""
    (w, h), (lean, turn) = cutout.size, rng.uniform(-0.2, 0.2, 2)
    wide, tall = round(w * (1 + abs(lean))), round(h * (1 + abs(turn)))
    target = [
        (wide / 2 + x * w / 2 * (1 + lean * y), tall / 2 + y * h / 2 * (1 + turn * x))
        for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))
    ]
    numbers = unwarp(target, [(0, 0), (w, 0), (w, h), (0, h)])
    seen = cutout.transform((wide, tall), Image.Transform.PERSPECTIVE, numbers, Image.Resampling.BICUBIC)
    rolled = seen.rotate(rng.uniform(-40, 40), Image.Resampling.BICUBIC, expand=True)
    return rolled.crop(rolled.getbbox())


def _put_beside(
    scene: Image.Image, cutout: Image.Image, place: Place, size: Size, other: Product, rng: np.random.Generator
) -> Place:
    """Stand another, smaller product next to the cut-out; returns the place of the cut-out, moved aside a little."""
    one, side = draw_cutout(other, catalogue_view(other), LONG_PX), rng.choice([-1, 1])
    area = cutout.width * cutout.height * rng.uniform(0.4, 0.75)
    scale = (area / (one.width * one.height)) ** 0.5
    one = fitted(one, one.width * scale, one.height * scale)
    middle = scene.width / 2 - side * min(0.3 * one.width, 0.46 * size[0] - 0.5 * cutout.width)
    place = (round(middle - cutout.width / 2), place[1])
    gap = round(rng.uniform(0.0, 0.06) * cutout.width)
    left = place[0] + cutout.width + gap if side > 0 else place[0] - gap - one.width
    corner = (left, place[1] + cutout.height - one.height)
    shadow(scene, one, corner, standing=True, strength=0.5)
    scene.paste(one, corner, one)
    return place


def _unlike(cutout: Image.Image, twin: Image.Image) -> Image.Image:
    """Where two cut-outs of one outline differ: "L", 0 or 255."""
    difference = ImageChops.difference(cutout.convert("RGB"), twin.convert("RGB")).convert("L")
    return difference.point(lambda value: 255 if value > 40 else 0)
