"""The site in Chromium: it finds products, also without its server, and asks nobody else."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import edgesearch
from edgesearch.browser.runtime_files import find_runtime_files
from edgesearch.browser.site import BUNDLE, write_site
from edgesearch.bundle.bundle_file import Bundle
from edgesearch.errors import SiteError

pytest.importorskip("playwright", reason="playwright is not installed (extra `dev`)")
pytest.importorskip("fastapi", reason="the extra `server` is not installed")

from browsing.chromium import find_chromium, launch
from playwright.sync_api import Browser, Page, sync_playwright

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_chromium() is None, reason="no Chromium is here (Debian: chromium)"),
]
ANSWERED = ", ".join(f"body[data-state={state}]" for state in ("match", "ambiguous", "unknown", "error"))
WAIT_MS = 300_000


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files and logs nothing."""

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class Served:
    """A site and its server.

    Attributes:
        folder: The site's.
        address: Where it is served.
    """

    def __init__(self, folder: Path):
        """Serve a folder."""
        self.folder = folder
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder)))
        self.address = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Yield Chromium without a camera."""
    with sync_playwright() as playwright:
        browser = launch(playwright, None)
        yield browser
        browser.close()


@pytest.fixture
def served(engine: Path, tiny_edge: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """Yield the drawn shop as a site."""
    try:
        find_runtime_files([])
    except SiteError as error:
        pytest.skip(str(error))
    monkeypatch.setattr("edgesearch.browser.site.ENGINE_FILE", engine)
    write_site(tiny_edge, tmp_path / "site")
    served = Served(tmp_path / "site")
    yield served
    served.stop()


def ask(page: Page, photo: Path) -> list[str]:
    """Search a photo and return the SKUs that are shown."""
    page.evaluate("document.body.dataset.state = ''")
    page.set_input_files("#photo", photo)
    page.wait_for_selector(ANSWERED, timeout=WAIT_MS)
    return page.locator(".sku").all_inner_texts()


def test_photos_find_products_without_a_network(browser: Browser, served: Served, tiny_edge: Path, shop: Path) -> None:
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(served.address)
    page.wait_for_selector("body[data-state=ready]", timeout=WAIT_MS)
    page.wait_for_selector("body[data-offline=yes]", timeout=WAIT_MS)
    served.stop()
    page.reload()
    page.wait_for_selector("body[data-state=ready]", timeout=WAIT_MS)
    with edgesearch.open(tiny_edge) as store:
        for photo in sorted((shop / "photos").glob("*.jpg"))[:4]:
            answer = store.search(photo)
            expected = {"match": answer.matches[:1], "ambiguous": answer.matches, "unknown": ()}[answer.decision]
            assert ask(page, photo)[:1] == [match.sku for match in expected[:1]]
    assert {url.split("/")[2] for url in asked if not url.startswith("blob:")} == {served.address.split("/")[2]}


def test_bad_input_gets_one_sentence(browser: Browser, served: Served, tmp_path: Path) -> None:
    page = browser.new_page()
    page.goto(served.address)
    page.wait_for_selector("body[data-state=ready]", timeout=WAIT_MS)
    (tmp_path / "letter.jpg").write_text("dear")
    assert ask(page, tmp_path / "letter.jpg") == []
    assert "not a picture" in page.inner_text("#say")
    bundle = Bundle(served.folder / BUNDLE)
    damaged = bytearray((served.folder / BUNDLE).read_bytes())
    damaged[bundle.locations["index/index.arrays"].stop - 100] ^= 1
    bundle.close()
    (served.folder / BUNDLE).write_bytes(damaged)
    other = browser.new_context().new_page()
    other.goto(served.address)
    other.wait_for_selector("body[data-state=error]", timeout=WAIT_MS)
    assert "copy the bundle again" in other.inner_text("#say")
