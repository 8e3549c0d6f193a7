"""Convert between photos, Qt images and bytes."""

from pathlib import Path

from PySide6.QtCore import QBuffer, QIODevice, QSize, Qt
from PySide6.QtGui import QImage, QImageReader

Photo = Path | bytes
PHOTO_SIDE = 900  # px shown of a photo


def read_image(photo: Photo) -> QImage | None:
    """Read a photo for display, upright and no larger than needed; return None if Qt cannot read it."""
    data = QBuffer()
    if isinstance(photo, bytes):
        data.setData(photo)
        data.open(QIODevice.OpenModeFlag.ReadOnly)
        reader = QImageReader(data)
    else:
        reader = QImageReader(str(photo))
    reader.setAutoTransform(True)
    size = reader.size()
    if size.isValid() and max(size.width(), size.height()) > PHOTO_SIDE:
        reader.setScaledSize(size.scaled(QSize(PHOTO_SIDE, PHOTO_SIDE), Qt.AspectRatioMode.KeepAspectRatio))
    image = reader.read()
    return None if image.isNull() else image


def encode_png(image: QImage) -> bytes:
    """Encode a pasted picture for the store."""
    data = QBuffer()
    data.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(data, "PNG")  # type: ignore[call-overload]
    return bytes(data.data().data())
