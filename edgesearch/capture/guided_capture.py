"""Go through products that need photos: offer one, take photos of it with advice, tell what they changed, go on.

A line of the wedge or the keyboard commands it: an empty one begins with the offered product, and then takes the next
frame; "s" goes on to the next product, "b" deletes what was taken of this product or the one before and offers it
again, "q" ends. A barcode or SKU begins with its product, whichever was offered.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..answer import Match
from ..errors import EdgeSearchError
from ..images import image
from ..store.photo_session import PhotoSession, Recognition, Step
from ..store.store import Store
from .arrival_filter import MotionDetector
from .inbox import TRIGGER, EndScan, Event, Frame, Inbox, IncomingPhoto, Line, Notice, SourceLost

LOOP_S = 0.25  # longest wait for an event
SKIP, BACK, QUIT = "s", "b", "q"


@dataclass
class Visit:
    """One product of the round.

    Attributes:
        product: As its first picture matches it.
        session: Its photos; None before they are taken.
        recognition: What they changed; None if there are none, or another bundle runs since.
    """

    product: Match
    session: PhotoSession | None = None
    recognition: Recognition | None = None


class Screen(Protocol):
    """Shows a person what to do."""

    def offer(self, visit: Visit, number: int, count: int) -> None:
        """Show the product that comes next, the `number`th of `count`."""

    def advise(self, step: Step, frame: bool) -> None:
        """Say what became of a frame, or of a photo from a file."""

    def finish(self, visit: Visit) -> None:
        """Say what the photos of a product changed."""

    def notify(self, text: str) -> None:
        """Show a sentence."""


class GuidedCapture:
    """One round through products; begin with `run`.

    Attributes:
        visits: The products, in the order in which they are offered.
    """

    def __init__(
        self, store: Store, products: Sequence[Match], screen: Screen, who: str | None = None, more: bool = False
    ):
        """Prepare a round.

        Args:
            store: Learns the photos.
            products: To offer.
            screen: Shows what to do.
            who: Who takes the photos; None takes the user of this process.
            more: Whether the round goes on when the first stream of lines ends.
        """
        self._store, self._screen, self._who, self._more = store, screen, who, more
        self.visits = [Visit(product) for product in products]
        self._position, self._press, self._closing, self._ended = 0, False, False, False
        self._motion, self._said = MotionDetector(), ""

    def run(self, inbox: Inbox, beat: Callable[[], None] = lambda: None) -> None:
        """Handle events until the last product is done or somebody ends the round; call `beat` after each."""
        self._offer()
        while not self._ended:
            event = inbox.get(LOOP_S)
            if event is not None:
                try:
                    self.handle(event)
                except (EdgeSearchError, OSError, MemoryError) as error:
                    self._screen.notify(str(error) if isinstance(error, EdgeSearchError) else repr(error))
            beat()

    def handle(self, event: Event) -> None:
        """Handle one event; raise EdgeSearchError, OSError or MemoryError if that fails."""
        if isinstance(event, Line):
            self._handle_line(event.text.strip())
        elif isinstance(event, Frame):
            if self._session and (self._motion.should_search(event.photo) or self._press):
                press, self._press = self._press, False
                self._show(self._session.add(event.photo, press), frame=True)
        elif isinstance(event, IncomingPhoto):
            self._begin()
            assert self._session
            content = image.read_bytes(Path(event.name)) if event.content is None else event.content
            self._show(self._session.add(content, press=True), frame=False)
        elif isinstance(event, (Notice, SourceLost)):
            self._screen.notify(event.text)
            if self._closing and isinstance(event, SourceLost):
                self._end()
        elif isinstance(event, EndScan) and (event.source != TRIGGER or not self._more):
            self._closing = True
            if event.source != TRIGGER or not self._session:
                self._end()

    @property
    def _visit(self) -> Visit:
        return self.visits[self._position]

    @property
    def _session(self) -> PhotoSession | None:
        return self._visit.session if self._position < len(self.visits) else None

    def _handle_line(self, text: str) -> None:
        if not text and self._session is None:
            self._begin()
        elif not text:
            self._press = True
        elif text == SKIP:
            self._go_on()
        elif text == BACK:
            self._go_back()
        elif text == QUIT:
            self._end()
        else:
            self._go_to(text)

    def _begin(self) -> None:
        """Begin to take photos of the offered product, unless that has begun."""
        if self._visit.session is None:
            self._visit.session = self._store.photo_session(self._visit.product.sku, who=self._who)
            self._motion, self._press, self._said = MotionDetector(), False, ""

    def _show(self, step: Step, frame: bool) -> None:
        """Show advice when it changes, and go on when there are enough photos."""
        said = f"{step.advice} {step.taken} {step.like}"
        if said != self._said or not frame:
            self._screen.advise(step, frame)
        self._said = said
        if step.enough:
            self._go_on()

    def _go_on(self) -> None:
        self._close_visit()
        self._position += 1
        self._ended |= self._closing or self._position >= len(self.visits)
        if not self._ended:
            self._offer()

    def _go_back(self) -> None:
        """Delete the photos of this product; if there are none, offer the one before, and delete its photos."""
        if not (self._session and self._session.numbers):
            self._position = max(0, self._position - 1)
        visit = self._visit
        if visit.session and visit.session.take_back():
            self._screen.notify(f"{visit.product.name}: its photos are deleted.")
        visit.session = visit.recognition = None
        self._offer()

    def _go_to(self, text: str) -> None:
        """Begin with the product of a barcode or SKU."""
        answer = self._store.named_by(text, 1)
        if answer.decision != "match":
            self._screen.notify(f"{text}: {'several products have' if answer.matches else 'no product has'} this code.")
            return
        product = answer.matches[0]
        if product.sku != self._visit.product.sku or self._visit.session is not None:
            is_begun = self._visit.session is not None
            self._close_visit()
            self._position += is_begun
            self.visits.insert(self._position, Visit(product))
            self._offer()
        self._begin()

    def _offer(self) -> None:
        self._screen.offer(self._visit, self._position + 1, len(self.visits))

    def _close_visit(self) -> None:
        visit = self._visit
        if visit.session and visit.session.numbers and visit.recognition is None:
            visit.recognition = visit.session.measure()
            self._screen.finish(visit)

    def _end(self) -> None:
        self._close_visit()
        self._ended = True
