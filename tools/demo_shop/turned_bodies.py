"""Draw turned bodies: cans, bottles, jars, mugs and handles, with a label wrapped around them."""

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .bodies import BLACK, BRISTLE, STEEL, WHITE, Body
from .labels import back, front, strip
from .products import Colour, Product, mix

FRONT_SHARE = 0.44  # of the circumference; the rest shows the back
LIGHT = np.array([-0.42, -0.36, 0.83], np.float32)  # from the upper left


def draw_turned_body(
    product: Product, body: Body, height_px: int, radius_px: int, yaw: float, pitch: float
) -> Image.Image:
    """Draw a turned body as RGBA; yaw turns it about its axis, pitch raises the camera (radians)."""
    sheet, metal = _unroll_surface(product, body, height_px, radius_px)
    heights, radii = zip(*body.outline, strict=True)
    radius = np.interp(np.linspace(0, 1, height_px), heights, radii).astype(np.float32) * radius_px
    drop = float(np.sin(pitch))
    pad = round(drop * radius_px) + 1
    face = _light_face(sheet, metal, radius, radius_px, yaw)
    row, column, inside = _project_surface(radius, drop, pad, radius_px)
    picture = Image.fromarray(np.where(inside, face[row, column], 0).view(np.uint8).reshape(*row.shape, 4))
    if body.lid != "none":
        _lid(picture, body, pad, float(radius[0]), drop)
    return picture


def with_handle(cup: Image.Image, colour: Colour, radius_px: int, yaw: float) -> Image.Image:
    """Put the handle of a mug behind its right side."""
    reach = int(radius_px * 0.62 * np.cos(yaw))
    wide, (w, h) = int(radius_px * 0.62), cup.size
    picture = Image.new("RGBA", (w + reach, h))
    ring = Image.new("L", picture.size)
    draw = ImageDraw.Draw(ring)
    area = (w - 0.5 * wide, h * 0.24, w + reach - 1, h * 0.78)
    draw.rounded_rectangle(area, wide * 0.5, outline=255, width=max(3, int(radius_px * 0.17)))
    soft = ring.filter(ImageFilter.GaussianBlur(radius_px * 0.05))
    shade = Image.composite(
        Image.new("RGB", ring.size, colour), Image.new("RGB", ring.size, mix(colour, BLACK, 0.6)), soft
    )
    picture.paste(shade, (0, 0), ring)
    picture.alpha_composite(cup)
    return picture


@lru_cache(maxsize=8)
def _unroll_surface(product: Product, body: Body, height_px: int, radius_px: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the unrolled surface, (height_px, U) uint32 (packed RGBA), and the metal rows, (height_px,) bool."""
    around = int(2 * np.pi * radius_px)
    sheet = Image.new("RGB", (around, height_px))
    draw, top, metal = ImageDraw.Draw(sheet), 0, np.zeros(height_px, bool)
    for band in body.bands:
        bottom = round(band.bottom * height_px)
        draw.rectangle((0, top, around, bottom), fill=band.colour)
        metal[top:bottom], top = band.metal, bottom
    _wrap_label(sheet, product, body, around)
    if product.shape == "brush":
        _bristles(sheet, round(0.63 * height_px), product.rng(10))
    return np.array(sheet.convert("RGBA")).view(np.uint32)[..., 0], metal


def _wrap_label(sheet: Image.Image, product: Product, body: Body, around: int) -> None:
    """Paste front and back so that the middle of the front lies at column 0."""
    top, bottom = (round(share * sheet.height) for share in body.label)
    if body.strip:
        ground = sheet.getpixel((0, (top + bottom) // 2))
        wide = round(around * 0.3)
        face = strip(product, wide, bottom - top, ground)
    else:
        wide = round(around * FRONT_SHARE)
        sheet.paste(back(product, around - wide, bottom - top), (wide // 2, top))
        face = front(product, wide, bottom - top)
    sheet.paste(face.crop((wide // 2, 0, wide, face.height)), (0, top))
    sheet.paste(face.crop((0, 0, wide // 2, face.height)), (around - wide // 2, top))


def _bristles(sheet: Image.Image, top: int, rng: np.random.Generator) -> None:
    draw = ImageDraw.Draw(sheet)
    for x, tone in zip(rng.integers(0, sheet.width, 400).tolist(), rng.uniform(0, 0.5, 400).tolist(), strict=True):
        draw.line([(x, top), (x + 4, sheet.height)], fill=mix(BRISTLE, (96, 70, 40), tone), width=3)


def _light_face(sheet: np.ndarray, metal: np.ndarray, radius: np.ndarray, radius_px: int, yaw: float) -> np.ndarray:
    """Return the visible half of the surface, flattened and lit.

    Light depends only on the row and the position across, so it is computed before the pitch bends the rows.

    Args:    sheet: (height_px, U) uint32; metal: (height_px,) bool; radius: (height_px,) float32.
    Returns: (height_px, 2 * radius_px + 1) uint32, packed RGBA.
    """
    aside = np.linspace(-1, 1, 2 * radius_px + 1, dtype=np.float32)
    column = ((np.arcsin(aside) + yaw) / (2 * np.pi) * sheet.shape[1]).astype(np.int32) % sheet.shape[1]
    slope = np.clip(np.gradient(radius), -1.5, 1.5)[:, None]
    lit = (aside * LIGHT[0] - slope * LIGHT[1] + np.sqrt(1 - aside**2) * LIGHT[2]) / np.sqrt(1 + slope**2)
    light = 0.42 + 0.68 * np.maximum(lit, 0)
    light[metal] *= 0.86 + 0.3 * np.cos(aside * 6.5 + 0.9)
    shine = np.exp(-(((aside + 0.52) / 0.09) ** 2)) + 0.45 * np.exp(-(((aside - 0.78) / 0.05) ** 2))
    shine = shine * np.where(metal, np.float32(80), np.float32(62))[:, None]
    flat = np.take(sheet, column, axis=1).view(np.uint8).reshape(*light.shape, 4)
    face = np.full_like(flat, 255)
    for channel in range(3):
        face[..., channel] = np.minimum(flat[..., channel] * light + shine, 255)
    return face.view(np.uint32)[..., 0]


def _project_surface(
    radius: np.ndarray, drop: float, pad: int, radius_px: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each pixel of the picture the row and column of the lit face, and whether the body is there.

    Seen from above, the near side of a ring of radius r hangs `drop` * r below its centre. One iteration of
    radius -> row -> radius is accurate enough for the gentle outlines here.
    """
    tall = len(radius)
    x = np.arange(-radius_px, radius_px + 1, dtype=np.float32)[None]
    y = np.arange(-pad, tall + pad, dtype=np.float32)[:, None]
    r = radius[np.clip(y, 0, tall - 1).astype(np.int32)]
    row = y - np.sqrt(np.maximum(r**2 - x**2, 0)) * drop
    r = radius[np.clip(row, 0, tall - 1).astype(np.int32)]
    inside = (np.abs(x) <= r) & (row >= 0) & (row <= tall - 1)
    column = np.clip(x / r * radius_px + radius_px, 0, 2 * radius_px).astype(np.int32)
    return np.clip(row, 0, tall - 1).astype(np.int32), column, inside


def _lid(picture: Image.Image, body: Body, pad: int, radius: float, drop: float) -> None:
    """Draw the top of the body, an ellipse seen from above."""
    draw, middle = ImageDraw.Draw(picture), picture.width / 2
    colour = body.bands[0].colour

    def ellipse(share: float, fill: Colour) -> None:
        rx, ry = radius * share, radius * drop * share
        draw.ellipse((middle - rx, pad - ry, middle + rx, pad + ry), fill=fill)

    ellipse(1.0, mix(colour, WHITE, 0.35))
    if body.lid == "metal":
        for share, fill in (
            (0.9, mix(STEEL, BLACK, 0.35)),
            (0.86, mix(STEEL, WHITE, 0.3)),
            (0.6, mix(STEEL, BLACK, 0.1)),
            (0.57, STEEL),
        ):
            ellipse(share, fill)
    elif body.lid == "open":
        ellipse(0.92, mix(colour, BLACK, 0.45))
        ellipse(0.8, mix(colour, BLACK, 0.6))
    else:
        ellipse(0.93, mix(colour, WHITE, 0.15))
