"""Hold the columns of all products, catalogue and device changes combined, and evaluate filters on them.

P products, by number: those of the catalogue, then those that the device added.
"""

import difflib
import heapq
import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..catalog.product import Product, details_of
from ..catalog.sqlite_catalog import Catalog
from ..errors import QueryError
from . import colour_words
from .filters import And, Condition, Filter, Not, quote
from .terms import fold, split_words

NUMBERS = ("price", "stock")
SUGGESTIONS = 3  # values named in an error
MAX_COMPARED = 50  # values with most letter pairs in common, compared exactly: comparing 100,000 took half a minute
COLUMNS_LISTED = 30
FACETS = {"categories": "category", "brands": "brand", "colours": "colour"}
MAX_FACET_VALUES = 100
_COMPARISONS = {
    "=": np.equal, "!=": np.not_equal, "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
}  # fmt: skip
_COLUMN_SYNONYMS = {
    "价格": "price", "品牌": "brand", "类别": "category", "分类": "category",
    "库存": "stock", "名称": "name", "位置": "location",
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """A column of V distinct values.

    Attributes:
        codes: (P,) int32; the position of each product's value in `values`.
        values: V distinct values; the first is None, for no value.
        numbers: (V,) float64, the values as numbers, NaN for no value; None if a value is no number.
    """

    name: str
    codes: np.ndarray
    values: list[object]
    numbers: np.ndarray | None

    def matching(self, condition: Condition) -> np.ndarray:
        """Return which products meet a condition on this column: (P,) bool.

        Raises:  QueryError: a column of text is compared by size, or a column of numbers with a text.
        """
        if condition.operator in ("=", "!=", "in", "~") and (self.numbers is None or condition.operator == "~"):
            matches = self._match_text(condition)
        elif self.numbers is None:
            raise QueryError(
                f"where {condition}: {self.name} holds text, such as {quote(str(self._example()))}, and "
                f"{condition.operator} compares numbers; expected one of = != ~ in."
            )
        else:
            matches = self._match_numbers(condition, self.numbers)
        return matches[self.codes]

    @cached_property
    def holds_colours(self) -> bool:
        """True if the values are colours: "red, white" is both, and each has several names."""
        return colour_words.is_colour_column(self.name)

    @cached_property
    def folded(self) -> list[str]:
        """The values, folded for comparison; "" for no value."""
        return ["" if value is None else fold(str(value)) for value in self.values]

    def _match_text(self, condition: Condition) -> np.ndarray:
        """Return which values meet a condition: (V,) bool."""
        if condition.operator == "~":
            wanted = fold(condition.values[0])
            pairs = zip(self.folded, self.values, strict=True)
            return np.array([wanted in text and value is not None for text, value in pairs])
        accepted = {fold(value).strip() for value in condition.values}
        if self.holds_colours:
            accepted = {colour_words.TERM_OF_WORD.get(text, text) for text in accepted}
            matches = np.array(
                [not accepted.isdisjoint((text, *colour_words.colour_terms(text))) for text in self.folded]
            )
        else:
            matches = np.array([text in accepted for text in self.folded])
        return ~matches if condition.operator == "!=" else matches

    def _match_numbers(self, condition: Condition, numbers: np.ndarray) -> np.ndarray:
        """Return which values meet a condition: (V,) bool."""
        wanted = [_parse_number(condition, value) for value in condition.values]
        compare = _COMPARISONS.get(condition.operator, np.equal)
        matches: np.ndarray = np.any([compare(numbers, number) for number in wanted], axis=0)
        return matches

    def _example(self) -> object:
        return next((value for value in self.values if value is not None), "")


class ProductTable:
    """The columns of all products. Safe to share between threads.

    Attributes:
        size: P.
        visible: (P,) bool; the products that searches may return.
        names: of the columns.
    """

    def __init__(self, catalog: Catalog, changed: Mapping[int, Product], hidden: Collection[int]):
        """Combine a catalogue with changes.

        Args:    changed: by number, the products that are new or differ from the catalogue.
                 hidden: numbers of products that searches must not return.
        """
        self._catalog, self._changed = catalog, changed
        self.size = max([len(catalog), *(number + 1 for number in changed)])
        self.visible = np.zeros(self.size, bool)
        self.visible[: len(catalog)] = True
        self.visible[list(changed)] = True
        self.visible[list(hidden)] = False
        added = [name for product in changed.values() for name in _details_with_sku(product)]
        self.names = tuple(dict.fromkeys([*catalog.columns(), *added]))
        self._columns: dict[str, Column] = {}
        self._value_words: dict[str, list[tuple[str, list[str]]]] = {}

    def column(self, name: str) -> Column:
        """Return a column by any of its names; raise QueryError, which lists the columns, if there is none."""
        found = self.find(name)
        if found is None:
            close = difflib.get_close_matches(fold(name), map(fold, self.names), 1)
            closest = next((f" ({own} is the closest)" for own in self.names if [fold(own)] == close), "")
            listed = ", ".join(self.names[:COLUMNS_LISTED])
            raise QueryError(f"where: no product has a column {name}; expected one of {listed}{closest}.")
        if found not in self._columns:
            self._columns[found] = self._read_column(found)
        return self._columns[found]

    def value_words(self, name: str) -> list[tuple[str, list[str]]]:
        """Return each value of a column with its words; empty if there is no such column."""
        found = self.find(name)
        if found is not None and found not in self._value_words:
            column = self.column(found)
            values = [str(value) for value in column.values if value is not None]
            if column.holds_colours:
                values = [colour for value in values for colour in colour_words.split_colours(value)]
            self._value_words[found] = [(value, split_words(value)) for value in dict.fromkeys(values)]
        return self._value_words[found] if found else []

    def find(self, name: str) -> str | None:
        """Return a column's name in the table by any of its names, or None; the first colour column represents all."""
        if colour_words.is_colour_column(name):
            return next(filter(colour_words.is_colour_column, self.names), None)
        wanted = fold(name).strip()
        by_folded = {fold(own): own for own in reversed(self.names)}
        return by_folded.get(wanted) or by_folded.get(_COLUMN_SYNONYMS.get(wanted, wanted))

    def matching(self, condition: Filter) -> np.ndarray:
        """Return which visible products pass a filter: (P,) bool.

        Raises:  QueryError: a column does not exist, or cannot be compared so.
        """
        return self._matching(condition) & self.visible

    def _matching(self, condition: Filter) -> np.ndarray:
        """Return which products, visible or not, pass a filter: (P,) bool."""
        if isinstance(condition, Condition):
            return self.column(condition.column).matching(condition)
        if isinstance(condition, Not):
            return ~self._matching(condition.part)
        matches = [self._matching(part) for part in condition.parts]
        return np.all(matches, axis=0) if isinstance(condition, And) else np.any(matches, axis=0)

    def order_by(self, numbers: np.ndarray, name: str, descending: bool) -> np.ndarray:
        """Sort product numbers, (R,) int64, by a column; empty values last, equal values in the given order."""
        column = self.column(name)
        if column.numbers is not None:
            keys = -column.numbers if descending else column.numbers
            return numbers[np.argsort(keys[column.codes[numbers]], kind="stable")]  # NaN is sorted last
        texts = [text for text, value in zip(column.folded, column.values, strict=True) if value is not None]
        rank = {text: n for n, text in enumerate(sorted(set(texts), reverse=descending))}
        ranks = np.array([len(rank), *map(rank.__getitem__, texts)])  # the first value is None
        return numbers[np.argsort(ranks[column.codes[numbers]], kind="stable")]

    def suggest(self, part: Filter, left: np.ndarray) -> str:
        """Return a hint at what would work in place of a condition; left: (P,) bool, the products that it filtered."""
        if not isinstance(part, Condition):
            return "loosen that condition, or leave it out"
        column, count = self.column(part.column), left.sum()
        whose = "the products'" if count == self.visible.sum() else "its" if count == 1 else "their"
        codes = [code for code in np.unique(column.codes[left]).tolist() if column.values[code] is not None]
        if not codes:
            return f"{whose} {column.name} is empty, leave the condition out"
        if column.numbers is not None:
            numbers = column.numbers[codes]
            low, high = format_number(numbers.min()), format_number(numbers.max())
            return f"{whose} {column.name} is {low}{f' to {high}' * (low != high)}"
        values = {column.folded[code]: str(column.values[code]) for code in codes}
        close = [values[text] for text in _closest_values(fold(part.values[0]), [*values])]
        named = close or [*values.values()][:SUGGESTIONS]
        such_as = "such as " * (len(values) > len(named))
        return f"{whose} {column.name} is {such_as}{', '.join(map(quote, named))}"

    def products(self, numbers: Sequence[int]) -> list[Product]:
        """Return the products of these numbers."""
        found = self._catalog.numbered([number for number in numbers if number not in self._changed])
        return [self._changed.get(number) or found[number] for number in numbers]

    def _read_column(self, name: str) -> Column:
        """Read a column of the catalogue and the changed products; merge all colour columns into one."""
        values: list[object] = [None]
        code_of: dict[object, int] = {None: 0}
        codes = [0] * self.size

        def encode(value: object) -> int:
            code = code_of.setdefault(value, len(values))
            if code == len(values):
                values.append(value)
            return code

        is_colour = colour_words.is_colour_column
        merged = [own for own in self.names if is_colour(own)] if is_colour(name) else [name]
        for own in merged:  # a shop may fill a colour column of its own for some products
            codes[: len(self._catalog)] = [
                code or encode(value) for code, value in zip(codes, self._catalog.column(own), strict=False)
            ]
        for number, product in self._changed.items():
            details = _details_with_sku(product)
            codes[number] = encode(next((details[own] for own in merged if own in details), None))
        return Column(name, np.array(codes, np.int32), values, _as_numbers(name, values))


def format_number(number: float) -> str:
    """Format a number so that people write it and filters read it: all digits, and no ".0"."""
    return f"{number:.15g}"


def _closest_values(wanted: str, values: Sequence[str]) -> list[str]:
    pairs = [wanted[n : n + 2] for n in range(len(wanted) - 1)] or [wanted]
    likely = heapq.nlargest(MAX_COMPARED, values, lambda value: sum(pair in value for pair in pairs))
    return difflib.get_close_matches(wanted, likely, SUGGESTIONS, 0.5)


def facets(table: ProductTable) -> dict[str, Any]:
    """Return the values by which users can filter the visible products, JSON-able.

    Returns: the values of each of `FACETS`, most frequent first; "examples": SKU and name of a product of each
             category, of any product if there are none; "currency": the most frequent one, or None; "price": {"low",
             "high"}, or None; "has_location", "has_stock": whether any product has one.
    """
    values = {name: _frequent_values(table, column) for name, column in FACETS.items()}
    currencies = _frequent_values(table, "currency")
    return values | {
        "examples": _examples(table, values["categories"]),
        "currency": currencies[0] if currencies else None,
        "price": _range(table, "price"),
        "has_location": bool(_frequent_values(table, "location")),
        "has_stock": _range(table, "stock") is not None,
    }


def _examples(table: ProductTable, categories: Sequence[str]) -> list[dict[str, str]]:
    """Return SKU and name of the first visible product of each category, or of the first one."""
    numbers = np.flatnonzero(table.visible)
    if categories:
        column = table.column("category")
        codes, first = np.unique(column.codes[numbers], return_index=True)
        number_of = dict(zip([column.values[code] for code in codes.tolist()], numbers[first].tolist(), strict=True))
        numbers = np.array([number_of[category] for category in categories])
    products = table.products(numbers[: len(categories) or 1].tolist())
    return [{"sku": one.sku, "name": one.name} for one in products]


def _frequent_values(table: ProductTable, name: str) -> list[str]:
    """Return the values of a column among visible products, most frequent first, at most `MAX_FACET_VALUES`."""
    if table.find(name) is None:
        return []
    column = table.column(name)
    counts, totals = np.bincount(column.codes[table.visible], minlength=len(column.values)), Counter[str]()
    for value, count in zip(column.values, counts.tolist(), strict=True):
        if value is not None and count:
            parts = colour_words.split_colours(str(value)) if column.holds_colours else [str(value)]
            totals.update(dict.fromkeys(parts, count))
    return [value for value, _ in totals.most_common(MAX_FACET_VALUES)]


def _range(table: ProductTable, name: str) -> dict[str, float] | None:
    """Return the lowest and highest number of a column among visible products, or None if there is none."""
    if table.find(name) is None:
        return None
    column = table.column(name)
    assert column.numbers is not None  # one of `NUMBERS`
    numbers = column.numbers[column.codes[table.visible]]
    numbers = numbers[~np.isnan(numbers)]
    return {"low": float(numbers.min()), "high": float(numbers.max())} if len(numbers) else None


def _details_with_sku(product: Product) -> dict[str, object]:
    return {"sku": product.sku} | details_of(product)


def _as_numbers(name: str, values: list[object]) -> np.ndarray | None:
    """Return the values of a column as (V,) float64, NaN for None; or None if one is no number."""
    if name in NUMBERS:
        return np.array([math.nan if value is None else value for value in values], np.float64)
    if name in Product.__dataclass_fields__ or len(values) == 1 or colour_words.is_colour_column(name):
        return None
    try:
        numbers = np.array([math.nan if value is None else float(str(value)) for value in values])
    except ValueError:
        return None
    return numbers if np.isfinite(numbers[1:]).all() else None


def _parse_number(condition: Condition, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise QueryError(f"where {condition}: {condition.column} is {value!r}; expected a number such as 2.50.")
    return number
