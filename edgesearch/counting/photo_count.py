"""Count photos of one product each into a stock list, over any number of runs.

Each photo is counted once, however often it is given and under whatever name: the hash of its content identifies it.
Photos that the store is not sure of go into a review list, in which a person fills in the SKU.
"""

import contextlib
import functools
import hashlib
import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..answer import CHOICES, Answer
from ..errors import CountError, EdgeSearchError, ImageError
from ..images import image, photo_files
from ..images.photo_files import PhotoFile
from ..store.store import Store
from . import stock_lists
from .count_journal import CountEntry, CountJournal
from .review_reasons import review_reason
from .waiting_photos import FOLDER_SUFFIX, WaitingPhotos, find_seal, is_kept

ID_DIGITS = 16  # of a photo's hash
REVIEW_SUFFIX = ".review"


@dataclass(frozen=True)
class Progress:
    """A photo that is done.

    Attributes:
        entry: Its entry in the journal.
        new: Whether this run counted it.
        counted: Number of pieces of its product so far.
        done, total: Number of photos.
    """

    entry: CountEntry
    new: bool
    counted: int
    done: int
    total: int


class Count:
    """An open count. Closing it writes its lists, even after an error.

    Attributes:
        notes: A sentence for each input that was ignored or not applied.
    """

    def __init__(
        self,
        store: Store,
        output: Path,
        fast: bool | None = None,
        barcodes: bool | None = None,
        everything: bool = False,
    ):
        """Start a count, or continue the one of an existing output file and apply its filled-in review list.

        Args:
            store: Recognizes the products.
            output: CSV file to write.
            fast, barcodes: As in `Store.search`.
            everything: List all products, including those that were not counted.
        Raises:
            CountError: The output file belongs to no count or is a review list, another process has the count open, or
                a list is unusable.
        """
        if output.suffix.lower() != ".csv":
            raise CountError(f"{output}: not the name of a list; expected one that ends in .csv.")
        if output.stem.lower().endswith(REVIEW_SUFFIX):
            raise CountError(f"{output}: is the name of a review list; give one without {REVIEW_SUFFIX}.")
        self.output, session = output, output.with_suffix(".session")
        self.review = output.with_suffix(f"{REVIEW_SUFFIX}.csv")
        for path in (output, self.review):
            if path.exists() and not session.exists():
                raise CountError(f"{path}: exists, but its count ({session.name}) does not; give another output.")
        self._store, self._everything = store, everything
        self._search = functools.partial(store.search, k=CHOICES, fast=fast, barcodes=barcodes)
        self.notes: list[str] = []
        self._applied: set[tuple[str, str]] = set()  # photos and SKUs of the review list as it is on the disk
        self._rejected_skus: dict[str, str] = {}  # from the review list, by id or name of the photo
        self._unreadable: dict[str, CountEntry] = {}  # by name
        self._duplicates: list[tuple[str, str]] = []  # names of a photo and of the same one counted before
        seal = find_seal(store, output)
        self._has_lists = seal is None
        self._photos = WaitingPhotos(output.with_suffix(FOLDER_SUFFIX), seal)
        self._journal = CountJournal(session, seal)
        try:
            self._photos.discard_others({entry.id for entry in self._journal.entries_to_review()})
            self._apply_review()
        except BaseException:
            self._journal.close()
            raise

    def __enter__(self) -> "Count":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        failed = kind is not None and issubclass(kind, Exception)
        try:
            with contextlib.suppress(*[EdgeSearchError] * failed):  # the first error is the one to report
                self.write()
        finally:
            self._journal.close()

    def write(self) -> None:
        """Apply what was filled into the review list, then write both lists; raise CountError if that fails.

        A count in an encrypted folder has no lists, which everybody could read.
        """
        if self._has_lists:
            self._apply_review()
            stock_lists.write(self.output, self.stock_list())
            stock_lists.write(self.review, stock_lists.format_review(self.to_review, self._rejected_skus))
            self._applied.clear()

    def stock_list(self) -> bytes:
        """Return the stock list as a CSV file."""
        products = self._store.products(None if self._everything else [*self.counts])
        return stock_lists.format_stock(self._journal.counted_entries(), products)

    @property
    def counts(self) -> Counter[str]:
        """Number of pieces counted, by SKU."""
        counts = Counter[str]()
        for entry in self._journal.counted_entries():
            counts[entry.sku] += entry.times
        return Counter({sku: pieces for sku, pieces in counts.items() if pieces})

    @property
    def names(self) -> dict[str, str]:
        """Names of the counted products by SKU, as they were when they were counted."""
        return {entry.sku: entry.name for entry in self._journal.counted_entries()}

    @property
    def to_review(self) -> list[CountEntry]:
        """Photos that a person must review, by name, then files that could not be read."""
        return [*self._journal.entries_to_review(), *self._unreadable.values()]

    def add_photos(self, paths: Sequence[Path], report: Callable[[Progress], None] = lambda progress: None) -> None:
        """Count photo files one after the other; store each on the disk before reading the next.

        Args:
            paths: Photos, or folders of them.
            report: Called after each photo.
        Raises:
            CountError: A folder cannot be read, or a photo's entry cannot be stored.
        """
        found, others = photo_files.find_photos(paths)
        found = [photo for photo in found if not is_kept(photo.path)]
        own = {path.resolve() for path in (self.output, self.review, self._journal.path)}
        if note := photo_files.describe_skipped([path for path in others if path.resolve() not in own]):
            self.notes.append(note)
        counts = self.counts
        for done, photo in enumerate(found, 1):
            entry, new = self._count_file(photo)
            counts[entry.sku] += new and entry.status == "counted"
            report(Progress(entry, new, counts[entry.sku], done, len(found)))
        if self._duplicates:
            pairs = ", ".join(f"{name} is {known}" for name, known in self._duplicates[: photo_files.MAX_NAMES])
            self.notes.append(f"the same photos under other names, counted once ({len(self._duplicates)}): {pairs}")

    def add_photo(self, content: bytes, name: str, times: int = 1) -> tuple[CountEntry, bool]:
        """Count an encoded photo that is not a file.

        Args:
            content: Encoded photo.
            name: Its name in the lists.
            times: Number of pieces it stands for.
        Returns:
            Its entry, and whether that is new: the same content is counted once.
        Raises:
            CountError: The entry cannot be stored.
        """
        return self._count_content(content, name, (), times)

    def add_product(self, sku: str, times: int = 1) -> CountEntry:
        """Count pieces of a product without a photo; raise CountError if no product has that SKU."""
        if not self._store.products([sku]):
            raise CountError(f"{sku}: no product of that SKU is here; check it.")
        entry = CountEntry(f"h{secrets.token_hex(ID_DIGITS // 2)}", "", (), "aside", times=times)
        return self._assign_product(entry, sku)

    def set_total(self, sku: str, total: int) -> CountEntry | None:
        """Add the pieces that a product lacks to a total, or take away those that exceed it.

        Returns:
            The entry of the difference; None if there is none.
        Raises:
            CountError: No product has that SKU, or the entry cannot be stored.
        """
        missing = total - self.counts[sku]
        return self.add_product(sku, missing) if missing else None

    def add_answer(self, name: str, answer: Answer, photo_id: str = "", by: str = "", times: int = 1) -> CountEntry:
        """Count the product of an existing answer, and store its entry before returning.

        Args:
            name: Its name in the lists.
            photo_id: `photo_id` of its photo, which is counted once; "" counts it each time.
            by: "hand"; "" takes what the answer says.
            times: Number of pieces.
        Returns:
            Its entry, which is set aside for review if the answer is not sure.
        Raises:
            CountError: The entry cannot be stored.
        """
        photo_id = photo_id or f"s{secrets.token_hex(ID_DIGITS // 2)}"
        if known := self._journal.entries.get(photo_id):
            return known
        entry = _apply_answer(CountEntry(photo_id, name, (), "aside", times=times), answer)
        entry = replace(entry, by=by or entry.by)
        self._journal.add(entry)
        return entry

    def has_entry(self, photo_id: str) -> bool:
        """Return whether this run or an earlier one has recorded the photo."""
        return photo_id in self._journal.entries

    def undo(self) -> CountEntry:
        """Take back the last count or correction, an earlier one with each call.

        A correction is replaced by what was before it. A photo that was counted goes to review.

        Raises:
            CountError: Nothing was counted.
        """
        last = self._journal.last_change()
        if last is None:
            raise CountError(f"{self.output}: nothing is counted there; there is nothing to undo.")
        before, entry = last
        if before is None:
            before = entry.to_review() if entry.photo else replace(entry, status="dropped", sku="", name="", by="hand")
        self._record(before, undo=True)
        return before

    def take_back(self, entry_id: str) -> CountEntry:
        """Count an entry no more; raise CountError if that cannot be stored."""
        dropped = replace(self._journal.entries[entry_id], status="dropped", sku="", name="", by="hand")
        self._record(dropped, undo=True)
        return dropped

    def correct(self, photo: str, sku: str | None = None, times: int | None = None) -> CountEntry:
        """Set the product of a photo, whatever its state, or the number of pieces, or both; None keeps what it is.

        Args:
            photo: Its id, its name, or the last part of its name.
            sku: Of its product; "-" for nothing to count, "" to review it again.
            times: Number of pieces.
        Raises:
            CountError: No photo, or more than one, has that name, or no product has that SKU.
        """
        entries = self._journal.entries
        named = [entries[photo]] if photo in entries else [entry for entry in entries.values() if entry.photo == photo]
        named = named or [entry for entry in entries.values() if Path(entry.photo).name == photo]
        if len(named) != 1:
            names = ", ".join(f"{entry.photo} ({entry.id})" for entry in named[: photo_files.MAX_NAMES])
            found = f"{len(named)} photos have this name: {names}" if named else "no such photo was counted"
            raise CountError(f"{photo}: {found}; give the name or id of one.")
        entry = replace(named[0], times=times or named[0].times)
        if sku is not None:
            return self._assign_product(entry, sku)
        self._record(entry)
        return entry

    def waiting_photo(self, photo_id: str) -> bytes | None:
        """Return a photo that waits for review, as JPEG; None if it was not kept."""
        return self._photos.read(photo_id)

    def _count_file(self, photo: PhotoFile) -> tuple[CountEntry, bool]:
        """Return the entry of a photo file, and whether it is new."""
        try:
            file = photo.state()
            if known := self._journal.find_file(photo.name, file):
                return known, False
            content = image.read_bytes(photo.path)
        except ImageError as error:
            self._unreadable[photo.name] = CountEntry("", photo.name, (), "bad", why=photo.strip_path(error))
            return self._unreadable[photo.name], True
        entry, new = self._count_content(content, photo.name, tuple(file))
        if not new and entry.photo != photo.name:
            self._duplicates.append((photo.name, entry.photo))
        return entry, new

    def _count_content(
        self, content: bytes, name: str, file: tuple[int, ...], times: int = 1
    ) -> tuple[CountEntry, bool]:
        known = photo_id(content)
        if known in self._journal.entries:
            return self._journal.entries[known], False
        entry = self._recognize(CountEntry(known, name, file, "aside", times=times), content)
        self._record(entry, content)
        return entry, True

    def _record(self, entry: CountEntry, content: bytes | None = None, undo: bool = False) -> None:
        """Write an entry to the journal; keep its photo from before it waits until after it is settled."""
        if entry.status == "aside":
            self._photos.keep(entry.id, content)
        elif content:
            self._photos.remember(entry.id, content)
        self._journal.add(entry, undo)
        if entry.status != "aside":
            self._photos.discard(entry.id)

    def _recognize(self, entry: CountEntry, content: bytes) -> CountEntry:
        try:
            answer = self._search(content)
        except ImageError as error:
            return replace(entry, status="bad", why=photo_files.strip_name(error))
        return _apply_answer(entry, answer)

    def _apply_review(self) -> None:
        """Count the photos whose SKU was filled into the review list."""
        for photo, entry_id, sku in stock_lists.read_review(self.review):
            entry = self._journal.entries.get(entry_id)
            if (entry_id, sku) in self._applied:  # and perhaps taken back since
                continue
            try:
                if entry is None:
                    raise CountError(f"{photo or entry_id}: {sku} is written there, but this photo could not be read.")
                if entry.status in ("aside", "bad"):
                    self._assign_product(entry, sku)
                self._applied.add((entry_id, sku))
                self._rejected_skus.pop(entry_id or photo, None)
            except CountError as error:
                note = f"{self.review}: {error}"
                self.notes += [note] * (note not in self.notes)
                self._rejected_skus[entry_id or photo] = sku

    def _assign_product(self, entry: CountEntry, sku: str) -> CountEntry:
        if not sku:
            changed = entry.to_review() if entry.status == "counted" else replace(entry, status="aside")
        elif sku == stock_lists.NO_PRODUCT:
            changed = replace(entry, status="dropped", sku="", name="", by="hand")
        else:
            product = self._store.products([sku]).get(sku)
            if product is None:
                raise CountError(f"{entry.photo}: {sku} is no product here; give the SKU of one, or - for none.")
            changed = replace(entry, status="counted", sku=sku, name=product.name, by="hand", why="")
        self._record(changed)
        return changed


def photo_id(content: bytes) -> str:
    """Return the id of a photo, whatever its name."""
    return f"p{hashlib.sha256(content).hexdigest()[:ID_DIGITS]}"


def _apply_answer(entry: CountEntry, answer: Answer) -> CountEntry:
    """Return the entry as counted, or with a reason for review if the answer is not sure."""
    candidates = tuple((match.sku, match.name) for match in answer.matches[:CHOICES])
    if answer.decision != "match":
        return replace(entry, why=review_reason(answer), candidates=candidates)
    (sku, name), by = candidates[0], "barcode" if answer.by_barcode else "look"
    return replace(entry, status="counted", sku=sku, name=name, by=by, candidates=candidates)
