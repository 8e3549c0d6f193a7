"""What people are shown beside an answer: two pictures, what made them match or where they differ, and words below.

The font is Pillow's own, so that it is there everywhere; what it has no letters for is left out.
"""

from __future__ import annotations  # numpy loads its random numbers when an annotation names them

import io
import unicodedata
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .looks import Square

SIDE = 480  # px, of the height of a panel
GAP, LINE_PX, SMALL_PX, BIG_PX = 12, 4, 16, 21
LEAST_WIDTH = 640  # px; captions need room
PAPER, INK, FAINT = (255, 255, 255), (24, 28, 34), (96, 104, 116)
GREEN, RED, AMBER = (0, 170, 80), (222, 30, 36), (255, 176, 0)
MATTERS = 0.5  # of the strongest: from here on a part is inside the contour
DIMMED = 0.35  # brightness that is left to what did not matter
Corners = Sequence[tuple[float, float]]
Box = tuple[float, float, float, float]


def lit(picture: np.ndarray, heat: np.ndarray, part: Square) -> np.ndarray:
    """A picture whose parts are the brighter and the more colourful the more they matter, with a contour around most.

    Args:    picture: (H, W, 3) uint8; heat: (g, g) float32, 0 to 1; part: the square that it is of.
    Returns: (h, w, 3) uint8, h being `SIDE`.
    """
    panel = _panel(picture)
    scale = panel.height / picture.shape[0]
    square = Image.fromarray(heat.astype(np.float32)).resize(
        [max(1, round(part.side * scale))] * 2, Image.Resampling.BICUBIC
    )
    laid = Image.new("F", panel.size)
    laid.paste(square, (round(part.left * scale), round(part.top * scale)))
    share = np.asarray(laid).clip(0, 1)[..., None]
    pixels = np.asarray(panel, np.float32)
    dim = (0.5 * pixels + 0.5 * pixels.mean(2, keepdims=True)) * DIMMED + 255 * (1 - DIMMED) * 0.25
    weight = (share / MATTERS).clip(0, 1)
    shown = dim * (1 - weight) + pixels * weight
    inside = share[..., 0] >= MATTERS
    shown[_edge(inside, LINE_PX // 2)] = AMBER
    return np.asarray(shown.clip(0, 255), np.uint8)


def outlined(panel: np.ndarray, outline: Corners, colour: tuple[int, int, int] = GREEN) -> np.ndarray:
    """A panel with a closed line; corners (x, y) in shares of its sides, may be none."""
    picture = Image.fromarray(panel)
    corners = [(x * picture.width, y * picture.height) for x, y in outline]
    if corners:
        ImageDraw.Draw(picture).line([*corners, *corners[:2]], colour, LINE_PX, joint="curve")
    return np.asarray(picture)


def boxed(picture: np.ndarray, boxes: Sequence[Box], heat: np.ndarray | None = None) -> np.ndarray:
    """A panel with boxes: left, top, right, bottom in shares of its sides; heat: (h, w) 0 to 1, tinted red."""
    panel = _panel(picture)
    if heat is not None:
        share = np.asarray(Image.fromarray(heat.astype(np.float32)).resize(panel.size, Image.Resampling.BILINEAR))
        grey = np.asarray(panel.convert("L"), np.float32)[..., None] * 0.6 + 90
        weight = share.clip(0, 1)[..., None]
        panel = Image.fromarray((grey * (1 - weight) + np.array(RED) * weight).clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(panel)
    for left, top, right, bottom in boxes:
        area = (left * panel.width, top * panel.height, right * panel.width, bottom * panel.height)
        draw.rectangle(area, outline=RED, width=LINE_PX)
    return np.asarray(panel)


def sheet(panels: Sequence[tuple[str, np.ndarray]], caption: Sequence[str], kind: str = "JPEG") -> bytes:
    """Panels side by side, each under its title, and lines of words below, the first larger.

    Args:    panels: titles, and (h, w, 3) uint8; kind: "JPEG" or "PNG".
    """
    pictures = [_panel(picture) for _, picture in panels]
    width = max(LEAST_WIDTH, sum(one.width + GAP for one in pictures) + GAP)
    rows = [
        (part, BIG_PX if not i else SMALL_PX) for i, line in enumerate(caption) for part in _wrapped(line, i, width)
    ]
    top = 2 * GAP + SMALL_PX
    below = top + max(one.height for one in pictures) + GAP
    page = Image.new("RGB", (width, below + sum(size + 8 for _, size in rows) + GAP), PAPER)
    draw, left = ImageDraw.Draw(page), (width - sum(one.width + GAP for one in pictures) + GAP) // 2
    for (title, _), one in zip(panels, pictures, strict=True):
        draw.text((left, GAP - 2), writable(title), FAINT, _font(SMALL_PX))
        page.paste(one, (left, top))
        left += one.width + GAP
    for text, size in rows:
        draw.text((GAP, below), text, INK, _font(size))
        below += size + 8
    encoded = io.BytesIO()
    page.save(encoded, kind, **({"quality": 90} if kind == "JPEG" else {}))
    return encoded.getvalue()


def writable(text: str) -> str:
    """The text as far as the font has letters for it, without accents; words without any are left out."""
    font = _font(SMALL_PX)
    lacking = _drawn(font, "\ufffe")
    plain = unicodedata.normalize("NFKD", text)
    words = ("".join(letter for letter in word if _drawn(font, letter) not in (b"", lacking)) for word in plain.split())
    return " ".join(word for word in words if word)


def _drawn(font: ImageFont.FreeTypeFont | ImageFont.ImageFont, letter: str) -> bytes:
    try:
        return bytes(font.getmask(letter))
    except UnicodeEncodeError:  # of the font that is there without FreeType
        return b""


def _wrapped(line: str, place: int, width: int) -> list[str]:
    """The line in as many as the page's width asks for."""
    font, lines = _font(SMALL_PX if place else BIG_PX), [""]
    for word in writable(line).split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width - 2 * GAP:
            lines[-1] = longer
        else:
            lines.append(word)
    return [one for one in lines if one]


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    try:
        return ImageFont.load_default(size)
    except (ImportError, OSError):  # Pillow without FreeType
        return ImageFont.load_default()


def _panel(picture: np.ndarray) -> Image.Image:
    """As high as all panels are."""
    one = Image.fromarray(picture)
    size = max(1, round(one.width * SIDE / one.height)), SIDE
    return one if one.size == size else one.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)


def _edge(inside: np.ndarray, width: int) -> np.ndarray:
    """(h, w) bool: what is so near to the border between two parts."""
    near = np.zeros_like(inside)
    for axis in (0, 1):
        for step in range(1, width + 1):
            near |= inside & ~np.roll(inside, step, axis) | inside & ~np.roll(inside, -step, axis)
    return near
