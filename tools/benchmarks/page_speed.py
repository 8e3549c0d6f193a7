"""The speed of the page in a real browser: time to first paint, time to an answer."""

import argparse
import contextlib
import itertools
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
from browsing.chromium import PORTRAIT, open_browser, write_film
from browsing.visitor import new_visitor
from demo_shop import write_catalogue
from playwright.sync_api import Page, sync_playwright

import edgesearch

from .context import SEED, Results

WEB = Path(edgesearch.__file__).parent / "web"
PRODUCTS, PHOTOS = 60, 12
FRAMES_SHOWN = 8  # frames of each photo, 30 a second: too few for the page to take it for held still
STARTS, FRAMES, PRESSES = 9, 200, 20
HERE = "127.0.0.1"
WARM = 20  # frames before the measured ones
PHONE = {"width": 390, "height": 844}
LAST = "performance.getEntriesByName('frame to answer').map((one) => [one.startTime, one.duration])"
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
USABLE = "performance.now()"


def measure(folder: Path, seed: int) -> dict[str, float]:
    """Measure milliseconds and kilobytes of a drawn shop's page; folder: where the shop is made."""
    photos = make_shop(folder, seed)
    with _serve_in_process(folder / "device") as address, sync_playwright() as playwright:
        moving = write_film(photos, folder / "moving.mjpeg", PORTRAIT, FRAMES_SHOWN)
        with open_browser(playwright, moving) as opened:
            starts = []
            for _ in range(STARTS):  # each is a new visitor with an empty cache
                person = new_visitor(opened, address, photos[0], viewport=PHONE)
                person.open("words")
                person.wait_for(".results .tile")
                usable = person.page.evaluate(USABLE)
                starts.append((person.page.evaluate(PAINTED), usable))
                person.page.context.close()
            person = new_visitor(opened, address, photos[0], viewport=PHONE)
            person.force_decision("unknown")
            person.open()
            frames = _measure_frames(person.page)
            person.page.context.close()
        with open_browser(playwright, write_film(photos[:1], folder / "still.mjpeg", PORTRAIT)) as opened:
            person = new_visitor(opened, address, photos[0], viewport=PHONE)
            person.override_answer("v1/frames", decision="unknown", matches=[], flaw="dark")
            person.open()
            pressed = [_measure_press(person.page) for _ in range(PRESSES)]
        sent, unpacked = _measure_size(address)
    painted, usable = np.array(starts).T
    return {
        "page kB": sent / 1000,
        "unpacked kB": unpacked / 1000,
        "first paint ms p50": float(np.median(painted)),
        "usable ms p50": float(np.median(usable)),
        "frame to answer ms p50": float(np.median(frames)),
        "frame to answer ms p95": float(np.percentile(frames, 95)),
        "press to product ms p50": float(np.median(pressed)),
        "frames": len(frames),
    }


def _measure_size(address: str) -> tuple[int, int]:
    """Return the bytes of the page in English without its pictures, as they are sent and unpacked."""
    names = [path.relative_to(WEB).as_posix() for path in WEB.rglob("*.*") if path.suffix != ".png"]
    sent = unpacked = 0
    for name in names:
        if not name.startswith("i18n/") or name == "i18n/en.json":
            with httpx.stream("GET", f"{address}/{name}") as response:
                unpacked += len(response.read())
                sent += response.num_bytes_downloaded
    return sent, unpacked


@contextlib.contextmanager
def _serve_in_process(device: Path) -> Iterator[str]:
    """Serve in a process of its own, as in production; yield the address."""
    with socket.create_server((HERE, 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "edgesearch", "serve", str(device), "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:  # noqa: S603  # ours
        try:
            while server.poll() is None:
                with contextlib.suppress(OSError), socket.create_connection((HERE, port)):
                    break
                time.sleep(0.1)
            yield f"http://{HERE}:{port}/"
        finally:
            server.terminate()


def make_shop(folder: Path, seed: int) -> list[Path]:
    """Make a device folder; return photos of its products."""
    write_catalogue(folder, products=PRODUCTS, unknown=0, photos=1, seed=seed)
    edgesearch.build(folder / "catalogue.csv", folder / "shop.edge")
    edgesearch.install(folder / "shop.edge", folder / "device")
    return list(itertools.islice(sorted((folder / "photos").iterdir()), PHOTOS))


def _measure_frames(page: Page) -> list[float]:
    """Return the milliseconds from grabbing a frame to its answer, once for each frame."""
    found: dict[float, float] = {}
    while len(found) < WARM + FRAMES:
        page.wait_for_timeout(500)
        found.update(dict(page.evaluate(LAST)))
    return list(found.values())[WARM:]


def _measure_press(page: Page) -> float:
    """Return the milliseconds from pressing the shutter to the answer on the screen."""
    page.wait_for_selector(".shutter")
    page.wait_for_timeout(600)
    took = page.evaluate(
        """() => new Promise((resolve) => {
          const start = performance.now();
          new MutationObserver((_, observer) => {
            if (!document.querySelector(".verdict")) return;
            observer.disconnect();
            requestAnimationFrame(() => resolve(performance.now() - start));
          }).observe(document.querySelector("#view"), { childList: true, subtree: true });
          document.querySelector(".shutter").click();
        })"""
    )
    page.locator(".answer-foot > :last-child").click()
    return float(took)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""


def run(options: argparse.Namespace, folder: Path) -> Results:
    """Run the benchmark."""
    return measure(folder, SEED)
