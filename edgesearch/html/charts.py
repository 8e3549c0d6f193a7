"""Draw charts as inline SVG: two axes with lines, dots and bars; the page's style sheet colours them by class.

Points are (x, y) in the units of the axes.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .markup import Markup, join, tag

WIDTH, HEIGHT = 460, 300  # px of the drawing; the page scales it to the space available
LEFT, RIGHT, TOP, BOTTOM = 56, 26, 32, 50
LETTER_PX, SAMPLE = 8.4, 22  # px; the mean letter of a key, and the length of its sample line
MAX_POINTS = 240  # of a line; more would fall on the same px
Point = tuple[float, float]


class Axis(NamedTuple):
    """The label, the range and the ticks, (value, text) each, of an axis."""

    label: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]


def share_axis(label: str) -> Axis:
    """Return an axis from 0% to 100%."""
    return Axis(label, 0, 1, [(part / 4, f"{part * 25}%") for part in range(5)])


def amount_axis(label: str, highest: float) -> Axis:
    """Return an axis from 0 to a round number of at least `highest`, which must be above 0."""
    step = 10 ** math.floor(math.log10(highest / 2))
    step *= next(times for times in (1, 2, 5, 10, 20) if step * times * 5 >= highest)
    count = math.ceil(highest / step)
    return Axis(label, 0, step * count, [(step * n, f"{step * n:g}") for n in range(count + 1)])


class Plot:
    """A chart: draw into it, then take its `svg`."""

    def __init__(self, x: Axis, y: Axis, height: int = HEIGHT, left: int = LEFT):
        """Draw the axes; height, left: px, the latter for the texts of the y axis."""
        self._x, self._y, self._height, self._left = x, y, height, left
        self._marks = [*self._grid()]

    def line(self, points: Iterable[Point], kind: str) -> None:
        """Draw straight lines from point to point; kind: a class of the style sheet."""
        positions = [self._to_px(*point) for point in _thin_out(list(points))]
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in positions)
        self._marks.append(tag("path", d=path, class_=f"line {kind}"))

    def dot(self, point: Point, kind: str, radius: float = 5) -> None:
        """Draw a dot; radius: px."""
        x, y = self._to_px(*point)
        self._marks.append(tag("circle", cx=x, cy=y, r=float(radius), class_=f"dot {kind}"))

    def bar(self, one: Point, other: Point, kind: str) -> None:
        """Draw a rectangle between two opposite corners."""
        (x, y), (u, v) = self._to_px(*one), self._to_px(*other)
        self._marks.append(
            tag("rect", x=min(x, u), y=min(y, v), width=abs(u - x), height=abs(v - y), class_=f"bar {kind}")
        )

    def text(self, point: Point, text: str, kind: str = "", by: Point = (0, 0), anchor: str = "start") -> None:
        """Write a text; by: px to the right and down; anchor: which end of the text is at the point."""
        x, y = self._to_px(*point)
        self._marks.append(tag("text", text, x=x + by[0], y=y + by[1], text_anchor=anchor, class_=f"label {kind}"))

    def key(self, *named: tuple[str, str]) -> None:
        """Explain kinds of lines, (kind, text) each, above the plot, where there is always space."""
        x = self._left + 6.0
        for kind, text in named:
            self._marks.append(tag("path", d=f"M{x:.1f} 12h{SAMPLE}", class_=f"line {kind}"))
            self._marks.append(tag("text", text, x=x + SAMPLE + 5, y=16, class_=f"label {kind}"))
            x += SAMPLE + 17 + LETTER_PX * len(text)

    def svg(self, label: str) -> Markup:
        """Return the chart; label: what it shows, for people who cannot see it."""
        return tag("svg", *self._marks, viewBox=f"0 0 {WIDTH} {self._height}", role="img", aria_label=label)

    def _to_px(self, x: float, y: float) -> Point:
        across = (x - self._x.low) / (self._x.high - self._x.low)
        up = (y - self._y.low) / (self._y.high - self._y.low)
        bottom = self._height - BOTTOM
        return self._left + across * (WIDTH - RIGHT - self._left), bottom - up * (bottom - TOP)

    def _grid(self) -> Iterable[Markup]:
        left, bottom = self._to_px(self._x.low, self._y.low)
        right, _ = self._to_px(self._x.high, self._y.high)
        for value, text in self._y.ticks:
            _, y = self._to_px(self._x.low, value)
            yield tag("path", d=f"M{left:.1f} {y:.1f}H{right:.1f}", class_="grid")
            yield tag("text", text, x=left - 8, y=y + 4, text_anchor="end", class_="tick")
        for value, text in self._x.ticks:
            x, _ = self._to_px(value, self._y.low)
            yield tag("path", d=f"M{x:.1f} {bottom:.1f}v5", class_="grid")
            yield tag("text", text, x=x, y=bottom + 19, text_anchor="middle", class_="tick")
        yield tag("text", self._x.label, x=(left + right) / 2, y=bottom + 42, text_anchor="middle", class_="axis")
        yield tag("text", self._y.label, x=0.0, y=16, class_="axis")


def polygon_overlay(corners: Sequence[Point]) -> Markup:
    """Return a polygon to lay over a picture; empty without corners.

    Args:    corners: in shares of the picture's width and height.
    """
    points = " ".join(f"{x:.4f},{y:.4f}" for x, y in corners)
    outline = tag("polygon", points=points, vector_effect="non-scaling-stroke")
    frame = {"viewBox": "0 0 1 1", "preserveAspectRatio": "none", "aria-hidden": "true", "class": "outline"}
    return tag("svg", outline, **frame) if corners else join()


def _thin_out(points: list[Point]) -> list[Point]:
    step = max(1, math.ceil(len(points) / MAX_POINTS))
    return [*points[:-1:step], points[-1]]
