"""Turn a sentence into a filter and words: "red mug under 50", "不超过30元的牛奶", "like this, in stock".

Brands, categories and colours are recognized if the catalogue itself has them. A brand or category that may also be
part of other products' names (the brand Orange in "orange juice") stays a word, and a note says so. A colour that is
also in names adds these products to those that have the colour. Everything else stays words. The filter is an
expression that users can read, change and search with.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..errors import QueryError
from . import amounts, colour_words
from .filters import Condition, Filter, Or, quote
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
_NEITHER = re.compile(r"\s*(?:,?\s*(?:or|nor|and)\s+|[/、,]?[或和及]|/|、)\s*")  # between two unwanted things
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
    """A sentence, interpreted.

    Attributes:
        where: the filter, as `filters.parse` reads it.
        words: the rest of the sentence, to search for.
        notes: the parts that were ignored or stayed words, and why.
        ignored: the parts that were ignored.
    """

    where: str
    words: str
    notes: tuple[str, ...]
    ignored: tuple[str, ...] = ()


def parse(text: str, table: ProductTable, words: WordSearch, photo: bool) -> Sentence:
    """Interpret a sentence by the contents of a catalogue.

    Args:
        table: the columns of the products.
        words: the words of the same products.
        photo: whether a photo comes with the sentence, which "like this" can mean.
    Raises:
        QueryError: the sentence is too long, or means a photo and there is none.
    """
    if len(text) > MAX_CHARACTERS:
        raise QueryError(f"text: {len(text)} characters; give at most {MAX_CHARACTERS}.")
    parser = _SentenceParser(fold(text), table, words, photo)
    if parser.take(_LIKE_THIS) and not photo:
        raise QueryError(f"text {text!r}: means a photo, but there is none; give a photo, or leave that part out.")
    order = parser.take_order()
    parser.take_bounds()
    parser.take_stock()
    parser.take_values()
    parser.take_unknown_negations()
    where = " ".join([*filter(None, (" and ".join(parser.conditions), order))])
    return Sentence(where, parser.remaining_words(), tuple(parser.notes), tuple(parser.ignored))


@dataclass(frozen=True)
class _NamedValue:
    """A value of a column that a sentence names, at text[start:stop]."""

    start: int
    stop: int
    column: str
    value: str
    negated: bool


class _SentenceParser:
    """Interprets a sentence part by part, and takes each part out.

    Attributes:
        rest: the parts that are left.
        conditions: the conditions that the parts taken out mean.
        notes: the parts that were ignored or stay words, and why.
        ignored: the parts that were ignored.
    """

    def __init__(self, text: str, table: ProductTable, words: WordSearch, photo: bool):
        self.rest, self._table, self._words, self._photo = text, table, words, photo
        self.conditions: list[str] = []
        self.notes: list[str] = []
        self.ignored: list[str] = []

    def take(self, pattern: re.Pattern[str]) -> bool:
        """Take out every match of a pattern; return whether there was one."""
        before, self.rest = self.rest, pattern.sub(" ", self.rest)
        return before != self.rest

    def take_order(self) -> str:
        """Take out words that order by price; return the `order by` expression, or ""."""
        for pattern, order in ((_CHEAPEST, "order by price"), (_DEAREST, "order by price desc")):
            if self.take(pattern) and self._has_column("price", order):
                return order
        if self.take(_CHEAPER):
            self.notes.append("'cheaper' is ignored, since it does not say than what; use price<N")
            self.ignored.append("cheaper")
        return ""

    def take_stock(self) -> None:
        """Take out "in stock" and "sold out"."""
        for pattern, condition in ((_NO_STOCK, "stock<=0"), (_STOCK, "stock>0")):
            if self.take(pattern) and self._has_column("stock", condition):
                self.conditions.append(condition)

    def take_bounds(self) -> None:
        """Take out the bounds of price and stock."""
        for bound in reversed(amounts.find_bounds(self.rest)):
            text, self.rest = self.rest[bound.start : bound.stop], self._without(bound.start, bound.stop)
            if self._has_column(bound.column, text):
                self.conditions += [f"{bound.column}{operator}{format_number(n)}" for operator, n in bound.conditions]
            if bound.column == "price" and self._table.find("price"):
                self._add_currency(bound.currency, text)
        doubtful = amounts.find_doubtful(self.rest)
        self.notes += [f"{text!r} is not read as a price bound; use price<N" for text in doubtful]

    def take_values(self) -> None:
        """Take out the brands, categories and colours that are certainly meant."""
        wanted: dict[str, list[str]] = {}
        colours: dict[Filter, None] = {}
        text, all_named = self.rest, list(self._find_values())
        for named in reversed(_spread_negation(_without_overlaps(all_named), text)):
            if doubt := self._doubt(named, text, all_named):
                self.notes.append(doubt)
                continue
            if named.column == colour_words.COLUMN and not named.negated:
                condition = self._colour_condition(named.value, text[named.start : named.stop])
                colours = {condition: None} | colours
                if isinstance(condition, Or) and not self._photo:
                    continue  # a product with the colour in its name is the better answer
            self.rest = self._without(named.start, named.stop)
            if named.negated:
                self.conditions.append(str(Condition(named.column, "!=", (named.value,))))
            elif named.column != colour_words.COLUMN:
                wanted.setdefault(named.column, []).insert(0, named.value)
        for column, values in wanted.items():
            distinct = tuple(dict.fromkeys(values))
            self.conditions.append(str(Condition(column, "in" if len(distinct) > 1 else "=", distinct)))
        self._add_colours(list(colours), is_either=_OR.search(text) is not None)

    def take_unknown_negations(self) -> None:
        """Take out unwanted words that are not understood, since a word search would find exactly these."""
        for match in reversed([*_UNKNOWN_NEGATION.finditer(self.rest)]):
            word = match["word"]
            if word and self._words.products_with(match[0], "name").any():
                continue  # such as "no sugar", if names here have it
            self.rest = self._without(*match.span())
            use = f"not name~{quote(word) if word else 'WORD'}"
            self.notes.append(f"{match[0].strip()!r} is not understood, so it is ignored; to filter, use {use}")
            self.ignored.append(match[0].strip())

    def remaining_words(self) -> str:
        """Return the words that are left, without fillers."""
        words = [re.sub(_HAN_FILLERS, "", word) if is_unspaced(word) else word for word in split_words(self.rest)]
        return " ".join(word for word in words if word and word not in _FILLERS)

    def _has_column(self, column: str, text: str) -> bool:
        """Return whether the catalogue has a column; if not, note that a part of the sentence is ignored."""
        if self._table.find(column):
            return True
        self.notes.append(f"{text.strip()!r} is ignored: the catalogue has no column {column}")
        self.ignored.append(text.strip())
        return False

    def _add_currency(self, code: str | None, text: str) -> None:
        if not self._table.find("currency"):
            return
        currencies = [str(value) for value in self._table.column("currency").values if value is not None]
        if code in currencies and len(currencies) > 1:
            self.conditions.append(f"currency={code}")
        elif (code and code not in currencies) or len(currencies) > 1:
            self.notes.append(
                f"{text.strip()!r} is compared, without conversion, with prices in {', '.join(currencies)}"
            )

    def _add_colours(self, colours: list[Filter], is_either: bool) -> None:
        conditions: list[Filter] = [Or(tuple(colours))] if is_either and len(colours) > 1 else colours
        self.conditions += [
            f"({condition})" if isinstance(condition, Or) else str(condition) for condition in conditions
        ]

    def _find_values(self) -> Iterator[_NamedValue]:
        for column in ("brand", "category"):
            for value, words in self._table.value_words(column):
                yield from self._find_value(column, value, words)
        if self._table.find(colour_words.COLUMN):
            own = ((value, words) for value, words in self._table.value_words(colour_words.COLUMN) if words)
            common = ((term, [word]) for word, term in colour_words.TERM_OF_WORD.items())
            for value, words in (*common, *own):
                yield from self._find_value(colour_words.COLUMN, value, words)

    def _find_value(self, column: str, value: str, words: list[str]) -> Iterator[_NamedValue]:
        """Find the words of a value in the sentence, one after the other."""
        if not words or not all(word.rstrip("s") in self.rest for word in words):
            return
        first = r"[\W_]*".join(re.escape(word) for word in words[:-1])
        last = re.escape(words[-1])
        if words[-1].isascii() and words[-1].isalpha() and len(words[-1]) > 2:
            last = re.escape(words[-1].removesuffix("s")) + "(?:e?s)?"
        whole = r"[\W_]*".join(filter(None, (first, last)))
        pattern = rf"(?<!{_LETTER})(?:{whole})(?!{_LETTER})" if not is_unspaced(words[0]) else whole
        for match in re.finditer(rf"({_WITHOUT})?({pattern})", self.rest):
            yield _NamedValue(match.start(), match.end(), column, value, match[1] is not None)

    def _doubt(self, named: _NamedValue, text: str, all_named: Sequence[_NamedValue]) -> str | None:
        """Return a note on why a value may not be meant; None if it certainly is.

        text: the sentence with all its values.
        """
        words = re.sub(_WITHOUT, "", text[named.start : named.stop])
        columns = {other.column for other in all_named if (other.start, other.stop) == (named.start, named.stop)}
        use = f"to filter, use {named.column}{'!=' if named.negated else '='}{quote(named.value)}"
        if not named.negated:
            use = f"it stays a word; {use}"
        if len(columns) > 1:
            return f"{words!r} is a {' and a '.join(sorted(columns))} here; {use}"
        before = _AFTER_NOT.search(text[: named.start])
        if before and not any(other.negated and other.start == before.start() for other in all_named):
            return f"{words!r} comes after {before[0].strip()!r}, which is not understood; {use}"
        if is_unspaced(words) and len(words) == 1:
            start = named.stop - 1
            pairs = (text[max(0, start - 1) : named.stop], text[start : named.stop + 1])
            in_names = [pair for pair in pairs if self._is_in_names(pair)]
            return f"{words!r} is part of {in_names[0]!r} in names here; {use}" if in_names else None
        condition = Condition(named.column, "=", (named.value,))
        if (
            named.column != colour_words.COLUMN
            and not named.negated
            and (count := self._count_others(words, condition))
        ):
            return f"{words!r} is also in the names of {count} products that are not {condition}; {use}"
        return None

    def _colour_condition(self, colour: str, words: str) -> Filter:
        """Return a condition on a colour; it also passes names with the colour's words if some lack the colour."""
        condition = Condition(colour_words.COLUMN, "=", (colour,))
        return Or((condition, Condition("name", "~", (words,)))) if self._count_others(words, condition) else condition

    def _count_others(self, words: str, condition: Filter) -> int:
        """Return how many products have words in their name but do not pass a condition."""
        in_name = self._words.products_with(words, "name") & self._table.visible
        return int((in_name & ~self._table.matching(condition)).sum())

    def _is_in_names(self, pair: str) -> bool:
        """Return whether names have a character together with its neighbour: the 红 of 红茶 is no colour."""
        return len(pair) == 2 and all(map(is_unspaced, pair)) and bool(self._words.products_with(pair, "name").any())

    def _without(self, start: int, stop: int) -> str:
        return f"{self.rest[:start]} {self.rest[stop:]}"


def _without_overlaps(named: Sequence[_NamedValue]) -> list[_NamedValue]:
    """Return values that do not overlap, in the order of the sentence; prefer longer ones."""
    found: list[_NamedValue] = []
    for value in sorted(named, key=lambda value: (value.start - value.stop, value.column)):
        if all(value.stop <= other.start or other.stop <= value.start for other in found):
            found.append(value)
    return sorted(found, key=lambda value: value.start)


def _spread_negation(named: Sequence[_NamedValue], text: str) -> list[_NamedValue]:
    """Return the values with negations extended over lists: "not Adidas or Nord" wants neither."""
    found: list[_NamedValue] = []
    for value in named:
        if found and (last := found[-1]).negated and last.column == value.column:
            is_listed = _NEITHER.fullmatch(text[last.stop : value.start]) is not None
            value = replace(value, negated=value.negated or is_listed)
        found.append(value)
    return found
