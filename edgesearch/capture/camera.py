"""Cameras: whatever yields one frame after the other.

`V4L2` asks Linux through linuxpy, the extra `camera` (pure Python, 0.5 MB, needs typing_extensions alone; PyAV and
OpenCV bring FFmpeg along, 36 MB and more as wheels). linuxpy is GPL-3.0-or-later: it is imported here alone, and only
where a camera is asked for. `Program` needs nothing: any program that writes JPEGs to its output, as ffmpeg and
rpicam-vid do, is a camera too; it is the way to cameras that are libcamera's.

H height, W width in px.
"""

import contextlib
import importlib.util
import shlex
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np

from ..errors import ScanError
from ..images.image import Photo
from .inbox import Inbox, Lost, Note

WIDTH, HEIGHT = 1280, 720  # px asked for, in which a barcode can be read; a driver gives what it has nearest to it
STALLED_S = 5.0  # without a frame: it is opened again
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 5.0  # before it is opened again
MOST_BYTES = 20_000_000  # of one frame
START = b"\xff\xd8"
DEPTHS = {"YUYV": 2, "NV12": 1, "RGB24": 3, "GREY": 1}  # bytes a pixel of a row


class Camera(Protocol):
    """Gives frames; name: as people are told of it."""

    name: str

    def frames(self) -> Iterator[Photo]:
        """Open it and yield frames, each as soon as it is there, until it is closed.

        Raises:  ScanError, OSError, or whatever its driver raises: it is not there, or not any more.
        """


class V4L2:
    """A camera of Linux; device: its path, None for the first that gives pictures."""

    def __init__(self, device: Path | None = None):
        """Raises ScanError: linuxpy is not installed."""
        if importlib.util.find_spec("linuxpy") is None:
            raise ScanError("camera: no reader is installed; pip install edgesearch[camera], or name a --program.")
        self._device, self.name = device, str(device or "camera")

    def frames(self) -> Iterator[Photo]:
        """As `Camera`."""
        from linuxpy.video.device import Device, VideoCapture

        with Device(self._device or _first()) as device:
            capture = VideoCapture(device, size=2)
            _set_format(capture)
            with capture:
                while True:
                    frame = capture.buffer.frame_reader.read(STALLED_S)
                    if frame is None:
                        raise ScanError(f"{self.name}: gave no frame for {STALLED_S:.0f} s.")
                    if frame.data:
                        kind, stride = frame.pixel_format.name, frame.format.bytes_per_line
                        yield picture(bytes(frame.data), kind, frame.width, frame.height, stride)


class Program:
    """A program whose output is JPEG after JPEG; it is started again when it ends."""

    def __init__(self, command: str):
        """command: its words as a shell splits them, but no shell sees them; raises ScanError: they are none."""
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise ScanError(f"{command}: not the words of a command ({error}); check its quotes.") from error
        if not self._words:
            raise ScanError("program: no command is given; expected one that writes JPEGs, as rpicam-vid.")
        self.name = self._words[0]

    def frames(self) -> Iterator[Photo]:
        """As `Camera`."""
        with subprocess.Popen(  # noqa: S603 - whoever starts the scan names it
            self._words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, bufsize=0
        ) as process:
            try:
                assert process.stdout is not None
                yield from jpegs(process.stdout)
                raise ScanError(f"{self.name}: ended (status {process.wait(1)}).")
            finally:
                _end(process)


class Feed(threading.Thread):
    """Keeps a camera running, opens it again when it fails, and shows an inbox what it sees."""

    def __init__(self, camera: Camera, inbox: Inbox):
        super().__init__(name="camera", daemon=True)
        self._camera, self._inbox, self._stopped = camera, inbox, threading.Event()

    def run(self) -> None:
        """Until `stop`."""
        wait_s, is_lost = FIRST_WAIT_S, False
        while not self._stopped.is_set():
            try:
                with contextlib.closing(self._camera.frames()) as frames:  # type: ignore[type-var]
                    for frame in frames:
                        self._inbox.show(frame, time.monotonic())
                        if is_lost:
                            self._inbox.tell(Note(f"{self._camera.name}: is there again."))
                        wait_s, is_lost = FIRST_WAIT_S, False
                        if self._stopped.is_set():
                            return
                raise ScanError(f"{self._camera.name}: ended.")
            except Exception as error:  # drivers of devices that are pulled out raise nearly anything
                if not is_lost:
                    self._inbox.tell(Lost("camera", _lost(self._camera.name, error)))
                is_lost = True
            self._stopped.wait(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def stop(self) -> None:
        """Close the camera, waiting for it a moment."""
        self._stopped.set()
        self.join(2.0)


def picture(data: bytes, kind: str, width: int, height: int, stride: int = 0) -> Photo:
    """A frame as `image.read` takes it.

    Args:    kind: V4L2's pixel format: MJPEG, JPEG, YUYV, NV12, RGB24 or GREY; stride: bytes from row to row of what is
             no JPEG, 0 where they are not padded.
    Returns: the JPEG, or (H, W, 3) uint8.
    Raises:  ScanError: another format, or too few bytes.
    """
    if kind in ("MJPEG", "JPEG"):
        return data
    if kind not in DEPTHS:
        raise ScanError(f"camera: gives {kind}; expected MJPEG, {', '.join(DEPTHS)}, or use a --program.")
    wide, high = width * DEPTHS[kind], height + (height // 2 if kind == "NV12" else 0)
    stride = max(stride, wide)
    if len(data) < stride * (high - 1) + wide:
        raise ScanError(f"camera: gave {len(data):,} bytes for {width}x{height} px of {kind}; a frame is cut off.")
    padded = np.frombuffer(data[: stride * high].ljust(stride * high), np.uint8)
    rows = padded.reshape(high, stride)[:, :wide]
    if kind == "RGB24":
        return np.ascontiguousarray(rows).reshape(height, width, 3)
    if kind == "GREY":
        return rows[..., None].repeat(3, 2)
    if kind == "YUYV":
        both = rows.reshape(height, width // 2, 4)
        return _rgb(both[..., ::2].reshape(height, width), both[..., 1::2].repeat(2, 1))
    halves = rows[height:].reshape(height // 2, width // 2, 2)
    return _rgb(rows[:height], halves.repeat(2, 0).repeat(2, 1))


def jpegs(stream: IO[bytes]) -> Iterator[bytes]:
    """The JPEGs in a stream, whatever lies between them; raises ScanError: one has no end."""
    held = bytearray()
    while piece := stream.read(1 << 16):
        held += piece
        while True:
            start = held.find(START)
            if start < 0:
                del held[: max(0, len(held) - 1)]
                break
            del held[:start]
            end = _end_of_jpeg(held)
            if end == 0:
                break
            if end > 0:
                yield bytes(held[:end])
            del held[: abs(end)]
        if len(held) > MOST_BYTES:
            raise ScanError(f"stream: a picture of more than {MOST_BYTES:,} bytes; expected JPEG after JPEG.")


def _end_of_jpeg(held: bytearray) -> int:
    """Where the picture ends that begins it; 0: not yet there; below 0: it is none, up to there. Marker by marker, for
    what lies in a segment, as a small preview does, may look like an end.
    """
    place = len(START)
    while place + 4 <= len(held):
        if held[place] != 0xFF:
            return -place
        marker = held[place + 1]
        if marker == 0xD9:
            return place + 2
        if marker == 0xFF or marker == 0x01 or 0xD0 <= marker <= 0xD7:
            place += 1 if marker == 0xFF else 2
            continue
        place += 2 + int.from_bytes(held[place + 2 : place + 4], "big")
        if marker == 0xDA:  # compressed data, in which ff is followed by 00 or a restart
            place = held.find(b"\xff", place)
            while 0 <= place < len(held) - 1 and (held[place + 1] == 0 or 0xD0 <= held[place + 1] <= 0xD7):
                place = held.find(b"\xff", place + 2)
            if not 0 <= place < len(held) - 1:
                return 0
            if held[place + 1] == 0xD9:
                return place + 2
    return 0


def _rgb(luma: np.ndarray, chroma: np.ndarray) -> np.ndarray:
    """BT.601, as cameras use it; luma (H, W), chroma (H, W, 2) uint8 -> (H, W, 3) uint8."""
    y = (luma.astype(np.int32) - 16) * 298 + 128
    u, v = (chroma[..., place].astype(np.int32) - 128 for place in (0, 1))
    rgb = np.stack([y + 409 * v, y - 100 * u - 208 * v, y + 516 * u], -1) >> 8
    return rgb.clip(0, 255).astype(np.uint8)


def _set_format(capture: Any) -> None:
    """JPEG where the camera has it: a tenth of the bytes through USB, and read at half the size."""
    from linuxpy.video.device import PixelFormat

    own = {one.pixel_format for one in capture.formats()}
    for kind in (PixelFormat.MJPEG, PixelFormat.JPEG, PixelFormat.YUYV, PixelFormat.NV12, PixelFormat.RGB24):
        if kind in own:
            capture.set_format(WIDTH, HEIGHT, _fourcc(kind))
            return
    found = ", ".join(sorted(one.name for one in own)) or "nothing"
    raise ScanError(f"camera: gives {found}; expected MJPEG, YUYV, NV12 or RGB24, or use a --program.")


def _fourcc(kind: int) -> str:
    return int(kind).to_bytes(4, "little").decode()


def _first() -> Path:
    from linuxpy.video.device import iter_video_capture_devices

    for device in iter_video_capture_devices():
        return Path(device.filename)
    raise ScanError("camera: none is there, or it may not be read; plug one in, and see that its group is yours.")


def _lost(name: str, error: Exception) -> str:
    said = str(error) if isinstance(error, ScanError) else f"{name}: cannot be used ({error})."
    return f"{said} Waiting for it."


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(1)
    except subprocess.TimeoutExpired:
        process.kill()
