"""A sentence becomes a filter and words: "red mug under 50", "不超过30元的牛奶", "like this but Adidas, in stock".

Brands, categories and colours are understood where the catalogue itself has them. A brand or category that may as well
be part of other products' names (the brand Orange in "orange juice") stays a word, and the notes say so; a colour that
names have too lets those through besides. All that is not understood stays words. The filter is an expression of
`where`: whoever asked can read it, change it and give it back.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..errors import QueryError
from . import amounts, colour_words
from .filters import Any, Condition, Filter, quote
from .full_text import WordSearch
from .product_table import ProductTable, format_number
from .terms import UNSPACED, fold, is_unspaced, split_words

MAX_CHARACTERS = 1000
_LETTER = rf"[^\W_{UNSPACED}]"
_LIKE_THIS = re.compile(
    r"(?<![a-z])(?:(?:something|anything|one|ones|just|exactly|similar|looks?)\s+)*(?:like|similar to|same as|than)\s+"
    r"(?:this|that|it|these|the photo|the picture)(?: one)?(?![a-z])|"
    r"(?:和|跟|像|与|比|类似)?这(?:个|款|件|样)(?:一样|相似|类似|差不多)?的?|同款"
)
_CHEAPEST = re.compile(
    r"(?<![a-z])(?:cheapest|lowest[- ]priced?|least expensive)(?![a-z])|(?:价格)?最(?:便宜|低价)的?|价格最低的?"
)
_DEAREST = re.compile(r"(?<![a-z])(?:most expensive|dearest|highest[- ]priced?)(?![a-z])|(?:价格)?最贵的?|价格最高的?")
_CHEAPER = re.compile(r"(?<![a-z])cheaper(?! than)(?![a-z])|(?:更|再|比较)?便宜(?:一点|一些|点|些)?的?")
_NO_STOCK = re.compile(
    r"(?<![a-z])(?:not in stock|out of stock|sold out|unavailable)(?![a-z])|缺货|无货|没货|没有库存|售罄"
)
_STOCK = re.compile(r"(?<![a-z])(?:in stock|available(?: now)?)(?![a-z])|有现货|有货|现货|有库存")
_NOT = (
    r"(?<![a-z])(?:(?:but not|not|no|nothing|none|without|except|other than)\s+(?:(?:from|by|in|of|the|a|an|any)\s+)*|"
    r"non-)(?!(?:under|below|over|above|more|less)(?![a-z]))"
)
_HAN_NOT = "(?:不要|除了|不是)"
_WITHOUT = rf"(?:{_NOT}|{_HAN_NOT}|非)\s*"
_NEITHER = re.compile(r"\s*(?:,?\s*(?:or|nor|and)\s+|[/、,]?[或和及]|/|、)\s*")  # between two that are not wanted
_AFTER_NOT = re.compile(rf"(?:{_NOT}{_LETTER}+\s+n?or\s+|{_HAN_NOT}[^的\W]+)$")
_UNKNOWN_NEGATION = re.compile(
    rf"{_NOT}(?P<word>{_LETTER}*[^\W\d_{UNSPACED}])(?!{_LETTER})|{_HAN_NOT}[{UNSPACED}]+?(?:的|(?![{UNSPACED}]))"
)
_OR = re.compile(r"(?<![a-z])or(?![a-z])|或")
_FILLER_TEXT = (
    "a an the but with in of for by from me my i im we us want need like looking look show find give get buy please "
    "some any something anything one ones colour color colored coloured brand priced price costs that which is are "
    "and or this to does"
)
_FILLERS = frozenset(_FILLER_TEXT.split())
_HAN_FILLERS = re.compile(
    r"^(?:请|帮我|给我|我要|我想要|我想|想要|想买|要|找|买|一个|一款|有没有|但是|但|不过|和|或|的|颜色|品牌|以外|之外|多少钱)+|"
    r"(?:的|以外|之外|多少钱|吗|呢)+$"
)


@dataclass(frozen=True)
class Sentence:
    """What a sentence says.

    Attributes: where: the filter, as `where.parse` reads it; words: what else; notes: what was left, and why.
    """

    where: str
    words: str
    notes: tuple[str, ...]


def parse(text: str, table: ProductTable, words: WordSearch, photo: bool) -> Sentence:
    """Understand a sentence by what a catalogue holds.

    Args:    photo: there is one besides, which "like this" may mean.
    Raises:  QueryError: the sentence is too long, or means a photo that is not there.
    """
    if len(text) > MAX_CHARACTERS:
        raise QueryError(f"text: {len(text)} characters; give {MAX_CHARACTERS} at most.")
    reader = _SentenceParser(fold(text), table, words, photo)
    if reader.take(_LIKE_THIS) and not photo:
        raise QueryError(f"text {text!r}: means a photo, and there is none; give one, or leave that out.")
    order = reader.order()
    reader.bounds()
    reader.stock()
    reader.values()
    reader.unread()
    left = reader.left()
    return Sentence(" ".join([*filter(None, (" and ".join(reader.conditions), order))]), left, tuple(reader.notes))


@dataclass(frozen=True)
class _NamedValue:
    """A value of a column in a sentence."""

    start: int
    stop: int
    column: str
    value: str
    negated: bool


class _SentenceParser:
    """A sentence of which part after part is understood and taken out.

    Attributes: rest: what is left of it; conditions: what was understood; notes: what was not, and why.
    """

    def __init__(self, text: str, table: ProductTable, words: WordSearch, photo: bool):
        self.rest, self._table, self._words, self._photo = text, table, words, photo
        self.conditions: list[str] = []
        self.notes: list[str] = []

    def take(self, pattern: re.Pattern[str]) -> bool:
        before, self.rest = self.rest, pattern.sub(" ", self.rest)
        return before != self.rest

    def order(self) -> str:
        """`order by` the price, where the sentence says so."""
        for pattern, order in ((_CHEAPEST, "order by price"), (_DEAREST, "order by price desc")):
            if self.take(pattern) and self._has("price", order):
                return order
        if self.take(_CHEAPER):
            self.notes.append("'cheaper' does not say than what, and is not used; use price<N")
        return ""

    def stock(self) -> None:
        for pattern, condition in ((_NO_STOCK, "stock<=0"), (_STOCK, "stock>0")):
            if self.take(pattern) and self._has("stock", condition):
                self.conditions.append(condition)

    def bounds(self) -> None:
        """Take out the bounds of price and stock."""
        for bound in reversed(amounts.find_bounds(self.rest)):
            said, self.rest = self.rest[bound.start : bound.stop], self._without(bound.start, bound.stop)
            if self._has(bound.column, said):
                self.conditions += [f"{bound.column}{operator}{format_number(n)}" for operator, n in bound.conditions]
            if bound.column == "price" and self._table.find("price"):
                self._currency(bound.currency, said)
        self.notes += [f"{said!r} is not taken for a price bound; use price<N" for said in amounts.find_doubtful(self.rest)]

    def values(self) -> None:
        """Take out brands, categories and colours of which it is sure that they are meant."""
        taken: dict[str, list[str]] = {}
        coloured: dict[Filter, None] = {}
        text, named = self.rest, list(self._named())
        either = _OR.search(text) is not None
        for one in reversed(_spread_negation(_without_overlaps(named), text)):
            doubt = self._doubt(one, text, named)
            if doubt:
                self.notes.append(doubt)
                continue
            if one.column == colour_words.COLUMN and not one.negated:
                seen = self._coloured(one.value, text[one.start : one.stop])
                coloured = {seen: None} | coloured
                if isinstance(seen, Any) and not self._photo:
                    continue  # its name may say it, and is then the better answer
            self.rest = self._without(one.start, one.stop)
            if one.negated:
                self.conditions.append(str(Condition(one.column, "!=", (one.value,))))
            elif one.column != colour_words.COLUMN:
                taken.setdefault(one.column, []).insert(0, one.value)
        for column, values in taken.items():
            distinct = tuple(dict.fromkeys(values))
            self.conditions.append(str(Condition(column, "in" if len(distinct) > 1 else "=", distinct)))
        found: list[Filter] = [Any(tuple(coloured))] if either and len(coloured) > 1 else list(coloured)
        self.conditions += [f"({one})" if isinstance(one, Any) else str(one) for one in found]

    def unread(self) -> None:
        """Take out what is not wanted and not understood: as words, it would be found."""
        for match in reversed([*_UNKNOWN_NEGATION.finditer(self.rest)]):
            word = match["word"]
            if word and self._words.products_with(match[0], "name").any():
                continue  # "no sugar" is in names here
            self.rest = self._without(*match.span())
            use = f"not name~{quote(word) if word else 'WORD'}"
            self.notes.append(f"{match[0].strip()!r} is not understood, and not used; {use} filters")

    def left(self) -> str:
        """The words that are left, without those that carry nothing."""
        found = [re.sub(_HAN_FILLERS, "", part) if is_unspaced(part) else part for part in split_words(self.rest)]
        return " ".join(part for part in found if part and part not in _FILLERS)

    def _has(self, column: str, said: str) -> bool:
        if self._table.find(column):
            return True
        self.notes.append(f"{said.strip()!r} is not used: no product here says its {column}")
        return False

    def _currency(self, named: str | None, said: str) -> None:
        if not self._table.find("currency"):
            return
        here = [str(value) for value in self._table.column("currency").values if value is not None]
        if named in here and len(here) > 1:
            self.conditions.append(f"currency={named}")
        elif (named and named not in here) or len(here) > 1:
            self.notes.append(f"{said.strip()!r} is compared as it stands with prices in {', '.join(here)}")

    def _named(self) -> Iterator[_NamedValue]:
        for column in ("brand", "category"):
            for value, words in self._table.value_words(column):
                yield from self._at(column, value, words)
        if self._table.find(colour_words.COLUMN):
            said = ((value, words) for value, words in self._table.value_words(colour_words.COLUMN) if words)
            known = ((term, [word]) for word, term in colour_words.TERM_OF_WORD.items())
            for value, words in (*known, *said):
                yield from self._at(colour_words.COLUMN, value, words)

    def _at(self, column: str, value: str, words: list[str]) -> Iterator[_NamedValue]:
        """Where these words stand in the sentence, one after the other."""
        if not words or not all(word.rstrip("s") in self.rest for word in words):
            return
        inner = r"[\W_]*".join(re.escape(word) for word in words[:-1])
        last = re.escape(words[-1])
        if words[-1].isascii() and words[-1].isalpha() and len(words[-1]) > 2:
            last = re.escape(words[-1].removesuffix("s")) + "(?:e?s)?"
        whole = r"[\W_]*".join(filter(None, (inner, last)))
        pattern = rf"(?<!{_LETTER})(?:{whole})(?!{_LETTER})" if not is_unspaced(words[0]) else whole
        for match in re.finditer(rf"({_WITHOUT})?({pattern})", self.rest):
            yield _NamedValue(match.start(), match.end(), column, value, match[1] is not None)

    def _doubt(self, one: _NamedValue, text: str, all_named: Sequence[_NamedValue]) -> str | None:
        """Why it is not sure that a value is meant, None where it is; text: the sentence with all values."""
        said = re.sub(_WITHOUT, "", text[one.start : one.stop])
        also = {other.column for other in all_named if (other.start, other.stop) == (one.start, one.stop)}
        use = f"{one.column}!={quote(one.value)} filters"
        if not one.negated:
            use = f"it stays a word; {one.column}={quote(one.value)} filters"
        if len(also) > 1:
            return f"{said!r} is a {' and a '.join(sorted(also))} here; {use}"
        before = _AFTER_NOT.search(text[: one.start])
        if before and not any(other.negated and other.start == before.start() for other in all_named):
            return f"{said!r} comes after {before[0].strip()!r}, which is not understood; {use}"
        if is_unspaced(said) and len(said) == 1:
            start = one.stop - 1
            pairs = (text[max(0, start - 1) : one.stop], text[start : one.stop + 1])
            part = [pair for pair in pairs if self._is_word(pair)]
            return f"{said!r} is part of {part[0]!r} in names here; {use}" if part else None
        filtered = Condition(one.column, "=", (one.value,))
        if one.column != colour_words.COLUMN and not one.negated and (astray := self._called_otherwise(said, filtered)):
            return f"{said!r} is in names of products that are not {filtered} ({astray}); {use}"
        return None

    def _coloured(self, colour: str, said: str) -> Filter:
        """What looks so, and what is called so where that does not all look so."""
        seen = Condition(colour_words.COLUMN, "=", (colour,))
        return Any((seen, Condition("name", "~", (said,)))) if self._called_otherwise(said, seen) else seen

    def _called_otherwise(self, said: str, filtered: Filter) -> int:
        """How many products have words in their name and do not pass a filter."""
        named = self._words.products_with(said, "name") & self._table.visible
        return int((named & ~self._table.matching(filtered)).sum())

    def _is_word(self, pair: str) -> bool:
        """A character and its neighbour are in a name together: the 红 of 红茶 is no colour."""
        return len(pair) == 2 and all(map(is_unspaced, pair)) and bool(self._words.products_with(pair, "name").any())

    def _without(self, start: int, stop: int) -> str:
        return f"{self.rest[:start]} {self.rest[stop:]}"


def _without_overlaps(named: Sequence[_NamedValue]) -> list[_NamedValue]:
    """The values in a sentence that do not overlap, in its order; of those that do, the longest."""
    found: list[_NamedValue] = []
    for one in sorted(named, key=lambda one: (one.start - one.stop, one.column)):
        if all(one.stop <= other.start or other.stop <= one.start for other in found):
            found.append(one)
    return sorted(found, key=lambda one: one.start)


def _spread_negation(named: Sequence[_NamedValue], text: str) -> list[_NamedValue]:
    """The same; of "not Adidas or Nord" neither is wanted."""
    found: list[_NamedValue] = []
    for one in named:
        if found and found[-1].negated and found[-1].column == one.column:
            one = replace(one, negated=one.negated or _NEITHER.fullmatch(text[found[-1].stop : one.start]) is not None)
        found.append(one)
    return found
