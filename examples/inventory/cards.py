"""The lists of products and photos: their rows, and how a row is drawn as a card."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QRectF,
    QSize,
    Qt,
)
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetrics,
    QImage,
    QPainter,
    QPen,
)
from PySide6.QtWidgets import (
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from edgesearch import Match

from .painting import draw_line, draw_picture
from .style import current_theme
from .tally import Tally

ROW = Qt.ItemDataRole.UserRole
Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True)
class Row:
    """A row of a list.

    Attributes:
        share:      length of the bar, 0..1; None: no bar.
        number:     shown in a badge.
        is_waiting: the user must choose the product.
        item:       the object that the row stands for.
    """

    title: str
    detail: str
    image: QImage | None
    price: str = ""
    share: float | None = None
    best: bool = False
    number: int | None = None
    is_waiting: bool = False
    item: Any = None


def make_row(match: Match, image: QImage | None, best: bool, photo: bool) -> Row:
    """Return the row of a match; best: it is the accepted product; photo: show its probability for the photo."""
    product = match.product
    details = [match.sku, product.brand, product.location and f"at {product.location}"]
    if product.stock is not None:
        details.append(f"{product.stock} in stock" if product.stock > 0 else "none in stock")
    share = match.probability if photo and match.probability >= 0.01 else None
    return Row(match.name, "  ·  ".join(filter(None, details)), image, format_price(match), share, best, item=match)


def make_count_rows(tally: Tally) -> list[Row]:
    """Return the rows of a count: waiting photos, then products with their number."""
    rows = [
        Row(photo.photo, "Uncertain: choose the product", photo.image[0], is_waiting=True, item=photo)
        for photo in reversed(tally.waiting)
    ]
    for match, number, photo in tally.counts:
        position = next((i for i, candidate in enumerate(photo.candidates) if candidate.sku == match.sku), None)
        picture = photo.image[1][position] if position is not None else photo.image[0]
        product = match.product
        stock = None if product.stock is None else f"{product.stock} expected"
        details = [match.sku, product.location and f"at {product.location}", stock]
        rows.append(Row(match.name, "  ·  ".join(filter(None, details)), picture, number=number, item=match))
    return rows


def format_price(match: Match) -> str:
    """Return the price with its currency; an empty string if there is none."""
    price, currency = match.price, match.product.currency
    return "" if price is None else f"{price:.2f} {currency or ''}".strip()


class RowModel(QAbstractListModel):
    """The model of a list."""

    def __init__(self, parent: QWidget):
        super().__init__(parent)
        self.rows: list[Row] = []

    def show(self, rows: Sequence[Row]) -> None:
        """Replace the rows."""
        self.beginResetModel()
        self.rows = [*rows]
        self.endResetModel()

    def rowCount(self, parent: Index | None = None) -> int:  # noqa: N802  # Qt's name
        """Return the number of rows."""
        return len(self.rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return the row, or its text for screen readers."""
        row = self.rows[index.row()]
        if role == ROW:
            return row
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            share = "" if row.share is None else f"{row.share:.0%} likely"
            number = "" if row.number is None else f"{row.number} counted"
            return ", ".join(filter(None, [row.title, row.detail, row.price, share, number]))
        return None


class CardDelegate(QStyledItemDelegate):
    """Draws a row as a card."""

    HEIGHT, PICTURE, PAD = 96, 72, 12

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:  # noqa: N802  # Qt's name
        """Return the size of a card."""
        return QSize(300, self.HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Draw a card."""
        row, colours, area = index.data(ROW), current_theme(), QRect(option.rect)
        state = option.state
        chosen = bool(state & QStyle.StateFlag.State_Selected)
        card = QRectF(area.adjusted(2, 3, -8, -5))
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        over = bool(state & QStyle.StateFlag.State_MouseOver)
        painter.setBrush(QColor(colours.raised if over else colours.card))
        painter.setPen(QPen(QColor(colours.accent if chosen else colours.line), 2 if chosen else 1))
        painter.drawRoundedRect(card, 12, 12)
        picture = QRectF(card.left() + self.PAD, card.top() + (card.height() - self.PICTURE) / 2, *[self.PICTURE] * 2)
        draw_picture(painter, picture, row.image)
        right = self._draw_side(painter, card, row)
        left = picture.right() + 14
        self._draw_text(painter, QRectF(left, card.top(), right - left, card.height()), row)
        painter.restore()

    def _draw_text(self, painter: QPainter, area: QRectF, row: Row) -> None:
        colours, base = current_theme(), QFont(painter.font())
        base.setWeight(QFont.Weight.Normal)
        title = QFont(base)
        title.setPixelSize(15)
        title.setWeight(QFont.Weight.DemiBold)
        top = area.top() + (14 if row.share is not None else 22)
        draw_line(painter, QRectF(area.left(), top, area.width(), 22), row.title, title, colours.text)
        small = QFont(base)
        small.setPixelSize(13)
        colour = colours.unsure if row.is_waiting else colours.muted
        draw_line(painter, QRectF(area.left(), top + 23, area.width(), 20), row.detail, small, colour)
        if row.share is not None:
            bar = QRectF(area.left(), top + 50, min(180.0, area.width() - 56), 6)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.line))
            painter.drawRoundedRect(bar, 3, 3)
            painter.setBrush(QColor(colours.accent if row.best else colours.muted))
            painter.drawRoundedRect(QRectF(bar.left(), bar.top(), max(6.0, bar.width() * row.share), 6), 3, 3)
            draw_line(painter, QRectF(bar.right() + 10, top + 43, 44, 20), f"{row.share:.0%}", small, colours.muted)

    def _draw_side(self, painter: QPainter, card: QRectF, row: Row) -> float:
        """Draw the price or the number; return the right end of the text beside it."""
        colours = current_theme()
        font = QFont(painter.font())
        font.setWeight(QFont.Weight.DemiBold)
        if row.number is not None:
            font.setPixelSize(20)
            text = str(row.number)
            width = max(44, QFontMetrics(font).horizontalAdvance(text) + 24)
            badge = QRectF(card.right() - width - 16, card.center().y() - 20, width, 40)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.soft))
            painter.drawRoundedRect(badge, 12, 12)
            draw_line(painter, badge, text, font, colours.accent, Qt.AlignmentFlag.AlignCenter)
            return float(badge.left()) - 12
        text = "Choose the product" if row.is_waiting else row.price
        if not text:
            return float(card.right()) - 16
        font.setPixelSize(13 if row.is_waiting else 16)
        width = QFontMetrics(font).horizontalAdvance(text) + 4
        area = QRectF(card.right() - width - 18, card.top(), width, card.height())
        colour = colours.accent if row.is_waiting else colours.text
        draw_line(painter, area, text, font, colour, Qt.AlignmentFlag.AlignCenter)
        return float(area.left()) - 12
