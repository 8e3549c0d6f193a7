"""The pieces of the window: where photos are dropped, what was decided, lists, banners."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QPointF,
    QRect,
    QRectF,
    QSize,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import (
    QColor,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDropEvent,
    QFont,
    QFontMetrics,
    QImage,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QPolygonF,
)
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from edgesearch import Answer, Match

from .style import worn

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
ROW = Qt.ItemDataRole.UserRole
Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True)
class Row:
    """A line of a list; share: of the bar below, None for none; number: in a badge; waits: something is to be said."""

    title: str
    detail: str
    image: QImage | None
    price: str = ""
    share: float | None = None
    best: bool = False
    number: int | None = None
    waits: bool = False
    what: Any = None


def row_of(match: Match, image: QImage | None, best: bool, photo: bool) -> Row:
    """A match as a line; best: it is what was found; photo: one was asked, and it is so likely."""
    product = match.product
    details = [match.sku, product.brand, product.location and f"at {product.location}"]
    if product.stock is not None:
        details.append(f"{product.stock} in stock" if product.stock > 0 else "none in stock")
    share = match.probability if photo and match.probability >= 0.01 else None
    return Row(match.name, "  ·  ".join(filter(None, details)), image, price_of(match), share, best, what=match)


def price_of(match: Match) -> str:
    """The price with its currency; "" where it has none."""
    price, currency = match.price, match.product.currency
    return "" if price is None else f"{price:.2f} {currency or ''}".strip()


class Rows(QAbstractListModel):
    """What a list shows."""

    def __init__(self, parent: QWidget):
        super().__init__(parent)
        self.rows: list[Row] = []

    def show(self, rows: Sequence[Row]) -> None:
        """These from now on."""
        self.beginResetModel()
        self.rows = [*rows]
        self.endResetModel()

    def rowCount(self, parent: Index | None = None) -> int:  # noqa: N802  # Qt's name
        """As Qt asks."""
        return len(self.rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """As Qt asks; a screen reader hears all that is seen."""
        row = self.rows[index.row()]
        if role == ROW:
            return row
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            share = "" if row.share is None else f"{row.share:.0%} likely"
            number = "" if row.number is None else f"{row.number} counted"
            return ", ".join(filter(None, [row.title, row.detail, row.price, share, number]))
        return None


class Painted(QStyledItemDelegate):
    """Draws a `Row` as a card."""

    HEIGHT, PICTURE, PAD = 96, 72, 12

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:  # noqa: N802  # Qt's name
        """As Qt asks."""
        return QSize(300, self.HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """As Qt asks."""
        row, look, place = index.data(ROW), worn(), QRect(option.rect)
        state = option.state
        chosen = bool(state & QStyle.StateFlag.State_Selected)
        card = QRectF(place.adjusted(2, 3, -8, -5))
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        over = bool(state & QStyle.StateFlag.State_MouseOver)
        painter.setBrush(QColor(look.raised if over else look.card))
        painter.setPen(QPen(QColor(look.accent if chosen else look.line), 2 if chosen else 1))
        painter.drawRoundedRect(card, 12, 12)
        picture = QRectF(card.left() + self.PAD, card.top() + (card.height() - self.PICTURE) / 2, *[self.PICTURE] * 2)
        _picture(painter, picture, row.image)
        right = self._side(painter, card, row)
        left = picture.right() + 14
        self._words(painter, QRectF(left, card.top(), right - left, card.height()), row)
        painter.restore()

    def _words(self, painter: QPainter, place: QRectF, row: Row) -> None:
        look, base = worn(), QFont(painter.font())
        base.setWeight(QFont.Weight.Normal)
        title = QFont(base)
        title.setPixelSize(15)
        title.setWeight(QFont.Weight.DemiBold)
        top = place.top() + (14 if row.share is not None else 22)
        _line(painter, QRectF(place.left(), top, place.width(), 22), row.title, title, look.text)
        small = QFont(base)
        small.setPixelSize(13)
        colour = look.unsure if row.waits else look.muted
        _line(painter, QRectF(place.left(), top + 23, place.width(), 20), row.detail, small, colour)
        if row.share is not None:
            bar = QRectF(place.left(), top + 50, min(180.0, place.width() - 56), 6)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(look.line))
            painter.drawRoundedRect(bar, 3, 3)
            painter.setBrush(QColor(look.accent if row.best else look.muted))
            painter.drawRoundedRect(QRectF(bar.left(), bar.top(), max(6.0, bar.width() * row.share), 6), 3, 3)
            _line(painter, QRectF(bar.right() + 10, top + 43, 44, 20), f"{row.share:.0%}", small, look.muted)

    def _side(self, painter: QPainter, card: QRectF, row: Row) -> float:
        """Price, or number; returns where the words end."""
        look = worn()
        font = QFont(painter.font())
        font.setWeight(QFont.Weight.DemiBold)
        if row.number is not None:
            font.setPixelSize(20)
            text = str(row.number)
            width = max(44, QFontMetrics(font).horizontalAdvance(text) + 24)
            badge = QRectF(card.right() - width - 16, card.center().y() - 20, width, 40)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(look.soft))
            painter.drawRoundedRect(badge, 12, 12)
            _line(painter, badge, text, font, look.accent, Qt.AlignmentFlag.AlignCenter)
            return float(badge.left()) - 12
        text = "Say what it is" if row.waits else row.price
        if not text:
            return float(card.right()) - 16
        font.setPixelSize(13 if row.waits else 16)
        width = QFontMetrics(font).horizontalAdvance(text) + 4
        place = QRectF(card.right() - width - 18, card.top(), width, card.height())
        _line(painter, place, text, font, look.accent if row.waits else look.text, Qt.AlignmentFlag.AlignCenter)
        return float(place.left()) - 12


class PhotoPane(QFrame):
    """Where a photo is dropped, and shown; the print that agreed is outlined."""

    clicked = Signal()
    dropped = Signal(list)

    def __init__(self, parent: QWidget, hint: str, most: int = 16777215):
        super().__init__(parent)
        self.setObjectName("card")
        self.setMinimumHeight(180)
        self.setMaximumHeight(most)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAcceptDrops(True)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setAccessibleName(hint)
        self._hint, self._over, self._busy, self._phase = hint, False, False, 0
        self.image: QImage | None = None
        self._outline: tuple[tuple[float, float], ...] = ()
        self._timer = QTimer(self, interval=33)
        self._timer.timeout.connect(self._step)

    def show_photo(self, image: QImage | None) -> None:
        """It, or where to drop one."""
        self.image, self._outline = image, ()
        self.update()

    def outline(self, corners: tuple[tuple[float, float], ...]) -> None:
        """What of the photo agreed, in shares of its width and height."""
        self._outline = corners
        self.update()

    def set_busy(self, busy: bool) -> None:
        """Show that it is looked at."""
        self._busy = busy
        if busy:
            self._timer.start()
        else:
            self._timer.stop()
        self.update()

    def _step(self) -> None:
        self._phase = (self._phase + 1) % 60
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802  # Qt's name
        """As Qt asks."""
        super().paintEvent(event)
        look, painter = worn(), QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        inner = QRectF(self.rect()).adjusted(10, 10, -10, -10)
        if self.image is None or self._over:
            pen = QPen(QColor(look.accent if self._over else look.line), 2, Qt.PenStyle.DashLine)
            painter.setPen(pen)
            painter.setBrush(QColor(look.soft if self._over else look.card))
            painter.drawRoundedRect(inner, 10, 10)
            self._invite(painter, inner)
        else:
            place = fitted(self.image.size(), inner)
            clip = QPainterPath()
            clip.addRoundedRect(place, 8, 8)
            painter.setClipPath(clip)
            painter.drawImage(place, self.image)
            painter.setClipping(False)
            if self._outline:
                left, top, wide, high = place.x(), place.y(), place.width(), place.height()
                corners = [QPointF(left + x * wide, top + y * high) for x, y in self._outline]
                painter.setBrush(Qt.BrushStyle.NoBrush)
                for width, colour in ((5, QColor(0, 0, 0, 90)), (2.5, QColor("#4cc9b8"))):
                    pen = QPen(colour, width)
                    pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
                    painter.setPen(pen)
                    painter.drawPolygon(QPolygonF(corners))
        if self._busy:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(look.accent))
            left = inner.left() + (inner.width() - 90) * abs(self._phase / 30 - 1)
            painter.drawRoundedRect(QRectF(left, inner.bottom() - 5, 90, 4), 2, 2)
        painter.end()

    def _invite(self, painter: QPainter, place: QRectF) -> None:
        look, middle = worn(), place.center()
        pen = QPen(QColor(look.accent), 2.5)
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        box = QRectF(middle.x() - 30, middle.y() - 62, 60, 46)
        painter.drawRoundedRect(box, 9, 9)
        painter.drawEllipse(QPointF(box.left() + 17, box.top() + 15), 4.5, 4.5)
        hills = [(4, 40), (22, 26), (33, 35), (44, 22), (56, 34)]
        painter.drawPolyline(QPolygonF([QPointF(box.left() + x, box.top() + y) for x, y in hills]))
        font = QFont(self.font())
        font.setPixelSize(16)
        font.setWeight(QFont.Weight.DemiBold)
        head, _, rest = self._hint.partition("\n")
        centre = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignVCenter
        _line(painter, QRectF(place.left(), middle.y(), place.width(), 26), head, font, look.text, centre)
        font.setPixelSize(13)
        font.setWeight(QFont.Weight.Normal)
        _line(painter, QRectF(place.left(), middle.y() + 27, place.width(), 20), rest, font, look.muted, centre)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802  # Qt's name
        """As Qt asks."""
        self.clicked.emit()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802  # Qt's name
        """As Qt asks."""
        if event.mimeData().hasImage() or photos_of([url.toLocalFile() for url in event.mimeData().urls()]):
            self._over = True
            self.update()
            event.acceptProposedAction()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:  # noqa: N802  # Qt's name
        """As Qt asks."""
        self._over = False
        self.update()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802  # Qt's name
        """As Qt asks."""
        self._over = False
        self.update()
        found: list[Any] = photos_of([url.toLocalFile() for url in event.mimeData().urls()])
        self.dropped.emit(found or [QImage(event.mimeData().imageData())])
        event.acceptProposedAction()


class Banner(QFrame):
    """One calm sentence; what went well goes by itself, a problem when something new is asked."""

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

    def tell(self, sentence: str) -> None:
        """What went well."""
        self._say(sentence, "done")
        self._timer.start()

    def problem(self, sentence: str) -> None:
        """What did not."""
        self._timer.stop()
        self._say(sentence, "problem")

    def _say(self, sentence: str, kind: str) -> None:
        self.setProperty("kind", kind)
        self.style().polish(self)
        self.text.setText(sentence)
        self.setAccessibleName(sentence)
        self.show()


class Verdict(QFrame):
    """What was decided, in words, and what to do."""

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
        """In words."""
        head, advice, colour = worded(answer)
        self.head.setText(head)
        self.head.setStyleSheet(f"color: {getattr(worn(), colour)}")
        self.advice.setText(advice)
        self.button.setVisible(can_teach and answer.decision != "match")
        self.show()


def worded(answer: Answer) -> tuple[str, str, str]:
    """What was decided, what to do about it, and the colour it is said in."""
    if answer.conflict:
        return "Look again", answer.conflict, "unsure"
    if answer.decision == "match":
        sure = "Its barcode says so." if answer.by_barcode else f"{answer.probability:.0%} likely, by its looks."
        return f"This is {answer.matches[0].name}", sure, "good"
    if answer.decision == "ambiguous":
        return "One of these", answer.advice or "Compare the pictures, or take another photo from nearer.", "unsure"
    guesses = [guess.value for guess in answer.guesses.values() if guess.share >= 0.5]
    seems = f"It seems to be {', by '.join(guesses)}. " if guesses else ""
    advice = answer.advice or "Take another photo from nearer, search in words, or teach it."
    return "Not in the catalogue", f"{seems}{advice[:1].upper()}{advice[1:].rstrip('.')}.", "bad"


def photos_of(names: Sequence[str]) -> list[Path]:
    """The photos among these files, and in these folders."""
    found: list[Path] = []
    for path in map(Path, filter(None, names)):
        found += sorted(path.iterdir()) if path.is_dir() else [path]
    return [path for path in found if path.suffix.lower() in SUFFIXES]


def fitted(size: QSize, place: QRectF) -> QRectF:
    """The largest place of this shape within another."""
    scale = min(place.width() / max(1, size.width()), place.height() / max(1, size.height()))
    width, height = size.width() * scale, size.height() * scale
    return QRectF(place.center().x() - width / 2, place.center().y() - height / 2, width, height)


def _picture(painter: QPainter, place: QRectF, image: QImage | None) -> None:
    painter.save()
    clip = QPainterPath()
    clip.addRoundedRect(place, 8, 8)
    painter.setClipPath(clip)
    painter.fillRect(place, QColor("#ffffff" if image else worn().line))
    if image:
        painter.drawImage(fitted(image.size(), place), image)
    painter.restore()


def _line(
    painter: QPainter,
    place: QRectF,
    text: str,
    font: QFont,
    colour: str,
    align: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter,
) -> None:
    """One line, cut off with an ellipsis."""
    painter.setFont(font)
    painter.setPen(QColor(colour))
    shown = QFontMetrics(font).elidedText(text, Qt.TextElideMode.ElideRight, int(place.width()))
    painter.drawText(place, align, shown)
