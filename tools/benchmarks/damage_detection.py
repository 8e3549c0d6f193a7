"""Measure how often `compare` is right: with sound products, damaged ones, and others of the same appearance.

Drawn products are seeded. Real ones are the packaged groceries of odd class id (photos of `train.txt` are the
references, photos of `val.txt` the queries) and the objects that no protocol uses, pasted onto backgrounds.
`demo_shop.defects` draws the damage onto the cut-out before the photo is taken, or into the middle of a real photo.
"""

import argparse
import csv
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from demo_shop import DEFECTS, Product, catalogue_picture, deface, lone_photo, make_twins
from PIL import Image
from tqdm import tqdm

import edgesearch

from .context import Results, add_data, require_photos
from .protocols import PHOTOS_PER_PRODUCT, grocery_products, on_white, pasted, split, spread

SHARES = (0.02, 0.05, 0.12)  # share of the product that a defect covers
LISTED = 2  # products of a family that are in the catalogue
PACKED = range(28, 59)  # class ids of groceries in packages; nothing is printed on fruit
MIDDLE = 0.6  # share of a real photo, in each direction, that the product fills
GROCERIES = 40  # queries
Row = tuple[str, str, Path]


class Case(NamedTuple):
    """A query; kind: "sound", a defect, or what else the photo shows; share: of the product that is damaged."""

    sku: str
    kind: str
    share: float
    photo: Image.Image


def measure(gallery: list[Row], cases: Iterable[Case], folder: Path) -> dict[str, dict[str, float]]:
    """Return shares of verdicts by kind and size of damage: {"sound": {"cases": 40, "same": 0.9, ...}, ...}."""
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    _build(gallery, folder / "compared.csv", folder / "compared.edge")
    with edgesearch.open(folder / "compared.edge") as store:
        for case in tqdm(cases, desc="compare", unit="photo", disable=None):
            verdict = store.compare(case.photo, case.sku).verdict
            counts[case.kind][verdict] += 1
            if case.share:
                counts[f"damaged {case.share:.0%}"][verdict] += 1
    return {group: _shares(found) for group, found in counts.items()}


def table(results: dict[str, dict[str, float]]) -> str:
    """Markdown."""
    verdicts = ("same", "different", "damaged or altered", "cannot tell")
    lines = [f"| photo of | cases | {' | '.join(verdicts)} |", "|---|---|---|---|---|---|"]
    for group, found in results.items():
        lines.append(f"| {group} | {found['cases']:.0f} | {' | '.join(f'{found[v]:.2f}' for v in verdicts)} |")
    return "\n".join(lines)


def drawn_twins(folder: Path, seed: int, families: int) -> tuple[list[Row], Iterator[Case]]:
    """Draw twins, two of each family for the catalogue; return its rows, and sound, damaged and other queries."""
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    rows = []
    for family in range(families):
        for product in make_twins(seed, family)[:LISTED]:
            path = folder / "pictures" / f"{product.sku}.png"
            catalogue_picture(product, 640, 560).save(path)
            rows.append((product.sku, product.name, path))
    return rows, _make_drawn_cases(seed, families)


def _make_drawn_cases(seed: int, families: int) -> Iterator[Case]:
    for family in range(families):
        first, second, third, *_ = make_twins(seed, family)
        for member, product in enumerate((first, second)):
            take = partial(_take_photo, seed, family)
            yield Case(product.sku, "sound", 0, take(product, member))
            yield Case(product.sku, "sound", 0, take(product, member, 9))
            yield Case(product.sku, "listed twin", 0, take((second, first)[member], member))
            yield Case(product.sku, "unlisted twin", 0, take(third, member))
        for place, kind in enumerate(DEFECTS):
            share, product = SHARES[(place + family) % len(SHARES)], (first, second)[place % 2]
            rng = np.random.default_rng([seed, family, place, 5])
            altered = partial(deface, kind=kind, share=share, rng=rng)
            yield Case(
                product.sku, kind, share, lone_photo(product, np.random.default_rng([seed, family, place % 2]), altered)
            )


def _take_photo(seed: int, family: int, product: Product, *salt: int) -> Image.Image:
    return lone_photo(product, np.random.default_rng([seed, family, *salt]))


def groceries(data: Path, seed: int, out: Path) -> tuple[list[Row], Iterator[Case]]:
    """Return packages of odd class id with five photos each, and queries: each photo sound, damaged, and as another's.

    Nothing is written to `out`; the photos are used as they are.
    """
    folder = data / "groceries"
    train, asked = split(folder, "train.txt"), split(folder, "val.txt")
    products = [p for p in grocery_products(folder) if p.number % 2 and p.number in PACKED and p.number in asked]
    rows = []
    for product in products:
        photos = train[product.number]
        rows += [(product.sku, product.name, path) for path in spread(photos, PHOTOS_PER_PRODUCT)]
    known = [(p.sku, path) for p in products for path in asked[p.number]]
    chosen = [known[i] for i in sorted(np.random.default_rng(seed).permutation(len(known))[:GROCERIES].tolist())]
    neighbour = {one.sku: other.sku for one, other in zip(products, [*products[1:], products[0]], strict=True)}
    return rows, _real_cases([(sku, Image.open(path).convert("RGB")) for sku, path in chosen], neighbour, seed)


def objects(data: Path, seed: int, out: Path) -> tuple[list[Row], Iterator[Case]]:
    """Return the objects that no protocol uses, with catalogue views on white, and one pasted view each as a query."""
    folders = sorted(p for p in (data / "objects").iterdir() if p.is_dir())
    folders = [p for place, p in enumerate(folders) if place % 3 != 2]
    backgrounds = sorted((data / "backgrounds").glob("*.jpg"))
    rows, photos = [], []
    for folder in folders:
        for view in sorted(folder.glob("c*.webp")):
            path = out / f"{folder.name}-{view.stem}.png"
            on_white(view).save(path)
            rows.append((folder.name, folder.name, path))
        view = sorted(folder.glob("v*.webp"))[1::2][seed % 20]
        photos.append((folder.name, pasted(view, backgrounds, f"{folder.name}/{view.stem}/{seed}", (0.6, 0.85), 320)))
    names = [folder.name for folder in folders]
    return rows, _real_cases(photos, dict(zip(names, [*names[1:], names[0]], strict=True)), seed)


def _real_cases(photos: list[tuple[str, Image.Image]], neighbour: dict[str, str], seed: int) -> Iterator[Case]:
    for place, (sku, photo) in enumerate(photos):
        yield Case(sku, "sound", 0, photo)
        yield Case(neighbour[sku], "listed other", 0, photo)
        kind, share = DEFECTS[place % len(DEFECTS)], SHARES[place // len(DEFECTS) % len(SHARES)]
        rng = np.random.default_rng([seed, place, 5])
        yield Case(sku, kind, share, _alter_middle(photo, partial(deface, kind=kind, share=share, rng=rng)))


def _alter_middle(photo: Image.Image, altered: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Alter the product in the middle of a photo; missing parts get the photo's mean colour."""
    wide, tall = (round(n * MIDDLE) for n in photo.size)
    corner = (photo.width - wide) // 2, (photo.height - tall) // 2
    changed = altered(photo.crop((*corner, corner[0] + wide, corner[1] + tall)).convert("RGBA"))
    behind = photo.resize((1, 1)).resize(changed.size)
    behind.paste(changed, (0, 0), changed)
    damaged = photo.copy()
    damaged.paste(behind, corner)
    return damaged


def _build(rows: list[Row], catalogue: Path, store: Path) -> None:
    with open(catalogue, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("sku", "name", "images"), *((s, n, p.resolve()) for s, n, p in rows)])
    edgesearch.build(catalogue, store)


def _shares(found: dict[str, int]) -> dict[str, float]:
    total = sum(found.values())
    verdicts = ("same", "different", "damaged or altered", "cannot tell")
    return {"cases": float(total)} | {verdict: found[verdict] / total for verdict in verdicts}


REAL = {"groceries": groceries, "objects": objects}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--photos", choices=["drawn", *REAL], default="drawn")
    parser.add_argument("--families", type=int, default=8, help="families of drawn twins (default: 8)")
    parser.add_argument("--seed", type=int, default=32, help="seed of products, photos and damage (default: 32)")
    add_data(parser)


def run(options: argparse.Namespace, folder: Path) -> Results:
    """Run the benchmark."""
    if options.photos == "drawn":
        source = drawn_twins(folder, options.seed, options.families)
    else:
        require_photos(options.data)
        source = REAL[options.photos](options.data, options.seed, folder)
    results = measure(*source, folder)
    return {"verdicts": results, "markdown": table(results), "note": "Shares of the cases;"}
