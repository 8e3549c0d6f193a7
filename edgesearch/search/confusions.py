"""Find the products of a catalogue that are most easily confused, and whether more pictures of them help.

P products, D dimensions.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from .calibration import MIN_QUESTIONS, NONE, Question
from .decision import Calibration, Weights
from .open_bundle import OpenBundle

MOST = 20  # products
MAX_PRODUCTS = 2000  # whose neighbours are looked up
NEIGHBOURS = 16  # rows looked at for the nearest other product
MAX_SKU = 80  # letters; a manifest has little room
SURE = 0.9  # share of a product's photos that are told apart, from which it is not listed
LOOK_ALIKE = 0.75  # cosine of two products, from which photos cannot be asked


class Confusion(NamedTuple):
    """A product and the one that it is most often taken for.

    Attributes:
        sku: Of the product.
        other: SKU of the other one.
        share: How much of the probability of its photos goes to other products; without photos, the cosine of both.
    """

    sku: str
    other: str
    share: float


def find_confusions(base: OpenBundle, questions: Sequence[Question], weights: Weights) -> list[Confusion]:
    """Return the most confused products, the worst first: by the questions, or else by how near their pictures are."""
    found = _by_questions(questions, weights) if questions else _by_neighbours(base)
    worst = sorted(found, key=lambda pair: -pair[2])[:MOST]
    numbers = {number for first, other, _ in worst for number in (first, other)}
    skus = _skus(base, numbers)
    pairs = [Confusion(skus[first], skus[other], round(share, 3)) for first, other, share in worst]
    return [pair for pair in pairs if max(len(pair.sku), len(pair.other)) <= MAX_SKU]


def measure_fewer_pictures(
    questions: Iterable[Question], weights: Weights, products: Collection[int] | None = None
) -> dict[str, float]:
    """Return how often the right product comes first with half of its pictures, and with all; empty if unknown.

    Args:
        questions: Some of them asked with half of the pictures, too.
        weights: Judge them.
        products: Numbers of the products to measure; None for all.
    """
    model = Calibration(weights)

    def is_right(question: Question) -> bool:
        return question.right != NONE and int(model.probabilities(question.evidence).argmax()) == question.right

    pairs = [(one, one.half) for one in questions if one.half and (products is None or one.product in products)]
    if len(pairs) < MIN_QUESTIONS:
        return {}
    with_all, with_half = (float(np.mean([*map(is_right, some)])) for some in zip(*pairs, strict=True))
    return {"first": with_all, "first_with_half_the_pictures": with_half}


def _by_questions(questions: Sequence[Question], weights: Weights) -> list[tuple[int, int, float]]:
    """Return a product, its rival and the share of its photos' probability that goes elsewhere."""
    rivals: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    photos: dict[int, int] = defaultdict(int)
    model = Calibration(weights)
    for question in questions:
        if not question.known or question.product is None:
            continue
        likely = model.probabilities(question.evidence)
        shares = likely / max(float(likely.sum()), 1e-12)
        photos[question.product] += 1
        for number, share in zip(question.products, shares.tolist(), strict=True):
            if number != question.product:
                rivals[question.product][number] += share
    found = []
    for product, others in rivals.items():
        lost = sum(others.values()) / photos[product]
        if others and lost > 1 - SURE:
            found.append((product, max(others, key=others.__getitem__), lost))
    return found


def _by_neighbours(base: OpenBundle) -> list[tuple[int, int, float]]:
    """Return a product, the nearest other one and the cosine of their pictures; each pair once."""
    owners = base.catalog.owners
    found: dict[tuple[int, int], float] = {}
    products = len(base.catalog)
    step = max(1, products // MAX_PRODUCTS)
    firsts = np.flatnonzero(np.append(True, owners[1:] != owners[:-1]))[::step]
    hits = base.index.search(base.index.read_vectors(firsts), min(NEIGHBOURS, len(owners)))
    for row, rows, scores in zip(firsts.tolist(), hits.rows, hits.scores, strict=True):
        others = (rows >= 0) & (owners[rows] != owners[row])
        if others.any() and scores[others][0] >= LOOK_ALIKE:
            other = int(owners[rows[others][0]])
            first, second = sorted((int(owners[row]), other))
            found[first, second] = max(found.get((first, second), 0.0), float(scores[others][0]))
    return [(first, second, cosine) for (first, second), cosine in found.items()]


def _skus(base: OpenBundle, numbers: set[int]) -> dict[int, str]:
    """Return the SKUs of products by number."""
    rows = {number: int(base.catalog.rows_of([number])[0]) for number in numbers}
    found = base.catalog.find([*rows.values()])
    return {number: product.sku for number, (product, _) in zip(rows, found, strict=True)}
