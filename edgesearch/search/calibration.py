"""Calibrate a catalogue: learn the weights of evidence and the thresholds from photos whose product is known.

Without photos the catalogue's own pictures serve, each left out in turn. Every picture gives two questions: one to the
whole catalogue, and one to the catalogue without the picture's product, which makes the product unknown. Newton's
method fits the model of `decision`. A prior learned from grocery photos counts as much as a few questions, so that a
small catalogue is not fitted to chance.

If most products have one picture, none can be left out. Views made of the picture are used instead, but they flatter:
of 40 grocery products they find 0.99, photos find 0.67, and a model fitted to the views called 92% of the photos
unknown. So the views only measure the error rates; nothing is learned from them.

Q questions, P products, R rows.
"""

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..catalog import sources
from ..catalog.product import check_queries
from ..images import image
from ..images.augmented_views import cut_out, draw_shelf_view
from ..local_features.descriptors import extract_query_features
from . import pipeline
from .decision import MIN_LEAD, ONE_PICTURE, SEVERAL_PICTURES, Calibration, crowding, standardize
from .gallery import Gallery, OverlayRows
from .open_bundle import OpenBundle

FALSE_ACCEPTS = 0.05
MATCH_PRECISION = 0.9  # share of first matches that are right, among those that are called a match
MAX_PICTURES = 200  # of the catalogue
MIN_QUESTIONS = 20  # questions needed to learn anything
PRIOR_QUESTIONS = 6  # how many questions the prior counts for
MAX_STEPS = 50  # of Newton's method
NONE = -1
# With one picture a product: the lowest accepted probability, by the share of unknown products it accepts.
ACCEPT_AT = {0.01: 0.84, 0.02: 0.81, 0.05: 0.75, 0.1: 0.67, 0.2: 0.57}


@dataclass(frozen=True)
class Question:
    """The candidates found for a photo whose product is known.

    Attributes:
        evidence: (P, 3) float64.
        right: Position of the photo's product in it, `NONE` if it is missing.
        known: Whether the catalogue has the product, found or not.
    """

    evidence: np.ndarray
    right: int
    known: bool


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
    photos: Sequence[tuple[Path, str]] = (),
    false_accepts: float = FALSE_ACCEPTS,
    seed: int = 0,
) -> Calibration:
    """Calibrate a catalogue.

    Args:
        base: Holds the catalogue.
        pictures: Sources of the pictures, by row.
        photos: Photos to learn from instead, each with its SKU; an empty SKU marks a product the catalogue lacks.
        false_accepts: Share of photos of unknown products to accept.
        seed: Chooses pictures and views.
    Raises:
        CatalogError: The catalogue lacks a SKU.
        ImageError: A photo cannot be read.
    """
    asked = calibration_photos(base, pictures, photos, seed)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        questions = [question for pair in pool.map(lambda photo: ask(base, photo), asked) for question in pair]
    left_out = _has_several_pictures(base).mean() > 1 / 2
    prior = prior_calibration(SEVERAL_PICTURES if left_out else ONE_PICTURE, false_accepts)
    if len(questions) >= MIN_QUESTIONS and (photos or left_out):
        return set_thresholds(fit_weights(questions, prior), questions, false_accepts)
    return set_thresholds(prior, questions, None)


def prior_calibration(prior: Calibration, false_accepts: float) -> Calibration:
    """Return a prior with its threshold moved to a share of false accepts.

    The threshold moves by as much as with one picture a product, where it was measured.
    """
    stated, accept = np.interp([FALSE_ACCEPTS, false_accepts], [*ACCEPT_AT], [*ACCEPT_AT.values()])
    return replace(prior, accept=float(prior.accept + accept - stated))


def ask(base: OpenBundle, photo: CalibrationPhoto) -> list[Question]:
    """Search the catalogue for a photo, and again without the photo's product if the catalogue has it."""
    pixels, base = photo.pixels(), base.without(photo.row)
    embedding, (crop,) = base.embedder.embed_and_locate([pixels])
    searches = [([] if photo.row is None else [photo.row], photo.product is not None)]
    if photo.product is not None:
        searches.append((base.catalog.rows_of([photo.product]).tolist(), False))
    questions = []
    for hidden, known in searches:
        gallery = Gallery(base, 0, OverlayRows(hidden={"": hidden} if hidden else {}), {})
        candidates, evidence = pipeline.find_candidates(
            gallery, embedding, functools.partial(extract_query_features, pixels, crop)
        )
        products = [gallery.owner(candidate.row) for candidate in candidates[: len(evidence)]]
        right = products.index(photo.product) if known and photo.product in products else NONE
        questions.append(Question(evidence, right, known))
    base.release_pages()
    return questions


def fit_weights(questions: Sequence[Question], prior: Calibration) -> Calibration:
    """Return the most likely weights given the answers and a prior.

    Questions whose product was not found teach nothing, for the evidence lacks it.
    """
    weights = expected = prior.weights()
    choices = [_as_choice(question) for question in questions if not question.known or question.right != NONE]
    strength = PRIOR_QUESTIONS / max(1, len(choices))
    loss, gradient, hessian = _loss(weights, choices, expected, strength)
    for _ in range(MAX_STEPS):
        step, share = np.linalg.solve(hessian, gradient), 1.0
        while (tried := _loss(weights - share * step, choices, expected, strength))[0] > loss and share > 1e-4:
            share /= 2
        if tried[0] >= loss - 1e-9:
            break
        weights, (loss, gradient, hessian) = weights - share * step, tried
    return Calibration.of(weights, prior)


def set_thresholds(fitted: Calibration, questions: Sequence[Question], false_accepts: float | None) -> Calibration:
    """Return a calibration with its measured error rates, and with thresholds that keep a share of false accepts.

    Args:
        fitted: Holds the weights.
        questions: What to measure with.
        false_accepts: Share of unknown products to accept; None keeps the thresholds.
    """
    given = [fitted.probabilities(question.evidence) for question in questions]
    totals, is_known = np.array([p.sum() for p in given]), np.array([question.known for question in questions])
    known, unknown = totals[is_known], np.sort(totals[~is_known])
    if false_accepts is not None and len(unknown) >= MIN_QUESTIONS:
        rank = min(len(unknown) - 1, int(np.ceil(len(unknown) * (1 - false_accepts))))
        fitted = replace(fitted, accept=float(np.nextafter(unknown[rank], 1)))
        pairs = zip(given, questions, strict=True)
        accepted = [(p, question.right) for p, question in pairs if question.known and p.sum() >= fitted.accept]
        if len(accepted) >= MIN_QUESTIONS:
            shares = np.array([p.max() / p.sum() for p, _ in accepted])
            fitted = replace(fitted, lead=_fit_lead(shares, np.array([p.argmax() == right for p, right in accepted])))
    return replace(
        fitted,
        false_accept_rate=float((unknown >= fitted.accept).mean()) if len(unknown) else 0.0,
        false_reject_rate=float((known < fitted.accept).mean()) if len(known) else 0.0,
        questions=len(questions),
    )


def calibration_photos(
    base: OpenBundle, pictures: Sequence[str], photos: Sequence[tuple[Path, str]] = (), seed: int = 0
) -> Iterator[CalibrationPhoto]:
    """Yield the given photos, or else pictures of the catalogue; arguments as for `calibrate`."""
    return labelled_photos(base, photos) if photos else _own_pictures(base, pictures, np.random.default_rng(seed))


def labelled_photos(base: OpenBundle, photos: Sequence[tuple[Path, str]]) -> Iterator[CalibrationPhoto]:
    """Yield photos that come with their SKUs. Raise CatalogError if the catalogue lacks one."""
    stored = base.catalog.find_skus({sku for _, sku in photos if sku})
    check_queries(photos, stored, "the catalogue")
    for path, sku in photos:
        yield CalibrationPhoto(functools.partial(base.embedder.read, path), stored[sku].number if sku else None)


def _own_pictures(base: OpenBundle, pictures: Sequence[str], rng: np.random.Generator) -> Iterator[CalibrationPhoto]:
    """Yield some of the catalogue's pictures, each to be left out if most products have several.

    A picture on a plain background becomes a view: clean pictures are more alike than a photo is to one of them.
    """
    several = _has_several_pictures(base)
    left_out = several.mean() > 1 / 2
    rows = np.flatnonzero(several) if left_out else np.arange(len(pictures))
    chosen = rng.permutation(rows)[:MAX_PICTURES].tolist()
    for row, own_seed in zip(chosen, rng.integers(1 << 32, size=MAX_PICTURES), strict=False):

        def pixels(row: int = row, own_seed: int = int(own_seed)) -> np.ndarray:
            picture = sources.read_picture(pictures[row], base.embedder.read)
            product = cut_out(picture)
            if left_out and product.getchannel("A").getextrema()[0] == 255:  # a photo already: no plain background
                return picture
            return draw_shelf_view(product, image.WORKING_SIDE, np.random.default_rng(own_seed))

        yield CalibrationPhoto(pixels, base.catalog.owner(row), row if left_out else None)


def _has_several_pictures(base: OpenBundle) -> np.ndarray:
    """Return whether each row's product has several pictures: (R,) bool."""
    owners = base.catalog.owners
    return np.asarray(np.bincount(owners)[owners] > 1)


def _as_choice(question: Question) -> tuple[np.ndarray, int]:
    """Return the terms of each choice, (P + 1, 5) with "none of the products" last, and which is right."""
    terms = standardize(question.evidence)
    choices = np.zeros((len(terms) + 1, 5))
    choices[:-1, :3], choices[-1, 3:] = terms, (1, crowding(terms))
    return choices, question.right


def _loss(
    weights: np.ndarray, choices: Sequence[tuple[np.ndarray, int]], prior: np.ndarray, strength: float
) -> tuple[float, np.ndarray, np.ndarray]:
    """Return the mean negative log likelihood with the prior, its gradient (5,) and its Hessian (5, 5)."""
    off = weights - prior
    loss, gradient, hessian = strength / 2 * off @ off, strength * off, strength * np.eye(len(weights))
    for terms, right in choices:
        utilities = terms @ weights
        shares = np.exp(utilities - utilities.max())
        shares /= shares.sum()
        mean = shares @ terms
        loss -= np.log(max(shares[right], 1e-300)) / len(choices)
        gradient = gradient + (mean - terms[right]) / len(choices)
        hessian = hessian + ((terms.T * shares) @ terms - np.outer(mean, mean)) / len(choices)
    return float(loss), gradient, hessian


def _fit_lead(shares: np.ndarray, right: np.ndarray) -> float:
    """Return the lowest share of the first product from which `MATCH_PRECISION` of the first products are right.

    Args:
        shares: (Q,) float64, share of the first product among all probabilities.
        right: (Q,) bool, whether it is the photo's product.
    """
    order = np.argsort(-shares, kind="stable")
    precision = np.cumsum(right[order]) / np.arange(1, len(shares) + 1)
    precise = np.flatnonzero(precision >= MATCH_PRECISION)
    return max(MIN_LEAD, float(shares[order][precise[-1]])) if len(precise) else 1.0
