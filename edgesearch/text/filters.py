"""Filter expressions, as `category=Fruit and price<30`: read by hand, within bounds, and written back.

    where      = [any] ["order by" column ["desc"]]
    any        = all {"or" all}                       all = one {"and" one}
    one        = "not" one | "(" any ")" | condition
    condition  = column operator value | column ["not"] "in" "(" value {"," value} ")"
    operator   = "=" "!=" "<" "<=" ">" ">=" "~", which means: contains

Columns and values are bare words, or quoted where they hold a keyword or a sign.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import QueryError

MAX_CHARACTERS, MAX_CONDITIONS, MAX_DEPTH = 4000, 100, 20
EXAMPLE = "write it as category=Fruit and price<30, with quotes around a value that holds a keyword or a sign"
_WIDE = {"≤": "<=", "≥": ">=", "≠": "!="} | {chr(ord(sign) + 0xFEE0): sign for sign in "<>=~(),"}  # full width
_SIGNS = {"==": "=", "<>": "!="} | _WIDE
_ALONE = "<>=~()," + "".join(_WIDE)
_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|"""
    rf"""(?P<sign><=|>=|!=|==|<>|[{_ALONE}])|(?P<word>[^\s"'!{_ALONE}][^\s"!{_ALONE}]*))"""
)
OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "~")
KEYWORDS = ("and", "or", "not", "in", "order", "by", "desc")


@dataclass(frozen=True)
class Condition:
    """One column compared; values: more than one with the operator "in" alone."""

    column: str
    operator: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        values = [quote(value) for value in self.values]
        if self.operator == "in":
            return f"{quote(self.column)} in ({', '.join(values)})"
        return f"{quote(self.column)}{self.operator}{values[0]}"


@dataclass(frozen=True)
class Not:
    """What does not hold."""

    part: "Filter"

    def __str__(self) -> str:
        return f"not {_parenthesize(self.part)}"


@dataclass(frozen=True)
class All:
    """What holds together."""

    parts: tuple["Filter", ...]

    def __str__(self) -> str:
        return " and ".join(map(_parenthesize, self.parts))


@dataclass(frozen=True)
class Any:
    """Of which one holds."""

    parts: tuple["Filter", ...]

    def __str__(self) -> str:
        return " or ".join(map(_parenthesize, self.parts))


Filter = Condition | Not | All | Any


@dataclass(frozen=True)
class Where:
    """What is asked for.

    Attributes: filter: None for every product; order: the column whose smallest values come first, None for the order
                of the search; descending: whose largest do.
    """

    filter: Filter | None = None
    order: str | None = None
    descending: bool = False

    def __str__(self) -> str:
        """As `parse` reads it."""
        order = f"order by {quote(self.order)}{' desc' * self.descending}" if self.order else ""
        return " ".join(text for text in (str(self.filter or ""), order) if text)


def parse(text: str) -> Where:
    """Read an expression; raises QueryError: says what was found and what was expected."""
    if len(text) > MAX_CHARACTERS:
        raise QueryError(f"where: {len(text)} characters; give {MAX_CHARACTERS} at most.")
    reader = _Parser(text)
    found = None if reader.keyword("order") else reader.any(0)
    order, descending = None, False
    if reader.take("order"):
        reader.expect("by", "`by` and a column after `order`")
        order, descending = reader.phrase("a column after `order by`"), reader.take("desc")
    reader.end()
    return Where(found, order, descending)


def quote(text: str) -> str:
    """A column or value as it is written in an expression; quoted where it must be."""
    if all(map(_is_bare, text.split(" "))):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _is_bare(word: str) -> bool:
    match = _TOKEN.fullmatch(word)
    return bool(match and match["word"] == word) and word.casefold() not in KEYWORDS


def _parenthesize(part: Filter) -> str:
    return f"({part})" if isinstance(part, (All, Any)) else str(part)


class _Parser:
    """The tokens of an expression, read once from left to right."""

    def __init__(self, text: str):
        self._text, self._place, self._conditions = text, 0, 0
        self._tokens = _tokenize(text)

    def any(self, depth: int) -> Filter:
        parts = [self._all(depth)]
        while self.take("or"):
            parts.append(self._all(depth))
        return parts[0] if len(parts) == 1 else Any(tuple(parts))

    def _all(self, depth: int) -> Filter:
        parts = [self._one(depth)]
        while self.take("and"):
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _one(self, depth: int) -> Filter:
        if depth > MAX_DEPTH:
            raise QueryError(f"where: parentheses and `not` more than {MAX_DEPTH} deep; write it flatter.")
        if self.take("not"):
            return Not(self._one(depth + 1))
        if self.take("("):
            inside = self.any(depth + 1)
            self.expect(")", "`)`")
            return inside
        return self._condition()

    def _condition(self) -> Filter:
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            raise QueryError(f"where: more than {MAX_CONDITIONS} conditions; use `in (a, b)` for many values.")
        column = self.phrase("a column")
        negated = self.take("not")
        if negated or self.keyword("in"):
            self.expect("in", "`in`")
            found = Condition(column, "in", tuple(self._list()))
            return Not(found) if negated else found
        operator = next((one for one in OPERATORS if self.take(one)), None)
        if operator is None:
            raise self.expected(f"one of {' '.join(OPERATORS)} or `in` after {column!r}")
        return Condition(column, operator, (self.phrase(f"a value after `{column}{operator}`"),))

    def _list(self) -> list[str]:
        self.expect("(", "`(` after `in`")
        values = [self.phrase("a value")]
        while self.take(","):
            values.append(self.phrase("a value"))
        self.expect(")", "`,` or `)`")
        return values

    def phrase(self, what: str) -> str:
        """One quoted text, or bare words up to the next keyword or sign."""
        kind, text = self._next()
        if kind == "quoted":
            self._place += 1
            return re.sub(r"\\(.)", r"\1", text[1:-1])
        words = []
        while (found := self._next())[0] == "word" and found[1].casefold() not in KEYWORDS:
            words.append(found[1])
            self._place += 1
        if not words:
            raise self.expected(what)
        return " ".join(words)

    def keyword(self, word: str) -> bool:
        kind, text = self._next()
        return kind in ("word", "sign") and text.casefold() == word

    def take(self, word: str) -> bool:
        taken = self.keyword(word)
        self._place += taken
        return taken

    def expect(self, word: str, what: str) -> None:
        if not self.take(word):
            raise self.expected(what)

    def end(self) -> None:
        if self._next()[0]:
            raise self.expected("`and`, `or`, or the end")

    def expected(self, what: str) -> QueryError:
        found = self._next()[1] or "the end"
        return QueryError(f"where {self._text!r}: found {found!r}, expected {what}; {EXAMPLE}.")

    def _next(self) -> tuple[str, str]:
        return self._tokens[self._place] if self._place < len(self._tokens) else ("", "")


def _tokenize(text: str) -> Sequence[tuple[str, str]]:
    """Kind and text of each."""
    found, place, end = [], 0, len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None:
            raise QueryError(f"where {text!r}: {text[place:].strip()[:20]!r} cannot be read; {EXAMPLE}.")
        kind = str(match.lastgroup)
        found.append((kind, _SIGNS.get(match[kind], match[kind])))
        place = match.end()
    return found
