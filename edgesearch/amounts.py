"""Price bounds as people say them, in English and Chinese: "under 50", "between 3 and 5 euro", "不超过30元".

Texts are folded (`terms.folded`). A number that a unit follows ("under 500 ml") is no price, and neither is one without
a currency where the words may mean something else ("from 5").
"""

import re
from dataclasses import dataclass

_UP_TO_NINETEEN = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_DIGITS = {word: n for n, word in enumerate(_UP_TO_NINETEEN.split())}
_DIGITS |= {word: 10 * n for n, word in enumerate(_TENS.split(), 2)}
_HAN = {c: n for n, c in enumerate("零一二三四五六七八九")} | {"两": 2}
_HAN_TENS = {"十": 10, "百": 100, "千": 1000}
_SPELT = rf"(?:{'|'.join([*_DIGITS, 'hundred'])})(?![a-z])"
_NUMBER = (
    r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:[.,]\d{1,2})?|"
    rf"{_SPELT}(?:[ -]{_SPELT})*|[零一二两三四五六七八九十百千万]+)(?!\d)"
)
_CURRENCIES = {
    "EUR": r"euros?(?![a-z])|eur(?![a-z])|€",
    "USD": r"dollars?(?![a-z])|bucks?(?![a-z])|usd(?![a-z])|\$|美元",
    "GBP": r"pounds?(?![a-z])|gbp(?![a-z])|£|英镑",
    "JPY": r"yen(?![a-z])|jpy(?![a-z])|円|日元",
    "CHF": r"francs?(?![a-z])|chf(?![a-z])",
    "CNY": r"yuan(?![a-z])|rmb(?![a-z])|cny(?![a-z])|¥|人民币|元|块钱|块",
}
_CURRENCY = "|".join(_CURRENCIES.values())
_UNIT = (
    r"\s*(?:(?:m?g|kg|[mc]?l|litres?|liters?|[mck]?m|w|watts?|v|volts?|mah|[gt]b|inch(?:es)?|ft|oz|lbs?|packs?|pcs|"
    r"pieces|sheets|bags|x|days?|weeks?|months?|years?|hours?|k?cal|calories|degrees)(?![a-z])|"
    r"%|克|千克|公斤|斤|毫升|升|米|厘米|毫米|瓦|伏|寸|片|包|袋|个|只|件|瓶|盒|年|月|天|岁)"
)
_LEAD = r"(?:(?P<lead>(?:priced?|costs?|costing)(?![a-z])|价格|售价|价钱)\s*(?:is|at|在|为|是)?\s*)?"
_UNDER = r"(?:under|below|less than|lower than|cheaper than)(?![a-z])|<|低于|少于|小于|不到"
_AT_MOST = (
    r"(?:up to|at most|no more than|not more than|not over|max(?:imum)?(?: of)?)(?![a-z])|"
    r"<=|≤|不超过|不高于|最多|至多|不大于"
)
_OVER = r"(?:over|above|more than|higher than)(?![a-z])|>|超过|高于|大于|多于"
_AT_LEAST = (
    r"(?:at least|no less than|not less than|not under|min(?:imum)?(?: of)?)(?![a-z])|"
    r">=|≥|至少|不低于|不少于|最少|不小于"
)


def _amount(n: int) -> str:
    return rf"(?P<before{n}>{_CURRENCY})?\s*(?P<number{n}>{_NUMBER})\s*(?P<after{n}>{_CURRENCY})?"


def _bound(pattern: str, *operators: str, sure: bool = True) -> tuple[re.Pattern[str], tuple[str, ...], bool]:
    """sure: it is a price even where no currency is named."""
    return re.compile(rf"{_LEAD}{pattern}(?!{_UNIT})"), operators, sure


_ONE, _TWO = _amount(1), _amount(2)
_BOUNDS = (
    _bound(rf"(?<![a-z])between\s+{_ONE}\s*and\s*{_TWO}", ">=", "<="),
    _bound(rf"(?:在|介于)?\s*{_ONE}\s*(?:-|~|到|至|和)\s*{_TWO}\s*(?:之间)", ">=", "<="),
    _bound(rf"(?:(?<![a-z])from\s+)?{_ONE}\s*(?:-|\u2013|~|to(?![a-z])|到|至)\s*{_TWO}", ">=", "<=", sure=False),
    _bound(rf"(?<![a-z])(?:{_AT_MOST})\s*{_ONE}", "<="),
    _bound(rf"(?<![a-z])(?:{_AT_LEAST})\s*{_ONE}", ">="),
    _bound(rf"(?<![a-z])(?:{_UNDER})\s*{_ONE}", "<"),
    _bound(rf"(?<![a-z])(?:{_OVER})\s*{_ONE}", ">"),
    _bound(rf"(?<![a-z\d]){_ONE}\s*(?:(?:or|and) (?:less|under|below|cheaper)(?![a-z])|以下|以内|之内)", "<="),
    _bound(rf"(?<![a-z\d]){_ONE}\s*(?:(?:or|and) (?:more|over|above|up)(?![a-z])|以上)", ">="),
    _bound(rf"(?<![a-z])from\s+{_ONE}", ">=", sure=False),
)  # fmt: skip
_MEASURE = re.compile(rf"(?:{_UNDER}|{_AT_MOST}|{_OVER}|{_AT_LEAST}|between)\s*{_NUMBER}[^,]{{0,12}}?{_UNIT}")
_BARE = re.compile(rf"(?<![a-z\d])(?:(?:{_CURRENCY})\s*{_NUMBER}|{_NUMBER}\s*(?:{_CURRENCY}))")


@dataclass(frozen=True)
class Bound:
    """A price bound in a text: where it stands, operator and number, and the currency where it is named."""

    start: int
    stop: int
    conditions: tuple[tuple[str, float], ...]
    currency: str | None


def bounds(text: str) -> list[Bound]:
    """The price bounds in a folded text."""
    found: list[Bound] = []
    for pattern, operators, sure in _BOUNDS:
        for match in pattern.finditer(text):
            named = [_code(match[f"{side}{n}"]) for n in range(1, len(operators) + 1) for side in ("before", "after")]
            currency = next((code for code in reversed(named) if code), None)
            free = all(match.end() <= one.start or one.stop <= match.start() for one in found)
            if free and (sure or currency or match["lead"]):
                numbers = [_value(match[f"number{n}"]) for n in range(1, len(operators) + 1)]
                conditions = tuple(zip(operators, sorted(numbers), strict=True))
                found.append(Bound(match.start(), match.end(), conditions, currency))
    return sorted(found, key=lambda one: one.start)


def doubtful(text: str) -> list[str]:
    """What looks like a price bound in a folded text and is not taken for one."""
    return [match[0].strip() for pattern in (_MEASURE, _BARE) for match in pattern.finditer(text)]


def _code(said: str | None) -> str | None:
    return next((code for code, words in _CURRENCIES.items() if said and re.fullmatch(words, said)), None)


def _value(text: str) -> float:
    if text[0].isascii() and text[0].isdigit():
        thousands = re.sub(r",(?=\d{3}(?:\D|$))", "", text)
        return float(thousands.replace(",", "."))
    return float(_english(text) if text[0].isascii() else _chinese(text))


def _english(text: str) -> int:
    total = 0
    for word in re.split(r"[ -]", text):
        total = max(total, 1) * 100 if word == "hundred" else total + _DIGITS[word]
    return total


def _chinese(text: str) -> int:
    total, part, digit = 0, 0, 0
    for c in text:
        if c == "万":
            total, part, digit = total + max(part + digit, 1) * 10_000, 0, 0
        elif c in _HAN_TENS:
            part, digit = part + max(digit, 1) * _HAN_TENS[c], 0
        else:
            digit = digit * 10 + _HAN[c]
    return total + part + digit
