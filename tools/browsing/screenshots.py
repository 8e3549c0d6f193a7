"""Make pictures of every screen of the page, for people to look at.

tools/browsing/screens [--out build/screens] [--only match] [--all]
tools/browsing/screens --readme docs/page.jpg
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from demo_shop import write_catalogue
from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Browser, Playwright, sync_playwright
from tqdm import tqdm

import edgesearch

from .chromium import LANDSCAPE, PORTRAIT, browser, film, serving
from .page_scenes import SCENES, visit

ICON = Path(edgesearch.__file__).parent / "web" / "icons"
COLUMNS, CELL, NAME = 6, 380, 26  # of a sheet, px


@dataclass(frozen=True)
class Format:
    """A screen: px of CSS, and how many of its own each has."""

    width: int
    height: int
    scale: float = 1.0
    touch: bool = False


FORMATS = {
    "phone": Format(390, 844, 2, touch=True),
    "kiosk": Format(1080, 1920, touch=True),
    "desktop": Format(1280, 800),
    "4k": Format(3840, 2160),
    "small": Format(320, 568, touch=True),
    "wide": Format(740, 360, touch=True),
}
README = [("desktop", "match", "bright"), ("phone", "attract", "dark"), ("phone", "counted", "bright")]
README_HEIGHT, GAP = 800, 24  # px
DRESSES = [("en", "dark"), ("zh", "bright"), ("en", "bright"), ("zh", "dark")]


def main() -> int:
    """Make them; returns the exit status."""
    parser = argparse.ArgumentParser(prog="tools/browsing/screens", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("build/screens"), help="folder to write to (build/screens)")
    parser.add_argument("--shop", type=Path, help="a drawn shop (default: draw one)")
    parser.add_argument("--only", action="append", choices=list(SCENES), help="this screen")
    parser.add_argument("--format", action="append", choices=list(FORMATS), help="this format")
    parser.add_argument("--all", action="store_true", help="each in both languages and themes, not in turn")
    parser.add_argument("--icons", action="store_true", help="draw the icons of the page again, and nothing else")
    parser.add_argument("--readme", type=Path, metavar="JPEG", help="one picture of a few screens, and nothing else")
    options = parser.parse_args()
    try:
        with sync_playwright() as playwright:
            if options.icons:
                icons(playwright)
            else:
                screens(playwright, options)
    except (edgesearch.EdgeSearchError, OSError) as error:
        print(f"tools/browsing/screens: {error}", file=sys.stderr)
        return 1
    return 0


def icons(playwright: Playwright) -> None:
    """From the drawing, in the sizes that phones ask for."""
    with browser(playwright, None) as opened:
        for size in (192, 512):
            page = opened.new_page(viewport={"width": size, "height": size})
            page.goto((ICON / "icon.svg").as_uri())
            page.screenshot(path=ICON / f"icon-{size}.png")


def screens(playwright: Playwright, options: argparse.Namespace) -> None:
    """One PNG each, and a sheet of each format."""
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shop = options.shop or folder / "shop"
        if options.shop is None:
            write_catalogue(shop, products=60, unknown=2, photos=1, seed=0)
        edgesearch.build(shop / "catalogue.csv", folder / "shop.edge")
        edgesearch.install(folder / "shop.edge", folder / "device")
        photo = shop / "photos" / "P000001-1.jpg"
        with serving(folder / "device") as address:
            if options.readme:
                _readme(playwright, options.readme, address, photo, folder)
                return
            for format_ in options.format or FORMATS:
                _format(playwright, options, format_, address, photo, folder)


def _format(
    playwright: Playwright, options: argparse.Namespace, name: str, address: str, photo: Path, folder: Path
) -> None:
    made = []
    with browser(playwright, _filmed(FORMATS[name], photo, folder)) as opened:
        for scene, (lang, theme) in tqdm(list(_wanted(options)), desc=name, disable=None):
            path = options.out / f"{name}-{scene}-{lang}-{theme}.png"
            try:
                _shoot(opened, FORMATS[name], scene, (lang, theme), address, photo, path)
                made.append(path)
            except Exception as error:
                print(f"{name} {scene}: {error}", file=sys.stderr)
    _sheet(made, options.out / f"sheet-{name}.png")
    print(f"{options.out}: {len(made)} screens of {name}, and sheet-{name}.png")


def _filmed(screen: Format, photo: Path, folder: Path) -> Path:
    """What the camera of such a device sees."""
    size = PORTRAIT if screen.height > screen.width and screen.touch else LANDSCAPE
    return film([photo], folder / f"{screen.width}.mjpeg", size)


def _shoot(
    opened: Browser, screen: Format, scene: str, dress: tuple[str, str], address: str, photo: Path, path: Path
) -> None:
    lang, theme = dress
    visitor = visit(
        opened, address, photo, query=f"lang={lang}&theme={theme}", has_touch=screen.touch,
        viewport={"width": screen.width, "height": screen.height}, device_scale_factor=screen.scale,
    )  # fmt: skip
    try:
        SCENES[scene](visitor)
        visitor.settled()
        visitor.page.screenshot(path=path)
    finally:
        visitor.page.context.close()


def _readme(playwright: Playwright, out: Path, address: str, photo: Path, folder: Path) -> None:
    """A few screens side by side, as high as each other."""
    pictures = []
    for name, scene, theme in README:
        path = folder / f"{name}-{scene}.png"
        with browser(playwright, _filmed(FORMATS[name], photo, folder)) as opened:
            _shoot(opened, FORMATS[name], scene, ("en", theme), address, photo, path)
        picture = Image.open(path).convert("RGB")
        pictures.append(picture.resize((round(picture.width * README_HEIGHT / picture.height), README_HEIGHT)))
    together = Image.new("RGB", (sum(one.width + GAP for one in pictures) - GAP, README_HEIGHT), (255, 255, 255))
    left = 0
    for picture in pictures:
        together.paste(picture, (left, 0))
        left += picture.width + GAP
    together.save(out, quality=82, optimize=True)
    print(out)


def _wanted(options: argparse.Namespace) -> Iterator[tuple[str, tuple[str, str]]]:
    """Each screen in turn in the languages and themes, or in all of them."""
    for number, scene in enumerate(options.only or SCENES):
        for dress in DRESSES if options.all else [DRESSES[number % len(DRESSES)]]:
            yield scene, dress


def _sheet(paths: list[Path], out: Path) -> None:
    if not paths:
        return
    pictures = [Image.open(path).convert("RGB") for path in paths]
    for picture in pictures:
        picture.thumbnail((CELL, 2 * CELL))
    height = max(picture.height for picture in pictures) + NAME
    sheet = Image.new("RGB", (CELL * COLUMNS, height * -(-len(paths) // COLUMNS)), (128, 128, 128))
    for number, (path, picture) in enumerate(zip(paths, pictures, strict=True)):
        left, top = CELL * (number % COLUMNS), height * (number // COLUMNS)
        sheet.paste(picture, (left + (CELL - picture.width) // 2, top + NAME))
        ImageDraw.Draw(sheet).text((left + 6, top + 4), path.stem, (255, 255, 255), ImageFont.load_default(16))
    sheet.save(out)


if __name__ == "__main__":
    sys.exit(main())
