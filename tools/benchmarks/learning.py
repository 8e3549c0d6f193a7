"""Recognition that grows with use: photos arrive in random order, each is scanned, and the device learns (`learning`).

One catalogue picture a product is built into a bundle and installed. The photos of `train.txt` and `val.txt` then come
one by one, as from a shop: a label names the product, 2% of labels are wrong, 10% of photos are dark, blurred or
covered. Each passes through `Store.search` and the same `Learner` that a barcode calls. The photos of `test.txt` are
asked after every stage. No photo that is asked is ever learned.

A day brings one scan a product on average. `coverage@95` is the largest share of the asked photos that are accepted
with a precision of 95%, from the probabilities of the answers; `missed` the share that is called unknown, `matched` the
share with a match.
"""

import argparse
import csv
import datetime
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

import edgesearch
from edgesearch import Store
from edgesearch.search import pipeline
from edgesearch.store import learner as learners

from .context import SEED, Results, add_data, add_model, require_photos
from .protocols import grocery_products, split

WRONG, BAD = 0.02, 0.1  # shares of labels and photos
STAGES = (0, 1, 3, 5, 12)  # scans a product; then all
PRECISION = 0.95
FIRST_DAY = datetime.datetime(2026, 1, 5, 8, tzinfo=datetime.UTC)
KINDS = ("dark", "blurred", "covered")


@dataclass(frozen=True)
class Scan:
    """A photo that is scanned.

    Attributes:
        path: Of the photo.
        sku: Of the product in it.
        label: SKU that the barcode names.
        bad: What is wrong with it; "" if nothing is.
        day: When it is scanned, counted from 0.
        turn: Number of the product's scan, counted from 1.
    """

    path: Path
    sku: str
    label: str
    bad: str
    day: int
    turn: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add options."""
    add_data(parser)
    add_model(parser)
    parser.add_argument("--seed", type=int, default=SEED, help="of the order, the wrong labels and the bad photos")
    parser.add_argument("--products", choices=("all", "even", "odd"), default="all", help="by class id (default: all)")
    parser.add_argument(
        "--stages", type=int, nargs="*", default=[*STAGES], help="scans a product (default: 0 1 3 5 12)"
    )
    parser.add_argument("--asked", type=int, default=0, metavar="N", help="ask every Nth test photo (default: each)")
    parser.add_argument("--wrong", type=float, default=WRONG, help=f"share of wrong labels (default: {WRONG})")
    parser.add_argument("--vectors-only", action="store_true", help="keep no pictures")
    parser.add_argument("--choose", action="store_true", help="learn from 3/4 of train and val, ask the rest")


def run(options: argparse.Namespace, folder: Path) -> Results:
    """Let a device learn, and ask it after each stage."""
    require_photos(options.data)
    groceries = options.data / "groceries"
    parity = {"all": (0, 1), "even": (0,), "odd": (1,)}[options.products]
    products = [one for one in grocery_products(groceries) if one.number % 2 in parity]
    scans, asked = _arrange(groceries, [(one.number, one.sku) for one in products], options)
    rows = [("sku", "name", "images"), *((one.sku, one.name, one.catalogue_picture.resolve()) for one in products)]
    with open(folder / "catalogue.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    edgesearch.build(folder / "catalogue.csv", folder / "store.edge", options.model, sequence=1)
    edgesearch.install(folder / "store.edge", folder / "device")
    with edgesearch.open(folder / "device") as store:
        store.learner.switch(True, vectors_only=options.vectors_only)
        return _simulate(store, scans, asked, sorted({*options.stages}))


def _arrange(
    groceries: Path, products: Sequence[tuple[int, str]], options: argparse.Namespace
) -> tuple[list[Scan], list[tuple[Path, str]]]:
    """Return the scans in their order, and the photos to ask."""
    rng = np.random.default_rng(options.seed)
    train, val, test = (split(groceries, f"{name}.txt") for name in ("train", "val", "test"))
    photos = [(path, sku) for number, sku in products for path in [*train[number], *val.get(number, [])]]
    order = rng.permutation(len(photos)).tolist()
    asked = [(path, sku) for number, sku in products for path in test[number]]
    if options.choose:
        cut = len(order) * 3 // 4
        asked, order = [photos[i] for i in order[cut:]], order[:cut]
    skus, turns = [sku for _, sku in products], dict[str, int]()
    scans: list[Scan] = []
    for i in order:
        path, sku = photos[i]
        label = str(rng.choice([other for other in skus if other != sku])) if rng.random() < options.wrong else sku
        bad = str(rng.choice(KINDS)) if rng.random() < BAD else ""
        turns[sku] = turns.get(sku, 0) + 1
        scans.append(Scan(path, sku, label, bad, len(scans) // len(products), turns[sku]))
    return scans, asked[:: max(1, options.asked)]


def _simulate(store: Store, scans: list[Scan], asked: list[tuple[Path, str]], stages: list[int]) -> Results:
    """Learn from the scans, stage by stage."""
    results: list[dict[str, object]] = []
    times: list[float] = []
    said: dict[str, int] = {}
    done = 0
    for stage in [*stages, None]:
        due = [scan for scan in scans if (done < scan.turn) and (stage is None or scan.turn <= stage)]
        for scan in due:
            lesson = _learn(store, scan)
            times += [lesson.elapsed_ms] * (lesson.state == "used")
            kind = "bad" if scan.bad else "wrong" if scan.label != scan.sku else "right"
            key = f"{kind}: {lesson.state if lesson.state != 'refused' else lesson.why}"
            said[key] = said.get(key, 0) + 1
        done = stage if stage is not None else done
        results.append({"scans": "all" if stage is None else stage, **_ask(store, asked)})
    return {"results": results, "lessons": said, "learn_ms": statistics.median(times or [0.0])} | _kept(store)


def _learn(store: Store, scan: Scan) -> learners.Lesson:
    """Learn from one scan as a barcode in the photo would teach it, on its day."""
    observation = pipeline.observe(store._gallery(), _spoil(scan), 1)
    learner = store.learner
    learner.clock = lambda: FIRST_DAY + datetime.timedelta(days=scan.day)
    return learner.learn(observation, scan.label, "barcode", scan.label, "bench")


def _spoil(scan: Scan) -> Image.Image:
    """Return the photo, made dark or blurred or covered if it is a bad one."""
    with Image.open(scan.path) as opened:
        photo = opened.convert("RGB")
    if scan.bad == "dark":
        return photo.point(lambda value: value * 0.12)
    if scan.bad == "blurred":
        return photo.filter(ImageFilter.GaussianBlur(max(photo.size) / 40))
    return Image.new("RGB", photo.size, (180, 140, 120)) if scan.bad else photo


def _ask(store: Store, asked: list[tuple[Path, str]]) -> dict[str, float]:
    """Return recall@1, coverage and the share of missed photos, and the time of a search."""
    answers = []
    times: list[float] = []
    for path, sku in asked:
        begun = time.perf_counter()
        answer = store.search(path, learn=False)
        times.append((time.perf_counter() - begun) * 1000)
        answers.append((answer.probability, answer.matches[0].sku == sku, answer.decision))
    right = np.array([is_right for _, is_right, _ in answers])
    accepted = np.array([decision == "match" for *_, decision in answers])
    unknown = np.array([decision == "unknown" for *_, decision in answers])
    return {
        "recall@1": float(right.mean()),
        "coverage@95": coverage(np.array([probability for probability, *_ in answers]), right),
        "missed": float(unknown.mean()),
        "matched": float(accepted.mean()),
        "matched_right": float(right[accepted].mean()) if accepted.any() else 0.0,
        "search_ms": statistics.median(times),
    }


def coverage(probabilities: np.ndarray, right: np.ndarray, precision: float = PRECISION) -> float:
    """Return the largest share of answers, the surest first, of which `precision` are right."""
    order = np.argsort(-probabilities, kind="stable")
    enough = np.flatnonzero(np.cumsum(right[order]) >= precision * np.arange(1, len(order) + 1))
    return float(enough[-1] + 1) / len(order) if len(enough) else 0.0


def _kept(store: Store) -> Results:
    pictures = store.learner.pictures()
    used = [one for one in pictures if one.state == "used"]
    return {
        "used": len(used),
        "aside": len(pictures) - len(used),
        "kilobytes": sum(one.size_bytes for one in pictures) / 1000,
    }
