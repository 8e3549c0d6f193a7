"""A real Chromium with a camera that shows photos: for tests of the page, screenshots and figures."""

import contextlib
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import uvicorn
from PIL import Image, ImageFilter
from playwright.sync_api import Browser, Playwright

import edgesearch
from edgesearch.server.app import create_app
from edgesearch.server.state import ServerState

LANDSCAPE, PORTRAIT = (1280, 960), (960, 1280)  # of a camera; that of a phone turns with it
FRAMES = 10  # of a photo; a file of one would be played too fast to be told from a broken camera
SHARE = 0.62  # of the shorter side of the camera's picture that the photo takes
OPTIONS = [
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-domain-reliability", "--no-default-browser-check",
]  # fmt: skip


def chromium() -> str | None:
    """The path of a Chromium on this machine, None where there is none."""
    given = os.environ.get("CHROMIUM")
    return given or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def film(photos: Sequence[Path], path: Path, size: tuple[int, int] = LANDSCAPE, frames: int = FRAMES) -> Path:
    """What the camera shows: each photo for so many frames, in front of itself out of focus; then again from the first.

    Args:    path: .mjpeg to write, JPEGs one after the other; size: px, width and height; frames: 30 a second.
    """
    with path.open("wb") as file:
        for photo in photos:
            with Image.open(photo) as opened:
                picture = opened.convert("RGB")
            room = picture.resize((64, 64)).filter(ImageFilter.GaussianBlur(6)).resize(size, Image.Resampling.BICUBIC)
            side = round(SHARE * min(size))
            scale = side / min(picture.size)
            shown = picture.resize((round(picture.width * scale), round(picture.height * scale)))
            room.paste(shown, ((size[0] - shown.width) // 2, (size[1] - shown.height) // 2 - round(0.04 * size[1])))
            for _ in range(frames):
                room.save(file, "JPEG", quality=90)
    return path


def launch(playwright: Playwright, filmed: Path | None, *, denied: bool = False) -> Browser:
    """Start it; filmed: what its camera shows, None: no camera is there; denied: it may not be used.

    Raises FileNotFoundError: no Chromium is here.
    """
    path = chromium()
    if path is None:
        raise FileNotFoundError("no Chromium is here; install Debian's chromium, or name one in CHROMIUM.")
    options = [*OPTIONS, *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else [])]
    if filmed is not None:
        options += ["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={filmed}"]
    options.append("--deny-permission-prompts" if denied else "--use-fake-ui-for-media-stream")
    return playwright.chromium.launch(executable_path=path, args=options)


@contextlib.contextmanager
def browser(playwright: Playwright, filmed: Path | None, *, denied: bool = False) -> Iterator[Browser]:
    """As `launch`, closed afterwards."""
    started = launch(playwright, filmed, denied=denied)
    try:
        yield started
    finally:
        started.close()


@contextlib.contextmanager
def serving(device: Path, port: int = 0) -> Iterator[str]:
    """The address at which `edgesearch serve` answers, in this process; port: 0 for any that is free."""
    state = ServerState(edgesearch.open(device), device)
    with socket.create_server(("127.0.0.1", port)) as listening:
        config = uvicorn.Config(create_app(state), log_level="error", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join()
