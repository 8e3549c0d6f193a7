"""Open the cameras and folders from which `scan` and `capture` take photos, and end on signals."""

import argparse
import contextlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from ..capture.camera import CameraThread, ProgramCamera, V4L2Camera
from ..capture.inbox import EndScan, Inbox, ReopenStore
from ..capture.watched_folder import WatchedFolder


def add_cameras(parser: "argparse.ArgumentParser | argparse._ArgumentGroup") -> None:
    """Add the options `--camera` and `--program`."""
    parser.add_argument(
        "--camera",
        type=Path,
        nargs="?",
        const=Path(),
        metavar="DEVICE",
        help="read frames from a Linux camera (default: the first)",
    )
    parser.add_argument(
        "--program", metavar="COMMAND", help="read JPEGs from the output of COMMAND, such as rpicam-vid or ffmpeg"
    )


def open_source(options: argparse.Namespace, inbox: Inbox) -> CameraThread | WatchedFolder | None:
    """Return the camera or folder that was asked for, if any; raise ScanError if it cannot be used.

    Args:
        options: With `camera`, `program`, `watch` and `backlog`.
        inbox: Gets what it delivers.
    """
    if options.program:
        return CameraThread(ProgramCamera(options.program), inbox)
    if options.camera:
        return CameraThread(V4L2Camera(None if options.camera == Path() else options.camera), inbox)
    return WatchedFolder(options.watch, inbox, options.backlog) if options.watch else None


@contextlib.contextmanager
def handle_signals(inbox: Inbox) -> Iterator[None]:
    """Stop after the current answer on SIGTERM and SIGINT; check for a new bundle on SIGHUP."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    events: dict[int, EndScan | ReopenStore] = {signal.SIGTERM: EndScan(), signal.SIGINT: EndScan()}
    if hasattr(signal, "SIGHUP"):
        events[signal.SIGHUP] = ReopenStore()

    def handle(number: int, _: FrameType | None) -> None:
        inbox.put_now(events[number])

    before = {number: signal.signal(number, handle) for number in events}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
