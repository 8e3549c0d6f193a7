"""Numbers as people and spreadsheets write them: "1.234,50 €", "$4.50", "1 234,5", "5,-"."""

import re
from collections.abc import Iterable

POINT, COMMA = ".", ","
MAX_CHARACTERS = 40  # letters of a price
_SIGNS = {"€": "EUR", "£": "GBP", "₹": "INR", "₩": "KRW", "zł": "PLN", "kč": "CZK", "fr.": "CHF", "sfr.": "CHF"}
_CURRENCY = r"[A-Z]{3}|[A-Z]{0,3}\$|[€£¥₹₩₺₴₫฿₽]|zł|Kč|kr\.?|S?Fr\.|Ft|lei"
_SPACES = r"\s'\u2019"  # between thousands
_PRICE = re.compile(
    rf"(?P<before>{_CURRENCY})?\s*(?P<number>\d[\d.,{_SPACES}]*?)\s*(?:[.,][-\u2013\u2014]+)?\s*(?P<after>{_CURRENCY})?"
)
_PLAIN = re.compile(r"\d*(\.\d*)?")
_GROUPED = re.compile(rf"\d{{1,3}}(?:[{_SPACES}]\d{{3}})+(?=[.,]|$)")


def parse_price(cell: str, decimal: str) -> tuple[str, str]:
    """A price's number, with a point and nothing else, and its currency ("" where it has none).

    What is no price comes back as it is. decimal: "." or ",", "" where the file does not tell.
    """
    if decimal != COMMA and _PLAIN.fullmatch(cell):
        return cell, ""
    found = _match_price(cell)
    if not found or (found["before"] and found["after"]):
        return cell, ""
    sign = found["before"] or found["after"] or ""
    plain = parse_number(found["number"], decimal)
    return (cell, "") if plain is None else (plain, _SIGNS.get(sign.lower(), sign))


def parse_number(text: str, decimal: str) -> str | None:
    """It with a point and no separators of thousands; None: it is no number that has this decimal sign.

    decimal: "" where the file does not tell; then a number must tell by itself, but "1.234" has a point.
    """
    text = _join_groups(text)
    decimal = decimal or decimal_sign(text) or POINT
    thousands = COMMA if decimal == POINT else POINT
    whole, _, part = text.partition(decimal)
    if not re.fullmatch(rf"\d{{1,3}}(?:{re.escape(thousands)}\d{{3}})+|\d+", whole) or not re.fullmatch(r"\d*", part):
        return None
    return whole.replace(thousands, "") + (f".{part}" if part else "")


def decimal_sign(text: str) -> str:
    """The decimal sign that a number shows to be one: "." or ",", "" where it may be either or has none."""
    joined = _join_groups(text)
    signs = re.findall(r"[.,]", joined)
    if not signs:
        return ""
    last, other = signs[-1], COMMA if signs[-1] == POINT else POINT
    if len(set(signs)) == 2 or joined != text:
        return last
    if len(signs) > 1:
        return other
    whole, _, part = joined.partition(last)
    return "" if len(part) == 3 and len(whole) <= 3 and whole.strip("0") else last


def is_ambiguous(cell: str) -> bool:
    """A price such as "1,234", which is one number with a decimal comma and another without."""
    found = _match_price(cell)
    return bool(found and re.search(r"[.,]", _join_groups(found["number"])) and not decimal_sign(found["number"]))


def find_decimal_signs(cells: Iterable[str]) -> dict[str, str]:
    """For each decimal sign that any of these prices shows to be one, the first that does."""
    shown: dict[str, str] = {}
    for cell in cells:
        found = _match_price(cell)
        if found and (sign := decimal_sign(found["number"])):
            shown.setdefault(sign, cell)
    return shown


def _match_price(cell: str) -> re.Match[str] | None:
    """The parts of a price; in a long text they would be sought for minutes."""
    return _PRICE.fullmatch(cell) if len(cell) <= MAX_CHARACTERS else None


def _join_groups(text: str) -> str:
    """Without spaces and apostrophes between thousands."""
    found = _GROUPED.match(text)
    return re.sub(f"[{_SPACES}]", "", found[0]) + text[found.end() :] if found else text
