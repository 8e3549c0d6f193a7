"""The pane that accepts a dropped photo and shows it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import (
    QPointF,
    QRectF,
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
    QSizePolicy,
    QWidget,
)

from .painting import draw_line, fit_rect
from .style import current_theme

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}


class PhotoPane(QFrame):
    """A pane that accepts a dropped photo and shows it; the part that matched the product is outlined."""

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
        """Show a photo; None: show where to drop one."""
        self.image, self._outline = image, ()
        self.update()

    def outline(self, corners: tuple[tuple[float, float], ...]) -> None:
        """Outline the matched part; corners are shares of the photo's width and height."""
        self._outline = corners
        self.update()

    def set_busy(self, busy: bool) -> None:
        """Show whether the photo is being searched."""
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
        """Draw the photo, or the invitation to drop one."""
        super().paintEvent(event)
        colours, painter = current_theme(), QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        inner = QRectF(self.rect()).adjusted(10, 10, -10, -10)
        if self.image is None or self._over:
            pen = QPen(QColor(colours.accent if self._over else colours.line), 2, Qt.PenStyle.DashLine)
            painter.setPen(pen)
            painter.setBrush(QColor(colours.soft if self._over else colours.card))
            painter.drawRoundedRect(inner, 10, 10)
            self._invite(painter, inner)
        else:
            area = fit_rect(self.image.size(), inner)
            clip = QPainterPath()
            clip.addRoundedRect(area, 8, 8)
            painter.setClipPath(clip)
            painter.drawImage(area, self.image)
            painter.setClipping(False)
            if self._outline:
                left, top, wide, high = area.x(), area.y(), area.width(), area.height()
                corners = [QPointF(left + x * wide, top + y * high) for x, y in self._outline]
                painter.setBrush(Qt.BrushStyle.NoBrush)
                for width, colour in ((5, QColor(0, 0, 0, 90)), (2.5, QColor("#4cc9b8"))):
                    pen = QPen(colour, width)
                    pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
                    painter.setPen(pen)
                    painter.drawPolygon(QPolygonF(corners))
        if self._busy:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.accent))
            left = inner.left() + (inner.width() - 90) * abs(self._phase / 30 - 1)
            painter.drawRoundedRect(QRectF(left, inner.bottom() - 5, 90, 4), 2, 2)
        painter.end()

    def _invite(self, painter: QPainter, area: QRectF) -> None:
        colours, middle = current_theme(), area.center()
        pen = QPen(QColor(colours.accent), 2.5)
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
        draw_line(painter, QRectF(area.left(), middle.y(), area.width(), 26), head, font, colours.text, centre)
        font.setPixelSize(13)
        font.setWeight(QFont.Weight.Normal)
        draw_line(painter, QRectF(area.left(), middle.y() + 27, area.width(), 20), rest, font, colours.muted, centre)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802  # Qt's name
        """Report a click."""
        self.clicked.emit()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802  # Qt's name
        """Accept photos."""
        if event.mimeData().hasImage() or find_photos([url.toLocalFile() for url in event.mimeData().urls()]):
            self._over = True
            self.update()
            event.acceptProposedAction()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:  # noqa: N802  # Qt's name
        """Show that nothing is dragged over the pane."""
        self._over = False
        self.update()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802  # Qt's name
        """Report the dropped photos."""
        self._over = False
        self.update()
        found: list[Any] = find_photos([url.toLocalFile() for url in event.mimeData().urls()])
        self.dropped.emit(found or [QImage(event.mimeData().imageData())])
        event.acceptProposedAction()


def find_photos(names: Sequence[str]) -> list[Path]:
    """Return the photos among these files and in these folders."""
    found: list[Path] = []
    for path in map(Path, filter(None, names)):
        found += sorted(path.iterdir()) if path.is_dir() else [path]
    return [path for path in found if path.suffix.lower() in SUFFIXES]
