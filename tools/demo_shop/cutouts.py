"""Draw a product without a background: a tight RGBA cut-out, seen from any side."""

from functools import lru_cache
from math import cos, radians, sin
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .bodies import BLACK, HAMMER_HEAD, STEEL, WHITE, body_of
from .labels import back, front, lettering, strip
from .products import Colour, Product, mix
from .turned_bodies import draw_turned_body, with_handle

LONG_PX = 416  # usual longer side of a product's upright front
SUPERSAMPLE = 2  # drawn this much larger, then averaged down
ANGULAR = ("box", "carton")  # catalogues show these turned a little to one side
LYING = ("hammer", "screwdriver", "wrench", "brush")  # these cannot stand
SHEEN = Image.linear_gradient("L").rotate(60).reduce(8).point(lambda value: value // 10)
Points = list[tuple[float, float]]


class View(NamedTuple):
    """The camera's position, in degrees."""

    yaw: int = 0  # the product turned about its upright axis, -75..75
    pitch: int = 8  # the camera above it, 0..30


class Face(NamedTuple):
    """A flat side of a package: corners (4, 3) from its top left, clockwise seen from outside."""

    corners: np.ndarray
    sheet: Image.Image


@lru_cache(maxsize=160)
def draw_cutout(product: Product, view: View, long_px: int = LONG_PX) -> Image.Image:
    """Draw a product as RGBA, cropped to its opaque part. The picture is cached: do not modify it."""
    height = round(long_px * SUPERSAMPLE / max(1.0, product.aspect))
    draw = {
        "box": _box, "carton": _carton, "pouch": _pouch, "hammer": _hammer, "wrench": _wrench, "mug": _mug,
    }.get(product.shape, _turned)  # fmt: skip
    large = draw(product, height, round(height * product.aspect), view)
    large = large.crop(large.getbbox())
    return large.reduce(SUPERSAMPLE)


def catalogue_view(product: Product) -> View:
    """Return the side that a catalogue shows."""
    yaw = int(product.rng(20).integers(14, 30)) * (-1 if product.index % 3 == 0 else 1)
    return View(yaw if product.shape in ANGULAR else 0, 9)


def fit_within(cutout: Image.Image, width: float, height: float) -> Image.Image:
    """Scale a cut-out to fit into width x height px."""
    scale = min(width / cutout.width, height / cutout.height)
    size = (max(1, round(cutout.width * scale)), max(1, round(cutout.height * scale)))
    return cutout.resize(size, Image.Resampling.BILINEAR, reducing_gap=1.5)


def perspective_coefficients(target: Points, source: Points) -> list[float]:
    """Return the eight coefficients with which Pillow's PERSPECTIVE fills the quad `target` from the quad `source`."""
    rows, values = [], []
    for (x, y), (u, v) in zip(target, source, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return np.linalg.solve(np.array(rows), np.array(values)).tolist()


def _turned(product: Product, height: int, width: int, view: View) -> Image.Image:
    lying = product.shape in ("screwdriver", "brush")
    pitch = 0.0 if lying or product.shape == "tube" else radians(view.pitch)
    return draw_turned_body(product, body_of(product), height, width // 2, radians(view.yaw), pitch)


def _mug(product: Product, height: int, width: int, view: View) -> Image.Image:
    radius = round(width * 0.4)
    cup = draw_turned_body(product, body_of(product), height, radius, radians(view.yaw), radians(view.pitch))
    return with_handle(cup, product.design.main, radius, radians(view.yaw))


def _box(product: Product, height: int, width: int, view: View) -> Image.Image:
    depth = round(height * product.rng(8).uniform(0.2, 0.45))
    return _render(_brick(product, width, height, depth), view)


def _carton(product: Product, height: int, width: int, view: View) -> Image.Image:
    """Draw a drink carton: a brick, a sloping roof, a fin along its ridge."""
    wall, rise, fin = round(height * 0.8), height * 0.13, height * 0.07
    a, b, c = width / 2, wall / 2, width / 2
    ridge, tip = -b - rise, -b - rise - fin
    design = product.design
    roof = Image.new("RGB", (64, 32), mix(design.main, WHITE, 0.12))
    gable = Image.new("RGB", (32, 32), mix(design.main, BLACK, 0.12))
    faces = _brick(product, width, wall, width)
    faces += [
        _face(gable, (a, ridge, 1), (a, ridge, -1), (a, -b, -c), (a, -b, c)),
        _face(gable, (-a, ridge, -1), (-a, ridge, 1), (-a, -b, c), (-a, -b, -c)),
        _face(roof, (-a, ridge, 0), (a, ridge, 0), (a, -b, c), (-a, -b, c)),
        _face(roof, (-a, tip, 1), (a, tip, 1), (a, ridge, 1), (-a, ridge, 1)),
    ]
    return _render(
        faces,
        view,
        cap=design.trim,
        cap_at=np.array([0, ridge + rise * 0.55, c * 0.55]),
        cap_radius=width * 0.13,
    )


def _brick(product: Product, width: int, height: int, depth: int) -> list[Face]:
    a, b, c = width / 2, height / 2, depth / 2
    top = Image.new("RGB", (width, depth), mix(product.design.main, product.design.accent, 0.2))
    side = back(product, depth, height)
    return [
        _face(top, (-a, -b, -c), (a, -b, -c), (a, -b, c), (-a, -b, c)),
        _face(side, (a, -b, c), (a, -b, -c), (a, b, -c), (a, b, c)),
        _face(side, (-a, -b, -c), (-a, -b, c), (-a, b, c), (-a, b, -c)),
        _face(front(product, width, height), (-a, -b, c), (a, -b, c), (a, b, c), (-a, b, c)),
    ]


def _face(sheet: Image.Image, *corners: tuple[float, float, float]) -> Face:
    return Face(np.array(corners, float), sheet)


def _render(
    faces: list[Face],
    view: View,
    cap: Colour | None = None,
    cap_at: np.ndarray | None = None,
    cap_radius: float = 0.0,
) -> Image.Image:
    """Project the faces that point at the camera, the farthest first; a cap is a short screw top."""
    spin = _rotation(view)
    size = max(float(np.abs(face.corners).max()) for face in faces)
    side = round(size * 3.4)
    picture = Image.new("RGBA", (side, side))
    for face in sorted(faces, key=lambda one: float((one.corners @ spin.T)[:, 2].mean())):
        turned_corners = face.corners @ spin.T
        normal = np.cross(turned_corners[1] - turned_corners[3], turned_corners[2] - turned_corners[0])
        normal /= np.linalg.norm(normal)
        target = _project(turned_corners, size, side)
        if _area(target) > 1:
            _paste_face(picture, face.sheet, target, _brightness(normal))
    if cap and cap_at is not None:
        _screw_cap(picture, _project((cap_at @ spin.T)[None], size, side)[0], cap_radius, cap)
    return picture


def _rotation(view: View) -> np.ndarray:
    """Return the rotation of a view, (3, 3): x to the right, y down, z towards the camera."""
    yaw, pitch = radians(view.yaw), radians(view.pitch)
    about_y = np.array([[cos(yaw), 0, sin(yaw)], [0, 1, 0], [-sin(yaw), 0, cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, cos(pitch), sin(pitch)], [0, -sin(pitch), cos(pitch)]])
    return about_x @ about_y


def _project(corners: np.ndarray, size: float, side: int) -> Points:
    """Project (N, 3) corners onto the picture, by a pinhole nine half-sizes away."""
    near = 9 * size / (9 * size - corners[:, 2])
    return [(float(x), float(y)) for x, y in corners[:, :2] * near[:, None] + side / 2]


def _area(points: Points) -> float:
    """Return twice the area, positive if the points run clockwise on the screen."""
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True))


def _brightness(normal: np.ndarray) -> float:
    """Return how much light from the upper left front reaches a face with this (3,) normal."""
    toward = normal if normal[2] > 0 else -normal
    return float(0.52 + 0.5 * np.clip(toward @ np.array([-0.32, -0.5, 0.8]), 0, 1))


def _paste_face(picture: Image.Image, sheet: Image.Image, target: Points, brightness: float) -> None:
    """Warp a sheet into a quad, with a faint sheen; skip one pixel of its rim, for rounding."""
    xs, ys = [x for x, _ in target], [y for _, y in target]
    left, top = int(min(xs)) - 1, int(min(ys)) - 1
    area = (int(max(xs)) + 2 - left, int(max(ys)) + 2 - top)
    local = [(x - left, y - top) for x, y in target]
    w, h = sheet.width - 1, sheet.height - 1
    numbers = perspective_coefficients(local, [(1, 1), (w, 1), (w, h), (1, h)])
    lit = sheet.point(lambda value: min(255, int(value * brightness)))
    warped = lit.transform(area, Image.Transform.PERSPECTIVE, numbers, Image.Resampling.BILINEAR)
    warped.paste(WHITE, (0, 0), SHEEN.resize(area))
    mask = Image.new("L", area)
    ImageDraw.Draw(mask).polygon(local, fill=255)
    picture.paste(warped, (left, top), mask)


def _screw_cap(picture: Image.Image, middle: tuple[float, float], radius: float, colour: Colour) -> None:
    draw, (x, y) = ImageDraw.Draw(picture), middle
    tall = radius * 0.8
    draw.ellipse((x - radius, y - radius * 0.5, x + radius, y + radius * 0.5), fill=mix(colour, BLACK, 0.35))
    draw.rectangle((x - radius, y - tall, x + radius, y), fill=mix(colour, BLACK, 0.2))
    draw.rectangle((x - radius * 0.7, y - tall, x - radius * 0.3, y + radius * 0.4), fill=mix(colour, WHITE, 0.25))
    draw.ellipse((x - radius, y - tall - radius * 0.5, x + radius, y - tall + radius * 0.5), fill=colour)


def _pouch(product: Product, height: int, width: int, view: View) -> Image.Image:
    """Draw a filled bag: sealed ends, bulging middle, creased foil."""
    rng, lean = product.rng(9), sin(radians(view.yaw))
    light, shine = (
        part.repeat(2, axis=0).repeat(2, axis=1)[:height, :width, None]
        for part in _foil((height + 1) // 2, (width + 1) // 2, lean, rng)
    )
    u, v = np.linspace(-1, 1, width)[None], np.linspace(-1, 1, height)[:, None]
    waist = 1 - 0.05 * np.sqrt(1 - v**2) - 0.012 * np.sin(v * 9 + rng.uniform(0, 6))
    pixels = np.clip(np.asarray(front(product, width, height)) * light + shine, 0, 255).astype(np.uint8)
    flat = Image.fromarray(pixels)
    flat.putalpha(Image.fromarray((np.abs(u) < waist).astype(np.uint8) * 255))
    return flat.resize((max(8, round(width * cos(radians(view.yaw)))), height), Image.Resampling.BILINEAR)


def _foil(height: int, width: int, lean: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return light and shine on a filled bag, each (height, width) float32; lean is the sine of its yaw."""
    u, v = (
        np.linspace(-1, 1, width, dtype=np.float32)[None],
        np.linspace(-1, 1, height, dtype=np.float32)[:, None],
    )
    small = Image.fromarray(rng.standard_normal((14, 9), dtype=np.float32))
    creases = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))
    bulge = np.sqrt(np.maximum(1 - u**2, 0.001)) * (1 - v**4) * 0.9 + 0.035 * creases
    down, across = np.gradient(bulge, 2 / height, 2 / width)
    light = 0.92 - 0.2 * np.clip(across * (0.5 + lean) + down * 0.6, -1.6, 1.6)
    seal = 0.88 + 0.12 * np.sin(130 * v) + 0 * u
    shine = 70 * np.exp(-(((across + 0.55 + lean) / 0.22) ** 2)) * (np.abs(v) < 0.9)
    return np.where(np.abs(v) > 0.9, seal, light).astype(np.float32), shine.astype(np.float32)


def _hammer(product: Product, height: int, width: int, view: View) -> Image.Image:
    radius = round(width * 0.13)
    shaft = draw_turned_body(product, body_of(product), round(height * 0.9), radius, radians(view.yaw), 0.0)
    picture = Image.new("RGBA", (width, height))
    picture.alpha_composite(shaft, (round(width * 0.5 - shaft.width / 2), height - shaft.height))
    mask = Image.new("L", picture.size)
    ImageDraw.Draw(mask).polygon([(x * width, y * height) for x, y in HAMMER_HEAD], fill=255)
    steel = mix(STEEL, product.design.accent, 0.12) if product.index % 2 else (92, 96, 104)
    picture.paste(_bevelled(mask, steel, width * 0.05), (0, 0), mask)
    return picture.resize((max(8, round(width * cos(radians(view.yaw) * 0.7))), height))


def _wrench(product: Product, height: int, width: int, view: View) -> Image.Image:
    """Draw a combination wrench: an open jaw, a coloured grip, a ring."""
    mask = Image.new("L", (width, height))
    draw, middle = ImageDraw.Draw(mask), width / 2
    jaw, ring, half = width * 0.5, width * 0.4, width * 0.16
    draw.polygon(
        [
            (middle - half * 1.3, jaw),
            (middle + half * 1.3, jaw),
            (middle + half, height - ring),
            (middle - half, height - ring),
        ],
        fill=255,
    )
    draw.ellipse((middle - jaw, 0, middle + jaw, 2 * jaw), fill=255)
    draw.polygon(
        [
            (middle - jaw * 0.45, -1),
            (middle + jaw * 0.6, -1),
            (middle + jaw * 0.3, jaw * 1.1),
            (middle - jaw * 0.38, jaw * 0.95),
        ],
        fill=0,
    )
    draw.ellipse((middle - ring, height - 2 * ring, middle + ring, height - 1), fill=255)
    draw.regular_polygon((middle, height - ring, ring * 0.6), 6, 15, fill=0)
    picture = _bevelled(mask, STEEL if product.index % 2 else mix(STEEL, BLACK, 0.35), width * 0.06)
    grip = (
        round(middle - half * 0.86),
        round(height * 0.36),
        round(middle + half * 0.86),
        round(height * 0.72),
    )
    picture.paste(strip(product, grip[2] - grip[0], grip[3] - grip[1], product.design.tint), grip[:2])
    stamp = lettering(product.size, round(half * 3), round(jaw * 0.3), 0.03, 1.0, 0.0)
    picture.paste(mix(STEEL, BLACK, 0.65), (round(middle - stamp.width / 2), round(jaw * 1.3)), stamp)
    picture.putalpha(mask)
    return picture.resize((max(8, round(width * cos(radians(view.yaw) * 0.7))), height))


def _bevelled(mask: Image.Image, colour: Colour, depth_px: float) -> Image.Image:
    """Draw metal in the outline of a mask, its edges rounded off over depth_px; return RGB."""
    quarter = mask.reduce(4).filter(ImageFilter.GaussianBlur(depth_px / 4))
    level = np.asarray(quarter, np.float32) / 255
    down, across = np.gradient(level)
    tall, wide = level.shape
    streak = 0.05 * np.sin(np.arange(tall)[:, None] / tall * 14 + np.arange(wide)[None] / wide * 3)
    light = np.clip(0.92 + depth_px / 4 * (0.5 * across + 0.7 * down) + streak, 0.25, 1.5)
    pixels = np.clip(np.array(colour, np.float32) * light[..., None], 0, 255).astype(np.uint8)
    return Image.fromarray(pixels).resize(mask.size, Image.Resampling.BILINEAR)
