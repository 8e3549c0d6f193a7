"""Draw the pages that explain an answer: two pictures, the parts that match or differ, and a few words.

Parts that do not matter are pale, so that a product on white stays on white. The font is Pillow's own, so that it is
available everywhere; letters that it lacks are omitted.

H height, W width of a picture; h, w of a panel, which is a picture scaled to fit the page; g side of a heat map.
"""

from __future__ import annotations  # numpy loads its random numbers when an annotation names them

import io
import unicodedata
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from .crops import Crop

MAX_HEIGHT, MAX_WIDTH = 480, 720  # px of a panel
MIN_PAGE_WIDTH = 640  # px; words need room
EDGE, GAP, LINE_PX, SMALL_PX, BIG_PX = 24, 16, 3, 16, 22
ROW_STEP, TITLE_STEP = SMALL_PX + 9, BIG_PX + 10  # px from one line of words to the next
OVERSAMPLING = 3  # lines are drawn so many times larger and then reduced, to be smooth
SOFT = 2.5  # px; blur of the border between compared and other parts
PAPER, INK, FAINT, RULE = (255, 255, 255), (24, 28, 34), (96, 104, 116), (222, 226, 232)
GREEN, RED, AMBER, GREY = (0, 140, 70), (205, 30, 40), (232, 135, 0), (96, 104, 116)
COLOURS = {
    "match": GREEN, "ambiguous": AMBER, "unknown": GREY,
    "same": GREEN, "different": RED, "damaged or altered": RED, "cannot tell": AMBER,
}  # fmt: skip
MATTERS = 0.5  # of the strongest heat; parts above are inside the contour
PALE = 0.35  # share of its colours that a part keeps if it does not matter
Colour = tuple[int, int, int]
Corners = Sequence[tuple[float, float]]
Box = tuple[float, float, float, float]


def highlight(picture: np.ndarray, heat: np.ndarray, crop: Crop, product: np.ndarray) -> np.ndarray:
    """Draw a panel that is paler where heat is lower, with a contour around the hottest parts.

    Args:
        picture: (H, W, 3) uint8.
        heat: (g, g) float32, 0 to 1.
        crop: the part of the picture that the heat covers.
        product: (H, W) uint8, 255 on the product and 0 on the background.
    Returns:
        (h, w, 3) uint8.
    """
    panel = _fit_panel(picture)
    scale = np.array(panel.size) / picture.shape[1::-1]
    size = [max(1, round(crop.side * factor)) for factor in scale.tolist()]
    placed = Image.new("F", panel.size)
    placed.paste(
        Image.fromarray(heat.astype(np.float32)).resize(size, Image.Resampling.BICUBIC),
        (round(crop.left * scale[0]), round(crop.top * scale[1])),
    )
    share = np.asarray(placed).clip(0, 1) * _resize(product.astype(np.float32) / 255, panel.size)
    faded = Image.fromarray(_fade(np.asarray(panel), (share / MATTERS).clip(0, 1)))
    return _ink_line(faded, _contour_mask(share, LINE_PX + 3), PAPER, _contour_mask(share, LINE_PX), AMBER)


def draw_outline(panel: np.ndarray, outline: Corners) -> np.ndarray:
    """Draw a closed line on a panel.

    Args:
        panel: (H, W, 3) uint8.
        outline: corners (x, y) in shares of the panel's sides; none draws nothing.
    Returns:
        (H, W, 3) uint8.
    """
    if not outline:
        return panel
    height, width = panel.shape[:2]
    return _draw_lines(Image.fromarray(panel), [[(x * width, y * height) for x, y in outline]], GREEN)


def draw_boxes(picture: np.ndarray, boxes: Sequence[Box]) -> np.ndarray:
    """Draw boxes on a panel of a picture.

    Args:
        picture: (H, W, 3) uint8.
        boxes: left, top, right, bottom in shares of its sides.
    Returns:
        (h, w, 3) uint8.
    """
    panel = _fit_panel(picture)
    width, height = panel.size
    widened = [
        (left * width - GAP / 2, top * height - GAP / 2, right * width + GAP / 2, bottom * height + GAP / 2)
        for left, top, right, bottom in boxes
    ]
    lines = [[(left, top), (right, top), (right, bottom), (left, bottom)] for left, top, right, bottom in widened]
    return _draw_lines(panel, lines, RED)


def tint(picture: np.ndarray, heat: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Draw a grey panel that is red where heat is high and pale where nothing was compared.

    Args:
        picture: (H, W, 3) uint8.
        heat: two-dimensional float32 of any size, 0 to 1.
        kept: two-dimensional bool of any size, True where the picture was compared.
    Returns:
        (h, w, 3) uint8.
    """
    panel = _fit_panel(picture)
    grey = np.repeat(np.asarray(panel.convert("L"))[..., None], 3, 2)
    soft = Image.fromarray(kept).convert("L").resize(panel.size).filter(ImageFilter.GaussianBlur(SOFT))
    pale = _fade(grey, np.asarray(soft, np.float32) / 255)
    weight = _resize(heat.astype(np.float32), panel.size).clip(0, 1)[..., None]
    return np.asarray(pale * (1 - weight) + np.array(RED, np.float32) * weight, np.uint8)


def draw_sheet(
    panels: Sequence[tuple[str, np.ndarray]],
    verdict: str,
    title: str,
    lines: Sequence[str],
    legend: Sequence[tuple[Colour, str]] = (),
    kind: str = "JPEG",
) -> bytes:
    """Draw a page: verdict and title, titled panels side by side, lines of words, and a legend of colours.

    Args:
        panels: title and picture, (H, W, 3) uint8, of each.
        verdict: word for the coloured badge.
        title: words beside the badge.
        lines: words below the panels.
        legend: colours and their meaning.
        kind: "JPEG" or "PNG".
    Returns:
        The encoded page.
    """
    fitted = [(name, _fit_panel(picture)) for name, picture in panels]
    across = sum(panel.width + GAP for _, panel in fitted) - GAP
    width = max(MIN_PAGE_WIDTH, across + 2 * EDGE)
    badge = round(_font(SMALL_PX).getlength(verdict)) + 2 * GAP
    titles = _wrap(title, BIG_PX, width - 2 * EDGE - badge - GAP) or [""]
    rows = [part for line in lines for part in _wrap(line, SMALL_PX, width - 2 * EDGE)]
    top, high = EDGE + len(titles) * TITLE_STEP + GAP, max(panel.height for _, panel in fitted)
    below = top + ROW_STEP + high + GAP
    page = Image.new("RGB", (width, below + ROW_STEP * (len(rows) + len(legend)) + GAP // 2 + EDGE), PAPER)
    draw = ImageDraw.Draw(page)
    _draw_head(draw, verdict, badge, titles)
    _draw_panels(page, draw, fitted, ((width - across) // 2, top), high)
    _draw_words(draw, rows, legend, below)
    return _encode(page, kind)


def _draw_head(draw: ImageDraw.ImageDraw, verdict: str, badge: int, titles: Sequence[str]) -> None:
    """Draw the badge with the verdict, `badge` px wide, and the lines of the title beside it."""
    draw.rounded_rectangle((EDGE, EDGE, EDGE + badge, EDGE + BIG_PX + 8), 8, COLOURS.get(verdict, GREY))
    middle = EDGE + BIG_PX / 2 + 4
    draw.text((EDGE + badge / 2, middle), verdict, PAPER, _font(SMALL_PX), anchor="mm")
    for number, text in enumerate(titles):
        draw.text((EDGE + badge + GAP, middle + number * TITLE_STEP), text, INK, _font(BIG_PX), anchor="lm")


def _draw_panels(
    page: Image.Image,
    draw: ImageDraw.ImageDraw,
    panels: Sequence[tuple[str, Image.Image]],
    corner: tuple[int, int],
    high: int,
) -> None:
    """Draw titled panels side by side from the corner (left, top); high: height of the highest in px."""
    left, top = corner
    for name, panel in panels:
        draw.text((left, top), keep_drawable(name), FAINT, _font(SMALL_PX))
        x, y = left, top + ROW_STEP + (high - panel.height) // 2
        page.paste(panel, (x, y))
        draw.rectangle((x - 1, y - 1, x + panel.width, y + panel.height), outline=RULE)
        left += panel.width + GAP


def _draw_words(draw: ImageDraw.ImageDraw, rows: Sequence[str], legend: Sequence[tuple[Colour, str]], top: int) -> None:
    """Draw rows of words and below them the legend; top: of the first row in px."""
    for text in rows:
        draw.text((EDGE, top), text, INK, _font(SMALL_PX))
        top += ROW_STEP
    top += GAP // 2
    for colour, text in legend:
        draw.rounded_rectangle((EDGE + 1, top + 3, EDGE + 15, top + 17), 3, colour)
        draw.text((EDGE + 26, top), keep_drawable(text), FAINT, _font(SMALL_PX))
        top += ROW_STEP


def _encode(page: Image.Image, kind: str) -> bytes:
    encoded = io.BytesIO()
    page.save(encoded, kind, **({"quality": 90} if kind == "JPEG" else {}))
    return encoded.getvalue()


def join_panels(panels: Sequence[np.ndarray], kind: str = "JPEG") -> bytes:
    """Draw panels side by side without words.

    Args:
        panels: (H, W, 3) uint8 each.
        kind: "JPEG" or "PNG".
    Returns:
        The encoded page.
    """
    fitted = [_fit_panel(panel) for panel in panels]
    height = max(panel.height for panel in fitted)
    page = Image.new("RGB", (sum(panel.width + GAP for panel in fitted) - GAP, height), PAPER)
    left = 0
    for panel in fitted:
        page.paste(panel, (left, (height - panel.height) // 2))
        left += panel.width + GAP
    return _encode(page, kind)


def keep_drawable(text: str) -> str:
    """Reduce a text to the letters that the font has, without accents; omit words that have none."""
    font = _font(SMALL_PX)
    missing = _glyph(font, "\ufffe")
    plain = unicodedata.normalize("NFKD", text)
    words = ("".join(letter for letter in word if _glyph(font, letter) not in (b"", missing)) for word in plain.split())
    return " ".join(word for word in words if word)


def _glyph(font: ImageFont.FreeTypeFont | ImageFont.ImageFont, letter: str) -> bytes:
    try:
        return bytes(font.getmask(letter))
    except UnicodeEncodeError:  # raised by the font that Pillow has without FreeType
        return b""


def _wrap(line: str, size: int, width: int) -> list[str]:
    """Break a line into lines of at most `width` px; break words that are longer."""
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
    return [line for line in lines if line]


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    try:
        return ImageFont.load_default(size)
    except (ImportError, OSError):  # Pillow without FreeType
        return ImageFont.load_default()


def _fit_panel(picture: np.ndarray) -> Image.Image:
    """Scale a picture, (H, W, 3) uint8, to the largest size of a panel."""
    panel = Image.fromarray(picture)
    scale = min(MAX_HEIGHT / panel.height, MAX_WIDTH / panel.width)
    size = max(1, round(panel.width * scale)), max(1, round(panel.height * scale))
    return panel if panel.size == size else panel.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)


def _resize(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize (H, W) float32 to a panel's width and height; returns (h, w) float32."""
    return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BILINEAR))


def _fade(panel: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Fade an (h, w, 3) panel to pale half grey where `kept`, (h, w) from 0 to 1, is low; returns (h, w, 3) uint8."""
    pixels, share = panel.astype(np.float32), kept[..., None]
    pale = 255 - PALE * (255 - (pixels + pixels.mean(2, keepdims=True)) / 2)
    return np.asarray(pale * (1 - share) + pixels * share, np.uint8)


def _contour_mask(share: np.ndarray, width: float) -> Image.Image:
    """Return a mask of the contour where `share`, (h, w) float32, equals `MATTERS`.

    A pixel's distance to the contour is its difference in value divided by the slope.
    """
    if min(share.shape) < 2:
        return Image.new("L", share.shape[::-1])
    slope = np.hypot(*np.gradient(share))
    distance = np.abs(share - MATTERS) / slope.clip(1e-4)
    return Image.fromarray(((width / 2 + 0.5 - distance).clip(0, 1) * 255).astype(np.uint8))


def _draw_lines(panel: Image.Image, shapes: Sequence[Corners], colour: Colour) -> np.ndarray:
    """Draw closed lines with corners in px; returns (h, w, 3) uint8."""
    masks = []
    for width in (LINE_PX + 3, LINE_PX):
        mask = Image.new("L", (panel.width * OVERSAMPLING, panel.height * OVERSAMPLING))
        for corners in shapes:
            large = [(x * OVERSAMPLING, y * OVERSAMPLING) for x, y in corners]
            ImageDraw.Draw(mask).line([*large, *large[:2]], 255, width * OVERSAMPLING, joint="curve")
        masks.append(mask.reduce(OVERSAMPLING))
    return _ink_line(panel, masks[0], PAPER, masks[1], colour)


def _ink_line(panel: Image.Image, rim_mask: Image.Image, rim: Colour, line: Image.Image, colour: Colour) -> np.ndarray:
    """Draw a line with a rim, visible on any background; returns (h, w, 3) uint8."""
    panel.paste(rim, (0, 0), rim_mask)
    panel.paste(colour, (0, 0), line)
    return np.asarray(panel)
