"""Answer what a camera, a folder or a barcode wedge delivers, for hours.

One thread answers; other threads deliver frames, photos and lines through an `Inbox`. No failure of a frame, a photo, a
disk or a bundle ends the scan: it is reported in a sentence, and the next event is answered.
"""

import contextlib
import datetime
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from ..answer import Answer
from ..counting.photo_count import photo_id
from ..counting.scan_count import CountChange, ScanCount
from ..errors import CountError, EdgeSearchError, ImageError, ScanError
from ..images import image, photo_files
from ..store.store import Store
from .arrival_filter import ArrivalFilter, MotionDetector
from .inbox import EndScan, Event, Frame, Inbox, IncomingPhoto, Line, Notice, ReopenStore, SourceLost
from .scan_result import ScanResult

LOOP_S = 0.25  # longest wait for an event
BUNDLE_CHECK_S = 5.0  # between checks for a newly installed bundle
SAVE_S = 3.0  # from the last counted piece to writing the lists
TRIGGER_FRAMES, TRIGGER_S = 3, 2.0  # most frames that a trigger searches, and how long it waits for them
LEARN_S = 1.0  # age of the newest frame that a wedge's barcode teaches at most
REPEAT_S = 60.0  # before the same notice is shown again
MAX_NOTICES, MAX_UNCOUNTED = 100, 1000
_REPEAT, _UNDO = re.compile(r"\*([0-9]{1,9})"), "-"  # lines of a wedge


class Notices:
    """Shows sentences, but the same one only once in `REPEAT_S`. Safe to share between threads."""

    def __init__(self, show: Callable[[str], None]):
        self._show, self._shown_at, self._lock = show, dict[str, float](), threading.Lock()

    def __call__(self, text: str) -> None:
        """Show a sentence unless it was shown recently."""
        now_s = time.monotonic()
        with self._lock:
            before_s = self._shown_at.pop(text, now_s - REPEAT_S)
            is_due = now_s - before_s >= REPEAT_S
            self._shown_at[text] = now_s if is_due else before_s
            while len(self._shown_at) > MAX_NOTICES:
                self._shown_at.pop(next(iter(self._shown_at)))
        if is_due:
            self._show(text)


class Scanner:
    """Answers events; begin with `run`.

    Attributes:
        failed: Number of errors reported.
    """

    def __init__(
        self,
        store: Store,
        report: Callable[[ScanResult], None],
        notify: Callable[[str], None],
        count: ScanCount | None = None,
        live: bool = True,
        k: int = 3,
        fast: bool | None = None,
    ):
        """Prepare a scan.

        Args:
            store: Answers photos and barcodes.
            report: Called with each result.
            notify: Called with sentences for the operator.
            count: Counts the products; None counts nothing.
            live: Answer frames without waiting for a trigger.
            k, fast: As in `Store.search`.
        """
        self._store, self._report, self._notify, self._count, self._live = store, report, notify, count, live
        self._k, self._fast, self._stream = k, fast, store.stream(k=k, fast=fast)
        self._arrivals, self._motion = ArrivalFilter(), MotionDetector()
        self._trigger_answer: Answer | None = None
        self._trigger_frames, self._trigger_end_s = 0, 0.0
        self._uncounted: dict[str, Answer] = {}  # by photo id; the disk was full
        self._checked_s = self._counted_s = time.monotonic()
        self._frame: Frame | None = None
        self.failed = 0

    def run(self, inbox: Inbox, beat: Callable[[], None] = lambda: None) -> EndScan:
        """Answer events until `EndScan`, and return it; call `beat` after each event or wait."""
        while True:
            event = inbox.get(LOOP_S)
            if isinstance(event, EndScan):
                return event
            if event is not None:
                self.handle(event)
            self._do_periodic_work()
            beat()

    def handle(self, event: Event) -> None:
        """Answer one event."""
        if isinstance(event, Frame):
            self._handle_frame(event)
        elif isinstance(event, IncomingPhoto):
            self._handle_file(event)
        elif isinstance(event, Line):
            self._handle_line(event.text)
        elif isinstance(event, ReopenStore):
            self._reopen_store()
        elif isinstance(event, SourceLost):
            self._report_failure(event.source, ScanError(event.text))
        elif isinstance(event, Notice):
            self._notify(event.text)

    def _handle_frame(self, frame: Frame) -> None:
        self._frame = frame
        if self._trigger_end_s and frame.at_s >= self._trigger_end_s - TRIGGER_S:
            self._add_trigger_frame(frame)
        elif self._live:
            if not self._motion.should_search(frame.photo):
                self._arrivals.add_still_frame(frame.at_s)
                return
            answer = self._search_frame(frame)
            if answer and self._arrivals.add(answer, frame.at_s):
                self._report_answer(answer, "camera", frame)

    def _search_frame(self, frame: Frame) -> Answer | None:
        try:
            return replace(self._stream.add(frame.photo), photo="camera")
        except (EdgeSearchError, OSError, MemoryError) as error:
            self._notify(f"camera: {error}" if isinstance(error, EdgeSearchError) else f"camera: {error!r}")
            return None

    def _add_trigger_frame(self, frame: Frame) -> None:
        """Search one of the frames after a trigger; report the answer once it is sure, or after the last frame."""
        answer = self._search_frame(frame)
        self._trigger_answer, self._trigger_frames = answer or self._trigger_answer, self._trigger_frames + 1
        is_sure = answer is not None and answer.decision == "match" and self._trigger_frames > 1
        if self._trigger_answer and (is_sure or self._trigger_frames >= TRIGGER_FRAMES):
            answer, self._trigger_end_s = self._trigger_answer, 0.0
            self._arrivals.mark_reported(answer, frame.at_s)
            self._report_answer(answer, "trigger", frame)

    def _handle_file(self, file: IncomingPhoto) -> None:
        try:
            content = image.read_bytes(Path(file.name)) if file.content is None else file.content
            known = photo_id(content) if self._count else ""
            if self._count and self._count.has_entry(known):
                return
            with _naming(file):
                answer = self._store.search(content, self._k, self._fast)
        except (EdgeSearchError, OSError, MemoryError) as error:
            self._report_failure("file", error, file.name)
            return
        self._report_answer(replace(answer, photo=file.name), "file", photo_id=known)

    def _handle_line(self, text: str) -> None:
        """Handle the trigger (an empty line), a barcode, a SKU, "*12" for twelve pieces, or "-" for undo."""
        if not text:
            self._stream.clear()
            self._trigger_answer, self._trigger_frames = None, 0
            self._trigger_end_s = time.monotonic() + TRIGGER_S
            return
        repeat = _REPEAT.fullmatch(text)
        try:
            if not repeat and text != _UNDO:
                answer = self._store.named_by(text, self._k)
                by = "" if answer.barcodes else "hand"
                self._report_answer(replace(answer, photo=text), "wedge", by=by)
                self._learn(answer, text)
                return
            if self._count is None:
                raise ScanError(f"{text}: nothing is counted; start the scan with --count.")
            counted = self._count.repeat(int(repeat[1])) if repeat else self._count.undo()
        except (EdgeSearchError, OSError, MemoryError) as error:
            self._report_failure("wedge", error)
            return
        self._counted_s = time.monotonic()
        self._report(ScanResult("wedge", _local_time(), counted=counted))

    def _learn(self, answer: Answer, code: str) -> None:
        """Let the device learn from the newest frame, which shows the product whose barcode was scanned."""
        frame = self._frame
        is_named = answer.decision == "match" and bool(answer.barcodes) and self._store.overlay is not None
        if frame is None or not is_named or time.monotonic() - frame.at_s > LEARN_S:
            return
        self._frame = None  # the next product needs a frame of its own
        try:
            self._store.learn(frame.photo, answer.matches[0].sku, source="wedge", code=code)
        except (EdgeSearchError, OSError, MemoryError) as error:
            self._notify(f"nothing was learned: {error}")

    def _report_answer(
        self, answer: Answer, source: str, frame: Frame | None = None, photo_id: str = "", by: str = ""
    ) -> None:
        """Count an answer if the scan counts, and report it."""
        counted, error = self._add_to_count(answer, source, photo_id, by) if self._count else (None, None)
        age_ms = None if frame is None else (time.monotonic() - frame.at_s) * 1000
        dropped = frame.dropped if frame else 0
        self._report(ScanResult(source, _local_time(), answer, error, "", age_ms, dropped, counted))

    def _add_to_count(
        self, answer: Answer, source: str, photo_id: str, by: str
    ) -> tuple[CountChange | None, CountError | None]:
        """Count an answer; if the disk is full, keep the answer to a photo file for a later attempt."""
        assert self._count is not None
        try:
            name = answer.photo if photo_id else f"{_local_time()} {source}"
            counted = self._count.add(answer, name, photo_id, by)
            self._counted_s = time.monotonic()
            return counted, None
        except CountError as error:
            self.failed += 1
            if photo_id and len(self._uncounted) < MAX_UNCOUNTED:
                self._uncounted[photo_id] = answer
            return None, error

    def _report_failure(self, source: str, error: Exception, photo: str = "") -> None:
        self.failed += 1
        self._report(ScanResult(source, _local_time(), None, error, photo))

    def _do_periodic_work(self) -> None:
        """Report a trigger without a frame, check for a new bundle, and write the lists of the count, when due."""
        now_s = time.monotonic()
        if self._trigger_end_s and now_s > self._trigger_end_s:
            self._trigger_end_s = 0.0
            error = ScanError(f"trigger: the camera gave no picture for {TRIGGER_S:g} s; check it.")
            self._report_failure("trigger", error)
        if self._store.overlay and now_s - self._checked_s > BUNDLE_CHECK_S:
            self._reopen_store()
        if self._count and (self._count.unsaved or self._uncounted) and now_s - self._counted_s > SAVE_S:
            self._counted_s = now_s
            try:
                self._count_uncounted(self._count)
                self._count.save()
            except CountError as error:
                self._notify(str(error))

    def _count_uncounted(self, count: ScanCount) -> None:
        """Count the photos that could not be counted when they were answered."""
        while self._uncounted:
            known, answer = next(iter(self._uncounted.items()))
            if counted := count.add(answer, answer.photo, known):
                self._report(ScanResult("file", _local_time(), answer, counted=counted))
            del self._uncounted[known]

    def _reopen_store(self) -> None:
        self._checked_s = time.monotonic()
        try:
            if self._store.reopen():
                manifest = self._store.bundle.manifest
                self._notify(f"now runs {manifest.name}, sequence {manifest.sequence}.")
        except (EdgeSearchError, OSError, MemoryError) as error:
            self._notify(f"keeps the bundle it has: {error}")


@contextlib.contextmanager
def _naming(file: IncomingPhoto) -> Iterator[None]:
    """Raise errors inside it with the name of the file."""
    try:
        yield
    except ImageError as error:
        raise ImageError(f"{file.name}: {photo_files.strip_name(error)}") from error


def _local_time() -> str:
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")
