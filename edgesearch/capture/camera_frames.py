"""Decode the frames of cameras: V4L2 pixel formats, and JPEGs in a stream of bytes. H height, W width in px."""

from collections.abc import Iterator
from typing import IO

import numpy as np

from ..errors import ScanError
from ..images.image import Photo

MAX_FRAME_BYTES = 20_000_000
JPEG_START = b"\xff\xd8"
BYTES_PER_PIXEL = {"YUYV": 2, "NV12": 1, "RGB24": 3, "GREY": 1}  # of a row


def decode_frame(data: bytes, kind: str, width: int, height: int, stride: int = 0) -> Photo:
    """Convert a frame into what `image.read` accepts.

    Args:
        data: The frame as the driver delivers it.
        kind: V4L2 pixel format: MJPEG, JPEG, YUYV, NV12, RGB24 or GREY.
        width, height: Of the frame, px.
        stride: Bytes from row to row of an uncompressed frame; 0 if the rows are not padded.
    Returns:
        The JPEG, or (H, W, 3) uint8.
    Raises:
        ScanError: The format is another one, or bytes are missing.
    """
    if kind in ("MJPEG", "JPEG"):
        return data
    if kind not in BYTES_PER_PIXEL:
        raise ScanError(f"camera: gives {kind}; expected MJPEG, {', '.join(BYTES_PER_PIXEL)}, or use a --program.")
    row_bytes, row_count = width * BYTES_PER_PIXEL[kind], height + (height // 2 if kind == "NV12" else 0)
    stride = max(stride, row_bytes)
    if len(data) < stride * (row_count - 1) + row_bytes:
        raise ScanError(f"camera: gave {len(data):,} bytes for {width}x{height} px of {kind}; a frame is cut off.")
    padded = np.frombuffer(data[: stride * row_count].ljust(stride * row_count), np.uint8)
    rows = padded.reshape(row_count, stride)[:, :row_bytes]
    if kind == "RGB24":
        return np.ascontiguousarray(rows).reshape(height, width, 3)
    if kind == "GREY":
        return rows[..., None].repeat(3, 2)
    if kind == "YUYV":
        pairs = rows.reshape(height, width // 2, 4)
        return _yuv_to_rgb(pairs[..., ::2].reshape(height, width), pairs[..., 1::2].repeat(2, 1))
    chroma = rows[height:].reshape(height // 2, width // 2, 2)
    return _yuv_to_rgb(rows[:height], chroma.repeat(2, 0).repeat(2, 1))


def split_jpegs(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the JPEGs in a stream, and skip the bytes between them; raise ScanError if one does not end."""
    buffer = bytearray()
    while data := stream.read(1 << 16):
        buffer += data
        while True:
            start = buffer.find(JPEG_START)
            if start < 0:
                del buffer[: max(0, len(buffer) - 1)]
                break
            del buffer[:start]
            end = _find_jpeg_end(buffer)
            if end == 0:
                break
            if end > 0:
                yield bytes(buffer[:end])
            del buffer[: abs(end)]
        if len(buffer) > MAX_FRAME_BYTES:
            raise ScanError(f"stream: a picture of more than {MAX_FRAME_BYTES:,} bytes; expected JPEG after JPEG.")


def _find_jpeg_end(buffer: bytearray) -> int:
    """Return the offset at which the JPEG at the start of the buffer ends.

    Read marker by marker, because the data of a segment, such as a preview, may contain an end marker.

    Returns:
        0: the end has not arrived yet; negative: no JPEG, down to that offset.
    """
    offset = len(JPEG_START)
    while offset + 4 <= len(buffer):
        if buffer[offset] != 0xFF:
            return -offset
        marker = buffer[offset + 1]
        if marker == 0xD9:
            return offset + 2
        if marker == 0xFF or marker == 0x01 or 0xD0 <= marker <= 0xD7:
            offset += 1 if marker == 0xFF else 2
            continue
        offset += 2 + int.from_bytes(buffer[offset + 2 : offset + 4], "big")
        if marker == 0xDA:  # compressed data, in which ff is followed by 00 or a restart marker
            offset = buffer.find(b"\xff", offset)
            while 0 <= offset < len(buffer) - 1 and (buffer[offset + 1] == 0 or 0xD0 <= buffer[offset + 1] <= 0xD7):
                offset = buffer.find(b"\xff", offset + 2)
            if not 0 <= offset < len(buffer) - 1:
                return 0
            if buffer[offset + 1] == 0xD9:
                return offset + 2
    return 0


def _yuv_to_rgb(luma: np.ndarray, chroma: np.ndarray) -> np.ndarray:
    """Convert BT.601 YUV, which cameras use: luma (H, W), chroma (H, W, 2) uint8 -> (H, W, 3) uint8."""
    y = (luma.astype(np.int32) - 16) * 298 + 128
    u, v = (chroma[..., channel].astype(np.int32) - 128 for channel in (0, 1))
    rgb = np.stack([y + 409 * v, y - 100 * u - 208 * v, y + 516 * u], -1) >> 8
    return rgb.clip(0, 255).astype(np.uint8)
