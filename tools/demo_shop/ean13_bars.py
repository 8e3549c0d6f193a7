"""Draw EAN-13 barcodes, as specified by ISO/IEC 15420."""

from PIL import Image, ImageDraw

MODULES, QUIET = 95, 11  # of a code, and of the white at each side
ODD = ("0001101", "0011001", "0010011", "0111101", "0100011", "0110001", "0101111", "0111011", "0110111", "0001011")
RIGHT = tuple(digit.translate({48: "1", 49: "0"}) for digit in ODD)
EVEN = tuple(digit[::-1] for digit in RIGHT)
FIRST = ("OOOOOO", "OOEOEE", "OOEEOE", "OOEEEO", "OEOOEE", "OEEOOE", "OEEEOO", "OEOEOE", "OEOEEO", "OEEOEO")


def draw_ean13(digits: str, module_px: int = 3) -> Image.Image:
    """Draw the bars of thirteen digits on white; the check digit is not verified."""
    height = module_px * MODULES // 2
    picture = Image.new("RGB", ((MODULES + 2 * QUIET) * module_px, height + 2 * QUIET), (255, 255, 255))
    pen = ImageDraw.Draw(picture)
    for position, module in enumerate(ean13_modules(digits), QUIET):
        if module == "1":
            pen.rectangle((position * module_px, QUIET, (position + 1) * module_px - 1, height + QUIET), (0, 0, 0))
    return picture


def ean13_modules(digits: str) -> str:
    """Return the 95 modules of thirteen digits, "1" for black; the check digit is not verified."""
    left = zip(FIRST[int(digits[0])], digits[1:7], strict=True)
    first = "".join((ODD if parity == "O" else EVEN)[int(digit)] for parity, digit in left)
    return f"101{first}01010{''.join(RIGHT[int(digit)] for digit in digits[7:])}101"
