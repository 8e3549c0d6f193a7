"""Calibrate a catalogue: adapt the weights of evidence to it, choose the thresholds, and say what to expect.

Photos whose product is known are asked; without any, the catalogue's own pictures, each left out in turn. Every picture
gives two questions: one to the whole catalogue, and one to the catalogue without the picture's product, which makes the
product unknown.

A photo in a shop is less like the catalogue's photos than these are like each other, for some of them were taken
together. Of 40 groceries with one catalogue picture and five photos each, pictures left out are found .93 of the time,
photos from another shop .77; with twelve photos .97 and .81. A model fitted to pictures left out therefore called most
photos unknown, the more, the more pictures there were. So with each picture `TAKEN_TOGETHER` of its product's other
pictures are left out, the nearest ones; then the same pictures are found .83 and .79 of the time.

Products with one or two pictures cannot be asked so: views made of a picture flatter even more. For them the weights of
the model stay, which were learned from photos of groceries and of objects (`decision_prior`), and so do the outcomes of
these photos. With a mix of both, each counts by the share of products.

Q questions, P products, R rows.
"""

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .._util import progress
from ..catalog import sources
from ..catalog.product import check_queries
from ..images import image
from ..images.augmented_views import cut_out, draw_shelf_view
from ..local_features.descriptors import extract_query_features
from . import pipeline
from .decision import Calibration, Weights, explain, known_weights, sigmoid
from .decision_prior import UNKNOWN_SHARE, Prior, Row
from .gallery import Gallery, OverlayRows
from .open_bundle import OpenBundle
from .outcomes import DEFAULT_TARGETS, NOT_FOUND, Outcomes, Targets, choose_thresholds, expect

MAX_PICTURES = 200  # of the catalogue
MIN_PICTURES = 3  # of a product, to leave one out: of two, one would be left, which says little about two
MIN_QUESTIONS = 20  # photos of known products needed to learn anything
PRIOR_PHOTOS = 50  # how many photos the outcomes of the model count for
TAKEN_TOGETHER = 1 / 3  # share of a product's other pictures that are left out with one
MAX_STEPS = 50  # of Newton's method
MORE_PICTURES = 6  # of a product, for which the gain is stated
NONE = -1
SHARPER = np.geomspace(0.4, 2.5, 41)  # factors of the sharpness that are tried
SHARPER_SPREAD = 0.3  # standard deviation of their logarithm, a priori
KNOWN_SPREAD = np.array([1.0, 3.0, 0.5, 1.5])  # standard deviations of the weights of the logistic regression, a priori


@dataclass(frozen=True)
class Question:
    """The candidates found for a photo whose product is known.

    Attributes:
        evidence: (P, 4) float64.
        right: Position of the photo's product in it, `NONE` if it is missing.
        known: Whether the catalogue has the product, found or not.
        products: Numbers of the P products.
        product: Number of the photo's product; None if the catalogue never had it.
        half: The same without half of the product's pictures; None if it has too few.
    """

    evidence: np.ndarray
    right: int
    known: bool
    products: tuple[int, ...] = ()
    product: int | None = None
    half: "Question | None" = None


@dataclass(frozen=True)
class CalibrationPhoto:
    """A photo whose product is known.

    Attributes:
        pixels: Returns (H, W, 3) uint8; it is called when they are needed.
        product: Number of its product, None if the catalogue lacks the product.
        row: Row of the picture that it shows, left out of the search; None for photos that are no picture.
    """

    pixels: Callable[[], np.ndarray]
    product: int | None
    row: int | None = None


def calibrate(
    base: OpenBundle,
    pictures: Sequence[str],
    prior: Prior,
    photos: Sequence[tuple[Path, str]] = (),
    targets: Targets = DEFAULT_TARGETS,
    seed: int = 0,
) -> tuple[Calibration, list[Question]]:
    """Calibrate a catalogue.

    Args:
        base: Holds the catalogue.
        pictures: Sources of the pictures, by row.
        prior: Of the model.
        photos: Photos to learn from instead, each with its SKU; an empty SKU marks a product the catalogue lacks.
        targets: The errors to accept.
        seed: Chooses pictures and views.
    Returns:
        The calibration, and what was asked.
    Raises:
        CatalogError: The catalogue lacks a SKU.
        ImageError: A photo cannot be read.
    """
    asked = [*calibration_photos(base, pictures, photos, seed)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pairs = pool.map(lambda photo: ask(base, photo), asked)
        questions = [one for pair in progress.track("calibrate", "photo", pairs, len(asked)) for one in pair]
    counts = np.unique(base.catalog.owners, return_counts=True)[1]  # of products with pictures
    several = 1.0 if photos else float((counts >= MIN_PICTURES).mean())  # products that the questions stand for
    known = sum(question.known for question in questions)
    if known < MIN_QUESTIONS:
        questions, several = [], 0.0
    weights = shift_unknown_share(fit_weights(questions, prior.weights), targets.unknown_share)
    outcomes = _join_outcomes(weights, questions, several, prior.outcomes_for(float(counts.mean())), targets)
    source = ("photos" if photos else "pictures") if questions else "model" if outcomes else ""
    if outcomes is None:
        return Calibration(weights), questions
    match_from, known_from = choose_thresholds(outcomes, targets)
    expected = expect(outcomes, match_from, known_from)
    if source == "model":
        expected |= _expect_more_pictures(prior, targets)
    return Calibration(weights, match_from, known_from, expected, source, known if questions else 0), questions


def _join_outcomes(
    weights: Weights, questions: Sequence[Question], several: float, prior: Sequence[Row], targets: Targets
) -> Outcomes | None:
    """Return the outcomes of the questions and of the model, each by how much it tells; None if there are none."""
    own = judge(questions, weights)
    known = sum(is_known for *_, is_known in own)
    share = several * known / (known + PRIOR_PHOTOS) if prior else 1.0
    parts = [(own, share), (prior, 1 - share)]
    found = [Outcomes.of(rows, targets.unknown_share).scaled(weight) for rows, weight in parts if rows and weight]
    return Outcomes.join(found) if found else None


def _expect_more_pictures(prior: Prior, targets: Targets) -> dict[str, float]:
    """Return how many photos the model's groceries answer at once with one picture a product, and with more."""
    asked = {
        "match_with_one_picture": prior.outcomes_for(1),
        "match_with_more_pictures": prior.outcomes_for(MORE_PICTURES, will_be_whitened=True),
    }
    judged = {name: Outcomes.of(rows, targets.unknown_share) for name, rows in asked.items() if rows}
    return {name: expect(rows, *choose_thresholds(rows, targets))["match"] for name, rows in judged.items()}


def judge(questions: Sequence[Question], weights: Weights) -> list[Row]:
    """Return how a calibration with these weights judges each question, as rows for `Outcomes.of`."""
    rows = []
    for question in questions:
        likely = Calibration(weights).probabilities(question.evidence)
        order = np.argsort(-likely, kind="stable").tolist()
        rank = order.index(question.right) + 1 if question.right != NONE else NOT_FOUND
        rows.append((float(likely.max(initial=0)), float(likely.sum()), rank, question.known))
    return rows


def ask(base: OpenBundle, photo: CalibrationPhoto) -> list[Question]:
    """Search the catalogue for a photo, and again without the photo's product if the catalogue has it."""
    pixels, base = photo.pixels(), base.without(photo.row)
    embedding, (crop,) = base.embedder.embed_and_locate([pixels])
    extract = functools.cache(functools.partial(extract_query_features, pixels, crop))

    def search(hidden: list[int], known: bool) -> Question:
        gallery = Gallery(base, 0, OverlayRows(hidden={"": hidden} if hidden else {}), {})
        candidates, evidence = pipeline.find_candidates(gallery, embedding, extract)
        products = tuple(gallery.owner(candidate.row) for candidate in candidates[: len(evidence)])
        right = products.index(photo.product) if known and photo.product in products else NONE
        return Question(evidence, right, known, products, photo.product)

    if photo.product is None:
        return [search([], False)]
    own = base.catalog.rows_of([photo.product]).tolist()
    hidden = _rows_taken_together(base, photo, embedding)
    rest = [row for row in own if row not in hidden]
    half = search([*hidden, *rest[1::2]], True) if len(rest) > 1 else None
    found = [replace(search(hidden, True), half=half), search(own, False)]
    base.release_pages()
    return found


def _rows_taken_together(base: OpenBundle, photo: CalibrationPhoto, embedding: np.ndarray) -> list[int]:
    """Return the row of a picture of the catalogue, and those of its product's pictures that are most like it."""
    if photo.row is None or photo.product is None:
        return []
    others = base.catalog.rows_of([photo.product])
    others = others[others != photo.row]
    count = round((len(others) - 1) * TAKEN_TOGETHER)
    nearest = np.argsort(-base.index.read_vectors(others) @ embedding[0], kind="stable")[: max(0, count)]
    return [photo.row, *others[nearest].tolist()]


def fit_weights(questions: Sequence[Question], prior: Weights) -> Weights:
    """Return the most likely weights given the answers and a prior; those of pictures and growth stay.

    Known products that were not found teach nothing, for the evidence lacks them.
    """
    asked = [question for question in questions if len(question.evidence)]
    answered = [question for question in asked if not question.known or question.right != NONE]
    if not answered:
        return prior
    terms = [(explain(question.evidence, prior), question.right) for question in answered]
    sharper = _fit_sharpness([(t.sharpness * prior.sharpness * t.scores, right) for t, right in terms if right != NONE])
    inside = np.array([question.known for question in answered])
    share = np.where(inside, 1 - UNKNOWN_SHARE, UNKNOWN_SHARE) / np.where(inside, inside.sum(), (~inside).sum())
    share = share * len(answered) if inside.any() and not inside.all() else np.zeros(len(answered))
    known = _fit_logistic(np.array([t.known for t, _ in terms]), inside, share, known_weights(prior))
    names = ("known", "height", "details", "crowd")
    return replace(prior, sharpness=sharper * prior.sharpness, **dict(zip(names, known.tolist(), strict=True)))


def _fit_sharpness(choices: Sequence[tuple[np.ndarray, int]]) -> float:
    """Return the most likely factor of the sharpness, from utilities (P,) and the position of the right product."""
    losses = (np.log(SHARPER) / SHARPER_SPREAD) ** 2 / 2
    for utilities, right in choices:
        scaled = SHARPER[:, None] * (utilities - utilities.max())
        losses = losses + np.log(np.exp(scaled).sum(1)) - scaled[:, right]
    return float(SHARPER[losses.argmin()])


def _fit_logistic(terms: np.ndarray, known: np.ndarray, shares: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Return the most likely weights (4,) of a logistic regression.

    Args:
        terms: (Q, 4) float64.
        known: (Q,) bool, whether each photo shows a product of the catalogue.
        shares: (Q,) float64, how much each photo counts.
        prior: (4,) float64, mean of the weights a priori.
    """
    weights, precision = prior.copy(), np.diag(KNOWN_SPREAD**-2.0)
    for _ in range(MAX_STEPS):
        likely = sigmoid(terms @ weights)
        gradient = terms.T @ (shares * (likely - known)) + precision @ (weights - prior)
        hessian = (terms.T * (shares * likely * (1 - likely))) @ terms + precision
        step = np.linalg.solve(hessian, gradient)
        weights = weights - step * min(1.0, 1 / max(np.abs(step / KNOWN_SPREAD).max(), 1e-12))
        if np.abs(step).max() < 1e-6:
            break
    return np.asarray(weights)


def shift_unknown_share(weights: Weights, share: float) -> Weights:
    """Return the weights if another share of all photos show unknown products than `UNKNOWN_SHARE`."""
    shift = np.log((1 - share) / share) - np.log((1 - UNKNOWN_SHARE) / UNKNOWN_SHARE)
    return replace(weights, known=weights.known + float(shift))


def calibration_photos(
    base: OpenBundle, pictures: Sequence[str], photos: Sequence[tuple[Path, str]] = (), seed: int = 0
) -> Iterator[CalibrationPhoto]:
    """Yield the given photos, or else pictures of products with enough; arguments as for `calibrate`."""
    if photos:
        return labelled_photos(base, photos)
    owners = base.catalog.owners
    rows = np.flatnonzero(np.bincount(owners)[owners] >= MIN_PICTURES)
    return _own_pictures(base, pictures, rows, np.random.default_rng(seed))


def rehearsal_photos(
    base: OpenBundle, pictures: Sequence[str], photos: Sequence[tuple[Path, str]] = ()
) -> Iterator[CalibrationPhoto]:
    """Yield the same if most products have several pictures, else views of all pictures, to compare indexes with."""
    owners = base.catalog.owners
    if photos or (np.bincount(owners)[owners] >= MIN_PICTURES).mean() > 1 / 2:
        return calibration_photos(base, pictures, photos)
    found = _own_pictures(base, pictures, np.arange(len(owners)), np.random.default_rng(0))
    return (replace(photo, row=None) for photo in found)


def labelled_photos(base: OpenBundle, photos: Sequence[tuple[Path, str]]) -> Iterator[CalibrationPhoto]:
    """Yield photos that come with their SKUs. Raise CatalogError if the catalogue lacks one."""
    stored = base.catalog.find_skus({sku for _, sku in photos if sku})
    check_queries(photos, stored, "the catalogue")
    for path, sku in photos:
        yield CalibrationPhoto(functools.partial(base.embedder.read, path), stored[sku].number if sku else None)


def _own_pictures(
    base: OpenBundle, pictures: Sequence[str], rows: np.ndarray, rng: np.random.Generator
) -> Iterator[CalibrationPhoto]:
    """Yield the pictures of some of these rows, each to be left out.

    A picture on a plain background becomes a view: clean pictures are more alike than a photo is to one of them.
    """
    rows = rows[[bool(pictures[row]) for row in rows]]  # of some, only the features are known
    chosen = rng.permutation(rows)[:MAX_PICTURES].tolist()
    for row, own_seed in zip(chosen, rng.integers(1 << 32, size=MAX_PICTURES), strict=False):

        def pixels(row: int = row, own_seed: int = int(own_seed)) -> np.ndarray:
            picture = sources.read_picture(pictures[row], base.embedder.read)
            product = cut_out(picture)
            if product.getchannel("A").getextrema()[0] == 255:  # a photo already: no plain background
                return picture
            return draw_shelf_view(product, image.WORKING_SIDE, np.random.default_rng(own_seed))

        yield CalibrationPhoto(pixels, base.catalog.owner(row), row)
