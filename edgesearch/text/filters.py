"""Parse filter expressions such as `category=Fruit and price<30`, within limits, and write them back.

    where        = [disjunction] ["order by" column ["desc"]]
    disjunction  = conjunction {"or" conjunction}
    conjunction  = negation {"and" negation}
    negation     = "not" negation | "(" disjunction ")" | condition
    condition    = column operator value | column ["not"] "in" "(" value {"," value} ")"
    operator     = "=" "!=" "<" "<=" ">" ">=" "~" (contains)

Columns and values are bare words. Quotes are needed around a keyword or a sign.
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
    """A comparison of one column; only the operator "in" takes several values."""

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
    """A filter that passes the products that its part rejects."""

    part: "Filter"

    def __str__(self) -> str:
        return f"not {_parenthesize(self.part)}"


@dataclass(frozen=True)
class And:
    """A filter that passes the products that all its parts pass."""

    parts: tuple["Filter", ...]

    def __str__(self) -> str:
        return " and ".join(map(_parenthesize, self.parts))


@dataclass(frozen=True)
class Or:
    """A filter that passes the products that any of its parts passes."""

    parts: tuple["Filter", ...]

    def __str__(self) -> str:
        return " or ".join(map(_parenthesize, self.parts))


Filter = Condition | Not | And | Or


@dataclass(frozen=True)
class Where:
    """A filter expression.

    Attributes:
        filter: None for all products.
        order: the column to sort by; None for the order of the search.
        descending: the largest values come first.
    """

    filter: Filter | None = None
    order: str | None = None
    descending: bool = False

    def __str__(self) -> str:
        """Return the expression that `parse` reads back."""
        order = f"order by {quote(self.order)}{' desc' * self.descending}" if self.order else ""
        return " ".join(text for text in (str(self.filter or ""), order) if text)


def parse(text: str) -> Where:
    """Parse an expression; raise QueryError, which says what was found and what was expected."""
    if len(text) > MAX_CHARACTERS:
        raise QueryError(f"where: {len(text)} characters; give at most {MAX_CHARACTERS}.")
    parser = _Parser(text)
    found = None if parser.is_next("order") else parser.parse_or(0)
    order, descending = None, False
    if parser.take("order"):
        parser.expect("by", "`by` and a column after `order`")
        order, descending = parser.take_phrase("a column after `order by`"), parser.take("desc")
    parser.expect_end()
    return Where(found, order, descending)


def quote(text: str) -> str:
    """Return a column or value as it is written in an expression, in quotes if needed."""
    if all(map(_is_bare, text.split(" "))):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _is_bare(word: str) -> bool:
    match = _TOKEN.fullmatch(word)
    return bool(match and match["word"] == word) and word.casefold() not in KEYWORDS


def _parenthesize(part: Filter) -> str:
    return f"({part})" if isinstance(part, (And, Or)) else str(part)


class _Parser:
    """A recursive-descent parser that reads the tokens of an expression once, from left to right."""

    def __init__(self, text: str):
        self._text, self._position, self._conditions = text, 0, 0
        self._tokens = _tokenize(text)

    def parse_or(self, depth: int) -> Filter:
        """Read a filter inside `depth` parentheses and negations; raise QueryError if none comes next."""
        parts = [self._parse_and(depth)]
        while self.take("or"):
            parts.append(self._parse_and(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _parse_and(self, depth: int) -> Filter:
        parts = [self._parse_not(depth)]
        while self.take("and"):
            parts.append(self._parse_not(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _parse_not(self, depth: int) -> Filter:
        if depth > MAX_DEPTH:
            raise QueryError(f"where: parentheses and `not` more than {MAX_DEPTH} deep; simplify the filter.")
        if self.take("not"):
            return Not(self._parse_not(depth + 1))
        if self.take("("):
            inside = self.parse_or(depth + 1)
            self.expect(")", "`)`")
            return inside
        return self._parse_condition()

    def _parse_condition(self) -> Filter:
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            raise QueryError(f"where: more than {MAX_CONDITIONS} conditions; use `in (a, b)` for many values.")
        column = self.take_phrase("a column")
        negated = self.take("not")
        if negated or self.is_next("in"):
            self.expect("in", "`in`")
            found = Condition(column, "in", tuple(self._parse_values()))
            return Not(found) if negated else found
        operator = next((sign for sign in OPERATORS if self.take(sign)), None)
        if operator is None:
            raise self.unexpected(f"one of {' '.join(OPERATORS)} or `in` after {column!r}")
        return Condition(column, operator, (self.take_phrase(f"a value after `{column}{operator}`"),))

    def _parse_values(self) -> list[str]:
        self.expect("(", "`(` after `in`")
        values = [self.take_phrase("a value")]
        while self.take(","):
            values.append(self.take_phrase("a value"))
        self.expect(")", "`,` or `)`")
        return values

    def take_phrase(self, what: str) -> str:
        """Read one quoted text, or bare words up to the next keyword or sign.

        Args:    what: what was expected, for the message.
        Raises:  QueryError: neither comes next.
        """
        kind, text = self._next()
        if kind == "quoted":
            self._position += 1
            return re.sub(r"\\(.)", r"\1", text[1:-1])
        words = []
        while (found := self._next())[0] == "word" and found[1].casefold() not in KEYWORDS:
            words.append(found[1])
            self._position += 1
        if not words:
            raise self.unexpected(what)
        return " ".join(words)

    def is_next(self, word: str) -> bool:
        """Return whether a keyword or sign comes next."""
        kind, text = self._next()
        return kind in ("word", "sign") and text.casefold() == word

    def take(self, word: str) -> bool:
        """Read a keyword or sign if it comes next; return whether it did."""
        taken = self.is_next(word)
        self._position += taken
        return taken

    def expect(self, word: str, what: str) -> None:
        """Read a keyword or sign; raise QueryError if another comes next. what: names it in the message."""
        if not self.take(word):
            raise self.unexpected(what)

    def expect_end(self) -> None:
        """Raise QueryError if any token is left."""
        if self._next()[0]:
            raise self.unexpected("`and`, `or`, or the end")

    def unexpected(self, what: str) -> QueryError:
        """Return the error for the next token; what: what was expected."""
        found = self._next()[1] or "the end"
        return QueryError(f"where {self._text!r}: found {found!r}, expected {what}; {EXAMPLE}.")

    def _next(self) -> tuple[str, str]:
        return self._tokens[self._position] if self._position < len(self._tokens) else ("", "")


def _tokenize(text: str) -> Sequence[tuple[str, str]]:
    """Split an expression into tokens, (kind, text) each; raise QueryError at a character that begins none."""
    found, position, end = [], 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise QueryError(f"where {text!r}: {text[position:].strip()[:20]!r} cannot be read; {EXAMPLE}.")
        kind = str(match.lastgroup)
        found.append((kind, _SIGNS.get(match[kind], match[kind])))
        position = match.end()
    return found
