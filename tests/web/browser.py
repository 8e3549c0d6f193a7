"""Fixtures of the page's tests: a served shop, and browsers whose camera shows photos."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import edgesearch

pytest.importorskip("playwright", reason="playwright is not installed (extra `dev`)")
pytest.importorskip("fastapi", reason="the extra `server` is not installed")

from browsing.chromium import PORTRAIT, find_chromium, open_browser, serve_device, write_film
from browsing.visitor import Visitor, new_visitor
from playwright.sync_api import Browser, Playwright, sync_playwright

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
needs_chromium = pytest.mark.skipif(find_chromium() is None, reason="no Chromium is here (Debian: chromium)")


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """Yield Playwright for one module; no other event loop can run meanwhile."""
    with sync_playwright() as started:
        yield started


@pytest.fixture
def device(shop_edge: Path, tmp_path: Path) -> Path:
    """Return a device folder that the test may change."""
    edgesearch.install(shop_edge, tmp_path / "device")
    return tmp_path / "device"


@pytest.fixture(scope="module")
def address(shop_edge: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the address of a shop that no test changes."""
    folder = tmp_path_factory.mktemp("served") / "device"
    edgesearch.install(shop_edge, folder)
    with serve_device(folder) as at:
        yield at


@pytest.fixture(scope="module")
def known_photo(shop: Path) -> Path:
    """Return a photo of a product of the shop."""
    return shop / "photos" / "P000001-1.jpg"


@pytest.fixture(scope="module")
def unknown_photo(shop: Path) -> Path:
    """Return a photo of a product that the shop does not have."""
    rows = (shop / "queries.csv").read_text(encoding="utf-8").split()
    return shop / next(row for row in rows if row.endswith(",")).rstrip(",")


@pytest.fixture(scope="module")
def shows_known(
    playwright: Playwright, known_photo: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    """Yield a browser whose camera shows a product of the shop."""
    filmed = write_film([known_photo], tmp_path_factory.mktemp("film") / "known.mjpeg", PORTRAIT)
    with open_browser(playwright, filmed) as browser:
        yield browser


@pytest.fixture
def customer(shows_known: Browser, address: str, known_photo: Path) -> Iterator[Visitor]:
    """Yield a visit of the page on a phone."""
    came = new_visitor(shows_known, address, known_photo, **PHONE)
    yield came
    came.page.context.close()


@pytest.fixture
def onlooker(shows_known: Browser, address: str, known_photo: Path) -> Iterator[Visitor]:
    """Yield a visit on a phone that only looks at screens: without the service worker, which loads every file again."""
    came = new_visitor(shows_known, address, known_photo, service_workers="block", **PHONE)
    yield came
    came.page.context.close()
