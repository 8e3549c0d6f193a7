"""What is asked besides a photo, or without one: words and filters become allowed products and a ranking of them.

Picture and words are fused by the sum of their scores, as Bruch, Gai and Ingber found better than reciprocal ranks (An
Analysis of Fusion Functions for Hybrid Retrieval, TOIS 2023). On 96 photos of a drawn shop (48 products, seed 1), right
product first, with the words "kind" / "kind variant" of the product asked: photo alone 0.83, words alone 0.75 / 1.00;
reciprocal ranks 0.97 / 0.97 (constants 1 to 60), the sum 0.95 / 0.97 with words at 0.3, 0.97 / 0.99 at 0.5, 0.98 / 1.00
at 1, which is used.

P products, by number.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..answer import Decision, Understood
from ..errors import QueryError
from .filters import All, Filter, Where, parse
from .full_text import Ranking, WordSearch
from .product_table import ProductTable

MAX_WORD_MATCHES = 20  # products of the words' ranking that are looked at in the light of the photo


@dataclass(frozen=True)
class Query:
    """What is asked in words.

    Attributes: understood: as it is shown; allowed (P,) bool: what the filter lets through; where: the filter; ranked:
                what the words found, None where there are none.
    """

    understood: Understood
    allowed: np.ndarray
    where: Where
    ranked: Ranking | None

    def best(self, table: ProductTable, k: int) -> tuple[list[int], Decision]:
        """The products that are found without a photo, best first, and what is decided.

        Match: one product has all that was asked; ambiguous: several have; unknown: none has all the words.
        """
        if self.ranked is None:
            found = whole = np.flatnonzero(self.allowed)
        else:
            found = self.ranked.order(self.allowed)
            whole = found[self.ranked.complete[found]]
        if self.where.order:
            found = table.order_by(whole if len(whole) else found, self.where.order, self.where.descending)
        return found[:k].tolist(), "unknown" if not len(whole) else "match" if len(whole) == 1 else "ambiguous"

    def nearest_by_words(self) -> list[int]:
        """The allowed products whose words are nearest to those asked, best first; as many as are fused."""
        return [] if self.ranked is None else self.ranked.order(self.allowed)[:MAX_WORD_MATCHES].tolist()

    def order_with_photo(self, seen: Mapping[int, float]) -> list[int]:
        """Products as picture and words order them together, best first; seen: their scores by the photo, by number."""
        return sorted(seen, key=lambda number: -seen[number] - self.score(number))

    def score(self, number: int) -> float:
        """The share of the words that a product has; 1 where only a filter was asked."""
        return 1.0 if self.ranked is None else float(self.ranked.scores[number])


def interpret(table: ProductTable, words: Callable[[], WordSearch], text: str | None, where: str | None, photo: bool) -> Query:
    """Read what is asked.

    Args:    words: of the same products; text: a sentence, or words as they stand where there is a filter; where: a
             filter as `where.parse` reads it; photo: there is one besides.
    Raises:  QueryError: it cannot be asked, or no product is left: says which condition removed them all.
    """
    notes: tuple[str, ...] = ()
    if where is None and text is not None:
        from . import sentence  # here: to compile its patterns takes 50 ms, which a photo need not wait for

        said = sentence.parse(text, table, words(), photo)
        where, text, notes = said.where, said.words, said.notes
    filtered = parse(where) if where else Where()
    if filtered.order:
        table.column(filtered.order)
        notes += ("the order is not used: with a photo the most alike come first",) if photo else ()
    allowed = table.visible if filtered.filter is None else table.matching(filtered.filter)
    if filtered.filter is not None and not allowed.any():
        raise table.explain_empty(filtered.filter)
    ranked = words().rank(text) if text else None
    if ranked:
        notes += _spelling_notes(ranked)
        if not photo and not (allowed & (ranked.scores > 0)).any():
            raise _no_match_error(str(text), table, filtered.filter, ranked.scores > 0, notes)
    if not (ranked or where or photo):
        why = f" ({'; '.join(notes)})" if notes else ""
        raise QueryError(f"text: there is no word to search for in it{why}; give a product's words, or a filter.")
    return Query(Understood(str(filtered), text or "", notes), allowed, filtered, ranked)


def describe_exclusions(table: ProductTable, where: str) -> list[str]:
    """What each condition of a filter takes away of all products, one sentence each; where: as `Understood` has it."""
    asked = parse(where).filter if where else None
    parts = asked.parts if isinstance(asked, All) else (asked,) if asked else ()
    shown = int(table.visible.sum())
    return [f"{part} leaves out {shown - table.matching(part).sum()} of {shown} products" for part in parts]


def _spelling_notes(ranked: Ranking) -> tuple[str, ...]:
    read = [f"{word!r} is read as {' or '.join(meant)}" for word, meant in ranked.corrected.items()]
    return (*read, *(f"no product here says {word!r}, or anything like it" for word in ranked.unknown))


def _no_match_error(text: str, table: ProductTable, asked: Filter | None, worded: np.ndarray, notes: Sequence[str]) -> QueryError:
    """Why words find nothing, and what would; worded (P,) bool: products that have some of them."""
    said = f" ({'; '.join(notes)})" if notes else ""
    if asked is None or not (worded & table.visible).any():
        return QueryError(f"text {text!r}: no product here has any of these words{said}; try other words.")
    parts = asked.parts if isinstance(asked, All) else (asked,)
    left = [
        np.logical_and.reduce([worded & table.visible, *(table.matching(o) for o in parts if o is not p)]) for p in parts
    ]
    best = int(np.argmax([one.sum() for one in left]))
    instead = f"without {parts[best]}" if left[best].any() else "without a filter"
    count = int((left[best] if left[best].any() else worded & table.visible).sum())
    none = f"none of the {table.matching(asked).sum()} products with {asked} has any of these words"
    return QueryError(f"text {text!r}: {none}{said}; {instead} {count} {'has' if count == 1 else 'have'}.")
