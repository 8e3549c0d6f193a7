"""Draw augmented views of a catalogue picture: the product as a shop photo may show it.

One clean picture says little about how a product appears on a shelf. Views that show the cut-out product alone and in a
heap have embeddings nearer to those of photos; `build` adds their mean to the picture's own embedding.

H height, W width, S side of the view in px.
"""

from __future__ import annotations  # numpy loads its random numbers when an annotation names them

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from . import grey_resizing
from .crops import connected_part

LIGHT = 230  # a corner is plain background if its darkest channel has at least this value
CUTOUT_TOLERANCE = 24  # largest difference of the background from its corner's colour, summed over RGB
MIN_PRODUCT_AREA = 0.02  # of the picture; with less, the product is as light as its background
VIEWS_PER_KIND = 2
HEAP_COPIES, HEAP_TURNS = 40, 8
_MASK_SIDE = 128  # px
_BILINEAR = Image.Resampling.BILINEAR


class View(NamedTuple):
    """Change of a picture: scale, an extra factor for its height, and a rotation in full circles."""

    scale: float
    squeeze: float
    turn: float


def warp_view(grey: np.ndarray, view: View) -> tuple[np.ndarray, np.ndarray]:
    """Scale, squeeze and rotate a grey picture.

    Args:
        grey: (H, W) uint8.
        view: the change.
    Returns:
        The changed picture, (h, w) uint8, and the affine map from old to new pixel positions, (2, 3) float64.
    """
    height, width = grey.shape
    size = max(1, round(width * view.scale)), max(1, round(height * view.scale * view.squeeze))
    small = Image.fromarray(grey_resizing.resize(grey, size, grey_resizing.LANCZOS))
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    turned = small.rotate(-360 * view.turn, Image.Resampling.BICUBIC, expand=True, fillcolor=int(np.median(border)))
    angle = 2 * np.pi * view.turn
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = np.array(turned.size) / 2 - turn @ (np.array(size) / 2)
    return np.asarray(turned), np.column_stack([turn @ np.diag(np.array(size) / (width, height)), moved])


def product_mask(image: np.ndarray) -> np.ndarray:
    """Separate the product from a plain light background that reaches the corners.

    Args:
        image: (H, W, 3) uint8.
    Returns:
        (H, W) uint8, 255 on the product and soft at its edge; 255 everywhere if there is no such background.
    """
    kept = np.ones(image.shape[:2], bool)
    for corner in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        if kept[corner] and image[corner].min() >= LIGHT:
            alike = np.abs(image.astype(np.int16) - image[corner]).sum(2) <= CUTOUT_TOLERANCE
            kept &= ~connected_part(alike & kept, corner)
    if kept.mean() < MIN_PRODUCT_AREA:
        return np.full(kept.shape, 255, np.uint8)
    mask = Image.fromarray((kept * 255).astype(np.uint8))
    return np.asarray(mask.filter(ImageFilter.MinFilter(3)).filter(ImageFilter.GaussianBlur(0.7)))


def cut_out(image: np.ndarray) -> Image.Image:
    """Cut the product out of its background.

    Args:
        image: (H, W, 3) uint8.
    Returns:
        RGBA, tightly cropped; the whole picture, opaque, if it has no plain background.
    """
    small = Image.fromarray(image)
    small.thumbnail((_MASK_SIDE, _MASK_SIDE))
    picture = Image.fromarray(image)
    picture.putalpha(Image.fromarray(product_mask(np.asarray(small))).resize(picture.size))
    return picture.crop(picture.getchannel("A").getbbox())


def draw_views(image: np.ndarray, side: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Draw the product alone and in a heap.

    Args:
        image: (H, W, 3) uint8.
        side: S.
        rng: source of randomness.
    Returns:
        Views, (S, S, 3) uint8 each; none if the picture has no plain background.
    """
    product = cut_out(image)
    if product.getchannel("A").getextrema()[0] == 255:
        return []
    return [draw(product, side, rng) for draw in (draw_shelf_view, draw_heap_view) for _ in range(VIEWS_PER_KIND)]


def draw_shelf_view(product: Image.Image, side: int, rng: np.random.Generator) -> np.ndarray:
    """Draw one tilted copy of an RGBA product; returns (S, S, 3) uint8."""
    corners = np.array([[0, 0], [0, 1], [1, 1], [1, 0]], float)
    shape = np.array(product.size) / max(product.size) * rng.uniform(0.55, 0.95) * side
    target = (corners - 0.5 + rng.uniform(-0.07, 0.07, (4, 2))) * shape + side / 2 + rng.uniform(-0.1, 0.1, 2) * side
    tilt = [float(value) for value in _homography(target, corners * product.size)]
    scene = _backdrop(side, rng)
    # Premultiplied, so that the edge does not take the colour of the background that was cut away.
    layer = product.convert("RGBa").transform((side, side), Image.Transform.PERSPECTIVE, tilt, _BILINEAR)
    scene.alpha_composite(layer.convert("RGBA"))
    return _degrade(scene, rng)


def draw_heap_view(product: Image.Image, side: int, rng: np.random.Generator) -> np.ndarray:
    """Draw many rotated copies of an RGBA product, as fruit lies in a crate; returns (S, S, 3) uint8."""
    scene = _backdrop(side, rng)
    copy = _resize(product, rng.uniform(0.3, 0.6) * side / max(product.size))
    turned = [copy.rotate(angle, _BILINEAR, expand=True) for angle in rng.uniform(0, 360, HEAP_TURNS)]
    for number in range(HEAP_COPIES):
        _paste(scene, turned[number % HEAP_TURNS], rng.uniform(0, side, 2))
    return _degrade(scene, rng)


def _resize(product: Image.Image, scale: float) -> Image.Image:
    size = [max(1, round(length * scale)) for length in product.size]
    return product.resize(size, _BILINEAR, reducing_gap=3.0)


def _paste(scene: Image.Image, copy: Image.Image, middle: np.ndarray) -> None:
    """Paste an RGBA copy into a scene, in place; middle: (2,) float64, where the copy's middle falls, in px."""
    left, top = (round(centre - length / 2) for centre, length in zip(middle.tolist(), copy.size, strict=True))
    scene.paste(copy, (left, top), copy)


def _backdrop(side: int, rng: np.random.Generator) -> Image.Image:
    """Draw soft blotches of muted colour, RGBA: a background without a product."""
    grey, tint = rng.uniform(60, 220, (5, 5, 1)), rng.uniform(-15, 15, (5, 5, 3))
    blotches = Image.fromarray(np.clip(grey + tint, 0, 255).astype(np.uint8))
    return blotches.resize((side, side), Image.Resampling.BICUBIC).convert("RGBA")


def _degrade(scene: Image.Image, rng: np.random.Generator) -> np.ndarray:
    """Change light, sharpness and noise of an RGBA scene to those of a hurried photo; returns (S, S, 3) uint8."""
    side = scene.width
    soft = scene.convert("RGB").filter(ImageFilter.GaussianBlur(rng.uniform(0, 0.01) * side))
    light = rng.uniform(0.55, 1.3) * rng.uniform(0.9, 1.1, 3)
    noise = rng.normal(0, rng.uniform(0, 8), (side, side, 1))
    return np.clip(np.asarray(soft) * light + noise, 0, 255).astype(np.uint8)


def _homography(target: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Return the coefficients, (8,) float64, with which Pillow maps `target` corners to `source`, both (4, 2)."""
    rows, right = [], []
    for (x, y), (u, v) in zip(target, source, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right += [u, v]
    return np.linalg.solve(np.array(rows), np.array(right))
