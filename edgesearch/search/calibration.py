"""Calibration: what evidence is worth in one catalogue, learned from photos whose product is known.

Where no photos are given the catalogue's own pictures are asked, each left out in turn. Each is asked twice: of the
catalogue, and of the catalogue without its product, as an unknown product. The model of `decision` is fitted by
Newton's method; what photos of groceries taught counts as much as a few questions, so that a small catalogue is not
fitted to chance.

Where most products have one picture, none can be left out. Views made of it are asked, but they flatter: of 40
products of groceries they find .99, photos .67, and fitted to them 92% of the photos were called unknown. So nothing
is learned from them; they tell the error rates alone.

Q questions, P products.
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
from ..local_features.descriptors import look
from . import pipeline
from .decision import LEAST_LEAD, ONE_PICTURE, SEVERAL_PICTURES, Calibration, crowd, in_terms
from .gallery import Gallery, OverlayRows
from .open_bundle import OpenBundle

FALSE_ACCEPTS = 0.05
MATCH_PRECISION = 0.9  # share of first matches that are right, among those that are called a match
ASKED = 200  # of the catalogue's pictures, at most
FEWEST = 20  # questions from which something is learned
PRIOR_QUESTIONS = 6  # as much as so many counts what is known before
ROUNDS = 50
NONE = -1
# Of one picture a product, the least probability accepted by share of unknown products then accepted.
ACCEPT_AT = {0.01: 0.84, 0.02: 0.81, 0.05: 0.75, 0.1: 0.67, 0.2: 0.57}


@dataclass(frozen=True)
class Question:
    """What was found for a photo: evidence (P, 3) float64; right: the place of its product in it, `NONE` if none.

    Attributes: known: its product is in the catalogue, found or not.
    """

    evidence: np.ndarray
    right: int
    known: bool


@dataclass(frozen=True)
class Shown:
    """A photo: its pixels when they are wanted, and its product's number, None of an unknown one.

    Attributes: row: of the picture that it is, left out while it is asked; None of other photos.
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

    Args:    pictures: their places, by row; photos: (photo, SKU) to learn from instead, an empty SKU: not in the
             catalogue; false_accepts: share of photos of unknown products to accept.
    Raises:  CatalogError: a SKU is not in the catalogue; ImageError: a photo cannot be read.
    """
    shown = questions(base, pictures, photos, seed)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        asked = [question for pair in pool.map(lambda one: ask(base, one), shown) for question in pair]
    left_out = _several(base).mean() > 1 / 2
    before = beforehand(SEVERAL_PICTURES if left_out else ONE_PICTURE, false_accepts)
    if len(asked) >= FEWEST and (photos or left_out):
        return measured(fitted(asked, before), asked, false_accepts)
    return measured(before, asked, None)


def beforehand(known: Calibration, false_accepts: float) -> Calibration:
    """What is known before anything is asked, with the threshold for that share; of several pictures as of one."""
    stated, accept = np.interp([FALSE_ACCEPTS, false_accepts], [*ACCEPT_AT], [*ACCEPT_AT.values()])
    return replace(known, accept=float(known.accept + accept - stated))


def ask(base: OpenBundle, shown: Shown) -> list[Question]:
    """Ask the catalogue, and where it has the product the catalogue without it too."""
    pixels = shown.pixels()
    embedding, (part,) = base.embedder.embed_and_locate([pixels])
    asked = [([] if shown.row is None else [shown.row], shown.product is not None)]
    if shown.product is not None:
        asked.append((base.catalog.rows_of([shown.product]).tolist(), False))
    questions = []
    for rows, known in asked:
        gallery = Gallery(base, 0, OverlayRows(hidden={"": rows} if rows else {}), {})
        found, evidence = pipeline.find_candidates(gallery, embedding, functools.partial(look, pixels, part))
        products = [gallery.owner(one.row) for one in found[: len(evidence)]]
        right = products.index(shown.product) if known and shown.product in products else NONE
        questions.append(Question(evidence, right, known))
    base.release_pages()
    return questions


def fitted(asked: Sequence[Question], before: Calibration) -> Calibration:
    """The most likely weights; before: what they are likely to be.

    From a product that was not found nothing is learned: what speaks for it is not there.
    """
    prior = before.weights()
    weights, choices = prior, [_choice(one) for one in asked if not one.known or one.right != NONE]
    strength = PRIOR_QUESTIONS / max(1, len(choices))
    loss, slope, bend = _loss(weights, choices, prior, strength)
    for _ in range(ROUNDS):
        step, share = np.linalg.solve(bend, slope), 1.0
        while (tried := _loss(weights - share * step, choices, prior, strength))[0] > loss and share > 1e-4:
            share /= 2
        if tried[0] >= loss - 1e-9:
            break
        weights, (loss, slope, bend) = weights - share * step, tried
    return Calibration.of(weights, before)


def measured(found: Calibration, asked: Sequence[Question], false_accepts: float | None) -> Calibration:
    """With the error rates, and where the share of unknown products to accept is given, thresholds that keep it."""
    given = [found.probabilities(question.evidence) for question in asked]
    inside, is_known = np.array([one.sum() for one in given]), np.array([question.known for question in asked])
    known, strangers = inside[is_known], np.sort(inside[~is_known])
    if false_accepts is not None and len(strangers) >= FEWEST:
        place = min(len(strangers) - 1, int(np.ceil(len(strangers) * (1 - false_accepts))))
        found = replace(found, accept=float(np.nextafter(strangers[place], 1)))
        pairs = zip(given, asked, strict=True)
        accepted = [(one, to.right) for one, to in pairs if to.known and one.sum() >= found.accept]
        if len(accepted) >= FEWEST:
            shares = np.array([one.max() / one.sum() for one, _ in accepted])
            found = replace(found, lead=_lead(shares, np.array([one.argmax() == to for one, to in accepted])))
    return replace(
        found,
        false_accept_rate=float((strangers >= found.accept).mean()) if len(strangers) else 0.0,
        false_reject_rate=float((known < found.accept).mean()) if len(known) else 0.0,
        questions=len(asked),
    )


def questions(
    base: OpenBundle, pictures: Sequence[str], photos: Sequence[tuple[Path, str]] = (), seed: int = 0
) -> Iterator[Shown]:
    """What is asked of a catalogue: the photos, where some are given, or pictures of its own; as `calibrate`."""
    return given(base, photos) if photos else _own(base, pictures, np.random.default_rng(seed))


def given(base: OpenBundle, photos: Sequence[tuple[Path, str]]) -> Iterator[Shown]:
    """As photos are given, with their SKUs; raises CatalogError: one of those is not in the catalogue."""
    entered = base.catalog.find_skus({sku for _, sku in photos if sku})
    check_queries(photos, entered, "the catalogue")
    for path, sku in photos:
        yield Shown(lambda path=path: base.embedder.read(path), entered[sku].number if sku else None)  # type: ignore[misc]


def _own(base: OpenBundle, pictures: Sequence[str], rng: np.random.Generator) -> Iterator[Shown]:
    """Some of the catalogue's pictures, each to be left out where most products have several.

    Of one on a plain background a view is asked: clean pictures are more alike than a photo is to one.
    """
    several = _several(base)
    left_out = several.mean() > 1 / 2
    rows = np.flatnonzero(several) if left_out else np.arange(len(pictures))
    for row, own_seed in zip(rng.permutation(rows)[:ASKED].tolist(), rng.integers(1 << 32, size=ASKED), strict=False):

        def pixels(row: int = row, own_seed: int = int(own_seed)) -> np.ndarray:
            picture = sources.read_picture(pictures[row], base.embedder.read)
            product = cut_out(picture)
            if left_out and product.getchannel("A").getextrema()[0] == 255:  # a photo, as those that are asked
                return picture
            return draw_shelf_view(product, image.WORKING_SIDE, np.random.default_rng(own_seed))

        yield Shown(pixels, base.catalog.owner(row), row if left_out else None)


def _several(base: OpenBundle) -> np.ndarray:
    """(N,) bool: the row's product has several pictures."""
    owners = base.catalog.owners
    return np.asarray(np.bincount(owners)[owners] > 1)


def _choice(question: Question) -> tuple[np.ndarray, int]:
    """What each choice has of each weight, (P + 1, 5), none of the products last; and which was right."""
    terms = in_terms(question.evidence)
    choices = np.zeros((len(terms) + 1, 5))
    choices[:-1, :3], choices[-1, 3:] = terms, (1, crowd(terms))
    return choices, question.right


def _loss(
    weights: np.ndarray, choices: Sequence[tuple[np.ndarray, int]], prior: np.ndarray, strength: float
) -> tuple[float, np.ndarray, np.ndarray]:
    """Mean negative log likelihood with the prior, its gradient (5,) and its Hessian (5, 5)."""
    away = weights - prior
    loss, slope, bend = strength / 2 * away @ away, strength * away, strength * np.eye(len(weights))
    for terms, right in choices:
        worth = terms @ weights
        shares = np.exp(worth - worth.max())
        shares /= shares.sum()
        mean = shares @ terms
        loss -= np.log(max(shares[right], 1e-300)) / len(choices)
        slope = slope + (mean - terms[right]) / len(choices)
        bend = bend + ((terms.T * shares) @ terms - np.outer(mean, mean)) / len(choices)
    return float(loss), slope, bend


def _lead(shares: np.ndarray, right: np.ndarray) -> float:
    """The least share of the first product from which on `MATCH_PRECISION` of them are right."""
    order = np.argsort(-shares, kind="stable")
    precision = np.cumsum(right[order]) / np.arange(1, len(shares) + 1)
    sure = np.flatnonzero(precision >= MATCH_PRECISION)
    return max(LEAST_LEAD, float(shares[order][sure[-1]])) if len(sure) else 1.0
