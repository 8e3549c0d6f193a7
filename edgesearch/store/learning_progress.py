"""Measure how recognition grew on a device, by leaving out each learned picture and asking it.

Each learned picture that is in use is a question, the same ones for every week: which product is nearest among what the
device knew at the end of that week, without all pictures of its day? So the first week shows what was recognized
before anything was learned. Only embeddings are compared, since a learned picture keeps no photo to verify: a search
finds more. Pictures that add nothing are not learned, so easy photos are rare among the questions.

T taught rows.
"""

import copy
import datetime
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ..device.learned import LearnedPicture
from ..search import scoring
from ..search.decision import CONSIDERED
from ..search.gallery import LEARNED, Gallery
from ..search.outcomes import NOT_FOUND, Outcomes
from ..search.photo_needs import PhotoNeed, rank_needs

MOST_ASKED = 200  # pictures; of more, evenly spaced ones
MOST_WEEKS = 10  # of more, evenly spaced ones
MOST_SHOWN = 20  # products of each kind
DAYS = 7


@dataclass(frozen=True)
class Week:
    """How the questions were answered with what was known at one time.

    Attributes:
        until: Last day, "2026-11-30"; the first entry ends before anything was learned.
        pictures: Number of learned pictures in use.
        first: Share of questions whose product came first.
        coverage: Share that can be answered with a precision of 95%.
        matched: Share that the device answers with a match.
    """

    until: str
    pictures: int
    first: float
    coverage: float
    matched: float


@dataclass(frozen=True)
class ProductProgress:
    """How questions of one product were answered.

    Attributes:
        sku: Of the product.
        name: Of the product.
        pictures: Number of its learned pictures in use.
        asked: Number of questions.
        before: Share whose product came first before anything was learned.
        now: The same with all that was learned.
    """

    sku: str
    name: str
    pictures: int
    asked: int
    before: float
    now: float


@dataclass(frozen=True)
class LearningProgress:
    """How recognition grew on a device.

    Attributes:
        asked: Number of questions; 0 if nothing could be measured.
        weeks: The oldest first.
        products: Those that were asked, the most improved first.
        needs: Products that need photos most.
        disagreements: Pictures that a person should settle, the newest first.
    """

    asked: int
    weeks: Sequence[Week]
    products: Sequence[ProductProgress]
    needs: Sequence[PhotoNeed]
    disagreements: Sequence[LearnedPicture]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form."""
        return {
            "asked": self.asked,
            "weeks": [asdict(week) for week in self.weeks],
            "products": [asdict(product) for product in self.products],
            "needs": [{"sku": need.match.sku, "name": need.match.name, **need.to_dict()} for need in self.needs],
            "disagreements": [one.to_dict() for one in self.disagreements],
        }


@dataclass(frozen=True)
class _Question:
    """A learned picture that is asked: its taught row, and (T,) bool: the rows of its day."""

    row: int
    day: np.ndarray


class _Answer(NamedTuple):
    """The answer to a question: probabilities of the first and of a known product, rank of the right one, a match."""

    first: float
    known: float
    rank: int
    matched: bool


def measure_progress(gallery: Gallery, pictures: Sequence[LearnedPicture]) -> LearningProgress:
    """Measure how recognition grew.

    Args:
        gallery: What the device searches.
        pictures: All that it learned.
    """
    learned = {one.number: one for one in pictures}
    rows = range(gallery.first_taught, gallery.first_taught + len(gallery.taught.owners))
    found = [learned.get(number - LEARNED) for number in gallery.picture_numbers(rows)]
    days = np.array([one.time[:10] if one else "" for one in found])
    questions = _choose_questions(days)
    answers = {until: _ask_all(gallery, questions, days <= until) for until in _weeks(days)}
    weeks = [_summarize(until, days, some) for until, some in answers.items()]
    first, *_, last = [*answers.values()] or [[], []]
    products = _compare(gallery, found, questions, first, last) if questions else []
    doubtful = [one for one in reversed(pictures) if one.state == "aside"]
    return LearningProgress(len(questions), weeks, products, rank_needs(gallery, MOST_SHOWN), doubtful)


def _choose_questions(days: np.ndarray) -> list[_Question]:
    asked = np.flatnonzero(days != "").tolist()
    step = max(1, -(-len(asked) // MOST_ASKED))
    return [_Question(row, days == days[row]) for row in asked[::step]]


def _weeks(days: np.ndarray) -> list[str]:
    """Return the day before anything was learned, and the last days of the weeks since then."""
    known = sorted({day for day in days.tolist() if day})
    if not known:
        return []
    first, last = (datetime.date.fromisoformat(day) for day in (known[0], known[-1]))
    count = max(1, -(-((last - first).days + 1) // DAYS))
    numbers = np.unique(np.linspace(0, count, min(count, MOST_WEEKS) + 1).astype(int)).tolist()
    return [(first + datetime.timedelta(DAYS * number - 1)).isoformat() for number in numbers]


def _ask_all(gallery: Gallery, questions: Sequence[_Question], known: np.ndarray) -> list[_Answer]:
    """Answer each question with what was known then.

    Args:
        gallery: What the device searches now.
        questions: To ask.
        known: (T,) bool, the taught rows that were known then.
    """
    answers = []
    for one in questions:
        asked = copy.copy(gallery)
        asked.taught = replace(gallery.taught, visible=gallery.taught.visible & known & ~one.day)
        vector = gallery.taught.embeddings[one.row][None]
        nearest = scoring.find_nearest(asked, vector, CONSIDERED)
        candidates = [*scoring.best_by_product(asked, nearest).values()][:CONSIDERED]
        likely = gallery.base.calibration.probabilities(scoring.collect_evidence(asked, candidates, vector))
        order = [gallery.owner(candidates[i].row) for i in np.argsort(-likely, kind="stable").tolist()]
        owner = int(gallery.taught.owners[one.row])
        rank = order.index(owner) + 1 if owner in order else NOT_FOUND
        is_match = gallery.base.calibration.decide(likely) == "match"
        answers.append(_Answer(float(likely.max(initial=0)), float(likely.sum()), rank, is_match))
    return answers


def _summarize(until: str, days: np.ndarray, answers: Sequence[_Answer]) -> Week:
    if not answers:
        return Week(until, 0, 0.0, 0.0, 0.0)
    outcomes = Outcomes.of([(one.first, one.known, one.rank, True) for one in answers], 0.0)
    used = int(((days != "") & (days <= until)).sum())
    first, matched = np.mean([(one.rank == 1, one.matched) for one in answers], 0).tolist()
    return Week(until, used, first, outcomes.coverage_at(), matched)


def _compare(
    gallery: Gallery,
    found: Sequence[LearnedPicture | None],
    questions: Sequence[_Question],
    before: Sequence[_Answer],
    now: Sequence[_Answer],
) -> list[ProductProgress]:
    """Return how the questions of each product were answered, the most improved product first."""
    skus = [one.sku if one else "" for one in found]
    asked = np.array([skus[one.row] for one in questions])
    ranks = np.array([[one.rank == 1 for one in answers] for answers in (before, now)], float)
    names = gallery.products({*asked.tolist()})
    products = []
    for sku, product in names.items():
        was, is_now = ranks[:, asked == sku].mean(1).tolist()
        count = int((asked == sku).sum())
        products.append(ProductProgress(sku, product.name, skus.count(sku), count, was, is_now))
    return sorted(products, key=lambda one: (one.before - one.now, -one.asked, one.sku))
