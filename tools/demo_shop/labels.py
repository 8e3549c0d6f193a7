"""Draw what is printed on a package: its front, back and narrow strip, as flat RGB sheets."""

from functools import lru_cache
from math import cos, pi, sin
from textwrap import fill
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageStat

from .ean13_bars import ean13_modules
from .motifs import motif
from .patterns import paint_pattern
from .products import Colour, LabelDesign, Product, mix

Box = tuple[float, float, float, float]  # left, top, right, bottom, as shares of the sheet
WHITE, INK = (255, 255, 255), (28, 28, 34)
QUIET_MODULES = 9  # white at each side of a barcode


class Layout(NamedTuple):
    """The arrangement of a front; fields are painted first, in order."""

    fields: tuple[tuple[str, str, Box], ...]  # (colour of the LabelDesign, "box" or "oval", area)
    brand: Box
    motif: Box
    noun: Box
    variant: Box
    size: Box
    small: Box | None = None  # the small print


TALL = {
    "classic": Layout(
        (("accent", "box", (0, 0.68, 1, 0.9)),),
        (0.12, 0.05, 0.88, 0.22), (0.14, 0.25, 0.86, 0.66), (0.12, 0.7, 0.88, 0.8), (0.2, 0.815, 0.8, 0.88),
        (0.55, 0.92, 0.9, 0.97),
    ),
    "band": Layout(
        (("paper", "box", (0, 0.3, 1, 0.58)),
         ("accent", "box", (0, 0.3, 1, 0.315)), ("accent", "box", (0, 0.565, 1, 0.58))),
        (0.12, 0.07, 0.88, 0.26), (0.18, 0.6, 0.82, 0.94), (0.1, 0.34, 0.9, 0.47), (0.16, 0.48, 0.84, 0.55),
        (0.64, 0.94, 0.94, 0.985),
    ),
    "medal": Layout(
        (("accent", "oval", (0.07, 0.15, 0.93, 0.74)), ("paper", "oval", (0.1, 0.17, 0.9, 0.72))),
        (0.2, 0.27, 0.8, 0.39), (0.3, 0.41, 0.7, 0.68), (0.12, 0.77, 0.88, 0.87), (0.18, 0.885, 0.82, 0.94),
        (0.35, 0.05, 0.65, 0.1),
    ),
    "split": Layout(
        (("paper", "box", (0, 0.56, 1, 1)), ("accent", "box", (0, 0.55, 1, 0.57))),
        (0.12, 0.6, 0.88, 0.72), (0.12, 0.06, 0.88, 0.52), (0.12, 0.75, 0.88, 0.84), (0.12, 0.855, 0.7, 0.92),
        (0.62, 0.93, 0.9, 0.975),
    ),
    "poster": Layout(
        (("paper", "box", (0.08, 0.06, 0.92, 0.48)),),
        (0.14, 0.08, 0.86, 0.18), (0.08, 0.5, 0.92, 0.94), (0.13, 0.2, 0.87, 0.37), (0.18, 0.385, 0.82, 0.45),
        (0.1, 0.93, 0.4, 0.98),
    ),
    "column": Layout(
        (("paper", "box", (0.14, 0, 0.86, 1)), ("accent", "box", (0.14, 0, 0.86, 0.2))),
        (0.18, 0.05, 0.82, 0.17), (0.2, 0.4, 0.8, 0.8), (0.18, 0.23, 0.82, 0.33), (0.2, 0.335, 0.8, 0.39),
        (0.35, 0.87, 0.65, 0.92),
    ),
    "stack": Layout(
        (("paper", "box", (0.05, 0.42, 0.95, 0.97)),),
        (0.12, 0.05, 0.88, 0.18), (0.2, 0.2, 0.8, 0.41), (0.1, 0.44, 0.9, 0.56), (0.1, 0.58, 0.9, 0.72),
        (0.24, 0.74, 0.76, 0.85), (0.08, 0.87, 0.92, 0.96),
    ),
    "belt": Layout(
        (("accent", "box", (0, 0.35, 1, 0.55)),),
        (0.12, 0.04, 0.88, 0.17), (0.06, 0.58, 0.48, 0.86), (0.1, 0.2, 0.9, 0.33), (0.07, 0.38, 0.93, 0.53),
        (0.5, 0.66, 0.95, 0.74), (0.08, 0.88, 0.92, 0.97),
    ),
    "letter": Layout(
        (("paper", "box", (0.06, 0.04, 0.94, 0.62)),),
        (0.14, 0.07, 0.86, 0.2), (0.15, 0.65, 0.85, 0.87), (0.11, 0.22, 0.89, 0.33), (0.1, 0.35, 0.9, 0.48),
        (0.2, 0.5, 0.8, 0.59), (0.08, 0.89, 0.92, 0.97),
    ),
    "wrap": Layout(
        (("paper", "box", (0.1, 0.04, 0.9, 0.97)),),
        (0.17, 0.07, 0.83, 0.2), (0.28, 0.22, 0.72, 0.42), (0.17, 0.44, 0.83, 0.56), (0.16, 0.58, 0.84, 0.72),
        (0.3, 0.74, 0.7, 0.84), (0.17, 0.87, 0.83, 0.96),
    ),
    "ring": Layout(
        (("accent", "box", (0, 0.38, 1, 0.58)),),
        (0.17, 0.05, 0.83, 0.18), (0.3, 0.73, 0.7, 0.87), (0.17, 0.21, 0.83, 0.36), (0.16, 0.4, 0.84, 0.56),
        (0.25, 0.61, 0.75, 0.7), (0.17, 0.89, 0.83, 0.97),
    ),
}  # fmt: skip

WIDE = {
    "classic": Layout(
        (("accent", "box", (0.42, 0.5, 1, 0.84)),),
        (0.45, 0.08, 0.92, 0.44), (0.07, 0.1, 0.41, 0.9), (0.46, 0.53, 0.92, 0.7), (0.46, 0.71, 0.86, 0.82),
        (0.7, 0.87, 0.92, 0.96),
    ),
    "band": Layout(
        (("paper", "box", (0, 0.55, 1, 0.86)), ("accent", "box", (0, 0.53, 1, 0.57))),
        (0.08, 0.12, 0.6, 0.46), (0.64, 0.1, 0.93, 0.92), (0.08, 0.6, 0.6, 0.74), (0.08, 0.75, 0.5, 0.84),
        (0.08, 0.88, 0.3, 0.97),
    ),
    "medal": Layout(
        (("accent", "oval", (0.3, 0.05, 0.98, 0.95)), ("paper", "oval", (0.32, 0.08, 0.96, 0.92))),
        (0.42, 0.2, 0.86, 0.44), (0.03, 0.14, 0.33, 0.86), (0.4, 0.48, 0.88, 0.65), (0.44, 0.67, 0.84, 0.77),
        (0.56, 0.79, 0.72, 0.87),
    ),
    "split": Layout(
        (("paper", "box", (0.5, 0, 1, 1)), ("accent", "box", (0.49, 0, 0.51, 1))),
        (0.54, 0.1, 0.96, 0.38), (0.06, 0.08, 0.46, 0.92), (0.54, 0.45, 0.96, 0.64), (0.54, 0.66, 0.9, 0.78),
        (0.74, 0.85, 0.95, 0.94),
    ),
    "stack": Layout(
        (("paper", "box", (0.35, 0.04, 0.98, 0.96)),),
        (0.4, 0.1, 0.93, 0.28), (0.03, 0.1, 0.33, 0.9), (0.38, 0.32, 0.95, 0.47), (0.38, 0.49, 0.95, 0.66),
        (0.46, 0.68, 0.87, 0.81), (0.38, 0.83, 0.95, 0.94),
    ),
    "belt": Layout(
        (("accent", "box", (0, 0.34, 1, 0.6)),),
        (0.06, 0.08, 0.48, 0.28), (0.04, 0.63, 0.28, 0.96), (0.54, 0.08, 0.96, 0.3), (0.06, 0.38, 0.94, 0.57),
        (0.3, 0.65, 0.6, 0.92), (0.63, 0.66, 0.96, 0.93),
    ),
    "wrap": Layout(
        (("paper", "box", (0.14, 0.03, 0.86, 0.97)),),
        (0.19, 0.06, 0.81, 0.22), (0.0, 0.2, 0.13, 0.8), (0.18, 0.25, 0.82, 0.42), (0.17, 0.44, 0.83, 0.64),
        (0.32, 0.66, 0.68, 0.82), (0.19, 0.85, 0.81, 0.95),
    ),
    "ring": Layout(
        (("accent", "box", (0, 0.4, 1, 0.66)),),
        (0.21, 0.06, 0.81, 0.2), (0.02, 0.02, 0.2, 0.38), (0.18, 0.23, 0.82, 0.38), (0.17, 0.43, 0.83, 0.64),
        (0.34, 0.69, 0.66, 0.83), (0.19, 0.86, 0.81, 0.96),
    ),
}  # fmt: skip
MARGINS = {
    "oval": (0.12, 0.2), "bar": (0.12, 0.2), "frame": (0.12, 0.2),
    "ribbon": (0.06, 0.18), "shield": (0.08, 0.12), "rule": (0.0, 0.1),
}  # fmt: skip
PICTURED = ("mug", "flask")  # no packages: a picture and a word, nothing to sell
WIDE |= {"poster": WIDE["split"], "column": WIDE["classic"], "letter": WIDE["stack"]}


@lru_cache(maxsize=48)
def front(product: Product, width_px: int, height_px: int) -> Image.Image:
    """Draw the side that faces the customer."""
    design = product.design
    sheet = ground(product, width_px, height_px)
    if product.shape in PICTURED:
        _motifs(sheet, (0.15, 0.12, 0.85, 0.74), product)
        write(sheet, (0.25, 0.8, 0.75, 0.92), product.variant, design.weight, design.stretch, design.slant)
        return sheet
    layout = (WIDE if width_px > 1.35 * height_px else TALL)[design.layout]
    for colour, kind, where in layout.fields:
        draw, area = ImageDraw.Draw(sheet), _pixels(sheet, where)
        (draw.rectangle if kind == "box" else draw.ellipse)(area, fill=getattr(design, colour))
    _motifs(sheet, layout.motif, product)
    _badge(sheet, layout.brand, product)
    write(sheet, layout.noun, product.noun, design.weight + 0.01, design.stretch)
    write(sheet, layout.variant, product.variant, design.weight / 2, 1.0)
    write(sheet, layout.size, product.size, 0.02, 1.0)
    if layout.small:
        write(sheet, layout.small, fill(product.small_print, 46), 0.0, 1.0)
    if design.flash:
        _flash(sheet, layout.motif, product)
    return sheet


@lru_cache(maxsize=48)
def back(product: Product, width_px: int, height_px: int) -> Image.Image:
    """Draw the side with the small print and the barcode."""
    sheet = ground(product, width_px, height_px, plain=True)
    write(sheet, (0.1, 0.04, 0.9, 0.15), product.brand, product.design.weight, product.design.stretch)
    panel = _pixels(sheet, (0.1, 0.2, 0.9, 0.68))
    ImageDraw.Draw(sheet).rectangle(panel, fill=(250, 250, 246))
    if product.small_print:
        write(sheet, (0.13, 0.22, 0.87, 0.66), fill(product.small_print, 22), 0.0, 1.0)
    else:
        _grey_lines(sheet, panel, product.rng(7))
    _barcode(sheet, (0.16, 0.74, 0.84, 0.94), product.barcode)
    return sheet


@lru_cache(maxsize=48)
def strip(product: Product, width_px: int, height_px: int, ground_colour: Colour) -> Image.Image:
    """Draw a narrow upright sheet with the brand and the size written along it."""
    lying = Image.new("RGB", (height_px, width_px), ground_colour)
    write(lying, (0.06, 0.24, 0.62, 0.76), product.brand, product.design.weight + 0.02, product.design.stretch)
    write(lying, (0.7, 0.28, 0.95, 0.72), product.size, 0.03, 1.0)
    return lying.transpose(Image.Transpose.ROTATE_270)


def ground(product: Product, width_px: int, height_px: int, plain: bool = False) -> Image.Image:
    """Draw the background: the main colour under the design's pattern."""
    design = product.design
    sheet = Image.new("RGB", (width_px, height_px), design.main)
    if not plain and design.pattern != "plain":
        light = sum(design.main) > 380
        tone = mix(mix(design.main, design.tint, 0.3), INK if light else WHITE, 0.14)
        paint_pattern(sheet, design.pattern, tone, product.rng(5))
    return sheet


def write(sheet: Image.Image, where: Box, text: str, weight: float, stretch: float, slant: float = 0.0) -> None:
    """Write text as large as fits, dark on light areas and light on dark ones."""
    left, top, right, bottom = _pixels(sheet, where)
    beneath = ImageStat.Stat(sheet.crop((int(left), int(top), int(right) + 1, int(bottom) + 1))).mean
    dark = 0.3 * beneath[0] + 0.59 * beneath[1] + 0.11 * beneath[2] > 135
    mask = lettering(text, round(right - left), round(bottom - top), weight, stretch, slant)
    corner = (round((left + right - mask.width) / 2), round((top + bottom - mask.height) / 2))
    sheet.paste(INK if dark else WHITE, corner, mask)


def lettering(text: str, width_px: int, height_px: int, weight: float, stretch: float, slant: float) -> Image.Image:
    """Return text as a mask ("L") that fits into width_px x height_px; weight and slant are shares of its height."""
    size = max(8, min(160, height_px))
    font = ImageFont.load_default(size)
    if " " in text and "\n" not in text and height_px > 0.42 * width_px:
        text = text.replace(" ", "\n")
    stroke = round(weight * size)
    canvas = ImageDraw.Draw(Image.new("L", (1, 1)))
    area = canvas.multiline_textbbox((0, 0), text, font=font, stroke_width=stroke, spacing=size // 6, align="center")
    lean = slant * (area[3] - area[1])
    mask = Image.new("L", (int(area[2] - area[0] + abs(lean)) + 2, int(area[3] - area[1]) + 2))
    ImageDraw.Draw(mask).multiline_text(
        (-area[0], -area[1]), text, 255, font=font, stroke_width=stroke, spacing=size // 6, align="center"
    )  # fmt: skip
    if slant:
        shear = (1, slant, -lean, 0, 1, 0)
        mask = mask.transform(mask.size, Image.Transform.AFFINE, shear, Image.Resampling.BILINEAR)
    wide = mask.width * stretch
    scale = min(width_px / wide, height_px / mask.height)
    return mask.resize((max(1, round(wide * scale)), max(1, round(mask.height * scale))), Image.Resampling.BILINEAR)


def _pixels(sheet: Image.Image, where: Box) -> tuple[float, float, float, float]:
    left, top, right, bottom = where
    return left * sheet.width, top * sheet.height, right * sheet.width, bottom * sheet.height


def _motifs(sheet: Image.Image, where: Box, product: Product) -> None:
    """Paint one large motif, a row of three, or five scattered ones."""
    left, top, right, bottom = _pixels(sheet, where)
    room, count, rng = min(right - left, bottom - top), product.design.motifs, product.rng(6)
    side = max(8, int(room * {1: 1.0, 3: 0.62, 5: 0.5}[count]))
    picture = motif(product.design.motif, product.design.tint, side)
    if count == 1:
        halo = (
            right + left - room * 1.06,
            top + bottom - room * 1.06,
            right + left + room * 1.06,
            top + bottom + room * 1.06,
        )
        ImageDraw.Draw(sheet).ellipse([v / 2 for v in halo], fill=mix(product.design.paper, product.design.tint, 0.12))
    for k in range(count):
        across = 0.5 if count == 1 else (k + 0.5) / count
        down = 0.5 if count == 1 else 0.5 + (0.3 if count == 5 else 0.14) * (-1) ** k
        motif_picture = picture if count == 1 else picture.rotate(rng.uniform(-25, 25), Image.Resampling.BILINEAR)
        x, y = left + across * (right - left) - side / 2, top + down * (bottom - top) - side / 2
        sheet.paste(motif_picture, (round(x), round(y)), motif_picture)


def _badge(sheet: Image.Image, where: Box, product: Product) -> None:
    """Write the brand into its emblem."""
    design = product.design
    margin = _emblem(sheet, where, design)
    text = product.brand.upper() if design.upper else product.brand
    write(sheet, _inset(where, *margin), text, design.weight + 0.02, design.stretch, design.slant)


def _emblem(sheet: Image.Image, where: Box, design: LabelDesign) -> tuple[float, float]:
    """Paint the emblem behind the brand; return the margins to keep, across and down, as shares."""
    draw = ImageDraw.Draw(sheet)
    left, top, right, bottom = _pixels(sheet, where)
    wide, tall = right - left, bottom - top
    area = (left - 0.05 * wide, top - 0.08 * tall, right + 0.05 * wide, bottom + 0.08 * tall)
    line = max(2, int(tall * 0.05))
    if design.badge == "oval":
        draw.ellipse(area, fill=design.trim, outline=design.paper, width=line)
    elif design.badge == "bar":
        draw.rounded_rectangle(area, tall * 0.3, fill=design.accent, outline=design.paper, width=line)
    elif design.badge == "frame":
        draw.rectangle(area, fill=design.paper, outline=INK, width=line)
    elif design.badge == "ribbon":
        tail, middle = tall * 0.25, (top + bottom) / 2
        for end, direction in ((area[0], -1), (area[2], 1)):
            draw.polygon(
                [
                    (end, top),
                    (end + direction * tail, top),
                    (end, middle),
                    (end + direction * tail, bottom),
                    (end, bottom),
                ],
                design.trim,
            )
        draw.rectangle((area[0], top, area[2], bottom), fill=design.trim)
    elif design.badge == "shield":
        tip = ((left + right) / 2, bottom + tall * 0.35)
        draw.polygon(
            [area[:2], (area[2], area[1]), (area[2], bottom), tip, (area[0], bottom)],
            design.accent,
            design.paper,
            line,
        )
    elif design.badge == "rule":
        draw.line([(left, bottom), (right, bottom)], fill=design.trim, width=max(2, int(tall * 0.08)))
    return MARGINS.get(design.badge, (0.0, 0.0))


def _inset(where: Box, across: float, down: float) -> Box:
    left, top, right, bottom = where
    dx, dy = across * (right - left), down * (bottom - top)
    return left + dx, top + dy, right - dx, bottom - dy


def _flash(sheet: Image.Image, where: Box, product: Product) -> None:
    """Paint a round sticker with a word on the upper right corner of the motif."""
    radius = 0.13 * min(sheet.size)
    _, top, right, _ = _pixels(sheet, where)
    x, y = min(right, sheet.width - 1.1 * radius), max(top + 0.5 * radius, 1.1 * radius)
    tips = [radius * (1.0 if k % 2 else 0.86) for k in range(32)]
    burst = [(x + r * cos(pi * k / 16), y + r * sin(pi * k / 16)) for k, r in enumerate(tips)]
    ImageDraw.Draw(sheet).polygon(burst, fill=(222, 42, 38) if product.index % 3 else (250, 206, 40))
    half = (0.72 * radius / sheet.width, 0.3 * radius / sheet.height)
    middle = (x / sheet.width, y / sheet.height)
    write(sheet, (middle[0] - half[0], middle[1] - half[1], middle[0] + half[0], middle[1] + half[1]),
          product.design.flash, 0.04, 1.0)  # fmt: skip


def _grey_lines(sheet: Image.Image, panel: Box, rng: np.random.Generator) -> None:
    """Draw lines in place of unreadable small print; the panel is in pixels."""
    draw, pitch = ImageDraw.Draw(sheet), max(6, sheet.height // 32)
    for y in range(int(panel[1]) + pitch, int(panel[3]) - pitch // 2, pitch):
        end = panel[0] + (panel[2] - panel[0]) * rng.uniform(0.6, 0.95)
        draw.line([(panel[0] + sheet.width * 0.03, y), (end, y)], fill=(110, 110, 116), width=max(1, pitch // 4))


def _barcode(sheet: Image.Image, where: Box, digits: str) -> None:
    """Draw the digits as EAN-13 bars on white, with quiet zones."""
    left, top, right, bottom = (round(value) for value in _pixels(sheet, where))
    modules = f"{'0' * QUIET_MODULES}{ean13_modules(digits)}{'0' * QUIET_MODULES}"
    bars = Image.fromarray(np.array([[0 if module == "1" else 255 for module in modules]], np.uint8))
    size = (max(1, right - left), max(1, bottom - top))
    sheet.paste(bars.resize(size, Image.Resampling.NEAREST).convert("RGB"), (left, top))
