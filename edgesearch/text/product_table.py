"""All products at one moment, column by column: what filters ask, whoever said it, catalogue or device.

P products, by number: those of the catalogue, then those that a device was taught.
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
from .filters import All, Condition, Filter, Not, quote
from .terms import fold, split_words

NUMBERS = ("price", "stock")
SUGGESTIONS = 3  # values named in an error
MAX_COMPARED = 50  # of them, those that share most pairs of letters: to compare 100,000 took half a minute
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
    """Attributes: codes (P,) int32: which of the values each product has; values: distinct, the first is None, for
    nothing; numbers: as numbers, where all of them are, else None.
    """

    name: str
    codes: np.ndarray
    values: list[object]
    numbers: np.ndarray | None

    def matching(self, condition: Condition) -> np.ndarray:
        """(P,) bool; raises QueryError: a value that is no number where the column holds numbers."""
        if condition.operator in ("=", "!=", "in", "~") and (self.numbers is None or condition.operator == "~"):
            held = self._text(condition)
        elif self.numbers is None:
            raise QueryError(
                f"where {condition}: {self.name} is text, as {quote(str(self._example()))}, and {condition.operator} "
                "compares numbers; expected one of = != ~ in."
            )
        else:
            held = self._number(condition, self.numbers)
        return held[self.codes]

    @cached_property
    def holds_colours(self) -> bool:
        """Its values are colours: "red, white" is both, and each has several names."""
        return colour_words.is_colour_column(self.name)

    @cached_property
    def folded(self) -> list[str]:
        """The values as they are compared."""
        return ["" if value is None else fold(str(value)) for value in self.values]

    def _text(self, condition: Condition) -> np.ndarray:
        if condition.operator == "~":
            wanted = fold(condition.values[0])
            said = zip(self.folded, self.values, strict=True)
            return np.array([wanted in one and value is not None for one, value in said])
        asked = {fold(value).strip() for value in condition.values}
        if self.holds_colours:
            asked = {colour_words.TERM_OF_WORD.get(one, one) for one in asked}
            held = np.array([not asked.isdisjoint((one, *colour_words.colour_terms(one))) for one in self.folded])
        else:
            held = np.array([said in asked for said in self.folded])
        return ~held if condition.operator == "!=" else held

    def _number(self, condition: Condition, numbers: np.ndarray) -> np.ndarray:
        asked = [_parse_number(condition, value) for value in condition.values]
        compare = _COMPARISONS.get(condition.operator, np.equal)
        held: np.ndarray = np.any([compare(numbers, one) for one in asked], axis=0)
        return held

    def _example(self) -> object:
        return next((value for value in self.values if value is not None), "")


class ProductTable:
    """The columns of all products that are shown. Safe to share between threads."""

    def __init__(self, catalog: Catalog, changed: Mapping[int, Product], hidden: Collection[int]):
        """
        Args:    changed: products of which something else is said than in the catalogue, by number; hidden: numbers of
                 those that are not shown.
        """
        self._catalog, self._changed = catalog, changed
        self.size = max([len(catalog), *(number + 1 for number in changed)])
        self.visible = np.zeros(self.size, bool)
        self.visible[: len(catalog)] = True
        self.visible[list(changed)] = True
        self.visible[list(hidden)] = False
        own = [name for product in changed.values() for name in _columns_of(product)]
        self.names = tuple(dict.fromkeys([*catalog.columns(), *own]))
        self._columns: dict[str, Column] = {}
        self._spoken: dict[str, list[tuple[str, list[str]]]] = {}

    def column(self, name: str) -> Column:
        """A column by the name people give it; raises QueryError: there is none, and which there are."""
        found = self.find(name)
        if found is None:
            close = difflib.get_close_matches(fold(name), map(fold, self.names), 1)
            meant = next((f" ({own} is the closest)" for own in self.names if [fold(own)] == close), "")
            raise QueryError(
                f"where: no product says its {name}; expected one of {', '.join(self.names[:COLUMNS_LISTED])}{meant}."
            )
        if found not in self._columns:
            self._columns[found] = self._read(found)
        return self._columns[found]

    def value_words(self, name: str) -> list[tuple[str, list[str]]]:
        """The values of a column, each with its words; none where there is no such column."""
        found = self.find(name)
        if found is not None and found not in self._spoken:
            column = self.column(found)
            values = [str(value) for value in column.values if value is not None]
            said = [part for value in values for part in colour_words.split_colours(value)] if column.holds_colours else values
            self._spoken[found] = [(value, split_words(value)) for value in dict.fromkeys(said)]
        return self._spoken[found] if found else []

    def find(self, name: str) -> str | None:
        """The column that a name means, None where there is none; of those of colours the first stands for all."""
        if colour_words.is_colour_column(name):
            return next(filter(colour_words.is_colour_column, self.names), None)
        wanted = fold(name).strip()
        own = {fold(one): one for one in reversed(self.names)}
        return own.get(wanted) or own.get(_COLUMN_SYNONYMS.get(wanted, wanted))

    def matching(self, asked: Filter) -> np.ndarray:
        """(P,) bool: the shown products that a filter lets through; raises QueryError: it cannot be asked here."""
        return self._matching(asked) & self.visible

    def _matching(self, asked: Filter) -> np.ndarray:
        if isinstance(asked, Condition):
            return self.column(asked.column).matching(asked)
        if isinstance(asked, Not):
            return ~self._matching(asked.part)
        held = [self._matching(part) for part in asked.parts]
        return np.all(held, axis=0) if isinstance(asked, All) else np.any(held, axis=0)

    def order_by(self, numbers: np.ndarray, name: str, descending: bool) -> np.ndarray:
        """Numbers of products by what they say in a column, nothing said last; among equals as they were."""
        column = self.column(name)
        if column.numbers is not None:
            keys = -column.numbers if descending else column.numbers
            return numbers[np.argsort(keys[column.codes[numbers]], kind="stable")]  # NaN is sorted last
        said = [one for one, value in zip(column.folded, column.values, strict=True) if value is not None]
        place = {one: n for n, one in enumerate(sorted(set(said), reverse=descending))}
        places = np.array([len(place), *map(place.__getitem__, said)])  # the first value is None
        return numbers[np.argsort(places[column.codes[numbers]], kind="stable")]

    def explain_empty(self, asked: Filter) -> QueryError:
        """Why a filter lets nothing through: the condition that removed everything, and what would work."""
        left, passed = self.visible, list[Filter]()
        for part in asked.parts if isinstance(asked, All) else (asked,):
            alone = self.matching(part)
            if not (left & alone).any():
                none = f"none of the {left.sum()} products with {All(tuple(passed))}"
                if not alone.any():
                    none, left = "no product", self.visible
                return QueryError(f"where {asked}: {part} holds for {none}; {self._suggest_instead(part, left)}.")
            left, passed = left & alone, [*passed, part]
        raise AssertionError("a filter that lets something through")

    def _suggest_instead(self, part: Filter, left: np.ndarray) -> str:
        if not isinstance(part, Condition):
            return "loosen it, or leave it out"
        column = self.column(part.column)
        codes = [code for code in np.unique(column.codes[left]).tolist() if column.values[code] is not None]
        if not codes:
            return f"none of them says its {column.name}; leave it out"
        if column.numbers is not None:
            numbers = column.numbers[codes]
            return f"their {column.name} is {format_number(numbers.min())} to {format_number(numbers.max())}"
        said = {column.folded[code]: str(column.values[code]) for code in codes}
        named = [said[one] for one in _closest_values(fold(part.values[0]), [*said])] or [*said.values()][:SUGGESTIONS]
        return f"their {column.name} is {'such as ' * (len(said) > len(named))}{', '.join(map(quote, named))}"

    def _read(self, name: str) -> Column:
        values: list[object] = [None]
        numbered: dict[object, int] = {None: 0}
        codes = [0] * self.size

        def code(value: object) -> int:
            place = numbered.setdefault(value, len(values))
            if place == len(values):
                values.append(value)
            return place

        same = [one for one in self.names if colour_words.is_colour_column(one)] if colour_words.is_colour_column(name) else [name]
        for one in same:  # a shop says the colour of some products itself
            codes[: len(self._catalog)] = [
                before or code(value) for before, value in zip(codes, self._catalog.column(one), strict=False)
            ]
        for number, product in self._changed.items():
            said = _columns_of(product)
            codes[number] = code(next((said[one] for one in same if one in said), None))
        return Column(name, np.array(codes, np.int32), values, _as_numbers(name, values))


def format_number(number: float) -> str:
    """As people write it, and `where` reads it: every digit, and no ".0"."""
    return f"{number:.15g}"


def _closest_values(wanted: str, values: Sequence[str]) -> list[str]:
    pairs = [wanted[n : n + 2] for n in range(len(wanted) - 1)] or [wanted]
    likely = heapq.nlargest(MAX_COMPARED, values, lambda value: sum(pair in value for pair in pairs))
    return difflib.get_close_matches(wanted, likely, SUGGESTIONS, 0.5)


def facets(table: ProductTable) -> dict[str, Any]:
    """What there is to choose from among the products that are shown, JSON-able.

    Returns: `FACETS`: the values of each, the most frequent first; currency: the most frequent, or None; price: the
             lowest and the highest, or None; and whether any has a place, or a number in stock.
    """
    values = {name: _frequent_values(table, column) for name, column in FACETS.items()}
    currencies = _frequent_values(table, "currency")
    return values | {
        "currency": currencies[0] if currencies else None,
        "price": _range(table, "price"),
        "has_location": bool(_frequent_values(table, "location")),
        "has_stock": _range(table, "stock") is not None,
    }


def _frequent_values(table: ProductTable, name: str) -> list[str]:
    """The values of a column that products shown have, the most frequent first, as many as a page can show."""
    if table.find(name) is None:
        return []
    column = table.column(name)
    counts, said = np.bincount(column.codes[table.visible], minlength=len(column.values)), Counter[str]()
    for value, count in zip(column.values, counts.tolist(), strict=True):
        if value is not None and count:
            said.update(dict.fromkeys(colour_words.split_colours(str(value)) if column.holds_colours else [str(value)], count))
    return [value for value, _ in said.most_common(MAX_FACET_VALUES)]


def _range(table: ProductTable, name: str) -> dict[str, float] | None:
    if table.find(name) is None:
        return None
    column = table.column(name)
    assert column.numbers is not None  # of `NUMBERS`
    numbers = column.numbers[column.codes[table.visible]]
    numbers = numbers[~np.isnan(numbers)]
    return {"low": float(numbers.min()), "high": float(numbers.max())} if len(numbers) else None


def _columns_of(product: Product) -> dict[str, object]:
    return {"sku": product.sku} | details_of(product)


def _as_numbers(name: str, values: list[object]) -> np.ndarray | None:
    """The values of a column as (V,) float64, NaN for nothing; None where one is no number."""
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
