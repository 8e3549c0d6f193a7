"""Explain why words and a filter leave no product: leave out one condition at a time.

P products, by number.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from ..answer import EmptiedBy
from .filters import And, Filter
from .product_table import ProductTable


@dataclass(frozen=True)
class Required:
    """A condition that products must meet.

    Attributes:
        matching: (P,) bool; the products that meet it.
        part: A part of the filter; the words if it is a text.
    """

    matching: np.ndarray
    part: Filter | str


def split_filter(condition: Filter | None) -> tuple[Filter, ...]:
    """Return the conditions that a filter joins with `and`; none for no filter."""
    return condition.parts if isinstance(condition, And) else (condition,) if condition else ()


def explain_empty(table: ProductTable, condition: Filter | None, words: Required | None) -> tuple[EmptiedBy, ...]:
    """Return each condition without which some products would be left, the most products first; none for no condition.

    If no single condition is to blame, return one entry that joins those that cannot be met, in their order.

    Args:
        table: The columns of the products.
        condition: The filter; None for none.
        words: The words that products must have; None for none.
    """
    required = [Required(table.matching(part), part) for part in split_filter(condition)]
    required += [words] if words else []
    single = [[number] for number in range(len(required)) if _others(table, required, [number]).any()]
    if not required:
        return ()  # every product was removed
    reasons = [_reason(table, required, blamed) for blamed in single or [_blame_several(table, required)]]
    return tuple(sorted(reasons, key=lambda reason: -reason.others_leave))


def _others(table: ProductTable, required: Sequence[Required], blamed: Collection[int]) -> np.ndarray:
    """Return which visible products meet all conditions but those that are blamed: (P,) bool."""
    others = [one.matching for number, one in enumerate(required) if number not in blamed]
    return np.logical_and.reduce([table.visible, *others])


def _blame_several(table: ProductTable, required: Sequence[Required]) -> list[int]:
    """Return the conditions that no product meets which meets those before them."""
    left, blamed = table.visible, []
    for number, one in enumerate(required):
        if (left & one.matching).any():
            left = left & one.matching
        else:
            blamed.append(number)
    return blamed


def _reason(table: ProductTable, required: Sequence[Required], blamed: Sequence[int]) -> EmptiedBy:
    left = _others(table, required, blamed)
    parts = [required[number].part for number in blamed]
    conditions = [part for part in parts if not isinstance(part, str)]
    words = [part for part in parts if isinstance(part, str)]
    text = str(conditions[0] if len(conditions) == 1 else And(tuple(conditions))) if conditions else ""
    return EmptiedBy(text, " ".join(words), int(left.sum()), _hint(table, parts, left))


def _hint(table: ProductTable, parts: Sequence[Filter | str], left: np.ndarray) -> str:
    """Return what would find something; left: (P,) bool, the products that the other conditions leave."""
    if not left.any():
        return "every product was removed"
    return "; ".join("try other words" if isinstance(part, str) else table.suggest(part, left) for part in parts)
