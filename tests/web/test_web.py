import json
import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing.chromium import PORTRAIT, browser, film, serving
from browsing.page_scenes import FAIL_CAMERA, SCENES, Visit, visit
from browsing.random_actions import survives
from playwright.sync_api import Browser, Page, Playwright

import edgesearch
from edgesearch.counting.photo_count import Count

from .browser import PHONE, needs_chromium
from .browser import address as address
from .browser import customer as customer
from .browser import device as device
from .browser import known as known
from .browser import playwright as playwright
from .browser import shows_known as shows_known
from .browser import strange as strange

WEB = Path(edgesearch.__file__).parent / "web"
DOCUMENTATION = {"docs.css"}  # the server's page, not a part of this one
LARGEST_KB, LONGEST_LINES = 150, 250
WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def shell() -> dict[str, Path]:
    """The files of the page, by their addresses."""
    files = {path.relative_to(WEB).as_posix(): path for path in WEB.rglob("*") if path.is_file()}
    return {name: path for name, path in files.items() if name not in DOCUMENTATION}


def words(language: str) -> dict[str, str]:
    table: dict[str, str] = json.loads((WEB / "i18n" / f"{language}.json").read_text(encoding="utf-8"))
    return table


def test_page_is_small() -> None:
    sizes = {name: path.stat().st_size for name, path in shell().items() if not name.endswith(".png")}
    assert sum(sizes.values()) <= LARGEST_KB * 1000
    for name, path in shell().items():
        if name.endswith(".js"):
            assert len(path.read_text(encoding="utf-8").splitlines()) < LONGEST_LINES, name


def test_everything_of_the_page_is_kept_for_offline() -> None:
    kept = re.search(r"SHELL = \[(.*?)\]", (WEB / "sw.js").read_text(encoding="utf-8"), re.S)
    assert kept
    names = set(re.findall(r'"([^"]+)"', kept[1]))
    assert names == set(shell()) - {"sw.js", "index.html"} | {"./"}


def test_page_names_no_other_place_and_nothing_inline() -> None:
    for name, path in shell().items():
        if not name.endswith(".png"):
            text = path.read_text(encoding="utf-8")
            assert set(re.findall(r"\w+://[^\"'\s`<]+", text)) <= {"http://www.w3.org/2000/svg"}, name
            assert not re.search(r"(?:src|href|url\()\s*=?\s*[\"']?/", text), f"{name}: an address that is not relative"
    page = (WEB / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)", page)


def test_languages_say_the_same() -> None:
    english = words("en")
    for path in (WEB / "i18n").glob("*.json"):
        own = words(path.stem)
        assert {key for key in english if not key.endswith(".one")} <= set(own), path.name
        for key, text in own.items():
            named = english.get(key) or english[re.sub(r"\.(zero|one|two|few|many)$", ".other", key)]
            assert set(re.findall(r"\{\w+\}", text)) <= set(re.findall(r"\{\w+\}", named)) | {"{n}"}, key


def test_every_word_that_is_said_is_there() -> None:
    english = words("en")
    code = "".join(path.read_text(encoding="utf-8") for name, path in shell().items() if name.endswith(".js"))
    for key in re.findall(r"\bt\(\"([\w.]+)\"", code):
        assert key in english or f"{key}.other" in english, key


def test_manifest_installs_the_page() -> None:
    manifest = json.loads((WEB / "manifest.webmanifest").read_text(encoding="utf-8"))
    assert manifest["start_url"] == manifest["scope"] == "./"
    assert {"192x192", "512x512"} <= {icon["sizes"] for icon in manifest["icons"]}
    assert all((WEB / icon["src"]).is_file() for icon in manifest["icons"])


@needs_chromium
def test_product_held_still_is_answered_and_nobody_else_is_asked(customer: Visit) -> None:
    asked: list[str] = []
    customer.page.on("request", lambda request: asked.append(request.url))
    customer.open()
    customer.sees(".product .price")
    assert customer.page.inner_text(".verdict h1") in (words("en")["answer.match"], words("en")["answer.ambiguous"])
    with_name = customer.page.inner_text(".product .name")
    customer.until(f"document.querySelector('#live').textContent.includes({json.dumps(with_name)})")
    customer.press(".answer-foot .button")
    customer.sees(".shutter")
    assert all(url.startswith((customer.address, "blob:", "data:")) for url in asked)


@needs_chromium
def test_product_is_taught_and_found_again(playwright: Playwright, device: Path, strange: Path, tmp_path: Path) -> None:
    filmed = film([strange], tmp_path / "strange.mjpeg", PORTRAIT)
    with serving(device) as address, browser(playwright, filmed) as opened:
        staff = visit(opened, address, strange, **PHONE)
        staff.decided("unknown")
        staff.open()
        staff.sees(".shutter")
        staff.until("document.querySelector('#video').videoWidth > 0")
        staff.press(".shutter")
        staff.sees(".verdict.unknown")
        staff.press(".answer-body .button.primary")  # one
        staff.sees(".teach form")
        staff.page.keyboard.type("Harbour biscuits")  # the name has the focus
        staff.press(".teach [type=submit]")  # two
        staff.sees(".teach .verdict.match")
        again = visit(opened, address, strange, **PHONE)
        again.open()
        again.sees(".verdict.match")
        assert again.page.inner_text(".product .name") == "Harbour biscuits"


@needs_chromium
def test_page_reloads_without_a_server_and_goes_on_with_it(shows_known: Browser, device: Path, known: Path) -> None:
    with serving(device) as address:
        customer = visit(shows_known, address, known, **PHONE)
        customer.open("words")
        customer.until("navigator.serviceWorker.ready.then((one) => one.active.state === 'activated')")
        customer.until("caches.open('edgesearch-shell').then((cache) => cache.match('app.js')).then(Boolean)")
    customer.page.reload()
    customer.sees("[data-cover=gone]")
    with serving(device, int(address.rstrip("/").rsplit(":")[-1])):
        customer.page.wait_for_selector("#cover", state="hidden", timeout=20_000)
        customer.sees(".results .chip")
    customer.page.context.close()


@needs_chromium
def test_without_the_camera_a_photo_from_the_gallery_is_answered(
    playwright: Playwright, address: str, known: Path, tmp_path: Path
) -> None:
    with browser(playwright, film([known], tmp_path / "known.mjpeg"), denied=True) as opened:
        customer = Visit(opened.new_context(**PHONE).new_page(), address, known)
        customer.open()
        customer.sees(".calm")
        customer.press(".calm .button.primary")  # use the camera
        customer.until(f"document.querySelector('h1').textContent === {json.dumps(words('en')['trouble.denied'])}")
        customer.page.set_input_files("input[type=file]", known)
        customer.sees(".product .price, .choices .tile")


@needs_chromium
def test_camera_that_is_unplugged_goes_on_when_it_is_back(customer: Visit) -> None:
    customer.told("v1/frames", decision="unknown")
    customer.open()
    customer.until("document.querySelector('#video').videoWidth > 0")
    customer.page.evaluate(f"window.plugged = navigator.mediaDevices.getUserMedia; {FAIL_CAMERA % 'NotFoundError'} 0")
    customer.page.evaluate("video.srcObject.getVideoTracks()[0].dispatchEvent(new Event('ended'))")
    customer.until(f"document.querySelector('h1').textContent === {json.dumps(words('en')['trouble.missing'])}")
    customer.page.evaluate("navigator.mediaDevices.getUserMedia = window.plugged; 0")
    customer.page.evaluate("navigator.mediaDevices.dispatchEvent(new Event('devicechange'))")
    customer.sees(".shutter")
    customer.until("document.querySelector('#video').videoWidth > 0")


@needs_chromium
@pytest.mark.parametrize("scene", SCENES)
def test_screen_has_no_accessibility_violation(customer: Visit, scene: str) -> None:
    customer.page.emulate_media(reduced_motion="reduce")
    SCENES[scene](customer)
    for theme in ("dark", "bright"):
        customer.page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        found = Axe().run(customer.page, options=WCAG).response["violations"]
        assert not [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found], theme
    across = customer.page.evaluate(
        "document.querySelector('#view').scrollWidth - document.querySelector('#view').clientWidth"
    )
    assert across <= 0  # nothing is to be moved sideways


@needs_chromium
def test_kiosk_begins_anew_when_nobody_is_there(customer: Visit) -> None:
    customer.told("v1/frames", decision="unknown")
    customer.query = "kiosk=4&lang=en&theme=dark"
    customer.open()
    customer.sees(".attract")
    customer.press(".attract .button >> text=中文")
    customer.until("document.documentElement.lang === 'zh-Hans'")
    customer.sees(".shutter")
    customer.press(".press >> nth=-1")
    customer.page.fill("#words", "mug")
    customer.sees("dialog[open]")  # asks first
    customer.sees(".attract")
    assert customer.page.get_attribute("html", "lang") == "en"
    customer.page.keyboard.press("Tab")
    customer.page.keyboard.press("Enter")
    customer.sees(".shutter")
    customer.press(".press >> nth=-1")
    assert customer.page.input_value("#words") == ""


@needs_chromium
def test_busy_server_is_asked_again(customer: Visit) -> None:
    error = {"error": {"kind": "BusyError", "message": "20 requests wait already; ask again in a second."}}
    customer.page.route(
        "**/v1/search*", lambda route: route.fulfill(status=429, headers={"Retry-After": "1"}, json=error), times=1
    )
    customer.open("words")
    customer.press(".results .chip")
    customer.sees(".toast")
    customer.sees(".results .tile")


@needs_chromium
def test_scanner_that_types_shows_the_product(customer: Visit, shop: Path) -> None:
    row = (shop / "catalogue.csv").read_text(encoding="utf-8").splitlines()[1]
    sku, code = row.split(",")[0], row.split(",")[-1]
    customer.open("menu")
    typed = "(key) => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }))"
    customer.page.evaluate(f"{json.dumps([*code, 'Enter'])}.forEach({typed})")
    customer.sees(".details")
    assert sku in customer.page.inner_text(".details")


@needs_chromium
@pytest.mark.parametrize(("share", "words_of"), [(0.6, "answer.ambiguous"), (0.4, "answer.unknown")])
def test_what_is_rather_here_than_not_is_asked_for(customer: Visit, share: float, words_of: str) -> None:
    customer.decided("unknown", known=share, flaw="")
    customer.open()
    customer.sees(".shutter")
    customer.until("document.querySelector('#video').videoWidth > 0")
    customer.press(".shutter")
    customer.sees(".verdict")
    assert customer.page.inner_text(".verdict h1") == words("en")[words_of]


@needs_chromium
def test_pieces_are_counted_by_the_server(shows_known: Browser, device: Path, known: Path) -> None:
    with serving(device) as address:
        worker = visit(shows_known, address, known, **PHONE)
        worker.open("count")
        worker.page.fill("form.begin input", "Gang 7")
        worker.press("form.begin [type=submit]")
        worker.until("document.querySelector('#video').videoWidth > 0")
        worker.press(".stepper .round >> nth=1")
        worker.press(".count-press")
        worker.sees(".counted, .count-choices")
        if worker.page.locator(".count-choices").count():  # not sure of it: say so
            worker.press(".count-choices .act")
        worker.sees(".counted")
        assert worker.page.inner_text(".counted-n") == "2"
        worker.press(".count-controls .row .button >> nth=0")
        worker.until("!document.querySelector('.counted')")
        worker.page.context.close()
    with edgesearch.open(device) as store, Count(store, device / "counts" / "Gang 7.csv") as count:
        assert not count.counts and count.to_review[0].times == 2


@needs_chromium
def test_counting_works_with_one_key_and_says_how_many(customer: Visit) -> None:
    asked: list[str] = []
    customer.page.on("request", lambda request: asked.append(request.url) if "/photos" in request.url else None)
    SCENES["counted"](customer)
    assert customer.page.inner_text(".counted-n") == "12"
    customer.press(".stepper .round >> nth=1")
    customer.page.keyboard.press(" ")
    customer.until("document.querySelector('.times').textContent.includes('1')")
    assert [url.rpartition("?")[2] for url in asked] == ["times=1", "times=2"]


@needs_chromium
@pytest.mark.parametrize("width, height", [(320, 568), (568, 320), (844, 390), (3840, 2160)])
def test_what_is_to_be_pressed_is_on_the_screen(customer: Visit, width: int, height: int) -> None:
    customer.page.set_viewport_size({"width": width, "height": height})
    SCENES["counted"](customer)
    _all_within(customer.page, ".count-press")
    SCENES["match"](customer)
    _all_within(customer.page, ".answer-foot .button")
    customer.press(".answer-foot .button")
    customer.sees(".shutter")
    _all_within(customer.page, ".shutter, .press, #bar button")


def _all_within(page: Page, selector: str) -> None:
    """All are on the screen, and large enough to be hit."""
    for box in [one.bounding_box() for one in page.locator(selector).all()]:
        assert box
        size = page.viewport_size or {}
        assert box["x"] >= 0 and box["y"] >= 0 and min(box["width"], box["height"]) >= 44
        assert box["x"] + box["width"] <= size["width"] and box["y"] + box["height"] <= size["height"]


@needs_chromium
def test_page_survives_whoever_presses_anything(shows_known: Browser, device: Path, known: Path) -> None:
    with serving(device) as address:
        monkey = visit(shows_known, address, known, **PHONE)
        monkey.open()
        assert survives(monkey.page, known, actions=60, seed=0) == []
        monkey.page.context.close()
