"""The page: its files, and its behaviour in a real browser."""

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest
from browsing.chromium import PORTRAIT, open_browser, serve_device, write_film
from browsing.page_scenes import FAIL_CAMERA, SCENES
from browsing.random_actions import act_at_random
from browsing.visitor import Visitor, new_visitor
from PIL import Image
from playwright.sync_api import Browser, Playwright, Route

import edgesearch
from edgesearch.counting.photo_count import Count
from edgesearch.images.image import thumbnail
from edgesearch.learning import contradiction

from .browser import PHONE, needs_chromium
from .browser import address as address
from .browser import customer as customer
from .browser import device as device
from .browser import known_photo as known_photo
from .browser import playwright as playwright
from .browser import shows_known as shows_known
from .browser import unknown_photo as unknown_photo

WEB = Path(edgesearch.__file__).parent / "web"
DOCUMENTATION = {"docs.css"}  # belongs to /v1/docs, not to this page
LARGEST_KB, LONGEST_LINES = 80, 250  # as sent
END_TRACK = "video.srcObject.getVideoTracks()[0].dispatchEvent(new Event('ended'))"  # as when the camera is taken away


def shell() -> dict[str, Path]:
    """Return the files of the page by their paths."""
    files = {path.relative_to(WEB).as_posix(): path for path in WEB.rglob("*") if path.is_file()}
    return {name: path for name, path in files.items() if name not in DOCUMENTATION}


def words(language: str) -> dict[str, str]:
    table: dict[str, str] = json.loads((WEB / "i18n" / f"{language}.json").read_text(encoding="utf-8"))
    return table


def test_page_is_small() -> None:
    contents = {name: path.read_bytes() for name, path in shell().items() if not name.endswith(".png")}
    sizes = {name: len(gzip.compress(content)) for name, content in contents.items()}
    others = [sizes.pop(name) for name in list(sizes) if name.startswith("i18n/") and name != "i18n/en.json"]
    assert sum(sizes.values()) + max(others) <= LARGEST_KB * 1000  # a visitor reads English and one other language
    for name, path in shell().items():
        if name.endswith(".js"):
            assert len(path.read_text(encoding="utf-8").splitlines()) < LONGEST_LINES, name


def test_service_worker_caches_every_file() -> None:
    kept = re.search(r"SHELL = \[(.*?)\]", (WEB / "sw.js").read_text(encoding="utf-8"), re.S)
    assert kept
    names = set(re.findall(r'"([^"]+)"', kept[1]))
    languages = {name for name in shell() if name.startswith("i18n/")} - {"i18n/en.json"}  # cached when used
    assert names == set(shell()) - {"sw.js", "index.html"} - languages | {"./"}


def test_page_has_no_foreign_addresses_and_no_inline_code() -> None:
    for name, path in shell().items():
        if not name.endswith(".png"):
            text = path.read_text(encoding="utf-8")
            assert set(re.findall(r"\w+://[^\"'\s`<]+", text)) <= {"http://www.w3.org/2000/svg"}, name
            assert not re.search(r"(?:src|href|url\()\s*=?\s*[\"']?/", text), f"{name}: not a relative address"
    page = (WEB / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)", page)


def test_every_text_that_the_code_uses_exists() -> None:
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
def test_product_held_still_is_answered_without_foreign_requests(customer: Visitor) -> None:
    asked: list[str] = []
    customer.page.on("request", lambda request: asked.append(request.url))
    customer.open()
    customer.wait_for(".product .price")
    with_name = customer.page.inner_text(".product .name")
    guessed = words("en")["answer.guessed"].replace("{name}", with_name)
    assert customer.page.inner_text(".verdict h1") in (words("en")["answer.match"], guessed)
    customer.wait_until(f"document.querySelector('#live').textContent.includes({json.dumps(with_name)})")
    customer.press(".answer-foot > :last-child")
    customer.wait_for(".shutter")
    assert all(url.startswith((customer.address, "blob:", "data:")) for url in asked)


@needs_chromium
def test_product_is_taught_and_found_again(
    playwright: Playwright, device: Path, unknown_photo: Path, tmp_path: Path
) -> None:
    filmed = write_film([unknown_photo], tmp_path / "strange.mjpeg", PORTRAIT)
    with serve_device(device) as address, open_browser(playwright, filmed) as opened:
        staff = new_visitor(opened, address, unknown_photo, **PHONE)
        staff.force_decision("unknown")
        staff.open()
        staff.wait_for(".shutter")
        staff.wait_until("document.querySelector('#video').videoWidth > 0")
        staff.press(".shutter")
        staff.wait_for(".verdict.unknown")
        staff.press(".answer-foot .button >> nth=0")  # none of these
        staff.press(".words > .row .button")
        staff.page.fill("#words", "Harbour biscuits")
        staff.wait_until("!document.querySelector('.teach .tile')")  # there is none
        staff.press(".teach-content > .button")
        staff.page.evaluate(f"{FAIL_CAMERA % 'NotReadableError'} {END_TRACK}")
        staff.wait_for(f".toast:has-text({json.dumps(words('en')['trouble.lost'])})")
        staff.press(".teach .shots > .button")
        staff.wait_for(f".toast:has-text({json.dumps(words('en')['trouble.taken'])})")
        assert staff.page.input_value(".teach input[required]") == "Harbour biscuits"
        staff.press(".teach .button[type=submit]")
        staff.wait_for(".teach .verdict.match")
        again = new_visitor(opened, address, unknown_photo, **PHONE)
        again.open()
        again.wait_for(".verdict.match")
        assert again.page.inner_text(".product .name") == "Harbour biscuits"


@needs_chromium
def test_photos_are_taken_by_themselves_and_deleted_by_back(
    playwright: Playwright, device: Path, shop: Path, known_photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contradiction, "UNSUPPORTED", 1.0)  # a mug on its side is taken without asking
    views = [tmp_path / f"{turn}.png" for turn in range(4)]
    with Image.open(known_photo) as opened_photo:
        for turn, path in enumerate(views):
            opened_photo.rotate(90 * turn, expand=True).save(path)
    with edgesearch.open(device) as store:
        store.learner.switch(True)
    filmed = write_film(views, tmp_path / "turned.mjpeg", PORTRAIT)
    code = (shop / "catalogue.csv").read_text(encoding="utf-8").splitlines()[2].split(",")[-1]
    with serve_device(device) as address, open_browser(playwright, filmed) as opened:
        staff = new_visitor(opened, address, known_photo, **PHONE)
        staff.open("shoot")
        staff.wait_for(".shoot .counted-name")
        staff.wait_until("document.querySelector('#video').videoWidth > 0")
        typed = "(key) => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }))"
        staff.page.evaluate(f"{json.dumps([*code, 'Enter'])}.forEach({typed})")  # begins with its product
        staff.wait_until("document.querySelector('.count-message .quiet').textContent.includes(' now.')", 90_000)
        with edgesearch.open(device) as store:
            assert {(one.sku, one.source) for one in store.learner.pictures()} == {("P000001", "capture")}
        staff.press(".count-controls .row .button >> nth=0")
        staff.wait_for(".toast")
        with edgesearch.open(device) as store:
            assert store.learner.pictures() == []
        staff.press(".count-controls .row .button >> nth=2")
        staff.wait_until("document.querySelector('.count-message .lead').textContent.includes('0 of 0')")


@needs_chromium
def test_customers_take_no_photos(customer: Visitor) -> None:
    customer.become_customer()
    customer.open("shoot")
    customer.wait_for(".pad")


@needs_chromium
def test_page_reloads_without_a_server_and_recovers_with_it(
    shows_known: Browser, device: Path, known_photo: Path
) -> None:
    with serve_device(device) as address:
        customer = new_visitor(shows_known, address, known_photo, **PHONE)
        customer.open("words")
        customer.wait_until("navigator.serviceWorker.ready.then((one) => one.active.state === 'activated')")
        customer.wait_until("caches.open('edgesearch-shell').then((cache) => cache.match('app.js')).then(Boolean)")
    customer.page.reload()
    customer.wait_for("[data-cover=gone]")
    with serve_device(device, int(address.rstrip("/").rsplit(":")[-1])):
        customer.page.wait_for_selector("#cover", state="hidden", timeout=20_000)
        customer.wait_for(".results .tile")
    customer.page.context.close()


@needs_chromium
def test_without_the_camera_a_photo_from_the_gallery_is_answered(
    playwright: Playwright, address: str, known_photo: Path, tmp_path: Path
) -> None:
    with open_browser(playwright, write_film([known_photo], tmp_path / "known.mjpeg"), denied=True) as opened:
        customer = Visitor(opened.new_context(**PHONE).new_page(), address, known_photo)
        customer.open()
        customer.wait_for(".calm")
        customer.press(".calm .button.primary")  # use the camera
        customer.wait_until(f"document.querySelector('h1').textContent === {json.dumps(words('en')['trouble.denied'])}")
        customer.page.set_input_files("input[type=file]", known_photo)
        customer.wait_for(".product .price, .choices .tile")


def take_camera_away(customer: Visitor, error: str, title: str) -> None:
    """Open the page and take its camera away once it runs; `window.camera` gives one again."""
    customer.override_answer("v1/frames", decision="unknown", matches=[], flaw="dark")
    customer.open()
    customer.wait_until("document.querySelector('#video').videoWidth > 0")
    customer.page.evaluate(f"window.camera = navigator.mediaDevices.getUserMedia; {FAIL_CAMERA % error} 0")
    customer.page.evaluate(END_TRACK)
    customer.wait_until(f"document.querySelector('h1').textContent === {json.dumps(words('en')[title])}")


@needs_chromium
def test_unplugged_camera_continues_when_it_is_plugged_in(customer: Visitor) -> None:
    take_camera_away(customer, "NotFoundError", "trouble.missing")
    customer.page.evaluate("navigator.mediaDevices.getUserMedia = window.camera; 0")
    customer.page.evaluate("navigator.mediaDevices.dispatchEvent(new Event('devicechange'))")
    customer.wait_for(".shutter")
    customer.wait_until("document.querySelector('#video').videoWidth > 0")


@needs_chromium
def test_withdrawn_permission_is_explained_and_can_be_given_again(customer: Visitor) -> None:
    take_camera_away(customer, "NotAllowedError", "trouble.denied")
    customer.page.evaluate("navigator.mediaDevices.getUserMedia = window.camera; 0")
    customer.press(".calm .button.primary")
    customer.wait_for(".shutter")
    customer.wait_until("document.querySelector('#video').videoWidth > 0")


@needs_chromium
def test_kiosk_starts_over_when_nobody_is_there(customer: Visitor) -> None:
    customer.override_answer("v1/frames", decision="unknown", matches=[], flaw="dark")
    customer.query = "kiosk=4&lang=en&theme=dark"
    customer.open()
    customer.wait_for(".attract")
    customer.press(".attract .button >> text=中文")
    customer.wait_until("document.documentElement.lang === 'zh'")
    customer.wait_for(".shutter")
    customer.press(".press >> nth=-1")
    customer.page.fill("#words", "mug")
    customer.wait_for("dialog[open]")  # asks first
    customer.wait_for(".attract")
    assert customer.page.get_attribute("html", "lang") == "en"
    customer.page.keyboard.press("Tab")
    customer.page.keyboard.press("Enter")
    customer.wait_for(".shutter")
    customer.press(".press >> nth=-1")
    assert customer.page.input_value("#words") == ""


@needs_chromium
def test_page_retries_on_a_busy_server(customer: Visitor) -> None:
    error = {"error": {"kind": "BusyError", "message": "20 requests wait already; ask again in a second."}}
    customer.page.route(
        "**/v1/search*", lambda route: route.fulfill(status=429, headers={"Retry-After": "1"}, json=error), times=1
    )
    customer.open("words")
    customer.press(".results .tile")
    customer.wait_for(".toast")
    customer.wait_for(".results .tile-price")


@needs_chromium
def test_scanner_that_types_shows_the_product(customer: Visitor, shop: Path) -> None:
    row = (shop / "catalogue.csv").read_text(encoding="utf-8").splitlines()[1]
    sku, code = row.split(",")[0], row.split(",")[-1]
    customer.open("menu")
    typed = "(key) => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }))"
    customer.page.evaluate(f"{json.dumps([*code, 'Enter'])}.forEach({typed})")
    customer.wait_for(".details")
    assert sku in customer.page.inner_text(".details")


@needs_chromium
def test_product_page_leaves_out_what_the_catalogue_lacks(customer: Visitor, shop: Path) -> None:
    def answer_without_description(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        body["product"]["description"] = None
        route.fulfill(response=answer, json=body)

    customer.page.route("**/products/*", answer_without_description)
    code = (shop / "catalogue.csv").read_text(encoding="utf-8").splitlines()[1].split(",")[-1]
    customer.open("menu")
    typed = "(key) => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }))"
    customer.page.evaluate(f"{json.dumps([*code, 'Enter'])}.forEach({typed})")
    customer.wait_for(".details")
    assert not {"null", "false", "undefined"} & set(customer.page.inner_text(".product-body").split())


@needs_chromium
def test_words_that_find_nothing_name_the_condition_to_blame(customer: Visitor) -> None:
    customer.open("words")
    customer.page.fill("#words", "zeppelin")
    customer.page.press("#words", "Enter")
    customer.wait_until(
        "document.querySelector('.results').textContent.includes('Without “zeppelin”, 8 products fit.')"
    )


@needs_chromium
def test_a_scanned_code_of_no_product_is_reported(customer: Visitor) -> None:
    customer.open("menu")
    typed = "(key) => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }))"
    customer.page.evaluate(f"{json.dumps([*'40000000', 'Enter'])}.forEach({typed})")
    customer.wait_until("document.querySelector('.toast')?.textContent.includes('40000000')")


@needs_chromium
@pytest.mark.parametrize("decision", ["ambiguous", "unknown"])
def test_page_shows_the_decision_of_the_server(customer: Visitor, decision: str) -> None:
    customer.force_decision(decision, known=0.6, flaw="", matches=[{"probability": 0.3}])
    customer.open()
    customer.wait_for(".shutter")
    customer.wait_until("document.querySelector('#video').videoWidth > 0")
    customer.press(".shutter")
    customer.wait_for(".verdict")
    assert customer.page.inner_text(".verdict h1") == words("en")[f"answer.{decision}"]


@needs_chromium
def test_pieces_are_counted_by_the_server(shows_known: Browser, device: Path, known_photo: Path) -> None:
    with serve_device(device) as address:
        worker = new_visitor(shows_known, address, known_photo, **PHONE)
        worker.open("count")
        worker.page.fill("form.begin input", "Gang 7")
        worker.press("form.begin [type=submit]")
        worker.wait_until("document.querySelector('#video').videoWidth > 0")
        worker.press(".stepper .round >> nth=1")
        worker.press(".count-press")
        worker.wait_for(".counted, .asked")
        if worker.page.locator(".asked").count():  # not sure of it: say so
            worker.press(".settling .tile")
        worker.wait_for(".counted")
        assert worker.page.inner_text(".counted-n") == "2"
        worker.press(".count-controls .row .button >> nth=0")
        worker.wait_until("!document.querySelector('.counted')")
        worker.page.context.close()
    with edgesearch.open(device) as store, Count(store, device / "counts" / "Gang 7.csv") as count:
        assert not count.counts and count.to_review[0].times == 2


@needs_chromium
def test_counting_works_with_one_key_and_pieces_are_tapped_in_afterwards(customer: Visitor) -> None:
    sent: list[str] = []
    customer.page.on("request", lambda request: sent.append(request.url.rpartition("/")[2]) if "/photos?" in request.url
                     else sent.append(request.post_data or "") if "/correct" in request.url else None)  # fmt: skip
    SCENES["counted"](customer)
    assert customer.page.inner_text(".counted-n") == "12"
    customer.press(".stepper .round >> nth=1")
    customer.page.keyboard.press(" ")  # before the number was sent
    customer.page.wait_for_timeout(200)
    customer.wait_until("!document.querySelector('.working')")
    assert sent == ["photos?times=1", '{"photo":"p1","times":2}', "photos?times=1"]


@needs_chromium
def test_waiting_photos_are_reviewed_and_totals_corrected(
    shows_known: Browser, device: Path, known_photo: Path
) -> None:
    (device / "counts").mkdir()
    with edgesearch.open(device) as store, Count(store, device / "counts" / "a.csv") as count:
        for shade in (60, 90):
            count.add_photo(thumbnail(np.full((300, 300, 3), shade, np.uint8), 300), str(shade))
        assert len(count.to_review) == 2
    with serve_device(device) as address:
        worker = new_visitor(shows_known, address, known_photo, service_workers="block", **PHONE)
        worker.open("count")
        worker.press(".acts .act")
        worker.press(".count-controls .row .button >> nth=1")
        worker.press(".answer-foot .primary")
        worker.wait_until("document.querySelector('.asked img')?.naturalWidth === 300")
        assert worker.page.inner_text(".asked .quiet") == "1 of 2"
        worker.page.fill("#words", "paint brush")
        worker.wait_until("document.querySelector('.settling .tile').textContent.includes('Paint Brush')")
        worker.press(".settling .tile")
        worker.wait_until("document.querySelector('.asked .quiet').textContent === '2 of 2'")
        worker.press(".answer-foot .button >> nth=0")  # nothing to count
        worker.press(".rows .act")
        worker.page.fill("dialog input", "5")
        worker.press("dialog [type=submit]")
        worker.wait_until("document.querySelector('.rows b').textContent === '5'")
        worker.page.context.close()
    with edgesearch.open(device) as store, Count(store, device / "counts" / "a.csv") as count:
        assert [*count.counts.values()] == [5] and not count.to_review


@needs_chromium
def test_page_survives_random_actions(shows_known: Browser, device: Path, known_photo: Path) -> None:
    with serve_device(device) as address:
        monkey = new_visitor(shows_known, address, known_photo, **PHONE)
        monkey.open()
        assert act_at_random(monkey.page, known_photo, actions=60, seed=0) == []
        monkey.page.context.close()
