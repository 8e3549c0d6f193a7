"""Counting what is scanned, one piece after the other, into the lists of `counting`."""

import collections
from collections import Counter
from dataclasses import dataclass

from ..answer import Answer
from ..errors import ScanError
from .count_journal import Seen
from .photo_count import Count
from .stock_lists import NOTHING

MOST_BACK = 1000  # scans that can be taken back
MOST_TIMES = 10_000  # pieces at once; more is a barcode that slipped


@dataclass(frozen=True)
class Counted:
    """How many of a product are counted by now, and how many of them by this."""

    sku: str
    name: str
    count: int
    more: int


class Tally:
    """Counts pieces; a piece is kept on the disk before it is said to be counted.

    Attributes: unsaved: pieces since the lists were last written.
    """

    def __init__(self, count: Count):
        self._count, self._counts, self.unsaved = count, count.counts, 0
        self._last: tuple[Answer, str, str] | None = None
        self._pieces: collections.deque[Seen] = collections.deque(maxlen=MOST_BACK)  # that may be taken back

    def knows(self, identity: str) -> bool:
        """That photo was counted before, or set aside."""
        return self._count.knows(identity)

    def add(self, answer: Answer, name: str, identity: str = "", by: str = "") -> Counted | None:
        """Count the product of an answer; None: the answer is not sure.

        Args:    as `Count.scanned` has them; what is not sure is set aside for somebody to say where a photo of it is
                 kept, which is where it has an identity.
        Raises:  CountError: it cannot be kept, and is not counted.
        """
        if answer.decision != "match":
            if identity:
                self._count.scanned(name, answer, identity)
            return None
        self._take(answer, name, identity, by)
        self._last = (answer, name, by)
        return self._said(1)

    def times(self, pieces: int) -> Counted:
        """There are so many of what was counted last, which counts as one of them.

        Raises:  ScanError: nothing was counted yet, or that is no number of pieces; CountError: as `add`.
        """
        if self._last is None:
            raise ScanError(f"*{pieces}: nothing was counted yet; scan a product first, then say how many.")
        if not 1 <= pieces <= MOST_TIMES:
            raise ScanError(f"*{pieces}: not a number of pieces; expected 1 to {MOST_TIMES:,}.")
        answer, name, by = self._last
        if pieces > 1:
            self._take(answer, name, "", by, pieces - 1)
        return self._said(pieces - 1)

    def undo(self) -> Counted:
        """Take back what was counted last in this run; raises ScanError: there is none; CountError."""
        if not self._pieces:
            raise ScanError("-: nothing was counted in this run; there is nothing to take back.")
        last = self._pieces[-1]
        self._count.correct(last.id, NOTHING)
        self._pieces.pop()
        self._counts[last.sku] -= last.times
        self.unsaved += 1
        return Counted(last.sku, last.name, self._counts[last.sku], -last.times)

    def save(self) -> None:
        """Write the lists; raises CountError: they cannot be."""
        self._count.write()
        self.unsaved = 0

    def _take(self, answer: Answer, name: str, identity: str, by: str, pieces: int = 1) -> None:
        seen = self._count.scanned(name, answer, identity, by, pieces)
        self._pieces.append(seen)
        self._counts[seen.sku] += pieces
        self.unsaved += 1

    def _said(self, more: int) -> Counted:
        last = self._pieces[-1]
        return Counted(last.sku, last.name, self._counts[last.sku], more)


def totals(counts: Counter[str]) -> str:
    """In words."""
    return f"{sum(counts.values())} pieces of {sum(1 for pieces in counts.values() if pieces)} products"
