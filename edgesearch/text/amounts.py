"""Find bounds of price and stock in sentences: "under 50", "between 3 and 5 euro", "不超过30元", "stock over 3".

Texts must be folded (`terms.fold`). A number with a unit ("under 500 ml") is no price. Neither is a number without a
currency after words that can mean something else ("from 5").
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_UP_TO_NINETEEN = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_DIGITS = {word: n for n, word in enumerate(_UP_TO_NINETEEN.split())}
_DIGITS |= {word: 10 * n for n, word in enumerate(_TENS.split(), 2)}
_HAN = {c: n for n, c in enumerate("零一二三四五六七八九")} | {"两": 2}
_HAN_TENS = {"十": 10, "百": 100, "千": 1000, "万": 10_000}
_CURRENCIES = {
    "EUR": r"euros?(?![a-z])|eur(?![a-z])|€|欧元",
    "USD": r"dollars?(?![a-z])|bucks?(?![a-z])|usd(?![a-z])|\$|美元",
    "GBP": r"pounds?(?![a-z])|gbp(?![a-z])|£|英镑",
    "JPY": r"yen(?![a-z])|jpy(?![a-z])|円|日元",
    "CHF": r"francs?(?![a-z])|chf(?![a-z])|法郎",
    "CNY": r"yuan(?![a-z])|rmb(?![a-z])|cny(?![a-z])|¥|人民币|元|块钱|块",
}
_CURRENCY = "|".join(_CURRENCIES.values())
_SPELT = rf"(?:{'|'.join([*_DIGITS, 'hundred'])})(?![a-z])"
_HAN_DIGITS = "".join([*_HAN, *_HAN_TENS])
# Never part of a longer number or word: not the 1 of 1.000 or 10k, the 三 of 三十, the twenty of "twenty five".
_NUMBER = (
    r"(?<!\d)(?<!\d[.,])(?:"
    r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:[.,]\d{1,2})?)(?:[百千万]|(?![.,]?\d))"
    rf"(?:(?=\s*(?:{_CURRENCY}))|(?![a-z{_HAN_DIGITS}]))|"
    rf"{_SPELT}(?:(?:[ -]|(?<=hundred) and ){_SPELT})*(?![ -]{_SPELT})|"
    rf"[{_HAN_DIGITS}]+(?![{_HAN_DIGITS}\d]))"
)
_UNIT = (
    r"[\s-]*(?:(?:m?g|kg|grams?|kilos?|kilograms?|[mcd]?l|(?:milli)?lit(?:er|re)s?|[mck]?m|"
    r"(?:centi|milli)?met(?:er|re)s?|w|watts?|v|volts?|mah|[gt]b|inch(?:es)?|ft|feet|oz|ounces?|lbs?|packs?|pcs|pieces|sheets|bags|rolls|pairs|cups|x|"
    r"seconds?|minutes?|hours?|days?|weeks?|months?|years?|people|persons?|k?cal|calories|degrees|"
    r"cents?|pence|p|k|thousand|million)(?![a-z])|"
    r"%|克|千克|公斤|斤|毫升|升|米|厘米|毫米|瓦|伏|寸|片|包|袋|个|只|件|瓶|盒|年|月|天|岁|分|角|毛|[港韩台加澳]元|港币|台币)"
)
_LEAD = (
    r"(?:(?:(?P<price>(?:priced?|costs?|costing)(?![a-z])|价格|售价|价钱)|"
    r"(?P<stock>(?<![a-z])(?<!in )(?<!of )stock(?![a-z])|(?<!有)(?:库存|存货)))\s*:?\s*(?:is|of|at|在|为|是)?\s*)?"
)
_LEFT = r"(?P<left>\s*(?:(?:pieces|pcs|units)\s+)?(?:in stock|left|available)(?![a-z]))?"  # then stock is bounded
_LESS = r"(?:under|below|less than|lower than|fewer than|cheaper than)(?![a-z])"
_MORE = r"(?:over|above|more than|higher than|greater than)(?![a-z])"
_NO = (
    r"(?<![a-z])(?:no|not|never|nothing|none|(?:do|does|wo|should|must|is|are|ca)n['\u2019]?t)\s+"
    r"(?:(?:be|cost|costing|priced|go|going|pay|spend)\s+)?"
)
_HAN_NO = r"(?:不要?|不能|不可以?|不会|别|没有?|未)"
_UNDER = rf"(?<![a-z]){_LESS}|<|低于|少于|小于|不到"
_AT_MOST = (
    rf"{_NO}{_MORE}|(?<![a-z])(?:up to|at most|within|max(?:imum)?(?: of)?)(?![a-z])|<=|≤|"
    rf"{_HAN_NO}(?:超过|高于|多于|大于)|最多|至多"
)
_OVER = rf"(?<![a-z]){_MORE}|>|超过|高于|大于|多于"
_AT_LEAST = (
    rf"{_NO}{_LESS}|(?<![a-z])(?:at least|min(?:imum)?(?: of)?)(?![a-z])|>=|≥|"
    rf"{_HAN_NO}(?:低于|少于|小于)|至少|最少"
)


def _amount_pattern(n: int) -> str:
    return (
        rf"(?P<before{n}>{_CURRENCY})?\s*(?P<number{n}>{_NUMBER})\s*(?P<after{n}>{_CURRENCY})?"
        rf"(?P<tenth{n}>(?<=块)[1-9一二三四五六七八九](?!\d)[毛角]?)?"
    )


_ONE, _TWO, _START = _amount_pattern(1), _amount_pattern(2), r"(?<![a-z\d])"
_BOUNDS = (  # pattern, operators, whether it is a price even without a currency
    (rf"(?<![a-z])between\s+{_ONE}\s*and\s*{_TWO}", (">=", "<="), True),
    (rf"(?:在|介于)?\s*{_ONE}\s*(?:-|~|到|至|和)\s*{_TWO}\s*之间", (">=", "<="), True),
    (
        rf"(?:(?<![a-z])from\s+)?{_START}{_ONE}\s*(?:-|\u2013|~|to(?![a-z])|到|至)\s*{_TWO}",
        (">=", "<="),
        False,
    ),
    (rf"(?:{_AT_MOST})\s*{_ONE}", ("<=",), True),
    (rf"(?:{_AT_LEAST})\s*{_ONE}{_LEFT}", (">=",), True),
    (rf"(?:{_UNDER})\s*{_ONE}", ("<",), True),
    (rf"(?:{_OVER})\s*{_ONE}{_LEFT}", (">",), True),
    (rf"{_START}{_ONE}\s*(?:(?:or|and) (?:less|under|below|cheaper)(?![a-z])|以下|[以之]?内)", ("<=",), True),
    (rf"{_START}{_ONE}\s*(?:(?:or|and) (?:more|over|above|up)(?![a-z])|以上){_LEFT}", (">=",), True),
    (rf"(?<![a-z])from\s+{_ONE}", (">=",), False),
)
_MEASURE = (
    rf"(?:{_AT_MOST}|{_AT_LEAST}|{_UNDER}|{_OVER}|(?<![a-z])between)\s*(?:{_CURRENCY})?\s*"
    rf"(?:[\d.,]*\d[a-z]*|{_SPELT}|[{_HAN_DIGITS}]+)(?:[^,]{{0,12}}?{_UNIT})?"
)
_BARE = rf"{_START}(?:(?:{_CURRENCY})\s*{_NUMBER}|{_NUMBER}\s*(?:{_CURRENCY}))"


@dataclass(frozen=True)
class Bound:
    """A bound in a text.

    Attributes:
        start, stop: its position in the text.
        column: "price" or "stock".
        conditions: (operator, number) each.
        currency: its code, or None if the text names none.
    """

    start: int
    stop: int
    column: str
    conditions: tuple[tuple[str, float], ...]
    currency: str | None


def find_bounds(text: str) -> list[Bound]:
    """Return the bounds of price and stock in a folded text, in its order."""
    found: list[Bound] = []
    for pattern, operators, sure in _BOUNDS if _has_number(text) else ():  # compiling them takes 100 ms
        for match in re.finditer(rf"{_LEAD}(?P<bound>{pattern})(?!{_UNIT})", text):
            bound = _parse_bound(match, operators)
            is_free = all(bound.stop <= other.start or other.stop <= bound.start for other in found)
            if is_free and (sure or bound.currency or match["price"] or bound.column == "stock"):
                found.append(bound)
    return sorted(found, key=lambda bound: bound.start)


def _parse_bound(match: re.Match[str], operators: Sequence[str]) -> Bound:
    sides = range(1, len(operators) + 1)
    named = [_currency_code(match[f"{side}{n}"]) for n in sides for side in ("before", "after")]
    currency = next((code for code in reversed(named) if code), None)
    numbers = sorted(_parse_number(match[f"number{n}"]) + _parse_tenth(match[f"tenth{n}"]) for n in sides)
    conditions = tuple(zip(operators, numbers, strict=True))
    if currency or not (match["stock"] or match.groupdict().get("left")):  # "stock over 5 euro" is a price
        start = match.start("bound") if match["stock"] else match.start()
        stop = match.start("left") if match.groupdict().get("left") else match.end()
        return Bound(start, stop, "price", conditions, currency)
    return Bound(match.start(), match.end(), "stock", conditions, None)


def find_doubtful(text: str) -> list[str]:
    """Return the parts of a folded text that resemble a price bound but are not read as one."""
    patterns = (_MEASURE, _BARE) if _has_number(text) else ()
    return [match[0].strip() for pattern in patterns for match in re.finditer(pattern, text)]


def _has_number(text: str) -> bool:
    return re.search(rf"\d|(?<![a-z]){_SPELT}|[{_HAN_DIGITS}]", text) is not None


def _currency_code(word: str | None) -> str | None:
    return next((code for code, words in _CURRENCIES.items() if word and re.fullmatch(words, word)), None)


def _parse_number(text: str) -> float:
    if not text[0].isdecimal():
        return float(_parse_english(text) if text[0].isascii() else _parse_chinese(text))
    times = _HAN_TENS.get(text[-1], 1)
    thousands = re.sub(r",(?=\d{3}(?:\D|$))", "", text.rstrip("百千万"))
    return float(thousands.replace(",", ".")) * times


def _parse_tenth(text: str | None) -> float:
    """Return the tenths after a Chinese amount, such as the 5 of 3块5."""
    return (_HAN.get(text[0]) or int(text[0])) / 10 if text else 0.0


def _parse_english(text: str) -> int:
    total = 0
    for word in re.split(r"[ -](?:and )?", text):
        total = max(total, 1) * 100 if word == "hundred" else total + _DIGITS[word]
    return total


def _parse_chinese(text: str) -> int:
    if re.search("[百千万][一二两三四五六七八九]$", text):  # 一百五 is 150, and 105 is 一百零五
        text += {"百": "十", "千": "百", "万": "千"}[text[-2]]
    total, part, digit = 0, 0, 0
    for c in text:
        if c == "万":
            total, part, digit = total + max(part + digit, 1) * 10_000, 0, 0
        elif c in _HAN_TENS:
            part, digit = part + max(digit, 1) * _HAN_TENS[c], 0
        else:
            digit = digit * 10 + _HAN[c]
    return total + part + digit
