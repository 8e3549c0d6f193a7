"""Learn the weights of decisions from real photos, and write them to the model folder (`answers --learn`).

Each catalogue below is built and asked about photos whose product it has, and about the same photos without their
product. Photos come from another shop than the catalogue's photos, as a user's would: the photos of `val.txt` were
taken elsewhere than those of `train.txt`. Only groceries of odd class id and objects that may be trained on are used.
Drawn products that differ only in print teach how much print counts, of which groceries tell too little.

A model's map was learned from the same products, and flatters them: of the groceries with one catalogue picture it
finds .73, and .67 if it was learned from the others. So each half of the products is asked with a map that was learned
without it.

Q questions, P products.
"""

import csv
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from demo_shop import write_twins
from tqdm import tqdm

import edgesearch
from edgesearch import Store
from edgesearch.catalog.loader import read, read_queries
from edgesearch.embedding.embedder import read_whitening
from edgesearch.search import calibration
from edgesearch.search.calibration import NONE, Question
from edgesearch.search.decision import CONSIDERED, CROWD, MEAN, NEAREST, PICTURES, PLAIN, PRINTED, Weights
from edgesearch.search.decision_prior import KINDS, UNKNOWN_SHARE, Prior, Row, write_prior
from export import whiten
from export.training_pictures import training_sources

from .protocols import grocery_products, on_white, pasted, split, spread

Queries = list[tuple[Path, str]]
Pictures = dict[str, list[Path]]
MANY, FEW = 12, 5  # photos of a product
PER_PRODUCT = 16  # queries
FOLDS = 2  # parts of the products, each asked with a map learned from the others
KEPT_OUTCOMES = 300  # of a catalogue, in the model folder
TWINS = {"families": 16, "photos": 4, "seed": 7}  # drawn otherwise than those of the protocol `twins`
DRAWN_COUNT = 0.5  # of a lesson: groceries, which are real, shall not lose by it
UNEVEN = "mixed"  # catalogue of products with one and with several pictures, which teaches the weight of pictures
SCALES = Weights(0.1, 0.3, 0.02, 5, 0.1, 0.5, 2, 4, 1, 3)
POSITIVE, FREE = (0.0, np.inf), (-np.inf, np.inf)
BOUNDS = {"mean": (0.0, 1.0), "sharpness": (1.0, np.inf)}
BOUNDS |= dict.fromkeys(("pictures", "growth", "firmness"), POSITIVE)


@dataclass(frozen=True)
class Lesson:
    """A catalogue and photos to ask it.

    Attributes:
        name: Of the catalogue.
        pictures: Of each product, by SKU.
        queries: Photos and their SKUs.
        counts: Pictures of a product, under which its outcomes are kept; 0 keeps none.
    """

    name: str
    pictures: Pictures
    queries: Queries
    counts: int


def learn(data: Path, model: Path, folder: Path) -> dict[str, float]:
    """Learn the weights and write them to the model folder; returns the weights of each kind of catalogue."""
    asked: dict[str, dict[str, list[Question]]] = {kind: {} for kind in KINDS}
    lessons = [*grocery_lessons(data / "groceries"), *object_lessons(data, folder / "objects")]
    for fold, skus in cross_fit(data, model, folder):
        shipped = read_whitening(fold)
        for lesson in lessons:
            mine = replace(lesson, queries=[query for query in lesson.queries if query[1] in skus])
            with edgesearch.open(build(mine, fold, folder / lesson.name)) as store:
                own = store.base.embedder.whitening
                kind = KINDS[own is not None and (shipped is None or own.digest != shipped.digest)]
                asked[kind].setdefault(lesson.name, []).extend(ask(store, mine))
    twins = twin_lesson(folder / "drawn")
    with edgesearch.open(build(twins, model, folder / twins.name)) as store:
        known = [question for question in ask(store, twins) if question.known]  # none is missed: all are alike
    for questions in filter(None, asked.values()):
        questions[twins.name] = known
    counts = {lesson.name: lesson.counts for lesson in (*lessons, twins)}
    priors = {kind: learn_prior(questions, counts) for kind, questions in asked.items()}
    write_prior(model, priors)
    return {f"{kind}: {name}": value for kind, prior in priors.items() for name, value in asdict(prior.weights).items()}


def cross_fit(data: Path, model: Path, folder: Path) -> Iterator[tuple[Path, set[str]]]:
    """Yield copies of a model, each with a map that was learned without some products, and their SKUs."""
    groceries = {
        one.sku: one.catalogue_picture.parent.name for one in grocery_products(data / "groceries") if one.number % 2
    }
    objects = [path.name for path in sorted((data / "objects").iterdir()) if path.is_dir()]
    if read_whitening(model) is None:
        yield model, {*groceries, *objects}
        return
    sources = [one for one in training_sources(data) if one.group in (*whiten.GROUPS, "background")]
    for number in range(FOLDS):
        mine = {*[*groceries][number::FOLDS], *objects[number::FOLDS]}
        names = {groceries.get(sku, sku) for sku in mine}
        copy = folder / f"model-{number}"
        shutil.copytree(model, copy)
        whiten.whiten(copy, [one for one in sources if one.path.parent.name not in names])
        yield copy, mine


def grocery_lessons(groceries: Path) -> Iterator[Lesson]:
    """Yield catalogues of groceries: one catalogue picture, one with some photos of one shop, and a mix of both."""
    train, val = split(groceries, "train.txt"), split(groceries, "val.txt")
    products = [one for one in grocery_products(groceries) if one.number % 2]
    clean = {one.sku: [one.catalogue_picture] for one in products}
    first = {one.sku: train[one.number] for one in products}
    second = {one.sku: val[one.number][:FEW] for one in products if len(val.get(one.number, [])) >= FEW - 1}
    asked_first = [(path, sku) for sku in first for path in spread(first[sku], PER_PRODUCT)]
    asked_second = [(path, sku) for sku, paths in second.items() for path in paths]
    returned = [(path, sku) for path, sku in asked_first if sku in second]
    yield Lesson("one", clean, [*asked_first[::2], *asked_second], 1)
    for photos in (FEW, MANY):
        some = {sku: [*clean[sku], *spread(first[sku], photos)] for sku in clean}
        yield Lesson(f"first-{photos}", some, asked_second, photos + 1)
    for photos in (1, 2, FEW):
        some = {sku: [*clean[sku], *second.get(sku, spread(first[sku], FEW))[:photos]] for sku in clean}
        yield Lesson(f"second-{photos}", some, returned[photos % 2 :: 2], photos + 1)
    taught = [*second][::2]
    some = {sku: [*clean[sku], *(second[sku] if sku in taught else [])] for sku in clean}
    yield Lesson(UNEVEN, some, returned[::3], 0)


def object_lessons(data: Path, out: Path) -> Iterator[Lesson]:
    """Yield catalogues of objects on white, one and six pictures each; the queries show them on other backgrounds."""
    folders = sorted(path for path in (data / "objects").iterdir() if path.is_dir())
    backgrounds = sorted((data / "backgrounds").glob("*.jpg"))
    views: Pictures = {}
    queries: Queries = []
    out.mkdir(parents=True, exist_ok=True)
    for folder in (folder for number, folder in enumerate(folders) if number % 3 != 2):
        for view in [*sorted(folder.glob("c*.webp")), *sorted(folder.glob("v*.webp"))[::8]]:
            path, is_clean = out / f"{folder.name}-{view.stem}.png", view.stem.startswith("c")
            picture = on_white(view) if is_clean else pasted(view, backgrounds, path.stem, (0.45, 0.85), 256)
            picture.save(path)
            if is_clean:
                views.setdefault(folder.name, []).append(path)
            else:
                queries.append((path, folder.name))
    yield Lesson("objects-1", {sku: paths[:1] for sku, paths in views.items()}, queries, 0)
    yield Lesson("objects-6", views, queries, 0)


def twin_lesson(out: Path) -> Lesson:
    """Return a catalogue of drawn products that differ only in print."""
    write_twins(out, **TWINS)
    entries = read(out / "catalogue.csv").entries
    pictures = {entry.product.sku: [Path(path) for _, path in entry.images] for entry in entries}
    return Lesson("twins", pictures, [(path, sku) for path, sku in read_queries(out / "queries.csv")], 0)


def build(lesson: Lesson, model: Path, folder: Path) -> Path:
    """Build the catalogue of a lesson."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "catalogue.csv", "w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("sku", "name", "images"))
        rows.writerows((sku, sku, path.resolve()) for sku, paths in lesson.pictures.items() for path in paths)
    edgesearch.build(folder / "catalogue.csv", folder / "store.edge", model, resume=True)  # pictures are embedded once
    return folder / "store.edge"


def ask(store: Store, lesson: Lesson) -> list[Question]:
    """Ask the photos of a lesson, with and without their product."""
    shown = list(calibration.labelled_photos(store.base, lesson.queries))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pairs = pool.map(lambda photo: calibration.ask(store.base, photo), shown)
        return [one for pair in tqdm(pairs, total=len(shown), desc=lesson.name, disable=None) for one in pair]


def learn_prior(asked: Mapping[str, Sequence[Question]], counts: Mapping[str, int]) -> Prior:
    """Fit the weights to all catalogues of one kind, each counting the same, and keep how they judge the photos."""
    if not asked:
        return Prior()
    batches = [_Batch.of(questions) for questions in asked.values()]
    start = replace(PLAIN, **dict.fromkeys(("growth", "pictures"), 0.0))
    weights = fit(batches, start)
    outcomes: dict[int, list[Row]] = {}
    for name, questions in asked.items():
        if counts[name]:
            rows = calibration.judge(questions, weights)
            known, unknown = ([row for row in rows if row[3] is is_known] for is_known in (True, False))
            kept = [*thin(known, KEPT_OUTCOMES), *thin(unknown, KEPT_OUTCOMES)]
            outcomes[counts[name]] = [*outcomes.get(counts[name], []), *kept]
    return Prior(weights, outcomes)


def thin(rows: list[Row], count: int) -> list[Row]:
    """Return some rows, spread evenly over the probabilities of their first product."""
    ordered = sorted(rows)
    return [ordered[i] for i in np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)]


@dataclass(frozen=True)
class _Batch:
    """The questions to one catalogue as arrays; missing products have nan evidence.

    Attributes:
        evidence: (Q, P, 4) float64.
        right: (Q,) int64.
        known: (Q,) bool.
    """

    evidence: np.ndarray
    right: np.ndarray
    known: np.ndarray

    @classmethod
    def of(cls, questions: Sequence[Question]) -> "_Batch":
        evidence = np.full((len(questions), CONSIDERED, 4), np.nan)
        for row, question in zip(evidence, questions, strict=True):
            row[: len(question.evidence)] = question.evidence
        right = np.array([question.right for question in questions])
        return cls(evidence, right, np.array([question.known for question in questions]))

    def loss(self, weights: Weights) -> float:
        """Return the mean negative log likelihoods of the right product, of knowing it, and of the first being right.

        Where all products are known, it is the first alone. The formulas are those of `decision.explain`, for all
        questions at once.
        """
        missing, rows = np.isnan(self.evidence[:, :, 0]), np.nan_to_num(self.evidence)
        cosines = (1 - weights.mean) * rows[:, :, NEAREST] + weights.mean * rows[:, :, MEAN]
        pictures = np.log(rows[:, :, PICTURES].clip(1))
        likeness = np.where(missing, 0, cosines - weights.pictures * pictures)
        scores = likeness + weights.printed * rows[:, :, PRINTED] ** 2
        scores = np.where(missing, -np.inf, scores)
        each, first = np.arange(len(rows)), scores.argmax(1)
        sharper = 1 + weights.growth * pictures.sum(1) / (~missing).sum(1)
        sharper = sharper + weights.firmness * rows[each, first, PRINTED]
        utilities = (weights.sharpness * sharper)[:, None] * scores
        highest = utilities.max(1)
        total = np.log(np.exp(utilities - highest[:, None]).sum(1))
        choice = (total + highest - utilities[each, self.right])[self.known & (self.right != NONE)].mean()
        if self.known.all():
            return DRAWN_COUNT * float(choice)
        crowd = np.partition(likeness, -CROWD, 1)[:, -CROWD:].mean(1)
        logits = weights.known + weights.height * likeness[each, first] + weights.details * rows[each, first, PRINTED]
        logits = logits + weights.crowd * crowd
        surprise = np.logaddexp(0, np.where(self.known, -logits, logits))
        likely = np.exp(-total - np.logaddexp(0, -logits)).clip(1e-6, 1 - 1e-6)  # that the first product is right
        wrong = np.where(self.known & (first == self.right), -np.log(likely), -np.log(1 - likely))
        return float(choice + 3 * self._mean(surprise) + 3 * self._mean(wrong))

    def _mean(self, values: np.ndarray) -> float:
        """Return the mean over all photos, of which `UNKNOWN_SHARE` show unknown products."""
        return float((1 - UNKNOWN_SHARE) * values[self.known].mean() + UNKNOWN_SHARE * values[~self.known].mean())


def fit(batches: Sequence[_Batch], start: Weights) -> Weights:
    """Return the weights of the least loss, by L-BFGS-B (Byrd et al. 1995)."""
    from scipy import optimize  # of the extra `export`

    origin, scales = (np.array([*asdict(weights).values()]) for weights in (start, SCALES))
    limits = np.array([BOUNDS.get(name, FREE) for name in asdict(start)])
    bounds = (limits - origin[:, None]) / scales[:, None]

    def loss(x: np.ndarray) -> float:
        weights = Weights(*(origin + scales * x).tolist())
        return sum(batch.loss(weights) for batch in batches) / len(batches) + 1e-4 * float(x @ x)

    found = optimize.minimize(loss, np.zeros(len(origin)), method="L-BFGS-B", bounds=bounds)
    return Weights(*(origin + scales * found.x).tolist())
