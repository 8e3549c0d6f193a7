"""Planted mistakes among real photos that `check` finds, its false alarms, and the time to read a catalogue.

Thresholds were chosen on the groceries of odd class id (photos of `train.txt`) and the objects that no protocol uses.
They are also measured on the groceries of even class id, by which nothing was chosen. `test.txt` is not used. Most
catalogues have a clean picture of each product, and some of them photos besides: these sets are "with a picture".
"""

import argparse
import io
import resource
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from edgesearch.audit.checks import Finding, check
from edgesearch.catalog import loader
from edgesearch.embedding.embedder import Embedder
from edgesearch.embedding.shipped_models import default_model
from edgesearch.images import image

from .context import SEED, Results, add_data, require_photos
from .processes import resident
from .protocols import grocery_products, on_white, split

REPEATS = 4
PICTURES = (2, 3, 5)  # pictures for each product
PHOTOS_BESIDE = (5,)  # photos for each product that has a catalogue picture
PLANTED = 0.1  # share of the products that get a mistake, for each kind
KINDS = {"same": "copied", "alike": "saved again", "unlike": "of another product"}
SIDES = (32, 48, 64, 80, 100, 128, 160, 224)  # px
Figures = dict[str, float]
Photos = dict[str, list[Path]]


def measure(data: Path, folder: Path, seed: int) -> dict[str, Figures]:
    """Return the shares found of each kind, by set of photos and pictures a product; "false" is of sound products."""
    clean = {p.sku: p.catalogue_picture for p in grocery_products(data / "groceries")}
    none: dict[str, Path] = {}
    sets = {
        "groceries, odd": (_groceries(data, 1), PICTURES, none),
        "groceries, odd, with a picture": (_groceries(data, 1), PHOTOS_BESIDE, clean),
        "groceries, even": (_groceries(data, 0), PICTURES, none),
        "groceries, even, with a picture": (_groceries(data, 0), PHOTOS_BESIDE, clean),
        "objects": (_objects(data), (3, 5), none),
    }
    results = {}
    for name, (photos, counts, pictures) in sets.items():
        for count in counts:
            found = [
                _measure_planted(photos, count, folder, np.random.default_rng([seed, repeat]), pictures)
                for repeat in tqdm(range(REPEATS), desc=f"{name}, {count}", disable=None)
            ]
            total = np.sum(found, 0)
            results[f"{name}; {count}"] = _shares(total)
    return results


def table(results: dict[str, Figures]) -> str:
    """Markdown."""
    lines = [
        f"| photos; of each product | {' | '.join(KINDS.values())} | false: saved again | false: unlike |",
        "|---|---|---|---|---|---|",
    ]
    for name, one in results.items():
        found = [f"{one[kind]:.2f} of {one['planted']:.0f}" for kind in KINDS]
        false = [f"{one[f'false {kind}']:.3f} of {one['sound']:.0f}" for kind in ("alike", "unlike")]
        lines.append(f"| {name} | {' | '.join(found + false)} |")
    return "\n".join(lines)


def recall_by_side(data: Path) -> Figures:
    """Return recall@1 of the photos of `val.txt` for products with three pictures, by their shorter side in px."""
    embedder = Embedder.open(default_model())
    products = [p for p in grocery_products(data / "groceries") if p.number % 2]
    train, asked = (split(data / "groceries", name) for name in ("train.txt", "val.txt"))
    queries = [(p.number, path) for p in products for path in asked.get(p.number, [])]
    right = np.array([number for number, _ in queries])
    query_vectors = np.concatenate(
        [embedder.embed_photos([path]) for _, path in tqdm(queries, desc="asked", disable=None)]
    )
    owners = np.array([p.number for p in products for _ in range(3)])
    shown = [_pick_evenly(train[p.number], 3) for p in products]
    found = {}
    for side in tqdm(SIDES, desc="sides", disable=None):
        small = [_shrink(path, side) for paths in shown for path in paths]
        gallery = np.concatenate([embedder.embed_references([embedder.read(one)])[0] for one in small])
        found[f"recall@1, {side} px"] = float((owners[(query_vectors @ gallery.T).argmax(1)] == right).mean())
    return found | {"photos": len(queries), "products": len(products)}


def least_contrast(data: Path) -> Figures:
    """Return the least contrast of clean catalogue pictures: standard deviation of the grey values, 0..255."""
    paths = [p.catalogue_picture for p in grocery_products(data / "groceries")]
    paths += sorted((data / "catalogue-pictures").glob("*.webp"))
    spread = [float(image.to_grey(image.read(path, 320), 64).std()) for path in paths]
    return {"catalogue pictures": len(paths), "least contrast": min(spread)}


def measure_reading(rows: int, folder: Path, seed: int) -> Figures:
    """Return the seconds to read a made-up CSV of `rows` rows, and the bytes of memory that a product takes."""
    path = folder / "catalogue.csv"
    rng = np.random.default_rng(seed)
    with open(path, "w", encoding="utf-8") as file:
        file.write("sku,name,images,price,currency,category,brand,barcode,stock,colour\n")
        for row, (price, kind, brand) in enumerate(rng.integers((1, 0, 0), (9000, 40, 300), (rows, 3)).tolist()):
            file.write(f"S-{row:07},Product {row} of the shop,pictures/{kind:03}/S-{row:07}.jpg,{price / 100:.2f},EUR,")
            file.write(f"Kind {kind},Brand {brand},{4_000_000_000_000 + row},{price % 50},red\n")
    before, start, busy = resident(), time.perf_counter(), time.process_time()
    read = loader.read(path)
    return {
        "seconds": time.perf_counter() - start,
        "seconds of the processor": time.process_time() - busy,
        "bytes a product": (resident() - before) / len(read.entries),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3),
    }


class _SoundProduct(NamedTuple):
    """A product's pictures in the catalogue, and spare ones."""

    pictures: list[Path]
    spare: list[Path]


def _groceries(data: Path, odd: int) -> Photos:
    photos = split(data / "groceries", "train.txt")
    return {p.sku: photos[p.number] for p in grocery_products(data / "groceries") if p.number % 2 == odd}


def _objects(data: Path) -> Photos:
    """Return the catalogue views of all objects."""
    names = sorted(path for path in (data / "objects").iterdir() if path.is_dir())
    return {name.name: sorted(name.glob("c*.webp")) for name in names}


def _pick_evenly(paths: list[Path], count: int) -> list[Path]:
    return [paths[i * len(paths) // count] for i in range(count)]


def _measure_planted(
    photos: Photos, count: int, folder: Path, rng: np.random.Generator, pictures: dict[str, Path]
) -> np.ndarray:
    """Plant mistakes, check the catalogue, count.

    Args:    count: photos for each product, beside its clean picture in `pictures`, if it has one.
    Returns: (7,) int: planted mistakes of each kind; found ones of each of the three kinds; sound products; false
             alarms of two kinds.
    """
    shutil.rmtree(folder / "planted", ignore_errors=True)
    skus = [sku for sku, paths in photos.items() if len(paths) > count]
    rng.shuffle(skus)
    sound = {}
    for sku in skus:
        paths = _shuffle(photos[sku], rng)
        clean = [pictures[sku]] if pictures else []
        sound[sku] = _SoundProduct(clean + paths[:count], paths[count:])
    for sku, one in sound.items():
        for place, path in enumerate(one.pictures):
            _write(folder / "planted" / sku / f"{place}.png", path)
    number = max(1, round(PLANTED * len(skus)))
    touched: dict[str, set[frozenset[str]]] = {}
    for turn, (kind, plant) in enumerate(PLANT.items()):
        pairs = [(skus[2 * i], skus[2 * i + 1]) for i in range(turn * number, (turn + 1) * number)]
        for into, other in pairs:
            last = len(sound[into].pictures) - 1
            plant(folder / "planted" / into / f"{last}.png", folder / "planted" / other, sound[other], rng)
        touched[kind] = {frozenset(pair if kind != "unlike" else pair[:1]) for pair in pairs}
    return _count_findings(check(loader.read(folder / "planted")).findings, touched, len(skus), number)


def _count_findings(
    findings: Sequence[Finding], touched: dict[str, set[frozenset[str]]], products: int, number: int
) -> np.ndarray:
    reported = {kind: {frozenset(one.skus) for one in findings if one.kind == kind} for kind in KINDS}
    planted = frozenset().union(*(skus for pairs in touched.values() for skus in pairs))
    false = [sum(not skus & planted for skus in reported[kind]) for kind in ("alike", "unlike")]
    hits = [len(reported[kind] & touched[kind]) for kind in ("same", "alike")]
    named = frozenset().union(*(skus for found in reported.values() for skus in found))
    hits.append(sum(skus <= named for skus in touched["unlike"]))  # a view of an object may resemble one of its own
    return np.array([number, *hits, products - len(planted), *false])


def _shares(total: np.ndarray) -> Figures:
    planted, *hits, sound, alike, unlike = total.tolist()
    shares = {kind: hit / planted for kind, hit in zip(KINDS, hits, strict=True)}
    return {"planted": planted, "sound": sound, **shares, "false alike": alike / sound, "false unlike": unlike / sound}


def _shuffle(paths: list[Path], rng: np.random.Generator) -> list[Path]:
    return [paths[i] for i in rng.permutation(len(paths))]


def _write(path: Path, source: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = on_white(source) if source.suffix == ".webp" else Image.open(source).convert("RGB")
    picture.save(path, compress_level=1)


def _copy(path: Path, other: Path, _: _SoundProduct, __: np.random.Generator) -> None:
    shutil.copy(other / "0.png", path)


def _save_again(path: Path, other: Path, _: _SoundProduct, rng: np.random.Generator) -> None:
    """Crop up to a tenth at each edge, shrink, lighten or darken, and save as a JPEG."""
    with Image.open(other / "0.png") as picture:
        left, top, right, bottom = rng.uniform(0, 0.1, 4)
        width, height = picture.size
        edges = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
        scale, light = rng.uniform(0.5, 1), rng.uniform(0.88, 1.12)
        size = round(width * (1 - left - right) * scale), round(height * (1 - top - bottom) * scale)
        again = picture.resize(size, box=edges).point(lambda value: round(min(255, value * light)))
    again.save(path.with_suffix(".jpg"), quality=int(rng.integers(50, 95)))
    path.unlink()


def _exchange(path: Path, _: Path, other: _SoundProduct, rng: np.random.Generator) -> None:
    _write(path, other.spare[int(rng.integers(len(other.spare)))])


PLANT: dict[str, Callable[[Path, Path, _SoundProduct, np.random.Generator], None]] = {
    "same": _copy,
    "alike": _save_again,
    "unlike": _exchange,
}


def _shrink(path: Path, side: int) -> bytes:
    with Image.open(path) as picture:
        scale = side / min(picture.size)
        small = picture.convert("RGB").resize((round(picture.width * scale), round(picture.height * scale)))
    data = io.BytesIO()
    small.save(data, "PNG")
    return data.getvalue()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument(
        "--thresholds", action="store_true", help="measure what the thresholds for small and blank pictures come from"
    )
    parser.add_argument(
        "--rows", type=int, help="instead, measure time and memory of reading a made-up CSV of ROWS rows"
    )
    parser.add_argument("--seed", type=int, default=SEED, help=f"seed of the planted mistakes (default: {SEED})")
    add_data(parser)


def run(options: argparse.Namespace, folder: Path) -> Results:
    """Run `measure`, `recall_by_side` and `least_contrast`, or `measure_reading`."""
    if options.rows:
        return measure_reading(options.rows, folder, options.seed)
    require_photos(options.data)
    if options.thresholds:
        return recall_by_side(options.data) | least_contrast(options.data)
    results = measure(options.data, folder, options.seed)
    return {"planted": results, "markdown": table(results), "note": "Shares of what was planted;"}
