"""Read cameras: anything that yields one frame after the other.

`V4L2Camera` reads a camera of Linux through linuxpy, the extra `camera`: pure Python, 0.5 MB, and it needs only
typing_extensions, whereas PyAV and OpenCV bring FFmpeg, 36 MB and more as wheels. linuxpy is GPL-3.0-or-later: only
this module imports it, and only when a camera is requested.

`ProgramCamera` needs no extra. It reads any program that writes JPEGs to its output, as ffmpeg and rpicam-vid do, and
so also reaches the cameras of libcamera.
"""

import contextlib
import importlib.util
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from ..errors import ScanError
from ..images.image import Photo
from .camera_frames import decode_frame, split_jpegs
from .inbox import Inbox, Notice, SourceLost
from .shell_words import program_environment, split_command

WIDTH, HEIGHT = 1280, 720  # px, enough to read a barcode; the driver chooses its nearest size
STALLED_S = 5.0  # without a frame: the camera is opened again
FIRST_WAIT_S, MAX_WAIT_S = 0.5, 5.0  # before the camera is opened again


class Camera(Protocol):
    """A source of frames.

    Attributes:
        name: Shown in messages.
    """

    name: str

    def frames(self) -> Iterator[Photo]:
        """Open the camera, and yield each frame as soon as it arrives, until the iterator is closed.

        Raises:
            ScanError, OSError, or any error of the driver: the camera is not connected, or was disconnected.
        """


class V4L2Camera:
    """A camera of Linux."""

    def __init__(self, device: Path | None = None):
        """Check that linuxpy is installed.

        Args:
            device: Path of the camera; None takes the first one that delivers pictures.
        Raises:
            ScanError: linuxpy is not installed.
        """
        if importlib.util.find_spec("linuxpy") is None:
            raise ScanError("camera: no reader is installed; pip install edgesearch[camera], or name a --program.")
        self._device, self.name = device, str(device or "camera")

    def frames(self) -> Iterator[Photo]:
        """Yield frames as `Camera.frames` does; raise ScanError or OSError."""
        from linuxpy.video.device import Device, VideoCapture

        with Device(self._device or _first_device()) as device:
            capture = VideoCapture(device, size=2)
            _choose_format(capture)
            with capture:
                while True:
                    frame = capture.buffer.frame_reader.read(STALLED_S)
                    if frame is None:
                        raise ScanError(f"{self.name}: gave no frame for {STALLED_S:.0f} s.")
                    if frame.data:
                        kind, stride = frame.pixel_format.name, frame.format.bytes_per_line
                        yield decode_frame(bytes(frame.data), kind, frame.width, frame.height, stride)


class ProgramCamera:
    """A program that writes JPEG after JPEG to its output; it is started again when it ends."""

    def __init__(self, command: str):
        """Split the command into words as a shell does, without running a shell; raise ScanError if that fails."""
        self._words = split_command(command)
        if not self._words:
            raise ScanError("program: no command is given; expected one that writes JPEGs, as rpicam-vid.")
        self.name = self._words[0]

    def frames(self) -> Iterator[Photo]:
        """Yield frames as `Camera.frames` does; raise ScanError or OSError."""
        with subprocess.Popen(  # noqa: S603 - whoever starts the scan names the program
            self._words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, bufsize=0, env=program_environment()
        ) as process:
            try:
                assert process.stdout is not None
                yield from split_jpegs(process.stdout)
                raise ScanError(f"{self.name}: ended (status {process.wait(1)}).")
            finally:
                _terminate(process)


class CameraThread(threading.Thread):
    """Delivers the frames of a camera to an inbox, and opens the camera again when it fails."""

    def __init__(self, camera: Camera, inbox: Inbox):
        super().__init__(name="camera", daemon=True)
        self._camera, self._inbox, self._stopped = camera, inbox, threading.Event()
        self._is_lost, self._wait_s = False, FIRST_WAIT_S

    def run(self) -> None:
        """Deliver frames until `stop`."""
        while not self._stopped.is_set():
            try:
                self._deliver_frames()
            except Exception as error:  # drivers raise nearly anything when a device is disconnected
                if not self._is_lost:
                    self._inbox.put_now(SourceLost("camera", _describe_loss(self._camera.name, error)))
                self._is_lost = True
            self._stopped.wait(self._wait_s)
            self._wait_s = min(2 * self._wait_s, MAX_WAIT_S)

    def stop(self) -> None:
        """Close the camera, and wait up to 2 s until it is closed."""
        self._stopped.set()
        self.join(2.0)

    def _deliver_frames(self) -> None:
        """Open the camera, and deliver frames until `stop`; raise an error when the camera ends or fails."""
        with contextlib.closing(self._camera.frames()) as frames:  # type: ignore[type-var]
            for frame in frames:
                self._inbox.put_frame(frame, time.monotonic())
                if self._is_lost:
                    self._inbox.put_now(Notice(f"{self._camera.name}: is back."))
                self._is_lost, self._wait_s = False, FIRST_WAIT_S
                if self._stopped.is_set():
                    return
        raise ScanError(f"{self._camera.name}: ended.")


def _choose_format(capture: Any) -> None:
    """Choose JPEG if the camera has it: a tenth of the bytes through USB, and quick to read at half the size."""
    from linuxpy.video.device import PixelFormat

    available = {entry.pixel_format for entry in capture.formats()}
    for kind in (PixelFormat.MJPEG, PixelFormat.JPEG, PixelFormat.YUYV, PixelFormat.NV12, PixelFormat.RGB24):
        if kind in available:
            capture.set_format(WIDTH, HEIGHT, _fourcc(kind))
            return
    found = ", ".join(sorted(kind.name for kind in available)) or "nothing"
    raise ScanError(f"camera: gives {found}; expected MJPEG, YUYV, NV12 or RGB24, or use a --program.")


def _fourcc(kind: int) -> str:
    return int(kind).to_bytes(4, "little").decode()


def _first_device() -> Path:
    from linuxpy.video.device import iter_video_capture_devices

    for device in iter_video_capture_devices():
        return Path(device.filename)
    raise ScanError("camera: none is connected, or you may not read it; connect one, and check your groups.")


def _describe_loss(name: str, error: Exception) -> str:
    reason = str(error) if isinstance(error, ScanError) else f"{name}: cannot be used ({error})."
    return f"{reason} Waiting for it."


def _terminate(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(1)
    except subprocess.TimeoutExpired:
        process.kill()
