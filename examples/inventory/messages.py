"""Messages to the user: the banner, and the decision about a photo in words."""

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
    """The decision about a photo in words, and what to do."""

    teach = Signal()

    def __init__(self, parent: QWidget):
        super().__init__(parent)
        self.setObjectName("card")
        self.head, self.advice = QLabel(self), QLabel(self)
        self.head.setObjectName("headline")
        self.advice.setObjectName("muted")
        for label in (self.head, self.advice):
            label.setWordWrap(True)
        self.button = QPushButton("Teach this product", self)
        self.button.setObjectName("primary")
        self.button.clicked.connect(self.teach)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 16, 20, 18)
        column.setSpacing(6)
        column.addWidget(self.head)
        column.addWidget(self.advice)
        column.addSpacing(6)
        column.addWidget(self.button, 0, Qt.AlignmentFlag.AlignLeft)
        self.hide()

    def show_answer(self, answer: Answer, can_teach: bool) -> None:
        """Show the decision of an answer."""
        head, advice, colour = describe_answer(answer)
        self.head.setText(head)
        self.head.setStyleSheet(f"color: {getattr(current_theme(), colour)}")
        self.advice.setText(advice)
        self.button.setVisible(can_teach and answer.decision != "match")
        self.show()


def describe_answer(answer: Answer) -> tuple[str, str, str]:
    """Return the decision in words, the advice, and the name of its colour."""
    if answer.emptied_by:
        return "No product meets the filter", f"{'; '.join(map(str, answer.emptied_by))}.".capitalize(), "bad"
    if answer.conflict:
        return "Check this", answer.conflict, "unsure"
    if answer.decision == "match":
        sure = "Its barcode says so." if answer.by_barcode else f"{answer.probability:.0%} likely, by its appearance."
        return f"This is {answer.matches[0].name}", sure, "good"
    if answer.decision == "ambiguous":
        return "One of these", answer.advice or "Compare the pictures, or take another photo from nearer.", "unsure"
    guesses = [guess.value for guess in answer.guesses.values() if guess.share >= 0.5]
    seems = f"It seems to be {', by '.join(guesses)}. " if guesses else ""
    advice = answer.advice or "Take another photo from nearer, search in words, or teach it."
    return "Not in the catalogue", f"{seems}{advice[:1].upper()}{advice[1:].rstrip('.')}.", "bad"
