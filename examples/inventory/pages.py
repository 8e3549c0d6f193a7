"""The header and the page that counts: their widgets and layout; `window` connects them."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QButtonGroup,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListView,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from .cards import CardDelegate, RowModel
from .photo_pane import PhotoPane


class Header(QWidget):
    """The title with a line of status, the tabs, and the field for words."""

    def __init__(self, parent: QWidget):
        super().__init__(parent)
        title, self.status = QLabel("Inventory", self), QLabel(self)
        title.setObjectName("title")
        self.status.setObjectName("muted")
        names = QVBoxLayout()
        names.setSpacing(0)
        names.addWidget(title)
        names.addWidget(self.status)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addLayout(names)
        row.addSpacing(28)
        self.tabs = QButtonGroup(self)
        for number, name in enumerate(("Find", "Count")):
            tab = QPushButton(name, self)
            tab.setObjectName("tab")
            tab.setCheckable(True)
            tab.setChecked(number == 0)
            self.tabs.addButton(tab, number)
            row.addWidget(tab)
        self.words = QLineEdit(self)
        self.words.setPlaceholderText("Search in words: red mug under 5")
        self.words.setClearButtonEnabled(True)
        self.words.setMinimumWidth(220)
        self.words.setMaximumWidth(380)
        self.words.setAccessibleName("Search in words")
        self.words.setEnabled(False)
        row.addStretch(1)
        row.addWidget(self.words, 3)


class CountPage(QWidget):
    """The page that counts: the last photo on the left, counted and waiting photos on the right."""

    def __init__(self, parent: QWidget):
        super().__init__(parent)
        self.pane = PhotoPane(self, "Drop photos to count\none product each; a folder counts whole")
        card = QFrame(self)
        card.setObjectName("card")
        self.headline, self.advice = QLabel("Nothing counted yet", card), QLabel(card)
        self.advice.setText("Every photo counts one product; photos of uncertain products wait here to be checked.")
        self.headline.setObjectName("headline")
        self.advice.setObjectName("muted")
        text = QVBoxLayout(card)
        text.setContentsMargins(20, 16, 20, 16)
        for label in (self.headline, self.advice):
            label.setWordWrap(True)
            text.addWidget(label)
        self.heading = section_label("Counted", self)
        self.counted, self.list = make_list(self)
        self.list.setAccessibleName("Products counted")
        self.empty = hint_label("Counted products are listed here.", self)
        self.list.hide()
        self.undo_button, self.export_button = QPushButton("Undo", self), QPushButton("Export CSV", self)
        self.export_button.setObjectName("primary")
        left, right, buttons = QVBoxLayout(), QVBoxLayout(), QHBoxLayout()
        left.setSpacing(14)
        right.setSpacing(8)
        left.addWidget(self.pane, 1)
        left.addWidget(card)
        buttons.addWidget(self.heading, 1)
        buttons.addWidget(self.undo_button)
        buttons.addWidget(self.export_button)
        right.addLayout(buttons)
        right.addWidget(self.list, 1)
        right.addWidget(self.empty, 1)
        put_side_by_side(left, right, self)


def make_list(parent: QWidget) -> tuple[RowModel, QListView]:
    """Return a list of cards: its model and its view."""
    view = QListView(parent)
    view.setObjectName("cards")
    rows = RowModel(view)
    view.setModel(rows)
    view.setItemDelegate(CardDelegate(view))
    view.setMouseTracking(True)
    view.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
    view.setFrameShape(QFrame.Shape.NoFrame)
    view.setUniformItemSizes(True)
    return rows, view


def section_label(text: str, parent: QWidget) -> QLabel:
    """Return the heading of a list."""
    label = QLabel(text, parent)
    label.setObjectName("section")
    return label


def hint_label(text: str, parent: QWidget) -> QLabel:
    """Return the text that an empty list shows."""
    label = QLabel(text, parent)
    label.setObjectName("muted")
    label.setAlignment(Qt.AlignmentFlag.AlignCenter)
    label.setWordWrap(True)
    return label


def put_side_by_side(left: QVBoxLayout, right: QVBoxLayout, page: QWidget) -> None:
    """Lay out two columns, the right one wider."""
    row = QHBoxLayout(page)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(22)
    row.addLayout(left, 5)
    row.addLayout(right, 7)
