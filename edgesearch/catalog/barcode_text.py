"""Read barcodes as spreadsheets leave them and as scanners send them.

A spreadsheet makes `4006381333931.0` or `'0012345678905` of a code. A scanner sends a code of two dimensions as a GS1
element string, with or without parentheses, or as a Digital Link, and a short code as UPC-E. It may add a letter for
the kind of code, or the two or five digits beside the code of a magazine or book. All of them name a GTIN.
"""

import itertools
import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from ..images import barcode

_LABEL = re.compile(
    r"^(?:EAN|GTIN|UPC|ISBN|JAN|Barcode)(?:[ -]?(?:8|10|12|13|14|A|E)(?=[\s:#]))?\s*[:#]?\s*(?=[\dX' -]+$)", re.I
)
_SEPARATORS = re.compile(r"[;,/|\r\n\t]+|\s+(?:and|und|et|y|e|\+|&)\s+", re.I)
_WHOLE = re.compile(r"(\d+)[.,]0+")
_QUOTES = "'\u2018\u2019\u02bc`\"\u201c\u201d"
_SYMBOLOGY = re.compile(r"^\][A-Za-z][0-9A-Za-z]")
_PARENTHESES = re.compile(r"\((\d{2,4})\)([^(]*)")
_GROUP = "\x1d"  # FNC1 between elements
_GROUP_NAMES = re.compile(r"\u241d|\u29d8|<GS>|\{GS\}|\[GS\]|<FNC1>|\{FNC1\}|\^\]", re.I)
# Application identifiers of a fixed length: their first two digits -> length of the value with the identifier.
_FIXED = {"00": 20, "01": 16, "02": 16, "03": 16, "04": 18, "20": 4, "41": 16}
_FIXED |= {str(number): 8 for number in range(11, 20)} | {str(number): 10 for number in range(31, 37)}
_GTIN_IDENTIFIERS = ("01", "02", "gtin")
_PREFIXED = re.compile(r"[A-Za-z]{1,2}([0-9]{8,14})")
_ADDED = re.compile(r"([0-9]{13})[ +.-]?(?:[0-9]{2}|[0-9]{5})|([0-9]{12})(?:[ +.-][0-9]{2}|[ +.-]?[0-9]{5})")
_LIST = re.compile(r"\[(.*)\]|\{(.*)\}|\*([0-9A-Z-]+)\*")  # of JSON or PostgreSQL, and Code 39's signs
MAX_CHARACTERS = 2000


def clean_cell(cell: str) -> str:
    """Return a catalogue's cell of barcodes with ";" between them, without what spreadsheets and people add."""
    if cell.isascii() and cell.isdecimal():
        return cell
    text = _normalize(cell)
    if listed := _LIST.fullmatch(text):
        text = next(filter(None, listed.groups()), text)
    parts = [_clean(part) for part in _SEPARATORS.split(text)]
    codes = [part for part in parts if part]
    if len(codes) > 1 and not all(map(_is_code, codes)):
        return _clean(text)  # a code of other signs, such as AB/12
    if len(codes) == 1 and not barcode.parse_gtin(codes[0]):
        words = codes[0].split()
        if len(words) > 1 and all(len(word) in barcode.LENGTHS and barcode.parse_gtin(word) for word in words):
            codes = words
    return ";".join(dict.fromkeys(codes))


def find_readings(text: str) -> Iterator[set[str]]:
    """Yield the spellings of a scanned or typed code in catalogues, the surest reading first.

    They are: the code itself; the GTIN in an element string or link; the code without a letter before it or digits
    beside it; the GTIN that a UPC-E or ISBN-10 stands for; the UPC-E that stands for a GTIN; and the GTIN of the unit
    in a case whose GTIN has an indicator.
    """
    text = _normalize(text[:MAX_CHARACTERS])
    code = _SYMBOLOGY.sub("", text)
    gtin = find_gtin(code)
    yield {*barcode.equivalent_codes(text), *barcode.equivalent_codes(_clean(code))}
    if gtin:
        yield barcode.equivalent_codes(gtin)
    for pattern in (_PREFIXED, _ADDED):
        number = next(filter(None, found.groups()), "") if (found := pattern.fullmatch(code)) else ""
        if barcode.parse_gtin(number):
            yield barcode.equivalent_codes(number)
    known = barcode.parse_gtin(gtin or _clean(code))
    plain = re.sub("[ -]", "", _clean(code))
    if expanded := expand_upc_e(plain) or _expand_isbn(plain) or _expand_short_upc_e(plain):
        yield barcode.equivalent_codes(expanded)
    if known and (short := _shorten_to_upc_e(known)):
        yield {short, short.lstrip("0")}
    if known and known[0] in "12345678":
        yield barcode.equivalent_codes(_with_check_digit(known[1:13]))


def find_gtin(text: str) -> str:
    """Return the GTIN, 14 digits, in a GS1 element string or Digital Link; "" if there is none."""
    text = _GROUP_NAMES.sub(_GROUP, text)
    if "://" in text:
        elements: Iterator[tuple[str, str]] = _read_link(text)
    elif text.startswith("("):
        elements = iter(_PARENTHESES.findall(text))
    else:
        elements = _read_elements(text.strip(_GROUP))
    for identifier, value in elements:
        value = value.strip(" " + _GROUP)
        if identifier in _GTIN_IDENTIFIERS and re.fullmatch("[0-9]{8,14}", value):
            return barcode.parse_gtin(value) or ""
    return ""


def expand_upc_e(code: str) -> str:
    """Return the UPC-A, 12 digits, of a UPC-E: 8 digits with number system and check digit; "" for any other code."""
    if not re.fullmatch("[01][0-9]{7}", code):
        return ""
    system, body, check = code[0], code[1:7], code[7]
    last = body[5]
    if last in "012":
        digits = body[:2] + last + "0000" + body[2:5]
    elif last == "3":
        digits = body[:3] + "00000" + body[3:5]
    elif last == "4":
        digits = body[:4] + "00000" + body[4]
    else:
        digits = body[:5] + "0000" + last
    return f"{system}{digits}{check}" if barcode.parse_gtin(f"{system}{digits}{check}") else ""


def _expand_short_upc_e(code: str) -> str:
    """Return the UPC-A of a UPC-E that lost its first zero, or both number system and check digit; "" otherwise."""
    if re.fullmatch("[0-9]{7}", code):
        return expand_upc_e(f"0{code}")
    checked = (expand_upc_e(f"0{code}{digit}") for digit in range(10)) if re.fullmatch("[0-9]{6}", code) else ()
    return next(filter(None, checked), "")


def _shorten_to_upc_e(gtin: str) -> str:
    """Return the UPC-E that stands for a GTIN of 14 digits; "" if there is none."""
    if not re.fullmatch("00[01][0-9]{11}", gtin):
        return ""
    upc = gtin[2:]
    maker, item = upc[1:6], upc[6:11]
    bodies = [maker[:2] + item[2:] + maker[2], maker[:3] + item[3:] + "3", maker[:4] + item[4] + "4", maker + item[4]]
    return next((code for body in bodies if expand_upc_e(code := upc[0] + body + upc[11]) == upc), "")


def _expand_isbn(code: str) -> str:
    """Return the EAN-13 of an ISBN-10; "" for any other code."""
    if not re.fullmatch("[0-9]{9}[0-9Xx]", code):
        return ""
    values = [10 if sign in "Xx" else int(sign) for sign in code]
    is_right = sum(value * weight for value, weight in zip(values, range(10, 0, -1), strict=True)) % 11 == 0
    return _with_check_digit("978" + code[:9]) if is_right else ""


def _with_check_digit(digits: str) -> str:
    """Return the digits of a GTIN with its check digit."""
    weighted = sum(int(digit) * (1 if position % 2 else 3) for position, digit in enumerate(reversed(digits)))
    return digits + str(-weighted % 10)


def _normalize(text: str) -> str:
    """Return a text with signs of usual width, and without those that are not visible."""
    if text.isascii():
        return text.strip()
    visible = "".join(sign for sign in text if unicodedata.category(sign) != "Cf")
    return unicodedata.normalize("NFKC", visible).strip()


def _clean(code: str) -> str:
    code = _LABEL.sub("", code.strip().strip(_QUOTES).strip()).strip(_QUOTES + " ")
    whole = _WHOLE.fullmatch(code)
    return whole[1] if whole else code


def _is_code(code: str) -> bool:
    digits = re.sub("[ -]", "", code)
    return bool(re.fullmatch("[0-9]{6,14}", digits) or _expand_isbn(digits))


def _read_elements(text: str) -> Iterator[tuple[str, str]]:
    """Yield identifier and value of each element of a string without parentheses."""
    while len(text) > 2:
        identifier = text[:2]
        length = _FIXED.get(identifier)
        if length is None:
            text = text.partition(_GROUP)[2]  # its value ends at FNC1, or with the string
            continue
        yield identifier, text[2:length]
        text = text[length:].lstrip(_GROUP)


def _read_link(text: str) -> Iterator[tuple[str, str]]:
    try:
        parts = [unquote(part) for part in urlsplit(text).path.split("/") if part]
    except ValueError:
        return
    yield from itertools.pairwise(parts)
