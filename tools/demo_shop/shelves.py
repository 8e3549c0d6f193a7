"""Draw the surroundings of products: shelves with price rails, tables, soft shadows."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .cutouts import LYING, catalogue_view, draw_cutout, fit_within
from .labels import write
from .products import Colour, Product, mix, rgb
from .surfaces import Size, surface, wall

WHITE, DARK = (255, 255, 255), (14, 14, 18)
Position = tuple[int, int]  # left, top in pixels


class Shelving(NamedTuple):
    """Properties that all boards of a shelf share; lengths in pixels."""

    board: Image.Image
    rail_px: int
    rail: Colour
    usual_px: float  # usual height of the products on it

    @property
    def pitch_px(self) -> int:
        """The distance from one board to the next."""
        return round(self.usual_px * 1.2) + self.board.height + self.rail_px


def shelf(
    room: Size, cutout: Image.Image, position: Position, others: Sequence[Product], rng: np.random.Generator
) -> Image.Image:
    """Draw boards full of products, with a gap where the cut-out will stand."""
    scene, base = wall(room, rng), position[1] + cutout.height
    usual = max(cutout.height, 0.75 * cutout.width) * rng.uniform(0.8, 1.1)
    depth, rail = round(usual * rng.uniform(0.12, 0.3)), round(max(14, usual * rng.uniform(0.1, 0.16)))
    tone = rgb(rng.random(), rng.uniform(0, 0.5), rng.uniform(0.4, 0.95))
    shelving = Shelving(surface((room[0], depth), rng), rail, tone, usual)
    for level in (1, -1):
        _level(scene, shelving, base + level * shelving.pitch_px, others, rng, gap=(0, 0))
    _level(scene, shelving, base, others, rng, gap=(position[0], position[0] + cutout.width))
    return scene.filter(ImageFilter.BoxBlur(float(rng.uniform(0.3, 2.0))))


def table(
    room: Size, cutout: Image.Image, position: Position, others: Sequence[Product], rng: np.random.Generator
) -> Image.Image:
    """Draw a surface from above, with other products lying around the position of the cut-out."""
    scene = surface(room, rng)
    for _ in range(rng.integers(0, 5) if others else 0):
        other = others[int(rng.integers(len(others)))]
        side = max(cutout.size) * rng.uniform(0.6, 1.0)
        neighbour = fit_within(draw_cutout(other, catalogue_view(other)), side, side)
        neighbour = neighbour.rotate(rng.uniform(-180, 180), Image.Resampling.BILINEAR, expand=True)
        away = (cutout.width + neighbour.width) / 2 * rng.uniform(0.8, 1.1) * rng.choice([-1, 1])
        middle = (position[0] + cutout.width / 2 + away, rng.uniform(0.1, 0.9) * room[1])
        corner = (round(middle[0] - neighbour.width / 2), round(middle[1] - neighbour.height / 2))
        shadow(scene, neighbour, corner, standing=False, strength=0.4)
        scene.paste(neighbour, corner, neighbour)
    return scene


def shadow(scene: Image.Image, cutout: Image.Image, position: Position, standing: bool, strength: float) -> None:
    """Draw a soft shadow: at the foot of a standing product, all around a lying one."""
    pad = max(8, round(0.12 * max(cutout.size)))
    w, h = cutout.width + 2 * pad, 2 * pad if standing else cutout.height + 2 * pad
    small = Image.new("L", (max(1, w // 4), max(1, h // 4)))
    if standing:
        foot = (pad * 0.9, pad * 0.72, w - pad * 0.8, pad * 1.12)
        ImageDraw.Draw(small).ellipse([value / 4 for value in foot], fill=255)
    else:
        alpha = cutout.getchannel("A").resize((max(1, cutout.width // 4), max(1, cutout.height // 4)))
        small.paste(alpha, (pad // 4 + pad // 12, pad // 4 + pad // 8))
    soft = small.filter(ImageFilter.GaussianBlur(pad / 14)).resize((w, h), Image.Resampling.BILINEAR)
    top = position[1] + cutout.height - pad if standing else position[1] - pad
    scene.paste(DARK, (position[0] - pad, top), soft.point(lambda value: int(value * strength)))


def _level(
    scene: Image.Image, shelving: Shelving, base: int, others: Sequence[Product], rng: np.random.Generator,
    gap: tuple[int, int],
) -> None:  # fmt: skip
    """Draw one board, the products behind and beside the gap, and the rail in front."""
    depth = shelving.board.height
    if base - 0.7 * shelving.usual_px > 0.9 * scene.height or base + depth + shelving.rail_px < 0.1 * scene.height:
        return
    back = base - depth // 2
    scene.paste(
        DARK,
        (0, back - depth),
        Image.linear_gradient("L").resize((scene.width, depth)).point(lambda value: value // 2),
    )
    scene.paste(shelving.board, (0, back))
    front = back + depth
    if gap[1]:
        _row(
            scene,
            others,
            rng,
            back + depth // 6,
            shelving.usual_px * 0.9,
            (0, 0),
            light=rng.uniform(0.4, 0.7),
        )
    _row(scene, others, rng, base, shelving.usual_px, gap, light=0.85 if gap[1] else 0.6)
    _rail(scene, shelving, front, others, rng)


def _row(
    scene: Image.Image, others: Sequence[Product], rng: np.random.Generator, base: int, height: float,
    gap: tuple[int, int], light: float,
) -> None:  # fmt: skip
    """Stand products side by side on the line `base`, outwards from both ends of a gap."""
    standing = [other for other in others if other.shape not in LYING]
    for step, x in ((-1, float(gap[0])), (1, float(gap[1]))):
        while standing and (x > 0 if step < 0 else x < scene.width):
            other = standing[int(rng.integers(len(standing)))]
            tall = height * rng.uniform(0.85, 1.1)
            neighbour = fit_within(draw_cutout(other, catalogue_view(other)), tall, tall)
            x += step * height * rng.uniform(0.02, 0.14)
            if rng.random() < 0.8:
                position = (round(x if step > 0 else x - neighbour.width), base - neighbour.height)
                shadow(scene, neighbour, position, standing=True, strength=0.4)
                scene.paste(neighbour.convert("RGB").point(lambda value: int(value * light)), position, neighbour)
            x += step * neighbour.width


def _rail(
    scene: Image.Image, shelving: Shelving, top: int, others: Sequence[Product], rng: np.random.Generator
) -> None:
    """Draw the front edge of the board with price tags, and the dark below it."""
    draw, tall, wide = ImageDraw.Draw(scene), shelving.rail_px, scene.width
    draw.rectangle((0, top, wide, top + tall), fill=shelving.rail)
    draw.line([(0, top), (wide, top)], fill=mix(shelving.rail, WHITE, 0.5), width=2)
    dusk = Image.linear_gradient("L").rotate(180).resize((wide, shelving.pitch_px // 2))
    scene.paste(DARK, (0, top + tall), dusk.point(lambda value: value * 3 // 4))
    for slot, other in enumerate(others[:4]):
        left, high = wide * (slot + rng.uniform(0.05, 0.6)) / 4, tall - 4
        card = Image.new("RGB", (round(high * 1.9), high), (250, 248, 240) if rng.random() < 0.7 else (250, 222, 60))
        write(card, (0.06, 0.1, 0.94, 0.9), f"{other.price:.2f}", 0.03, 1.0)
        scene.paste(card, (round(left), top + 2))
