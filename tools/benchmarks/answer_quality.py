"""The quality of answers: rejection of unknown products, probabilities, several photos of a product, categories.

The open set of groceries: products of odd class id are in the catalogue. Those of even id are not, and the model was
never trained on anything like them. The queries are the photos of `test.txt`.
"""

import argparse
import csv
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

import edgesearch
from edgesearch import Store
from edgesearch.evaluation import metrics
from edgesearch.evaluation.evaluate import evaluate
from edgesearch.search import calibration
from edgesearch.search.decision import ONE_PICTURE

from .context import SEED, Results, add_data, require_photos
from .protocols import grocery_products, split

TOGETHER = 3  # photos of one product that are searched together
CLOTHES = 500  # products in the catalogue, and queries
STATED = 0.05  # target share of false accepts
LEARNED_PER_PRODUCT, ROUNDS = 30, 30  # photos, rounds of fitting
Figures = dict[str, float]
Queries = list[tuple[Path, str]]


def measure(data: Path, references: int, folder: Path, seed: int, most: int | None = None) -> Figures:
    """Build the open set and search the photos.

    Args:
        data:       folder of real photos.
        references: photos for each product in the catalogue; 0: its catalogue picture.
        folder:     where the catalogues are built.
        most:       queries for each product; None: all.
    """
    test = split(data / "groceries", "test.txt")
    products = grocery_products(data / "groceries")
    queries = [(path, one.sku if one.number % 2 else "") for one in products for path in test[one.number][:most]]
    with edgesearch.open(_build_store(data, folder / "odd", references, seed, odd=True)) as store:
        figures = _measure_open_set(store, queries) | _measure_together(store, queries)
    unseen = [(path, one.sku) for one in products if one.number % 2 == 0 for path in test[one.number][:most]]
    with edgesearch.open(_build_store(data, folder / "all", references, seed)) as store:
        return figures | _measure_categories(store, unseen)


def measure_kinds(data: Path, folder: Path, seed: int) -> Figures:
    """Measure how often the kind of clothing is right; the catalogue holds only products of other senders."""
    with open(data / "clothing" / "images.csv", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if (data / "clothing" / "images" / f"{row['image']}.jpg").exists()]
    own = [row for row in rows if int(row["sender_id"]) % 2 == 0]
    others = [row for row in rows if int(row["sender_id"]) % 2]
    folder.mkdir(exist_ok=True)
    with open(folder / "catalogue.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("sku", "name", "images", "category"))
        for row in (listed := own[:: max(1, len(own) // CLOTHES)]):
            path = data / "clothing" / "images" / f"{row['image']}.jpg"
            writer.writerow((row["image"], row["label"], path.resolve(), row["label"]))
    edgesearch.build(folder / "catalogue.csv", folder / "store.edge", seed=seed)
    right = []
    with edgesearch.open(folder / "store.edge") as store:
        for row in tqdm(others[:: max(1, len(others) // CLOTHES)], desc="kinds", disable=None):
            answer = store.search(data / "clothing" / "images" / f"{row['image']}.jpg")
            guess = answer.guesses.get("category")
            right.append((guess.value if guess else answer.matches[0].product.category) == row["label"])
    labels = {row["label"] for row in own}
    return {"kinds": len(labels), "products": len(listed), "photos": len(right), "top-1": float(np.mean(right))}


def learn(data: Path, references: int, folder: Path, seed: int) -> Figures:
    """Fit the initial weights of `decision` to photos of odd products from `val` and `train` that are no references."""
    train, others = (split(data / "groceries", name) for name in ("train.txt", "val.txt"))
    queries: Queries = []
    for one in grocery_products(data / "groceries"):
        if one.number % 2:
            rest = [path for path in train[one.number] if path not in _references(train[one.number], references or 5)]
            queries += [(path, one.sku) for path in [*others.get(one.number, []), *rest[::3]][:LEARNED_PER_PRODUCT]]
    with edgesearch.open(_build_store(data, folder / "odd", references, seed, odd=True)) as store:
        shown = list(calibration.labelled_photos(store.base, queries))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            pairs = pool.map(lambda one: calibration.ask(store.base, one), shown)
            questions = [
                question for pair in tqdm(pairs, total=len(shown), desc="learn", disable=None) for question in pair
            ]
    none = replace(ONE_PICTURE, nearest=0.0, mean=0.0, printed=0.0, unknown=0.0, crowd=0.0)
    found = none
    for _ in range(ROUNDS):  # each round starts from the last one, so that regularization vanishes
        found = calibration.fit_weights(questions, found)
    strict = {
        f"accept at {share}": calibration.set_thresholds(found, questions, share).accept
        for share in calibration.ACCEPT_AT
    }
    return calibration.set_thresholds(found, questions, STATED).to_dict() | strict


def _measure_open_set(store: Store, queries: Queries) -> Figures:
    found = evaluate(store, queries, progress=_progress("open set"))
    table, curve = found.to_dict(), found.errors
    assert curve is not None
    names = ("recall@1", "auroc", "ece", "false_accept_rate", "false_reject_rate")
    return {name: table[name] for name in names} | {"false rejects at 5%": curve.reject_rate_at(STATED)}


def _measure_together(store: Store, queries: Queries) -> Figures:
    """Search photos of one folder in groups of three."""
    folders: dict[Path, Queries] = {}
    for path, sku in queries:
        folders.setdefault(path.parent, []).append((path, sku))
    groups = [group for same in folders.values() for group in zip(*[iter(same)] * TOGETHER, strict=False)]
    answers = [store.search([path for path, _ in group]) for group in tqdm(groups, desc="together", disable=None)]
    inside = np.array([bool(group[0][1]) for group in groups])
    right = np.array([one.matches[0].sku == group[0][1] for one, group in zip(answers, groups, strict=True)])
    curve = metrics.error_curve(inside, np.array([answer.known for answer in answers]))
    assert curve is not None
    return {
        "together: groups": len(groups),
        "together: recall@1": float(right[inside].mean()),
        "together: auroc": curve.auroc,
        "together: false rejects at 5%": curve.reject_rate_at(STATED),
    }


def _measure_categories(store: Store, unseen: Queries) -> Figures:
    """Guess the coarse class of unseen products that share it with another one, each from all the others."""
    own = {sku: product.category for sku, product in store.products().items()}
    queries = [(path, sku) for path, sku in unseen if [*own.values()].count(own[sku]) > 1]
    right, shares = [], []
    for path, sku in tqdm(queries, desc="category", disable=None):
        answer = store.search(path, where=f"sku != {sku}")
        guess = answer.guesses.get("category")  # None if another product is accepted
        right.append((guess.value if guess else answer.matches[0].product.category) == own[sku])
        shares.append(guess.share if guess else answer.probability)
    held = metrics.reliability(np.array(shares), np.array(right))
    return {"category: photos": len(queries), "category: top-1": float(np.mean(right)), "category: ece": held.ece}


def _build_store(data: Path, out: Path, references: int, seed: int, odd: bool = False) -> Path:
    """Build a catalogue of groceries with their coarse classes as categories; odd: only products of odd class id."""
    lines = (data / "groceries" / "train.txt").read_text(encoding="utf-8").splitlines()
    coarse = {int(number): f"C{kind}" for _, number, kind in (line.split(", ") for line in lines)}
    train = split(data / "groceries", "train.txt")
    out.mkdir(parents=True)
    with open(out / "catalogue.csv", "w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("sku", "name", "images", "category"))
        for one in grocery_products(data / "groceries"):
            if one.number % 2 or not odd:
                few = _references(train[one.number], references) if references else [one.catalogue_picture]
                rows.writerows((one.sku, one.name, path.resolve(), coarse[one.number]) for path in few)
    edgesearch.build(out / "catalogue.csv", out / "store.edge", seed=seed)
    return out / "store.edge"


def _references(photos: list[Path], count: int) -> list[Path]:
    return photos[:: len(photos) // count][:count]


def _progress(what: str) -> Callable[[int, int], None]:
    bar = tqdm(desc=what, disable=None)

    def move(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    return move


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument(
        "--references", type=int, default=5, help="photos for each product; 0: its catalogue picture (default: 5)"
    )
    parser.add_argument(
        "--learn", action="store_true", help="fit the initial weights of decisions to photos that are not tested"
    )
    parser.add_argument("--kinds", action="store_true", help="guess the kind of clothing instead")
    parser.add_argument("--most", type=int, help="queries for each product (default: all)")
    add_data(parser)


def run(options: argparse.Namespace, folder: Path) -> Results:
    """Run `measure`, `learn` or `measure_kinds`."""
    require_photos(options.data)
    if options.kinds:
        return measure_kinds(options.data, folder, SEED)
    queries = (options.data, options.references, folder, SEED)
    found = learn(*queries) if options.learn else measure(*queries, options.most)
    return found | {"references": options.references}
