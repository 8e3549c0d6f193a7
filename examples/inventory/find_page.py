"""The page that finds a product: its widgets, and how it shows an answer."""

from collections.abc import Sequence

from PySide6.QtCore import QModelIndex, Signal
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from edgesearch import Answer, Match

from .cards import make_row
from .messages import Verdict, kind_of
from .pages import hint_label, make_list, put_side_by_side, section_label
from .photo_pane import PhotoPane

NOTHING_YET = "Drop a photo, or type what you look for."


class FindPage(QWidget):
    """Photo and verdict on the left, matches on the right; `lost` is emitted when none of the products is right."""

    lost = Signal()

    def __init__(self, parent: QWidget):
        super().__init__(parent)
        self.answer: Answer | None = None
        self._pictures: Sequence[QImage] = ()
        self._by_photo, self._can_teach, self._noes = False, False, 0
        self._build_widgets()
        self.verdict.confirmed.connect(lambda: self._choose(self.results.rows[0].item))
        self.verdict.denied.connect(self.deny)
        self.list.activated.connect(self.pick)
        self.list.clicked.connect(self.pick)

    def show_answer(self, answer: Answer, pictures: Sequence[QImage], by_photo: bool, can_teach: bool) -> None:
        """Show an answer and the pictures of its matches."""
        self.answer, self._pictures, self._noes = answer, pictures, 0
        self._by_photo, self._can_teach = by_photo, can_teach
        reasons = "; ".join(map(str, answer.emptied_by))
        self.empty.setText(f"No product matches: {reasons}." if reasons else "No product matches.")
        if by_photo:
            self._show_verdict(answer)
        else:
            self.verdict.hide()
            self._show_matches(answer, "1 product" if answer.found == 1 else f"{answer.found} products")

    def clear(self) -> None:
        """Show that nothing was asked."""
        self.answer = None
        self.pane.show_photo(None)
        self.pane.set_busy(False)
        self.verdict.hide()
        self.results.show([])
        self.heading.setText("Results")
        self.empty.setText(NOTHING_YET)
        self.empty.show()
        self.list.hide()

    def deny(self) -> None:
        """Go on after a no: offer the other products, then words."""
        if self.answer is None:
            return
        self._noes += 1
        self._show_verdict(self.answer)
        if kind_of(self.answer, self._noes) == "lost":
            self.empty.setText("Type words, or teach the product.")
            self.lost.emit()

    def pick(self, index: QModelIndex) -> None:
        """Take a product of the list as that of the photo, unless the answer is sure of one."""
        if self._by_photo and self.answer and kind_of(self.answer, self._noes) != "match":
            self._choose(self.results.rows[index.row()].item)

    def _choose(self, match: Match) -> None:
        self.verdict.show_choice(match.name)
        self.pane.outline(match.outline)

    def _show_verdict(self, answer: Answer) -> None:
        """Show the product, a question, or the nearest products without a verdict on each."""
        kind = kind_of(answer, self._noes)
        self.verdict.show_answer(answer, self._can_teach, self._noes)
        self.pane.outline(answer.matches[0].outline if kind in ("match", "guess") else ())
        self._show_matches(answer, "Nearest products" if kind == "unknown" else "Most alike")

    def _show_matches(self, answer: Answer, heading: str) -> None:
        kind = kind_of(answer, self._noes) if self._by_photo else None
        asks_of_one = kind in ("match", "guess")
        found = [] if kind == "lost" else [*zip(answer.matches, self._pictures, strict=True)][min(self._noes, 1) :]
        rows = [
            make_row(match, image, asks_of_one and number == 0, asks_of_one or kind == "choice")
            for number, (match, image) in enumerate(found)
        ]
        self.results.show(rows)
        where = answer.understood.where if answer.understood else ""
        self.heading.setText(heading + (f"   ·   understood: {where}" if where else ""))
        self.list.setVisible(bool(rows))
        self.empty.setVisible(not rows)
        self.list.scrollToTop()

    def _build_widgets(self) -> None:
        self.pane = PhotoPane(self, "Drop a photo here\nor click to choose one, or paste it")
        self.verdict = Verdict(self)
        self.clear_button = QPushButton("Clear", self)
        self.clear_button.setObjectName("quiet")
        self.heading = section_label("Results", self)
        self.results, self.list = make_list(self)
        self.list.setAccessibleName("Products found")
        self.empty = hint_label(NOTHING_YET, self)
        self.list.hide()
        left, right, top = QVBoxLayout(), QVBoxLayout(), QHBoxLayout()
        left.setSpacing(14)
        right.setSpacing(8)
        left.addWidget(self.pane, 1)
        left.addWidget(self.verdict)
        top.addWidget(self.heading, 1)
        top.addWidget(self.clear_button)
        right.addLayout(top)
        right.addWidget(self.list, 1)
        right.addWidget(self.empty, 1)
        put_side_by_side(left, right, self)
