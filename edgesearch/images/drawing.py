"""What people are shown beside an answer: two pictures, what made them match or where they differ, and words around.

What does not matter is pale, as paper is: a product on white stays on white. The font is Pillow's own, so that it is
there everywhere; what it has no letters for is left out.
"""

from __future__ import annotations  # numpy loads its random numbers when an annotation names them

import io
import unicodedata
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from .crops import Crop

SIDE, WIDEST = 480, 720  # px, at most, of the height and the width of a panel
LEAST_WIDTH = 640  # px of a page; words need room
EDGE, GAP, LINE_PX, SMALL_PX, BIG_PX = 24, 16, 3, 16, 22
FINE = 3  # lines are drawn so many times larger, for smooth ones
SOFT = 2.5  # px, of the border between what was compared and what was not
PAPER, INK, FAINT, RULE = (255, 255, 255), (24, 28, 34), (96, 104, 116), (222, 226, 232)
GREEN, RED, AMBER, GREY = (0, 140, 70), (205, 30, 40), (232, 135, 0), (96, 104, 116)
COLOURS = {
    "match": GREEN, "ambiguous": AMBER, "unknown": GREY,
    "same": GREEN, "different": RED, "damaged or altered": RED, "cannot tell": AMBER,
}  # fmt: skip
MATTERS = 0.5  # of the strongest: from here on a part is inside the contour
PALE = 0.35  # of its colours, that is left to what did not matter
Colour = tuple[int, int, int]
Corners = Sequence[tuple[float, float]]
Box = tuple[float, float, float, float]


def highlight(picture: np.ndarray, heat: np.ndarray, part: Crop, product: np.ndarray) -> np.ndarray:
    """A panel whose parts are the paler the less they matter, with a contour around what matters most.

    Args:    picture: (H, W, 3) uint8; heat: (g, g) float32, 0 to 1; part: the square that it is of; product: (H, W)
             uint8, 255 where nothing is background.
    Returns: (h, w, 3) uint8.
    """
    panel = _panel(picture)
    scale = np.array(panel.size) / picture.shape[1::-1]
    size = [max(1, round(part.side * one)) for one in scale.tolist()]
    laid = Image.new("F", panel.size)
    laid.paste(
        Image.fromarray(heat.astype(np.float32)).resize(size, Image.Resampling.BICUBIC),
        (round(part.left * scale[0]), round(part.top * scale[1])),
    )
    share = np.asarray(laid).clip(0, 1) * _resized(product.astype(np.float32) / 255, panel.size)
    shown = Image.fromarray(_paled(np.asarray(panel), (share / MATTERS).clip(0, 1)))
    return _inked(shown, _contour(share, LINE_PX + 3), PAPER, _contour(share, LINE_PX), AMBER)


def draw_outline(panel: np.ndarray, outline: Corners) -> np.ndarray:
    """A panel with a closed line; corners (x, y) in shares of its sides, may be none."""
    if not outline:
        return panel
    tall, wide = panel.shape[:2]
    return _lined(Image.fromarray(panel), [[(x * wide, y * tall) for x, y in outline]], GREEN)


def draw_boxes(picture: np.ndarray, boxes: Sequence[Box]) -> np.ndarray:
    """A panel with boxes: left, top, right, bottom in shares of its sides."""
    panel = _panel(picture)
    wide, tall = panel.size
    rooms = [
        (left * wide - GAP / 2, top * tall - GAP / 2, right * wide + GAP / 2, bottom * tall + GAP / 2)
        for left, top, right, bottom in boxes
    ]
    lines = [[(left, top), (right, top), (right, bottom), (left, bottom)] for left, top, right, bottom in rooms]
    return _lined(panel, lines, RED)


def tint(picture: np.ndarray, heat: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """A grey panel, red by how much parts matter; heat: (h, w) float32, 0 to 1; kept: (h, w) bool, the rest is pale."""
    panel = _panel(picture)
    grey = np.repeat(np.asarray(panel.convert("L"))[..., None], 3, 2)
    soft = Image.fromarray(kept).convert("L").resize(panel.size).filter(ImageFilter.GaussianBlur(SOFT))
    pale = _paled(grey, np.asarray(soft, np.float32) / 255)
    weight = _resized(heat.astype(np.float32), panel.size).clip(0, 1)[..., None]
    return np.asarray(pale * (1 - weight) + np.array(RED, np.float32) * weight, np.uint8)


def draw_sheet(
    panels: Sequence[tuple[str, np.ndarray]],
    verdict: str,
    title: str,
    lines: Sequence[str],
    legend: Sequence[tuple[Colour, str]] = (),
    kind: str = "JPEG",
) -> bytes:
    """A page: the verdict and a title, panels side by side, each under its own, lines of words, and what colours mean.

    Args:    panels: titles, and (h, w, 3) uint8; kind: "JPEG" or "PNG".
    """
    pictures = [_panel(picture) for _, picture in panels]
    width = max(LEAST_WIDTH, sum(one.width + GAP for one in pictures) - GAP + 2 * EDGE)
    badge = round(_font(SMALL_PX).getlength(verdict)) + 2 * GAP
    titles = _wrapped(title, BIG_PX, width - 2 * EDGE - badge - GAP) or [""]
    rows = [part for line in lines for part in _wrapped(line, SMALL_PX, width - 2 * EDGE)]
    row, high = SMALL_PX + 9, max(one.height for one in pictures)
    top = EDGE + len(titles) * (BIG_PX + 10) + GAP
    below = top + row + high + GAP
    page = Image.new("RGB", (width, below + row * (len(rows) + len(legend)) + GAP // 2 + EDGE), PAPER)
    draw = ImageDraw.Draw(page)
    draw.rounded_rectangle((EDGE, EDGE, EDGE + badge, EDGE + BIG_PX + 8), 8, COLOURS.get(verdict, GREY))
    draw.text((EDGE + badge / 2, EDGE + BIG_PX / 2 + 4), verdict, PAPER, _font(SMALL_PX), anchor="mm")
    for place, text in enumerate(titles):
        middle = EDGE + BIG_PX / 2 + 4 + place * (BIG_PX + 10)
        draw.text((EDGE + badge + GAP, middle), text, INK, _font(BIG_PX), anchor="lm")
    left = (width - sum(one.width + GAP for one in pictures) + GAP) // 2
    for (name, _), one in zip(panels, pictures, strict=True):
        draw.text((left, top), keep_drawable(name), FAINT, _font(SMALL_PX))
        at = left, top + row + (high - one.height) // 2
        page.paste(one, at)
        draw.rectangle((at[0] - 1, at[1] - 1, at[0] + one.width, at[1] + one.height), outline=RULE)
        left += one.width + GAP
    for text in rows:
        draw.text((EDGE, below), text, INK, _font(SMALL_PX))
        below += row
    below += GAP // 2
    for colour, text in legend:
        draw.rounded_rectangle((EDGE + 1, below + 3, EDGE + 15, below + 17), 3, colour)
        draw.text((EDGE + 26, below), keep_drawable(text), FAINT, _font(SMALL_PX))
        below += row
    return _encoded(page, kind)


def _encoded(page: Image.Image, kind: str) -> bytes:
    encoded = io.BytesIO()
    page.save(encoded, kind, **({"quality": 90} if kind == "JPEG" else {}))
    return encoded.getvalue()


def join_panels(panels: Sequence[np.ndarray], kind: str = "JPEG") -> bytes:
    """Panels side by side without a word, for whoever says what they are; as `sheet` has them."""
    pictures = [_panel(panel) for panel in panels]
    high = max(one.height for one in pictures)
    page = Image.new("RGB", (sum(one.width + GAP for one in pictures) - GAP, high), PAPER)
    left = 0
    for one in pictures:
        page.paste(one, (left, (high - one.height) // 2))
        left += one.width + GAP
    return _encoded(page, kind)


def keep_drawable(text: str) -> str:
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


def _wrapped(line: str, size: int, width: int) -> list[str]:
    """The line in as many as the width asks for, in px; a longer word is broken."""
    font, lines = _font(size), [""]
    for word in keep_drawable(line).split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
            continue
        lines.append("")
        for letter in word:
            if font.getlength(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter
    return [one for one in lines if one]


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    try:
        return ImageFont.load_default(size)
    except (ImportError, OSError):  # Pillow without FreeType
        return ImageFont.load_default()


def _panel(picture: np.ndarray) -> Image.Image:
    """As large as it fits among panels."""
    one = Image.fromarray(picture)
    scale = min(SIDE / one.height, WIDEST / one.width)
    size = max(1, round(one.width * scale)), max(1, round(one.height * scale))
    return one if one.size == size else one.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)


def _resized(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(h, w) float32 as large as a panel."""
    return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BILINEAR))


def _paled(panel: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Half grey, and near to white, where little is kept; kept: (h, w), 0 to 1."""
    pixels, share = panel.astype(np.float32), kept[..., None]
    pale = 255 - PALE * (255 - (pixels + pixels.mean(2, keepdims=True)) / 2)
    return np.asarray(pale * (1 - share) + pixels * share, np.uint8)


def _contour(share: np.ndarray, width: float) -> Image.Image:
    """How much of each pixel a line around what matters covers, as a mask: its distance is that in value by slope."""
    if min(share.shape) < 2:
        return Image.new("L", share.shape[::-1])
    slope = np.hypot(*np.gradient(share))
    off = np.abs(share - MATTERS) / slope.clip(1e-4)
    return Image.fromarray(((width / 2 + 0.5 - off).clip(0, 1) * 255).astype(np.uint8))


def _lined(panel: Image.Image, shapes: Sequence[Sequence[tuple[float, float]]], colour: Colour) -> np.ndarray:
    """With closed lines, their corners in px."""
    masks = []
    for width in (LINE_PX + 3, LINE_PX):
        mask = Image.new("L", (panel.width * FINE, panel.height * FINE))
        for corners in shapes:
            large = [(x * FINE, y * FINE) for x, y in corners]
            ImageDraw.Draw(mask).line([*large, *large[:2]], 255, width * FINE, joint="curve")
        masks.append(mask.reduce(FINE))
    return _inked(panel, masks[0], PAPER, masks[1], colour)


def _inked(panel: Image.Image, wide: Image.Image, rim: Colour, line: Image.Image, colour: Colour) -> np.ndarray:
    """A line with a rim, seen on any ground."""
    panel.paste(rim, (0, 0), wide)
    panel.paste(colour, (0, 0), line)
    return np.asarray(panel)
