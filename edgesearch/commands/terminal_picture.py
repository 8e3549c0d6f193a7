"""Draw a picture with characters, for terminals of 24-bit colour."""

from ..images import image

SIDE = 36  # characters across


def draw(picture: bytes, side: int = SIDE) -> list[str]:
    """Return the lines of a picture: each character shows two pixels, one above the other; `side` must be even."""
    pixels = image.read(picture, side)
    height, width = pixels.shape[:2]
    length = max(height, width)
    square = image.crop_square(pixels, ((width - length) / 2, (height - length) / 2, length), side)
    pairs = zip(square[::2].tolist(), square[1::2].tolist(), strict=True)
    return ["".join(map(_draw_pair, above, below)) + "\x1b[0m" for above, below in pairs]


def _draw_pair(above: list[int], below: list[int]) -> str:
    return "\x1b[38;2;{};{};{};48;2;{};{};{}m▀".format(*above, *below)
