"""Counting photos of one product each into a stock list, over as many runs as it takes.

A photo is counted once, however often it is given and whatever it is called: it is known by the hash of its content.
What the store is not sure of is set aside for somebody to say.
"""

import contextlib
import functools
import hashlib
import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..answer import Answer
from ..errors import CountError, EdgeSearchError, ImageError
from ..images import image, photo_files
from ..images.photo_files import Named
from ..store.store import Store
from . import stock_lists
from .count_journal import Seen, Session, taken_back

CANDIDATES = 3  # products shown of a photo that is set aside
ID_DIGITS = 16  # of the hash of a photo
WHY = {"unknown": "like no product here", "ambiguous": "like several products"}


@dataclass(frozen=True)
class Progress:
    """A photo that is done.

    Attributes: seen: what became of it; new: in this run; counted: how many of its product by now; done, total: photos.
    """

    seen: Seen
    new: bool
    counted: int
    done: int
    total: int


class Count:
    """A count under way. Its lists are written when it is closed, whatever ended it.

    Attributes: notes: a sentence each on what was given and could not be taken over.
    """

    def __init__(
        self,
        store: Store,
        output: Path,
        fast: bool | None = None,
        barcodes: bool | None = None,
        everything: bool = False,
    ):
        """Go on with the count of an output file, or begin it; what was filled into its review list is taken over.

        Args:    output: CSV to write; fast, barcodes: as in `Store.search`; everything: list all products, also those
                 that were not counted.
        Raises:  CountError: the output is no count's, or another process goes on with it, or a list cannot be used.
        """
        if output.suffix.lower() != ".csv":
            raise CountError(f"{output}: not the name of a list; expected one that ends in .csv.")
        self.output, self.review, session = output, output.with_suffix(".review.csv"), output.with_suffix(".session")
        for path in (output, self.review):
            if path.exists() and not session.exists():
                raise CountError(f"{path}: is there, and no count of it ({session.name}); give another output.")
        self._store, self._everything = store, everything
        self._search = functools.partial(store.search, k=CANDIDATES, fast=fast, barcodes=barcodes)
        self.notes: list[str] = []
        self._typed: dict[str, str] = {}
        self._unread: dict[str, Seen] = {}
        self._again: list[tuple[str, str]] = []
        self._session = Session(session)
        try:
            self._take_over()
        except BaseException:
            self._session.close()
            raise

    def __enter__(self) -> "Count":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        failed = kind is not None and issubclass(kind, Exception)
        try:
            with contextlib.suppress(*[EdgeSearchError] * failed):  # the first error is the one to tell
                self.write()
        finally:
            self._session.close()

    def write(self) -> None:
        """Take over what was filled into the review list, and write both lists; raises CountError."""
        self._take_over()
        products = self._store.products(None if self._everything else [*self.counts])
        stock_lists.write_stock(self.output, self._session.counted(), products)
        stock_lists.write_review(self.review, self.waiting, self._typed)

    @property
    def counts(self) -> Counter[str]:
        """How many of each product were counted, by SKU."""
        counts = Counter[str]()
        for seen in self._session.counted():
            counts[seen.sku] += seen.times
        return counts

    @property
    def names(self) -> dict[str, str]:
        """The names of the products that were counted, by SKU, as they were then."""
        return {seen.sku: seen.name for seen in self._session.counted()}

    @property
    def waiting(self) -> list[Seen]:
        """The photos that were set aside or cannot be read, by name."""
        return [*self._session.waiting(), *self._unread.values()]

    def add(self, given: Sequence[Path], tell: Callable[[Progress], None] = lambda progress: None) -> None:
        """Count the photos in folders, one after the other, each kept before the next is begun.

        Args:    given: folders, or photos; tell: is told each.
        Raises:  CountError: a folder cannot be read, or what was counted cannot be kept.
        """
        found, others = photo_files.find(given)
        own = {path.resolve() for path in (self.output, self.review, self._session.path)}
        if strange := photo_files.passed_over([path for path in others if path.resolve() not in own]):
            self.notes.append(strange)
        counts = self.counts
        for done, photo in enumerate(found, 1):
            seen, new = self._one(photo)
            counts[seen.sku] += new and seen.status == "counted"
            tell(Progress(seen, new, counts[seen.sku], done, len(found)))
        if self._again:
            again = ", ".join(f"{name} is {known}" for name, known in self._again[: photo_files.SHOWN])
            self.notes.append(f"the same photos under other names, counted once ({len(self._again)}): {again}")

    def take(self, content: bytes, name: str, times: int = 1) -> tuple[Seen, bool]:
        """Count a photo that is no file, as a camera gives it.

        Args:    content: encoded; name: for the lists; times: how many of what it shows are there.
        Returns: what became of it, and whether that is new: the same content is counted once.
        Raises:  CountError: it cannot be kept.
        """
        return self._took(content, name, (), times)

    def say(self, sku: str, times: int = 1) -> Seen:
        """Count so many of a product without a photo; raises CountError: no product has that SKU."""
        if not self._store.products([sku]):
            raise CountError(f"{sku}: no product of that SKU is here; check it.")
        return self._said(Seen(f"h{secrets.token_hex(ID_DIGITS // 2)}", "", (), "aside", times=times), sku)

    def scanned(self, name: str, answer: Answer, identity: str = "", by: str = "", times: int = 1) -> Seen:
        """Count what was answered elsewhere, kept before this returns.

        Args:    name: as the lists show it; identity: of its photo, as `identity` gives it, which is counted once, ""
                 for what is counted anew each time; by: "hand", "" as the answer has it; times: how many there are.
        Returns: what became of it: what the answer is not sure of is set aside.
        Raises:  CountError: it could not be kept.
        """
        identity = identity or f"s{secrets.token_hex(ID_DIGITS // 2)}"
        if known := self._session.seen.get(identity):
            return known
        seen = _judged(Seen(identity, name, (), "aside", times=times), answer)
        seen = replace(seen, by=by or seen.by)
        self._session.add(seen)
        return seen

    def knows(self, identity: str) -> bool:
        """Something became of that photo, in this run or in one before."""
        return identity in self._session.seen

    def undo(self) -> Seen:
        """Take back what was counted last, one more each time; a photo waits then.

        Raises:  CountError: no photo is counted.
        """
        last = next(self._session.counted(), None)
        if last is None:
            raise CountError(f"{self.output}: no photo is counted there; there is nothing to undo.")
        return self._said(last, "" if last.photo else stock_lists.NOTHING)

    def correct(self, photo: str, sku: str) -> Seen:
        """Say what a photo shows, whatever became of it before.

        Args:    photo: its name; sku: "-": nothing to count; "": it waits.
        Raises:  CountError: no photo of that name was seen, or no product has that SKU.
        """
        seen = self._session.seen
        named = [seen[photo]] if photo in seen else [one for one in seen.values() if one.photo == photo]
        named = named or [one for one in seen.values() if Path(one.photo).name == photo]
        if len(named) != 1:
            names = ", ".join(f"{one.photo} ({one.id})" for one in named[: photo_files.SHOWN])
            found = f"{len(named)} photos are called so: {names}" if named else "no such photo was seen"
            raise CountError(f"{photo}: {found}; give the name or id of one.")
        return self._said(named[0], sku)

    def _one(self, photo: Named) -> tuple[Seen, bool]:
        """What became of a photo, and whether that is new."""
        try:
            file = photo.state()
            if known := self._session.of_file(photo.name, file):
                return known, False
            content = image.content(photo.path)
        except ImageError as error:
            self._unread[photo.name] = Seen("", photo.name, (), "bad", why=photo.why(error))
            return self._unread[photo.name], True
        seen, new = self._took(content, photo.name, tuple(file))
        if not new and seen.photo != photo.name:
            self._again.append((photo.name, seen.photo))
        return seen, new

    def _took(self, content: bytes, name: str, file: tuple[int, ...], times: int = 1) -> tuple[Seen, bool]:
        known = identity(content)
        if known in self._session.seen:
            return self._session.seen[known], False
        seen = self._look(Seen(known, name, file, "aside", times=times), content)
        self._session.add(seen)
        return seen, True

    def _look(self, seen: Seen, content: bytes) -> Seen:
        try:
            answer = self._search(content)
        except ImageError as error:
            return replace(seen, status="bad", why=photo_files.nameless(error))
        return _judged(seen, answer)

    def _take_over(self) -> None:
        """What somebody filled into the review list."""
        for photo, identity, sku in stock_lists.read_review(self.review):
            seen = self._session.seen.get(identity)
            try:
                if seen is None:
                    raise CountError(f"{photo or identity}: {sku} is written there, but no such photo could be read.")
                if seen.status in ("aside", "bad"):
                    self._said(seen, sku)
                self._typed.pop(identity or photo, None)
            except CountError as error:
                note = f"{self.review}: {error}"
                self.notes += [note] * (note not in self.notes)
                self._typed[identity or photo] = sku

    def _said(self, seen: Seen, sku: str) -> Seen:
        if not sku:
            said = taken_back(seen) if seen.status == "counted" else replace(seen, status="aside")
        elif sku == stock_lists.NOTHING:
            said = replace(seen, status="dropped", sku="", name="", by="hand")
        else:
            product = self._store.products([sku]).get(sku)
            if product is None:
                raise CountError(f"{seen.photo}: {sku} is no product here; give the SKU of one, or - for none.")
            said = replace(seen, status="counted", sku=sku, name=product.name, by="hand", why="")
        self._session.add(said)
        return said


def identity(content: bytes) -> str:
    """Of a photo, whatever it is called."""
    return f"p{hashlib.sha256(content).hexdigest()[:ID_DIGITS]}"


def _judged(seen: Seen, answer: Answer) -> Seen:
    """What becomes of a photo with that answer."""
    candidates = tuple((match.sku, match.name) for match in answer.matches[:CANDIDATES])
    if answer.decision != "match":
        return replace(seen, why=_why(answer), candidates=candidates)
    (sku, name), by = candidates[0], "barcode" if answer.by_barcode else "look"
    return replace(seen, status="counted", sku=sku, name=name, by=by, candidates=candidates)


def _why(answer: Answer) -> str:
    """Why a photo is set aside."""
    strange = [label.text for label in answer.barcodes if not label.skus]
    said = answer.conflict or WHY[answer.decision]
    return said if answer.conflict or not strange else f"{said}; its barcode {', '.join(strange)} is of no product here"
