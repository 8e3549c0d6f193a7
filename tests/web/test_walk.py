"""Every screen shows its controls and a way on: on each display, in each theme, language and text size."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing.chromium import open_browser
from browsing.page_scenes import SCENES
from browsing.visitor import Visitor
from browsing.walking import measure_variants, open_walker, read_words, walk_screen
from playwright.sync_api import Browser, Playwright

from .browser import address as address
from .browser import known_photo as known_photo
from .browser import needs_chromium
from .browser import playwright as playwright

pytestmark = needs_chromium
BREAK = """(style) => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(style);
  document.adoptedStyleSheets = [sheet];
}"""
BROKEN = {
    ".menu .act { margin-inline-start: -60px; }": "is cut off sideways by",
    ".menu .acts { width: 600px; }": "scrolls sideways by",
    ".menu h1 { margin-top: -900px; }": "before what can be scrolled to",
    ".menu .acts { height: 60px; overflow: hidden; }": "is cut off by",
    "#bar { top: -40px; }": "is outside the display by",
    ".act span { white-space: nowrap; width: 900px; flex: none !important; }": "does not hold its content by",
    ".page::after { content: ''; position: fixed; inset: 0; }": "is covered by",
    "#view, #bar { visibility: hidden; }": "there is no way on",
}


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """Yield a browser without a camera of its own."""
    with open_browser(playwright, None) as opened:
        yield opened


@pytest.fixture
def walker(browser: Browser, address: str, known_photo: Path) -> Iterator[Visitor]:
    """Yield a visitor that may open one screen."""
    opened = open_walker(browser, address, known_photo)
    yield opened
    opened.page.context.close()


@pytest.mark.parametrize("scene", ["counted", "count-review", "menu"])
def test_small_screens_show_every_control(walker: Visitor, scene: str) -> None:
    assert walk_screen(walker, scene, read_words(walker), ["small"]) == []


@pytest.mark.slow
@pytest.mark.parametrize("scene", SCENES)
def test_screens_show_every_control(walker: Visitor, scene: str) -> None:
    assert walk_screen(walker, scene, read_words(walker)) == []


def test_the_walk_finds_what_is_broken(walker: Visitor) -> None:
    SCENES["menu"](walker)
    words = {"en": read_words(walker)["en"]}
    for style, problem in BROKEN.items():
        walker.page.evaluate(BREAK, style)
        assert problem in "\n".join(measure_variants(walker, words, ["phone"])), style
