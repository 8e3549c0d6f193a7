"""The site in Chromium: it finds products, also without its server, and asks nobody else."""

import base64
import gzip
import io
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import edgesearch
from edgesearch.browser.runtime_files import find_runtime_files
from edgesearch.browser.site import BUNDLE, write_site
from edgesearch.bundle.bundle_file import Bundle
from edgesearch.errors import SiteError
from edgesearch.images import image
from tests.images.test_colour_profile import P3, profile

pytest.importorskip("playwright", reason="playwright is not installed (extra `dev`)")
pytest.importorskip("fastapi", reason="the extra `server` is not installed")

from browsing.chromium import PORTRAIT, find_chromium, launch, write_film
from demo_shop import draw_ean13
from playwright.sync_api import Browser, Page, sync_playwright

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_chromium() is None, reason="no Chromium is here (Debian: chromium)"),
]
WAIT_MS = 90_000
TYPE = "(key) => document.body.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }))"
SIMILAR = """async (sku) => {
  const { send } = await import("./host.js");
  const { content } = await send("GET", `similar/${sku}`, { query: { k: 5, in_stock: true } });
  return content.matches.map((match) => match.sku);
}"""
DECODE = """async ([content, side]) => {
  const { decode } = await import("./decoding.js");
  const file = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const { width, height, pixels } = await decode(new Blob([file]), side);
  return { shape: [height, width, 3], pixels: Array.from(pixels) };
}"""
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}


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
def served(
    engine: Path, jpeg_decoder: Path, tiny_edge: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Served]:
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


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Yield a page of a phone; a message in its console that anything was refused fails the test."""
    opened = browser.new_context(**PHONE).new_page()
    refused: list[str] = []
    opened.on("console", lambda message: refused.append(message.text) if "Security Policy" in message.text else None)
    yield opened
    assert not refused
    opened.context.close()


def open_view(page: Page, address: str, view: str = "") -> None:
    """Open the site at a view and wait until it is ready; also where the address differs only in the view."""
    page.goto("about:blank")
    page.goto(f"{address}?lang=en#{view}", timeout=WAIT_MS)
    page.wait_for_selector("body[data-ready]", timeout=WAIT_MS)


def ask(page: Page, address: str, photo: Path) -> str:
    """Search a photo and return the name of the first product that is shown, "" if none is."""
    open_view(page, address)
    page.set_input_files("#view input[type=file]", photo)
    page.wait_for_selector(".answer .verdict", timeout=WAIT_MS)
    return page.locator(".answer :is(.name, .tile-name)").all_inner_texts()[:1][0]


def wait_until_kept(page: Page) -> None:
    """Wait until the device keeps the site."""
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")


def names(page: Page) -> list[str]:
    """Return the names of the products that a search by words shows."""
    page.wait_for_selector(".results .tile, .results .lead", timeout=WAIT_MS)
    return page.locator(".results .tile-name").all_inner_texts()


def test_photos_find_products_without_a_network(page: Page, served: Served, tiny_edge: Path, shop: Path) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    open_view(page, served.address)
    page.wait_for_selector(".toast:has-text('without a network')", timeout=WAIT_MS)
    served.stop()
    with edgesearch.open(tiny_edge) as store:
        for photo in sorted((shop / "photos").glob("*.jpg"))[:2]:
            assert ask(page, served.address, photo) == store.search(photo).matches[0].name
    assert {url.split("/")[2] for url in asked if url.startswith("http")} == {served.address.split("/")[2]}


def test_words_and_filters_find_products(page: Page, served: Served, tiny_edge: Path) -> None:
    with edgesearch.open(tiny_edge) as store:
        wanted = store.search(text="", where="price>0", k=1).matches[0]
        cheap = store.search(text=f"{wanted.name} under 100", k=24)
        category = store.search(where=f'category="{wanted.product.category}"', k=24)
    open_view(page, served.address, "words")
    page.fill("#words", f"{wanted.name} under 100")
    page.wait_for_selector(".understood", timeout=WAIT_MS)
    assert names(page) == [match.name for match in cheap.matches]
    page.fill("#words", "")
    page.wait_for_selector(".kinds .tile", timeout=WAIT_MS)
    page.evaluate("document.querySelector('.filter-box').open = true")
    page.select_option(".filter-box select >> nth=0", wanted.product.category)
    page.wait_for_selector(".results > .quiet", timeout=WAIT_MS)
    assert names(page) == [match.name for match in category.matches]


def test_links_and_scanners_lead_to_a_product(page: Page, served: Served, tiny_edge: Path) -> None:
    with edgesearch.open(tiny_edge) as store:
        product = next(one for one in store.products().values() if one.barcode)
        alternatives = [match.sku for match in store.similar(product.sku, 5, in_stock=True)]
    open_view(page, served.address, f"product/{product.sku}")
    page.wait_for_selector(".details", timeout=WAIT_MS)
    assert page.inner_text("h1") == product.name
    page.wait_for_selector(".alike .tile", timeout=WAIT_MS)
    assert page.evaluate(SIMILAR, product.sku) == alternatives
    open_view(page, served.address, "menu")
    page.wait_for_selector(".menu", timeout=WAIT_MS)
    page.evaluate(f"{json.dumps([*product.barcode, 'Enter'])}.forEach({TYPE})")
    page.wait_for_selector(".details", timeout=WAIT_MS)
    assert page.inner_text("h1") == product.name


def test_a_barcode_in_a_photo_decides(page: Page, served: Served, tiny_edge: Path, shop: Path, tmp_path: Path) -> None:
    with edgesearch.open(tiny_edge) as store:
        product = next(one for one in store.products().values() if one.barcode)
    other = next(path for path in sorted((shop / "photos").glob("*.jpg")) if product.sku not in path.name)
    shown = Image.open(other).convert("RGB").resize((900, 1200))
    shown.paste(draw_ean13(product.barcode.zfill(13)), (300, 900))
    shown.save(tmp_path / "labelled.jpg", quality=90)
    assert ask(page, served.address, tmp_path / "labelled.jpg") == product.name


def test_the_browser_decodes_what_python_decodes(page: Page, served: Served, shop: Path) -> None:
    photo = Image.open(next((shop / "photos").glob("*.jpg"))).convert("RGB").resize((1999, 1503))
    exif = Image.Exif()
    exif[0x0112] = 6
    open_view(page, served.address)
    for kind, options, tolerance in (
        ("JPEG", {"exif": exif}, 0),
        ("JPEG", {"exif": exif, "icc_profile": profile(P3, 2.2)}, 2),  # two libraries convert the colours
        ("PNG", {}, 0),
        ("WEBP", {"quality": 80}, 0),
    ):
        encoded = io.BytesIO()
        photo.save(encoded, kind, **options)
        expected = image.read(encoded.getvalue(), 320)
        found = page.evaluate(DECODE, [base64.b64encode(encoded.getvalue()).decode(), 320])
        pixels = np.array(found["pixels"], int).reshape(found["shape"])
        assert pixels.shape == expected.shape
        assert np.abs(pixels - expected).max() <= tolerance, (kind, options)


def test_a_product_held_still_is_answered(
    browser: Browser, served: Served, shop_edge: Path, shop: Path, tmp_path: Path
) -> None:
    write_site(shop_edge, served.folder)
    photo = shop / "photos" / "P000001-1.jpg"
    with edgesearch.open(shop_edge) as store:
        expected = store.search(photo).matches[0].name
    film = write_film([photo], tmp_path / "film.mjpeg", PORTRAIT)
    filming = launch(SimpleNamespace(chromium=browser.browser_type), film)  # type: ignore[arg-type]
    page = filming.new_context(permissions=["camera"], **PHONE).new_page()
    open_view(page, served.address)
    page.wait_for_selector(".answer .name", timeout=WAIT_MS)
    assert page.inner_text(".answer .name") == expected
    filming.close()


def test_a_photo_that_is_none_gets_one_sentence(page: Page, served: Served, tmp_path: Path) -> None:
    (tmp_path / "letter.jpg").write_text("dear")
    open_view(page, served.address)
    page.set_input_files("#view input[type=file]", tmp_path / "letter.jpg")
    page.wait_for_selector(".toast:has-text('read this picture')", timeout=WAIT_MS)


def test_a_damaged_bundle_gets_one_sentence(page: Page, served: Served) -> None:
    damage(served.folder / BUNDLE)
    open_view(page, served.address)
    page.wait_for_selector("[data-cover=catalogue]", timeout=WAIT_MS)
    assert "copy the bundle again" in page.inner_text("#cover")


def test_a_bundle_from_a_file_is_kept(page: Page, served: Served, tiny_edge: Path, tmp_path: Path) -> None:
    write_site(tiny_edge, served.folder, with_bundle=False)
    damaged = tmp_path / "damaged.edge"
    damaged.write_bytes(tiny_edge.read_bytes())
    damage(damaged)
    open_view(page, served.address)
    page.set_input_files("#cover input[type=file]", damaged)
    page.wait_for_selector(".toast:has-text('copy the bundle again')", timeout=WAIT_MS)
    page.set_input_files("#cover input[type=file]", tiny_edge)
    page.wait_for_selector("#cover[hidden]", state="attached", timeout=WAIT_MS)
    wait_until_kept(page)
    served.stop()
    open_view(page, served.address, "words")
    page.wait_for_selector(".kinds .tile", timeout=WAIT_MS)
    open_view(page, served.address, "menu")
    page.set_input_files(".menu input[type=file]", damaged)
    page.wait_for_selector(".toast:has-text('copy the bundle again')", timeout=WAIT_MS)
    open_view(page, served.address, "words")
    page.wait_for_selector(".kinds .tile", timeout=WAIT_MS)


def test_nothing_is_offered_that_needs_a_server(page: Page, served: Served) -> None:
    open_view(page, served.address, "menu")
    page.wait_for_selector(".menu", timeout=WAIT_MS)
    assert page.locator(".menu .act:has-text('Take photos')").count() == 0
    open_view(page, served.address, "shoot")
    page.wait_for_selector("body[data-view=find]", timeout=WAIT_MS)


def test_the_site_is_small(served: Served) -> None:
    contents = [path.read_bytes() for path in served.folder.rglob("*") if path.is_file() and path.name != BUNDLE]
    assert sum(map(len, contents)) <= 18e6
    assert sum(len(gzip.compress(content, 6)) for content in contents) <= 6e6


def damage(bundle: Path) -> None:
    """Flip a bit of a bundle's index."""
    opened = Bundle(bundle)
    at = opened.locations["index/index.arrays"].stop - 100
    opened.close()
    content = bytearray(bundle.read_bytes())
    content[at] ^= 1
    bundle.write_bytes(content)
