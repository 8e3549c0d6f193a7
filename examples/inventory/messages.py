"""Messages to the user: the banner, and the answer to a photo in words."""

from typing import Literal

from PySide6.QtCore import (
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from edgesearch import Answer

from .style import current_theme

Kind = Literal["match", "guess", "choice", "unknown", "lost"]
LIKELY = 0.5  # probability from which one product alone is asked about


class Banner(QFrame):
    """A banner with one sentence; a success disappears by itself, a problem with the next action."""

    def __init__(self, parent: QWidget):
        super().__init__(parent)
        self.setObjectName("banner")
        self.text = QLabel(self)
        self.text.setWordWrap(True)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        close = QPushButton("Close", self)
        close.setObjectName("quiet")
        close.clicked.connect(self.hide)
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 6, 8, 6)
        row.addWidget(self.text, 1)
        row.addWidget(close)
        self._timer = QTimer(self, singleShot=True, interval=8000)
        self._timer.timeout.connect(self.hide)
        self.hide()

    def show_success(self, sentence: str) -> None:
        """Show a success."""
        self._say(sentence, "done")
        self._timer.start()

    def show_problem(self, sentence: str) -> None:
        """Show a problem."""
        self._timer.stop()
        self._say(sentence, "problem")

    def _say(self, sentence: str, kind: str) -> None:
        self.setProperty("kind", kind)
        self.style().polish(self)
        self.text.setText(sentence)
        self.setAccessibleName(sentence)
        self.show()


class Verdict(QFrame):
    """The answer to a photo in words, and what to do."""

    teach, confirmed, denied = Signal(), Signal(), Signal()

    def __init__(self, parent: QWidget):
        super().__init__(parent)
        self.setObjectName("card")
        self.head, self.advice = QLabel(self), QLabel(self)
        self.head.setObjectName("headline")
        self.advice.setObjectName("muted")
        self.yes, self.no, self.button = (QPushButton(text, self) for text in ("Yes", "No", "Teach this product"))
        self.yes.setObjectName("primary")
        for button, signal in ((self.yes, self.confirmed), (self.no, self.denied), (self.button, self.teach)):
            button.clicked.connect(signal)
        column, row = QVBoxLayout(self), QHBoxLayout()
        column.setContentsMargins(20, 16, 20, 18)
        column.setSpacing(6)
        for label in (self.head, self.advice):
            label.setWordWrap(True)
            column.addWidget(label)
        column.addSpacing(6)
        for button in (self.yes, self.no, self.button):
            row.addWidget(button)
        row.addStretch(1)
        column.addLayout(row)
        self.hide()

    def show_answer(self, answer: Answer, can_teach: bool, noes: int = 0) -> None:
        """Show an answer to which the user said no so many times."""
        kind = kind_of(answer, noes)
        self._show(*describe_answer(answer, noes))
        self.yes.setVisible(kind == "guess")
        self.no.setVisible(bool(answer.matches) and kind != "lost")
        self.no.setText({"match": "Not this one", "guess": "No"}.get(kind, "None of these"))
        self.button.setVisible(can_teach and kind in ("unknown", "lost"))

    def show_choice(self, name: str) -> None:
        """Show the product that the user chose."""
        self._show(f"This is {name}", "You chose it.", "good")
        for button in (self.yes, self.no, self.button):
            button.hide()

    def _show(self, head: str, advice: str, colour: str) -> None:
        self.head.setText(head)
        self.head.setStyleSheet(f"color: {getattr(current_theme(), colour)}")
        self.advice.setText(advice)
        self.show()


def kind_of(answer: Answer, noes: int = 0) -> Kind:
    """Return what to show after so many noes: a match, one guess, a choice, the nearest products, or other ways."""
    others = len(answer.matches) - 1
    if noes > 1 or (noes and (answer.decision == "unknown" or others < 1)):
        return "lost"
    if noes:
        return "choice"
    if answer.decision != "ambiguous":
        return answer.decision
    return "guess" if answer.probability >= LIKELY or not others else "choice"


def describe_answer(answer: Answer, noes: int = 0) -> tuple[str, str, str]:
    """Return the answer in words, the advice, and the name of its colour; noes: as `kind_of` takes them."""
    if answer.emptied_by:
        return "No product meets the filter", f"{'; '.join(map(str, answer.emptied_by))}.".capitalize(), "bad"
    kind, doubt = kind_of(answer, noes), answer.conflict or answer.advice
    if kind == "match":
        sure = "Its barcode says so." if answer.by_barcode else f"{answer.probability:.0%} likely, by its appearance."
        return f"This is {answer.matches[0].name}", sure, "good"
    if kind == "guess":
        return f"Is it {answer.matches[0].name}?", doubt or "Compare the pictures.", "unsure"
    if kind == "choice":
        return "Is it one of these?", doubt or "They look alike. Click yours.", "unsure"
    if kind == "lost":
        return "Search in words", "Describe it: what it is, its colour, its brand. Or teach it.", "unsure"
    guesses = [guess.value for guess in answer.guesses.values() if guess.share >= 0.5]
    seems = f"It seems to be {', by '.join(guesses)}. " if guesses else ""
    advice = answer.advice or "The shop may not have it, or it looks different today"
    head = "I see no product" if answer.flaw else "I do not know this product"
    return head, f"{seems}{advice[:1].upper()}{advice[1:].rstrip('.')}.", "bad"
