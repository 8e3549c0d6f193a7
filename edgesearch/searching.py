"""From a photo, or words, or both, to an answer; each stage is timed."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from . import query
from .answer import Answer, Match
from .gallery import VERIFIED, Found, Gallery, is_sure
from .image import Photo
from .local import look
from .query import Query
from .taste import Taste

T = TypeVar("T")


def worded(gallery: Gallery, text: str | None, where: str | None, k: int) -> Answer:
    """What words and filters find without a photo; as `Store.search`."""
    elapsed: dict[str, float] = {}
    asked = _timed(elapsed, "words", lambda: query.asked(gallery.table, lambda: gallery.words, text, where, False))
    numbers, decision = asked.best(gallery.table, k)
    found = [Found(one.row, asked.score(number)) for number, one in gallery.of_products(numbers).items()]
    matches = _timed(elapsed, "catalog", lambda: gallery.matches(found, (1, 1)))
    elapsed["total"] = sum(elapsed.values())
    return Answer("", decision, _read(gallery, found, matches, asked), elapsed, understood=asked.understood)


def seen(
    gallery: Gallery,
    photo: Photo,
    k: int,
    fast: bool,
    text: str | None = None,
    where: str | None = None,
    barcodes: bool | None = None,
    taste: Taste | None = None,
) -> Answer:
    """What a photo shows, of all products or of those that words and a filter leave; as `Store.search`."""
    elapsed: dict[str, float] = {}
    asked = None
    if text is not None or where is not None:
        asked = _timed(elapsed, "words", lambda: query.asked(gallery.table, lambda: gallery.words, text, where, True))
        gallery = gallery.only(asked.allowed)
    base = gallery.base
    pixels, codes = _timed(elapsed, "image", lambda: gallery.read(photo, barcodes))
    embedding, objects = _timed(elapsed, "embed", lambda: base.embedder.see([pixels], fast))
    near = _timed(elapsed, "index", lambda: gallery.nearest(embedding, max(k, VERIFIED)))
    found = list(gallery.by_product(near).values())
    if base.local is not None and not fast and not is_sure(found):
        found = _timed(elapsed, "print", lambda: gallery.verified(near, look(pixels, objects[0]), embedding))
    found, known = _timed(elapsed, "decision", lambda: gallery.judged(found, embedding))
    order = _fused(gallery, found, asked, embedding) if asked and asked.ranked else found
    base.let_go()
    matches = _timed(elapsed, "catalog", lambda: gallery.matches(order[:k], pixels.shape[:2]))
    elapsed["total"] = sum(elapsed.values())
    decision = base.calibration.decide(np.array([one.probability for one in found]))
    if decision == "match" and order[:1] != found[:1]:
        decision = "ambiguous"  # the words name another product first
    matches = _read(gallery, order, matches, asked)
    answer = Answer(name_of(photo), decision, taste.ranked(matches) if taste else matches, elapsed, known)
    answer = gallery.labelled(answer, codes, embedding, pixels.shape[:2]) if codes else answer
    return replace(answer, understood=asked.understood if asked else None)


def _fused(gallery: Gallery, found: Sequence[Found], asked: Query, embedding: np.ndarray) -> list[Found]:
    """What a photo found, and what words did, as one ranking; each keeps the score of its look."""
    known = {gallery.owner(one.row): one for one in found}
    known |= gallery.of_products([number for number in asked.worded() if number not in known], embedding)
    return [known[number] for number in asked.fused({number: one.score for number, one in known.items()})]


def _read(gallery: Gallery, found: Sequence[Found], matches: Sequence[Match], asked: Query | None) -> tuple[Match, ...]:
    """The matches with what the words say of each."""
    if asked is None or asked.ranked is None:
        return tuple(matches)
    numbers = [gallery.owner(one.row) for one in found]
    return tuple(replace(match, words=asked.score(n)) for match, n in zip(matches, numbers, strict=False))


def _timed(elapsed: dict[str, float], stage: str, work: Callable[[], T]) -> T:
    start = time.perf_counter()
    done = work()
    elapsed[stage] = (time.perf_counter() - start) * 1000
    return done


def name_of(photo: Photo) -> str:
    """What to call it."""
    return os.fspath(photo) if isinstance(photo, (str, os.PathLike)) else "photo"
