"""Turn words and filters, with or without a photo, into allowed products and their ranking.

A photo and words are combined by adding their scores, which Bruch, Gai and Ingber found better than reciprocal ranks
(An Analysis of Fusion Functions for Hybrid Retrieval, TOIS 2023). On 96 photos of a drawn shop (48 products, seed 1),
with the words "kind" / "kind variant" of the right product, it came first in these shares: photo alone 0.83, words
alone 0.75 / 1.00; reciprocal ranks 0.97 / 0.97 (constants 1 to 60); the sum 0.95 / 0.97 with words at 0.3, 0.97 / 0.99
at 0.5, 0.98 / 1.00 at 1, which is used.

P products, by number.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..answer import Decision, EmptiedBy, Understood
from ..errors import QueryError
from .empty_result import Required, explain_empty, split_filter
from .filters import Where, parse
from .full_text import Ranking, WordSearch
from .product_table import ProductTable

MAX_WORD_MATCHES = 20  # best products by words that are also scored by the photo


@dataclass(frozen=True)
class Query:
    """A query in words, interpreted.

    Attributes:
        understood: the query as users see it.
        allowed: (P,) bool; the visible products that pass the filter.
        where: the filter.
        ranking: of the products by words; None if the query has no words.
        emptied_by: the conditions to blame if no product is left, as in `Answer`.
    """

    understood: Understood
    allowed: np.ndarray
    where: Where
    ranking: Ranking | None
    emptied_by: tuple[EmptiedBy, ...] = ()

    def answer(self, table: ProductTable) -> tuple[np.ndarray, Decision]:
        """Answer a query without a photo.

        Returns: (R,) int64, the numbers of all products found, best first; and the decision: "match" if one product has
                 everything that was asked, "ambiguous" if several have, "unknown" if none has all the words.
        """
        if self.ranking is None:
            found = complete = np.flatnonzero(self.allowed)
        else:
            found = self.ranking.order(self.allowed)
            complete = found[self.ranking.complete[found]]
        if self.where.order:
            found = table.order_by(complete if len(complete) else found, self.where.order, self.where.descending)
        count = len(complete)
        return found, "unknown" if not count else "match" if count == 1 else "ambiguous"

    def nearest_by_words(self) -> list[int]:
        """Return the numbers of the best allowed products by words, best first, at most `MAX_WORD_MATCHES`."""
        return [] if self.ranking is None else self.ranking.order(self.allowed)[:MAX_WORD_MATCHES].tolist()

    def order_with_photo(self, photo_scores: Mapping[int, float]) -> list[int]:
        """Order products, given by number, by the sum of their scores by photo and by words, best first."""
        return sorted(photo_scores, key=lambda number: -photo_scores[number] - self.score(number))

    def score(self, number: int) -> float:
        """Return the share of the words that a product has; 1 if the query is only a filter."""
        return 1.0 if self.ranking is None else float(self.ranking.scores[number])


def interpret(
    table: ProductTable, words: Callable[[], WordSearch], text: str | None, where: str | None, photo: bool
) -> Query:
    """Interpret a query.

    Args:
        table: the columns of the products.
        words: gives the words of the same products; called only if needed.
        text: a sentence; plain words if there is a filter.
        where: a filter, as `filters.parse` reads it.
        photo: whether a photo comes with it.
    Raises:
        QueryError: the query is malformed.
    """
    notes: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    if where is None and text is not None:
        from . import sentence  # here: compiling its patterns takes 50 ms, which a search by photo need not wait for

        parsed = sentence.parse(text, table, words(), photo)
        where, text, notes, ignored = parsed.where, parsed.words, parsed.notes, parsed.ignored
    condition = parse(where) if where else Where()
    if condition.order:
        table.column(condition.order)
        notes += ("the order is ignored: with a photo, the most similar products come first",) if photo else ()
    allowed = table.visible if condition.filter is None else table.matching(condition.filter)
    ranking = words().rank(text) if text else None
    notes += _spelling_notes(ranking) if ranking else ()
    if not (ranking or where or photo):
        raise QueryError(f"text: no word to search for{_in_parentheses(notes)}; give words of a product, or a filter.")
    required = Required(ranking.scores > 0, str(text)) if ranking and not photo else None
    is_empty = not (allowed if required is None else allowed & required.matching).any()
    emptied_by = explain_empty(table, condition.filter, required) if is_empty else ()
    corrected = ranking.corrected if ranking else {}
    understood = Understood(
        str(condition), text or "", notes, ignored + (ranking.unknown if ranking else ()), corrected
    )
    return Query(understood, allowed, condition, ranking, emptied_by)


def describe_exclusions(table: ProductTable, where: str) -> list[str]:
    """Return a sentence for each condition of a filter on how many products it excludes.

    where: as in `Understood.where`.
    """
    parts = split_filter(parse(where).filter if where else None)
    count = int(table.visible.sum())
    return [f"{part} leaves out {count - table.matching(part).sum()} of {count} products" for part in parts]


def _spelling_notes(ranking: Ranking) -> tuple[str, ...]:
    corrected = [f"{word!r} is read as {' or '.join(read)}" for word, read in ranking.corrected.items()]
    return (*corrected, *(f"no product here has the word {word!r}, or a similar one" for word in ranking.unknown))


def _in_parentheses(notes: Sequence[str]) -> str:
    return f" ({'; '.join(notes)})" if notes else ""
