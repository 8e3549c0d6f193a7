"""The page in a real browser: how soon it is there, and how soon it answers."""

import argparse
import contextlib
import itertools
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from browsing.chromium import PORTRAIT, open_browser, write_film
from browsing.visitor import new_visitor
from demo_shop import write_catalogue
from playwright.sync_api import Page, sync_playwright

import edgesearch

from .context import SEED, Found

WEB = Path(edgesearch.__file__).parent / "web"
PRODUCTS, PHOTOS = 60, 12
FRAMES_SHOWN = 8  # of a photo, 30 a second: it moves on before it is held still, so frames never end
STARTS, FRAMES, PRESSES = 9, 200, 20
HERE = "127.0.0.1"
WARM = 20  # frames before those that count
PHONE = {"width": 390, "height": 844}
LAST = "performance.getEntriesByName('frame to answer').map((one) => [one.startTime, one.duration])"
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
USABLE = "performance.now()"


def measure(folder: Path, seed: int) -> dict[str, float]:
    """Milliseconds and kilobytes of a drawn shop's page; folder: where the shop is made."""
    photos = made_shop(folder, seed)
    with _apart(folder / "device") as address, sync_playwright() as playwright:
        moving = write_film(photos, folder / "moving.mjpeg", PORTRAIT, FRAMES_SHOWN)
        with open_browser(playwright, moving) as opened:
            starts = []
            for _ in range(STARTS):  # each a new person, who has nothing of the page yet
                person = new_visitor(opened, address, photos[0], viewport=PHONE)
                person.open("words")
                person.wait_for(".results .chip")
                usable = person.page.evaluate(USABLE)
                starts.append((person.page.evaluate(PAINTED), usable))
                person.page.context.close()
            person = new_visitor(opened, address, photos[0], viewport=PHONE)
            person.force_decision("unknown")
            person.open()
            frames = _frames(person.page)
            person.page.context.close()
        with open_browser(playwright, write_film(photos[:1], folder / "still.mjpeg", PORTRAIT)) as opened:
            person = new_visitor(opened, address, photos[0], viewport=PHONE)
            person.override_answer("v1/frames", decision="unknown")
            person.open()
            pressed = [_pressed(person.page) for _ in range(PRESSES)]
    painted, usable = np.array(starts).T
    return {
        "page kB": sum(path.stat().st_size for path in WEB.rglob("*") if path.suffix not in (".png", "")) / 1000,
        "first paint ms p50": float(np.median(painted)),
        "usable ms p50": float(np.median(usable)),
        "frame to answer ms p50": float(np.median(frames)),
        "frame to answer ms p95": float(np.percentile(frames, 95)),
        "press to product ms p50": float(np.median(pressed)),
        "frames": len(frames),
    }


@contextlib.contextmanager
def _apart(device: Path) -> Iterator[str]:
    """The address of a server in a process of its own, as where it is used."""
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


def made_shop(folder: Path, seed: int) -> list[Path]:
    """A device folder, and photos of its products."""
    write_catalogue(folder, products=PRODUCTS, unknown=0, photos=1, seed=seed)
    edgesearch.build(folder / "catalogue.csv", folder / "shop.edge")
    edgesearch.install(folder / "shop.edge", folder / "device")
    return list(itertools.islice(sorted((folder / "photos").iterdir()), PHOTOS))


def _frames(page: Page) -> list[float]:
    """Milliseconds from grabbing a frame to having its answer, of each frame once."""
    found: dict[float, float] = {}
    while len(found) < WARM + FRAMES:
        page.wait_for_timeout(500)
        found.update(dict(page.evaluate(LAST)))
    return list(found.values())[WARM:]


def _pressed(page: Page) -> float:
    """Milliseconds from pressing the shutter to the answer on the screen."""
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
    page.locator(".answer-foot .button").click()
    return float(took)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None."""


def run(options: argparse.Namespace, folder: Path) -> Found:
    """As `measure`."""
    return measure(folder, SEED)
