"""The service worker keeps the site, says if it cannot, and changes to a new version between two visits."""

from pathlib import Path

import pytest

import edgesearch
from edgesearch.browser.site import BUNDLE, write_site
from tests.conftest import TINY_MODEL

pytest.importorskip("playwright", reason="playwright is not installed (extra `dev`)")
pytest.importorskip("fastapi", reason="the extra `server` is not installed")

from browsing.chromium import find_chromium
from playwright.sync_api import Browser, Page

from tests.browser.test_page import WAIT_MS, Served, browser, open_view, page, served  # noqa: F401  # fixtures

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_chromium() is None, reason="no Chromium is here (Debian: chromium)"),
]
LITTLE = 1_000_000  # bytes, less than the site has
SEQUENCE = """async () => {
  const { send } = await import("./host.js");
  const { content } = await send("GET", "health");
  return content.catalogue.sequence;
}"""
UPDATE = """async () => {
  const registration = await navigator.serviceWorker.ready;
  await registration.update();
  const worker = registration.installing ?? registration.waiting;
  if (worker?.state === "installing") await new Promise((resolve) => worker.addEventListener("statechange", resolve));
  return worker?.state;
}"""


def keep(page: Page, address: str) -> None:  # noqa: F811
    """Open the site and wait until the device keeps it."""
    open_view(page, address)
    page.wait_for_function("navigator.serviceWorker.ready.then(() => true)", timeout=WAIT_MS)
    open_view(page, address)


def write_newer(served: Served, shop: Path, folder: Path) -> None:  # noqa: F811
    """Replace the site by one whose catalogue is newer."""
    edgesearch.build(shop / "catalogue.csv", folder / "newer.edge", TINY_MODEL, sequence=2)
    write_site(folder / "newer.edge", served.folder)


@pytest.mark.parametrize("denied", [False, True])
def test_a_device_that_cannot_keep_the_site_says_so_and_searches(
    browser: Browser,  # noqa: F811
    served: Served,  # noqa: F811
    denied: bool,
) -> None:
    context = browser.new_context(service_workers="allow")
    page = context.new_page()  # noqa: F811
    if denied:
        page.add_init_script("CacheStorage.prototype.open = ServiceWorkerContainer.prototype.register = "
                             "async () => { throw new DOMException('denied', 'SecurityError'); };")  # fmt: skip
    else:
        devtools = context.new_cdp_session(page)
        devtools.send("Storage.overrideQuotaForOrigin", {"origin": served.address.rstrip("/"), "quotaSize": LITTLE})
    open_view(page, served.address)
    page.wait_for_selector(".toast", timeout=WAIT_MS)
    assert "does not keep the site" in page.inner_text(".toast")
    assert page.evaluate(SEQUENCE) == 1
    context.close()


@pytest.mark.parametrize("damaged", [False, True])
def test_a_bundle_of_several_parts_is_checked(
    page: Page,  # noqa: F811
    served: Served,  # noqa: F811
    tiny_edge: Path,
    monkeypatch: pytest.MonkeyPatch,
    damaged: bool,
) -> None:
    monkeypatch.setattr("edgesearch.browser.site.PART_BYTES", 1 << 13)
    write_site(tiny_edge, served.folder)
    worker, bundle = served.folder / "sw.js", served.folder / BUNDLE
    worker.write_text(worker.read_text("utf-8").replace("1 << 20", "1 << 13"), "utf-8")
    assert bundle.stat().st_size > 2 << 13
    if damaged:
        bundle.write_bytes(bundle.read_bytes()[:-1] + b"?")  # of the zip's directory, which no search reads
    open_view(page, served.address)
    page.wait_for_selector(".toast", timeout=WAIT_MS)
    said = "does not keep the site" if damaged else "works without a network"
    assert said in page.inner_text(".toast")


def test_open_pages_keep_their_version_and_the_next_visit_has_the_new_one(
    page: Page,  # noqa: F811
    served: Served,  # noqa: F811
    shop: Path,
    tmp_path: Path,
) -> None:
    keep(page, served.address)
    write_newer(served, shop, tmp_path)
    assert page.evaluate(UPDATE) == "installed"
    assert page.evaluate(SEQUENCE) == 1
    page.reload()
    page.wait_for_selector("body[data-ready]", timeout=WAIT_MS)
    assert page.evaluate(SEQUENCE) == 1
    context = page.context
    page.close()
    other = context.new_page()
    open_view(other, served.address)
    assert other.evaluate(SEQUENCE) == 2


def test_half_a_new_version_is_not_used(page: Page, served: Served, shop: Path, tmp_path: Path) -> None:  # noqa: F811
    keep(page, served.address)
    write_newer(served, shop, tmp_path)
    bundle = served.folder / BUNDLE
    bundle.write_bytes(bundle.read_bytes()[:-1])
    assert page.evaluate(UPDATE) == "redundant"
    served.stop()
    open_view(page, served.address)
    assert page.evaluate(SEQUENCE) == 1
