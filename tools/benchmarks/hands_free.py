"""Photos shown to the page by a trembling hand: how many are answered hands-free, and how long the old answer stays.

A kiosk searches groceries. Its camera shows photos of different products one after the other, each for some seconds,
and surfaces or clothing in between. The hand trembles by 1, 2 or 4 px of a camera of 960 x 1280, the last time
with frames exposed for 1/30 s. Time is the page's, which stops while the server works; answers are as slow as on a
cheap scanner. The limits of `edgesearch/web/scene.js` and `live.js` were chosen on `--split train.txt`.
"""

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from browsing.chromium import open_browser, serve_device
from browsing.recorded_camera import Hand, Shown, compose_with_margin, fill, open_recorded, plan, play
from browsing.visitor import new_visitor
from PIL import Image
from playwright.sync_api import sync_playwright
from tqdm import tqdm

import edgesearch
from edgesearch.embedding.shipped_models import default_model

from .answer_quality import build_store
from .context import SEED, Results, add_data, require_photos
from .page_speed import PHONE
from .protocols import grocery_products, split

HANDS = {"1 px": Hand(1), "2 px": Hand(2), "4 px": Hand(4), "4 px, blurred": Hand(4, is_blurred=True)}
WITHIN_MS = 1500
HOLD_MS = 3000
EMPTY_EVERY = 2  # photos, after which something else is shown
ELSE = ("backgrounds", "clothing")  # folders of what is no grocery, in turns
DELAYS_MS = {"v1/frames": 120.0, "v1/search?k=6": 400.0}  # four times what `page` measures
Events = Sequence[dict[str, Any]]


def measure(
    store: Path,
    photos: Sequence[tuple[Path, str]],
    empty: Sequence[Path],
    hands: Sequence[str],
    folder: Path,
    seed: int,
) -> dict[str, Results]:
    """Show the photos to the page once for each hand; return what `judge` says, by hand.

    Args:
        store:  a bundle.
        photos: each with its SKU, of different products.
        empty:  photos without a product: one more than one for each `EMPTY_EVERY` photos.
        hands:  names in `HANDS`.
        folder: for the device.
    """
    edgesearch.install(store, folder / "device")
    pictures, shown = _arrange(photos, empty)
    skus = {str(path): sku for path, sku in photos}
    found: dict[str, Results] = {}
    with (
        serve_device(folder / "device") as address,
        sync_playwright() as playwright,
        open_browser(playwright, None) as opened,
    ):
        for name in tqdm(hands, desc="hands", disable=None):
            query = "lang=en&kiosk=3600"
            person = new_visitor(opened, address, photos[0][0], query=query, service_workers="block", viewport=PHONE)
            open_recorded(person, pictures, shown, HANDS[name], DELAYS_MS, seed)
            found[name] = judge(play(person, shown[-1].until_ms), shown, skus)
            person.page.context.close()
    return found


def _arrange(photos: Sequence[tuple[Path, str]], empty: Sequence[Path]) -> tuple[dict[str, Image.Image], list[Shown]]:
    """Return the pictures by name, and when each is shown; "" is there before the first photo."""
    pictures = {"": fill(empty[0])}
    for index, (path, _) in enumerate(photos):
        pictures[str(path)] = compose_with_margin(path)
        if index % EMPTY_EVERY == EMPTY_EVERY - 1:
            surface = empty[1 + index // EMPTY_EVERY]
            pictures[str(surface)] = fill(surface)
    return pictures, plan([name for name in pictures if name], HOLD_MS)


def judge(events: Events, shown: Sequence[Shown], skus: dict[str, str]) -> Results:
    """Return how many photos were helped, how soon, how often nothing was answered, and how long old answers stayed.

    Args:
        events: as `play` returns them.
        skus:   of the pictures with a product, by their names.
    """
    waits: list[float] = []
    stale: list[float] = []
    right = fired = 0
    for one in shown:
        answers = _answers(events, one)
        if one.name not in skus:
            fired += len(answers)
            continue
        waits.append(min((shown_at - one.still_ms for shown_at, _ in answers), default=np.inf))
        right += any(skus[one.name] in found for _, found in answers)
    for before, one in itertools.pairwise(shown):
        if _answers(events, before):
            later = [event["at"] for event in events if event["kind"] != "searched" and event["at"] >= one.from_ms]
            stale.append(min(later, default=shown[-1].until_ms) - one.from_ms)
    in_time = np.array(waits) <= WITHIN_MS
    return {
        "photos": len(waits),
        "answered or asked back within 1.5 s": int(in_time.sum()),
        "right product among the answers": right,
        "ms until the answer, median": round(float(np.median(waits))) if in_time.any() else -1,
        "surfaces and clothes": len(shown) - len(waits),
        "answers to these": fired,
        "ms an old answer stays, median": round(float(np.median(stale))) if stale else -1,
        "ms an old answer stays, longest": round(max(stale, default=-1)),
    }


def table(found: dict[str, Results]) -> str:
    """Return what `measure` found as a table, with a column for each hand."""
    lines = [f"| | {' | '.join(found)} |", f"|---{'|---' * len(found)}|"]
    figures = next(iter(found.values()))
    lines += [f"| {key} | {' | '.join(f'{one[key]:,}' for one in found.values())} |" for key in figures]
    return "\n".join(lines)


def _answers(events: Events, one: Shown) -> list[tuple[float, list[str]]]:
    """Return when an answer to a picture was shown, and its SKUs: its photo was taken after the picture came."""
    found: list[tuple[float, list[str]]] = []
    last: dict[str, Any] | None = None
    for event in events:
        last = event if event["kind"] == "searched" else last
        if event["kind"] == "shown" and last and one.from_ms <= last["start"] < one.until_ms:
            found.append((event["at"], last["skus"]))
    return found


def choose_photos(data: Path, listed: str, count: int, seed: int) -> list[tuple[Path, str]]:
    """Return photos of different products, each with its SKU; listed: the file of the split."""
    by_class = split(data / "groceries", listed)
    rng = np.random.default_rng(seed)
    products = grocery_products(data / "groceries")
    chosen = rng.choice(len(products), count, replace=False)
    return [
        (by_class[products[i].number][rng.integers(len(by_class[products[i].number]))], products[i].sku) for i in chosen
    ]


def choose_other(data: Path, count: int, seed: int) -> list[Path]:
    """Return photos of what is no grocery."""
    rng = np.random.default_rng(seed)
    folders = [sorted((data / name).rglob("*.jpg")) for name in ELSE]
    return [folders[i % len(folders)][rng.integers(len(folders[i % len(folders)]))] for i in range(count)]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    add_data(parser)
    parser.add_argument("--store", type=Path, help="bundle of the groceries (default: build one)")
    parser.add_argument(
        "--references", type=int, default=5, help="photos for each product besides its catalogue picture (default: 5)"
    )
    parser.add_argument("--split", default="test.txt", help="the photos that are shown (default: test.txt)")
    parser.add_argument("--photos", type=int, default=20, help="default: 20")
    parser.add_argument("--hand", action="append", choices=list(HANDS), help="default: all")


def run(options: argparse.Namespace, folder: Path) -> Results:
    """Run the benchmark.

    Raises: FileNotFoundError: the real photos are missing.
    """
    require_photos(options.data)
    store = options.store or build_store(options.data, default_model(), folder / "all", options.references, SEED)
    photos = choose_photos(options.data, options.split, options.photos, SEED)
    empty = choose_other(options.data, 1 + len(photos) // EMPTY_EVERY, SEED)
    found = measure(store, photos, empty, options.hand or list(HANDS), folder, SEED)
    note = f"The server takes {' and '.join(f'{ms:.0f} ms' for ms in DELAYS_MS.values())} for a frame and a search;"
    return found | {"markdown": table(found), "note": note}
