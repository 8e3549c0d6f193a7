"""Draw pictures of products: clean ones for the catalogue, and phone photos from the shop."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .cutouts import ANGULAR, LONG_PX, LYING, View, catalogue_view, draw_cutout, fit_within
from .labels import write
from .phone_camera import MARGIN, photograph
from .products import Product, mix
from .shelves import Position, shadow, shelf, table
from .surfaces import Size

PICTURE_PX = 480
FRAMES: tuple[Size, ...] = ((480, 640), (480, 640), (640, 480))
SHARE = (0.4, 0.72, 0.85)  # least, usual and largest share of the frame that the product spans
HIDDEN = 0.2  # share of the product that something in front of it may cover


def catalogue_picture(product: Product, side: int = PICTURE_PX, long_px: int = LONG_PX) -> Image.Image:
    """Return a product, drawn long_px long, on white with a soft shadow: RGB, `side` px square."""
    tone = int(product.rng(21).integers(243, 256))
    picture = Image.new("RGB", (side, side), (tone, tone, tone))
    cutout = fit_within(draw_cutout(product, catalogue_view(product), long_px), 0.8 * side, 0.84 * side)
    position = ((side - cutout.width) // 2, (side - cutout.height) // 2)
    shadow(picture, cutout, position, standing=product.shape not in LYING, strength=0.35)
    picture.paste(cutout, position, cutout)
    return picture


def shelf_photo(
    product: Product, others: Sequence[Product], rng: np.random.Generator, turned: bool = False
) -> Image.Image:
    """Return a phone photo of a product on a shelf or a table: RGB, 480x640 or 640x480.

    Args:
        product: the subject of the photo.
        others:  products that may stand around it or partly in front of it.
        rng:     decides everything that varies.
        turned:  show another side, so that less of the front is visible.
    """
    size = FRAMES[rng.integers(len(FRAMES))]
    room = (round(size[0] * MARGIN), round(size[1] * MARGIN))
    span = rng.triangular(*SHARE) * np.array(size)
    cutout = fit_within(draw_cutout(product, _phone_view(product, rng, turned)), *span)
    lying = product.shape in LYING or rng.random() < 0.3
    if lying:
        cutout = fit_within(cutout.rotate(rng.normal(0, 25), Image.Resampling.BICUBIC, expand=True), *span)
    position = place_in_frame(cutout, size, room, rng)
    scene = (table if lying else shelf)(room, cutout, position, others, rng)
    shadow(scene, cutout, position, standing=not lying, strength=rng.uniform(0.4, 0.8))
    scene.paste(add_glare(cutout, rng), position, cutout)
    if rng.random() < 0.45:
        hide_a_part(scene, cutout, position, others, rng)
    return photograph(scene, size, rng)


def _phone_view(product: Product, rng: np.random.Generator, turned: bool) -> View:
    wide = 30 if product.shape in ANGULAR else 18
    yaw = rng.integers(34, 58) * rng.choice([-1, 1]) if turned else rng.integers(-wide, wide + 1)
    return View(int(yaw), int(rng.integers(2, 20)))


def place_in_frame(
    cutout: Image.Image, size: Size, room: Size, rng: np.random.Generator, aside: float = 0.25
) -> Position:
    """Return a position inside the frame, off the middle by at most the share `aside` of the free space."""
    left, top = (
        round(whole / 2 - part / 2 + rng.uniform(-aside, aside) * (frame - part))
        for whole, part, frame in zip(room, cutout.size, size, strict=True)
    )
    return left, top


def add_glare(cutout: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Add the reflection of a lamp in a third of the photos."""
    if rng.random() > 0.35:
        return cutout
    w, h = max(4, cutout.width // 4), max(4, cutout.height // 4)
    spot = Image.new("L", (w, h))
    (x, y), (rx, ry) = rng.uniform(0.15, 0.85, 2) * (w, h), rng.uniform(0.05, 0.22, 2) * (w, h)
    ImageDraw.Draw(spot).ellipse((x - rx, y - ry, x + rx, y + ry), fill=int(rng.integers(120, 245)))
    soft = spot.filter(ImageFilter.GaussianBlur(min(w, h) * 0.06)).resize(cutout.size, Image.Resampling.BILINEAR)
    shining = cutout.copy()
    shining.paste((255, 253, 246), (0, 0, *cutout.size), soft)
    return shining


def hide_a_part(
    scene: Image.Image, cutout: Image.Image, position: Position, others: Sequence[Product], rng: np.random.Generator,
    most: float = HIDDEN, telling: Image.Image | None = None,
) -> None:  # fmt: skip
    """Put something in front of one side of the product; cover at most `most` of it, and half of the mask `telling`."""
    side, long = rng.choice([-1, 1]), max(cutout.size)
    kind = ("product", "card", "hand")[rng.integers(3)]
    if kind == "product" and others:
        other = others[int(rng.integers(len(others)))]
        cover = fit_within(draw_cutout(other, catalogue_view(other)), long * 0.65, long * 0.65)
        top = cutout.height - cover.height + round(rng.uniform(0.01, 0.05) * cutout.height)
    else:
        cover = _hand(round(long * 0.4), side, rng) if kind == "hand" else _card(round(long * 0.3), rng)
        top = round(rng.uniform(0.2, 0.9) * cutout.height - cover.height / 2)
    for reach in np.linspace(rng.uniform(0.15, 0.4), 0.0, 7) * (most / HIDDEN) * cutout.width:
        corner = (round(cutout.width - reach if side > 0 else reach - cover.width), top)
        body_is_seen = _hidden_share(cutout.getchannel("A"), cover, corner) <= most
        if body_is_seen and (telling is None or _hidden_share(telling, cover, corner) <= 0.5):
            at = (position[0] + corner[0], position[1] + corner[1])
            shadow(scene, cover, at, standing=kind == "product", strength=0.4)
            scene.paste(cover, at, cover)
            return


def _hidden_share(mask: Image.Image, cover: Image.Image, corner: Position) -> float:
    over = Image.new("L", mask.size)
    over.paste(cover.getchannel("A"), corner)
    body = np.asarray(mask.reduce(4), np.float32)
    return float((body * np.asarray(over.reduce(4), np.float32) / 255).sum() / max(1.0, body.sum()))


def _card(side: int, rng: np.random.Generator) -> Image.Image:
    """Draw a price card, RGBA."""
    card = Image.new("RGB", (side, round(side * 0.62)), (250, 214, 50) if rng.random() < 0.5 else (248, 246, 240))
    write(card, (0.1, 0.12, 0.9, 0.3), "OFFER", 0.04, 1.0)
    write(card, (0.1, 0.36, 0.9, 0.9), f"{rng.uniform(0.5, 9):.2f}", 0.05, 1.0)
    return card.convert("RGBA").rotate(rng.uniform(-12, 12), Image.Resampling.BILINEAR, expand=True)


def _hand(height: int, side: int, rng: np.random.Generator) -> Image.Image:
    """Draw fingers, a palm and an arm that reach in from the right (side 1) or the left, RGBA."""
    skin, width = mix((92, 58, 42), (240, 200, 174), rng.random()), 4 * height
    mask = Image.new("L", (width, height))
    draw, thick = ImageDraw.Draw(mask), height * 0.19
    tips = [(rng.uniform(0.0, 0.2) * height, y * height) for y in (0.06, 0.28, 0.5, 0.72)]
    for x, y in tips:
        draw.rounded_rectangle((x, y, height, y + thick), thick / 2, fill=255)
    fingers = mask.filter(ImageFilter.GaussianBlur(thick * 0.14)).point(lambda value: max(0, 2 * value - 255))
    draw.rounded_rectangle((0.65 * height, 0.05 * height, 1.7 * height, 0.93 * height), thick, fill=255)
    draw.rectangle((1.4 * height, 0.2 * height, width, 0.8 * height), fill=255)
    hand = Image.new("RGB", mask.size, mix(skin, (60, 20, 10), 0.18))
    hand.paste(mix(skin, (60, 20, 10), 0.4), (0, 0, round(0.95 * height), height))
    hand.paste(skin, (0, 0), fingers)
    for x, y in tips:
        nail = (x + thick * 0.12, y + thick * 0.25, x + thick * 0.6, y + thick * 0.75)
        ImageDraw.Draw(hand).ellipse(nail, fill=mix(skin, (255, 225, 215), 0.5))
    hand.putalpha(mask.filter(ImageFilter.GaussianBlur(0.7)))
    upright = hand if side > 0 else hand.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return upright.rotate(rng.uniform(-12, 12), Image.Resampling.BILINEAR, expand=True)
