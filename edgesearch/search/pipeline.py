"""From a photo, or words, or both, to an answer; each stage is timed."""

import contextlib
import itertools
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from .._util import stopping
from ..answer import Answer, Decision, Guess, Match
from ..embedding.embedder import normalize_rows
from ..errors import QueryError
from ..images import quality
from ..images.barcode import Barcode
from ..images.crops import Crop
from ..images.image import Photo
from ..local_features.descriptors import look
from ..text import text_query
from ..text.text_query import Query
from .barcode_labels import SURE
from .decision import CONSIDERED
from .gallery import Candidate, Gallery, is_sure
from .preference import Preference

GUESSED = ("category", "brand")
T = TypeVar("T")


def worded(gallery: Gallery, text: str | None, where: str | None, k: int) -> Answer:
    """What words and filters find without a photo; as `Store.search`."""
    elapsed: dict[str, float] = {}
    asked = _timed(elapsed, "words", lambda: text_query.interpret(gallery.table, lambda: gallery.words, text, where, False))
    numbers, decision = asked.best(gallery.table, k)
    found = [Candidate(one.row, asked.score(number)) for number, one in gallery.of_products(numbers).items()]
    matches = _timed(elapsed, "catalog", lambda: gallery.matches(found))
    elapsed["total"] = sum(elapsed.values())
    return Answer("", decision, _read(gallery, found, matches, asked), elapsed, understood=asked.understood)


def named_by(gallery: Gallery, text: str, k: int) -> Answer:
    """What a barcode or SKU that was read elsewhere names; as `Store.named_by`."""
    elapsed: dict[str, float] = {}
    label = _timed(elapsed, "catalog", lambda: gallery.label(Barcode(text, "")))
    skus = label.skus or (text,)
    named = _timed(elapsed, "catalog", lambda: gallery.named(skus), elapsed["catalog"])
    matches = tuple(replace(named[sku], probability=SURE / len(named)) for sku in skus if sku in named)
    decision: Decision = "unknown" if not matches else "match" if len(matches) == 1 else "ambiguous"
    elapsed["total"] = sum(elapsed.values())
    labels = () if matches and not label.skus else (label,)
    return Answer("", decision, matches[:k], elapsed, SURE if matches else 0.0, labels)


@dataclass(frozen=True)
class Observation:
    """What one photo shows.

    Attributes: pixels (H, W, 3) uint8; part: where its object is; codes: barcodes; embedding: (1, D) float32; found: by
                score; evidence (P, 3): of as many of them as are considered; elapsed_ms: by stage.
    """

    name: str
    pixels: np.ndarray
    part: Crop
    codes: tuple[Barcode, ...]
    embedding: np.ndarray
    found: list[Candidate]
    evidence: np.ndarray
    elapsed_ms: dict[str, float]


def observe(gallery: Gallery, photo: Photo, k: int, fast: bool, barcodes: bool | None) -> Observation:
    """Look at a photo, for k products and those that are considered; as `Store.search`."""
    elapsed: dict[str, float] = {}
    pixels, codes = _timed(elapsed, "image", lambda: gallery.read(photo, barcodes))
    embedding, (part,) = _timed(elapsed, "embed", lambda: gallery.base.embedder.embed_and_locate([pixels], fast))
    found, evidence = recognised(gallery, pixels, part, embedding, k, fast, elapsed)
    return Observation(_name(photo), pixels, part, codes, embedding, found, evidence, elapsed)


def recognised(
    gallery: Gallery,
    pixels: np.ndarray,
    part: Crop,
    embedding: np.ndarray,
    k: int = CONSIDERED,
    fast: bool = False,
    elapsed: dict[str, float] | None = None,
) -> tuple[list[Candidate], np.ndarray]:
    """What a `Observation` found, and its evidence; the other arguments are its own, or those of `observe`."""
    elapsed = {} if elapsed is None else elapsed
    near = _timed(elapsed, "index", lambda: gallery.nearest(embedding, max(k, CONSIDERED)))
    found = list(gallery.by_product(near).values())
    if gallery.base.local is not None and not fast and not is_sure(found):
        found = _timed(elapsed, "print", lambda: gallery.verified(near, look(pixels, part), embedding))
    found = [replace(one, size=pixels.shape[:2]) for one in found]
    return found, _timed(elapsed, "decision", lambda: gallery.evidence(found[:CONSIDERED], embedding))


def warmed(gallery: Gallery, fast: bool, words: bool) -> None:
    """Do all that a search may do, whatever its photo shows, with a picture of the gallery; words: and one in words."""
    pixels, _ = gallery.read(gallery.base.picture(0), None)
    embedding, (part,) = _timed({}, "embed", lambda: gallery.base.embedder.embed_and_locate([pixels], fast))
    near = gallery.nearest(embedding, CONSIDERED)
    if gallery.base.local is not None and not fast:
        near = _timed({}, "print", lambda: gallery.verified(near, look(pixels, part), embedding))
    found = list(gallery.by_product(near).values())[:CONSIDERED]
    gallery.evidence(found, embedding)
    (match, *_) = gallery.matches(found)
    gallery.base.release_pages()
    if words:
        with contextlib.suppress(QueryError):  # a name may be a sentence that asks for something else
            worded(gallery, match.name, None, 1)


def seen(
    gallery: Gallery,
    photos: Sequence[Photo],
    k: int,
    fast: bool,
    text: str | None = None,
    where: str | None = None,
    barcodes: bool | None = None,
    preference: Preference | None = None,
) -> Answer:
    """What photos of one product show, of all products or of those that words and a filter leave; as `Store.search`."""
    elapsed: dict[str, float] = {}
    asked = None
    if text is not None or where is not None:
        asked = _timed(
            elapsed, "words", lambda: text_query.interpret(gallery.table, lambda: gallery.words, text, where, True)
        )
        gallery = gallery.only(asked.allowed)
    observations = [observe(gallery, photo, k, fast, barcodes) for photo in photos]
    return answered(gallery, observations, k, asked, elapsed, preference)


def answered(
    gallery: Gallery,
    observations: Sequence[Observation],
    k: int,
    asked: Query | None = None,
    elapsed: dict[str, float] | None = None,
    preference: Preference | None = None,
) -> Answer:
    """One answer to what was seen of one product; asked: words and filter besides; elapsed: what they took."""
    elapsed = dict(elapsed or {})
    for one in observations:
        elapsed |= {stage: elapsed.get(stage, 0.0) + ms for stage, ms in one.elapsed_ms.items()}
    calibration = gallery.base.calibration
    found, known = _timed(elapsed, "decision", lambda: _judged(gallery, observations), elapsed.pop("decision"))
    embedding = normalize_rows(np.sum([one.embedding for one in observations], 0))
    order = _fused(gallery, found, asked, embedding) if asked and asked.ranked else found
    gallery.base.release_pages()
    matches = _timed(elapsed, "catalog", lambda: gallery.matches(order[:k]))
    decision = calibration.decide(np.array([one.probability for one in found]))
    if decision == "match" and order[:1] != found[:1]:
        decision = "ambiguous"  # the words name another product first
    matches = _read(gallery, order, matches, asked)
    answer = Answer(
        " + ".join(one.name for one in observations),
        decision,
        preference.ranked(matches) if preference else matches,
        elapsed,
        known,
        understood=asked.understood if asked else None,
    )
    codes = tuple(dict.fromkeys(code for one in observations for code in one.codes))
    answer = gallery.labelled(answer, codes, found, embedding) if codes else answer
    if answer.decision != "match":
        answer = _timed(
            elapsed, "decision", lambda: _advised(gallery, answer, observations, found), elapsed["decision"]
        )
    elapsed["total"] = sum(elapsed.values())
    return answer


def _judged(gallery: Gallery, observations: Sequence[Observation]) -> tuple[list[Candidate], float]:
    """The products of all photos by their probability, and that they are of the catalogue: the best of each counts.

    Of groceries in threes, 163 times, of products that the network was trained on; right product first (AUROC, the same
    photos without their product being the unknown): the first photo alone 0.86 (0.86) with five reference images a
    product, 0.64 (0.67) with one; the best evidence 0.98 (0.97), 0.71 (0.73); the mean embedding 0.98 (0.96), 0.70
    (0.74); the product of probabilities 0.98 (0.94), 0.69 (0.73); reciprocal ranks 0.94, 0.66; the surest photo 0.98
    (0.96), 0.71 (0.74).
    """
    best: dict[int, Candidate] = {}
    evidence: dict[int, np.ndarray] = {}
    for one in observations:
        for product, row in itertools.zip_longest(one.found, one.evidence):
            number = gallery.owner(product.row)
            best[number] = max(best.get(number, product), product, key=lambda found: found.score)
            if row is not None:  # it is one of those that are considered
                evidence[number] = np.maximum(evidence.get(number, row), row)
    given = gallery.base.calibration.probabilities(np.array([*evidence.values()]).reshape(-1, 3))
    likely = dict(zip(evidence, given.tolist(), strict=True))
    judged = [replace(one, probability=likely.get(number, 0.0)) for number, one in best.items()]
    return sorted(judged, key=lambda one: (-one.probability, -one.score)), float(given.sum())


def _advised(
    gallery: Gallery, answer: Answer, observations: Sequence[Observation], found: Sequence[Candidate]
) -> Answer:
    """With what the photo shows, as far as products like it tell, and what to do where it is the photo's fault."""
    flaws = [quality.find_flaw(one.pixels, one.part) for one in observations]
    likely = gallery.matches([one for one in found if one.probability > 0][:CONSIDERED])
    guesses = {name: guess for name in GUESSED if (guess := _guess(likely, name))}
    return replace(answer, flaw=flaws[0] if all(flaws) else "", guesses=guesses)


def _guess(likely: Sequence[Match], name: str) -> Guess | None:
    """What most of the likely products say, by the roots of their probabilities: as votes, those are too sure."""
    votes: dict[str, float] = {}
    for match in likely:
        if value := getattr(match.product, name):
            votes[value] = votes.get(value, 0.0) + math.sqrt(match.probability)
    if not votes:
        return None
    value = max(votes, key=lambda one: votes[one])
    return Guess(value, votes[value] / sum(math.sqrt(match.probability) for match in likely))


def _fused(gallery: Gallery, found: Sequence[Candidate], asked: Query, embedding: np.ndarray) -> list[Candidate]:
    """What a photo found, and what words did, as one ranking; each keeps the score of its look."""
    known = {gallery.owner(one.row): one for one in found}
    known |= gallery.of_products([number for number in asked.nearest_by_words() if number not in known], embedding)
    return [known[number] for number in asked.order_with_photo({number: one.score for number, one in known.items()})]


def _read(
    gallery: Gallery, found: Sequence[Candidate], matches: Sequence[Match], asked: Query | None
) -> tuple[Match, ...]:
    """The matches with what the words say of each."""
    if asked is None or asked.ranked is None:
        return tuple(matches)
    numbers = [gallery.owner(one.row) for one in found]
    return tuple(replace(match, words=asked.score(n)) for match, n in zip(matches, numbers, strict=False))


def _timed(elapsed: dict[str, float], stage: str, work: Callable[[], T], before: float = 0.0) -> T:
    """Do it, unless it was told to stop (`stopping`); before: ms of the stage that have passed already."""
    stopping.check()
    start = time.perf_counter()
    done = work()
    elapsed[stage] = before + (time.perf_counter() - start) * 1000
    return done


def _name(photo: Photo) -> str:
    return os.fspath(photo) if isinstance(photo, (str, os.PathLike)) else "photo"
