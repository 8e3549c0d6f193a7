"""The site in Chromium is taught: it keeps that through reloads, other tabs, full disks and updates, and shares it."""

import base64
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import edgesearch
from edgesearch.browser.site import write_site
from edgesearch.device import learned_export
from edgesearch.images import image
from edgesearch.search.open_bundle import network_of
from tests.conftest import TINY_MODEL, coarse_pattern

pytest.importorskip("playwright", reason="playwright is not installed (extra `dev`)")
pytest.importorskip("fastapi", reason="the extra `server` is not installed")

from browsing.chromium import find_chromium
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser import test_page
from tests.browser.test_page import Served

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_chromium() is None, reason="no Chromium is here (Debian: chromium)"),
]
browser, served = test_page.browser, test_page.served  # fixtures
SEND = """async ([method, path, {query, json, fields, photos, file}]) => {
  const decode = (text) => new Blob([Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0))]);
  const form = new FormData();
  for (const [name, value] of Object.entries(fields ?? {})) form.append(name, value);
  for (const photo of photos ?? []) form.append("photo", decode(photo));
  const { send } = await import("./host.js");
  const body = file ? decode(file) : photos ? form : undefined;
  const { status, content, error } = await send(method, path, { query, json, body });
  if (!(content instanceof Blob)) return { status, content, error };
  return { status, content: Array.from(new Uint8Array(await content.arrayBuffer())) };
}"""

FULL = """let left = Infinity;
new BroadcastChannel("full").onmessage = ({ data }) => { left = data; };
const { put } = IDBObjectStore.prototype;
IDBObjectStore.prototype.put = function (...row) {
  if (left-- <= 0) throw new DOMException("full", "QuotaExceededError");
  return put.apply(this, row);
};
"""
DENIED = 'IDBFactory.prototype.open = () => { throw new DOMException("denied", "SecurityError"); };\n'


def prepend(served: Served, fault: str) -> None:
    """Let the storage of a site fail."""
    module = served.folder / "device_storage.js"
    module.write_text(fault + module.read_text(encoding="utf-8"), encoding="utf-8")


def send(page: Page, method: str, path: str, **options: Any) -> Any:
    """Send a request to the engine and return its content; raise AssertionError with the sentence of an error."""
    found = page.evaluate(SEND, [method, path, options])
    assert "error" not in found or found["error"] is None, found["error"]["message"]
    return found["content"]


def refuse(page: Page, method: str, path: str, **options: Any) -> str:
    """Send a request that is refused, and return the sentence."""
    found = page.evaluate(SEND, [method, path, options])
    assert found["error"], found
    assert found["status"] < 500, found
    return str(found["error"]["message"])


def encode(pattern: int) -> str:
    """Return a photo of a product that the shop lacks."""
    return base64.b64encode(image.thumbnail(coarse_pattern(pattern), 960)).decode()


def first_of(page: Page, photo: str) -> str:
    """Return the SKU that a photo finds first."""
    return str(send(page, "POST", "search", photos=[photo])["matches"][0]["sku"])


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """Yield a browser profile of one test."""
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, served: Served) -> Page:
    """Open the site."""
    return open_page(context, served)


def open_page(context: BrowserContext, served: Served) -> Page:
    """Open the site in another tab, once its engine answers."""
    page = context.new_page()
    page.goto(served.address)
    send(page, "GET", "health")
    return page


def test_what_is_taught_is_found_in_every_tab_and_after_a_reload(
    page: Page,
    context: BrowserContext,
    served: Served,
) -> None:
    other = open_page(context, served)
    mug = encode(80)
    done = send(page, "POST", "products", fields={"sku": "NEW", "name": "Blue mug", "price": "4.50"}, photos=[mug])
    assert (done["pictures"], done["product"]["name"], done["product"]["price"]) == (1, "Blue mug", 4.5)
    for tab in (page, other):
        assert first_of(tab, mug) == "NEW"
    page.reload()
    assert first_of(page, mug) == "NEW"
    assert image.read(bytes(send(page, "GET", "pictures/NEW"))).shape == coarse_pattern(80).shape
    send(other, "DELETE", "products/NEW")
    assert first_of(page, mug) != "NEW"
    assert send(page, "POST", "undo")["undone"] == "remove"
    assert first_of(other, mug) == "NEW"
    events = send(page, "GET", "log")["events"]
    assert [event["what"] for event in events] == ["enrol", "remove", "undo"]
    assert events[0]["changes"] == ["new product", "name Blue mug", "price 4.50", "currency EUR", "1 picture added"]


def test_taught_pictures_are_answered_as_in_python(page: Page, tiny_edge: Path, shop: Path, tmp_path: Path) -> None:
    known = sorted((shop / "photos").glob("*.jpg"))
    photos = [base64.b64encode(photo.read_bytes()).decode() for photo in known[:4]] + [encode(80), encode(81)]
    edgesearch.install(tiny_edge, tmp_path / "device")
    with edgesearch.open(tmp_path / "device") as store:
        skus = sorted(store.skus())
        taught = {"NEW": (photos[4:], {"name": "Blue mug"}), skus[0]: (photos[:2], {})}
        for sku, (some, details) in taught.items():
            store.enrol(sku, [base64.b64decode(photo) for photo in some], **details)
            send(page, "POST", "products", fields={"sku": sku, **details}, photos=some)
        store.remove(skus[1])
        send(page, "DELETE", f"products/{skus[1]}")
        for photo in photos:
            answer, found = store.search(base64.b64decode(photo)), send(page, "POST", "search", photos=[photo])
            assert found["decision"] == answer.decision
            pairs = zip(found["matches"], answer.matches, strict=True)
            assert all(abs(one["probability"] - match.probability) < 0.02 for one, match in pairs)
            assert {skus[1]}.isdisjoint(one["sku"] for one in found["matches"])


def test_another_device_and_a_build_take_what_was_taught(
    page: Page,
    browser: Browser,
    served: Served,
    shop: Path,
    tmp_path: Path,
) -> None:
    mug = encode(80)
    send(page, "POST", "products", fields={"sku": "NEW", "name": "Blue mug"}, photos=[mug])
    content = bytes(send(page, "GET", "taught.zip"))
    (tmp_path / "taught.zip").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "taught.zip") as archive:
        archive.extractall(tmp_path)
    merged = tmp_path / "merged.edge"
    edgesearch.build(shop / "catalogue.csv", merged, TINY_MODEL, sequence=2, merge=[tmp_path / "taught"])
    with edgesearch.open(merged) as store:
        assert store.search(base64.b64decode(mug)).matches[0].sku == "NEW"
    device = browser.new_context()
    other = open_page(device, served)
    assert send(other, "POST", "taught", file=base64.b64encode(content).decode()) == {"products": 1}
    assert first_of(other, mug) == "NEW"
    assert "not a zip" in refuse(other, "POST", "taught", file=base64.b64encode(b"dear").decode())
    device.close()
    write_site(merged, served.folder)  # the update contains the picture, which is then no second one
    updated = open_page(page.context, served)
    updated.reload()
    assert first_of(updated, mug) == "NEW"


def test_a_full_device_says_so_and_loses_nothing(context: BrowserContext, served: Served) -> None:
    prepend(served, FULL)
    page = open_page(context, served)
    send(page, "POST", "products", fields={"sku": "NEW", "name": "Blue mug"}, photos=[encode(80)])
    more = {"fields": {"sku": "OTHER", "name": "Red mug"}, "photos": [encode(81)]}
    for rows in range(4):
        page.evaluate("(rows) => new BroadcastChannel('full').postMessage(rows)", rows)
        assert "no space left" in refuse(page, "POST", "products", **more)
        assert first_of(page, encode(80)) == "NEW"
        assert [event["what"] for event in send(page, "GET", "log")["events"]] == ["enrol"]
    page.evaluate("() => new BroadcastChannel('full').postMessage(1000)")
    send(page, "POST", "products", **more)
    assert first_of(page, encode(81)) == "OTHER"


def test_a_tab_that_is_closed_in_the_middle_leaves_a_whole_change_or_none(
    page: Page, context: BrowserContext, served: Served
) -> None:
    mug = encode(80)
    for wait_ms in (0, 150, 400, 900):
        tab = open_page(context, served)
        options = {"fields": {"sku": "NEW", "name": f"mug {wait_ms}"}, "photos": [mug]}
        tab.evaluate(f"(given) => {{ ({SEND})(given); }}", ["POST", "products", options])
        tab.wait_for_timeout(wait_ms)
        tab.close(run_before_unload=False)
    other = open_page(context, served)
    events = send(other, "GET", "log")["events"]
    taught = [event["detail"]["after"] for event in events]
    assert all(set(change["pictures"].values()) == {1} for change in taught)
    assert (first_of(other, mug) == "NEW") == bool(events)
    send(other, "POST", "products", fields={"sku": "NEW", "name": "Blue mug"}, photos=[mug])
    assert send(other, "GET", "products/NEW")["product"]["name"] == "Blue mug"


def test_where_the_browser_keeps_nothing_searches_work_and_teaching_says_why(
    context: BrowserContext, served: Served
) -> None:
    prepend(served, DENIED)
    page = open_page(context, served)
    health = send(page, "GET", "health")
    assert (health["can_teach"], health["can_count"]) == (False, False)
    assert send(page, "POST", "search", photos=[encode(80)])["matches"]
    fields = {"sku": "NEW", "name": "Blue mug"}
    for sentence in (
        refuse(page, "POST", "products", fields=fields, photos=[encode(80)]),
        refuse(page, "POST", "counts", json={"name": "aisle 4"}),
    ):
        assert "in an ordinary window" in sentence


def test_a_count_survives_a_reload(page: Page, shop: Path) -> None:
    send(page, "POST", "counts", json={"name": "aisle 4"})
    photo = base64.b64encode(next((shop / "photos").glob("*.jpg")).read_bytes()).decode()
    seen = send(page, "POST", "counts/aisle%204/photos", file=photo, query={"times": 3})
    assert (seen["new"], seen["seen"]["times"]) == (True, 3)
    assert send(page, "POST", "counts/aisle%204/photos", file=photo)["new"] is False
    if seen["seen"]["status"] == "aside":
        assert image.read(bytes(send(page, "GET", f"counts/aisle%204/photos/{seen['seen']['id']}"))).ndim == 3
    corrected = {"photo": seen["seen"]["id"], "sku": "P000002", "times": 2}
    send(page, "POST", "counts/aisle%204/correct", json=corrected)
    page.reload()
    assert send(page, "GET", "counts") == {"names": ["aisle 4"]}
    state = send(page, "GET", "counts/aisle%204")
    assert [(row["sku"], row["count"]) for row in state["counts"]] == [("P000002", 2)]
    assert not state["waiting"]
    assert b"P000002" in bytes(send(page, "GET", "counts/aisle%204/stock.csv"))
    assert "begin it first" in refuse(page, "GET", "counts/other")


def test_a_choice_teaches_the_device_until_it_is_taken_back(
    context: BrowserContext, served: Served, shop_edge: Path, tmp_path: Path
) -> None:
    write_site(shop_edge, served.folder)
    page, mug = open_page(context, served), encode(80)
    assert send(page, "POST", "learn", file=mug, query={"sku": "P000002"})["why"] == "learning is off"
    assert send(page, "PUT", "learning", json={"on": True})["on"]
    lesson = send(page, "POST", "learn", file=mug, query={"sku": "P000002"})
    (picture,) = send(page, "GET", "learned")["learned"]
    assert (picture["number"], picture["state"], picture["sku"]) == (lesson["number"], lesson["state"], "P000002")
    send(page, "POST", "learned/accept", query={"number": lesson["number"]})
    answer = send(page, "POST", "search", photos=[mug])
    best = answer["matches"][0]
    assert (best["sku"], best["row"] < -(2**32)) == ("P000002", True)
    assert image.read(bytes(send(page, "GET", f"learned/{lesson['number']}/picture"))).ndim == 3
    assert send(page, "POST", "learn", file=mug, query={"sku": "P000002"})["state"] == "refused"
    (tmp_path / "taught.zip").write_bytes(bytes(send(page, "GET", "taught.zip")))
    with zipfile.ZipFile(tmp_path / "taught.zip") as archive:
        archive.extractall(tmp_path)
    with edgesearch.open(shop_edge) as store:
        hashes, dim = store.base.bundle.manifest.hashes, store.base.index.dim
    shared = learned_export.read(tmp_path / "taught", network_of(hashes), hashes["local"], dim)
    assert [(one.sku, one.has_picture) for one in shared.pictures] == [("P000002", True)]
    send(page, "POST", "learned/dismiss", query={"row": best["row"]})
    assert send(page, "GET", "learned")["learned"][0]["state"] == "aside"
    assert len(send(page, "DELETE", "learned", query={"sku": "P000002"})["learned"]) == 1
    assert send(page, "POST", "search", photos=[mug])["matches"][0]["row"] >= 0
    events = [event["what"] for event in send(page, "GET", "log")["events"]]
    assert events == ["learning", "learn", "settle", "export", "settle", "forget"]
    assert "expected true or false" in refuse(page, "PUT", "learning", json={"on": True, "per_product": 0})
