"""Count photos one by one, with undo; independent of the window."""

import csv
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgesearch import Answer, Match

COLUMNS = ("sku", "name", "counted", "location", "stock", "difference")


@dataclass
class CountedPhoto:
    """A photo in the count.

    Attributes:
        match:      the product it counts for; None: it waits for the user's choice.
        candidates: the products it may show.
    """

    photo: str
    image: Any
    match: Match | None
    candidates: tuple[Match, ...]
    advice: str = ""


@dataclass
class Tally:
    """Photos in the order they were added, and a history for `undo`."""

    photos: list[CountedPhoto] = field(default_factory=list)
    _done: list[tuple[CountedPhoto, bool]] = field(default_factory=list)  # photo, whether the user chose its product

    def add(self, photo: str, image: Any, answer: Answer) -> CountedPhoto:
        """Count a photo if its answer is a match; otherwise let it wait."""
        match = answer.matches[0] if answer.decision == "match" else None
        seen = CountedPhoto(photo, image, match, answer.matches, answer.advice)
        self.photos.append(seen)
        self._done.append((seen, False))
        return seen

    def assign(self, seen: CountedPhoto, match: Match) -> None:
        """Assign a product to a waiting photo."""
        seen.match = match
        self._done.append((seen, True))

    def undo(self) -> CountedPhoto | None:
        """Undo the last step; return its photo, or None if there was no step."""
        if not self._done:
            return None
        seen, was_waiting = self._done.pop()
        if was_waiting:
            seen.match = None
        else:
            self.photos.remove(seen)
        return seen

    @property
    def waiting(self) -> list[CountedPhoto]:
        """The photos that wait for the user's choice."""
        return [photo for photo in self.photos if photo.match is None]

    @property
    def counts(self) -> list[tuple[Match, int, CountedPhoto]]:
        """Products with their number and last photo, the last counted product first."""
        numbers = Counter(photo.match.sku for photo in self.photos if photo.match)
        last = {photo.match.sku: (photo.match, photo) for photo in self.photos if photo.match}
        order = dict.fromkeys(photo.match.sku for photo in reversed(self.photos) if photo.match)
        return [(last[sku][0], numbers[sku], last[sku][1]) for sku in order]

    def export(self, path: Path) -> int:
        """Write the counts as CSV; return the number of products."""
        rows = []
        for match, number, _ in sorted(self.counts, key=lambda count: count[0].sku):
            stock = match.product.stock
            difference = "" if stock is None else number - stock
            rows.append((match.sku, match.name, number, match.product.location or "", stock, difference))
        with open(path, "w", newline="", encoding="utf-8-sig") as file:  # with a byte order mark, for spreadsheets
            csv.writer(file).writerows([COLUMNS, *rows])
        return len(rows)
