"""Every screen of the page: accessible in both themes, and with its controls within the display."""

import json
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing.page_scenes import SCENES
from browsing.visitor import Visitor
from playwright.sync_api import Page

from .browser import address as address
from .browser import known_photo as known_photo
from .browser import needs_chromium
from .browser import onlooker as onlooker
from .browser import playwright as playwright
from .browser import shows_known as shows_known

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
CHECK = f"axe.run({json.dumps({'runOnly': WCAG, 'resultTypes': ['violations']})})"
SIZES = [(3840, 2160), (320, 568), (568, 320), (844, 390)]


@needs_chromium
@pytest.mark.parametrize("scene", SCENES)
def test_screen_has_no_accessibility_violation(onlooker: Visitor, scene: str) -> None:
    onlooker.page.emulate_media(reduced_motion="reduce")
    SCENES[scene](onlooker)
    onlooker.page.evaluate(Axe().axe_script)  # once for both themes
    for theme in ("dark", "bright"):
        onlooker.page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        found: list[dict[str, Any]] = onlooker.page.evaluate(CHECK)["violations"]
        assert not [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found], theme
    across = onlooker.page.evaluate(
        "document.querySelector('#view').scrollWidth - document.querySelector('#view').clientWidth"
    )
    assert across <= 0  # the page never scrolls sideways


@needs_chromium
@pytest.mark.parametrize("width, height", SIZES)
def test_controls_are_within_the_screen(onlooker: Visitor, width: int, height: int) -> None:
    onlooker.page.set_viewport_size({"width": width, "height": height})
    SCENES["counted"](onlooker)
    _all_within(onlooker.page, ".count-press")
    SCENES["photos"](onlooker)
    _all_within(onlooker.page, ".shoot .count-controls .button")
    assert onlooker.page.evaluate(
        "document.querySelector('.shoot .lead').getBoundingClientRect().height <= "
        "document.querySelector('.shoot .count-message').clientHeight"
    )  # the advice is not cut off
    SCENES["learned"](onlooker)
    assert onlooker.page.evaluate(
        "[...document.querySelectorAll('.settle .tile')].every((one) => one.scrollWidth <= one.clientWidth)"
    )  # no picture beyond its button
    SCENES["match"](onlooker)
    _all_within(onlooker.page, ".answer-foot .button")
    onlooker.press(".answer-foot > :last-child")
    onlooker.wait_for(".shutter")
    _all_within(onlooker.page, ".shutter, .press, #bar button")


def _all_within(page: Page, selector: str) -> None:
    """Check that all elements are on the screen and at least 44 px wide and high."""
    boxes = page.locator(selector).evaluate_all("all => all.map((one) => one.getBoundingClientRect().toJSON())")
    assert boxes
    for box in boxes:
        size = page.viewport_size or {}
        assert box["x"] >= 0 and box["y"] >= 0 and min(box["width"], box["height"]) >= 44
        assert box["x"] + box["width"] <= size["width"] and box["y"] + box["height"] <= size["height"]
