"""The page always offers a way on: a guess, a choice, a search, the next product; by touch, keys and trigger."""

import json
import time
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from browsing.page_scenes import SCENES
from browsing.visitor import Visitor
from playwright.sync_api import Route

from .browser import address as address
from .browser import known_photo as known_photo
from .browser import needs_chromium
from .browser import onlooker as onlooker
from .browser import playwright as playwright
from .browser import shows_known as shows_known
from .test_web import words

TEXTS = words("en")
LONG = "Garant Ecological Medium Fat Milk from Swedish Farms, 1.5 l, Carton of "
HEADING = "document.querySelector('#view h1').textContent"
KIOSK = {"width": 1080, "height": 1920}


def shown(visitor: Visitor, selector: str) -> list[str]:
    """Return the texts of the visible elements."""
    return visitor.page.locator(selector).locator("visible=true").all_inner_texts()


@needs_chromium
def test_likely_product_is_asked_for_with_yes_and_no(onlooker: Visitor) -> None:
    picked: list[Any] = []
    onlooker.page.route(
        "**/v1/feedback",
        lambda route: (picked.append(route.request.post_data_json), route.fulfill(json={"kept": False})),
    )
    SCENES["guess"](onlooker)
    name = onlooker.page.inner_text(".product .name")
    assert onlooker.page.inner_text("h1") == TEXTS["answer.guessed"].replace("{name}", name)
    assert shown(onlooker, ".answer-foot .button") == [TEXTS["no"], TEXTS["yes"]]
    onlooker.press(f".answer-foot .button >> text={TEXTS['no']}")
    onlooker.wait_until(f"{HEADING} === {json.dumps(TEXTS['answer.ambiguous'])}")
    assert name not in shown(onlooker, ".choices .tile-name") and not picked
    SCENES["guess"](onlooker)
    onlooker.press(f".answer-foot .button >> text={TEXTS['yes']}")
    onlooker.wait_for(".details")
    assert [one["picked"] for one in picked] == [True] and onlooker.page.inner_text("h1") == name


@needs_chromium
def test_unknown_product_is_answered_with_the_nearest_and_without_verdicts(onlooker: Visitor) -> None:
    SCENES["unknown"](onlooker)
    assert onlooker.page.inner_text(".verdict h1") == TEXTS["answer.unknown"]
    assert 2 <= len(shown(onlooker, ".choices .tile")) <= 5
    assert not onlooker.page.locator(".choices .quiet:not(.tile-place)").count()
    none, again = onlooker.page.locator(".answer-foot .button").all()
    assert (none.inner_text(), again.inner_text()) == (TEXTS["answer.none"], TEXTS["answer.again"])
    assert onlooker.page.evaluate(
        "new Set([...document.querySelectorAll('.answer-foot .button')].map((one) => one.offsetTop)).size === 1"
    )  # beside each other
    none.click()
    onlooker.wait_for(".words .search")  # nobody is logged in, so the search comes before teaching


@needs_chromium
def test_photo_that_shows_nothing_is_not_called_an_unknown_product(onlooker: Visitor) -> None:
    onlooker.override_answer("v1/frames", decision="unknown", matches=[], flaw="dark")
    onlooker.force_decision("unknown", flaw="dark")
    onlooker.open()
    onlooker.wait_for(".shutter")
    onlooker.wait_until("document.querySelector('#video').videoWidth > 0")
    onlooker.press(".shutter")
    onlooker.wait_for(".verdict")
    assert shown(onlooker, ".verdict h1, .verdict p") == [TEXTS["answer.unseen"], TEXTS["flaw.dark"]]


@needs_chromium
def test_names_are_shown_in_full_where_they_differ(onlooker: Visitor) -> None:
    onlooker.page.set_viewport_size({"width": 320, "height": 568})
    names = [LONG + number for number in "123"]
    onlooker.override_answer("v1/search?k=6", matches=[{"name": name} for name in names])
    SCENES["choices"](onlooker)
    assert shown(onlooker, ".choices .tile-name")[:3] == names
    assert onlooker.page.evaluate(
        "[...document.querySelectorAll('.choices .tile-name')].every((one) =>"
        " one.scrollHeight <= one.clientHeight + 1 && one.scrollWidth <= one.clientWidth)"
    )


@needs_chromium
@pytest.mark.parametrize("scene", ["guess", "unknown", "product"])
def test_trigger_continues_with_the_next_product(onlooker: Visitor, scene: str) -> None:
    SCENES[scene](onlooker)
    onlooker.page.keyboard.press("Enter")
    onlooker.wait_for(".shutter")


@needs_chromium
def test_who_is_logged_in_begins_teaching_with_a_search(onlooker: Visitor) -> None:
    SCENES["unknown"](onlooker)  # as a customer
    onlooker.override_answer("v1/me", role="staff", needs_pin=True)
    onlooker.open()
    onlooker.wait_until("document.querySelector('#video').videoWidth > 0")
    onlooker.press(".shutter")
    onlooker.wait_for(".verdict.unknown")
    onlooker.press(".answer-foot .button")
    onlooker.wait_for(".teach .search")
    assert len(shown(onlooker, ".teach .tile")) > 1  # the nearest products
    name = onlooker.page.inner_text(".teach .tile-name >> nth=-1")
    onlooker.page.fill("#words", name)
    onlooker.wait_until(f"document.querySelector('.teach .tile-name').textContent === {json.dumps(name)}")
    onlooker.press(".teach-content > .button")
    assert onlooker.page.input_value(".teach [required]") == name


@needs_chromium
def test_results_follow_what_is_typed_and_late_answers_are_dropped(onlooker: Visitor) -> None:
    def answer_late(route: Route) -> None:
        time.sleep(1)
        route.continue_()

    onlooker.page.route("**/v1/search?text=zeppelin*", answer_late)
    onlooker.open("words")
    onlooker.page.fill("#words", "zeppelin")
    onlooker.page.wait_for_timeout(400)  # it is asked
    onlooker.page.fill("#words", "mug under 1000, cheaper")
    onlooker.wait_for(".understood")
    onlooker.page.wait_for_timeout(1000)
    told = onlooker.page.inner_text(".understood")
    assert "Up to €1,000" in told and TEXTS["words.ignored"].replace("{what}", "“cheaper”") in told
    assert onlooker.page.evaluate(
        "document.querySelector('.understood').compareDocumentPosition(document.querySelector('.results .tile')) & 4"
    )  # above the results


@needs_chromium
def test_categories_are_shown_by_pictures_and_kept_beside_words(onlooker: Visitor) -> None:
    onlooker.query = "lang=de&theme=dark"
    onlooker.open("words")
    onlooker.wait_for(".kinds .tile")
    example = words("de")["words.place"].partition("{")[0]
    assert (onlooker.page.get_attribute("#words", "placeholder") or "").startswith(example)
    onlooker.wait_until("[...document.querySelectorAll('.kinds img')].every((one) => one.naturalWidth > 1)")
    assert {"Rot", "Grün"} & set(onlooker.page.locator("select option").all_text_contents())
    (kind,) = shown(onlooker, ".kinds .tile >> nth=0")
    onlooker.press(".kinds .tile")
    onlooker.wait_for(".results .tile-price")
    with onlooker.page.expect_request("**/v1/search?*where=*") as asked:
        onlooker.page.fill("#words", "mug under 1000")
    where = dict(parse_qsl(urlsplit(asked.value.url).query))["where"]
    assert f'category="{kind}"' in where and "price<1000" in where


@needs_chromium
def test_kiosk_shows_keys_that_type(onlooker: Visitor) -> None:
    onlooker.open("words")
    assert not onlooker.page.locator(".keys").count()
    onlooker.page.set_viewport_size(KIOSK)
    SCENES["keys"](onlooker)
    assert onlooker.page.input_value("#words") == "mug"
    onlooker.press(f".key[aria-label={TEXTS['keys.erase']}]")
    onlooker.press(f".key >> text={TEXTS['keys.space']}")
    assert onlooker.page.input_value("#words") == "mu "


@needs_chromium
@pytest.mark.parametrize("scene", ["find", "guess", "unknown", "keys", "product", "menu"])
def test_controls_of_a_tall_kiosk_are_within_reach(onlooker: Visitor, scene: str) -> None:
    onlooker.page.set_viewport_size(KIOSK)
    SCENES[scene](onlooker)
    controls = "#bar button, .answer-foot button, .shutter, .press, .search input, .search button, .acts button"
    boxes = onlooker.page.locator(controls).locator("visible=true").all()
    tops = [(one.bounding_box() or {"y": 0})["y"] for one in boxes]
    assert tops and min(tops) >= 0.3 * KIOSK["height"] and max(tops) < KIOSK["height"]


@needs_chromium
def test_alternatives_of_the_same_category_come_first(onlooker: Visitor) -> None:
    def answer(route: Route) -> None:
        body = route.fetch().json()
        for number, match in enumerate(body["matches"]):
            match |= {"name": f"{number}", "category": "Other" if number % 2 == 0 else own}
        route.fulfill(json=body)

    onlooker.page.route("**/v1/similar/*", answer)
    own = ""
    onlooker.open("words")
    own = onlooker.page.evaluate("fetch('v1/facets').then((one) => one.json()).then((one) => one.categories[0])")
    onlooker.press(".kinds .tile")
    onlooker.wait_for(".results .tile-price")
    onlooker.press(".results .tile")
    onlooker.wait_for(".alike .tile")
    numbers = [int(name) for name in shown(onlooker, ".alike .tile-name")]
    assert numbers == sorted(numbers, key=lambda number: (number % 2 == 0, number))


@needs_chromium
def test_alternatives_are_narrowed_only_by_what_the_product_has(onlooker: Visitor) -> None:
    chips = [TEXTS[f"alike.{name}"] for name in ("all", "cheaper", "brand")]
    onlooker.override_answer("v1/search?k=6", matches=[{"price": None, "brand": None}])
    SCENES["match"](onlooker)
    assert not set(chips[1:]) & set(shown(onlooker, ".alike .chip"))
    SCENES["product"](onlooker)
    assert set(chips) <= set(shown(onlooker, ".alike .chip"))


@needs_chromium
@pytest.mark.parametrize("language", ["ar", "en"])
def test_names_of_categories_are_not_broken_on_a_phone(onlooker: Visitor, language: str) -> None:
    onlooker.query = f"lang={language}"
    onlooker.open("words")
    onlooker.wait_for(".kinds .tile")
    for name in onlooker.page.locator(".kinds .tile-name").all():
        name.evaluate("(one) => { one.textContent = 'Vegetables'; }")
        height = "(one) => one.getBoundingClientRect().height"
        whole = name.evaluate(height)
        name.evaluate("(one) => { one.style.whiteSpace = 'nowrap'; }")
        assert name.evaluate(height) == whole


@needs_chromium
def test_why_explains_the_outline_in_words(onlooker: Visitor) -> None:
    corners = [[0.2, 0.2], [0.8, 0.2], [0.8, 0.8], [0.2, 0.8]]
    onlooker.override_answer("v1/search?k=6", matches=[{"outline": corners, "points": 20}])
    SCENES["why"](onlooker)
    assert TEXTS["why.outline"] in shown(onlooker, ".why-list li")
