"""The languages of the page: one file each, and words on the screen whatever happens."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing.chromium import serve_device
from browsing.page_scenes import SCENES
from browsing.visitor import Visitor, new_visitor
from playwright.sync_api import Browser

import edgesearch
from edgesearch.server import app

from .browser import PHONE, needs_chromium
from .browser import address as address
from .browser import customer as customer
from .browser import device as device
from .browser import known_photo as known_photo
from .browser import onlooker as onlooker
from .browser import playwright as playwright
from .browser import shows_known as shows_known

FILES = sorted((Path(edgesearch.__file__).parent / "web" / "i18n").glob("*.json"))
FORMS = ("zero", "one", "two", "few", "many", "other")  # plurals, as Intl names them
CONTROLS = "#bar button, .answer-foot .button, .button.primary"


def words(language: str) -> dict[str, str]:
    path = FILES[0].with_name(f"{language}.json")
    table: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return table


def numbered(own: dict[str, str]) -> set[str]:
    """Return the names that have plural forms in English or in this language."""
    names = (key.rpartition(".") for key in words("en") | own)
    return {name for name, _, form in names if form in FORMS[:-1] and f"{name}.other" in own}


@pytest.fixture
def polish(device: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a device whose page has one more file: a language."""
    web = shutil.copytree(app.WEB, tmp_path / "web")
    own = {"words.title": "Szukaj słowami", "trouble.gone": "Wyszukiwanie nie działa"}
    (web / "i18n" / "pl.json").write_text(json.dumps(own), encoding="utf-8")
    monkeypatch.setattr(app, "WEB", web)
    return device


@pytest.fixture
def desktop(shows_known: Browser, address: str, known_photo: Path) -> Iterator[Visitor]:
    """Yield a visit in Arabic on a wide screen."""
    came = new_visitor(shows_known, address, known_photo, query="lang=ar&theme=dark", service_workers="block")
    yield came
    came.page.context.close()


def names(own: dict[str, str]) -> dict[str, str]:
    """Return the name of each key: the key without its plural form."""
    plurals = numbered(own)
    return {key: name if (name := key.rpartition(".")[0]) in plurals and key.endswith(FORMS) else key for key in own}


@pytest.mark.parametrize("language", [path.stem for path in FILES])
def test_language_has_every_text_with_its_placeholders(language: str) -> None:
    own, english = words(language), words("en")
    assert set(names(own).values()) == set(names(english).values())
    for key, name in names(own).items():
        expected = re.findall(r"\{\w+\}", english.get(f"{name}.other") or english[name])
        used, optional = set(re.findall(r"\{\w+\}", own[key])), {"{n}"} if key != name else set()  # "one product"
        assert used | optional == set(expected) | optional, key


@needs_chromium
def test_language_has_all_its_plural_forms(onlooker: Visitor) -> None:
    for language in [path.stem for path in FILES]:
        forms = onlooker.page.evaluate(f"new Intl.PluralRules('{language}').resolvedOptions().pluralCategories")
        own = words(language)
        for name in numbered(own):
            assert {form for form in FORMS if f"{name}.{form}" in own} == set(forms), (language, name)


@needs_chromium
def test_one_file_adds_a_language(shows_known: Browser, polish: Path, known_photo: Path) -> None:
    with serve_device(polish) as address:
        customer = new_visitor(shows_known, address, known_photo, query="theme=dark", **PHONE)
        customer.open("words", "&lang=pl")
        assert customer.page.inner_text("h1") == "Szukaj słowami"
        assert customer.page.input_value("#words") == ""  # English for what the file lacks
        customer.open("words")
        assert customer.page.inner_text("h1") == words("en")["words.title"]
        customer.press("#bar [aria-label=Language]")
        customer.press("dialog [lang=pl] >> text=Polski")
        customer.wait_until("document.querySelector('h1').textContent === 'Szukaj słowami'")
        customer.open("words")
        assert customer.page.inner_text("h1") == "Szukaj słowami"  # chosen for good
        customer.wait_until("caches.open('edgesearch-shell').then((one) => one.match('i18n/pl.json')).then(Boolean)")
    customer.page.reload()
    customer.wait_for("[data-cover=gone]")
    assert customer.page.inner_text("#cover h1") == "Wyszukiwanie nie działa"
    customer.page.context.close()


@needs_chromium
def test_first_visit_keeps_its_language_for_a_reload_without_the_server(
    shows_known: Browser, device: Path, known_photo: Path
) -> None:
    with serve_device(device) as address:
        customer = new_visitor(shows_known, address, known_photo, query="lang=de", **PHONE)
        customer.open("words")
        customer.wait_until("caches.open('edgesearch-shell').then((one) => one.match('i18n/de.json')).then(Boolean)")
        customer.wait_until("navigator.serviceWorker.ready.then((one) => one.active.state === 'activated')")
    customer.page.reload()
    customer.wait_for("[data-cover=gone]")
    assert customer.page.inner_text("#cover h1") == words("de")["trouble.gone"]
    customer.page.context.close()


@needs_chromium
def test_page_shows_words_while_the_server_is_down(onlooker: Visitor) -> None:
    onlooker.page.route("**/v1/**", lambda route: route.abort())
    onlooker.open()
    onlooker.wait_for("[data-cover=gone]")
    assert onlooker.page.inner_text("#cover h1") == words("en")["trouble.gone"]


@needs_chromium
def test_page_that_cannot_read_its_words_says_so_and_continues(onlooker: Visitor) -> None:
    for path in ("**/v1/**", "**/i18n/**"):
        onlooker.page.route(path, lambda route: route.abort())
    onlooker.page.goto(f"{onlooker.address}?lang=de")
    onlooker.wait_for("#starting >> text=The search is not running.")
    onlooker.page.unroute("**/i18n/**")
    onlooker.wait_for("[data-cover=gone]")
    onlooker.page.unroute("**/v1/**")
    onlooker.page.wait_for_selector("#cover", state="hidden", timeout=20_000)


@needs_chromium
@pytest.mark.parametrize("wanted", ["xx", "../../v1/health", "%00", "de-AT"])
def test_wanted_language_that_is_absent_leaves_words(onlooker: Visitor, wanted: str) -> None:
    onlooker.query = f"lang={wanted}"
    onlooker.open("words")
    language = wanted.split("-")[0] if "-" in wanted else "en"
    assert onlooker.page.inner_text("h1") == words(language)["words.title"]


@needs_chromium
def test_arabic_is_laid_out_from_right_to_left(desktop: Visitor) -> None:
    SCENES["match"](desktop)
    page = desktop.page
    assert page.get_attribute("html", "dir") == "rtl"
    left = "document.querySelector('%s').getBoundingClientRect().left"
    assert page.evaluate(left % "#stage") > page.evaluate(left % "#view")
    assert page.evaluate(left % ".product .picture") > page.evaluate(left % ".product .facts")
    letters = (
        "const all = document.createRange(); all.selectNodeContents(one); return all.getBoundingClientRect().right"
    )
    name = page.locator(".product .name")  # in Latin letters, and still beside its picture
    right = name.evaluate("(one) => one.getBoundingClientRect().right")
    assert name.evaluate(f"(one) => {{ {letters} }}") == pytest.approx(right, abs=2)
    for box in page.locator(CONTROLS).evaluate_all("all => all.map((one) => one.getBoundingClientRect().toJSON())"):
        assert box["left"] >= 0 and box["right"] <= (page.viewport_size or {})["width"]


@needs_chromium
def test_numbers_are_written_as_the_language_writes_them(onlooker: Visitor) -> None:
    texts = {}
    for language in ("de", "en"):
        onlooker.query = f"lang={language}"
        onlooker.override_answer("v1/health", catalogue={"name": "shop", "products": 12345})
        onlooker.open("menu")
        texts[language] = onlooker.page.inner_text("footer")
    assert "12.345" in texts["de"] and "12,345" in texts["en"]
