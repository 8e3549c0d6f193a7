"""Take screenshots of every screen of the page.

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

from .chromium import LANDSCAPE, PORTRAIT, open_browser, serve_device, write_film
from .page_scenes import SCENES
from .visitor import new_visitor

ICON = Path(edgesearch.__file__).parent / "web" / "icons"
COLUMNS, CELL_PX, NAME_PX = 6, 380, 26  # of a sheet


@dataclass(frozen=True)
class Format:
    """A screen: CSS px, and device px for each of them."""

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
    "handheld": Format(480, 800, touch=True),
    "wide": Format(740, 360, touch=True),
}
README = [("desktop", "match", "bright"), ("phone", "attract", "dark"), ("phone", "counted", "bright")]
README_HEIGHT, GAP = 800, 24  # px
VARIANTS = [("en", "dark"), ("zh", "bright"), ("de", "dark"), ("ar", "bright")]  # language, theme


def main() -> int:
    """Take the screenshots; return the exit status."""
    parser = argparse.ArgumentParser(prog="tools/browsing/screens", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("build/screens"), help="folder to write to (build/screens)")
    parser.add_argument("--shop", type=Path, help="folder of a drawn shop (default: draw one)")
    parser.add_argument("--only", action="append", choices=list(SCENES), help="only this screen; may be repeated")
    parser.add_argument("--format", action="append", choices=list(FORMATS), help="only this format; may be repeated")
    parser.add_argument("--all", action="store_true", help="every screen in every language")
    parser.add_argument("--icons", action="store_true", help="only draw the icons of the page again")
    parser.add_argument("--readme", type=Path, metavar="JPEG", help="only make one picture of a few screens")
    options = parser.parse_args()
    try:
        with sync_playwright() as playwright:
            if options.icons:
                draw_icons(playwright)
            else:
                take_screenshots(playwright, options)
    except (edgesearch.EdgeSearchError, OSError) as error:
        print(f"tools/browsing/screens: {error}", file=sys.stderr)
        return 1
    return 0


def draw_icons(playwright: Playwright) -> None:
    """Draw the icons in the sizes that phones ask for."""
    with open_browser(playwright, None) as browser:
        for size in (192, 512):
            page = browser.new_page(viewport={"width": size, "height": size})
            page.goto((ICON / "icon.svg").as_uri())
            page.screenshot(path=ICON / f"icon-{size}.png")


def take_screenshots(playwright: Playwright, options: argparse.Namespace) -> None:
    """Write a PNG for each screen, and a sheet for each format."""
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shop = options.shop or folder / "shop"
        if options.shop is None:
            write_catalogue(shop, products=60, unknown=2, photos=1, seed=0)
        edgesearch.build(shop / "catalogue.csv", folder / "shop.edge")
        edgesearch.install(folder / "shop.edge", folder / "device")
        photo = shop / "photos" / "P000001-1.jpg"
        with serve_device(folder / "device") as address:
            if options.readme:
                _write_readme_picture(playwright, options.readme, address, photo, folder)
                return
            for format_ in options.format or FORMATS:
                _shoot_format(playwright, options, format_, address, photo, folder)


def _shoot_format(
    playwright: Playwright, options: argparse.Namespace, name: str, address: str, photo: Path, folder: Path
) -> None:
    written = []
    with open_browser(playwright, _write_format_film(FORMATS[name], photo, folder)) as browser:
        for scene, (lang, theme) in tqdm(list(_scenes_with_variants(options)), desc=name, disable=None):
            path = options.out / f"{name}-{scene}-{lang}-{theme}.png"
            try:
                _shoot(browser, FORMATS[name], scene, (lang, theme), address, photo, path)
                written.append(path)
            except Exception as error:
                print(f"{name} {scene}: {error}", file=sys.stderr)
    _write_sheet(written, options.out / f"sheet-{name}.png")
    print(f"{options.out}: {len(written)} screens of {name}, and sheet-{name}.png")


def _write_format_film(screen: Format, photo: Path, folder: Path) -> Path:
    """Write the film for the camera of such a device."""
    size = PORTRAIT if screen.height > screen.width and screen.touch else LANDSCAPE
    return write_film([photo], folder / f"{screen.width}.mjpeg", size)


def _shoot(
    browser: Browser, screen: Format, scene: str, variant: tuple[str, str], address: str, photo: Path, path: Path
) -> None:
    lang, theme = variant
    visitor = new_visitor(
        browser, address, photo, query=f"lang={lang}&theme={theme}", has_touch=screen.touch,
        viewport={"width": screen.width, "height": screen.height}, device_scale_factor=screen.scale,
    )  # fmt: skip
    try:
        SCENES[scene](visitor)
        visitor.wait_until_settled()
        visitor.page.screenshot(path=path)
    finally:
        visitor.page.context.close()


def _write_readme_picture(playwright: Playwright, out: Path, address: str, photo: Path, folder: Path) -> None:
    """Write a picture of a few screens side by side, at the same height."""
    pictures = []
    for name, scene, theme in README:
        path = folder / f"{name}-{scene}.png"
        with open_browser(playwright, _write_format_film(FORMATS[name], photo, folder)) as browser:
            _shoot(browser, FORMATS[name], scene, ("en", theme), address, photo, path)
        picture = Image.open(path).convert("RGB")
        pictures.append(picture.resize((round(picture.width * README_HEIGHT / picture.height), README_HEIGHT)))
    width = sum(picture.width + GAP for picture in pictures) - GAP
    row = Image.new("RGB", (width, README_HEIGHT), (255, 255, 255))
    left = 0
    for picture in pictures:
        row.paste(picture, (left, 0))
        left += picture.width + GAP
    row.save(out, quality=82, optimize=True)
    print(out)


def _scenes_with_variants(options: argparse.Namespace) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield each screen in all languages and themes with `--all`, otherwise in one of them, in turn."""
    for number, scene in enumerate(options.only or SCENES):
        for variant in VARIANTS if options.all else [VARIANTS[number % len(VARIANTS)]]:
            yield scene, variant


def _write_sheet(paths: list[Path], out: Path) -> None:
    if not paths:
        return
    pictures = [Image.open(path).convert("RGB") for path in paths]
    for picture in pictures:
        picture.thumbnail((CELL_PX, 2 * CELL_PX))
    height = max(picture.height for picture in pictures) + NAME_PX
    sheet = Image.new("RGB", (CELL_PX * COLUMNS, height * -(-len(paths) // COLUMNS)), (128, 128, 128))
    for number, (path, picture) in enumerate(zip(paths, pictures, strict=True)):
        left, top = CELL_PX * (number % COLUMNS), height * (number // COLUMNS)
        sheet.paste(picture, (left + (CELL_PX - picture.width) // 2, top + NAME_PX))
        ImageDraw.Draw(sheet).text((left + 6, top + 4), path.stem, (255, 255, 255), ImageFont.load_default(16))
    sheet.save(out)


if __name__ == "__main__":
    sys.exit(main())
