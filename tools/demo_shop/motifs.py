"""Draw small illustrations for labels: fruit, leaves, fish, gears, mountains."""

from collections.abc import Callable, Sequence
from math import cos, pi, sin

from PIL import Image, ImageDraw

from .products import Colour, mix

WHITE, BLACK, GREEN, BROWN = (255, 255, 255), (20, 20, 24), (74, 140, 58), (110, 72, 44)
Point = tuple[float, float]


class Pen:
    """A pen that draws in the unit square, (0, 0) top left, on an RGBA picture of side_px."""

    def __init__(self, side_px: int) -> None:
        self.image = Image.new("RGBA", (side_px, side_px))
        self._draw = ImageDraw.Draw(self.image)
        self._side = side_px

    def disc(self, x: float, y: float, rx: float, colour: Colour, ry: float | None = None) -> None:
        """Draw an ellipse around (x, y)."""
        ry = rx if ry is None else ry
        box = [(x - rx) * self._side, (y - ry) * self._side, (x + rx) * self._side, (y + ry) * self._side]
        self._draw.ellipse(box, fill=colour)

    def ball(self, x: float, y: float, rx: float, colour: Colour, ry: float | None = None) -> None:
        """Draw a shaded ellipse: dark rim, light spot."""
        ry = rx if ry is None else ry
        self.disc(x, y, rx, mix(colour, BLACK, 0.25), ry)
        self.disc(x - 0.06 * rx, y - 0.06 * ry, rx * 0.92, colour, ry * 0.92)
        self.disc(x - 0.3 * rx, y - 0.35 * ry, rx * 0.35, mix(colour, WHITE, 0.35), ry * 0.3)

    def shape(self, points: Sequence[Point], colour: Colour) -> None:
        """Draw a filled polygon."""
        self._draw.polygon([(x * self._side, y * self._side) for x, y in points], fill=colour)

    def line(self, points: Sequence[Point], colour: Colour, width: float = 0.03) -> None:
        """Draw an open line with round joints."""
        pixels = [(x * self._side, y * self._side) for x, y in points]
        self._draw.line(pixels, fill=colour, width=max(1, round(width * self._side)), joint="curve")

    def leaf(self, x: float, y: float, length: float, angle: float, colour: Colour = GREEN) -> None:
        """Draw a leaf from its stalk at (x, y); angle in radians, 0 to the right."""
        across, along = (-sin(angle), cos(angle)), (cos(angle), sin(angle))
        steps = [k / 8 for k in range(9)]
        for side, shade in ((1, colour), (-1, mix(colour, BLACK, 0.2))):
            bulge = [side * 0.28 * length * sin(pi * t) for t in steps]
            curve = [
                (x + along[0] * length * t + across[0] * b, y + along[1] * length * t + across[1] * b)
                for t, b in zip(steps, bulge, strict=True)
            ]
            self.shape(curve, shade)


def motif(name: str, colour: Colour, side_px: int) -> Image.Image:
    """Draw a motif as RGBA, side_px x side_px."""
    pen = Pen(side_px)
    MOTIFS[name](pen, colour)
    return pen.image


def _ring(points: int, outer: float, inner: float, turn: float = 0.0) -> list[Point]:
    """Return the corners of a star around the centre, with `points` tips."""
    radii = [outer if k % 2 == 0 else inner for k in range(2 * points)]
    return [(0.5 + r * cos(turn + pi * k / points), 0.5 + r * sin(turn + pi * k / points)) for k, r in enumerate(radii)]


def _apple(pen: Pen, colour: Colour) -> None:
    pen.ball(0.38, 0.6, 0.27, colour, 0.32)
    pen.ball(0.62, 0.6, 0.27, colour, 0.32)
    pen.disc(0.5, 0.62, 0.2, colour, 0.27)
    pen.line([(0.5, 0.34), (0.54, 0.14)], BROWN, 0.04)
    pen.leaf(0.54, 0.24, 0.3, -0.4)


def _peach(pen: Pen, colour: Colour) -> None:
    pen.ball(0.5, 0.58, 0.36, colour)
    pen.disc(0.62, 0.62, 0.2, mix(colour, (214, 60, 50), 0.4), 0.24)
    pen.line([(0.52, 0.24), (0.44, 0.45), (0.46, 0.7)], mix(colour, BLACK, 0.25), 0.02)
    pen.leaf(0.5, 0.24, 0.32, -0.3)


def _citrus(pen: Pen, colour: Colour) -> None:
    pen.disc(0.5, 0.5, 0.42, colour)
    pen.disc(0.5, 0.5, 0.37, mix(colour, WHITE, 0.8))
    for k in range(8):
        a, b = 2 * pi * (k + 0.08) / 8, 2 * pi * (k + 0.92) / 8
        tips = [(0.5 + r * cos(t), 0.5 + r * sin(t)) for r, t in ((0.05, a), (0.33, a), (0.35, (a + b) / 2), (0.33, b))]
        pen.shape(tips, mix(colour, WHITE, 0.15))


def _lemon(pen: Pen, colour: Colour) -> None:
    pen.shape([(0.06, 0.55), (0.24, 0.42), (0.24, 0.68)], mix(colour, BLACK, 0.1))
    pen.shape([(0.94, 0.55), (0.76, 0.42), (0.76, 0.68)], mix(colour, BLACK, 0.1))
    pen.ball(0.5, 0.55, 0.36, colour, 0.27)
    pen.leaf(0.5, 0.3, 0.32, -0.6)


def _strawberry(pen: Pen, colour: Colour) -> None:
    pen.shape([(0.18, 0.36), (0.5, 0.95), (0.82, 0.36)], colour)
    pen.disc(0.34, 0.42, 0.18, colour)
    pen.disc(0.66, 0.42, 0.18, colour)
    for x, y in ((0.35, 0.45), (0.5, 0.42), (0.65, 0.45), (0.42, 0.58), (0.58, 0.58), (0.5, 0.73)):
        pen.disc(x, y, 0.02, (250, 220, 130), 0.03)
    for angle in (-2.6, -2.0, -1.2, -0.5):
        pen.leaf(0.5, 0.32, 0.26, angle)


def _cherry(pen: Pen, colour: Colour) -> None:
    pen.line([(0.3, 0.66), (0.42, 0.32), (0.6, 0.12)], GREEN, 0.03)
    pen.line([(0.7, 0.72), (0.66, 0.4), (0.6, 0.12)], GREEN, 0.03)
    pen.ball(0.3, 0.7, 0.2, colour)
    pen.ball(0.7, 0.74, 0.2, colour)
    pen.leaf(0.6, 0.14, 0.34, 0.3)


def _berries(pen: Pen, colour: Colour) -> None:
    pen.leaf(0.5, 0.36, 0.4, -0.7)
    pen.leaf(0.5, 0.36, 0.4, -2.4)
    for x, y in ((0.5, 0.4), (0.3, 0.58), (0.7, 0.58), (0.5, 0.72)):
        pen.ball(x, y, 0.19, colour)
        pen.shape([(x + 0.05 * px, y + 0.05 * py) for px, py in ((-1, 0), (0, -1), (1, 0), (0, 1))], BLACK)


def _grape(pen: Pen, colour: Colour) -> None:
    pen.leaf(0.5, 0.2, 0.4, -0.3)
    for row, count in enumerate((4, 3, 3, 2, 1)):
        for k in range(count):
            pen.ball(0.5 + (k - (count - 1) / 2) * 0.19, 0.3 + row * 0.145, 0.105, colour)


def _tomato(pen: Pen, colour: Colour) -> None:
    pen.ball(0.5, 0.58, 0.4, colour, 0.34)
    for angle in (-2.9, -2.1, -1.0, -0.2, 1.5):
        pen.leaf(0.5, 0.28, 0.22, angle)


def _chili(pen: Pen, colour: Colour) -> None:
    pen.shape([(0.26, 0.2), (0.46, 0.18), (0.62, 0.5), (0.9, 0.86), (0.5, 0.72), (0.3, 0.48)], colour)
    pen.line([(0.36, 0.28), (0.48, 0.54), (0.66, 0.7)], mix(colour, WHITE, 0.45), 0.03)
    pen.disc(0.36, 0.2, 0.12, GREEN, 0.06)
    pen.line([(0.36, 0.18), (0.3, 0.04)], GREEN, 0.05)


def _mushroom(pen: Pen, colour: Colour) -> None:
    pen.ball(0.5, 0.7, 0.13, (240, 230, 210), 0.24)
    pen.ball(0.5, 0.42, 0.4, colour, 0.28)
    pen.disc(0.5, 0.6, 0.36, (240, 230, 210), 0.07)
    for x, y in ((0.34, 0.36), (0.56, 0.28), (0.66, 0.44)):
        pen.disc(x, y, 0.05, mix(colour, WHITE, 0.6), 0.04)


def _olive(pen: Pen, colour: Colour) -> None:
    pen.line([(0.1, 0.2), (0.5, 0.26), (0.9, 0.16)], BROWN, 0.03)
    for x, angle in ((0.3, 2.4), (0.55, 0.6), (0.75, -0.5), (0.3, -0.7)):
        pen.leaf(x, 0.24, 0.32, angle)
    pen.ball(0.4, 0.62, 0.17, colour, 0.22)
    pen.ball(0.68, 0.66, 0.16, mix(colour, BLACK, 0.3), 0.21)


def _peas(pen: Pen, colour: Colour) -> None:
    pen.shape(
        [(0.04, 0.42), (0.3, 0.7), (0.7, 0.7), (0.96, 0.42), (0.7, 0.46), (0.3, 0.46)],
        mix(colour, BLACK, 0.3),
    )
    for k in range(5):
        pen.ball(0.22 + 0.14 * k, 0.54 + 0.03 * (k in (1, 2, 3)), 0.085, mix(colour, WHITE, 0.1))


def _leaf(pen: Pen, colour: Colour) -> None:
    pen.leaf(0.5, 0.92, 0.85, -pi / 2, colour)
    pen.leaf(0.5, 0.9, 0.6, -2.5, mix(colour, WHITE, 0.15))
    pen.leaf(0.5, 0.9, 0.6, -0.64, mix(colour, BLACK, 0.1))


def _flower(pen: Pen, colour: Colour) -> None:
    pen.line([(0.5, 0.5), (0.5, 0.96)], GREEN, 0.035)
    pen.leaf(0.5, 0.9, 0.3, -0.6)
    for k in range(9):
        angle = 2 * pi * k / 9
        pen.ball(0.5 + 0.22 * cos(angle), 0.38 + 0.22 * sin(angle), 0.12, mix(colour, WHITE, 0.3))
    pen.ball(0.5, 0.38, 0.13, (240, 180, 40))


def _bean(pen: Pen, colour: Colour) -> None:
    for x, y in ((0.32, 0.36), (0.66, 0.42), (0.46, 0.72)):
        pen.ball(x, y, 0.19, mix(colour, BROWN, 0.4), 0.24)
        pen.line([(x + 0.03, y - 0.22), (x - 0.04, y), (x + 0.04, y + 0.21)], mix(colour, BLACK, 0.7), 0.025)


def _cup(pen: Pen, colour: Colour) -> None:
    pen.disc(0.78, 0.56, 0.15, WHITE)
    pen.disc(0.78, 0.56, 0.09, mix(colour, BLACK, 0.3))
    pen.shape([(0.2, 0.42), (0.8, 0.42), (0.68, 0.82), (0.32, 0.82)], WHITE)
    pen.disc(0.5, 0.42, 0.3, (225, 225, 225), 0.08)
    pen.disc(0.5, 0.43, 0.26, mix(colour, BLACK, 0.2), 0.06)
    pen.disc(0.5, 0.87, 0.4, (235, 235, 235), 0.05)
    for x in (0.4, 0.56):
        pen.line([(x, 0.3), (x + 0.05, 0.22), (x - 0.02, 0.14), (x + 0.03, 0.05)], (230, 230, 230), 0.03)


def _wheat(pen: Pen, colour: Colour) -> None:
    gold = mix(colour, (226, 172, 60), 0.6)
    for lean in (-0.22, 0.0, 0.22):
        pen.line([(0.5, 0.98), (0.5 + lean, 0.3)], mix(gold, BLACK, 0.2), 0.02)
        for k in range(5):
            x, y = 0.5 + lean * (1 - 0.12 * k), 0.3 + 0.09 * k
            pen.leaf(x, y, 0.17, -0.9 + lean, gold)
            pen.leaf(x, y, 0.17, -2.2 + lean, gold)
        pen.leaf(0.5 + lean, 0.3, 0.2, -pi / 2 + lean, gold)


def _nut(pen: Pen, colour: Colour) -> None:
    for x, y, r in ((0.36, 0.58, 0.26), (0.68, 0.66, 0.22)):
        pen.ball(x, y, r, colour, r * 1.05)
        pen.disc(x, y - r * 0.6, r * 0.75, mix(colour, WHITE, 0.55), r * 0.4)
    pen.leaf(0.5, 0.3, 0.36, -0.5)


def _fish(pen: Pen, colour: Colour) -> None:
    silver = mix(colour, (190, 205, 215), 0.45)
    pen.shape([(0.68, 0.5), (0.98, 0.28), (0.92, 0.5), (0.98, 0.74)], mix(silver, BLACK, 0.25))
    pen.shape([(0.36, 0.36), (0.5, 0.2), (0.62, 0.38)], mix(silver, BLACK, 0.25))
    pen.ball(0.42, 0.5, 0.38, silver, 0.2)
    pen.disc(0.18, 0.46, 0.04, WHITE)
    pen.disc(0.18, 0.46, 0.02, BLACK)
    for x in (0.36, 0.48, 0.6):
        pen.line([(x, 0.4), (x + 0.04, 0.5), (x, 0.6)], mix(silver, BLACK, 0.3), 0.015)


def _wave(pen: Pen, colour: Colour) -> None:
    for row, shade in enumerate((0.45, 0.2, 0.0)):
        top = [(k / 24, 0.4 + 0.18 * row + 0.07 * sin(k / 24 * 4 * pi + row * 1.7)) for k in range(25)]
        pen.shape([*top, (1, 0.95), (0, 0.95)], mix(colour, WHITE, shade))
    pen.disc(0.72, 0.2, 0.12, (250, 215, 110))


def _tree(pen: Pen, colour: Colour) -> None:
    for x, y, s in ((0.24, 0.2, 0.7), (0.76, 0.26, 0.66), (0.5, 0.05, 0.9)):
        pen.line([(x, y + 0.7 * s), (x, y + s)], BROWN, 0.05)
        for tier in range(3):
            top, half = y + 0.2 * s * tier, (0.13 + 0.07 * tier) * s
            pen.shape(
                [(x, top), (x + half, top + 0.36 * s), (x - half, top + 0.36 * s)],
                mix(colour, BLACK, 0.08 * tier),
            )


def _gear(pen: Pen, colour: Colour) -> None:
    pen.shape(_ring(10, 0.46, 0.34, 0.1), mix(colour, (130, 136, 144), 0.5))
    pen.disc(0.5, 0.5, 0.34, mix(colour, (150, 156, 164), 0.3))
    pen.disc(0.5, 0.5, 0.14, WHITE)


def _screw(pen: Pen, colour: Colour) -> None:
    for x in (0.3, 0.66):
        pen.shape([(x - 0.06, 0.2), (x + 0.06, 0.2), (x + 0.05, 0.82), (x, 0.96), (x - 0.05, 0.82)], colour)
        for k in range(7):
            pen.line([(x - 0.09, 0.36 + 0.07 * k), (x + 0.09, 0.32 + 0.07 * k)], mix(colour, BLACK, 0.4), 0.02)
        pen.ball(x, 0.16, 0.16, mix(colour, WHITE, 0.2), 0.1)
        pen.line([(x - 0.09, 0.15), (x + 0.09, 0.15)], BLACK, 0.025)


def _bulb(pen: Pen, colour: Colour) -> None:
    pen.shape([(0.34, 0.56), (0.66, 0.56), (0.6, 0.76), (0.4, 0.76)], mix(colour, WHITE, 0.5))
    pen.ball(0.5, 0.38, 0.3, mix(colour, WHITE, 0.45))
    for k in range(3):
        pen.line([(0.39, 0.79 + 0.06 * k), (0.61, 0.77 + 0.06 * k)], (120, 124, 130), 0.05)
    pen.line([(0.4, 0.56), (0.44, 0.36), (0.5, 0.46), (0.56, 0.36), (0.6, 0.56)], mix(colour, BLACK, 0.2), 0.025)


def _sun(pen: Pen, colour: Colour) -> None:
    pen.shape(_ring(14, 0.48, 0.3), mix(colour, (250, 200, 60), 0.5))
    pen.ball(0.5, 0.5, 0.26, mix(colour, (255, 225, 110), 0.7))


def _star(pen: Pen, colour: Colour) -> None:
    pen.shape(_ring(5, 0.48, 0.2, -pi / 2), mix(colour, (245, 205, 80), 0.55))
    pen.shape(_ring(5, 0.3, 0.12, -pi / 2), mix(colour, (255, 240, 190), 0.75))


def _house(pen: Pen, colour: Colour) -> None:
    pen.shape([(0.2, 0.45), (0.8, 0.45), (0.8, 0.9), (0.2, 0.9)], colour)
    pen.shape([(0.1, 0.48), (0.5, 0.12), (0.9, 0.48)], mix(colour, BLACK, 0.5))
    pen.shape([(0.44, 0.62), (0.58, 0.62), (0.58, 0.9), (0.44, 0.9)], WHITE)
    for x in (0.26, 0.64):
        pen.shape([(x, 0.56), (x + 0.11, 0.56), (x + 0.11, 0.7), (x, 0.7)], (250, 225, 140))


def _drop(pen: Pen, colour: Colour) -> None:
    pen.shape([(0.5, 0.04), (0.76, 0.5), (0.5, 0.7), (0.24, 0.5)], colour)
    pen.ball(0.5, 0.62, 0.3, colour)


def _mountain(pen: Pen, colour: Colour) -> None:
    pen.disc(0.74, 0.26, 0.13, (248, 208, 96))
    for x, y, half, shade in ((0.68, 0.34, 0.32, 0.3), (0.36, 0.14, 0.36, 0.0)):
        pen.shape([(x, y), (x + half, 0.9), (x - half, 0.9)], mix(colour, BLACK, shade))
        cap = [(x, y), (x + 0.3 * half, y + 0.24), (x, y + 0.18), (x - 0.12, y + 0.26), (x - 0.1, y + 0.2)]
        pen.shape(cap, WHITE)
    pen.disc(0.5, 0.95, 0.48, GREEN, 0.1)


def _honeycomb(pen: Pen, colour: Colour) -> None:
    for x, y in ((0.32, 0.34), (0.68, 0.34), (0.5, 0.62), (0.14, 0.62), (0.86, 0.62), (0.32, 0.88)):
        for size, shade in ((0.2, mix(colour, BLACK, 0.3)), (0.16, mix(colour, WHITE, 0.15))):
            pen.shape(
                [(x + size * cos(pi * k / 3 + pi / 6), y + size * sin(pi * k / 3 + pi / 6)) for k in range(6)],
                shade,
            )


MOTIFS: dict[str, Callable[[Pen, Colour], None]] = {
    "apple": _apple,
    "peach": _peach,
    "citrus": _citrus,
    "lemon": _lemon,
    "strawberry": _strawberry,
    "cherry": _cherry,
    "berries": _berries,
    "grape": _grape,
    "tomato": _tomato,
    "chili": _chili,
    "mushroom": _mushroom,
    "olive": _olive,
    "peas": _peas,
    "leaf": _leaf,
    "flower": _flower,
    "bean": _bean,
    "cup": _cup,
    "wheat": _wheat,
    "nut": _nut,
    "fish": _fish,
    "wave": _wave,
    "tree": _tree,
    "gear": _gear,
    "screw": _screw,
    "bulb": _bulb,
    "sun": _sun,
    "star": _star,
    "house": _house,
    "drop": _drop,
    "mountain": _mountain,
    "honeycomb": _honeycomb,
}
