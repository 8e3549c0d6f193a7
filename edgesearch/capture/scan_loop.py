"""Answering what a camera, a folder or a barcode wedge brings, for hours.

One thread answers; what it waits for comes from others, by way of an `Inbox`. Nothing that goes wrong with a frame, a
photo, a disk or a bundle ends it: each is told in a sentence, and the next is answered.
"""

import contextlib
import datetime
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..answer import Answer
from ..counting.photo_count import photo_id
from ..counting.scan_count import CountChange, ScanCount
from ..errors import CountError, EdgeSearchError, ImageError, ScanError
from ..images import image, photo_files
from ..store.store import Store
from .arrival_filter import ArrivalFilter, Stillness
from .inbox import Event, File, Frame, Inbox, Line, Lost, Note, Reopen, Stop

TURN_S = 0.25  # the loop turns at least so often
LOOK_AGAIN_S = 5.0  # whether another bundle was installed
SAVE_S = 3.0  # after the last piece was counted, the lists are written
SHOT_FRAMES, SHOT_S = 3, 2.0  # that a trigger looks at, at most, and how long it waits for them
AGAIN_S = 60.0  # before the same sentence is said again
MOST_SAID, MOST_OWED = 100, 1000
_TIMES, _BACK = re.compile(r"\*([0-9]{1,9})"), "-"


@dataclass(frozen=True)
class Scan:
    """One thing that is told.

    Attributes: source: "camera", "trigger", "file" or "wedge"; at: when, ISO 8601; answer: None where there is none;
                error: what went wrong, None where nothing did; photo: that could not be answered; age_ms: of the frame,
                from when it came until it was answered; dropped: frames that were passed over for it; counted: what it
                changed in the count.
    """

    source: str
    at: str
    answer: Answer | None = None
    error: Exception | None = None
    photo: str = ""
    age_ms: float | None = None
    dropped: int = 0
    counted: CountChange | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form: the answer's, and what the scan knows besides."""
        table: dict[str, Any] = {"at": self.at, "source": self.source}
        table |= self.answer.to_dict() if self.answer else {"photo": self.photo} if self.photo else {}
        if self.age_ms is not None:
            table |= {"age_ms": round(self.age_ms, 1), "dropped": self.dropped}
        if self.counted:
            table["counted"] = dict(vars(self.counted))
        if self.error:
            table["error"] = {"kind": type(self.error).__name__, "message": str(self.error)}
        return table

    def facts(self) -> dict[str, str]:
        """The most important of it, for the environment of a hook; always the same names, "" where it has none."""
        best = self.answer.matches[0] if self.answer and self.answer.matches else None
        facts: dict[str, object] = {
            "event": "error" if self.error else self.answer.decision if self.answer else "counted",
            "source": self.source,
            "sku": best.sku if best else "",
            "name": best.name if best else "",
            "price": "" if best is None or best.price is None else f"{best.price:.2f}",
            "currency": best and best.product.currency,
            "location": best and best.product.location,
            "probability": f"{best.probability:.3f}" if best else "",
            "advice": self.answer.advice if self.answer else "",
            "error": self.error or "",
        }
        if self.counted:
            facts |= {"sku": self.counted.sku, "name": self.counted.name}
        facts["count"] = self.counted.count if self.counted else ""
        return {f"EDGESEARCH_{name.upper()}": "" if value is None else str(value) for name, value in facts.items()}


class Notes:
    """Says a sentence, and the same again only after a while."""

    def __init__(self, say: Callable[[str], None]):
        self._say, self._said, self._lock = say, dict[str, float](), threading.Lock()

    def __call__(self, text: str) -> None:
        """Say it."""
        now_s = time.monotonic()
        with self._lock:
            before_s = self._said.pop(text, now_s - AGAIN_S)
            is_due = now_s - before_s >= AGAIN_S
            self._said[text] = now_s if is_due else before_s
            while len(self._said) > MOST_SAID:
                self._said.pop(next(iter(self._said)))
        if is_due:
            self._say(text)


class Scanner:
    """Answers events; see `run`."""

    def __init__(
        self,
        store: Store,
        tell: Callable[[Scan], None],
        note: Callable[[str], None],
        tally: ScanCount | None = None,
        live: bool = True,
        k: int = 3,
        fast: bool | None = None,
    ):
        """tell: is told each scan; note: sentences; tally: counts; live: frames are answered without a trigger too."""
        self._store, self._tell, self._note, self._tally, self._live = store, tell, note, tally, live
        self._k, self._fast, self._stream = k, fast, store.stream(k=k, fast=fast)
        self._presence, self._still = ArrivalFilter(), Stillness()
        self._shot: Answer | None = None
        self._shot_frames, self._shot_until_s = 0, 0.0
        self._owed: dict[str, Answer] = {}  # photos that could not be counted yet, by identity
        self._checked_s = self._counted_s = time.monotonic()
        self.failed = 0

    def run(self, inbox: Inbox, beat: Callable[[], None] = lambda: None) -> Stop:
        """Answer until there is a `Stop`, which is returned; beat: is called all the while."""
        while True:
            event = inbox.take(TURN_S)
            if isinstance(event, Stop):
                return event
            if event is not None:
                self.take(event)
            self._turn()
            beat()

    def take(self, event: Event) -> None:
        """Answer one."""
        if isinstance(event, Frame):
            self._frame(event)
        elif isinstance(event, File):
            self._file(event)
        elif isinstance(event, Line):
            self._line(event.text)
        elif isinstance(event, Reopen):
            self._reopen()
        elif isinstance(event, Lost):
            self._fail(event.source, ScanError(event.text))
        elif isinstance(event, Note):
            self._note(event.text)

    def _frame(self, frame: Frame) -> None:
        if self._shot_until_s and frame.at_s >= self._shot_until_s - SHOT_S:
            self._shoot(frame)
        elif self._live:
            if not self._still.needs_look(frame.photo):
                self._presence.stay(frame.at_s)
                return
            answer = self._looked(frame)
            if answer and self._presence.add(answer, frame.at_s):
                self._answered(answer, "camera", frame)

    def _looked(self, frame: Frame) -> Answer | None:
        try:
            return replace(self._stream.add(frame.photo), photo="camera")
        except (EdgeSearchError, OSError, MemoryError) as error:
            self._note(f"camera: {error}" if isinstance(error, EdgeSearchError) else f"camera: {error!r}")
            return None

    def _shoot(self, frame: Frame) -> None:
        """One of the frames that a trigger looks at."""
        answer = self._looked(frame)
        self._shot, self._shot_frames = answer or self._shot, self._shot_frames + 1
        is_sure = answer is not None and answer.decision == "match" and self._shot_frames > 1
        if self._shot and (is_sure or self._shot_frames >= SHOT_FRAMES):
            answer, self._shot_until_s = self._shot, 0.0
            self._presence.tell(answer, frame.at_s)
            self._answered(answer, "trigger", frame)

    def _file(self, file: File) -> None:
        try:
            content = image.read_bytes(Path(file.name)) if file.content is None else file.content
            known = photo_id(content) if self._tally else ""
            if self._tally and self._tally.has_entry(known):
                return
            with _named(file):
                answer = self._store.search(content, self._k, self._fast)
        except (EdgeSearchError, OSError, MemoryError) as error:
            self._fail("file", error, file.name)
            return
        self._answered(replace(answer, photo=file.name), "file", known=known)

    def _line(self, text: str) -> None:
        """The trigger, or what a wedge read: a barcode, a SKU, "*12" for twelve of them, "-" to take one back."""
        if not text:
            self._stream.clear()
            self._shot, self._shot_frames, self._shot_until_s = None, 0, time.monotonic() + SHOT_S
            return
        times = _TIMES.fullmatch(text)
        try:
            if not times and text != _BACK:
                answer = self._store.named_by(text, self._k)
                by = "" if answer.barcodes else "hand"
                self._answered(replace(answer, photo=text), "wedge", by=by)
                return
            if self._tally is None:
                raise ScanError(f"{text}: nothing is counted; start the scan with --count.")
            counted = self._tally.repeat(int(times[1])) if times else self._tally.undo()
        except (EdgeSearchError, OSError, MemoryError) as error:
            self._fail("wedge", error)
            return
        self._counted_s = time.monotonic()
        self._tell(Scan("wedge", _now(), counted=counted))

    def _answered(self, answer: Answer, source: str, frame: Frame | None = None, known: str = "", by: str = "") -> None:
        counted, failure = None, None
        if self._tally:
            try:
                name = answer.photo if known else f"{_now()} {source}"
                counted = self._tally.add(answer, name, known, by)
                self._counted_s = time.monotonic()
            except CountError as error:  # the disk is full: it is said, and shown again it is counted
                failure, self.failed = error, self.failed + 1
                if known and len(self._owed) < MOST_OWED:
                    self._owed[known] = answer
        age_ms = None if frame is None else (time.monotonic() - frame.at_s) * 1000
        dropped = frame.dropped if frame else 0
        self._tell(Scan(source, _now(), answer, failure, "", age_ms, dropped, counted))

    def _fail(self, source: str, error: Exception, photo: str = "") -> None:
        self.failed += 1
        self._tell(Scan(source, _now(), None, error, photo))

    def _turn(self) -> None:
        """What is done beside answering."""
        now_s = time.monotonic()
        if self._shot_until_s and now_s > self._shot_until_s:
            self._shot_until_s = 0.0
            self._fail("trigger", ScanError(f"trigger: the camera gave no picture for {SHOT_S:g} s; check it."))
        if self._store.overlay and now_s - self._checked_s > LOOK_AGAIN_S:
            self._reopen()
        if self._tally and (self._tally.unsaved or self._owed) and now_s - self._counted_s > SAVE_S:
            self._counted_s = now_s
            try:
                self._pay(self._tally)
                self._tally.save()
            except CountError as error:
                self._note(str(error))

    def _pay(self, tally: ScanCount) -> None:
        """Count the photos that could not be."""
        while self._owed:
            known, answer = next(iter(self._owed.items()))
            if counted := tally.add(answer, answer.photo, known):
                self._tell(Scan("file", _now(), answer, counted=counted))
            del self._owed[known]

    def _reopen(self) -> None:
        self._checked_s = time.monotonic()
        try:
            if self._store.reopen():
                self._note(f"runs {self._store.bundle.manifest.name}, {self._store.bundle.manifest.sequence}, by now.")
        except (EdgeSearchError, OSError, MemoryError) as error:
            self._note(f"goes on with the bundle it has: {error}")


@contextlib.contextmanager
def _named(file: File) -> Iterator[None]:
    """Errors that name the file instead of its bytes."""
    try:
        yield
    except ImageError as error:
        raise ImageError(f"{file.name}: {photo_files.strip_name(error)}") from error


def _now() -> str:
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")
