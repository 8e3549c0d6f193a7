"""The quality of answers: how many photos are answered at once, offered or sent away, and how many wrongly.

The catalogue holds the catalogue picture of each of 81 groceries, and photos from `train.txt`. Each photo of `test.txt`
is asked twice: as it is, and without its product, which makes the product an unknown one whose sisters are here. Photos
of clothing, surfaces and rubbish show things unlike any grocery. Network and decisions learned from products of
odd class id alone; `recall@1 unseen` covers those of even id.
"""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

import edgesearch
from edgesearch import Answer, Store
from edgesearch.evaluation import metrics
from edgesearch.search.outcomes import Outcomes, Targets, risk_curve

from . import decision_learning
from .accuracy_by_kind import kinds_by_sku
from .context import SEED, Results, add_data, add_model, require_photos
from .protocols import grocery_products, split, spread

TOGETHER = 3  # photos of one product that are searched together
CLOTHES = 500  # products in the catalogue, and queries
STATED = 0.05  # target share of wrong matches
DEPTH = 20  # products that an answer ranks
FAR = {"clothing": 25, "backgrounds": 12, "packaging": 25}  # every n-th of these photos
Figures = dict[str, float]
Queries = list[tuple[Path, str]]


def measure(data: Path, model: Path, references: int, folder: Path, seed: int, most: int | None = None) -> Figures:
    """Build the catalogue and search the photos.

    Args:
        data:       folder of real photos.
        model:      model folder.
        references: photos for each product in the catalogue, besides its catalogue picture.
        folder:     where the catalogue is built.
        most:       queries for each product; None: all.
    """
    test = split(data / "groceries", "test.txt")
    products = grocery_products(data / "groceries")
    queries = [(path, one.sku) for one in products for path in test[one.number][:most]]
    unseen = {one.sku for one in products if one.number % 2 == 0}
    with edgesearch.open(build_store(data, model, folder / "all", references, seed)) as store:
        known = _search(store, queries, "known")
        unknown = _search(store, queries, "unknown", hide=True)
        far = _search(store, _far_photos(data), "far away")
        figures = _measure_answers(known, unknown, queries, kinds_by_sku(data / "groceries"), unseen)
        figures |= {f"far: {name}": value for name, value in _shares(far).items()}
        together = _measure_together(store, queries)
        return figures | together | _measure_categories(store, [query for query in queries if query[1] in unseen])


def _search(store: Store, queries: Queries, what: str, hide: bool = False) -> list[Answer]:
    """Search the photos; hide: without the product of each."""
    bar = tqdm(queries, desc=what, disable=None)
    return [store.search(path, k=DEPTH, where=f"sku != {sku}" if hide else None) for path, sku in bar]


def _far_photos(data: Path) -> Queries:
    """Return photos of things that are no groceries."""
    return [(path, "") for kind, step in FAR.items() for path in sorted((data / kind).rglob("*.jpg"))[::step]]


def _shares(answers: Sequence[Answer]) -> Figures:
    """Return the share of each decision."""
    decisions = np.array([one.decision for one in answers])
    return {name: float((decisions == name).mean()) for name in ("match", "ambiguous", "unknown")}


def _measure_answers(
    known: Sequence[Answer], unknown: Sequence[Answer], queries: Queries, kinds: dict[str, str], unseen: set[str]
) -> Figures:
    """Return the figures of answers to photos of known and of unknown products."""
    share = Targets.unknown_share
    skus = [sku for _, sku in queries]
    found, strange = _as_arrays(known, skus), _as_arrays(unknown, [""] * len(unknown))
    packages = np.array([kinds[sku] == "packages" for sku in skus])
    is_unseen = np.array([sku in unseen for sku in skus])
    figures, right = found.figures(), found.ranks == 1
    wrong = (1 - share) * (found.matched & ~right).mean() + share * strange.matched.mean()
    matched = (1 - share) * found.matched.mean() + share * strange.matched.mean()
    rows = [(p, 1.0, int(rank), True) for p, rank in zip(found.probabilities, found.ranks, strict=True)]
    mixed = Outcomes.of([*rows, *((p, 1.0, 0, False) for p in strange.probabilities)], share)
    curve = metrics.error_curve(
        np.repeat([True, False], len(skus)), np.array([one.known for one in (*known, *unknown)])
    )
    assert curve is not None
    named = {name: figures[name] for name in ("match", "choice", "unknown", "shown", "coverage_at_95")}
    return {
        **{name: float(value or 0) for name, value in named.items()},
        "coverage_at_95: packages": found.of(packages).outcomes.coverage_at(),
        "wrong matches": float(wrong / max(matched, 1e-12)),
        "unknown sent away": float(strange.rejected.mean()),
        "recall@1": metrics.recall_at(found.ranks, 1),
        "recall@5": metrics.recall_at(found.ranks, 5),
        "recall@1 unseen": metrics.recall_at(found.ranks[is_unseen], 1),
        "auroc": curve.auroc,
        "ece": _calibration_error(mixed),
        "ece: known": metrics.reliability(found.probabilities, right).ece,
        "oracle match at 5% wrong": _oracle_match(mixed, found, STATED),
        "oracle match at 8% wrong": _oracle_match(mixed, found, 0.08),
    }


def _as_arrays(answers: Sequence[Answer], skus: Sequence[str]) -> metrics.Answers:
    decisions = np.array([one.decision for one in answers])
    found = [[match.sku for match in one.matches] for one in answers]
    ranks = [own.index(sku) + 1 if sku in own else 0 for own, sku in zip(found, skus, strict=True)]
    return metrics.Answers(
        np.array([bool(sku) for sku in skus]),
        decisions == "match",
        decisions == "unknown",
        np.array(ranks),
        np.array([one.probability for one in answers]),
    )


def _calibration_error(outcomes: Outcomes) -> float:
    """Return the ECE of the first product's probability, each photo by its weight."""
    bins = np.minimum((outcomes.first * metrics.BINS).astype(int), metrics.BINS - 1)
    off = np.bincount(bins, outcomes.weights * (outcomes.first - outcomes.right), metrics.BINS)
    return float(np.abs(off).sum() / outcomes.weights.sum())


def _oracle_match(mixed: Outcomes, known: metrics.Answers, wrong: float) -> float:
    """Return the share of known photos that are answered with the best threshold for these photos."""
    _, risk, thresholds = risk_curve(mixed)
    allowed = np.flatnonzero(risk <= wrong)
    return float((known.probabilities >= thresholds[allowed[-1]]).mean()) if len(allowed) else 0.0


def measure_kinds(data: Path, model: Path, folder: Path, seed: int) -> Figures:
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
    edgesearch.build(folder / "catalogue.csv", folder / "store.edge", model, seed=seed)
    right = []
    with edgesearch.open(folder / "store.edge") as store:
        for row in tqdm(others[:: max(1, len(others) // CLOTHES)], desc="kinds", disable=None):
            answer = store.search(data / "clothing" / "images" / f"{row['image']}.jpg")
            guess = answer.guesses.get("category")
            right.append((guess.value if guess else answer.matches[0].product.category) == row["label"])
    labels = {row["label"] for row in own}
    return {"kinds": len(labels), "products": len(listed), "photos": len(right), "top-1": float(np.mean(right))}


def _measure_together(store: Store, queries: Queries) -> Figures:
    """Search photos of one product in groups of three."""
    folders: dict[Path, Queries] = {}
    for path, sku in queries:
        folders.setdefault(path.parent, []).append((path, sku))
    groups = [group for same in folders.values() for group in zip(*[iter(same)] * TOGETHER, strict=False)]
    answers = [store.search([path for path, _ in group]) for group in tqdm(groups, desc="together", disable=None)]
    right = [one.matches[0].sku == group[0][1] for one, group in zip(answers, groups, strict=True)]
    return {
        "together: groups": len(groups),
        "together: recall@1": float(np.mean(right)),
        "together: match": _shares(answers)["match"],
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


def build_store(data: Path, model: Path, out: Path, references: int, seed: int) -> Path:
    """Build a catalogue of groceries with their coarse classes as categories."""
    lines = (data / "groceries" / "train.txt").read_text(encoding="utf-8").splitlines()
    coarse = {int(number): f"C{kind}" for _, number, kind in (line.split(", ") for line in lines)}
    train = split(data / "groceries", "train.txt")
    out.mkdir(parents=True)
    with open(out / "catalogue.csv", "w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("sku", "name", "images", "category"))
        for one in grocery_products(data / "groceries"):
            pictures = [one.catalogue_picture, *spread(train[one.number], references)]
            rows.writerows((one.sku, one.name, path.resolve(), coarse[one.number]) for path in pictures)
    edgesearch.build(out / "catalogue.csv", out / "store.edge", model, seed=seed)
    return out / "store.edge"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument(
        "--references", type=int, default=5, help="photos for each product besides its catalogue picture (default: 5)"
    )
    parser.add_argument(
        "--learn",
        action="store_true",
        help="learn the weights of decisions from photos that are not tested, and write them to the model folder",
    )
    parser.add_argument("--kinds", action="store_true", help="guess the kind of clothing instead")
    parser.add_argument("--most", type=int, help="queries for each product (default: all)")
    add_data(parser)
    add_model(parser)


def run(options: argparse.Namespace, folder: Path) -> Results:
    """Run `measure`, `learn` or `measure_kinds`."""
    require_photos(options.data)
    if options.kinds:
        return measure_kinds(options.data, options.model, folder, SEED)
    if options.learn:
        return decision_learning.learn(options.data, options.model, folder)
    found = measure(options.data, options.model, options.references, folder, SEED, options.most)
    return found | {"references": options.references}
