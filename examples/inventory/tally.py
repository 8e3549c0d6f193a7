"""What was counted, photo by photo; knows nothing of windows."""

import csv
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgesearch import Answer, Match

COLUMNS = ("sku", "name", "counted", "location", "stock", "difference")


@dataclass
class Seen:
    """A photo; match: what it was counted as, None while it waits for somebody to say; candidates: what it may be."""

    photo: str
    image: Any
    match: Match | None
    candidates: tuple[Match, ...]
    advice: str = ""


@dataclass
class Tally:
    """Photos in the order they were seen, and what was done, for `undo`."""

    seen: list[Seen] = field(default_factory=list)
    _done: list[tuple[Seen, bool]] = field(default_factory=list)  # and whether it was waiting before

    def add(self, photo: str, image: Any, answer: Answer) -> Seen:
        """Count a photo that is a match; any other waits."""
        match = answer.matches[0] if answer.decision == "match" else None
        seen = Seen(photo, image, match, answer.matches, answer.advice)
        self.seen.append(seen)
        self._done.append((seen, False))
        return seen

    def say(self, seen: Seen, match: Match) -> None:
        """What a photo that waits shows."""
        seen.match = match
        self._done.append((seen, True))

    def undo(self) -> Seen | None:
        """Take back what was done last; None where nothing was."""
        if not self._done:
            return None
        seen, was_waiting = self._done.pop()
        if was_waiting:
            seen.match = None
        else:
            self.seen.remove(seen)
        return seen

    @property
    def waiting(self) -> list[Seen]:
        """Photos that nobody has said anything of."""
        return [one for one in self.seen if one.match is None]

    @property
    def counts(self) -> list[tuple[Match, int, Seen]]:
        """Each product with its number and its last photo; what was counted last comes first."""
        numbers = Counter(one.match.sku for one in self.seen if one.match)
        last = {one.match.sku: (one.match, one) for one in self.seen if one.match}
        order = dict.fromkeys(one.match.sku for one in reversed(self.seen) if one.match)
        return [(last[sku][0], numbers[sku], last[sku][1]) for sku in order]

    def export(self, path: Path) -> int:
        """Write the list as CSV; returns of how many products."""
        rows = []
        for match, number, _ in sorted(self.counts, key=lambda one: one[0].sku):
            stock = match.product.stock
            difference = "" if stock is None else number - stock
            rows.append((match.sku, match.name, number, match.product.location or "", stock, difference))
        with open(path, "w", newline="", encoding="utf-8-sig") as file:  # with a mark, for spreadsheets
            csv.writer(file).writerows([COLUMNS, *rows])
        return len(rows)
