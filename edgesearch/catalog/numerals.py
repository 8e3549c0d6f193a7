"""Parse numbers as people and spreadsheets write them: "1.234,50 €", "$4.50", "1 234,5", "5,-"."""

import re
import unicodedata
from collections.abc import Iterable

POINT, COMMA = ".", ","
MAX_CHARACTERS = 40  # of a price
_SIGNS = {"€": "EUR", "£": "GBP", "₹": "INR", "₩": "KRW", "zł": "PLN", "kč": "CZK", "fr.": "CHF", "sfr.": "CHF"}
_SIGNS |= {
    "₫": "VND",
    "đ": "VND",
    "円": "JPY",
    "元": "CNY",
    "원": "KRW",
    "₺": "TRY",
    "tl": "TRY",
    "₽": "RUB",
    "₴": "UAH",
}
_SIGNS |= {"฿": "THB", "₱": "PHP", "₦": "NGN", "₪": "ILS", "rm": "MYR", "rp": "IDR", "rp.": "IDR", "ft": "HUF"}
_SIGNS |= {
    "r": "ZAR",
    "\u043b\u0432": "BGN",
    "\u043b\u0432.": "BGN",
    "s/": "PEN",
    "\u0e1a\u0e32\u0e17": "THB",
    "rs": "Rs",
    "rs.": "Rs",
    "euro": "EUR",
    "euros": "EUR",
    "eur": "EUR",
    "\u0440\u0443\u0431.": "RUB",
    "\u0440\u0443\u0431": "RUB",
    "\u0433\u0440\u043d": "UAH",
}
_CURRENCY = (
    r"[A-Z]{3}(?![A-Za-z])|[A-Z]{0,3}\$|[€£¥₹₩₺₴₫฿₽₱₦₪円元원]|zł|Kč|R(?=[\s\d])|\u043b\u0432\.?|S/\.?|\u0e1a\u0e32\u0e17|kr\.?|S?Fr\.|Ft|[Ll]ei|Rs\.?|RM|Rp\.?|TL|đ|"
    r"[Ee](?:uros?|ur)|EUROS?|\u0440\u0443\u0431\.?|\u0433\u0440\u043d"
)
# Prices in these have no decimals: 45.000 ₫ and 1,200円 are thousands.
_WITHOUT_DECIMALS = frozenset(
    ("VND", "KRW", "JPY", "IDR", "HUF", "CLP", "COP", "PYG", "ISK", "UGX", "RWF", "XAF", "XOF")
)
_SPACES = r"\s'\u2019"  # thousands separators that are never decimal signs
_PRICE = re.compile(
    rf"(?P<before>{_CURRENCY})?\s*(?P<number>\d[\d.,{_SPACES}]*?)\s*(?:[.,:/][-\u2013\u2014=]+)?\s*(?P<after>{_CURRENCY})?"
)
_PLAIN = re.compile(r"\d*(\.\d*)?")
_THOUSANDS = re.compile(r"\d{1,3}([.,])\d{3}(?:\1\d{3})*")
_INDIAN = re.compile(r"\d{1,3}(?:,\d{2})*,\d{3}")
_GROUPED = re.compile(rf"\d{{1,3}}(?:[{_SPACES}]\d{{3}})+(?=[.,]|$)")


def normalize(cell: str) -> str:
    """Return a cell with digits and signs in their usual width: full-width ones become ASCII; superscripts stay."""
    if cell.isascii() or any(unicodedata.category(sign) == "No" for sign in cell):
        return cell
    return unicodedata.normalize("NFKC", cell).strip()


def parse_price(cell: str, decimal: str, currency: str = "") -> tuple[str, str]:
    """Split a price into its number and currency.

    Args:    cell: the price as written, normalized.
             decimal: the decimal sign of the file, "." or ","; "" if unknown.
             currency: the product's, "" if unknown.
    Returns: the number with a decimal point and no separators, and the currency or "". A cell that is no price comes
             back unchanged.
    """
    if decimal != COMMA and _PLAIN.fullmatch(cell) and currency not in _WITHOUT_DECIMALS:
        return cell, ""
    found = _match_price(cell)
    if not found or (found["before"] and found["after"]):
        return cell, ""
    sign = _currency(found)
    if _is_whole(found, currency):
        return re.sub(r"\D", "", found["number"]), sign
    plain = parse_number(found["number"], decimal)
    return (cell, "") if plain is None else (plain, sign)


def parse_number(text: str, decimal: str) -> str | None:
    """Return a number with a decimal point and no thousands separators; None if it does not fit the decimal sign.

    decimal: "" if the file's sign is unknown; the number's own form then decides, and "1.234" counts as 1.234.
    """
    text = _join_groups(text)
    decimal = decimal or decimal_sign(text) or POINT
    thousands = COMMA if decimal == POINT else POINT
    whole, _, part = text.partition(decimal)
    is_grouped = re.fullmatch(rf"\d{{1,3}}(?:{re.escape(thousands)}\d{{3}})+|\d+", whole)
    is_grouped = is_grouped or (_INDIAN.fullmatch(whole) if thousands == COMMA else None)
    if not is_grouped or not re.fullmatch(r"\d*", part):
        return None
    return whole.replace(thousands, "") + (f".{part}" if part else "")


def decimal_sign(text: str) -> str:
    """Return the decimal sign that a number's form proves: "." or ","; "" if it has none or could be either."""
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


def is_ambiguous(cell: str, currency: str = "") -> bool:
    """Return whether a price such as "1,234" is one number with a decimal comma and another with a decimal point."""
    found = _match_price(cell)
    if not found or _is_whole(found, currency):
        return False
    return bool(re.search(r"[.,]", _join_groups(found["number"])) and not decimal_sign(found["number"]))


def find_decimal_signs(cells: Iterable[str]) -> dict[str, str]:
    """Return each decimal sign that some price proves, with the first price that proves it."""
    proofs: dict[str, str] = {}
    for cell in cells:
        found = _match_price(cell)
        if found and not _is_whole(found, "") and (sign := decimal_sign(found["number"])):
            proofs.setdefault(sign, cell)
    return proofs


def _currency(found: re.Match[str]) -> str:
    sign = found["before"] or found["after"] or ""
    return _SIGNS.get(sign.lower(), sign)


def _is_whole(found: re.Match[str], currency: str) -> bool:
    """Return whether a price has thousands separators and a currency without decimals."""
    return (_currency(found) or currency) in _WITHOUT_DECIMALS and _THOUSANDS.fullmatch(found["number"]) is not None


def _match_price(cell: str) -> re.Match[str] | None:
    """Match the parts of a price; skip long texts, on which the pattern would backtrack for minutes."""
    return _PRICE.fullmatch(cell) if len(cell) <= MAX_CHARACTERS else None


def _join_groups(text: str) -> str:
    """Remove spaces and apostrophes between groups of thousands."""
    found = _GROUPED.match(text)
    return re.sub(f"[{_SPACES}]", "", found[0]) + text[found.end() :] if found else text
