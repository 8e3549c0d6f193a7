"""Walk all screens of the page: each display, theme, language and text size must show every control, and a way on.

A screen is opened once, in English; then its display, theme and text size change, and its words are replaced by those
of the other languages, so that thousands of variants are measured in minutes.

python -m browsing.walking [--only match] [--format small]
"""

import argparse
import base64
import sys
import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from demo_shop import write_catalogue
from playwright.sync_api import Browser, sync_playwright

import edgesearch

from .chromium import open_browser, serve_device
from .page_scenes import SCENES
from .screenshots import FORMATS
from .visitor import Visitor, new_visitor

SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
THEMES, TEXT_SIZES = ("dark", "bright"), ("normal", "huge")
# A camera that shows a photo; Chromium would decode a film thirty times a second.
STILL_CAMERA = """
const shown = createImageBitmap(new Blob([Uint8Array.from(atob("%s"), (one) => one.charCodeAt(0))]));
Object.defineProperty(navigator, "mediaDevices", { value: new EventTarget(), configurable: true });
navigator.mediaDevices.enumerateDevices = async () => [];
navigator.mediaDevices.getUserMedia = async () => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 480, height: 640 });
  const draw = (photo) => canvas.getContext("2d").drawImage(photo, 60, 100, 360, 360);
  const photo = await shown;
  setInterval(() => draw(photo), 200);
  draw(photo);
  return canvas.captureStream();
};
navigator.permissions.query = async () => ({ state: "granted" });
"""


def open_walker(browser: Browser, address: str, photo: Path) -> Visitor:
    """Return a visitor whose camera costs nothing, and for whom nothing moves."""
    walker = new_visitor(browser, address, photo, service_workers="block", has_touch=True, reduced_motion="reduce")
    walker.page.add_init_script(STILL_CAMERA % base64.b64encode(photo.read_bytes()).decode())
    return walker


def read_words(walker: Visitor) -> dict[str, dict[str, str]]:
    """Return the texts of all languages that the server lists, by code."""

    def read(path: str) -> Any:
        return walker.page.request.get(f"{walker.address}{path}").json()

    return {code: read(f"i18n/{code}.json") for code in read("v1/health")["languages"]}


def walk_screen(
    walker: Visitor, scene: str, words: dict[str, dict[str, str]], formats: Collection[str] = tuple(FORMATS)
) -> list[str]:
    """Open a screen and return a line for each problem of each of its variants.

    Args:
        walker: As `open_walker` returns it; it may open one screen.
        scene: Name of the screen.
        words: Texts by language, English among them.
        formats: Names of the displays.
    """
    SCENES[scene](walker)
    return [f"{scene}, {problem}" for problem in measure_variants(walker, words, formats)]


def measure_variants(walker: Visitor, words: dict[str, dict[str, str]], formats: Collection[str]) -> list[str]:
    """Return the problems of the screen that is open."""
    problems = []
    for name in formats:
        walker.page.set_viewport_size({"width": FORMATS[name].width, "height": FORMATS[name].height})
        found = walker.page.evaluate(SCRIPT, {"words": words, "themes": THEMES, "sizes": TEXT_SIZES})
        problems += [f"{name}, {', '.join(variant)}: {problem}" for *variant, problem in found]
    return problems


def main() -> int:
    """Walk the screens of a drawn shop; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m browsing.walking", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", action="append", choices=list(SCENES), help="only this screen; may be repeated")
    parser.add_argument("--format", action="append", choices=list(FORMATS), help="only this display; may be repeated")
    options = parser.parse_args()
    walked, problems = 0, 0
    with tempfile.TemporaryDirectory() as name:
        for found in _walk_drawn_shop(Path(name), options.only or list(SCENES), options.format or list(FORMATS)):
            walked, problems = walked + 1, problems + len(found)
            print(*found, sep="\n", end="\n" * bool(found), flush=True)
    print(f"{walked} screens, {problems} problems")
    return int(problems > 0)


def _walk_drawn_shop(folder: Path, scenes: Sequence[str], formats: Sequence[str]) -> Iterator[list[str]]:
    write_catalogue(folder / "shop", products=30, unknown=2, photos=1, seed=0)
    edgesearch.build(folder / "shop" / "catalogue.csv", folder / "shop.edge")
    edgesearch.install(folder / "shop.edge", folder / "device")
    photo = folder / "shop" / "photos" / "P000001-1.jpg"
    with (
        serve_device(folder / "device") as address,
        sync_playwright() as playwright,
        open_browser(playwright, None) as browser,
    ):
        for scene in scenes:
            walker = open_walker(browser, address, photo)
            try:
                yield walk_screen(walker, scene, read_words(walker), formats)
            finally:
                walker.page.context.close()


if __name__ == "__main__":
    sys.exit(main())
