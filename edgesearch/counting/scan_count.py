"""Count scanned pieces one by one into the lists of a `Count`."""

import collections
from collections import Counter
from dataclasses import dataclass

from ..answer import Answer
from ..errors import ScanError
from .count_journal import CountEntry
from .photo_count import Count

MAX_UNDO = 1000  # scans
MAX_PIECES = 10_000  # at once; a larger number is a barcode read by mistake


@dataclass(frozen=True)
class CountChange:
    """A change of a product's count.

    Attributes:
        count: Number of its pieces after the change.
        more: Number of pieces that the change added; negative for an undo.
    """

    sku: str
    name: str
    count: int
    more: int


class ScanCount:
    """Counts pieces; stores each on the disk before reporting it as counted.

    Attributes:
        unsaved: Number of changes since the lists were last written.
    """

    def __init__(self, count: Count):
        self._count, self._counts, self.unsaved = count, count.counts, 0
        self._last: tuple[Answer, str, str] | None = None
        self._undoable: collections.deque[CountEntry] = collections.deque(maxlen=MAX_UNDO)

    def has_entry(self, photo_id: str) -> bool:
        """Return whether a photo was counted or set aside before."""
        return self._count.has_entry(photo_id)

    def add(self, answer: Answer, name: str, photo_id: str = "", by: str = "") -> CountChange | None:
        """Count the product of an answer; return None if the answer is not sure.

        Args:
            name, photo_id, by: As in `Count.add_answer`. An unsure answer goes to review only if it has a `photo_id`,
                since only then can a person see the photo.
        Raises:
            CountError: The piece cannot be stored, and is not counted.
        """
        if answer.decision != "match":
            if photo_id:
                self._count.add_answer(name, answer, photo_id)
            return None
        self._add_pieces(answer, name, photo_id, by)
        self._last = (answer, name, by)
        return self._last_change(1)

    def repeat(self, pieces: int) -> CountChange:
        """Set the number of pieces of the product counted last; the one already counted is part of it.

        Raises:
            ScanError: Nothing was counted yet, or the number is out of range.
            CountError: The pieces cannot be stored.
        """
        if self._last is None:
            raise ScanError(f"*{pieces}: nothing was counted yet; scan a product first, then give the number.")
        if not 1 <= pieces <= MAX_PIECES:
            raise ScanError(f"*{pieces}: not a number of pieces; expected 1 to {MAX_PIECES:,}.")
        answer, name, by = self._last
        if pieces > 1:
            self._add_pieces(answer, name, "", by, pieces - 1)
        return self._last_change(pieces - 1)

    def undo(self) -> CountChange:
        """Take back the last change of this run.

        Raises:
            ScanError: This run has counted nothing that is left.
            CountError: The change cannot be stored.
        """
        if not self._undoable:
            raise ScanError("-: nothing was counted in this run; there is nothing to take back.")
        last = self._undoable[-1]
        self._count.take_back(last.id)
        self._undoable.pop()
        self._counts[last.sku] -= last.times
        self.unsaved += 1
        return CountChange(last.sku, last.name, self._counts[last.sku], -last.times)

    def save(self) -> None:
        """Write the lists; raise CountError if they cannot be written."""
        self._count.write()
        self.unsaved = 0

    def _add_pieces(self, answer: Answer, name: str, photo_id: str, by: str, pieces: int = 1) -> None:
        entry = self._count.add_answer(name, answer, photo_id, by, pieces)
        self._undoable.append(entry)
        self._counts[entry.sku] += pieces
        self.unsaved += 1

    def _last_change(self, more: int) -> CountChange:
        last = self._undoable[-1]
        return CountChange(last.sku, last.name, self._counts[last.sku], more)


def describe_totals(counts: Counter[str]) -> str:
    """Return the totals of a count in words."""
    return f"{sum(counts.values())} pieces of {sum(1 for pieces in counts.values() if pieces)} products"
