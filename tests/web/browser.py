"""What the tests of the page share: a shop that is served, and real browsers with a camera that shows photos."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import edgesearch

pytest.importorskip("playwright", reason="playwright is not installed (extra `dev`)")
pytest.importorskip("fastapi", reason="the extra `server` is not installed")

from browsing.chromium import PORTRAIT, browser, chromium, film, serving
from browsing.page_scenes import Visit, visit
from playwright.sync_api import Browser, Playwright, sync_playwright

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
needs_chromium = pytest.mark.skipif(chromium() is None, reason="no Chromium is here (Debian: chromium)")


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """Of a module: while it runs no other event loop can."""
    with sync_playwright() as started:
        yield started


@pytest.fixture
def device(shop_edge: Path, tmp_path: Path) -> Path:
    """A device folder of one test, which may teach it."""
    edgesearch.install(shop_edge, tmp_path / "device")
    return tmp_path / "device"


@pytest.fixture(scope="module")
def address(shop_edge: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a shop is served that no test changes."""
    folder = tmp_path_factory.mktemp("served") / "device"
    edgesearch.install(shop_edge, folder)
    with serving(folder) as at:
        yield at


@pytest.fixture(scope="module")
def known(shop: Path) -> Path:
    """A photo of a product of the shop."""
    return shop / "photos" / "P000001-1.jpg"


@pytest.fixture(scope="module")
def strange(shop: Path) -> Path:
    """A photo of a product that it does not have."""
    rows = (shop / "queries.csv").read_text(encoding="utf-8").split()
    return shop / next(row for row in rows if row.endswith(",")).rstrip(",")


@pytest.fixture(scope="module")
def shows_known(playwright: Playwright, known: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Its camera sees a product of the shop."""
    with browser(playwright, film([known], tmp_path_factory.mktemp("film") / "known.mjpeg", PORTRAIT)) as opened:
        yield opened


@pytest.fixture
def customer(shows_known: Browser, address: str, known: Path) -> Iterator[Visit]:
    """Somebody with a phone."""
    came = visit(shows_known, address, known, **PHONE)
    yield came
    came.page.context.close()
