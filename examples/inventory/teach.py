"""The dialog for teaching a product."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QImage, QPixmap
from PySide6.QtWidgets import (
    QCompleter,
    QDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from edgesearch import Answer

FIELDS = {"price": "Price", "currency": "Currency", "location": "Location", "stock": "In stock", "barcode": "Barcode"}


@dataclass
class NewProduct:
    """The filled-in fields; details: arguments of `Store.enrol`, without empty ones."""

    sku: str
    details: dict[str, str] = field(default_factory=dict)


class TeachDialog(QDialog):
    """Asks for the details that a photo cannot show; `product` holds them."""

    def __init__(self, parent: QWidget, image: QImage, answer: Answer | None, facets: dict[str, Any]):
        """Make the dialog.

        Args:    answer: to the photo; its guesses are proposed; facets: from `Store.facets`, to choose from.
        """
        super().__init__(parent)
        self.setWindowTitle("Teach a product")
        self.setMinimumWidth(680)
        self.product = NewProduct("")
        self.sku, self.name = QLineEdit(self), QLineEdit(self)
        self.sku.setPlaceholderText("as on its shelf label, such as P-1042")
        self.name.setPlaceholderText("as people should read it")
        known = {"category": facets.get("categories", ()), "brand": facets.get("brands", ())}
        self.choices = {name: self._choice(values) for name, values in known.items()}
        for name, box in self.choices.items():
            guess = answer.guesses.get(name) if answer else None
            box.setText(guess.value if guess and guess.share >= 0.5 else "")
        self.fields = {name: QLineEdit(self) for name in FIELDS}
        self.fields["currency"].setText(facets.get("currency") or "")
        self.fields["price"].setPlaceholderText("4.50")
        self.fields["location"].setPlaceholderText("B2")
        self.save = QPushButton("Teach it", self)
        self.save.setObjectName("primary")
        self.save.setDefault(True)
        self.save.clicked.connect(self.accept)
        self._lay_out(image)
        for line in (self.sku, self.name):
            line.textChanged.connect(self._check)
        self._check()
        self.sku.setFocus()

    def accept(self) -> None:
        """Keep the filled-in fields and close."""
        given = {"name": self.name.text(), **{name: box.text() for name, box in self.choices.items()}}
        given |= {name: line.text() for name, line in self.fields.items()}
        self.product = NewProduct(self.sku.text().strip(), {k: v.strip() for k, v in given.items() if v.strip()})
        super().accept()

    def _choice(self, values: Sequence[str]) -> QLineEdit:
        box = QLineEdit(self)
        known = QCompleter([*values], box)
        known.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        known.setFilterMode(Qt.MatchFlag.MatchContains)
        box.setCompleter(known)
        return box

    def _lay_out(self, image: QImage) -> None:
        form = QFormLayout()
        form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        form.setHorizontalSpacing(18)
        form.setVerticalSpacing(10)
        for text, part in (("SKU", self.sku), ("Name", self.name)):
            self._row(form, text, part)
        for name, box in self.choices.items():
            self._row(form, name.capitalize(), box)
        price = QHBoxLayout()
        price.setSpacing(8)
        price.addWidget(self.fields["price"], 2)
        price.addWidget(self.fields["currency"], 1)
        form.addRow(self._label("Price", self.fields["price"]), price)
        for name in ("location", "stock", "barcode"):
            self._row(form, FIELDS[name], self.fields[name])
        picture = QLabel(self)
        size = QSize(240, 360)
        kept = image.scaled(size, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation)
        picture.setPixmap(QPixmap.fromImage(kept))
        picture.setAlignment(Qt.AlignmentFlag.AlignTop)
        note = QLabel("It is found at once, on this device.", self)
        note.setObjectName("muted")
        cancel = QPushButton("Cancel", self)
        cancel.clicked.connect(self.reject)
        buttons = QHBoxLayout()
        buttons.addWidget(note, 1)
        buttons.addWidget(cancel)
        buttons.addWidget(self.save)
        both = QHBoxLayout()
        both.setSpacing(24)
        both.addWidget(picture)
        both.addLayout(form, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 24, 24, 20)
        column.setSpacing(20)
        column.addLayout(both)
        column.addLayout(buttons)

    def _row(self, form: QFormLayout, text: str, part: QWidget) -> None:
        form.addRow(self._label(text, part), part)

    def _label(self, text: str, part: QWidget) -> QLabel:
        label = QLabel(text, self)
        label.setObjectName("field")
        label.setBuddy(part)
        return label

    def _check(self) -> None:
        self.save.setEnabled(bool(self.sku.text().strip() and self.name.text().strip()))
