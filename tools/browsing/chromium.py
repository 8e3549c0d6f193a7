"""Run a real Chromium with a camera that shows photos: for tests of the page, screenshots and benchmarks."""

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
from playwright.sync_api import Browser, BrowserContext, Playwright

import edgesearch
from edgesearch.server.app import create_app
from edgesearch.server.state import ServerState

LANDSCAPE, PORTRAIT = (1280, 960), (960, 1280)  # px of a camera's picture; a phone's turns with the phone
FRAMES = 10  # a photo; Chromium plays a file of one frame so fast that the page takes the camera for broken
SHARE = 0.62  # of the shorter side of the camera's picture that a photo fills
OPTIONS = [
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-domain-reliability", "--no-default-browser-check",
]  # fmt: skip


def find_chromium() -> str | None:
    """Return the path of a Chromium on this machine; None if there is none."""
    given = os.environ.get("CHROMIUM")
    return given or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def write_film(photos: Sequence[Path], path: Path, size: tuple[int, int] = LANDSCAPE, frames: int = FRAMES) -> Path:
    """Write the film that the camera shows: each photo in turn, in front of its own blurred copy.

    Args:
        path:   .mjpeg file to write, JPEGs one after the other; Chromium repeats it.
        size:   width and height in px.
        frames: number of frames for each photo, of 30 a second.
    """
    with path.open("wb") as file:
        for photo in photos:
            frame = compose(photo, size)
            for _ in range(frames):
                frame.save(file, "JPEG", quality=90)
    return path


def compose(photo: Path, size: tuple[int, int]) -> Image.Image:
    """Return a camera's picture of width and height `size`: a photo in front of its own blurred copy."""
    with Image.open(photo) as file_image:
        picture = file_image.convert("RGB")
    blurred = picture.resize((64, 64)).filter(ImageFilter.GaussianBlur(6))
    frame = blurred.resize(size, Image.Resampling.BICUBIC)
    side = round(SHARE * min(size))
    scale = side / min(picture.size)
    scaled = picture.resize((round(picture.width * scale), round(picture.height * scale)))
    left, top = (size[0] - scaled.width) // 2, (size[1] - scaled.height) // 2 - round(0.04 * size[1])
    frame.paste(scaled, (left, top))
    return frame


def launch(playwright: Playwright, film: Path | None, *, denied: bool = False) -> Browser:
    """Start Chromium.

    Args:
        film:   the film that its camera shows; None: there is no camera.
        denied: refuse the page the use of the camera.

    Raises: FileNotFoundError: there is no Chromium on this machine.
    """
    options = _options()
    if film is not None:
        options += ["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={film}"]
    options.append("--deny-permission-prompts" if denied else "--use-fake-ui-for-media-stream")
    return playwright.chromium.launch(executable_path=_require_chromium(), args=options)


@contextlib.contextmanager
def open_profile(playwright: Playwright, folder: Path) -> Iterator[BrowserContext]:
    """Start Chromium with what it keeps in a folder, as a person's does, not in memory; close it at the end."""
    context = playwright.chromium.launch_persistent_context(
        folder, executable_path=_require_chromium(), args=_options()
    )
    try:
        yield context
    finally:
        context.close()


def _require_chromium() -> str:
    path = find_chromium()
    if path is None:
        raise FileNotFoundError("no Chromium found; install Debian's chromium, or set CHROMIUM to the path of one.")
    return path


def _options() -> list[str]:
    return [*OPTIONS, *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else [])]


@contextlib.contextmanager
def open_browser(playwright: Playwright, film: Path | None, *, denied: bool = False) -> Iterator[Browser]:
    """Start Chromium as `launch` does, and close it at the end."""
    browser = launch(playwright, film, denied=denied)
    try:
        yield browser
    finally:
        browser.close()


@contextlib.contextmanager
def serve_device(device: Path, port: int = 0) -> Iterator[str]:
    """Serve a device folder from this process; yield its address. Port 0 takes any free port."""
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
