"""Paint text and pictures."""

from PySide6.QtCore import (
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
    QPainterPath,
)

from .style import current_theme


def fit_rect(size: QSize, area: QRectF) -> QRectF:
    """Return the largest rectangle of this shape within another."""
    scale = min(area.width() / max(1, size.width()), area.height() / max(1, size.height()))
    width, height = size.width() * scale, size.height() * scale
    return QRectF(area.center().x() - width / 2, area.center().y() - height / 2, width, height)


def draw_picture(painter: QPainter, area: QRectF, image: QImage | None) -> None:
    """Draw a picture with round corners, or an empty box."""
    painter.save()
    clip = QPainterPath()
    clip.addRoundedRect(area, 8, 8)
    painter.setClipPath(clip)
    painter.fillRect(area, QColor("#ffffff" if image else current_theme().line))
    if image:
        painter.drawImage(fit_rect(image.size(), area), image)
    painter.restore()


def draw_line(
    painter: QPainter,
    area: QRectF,
    text: str,
    font: QFont,
    colour: str,
    align: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter,
) -> None:
    """Draw one line of text, shortened with an ellipsis."""
    painter.setFont(font)
    painter.setPen(QColor(colour))
    shown = QFontMetrics(font).elidedText(text, Qt.TextElideMode.ElideRight, int(area.width()))
    painter.drawText(area, align, shown)
