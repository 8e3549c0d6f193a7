"""Turn a photo, or words, or both, into an answer; read this module from top to bottom.

`search_photos` observes each photo (read, embed, find candidates, verify them, collect evidence), then judges what all
photos show (probabilities, decision) and describes it (product details, barcodes, advice). Each stage is timed.

H, W height and width in px, P products, D dimensions.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..answer import Answer, Decision, Match
from ..embedding.embedder import normalize_rows
from ..errors import QueryError
from ..images import barcode
from ..images.barcode import Barcode
from ..images.crops import Crop
from ..images.image import Photo
from ..local_features.descriptors import LocalFeatures, extract_query_features
from . import scoring
from .advice import add_advice
from .barcode_labels import SURE, apply_labels
from .candidate import Candidate
from .decision import CONSIDERED
from .detection_ahead import DetectionAhead
from .gallery import Gallery
from .preference import Preference
from .stage_timer import StageTimer

if TYPE_CHECKING:
    from ..text.text_query import Query


@dataclass(frozen=True)
class Observation:
    """One photo, and the products that it may show.

    Attributes:
        name: The photo's name.
        pixels: (H, W, 3) uint8.
        crop: The square of the photo that holds its object.
        barcodes: Barcodes that were read in it.
        embedding: (1, D) float32, unit row.
        plain: The same without whitening.
        extract: Returns the photo's local features, once computed; None after a fast search.
        candidates: Products, best score first.
        evidence: (P, 4) float64, for the first P candidates: `CONSIDERED`, or all if there are fewer.
    """

    name: str
    pixels: np.ndarray
    crop: Crop
    barcodes: tuple[Barcode, ...]
    embedding: np.ndarray
    plain: np.ndarray
    extract: Callable[[], LocalFeatures] | None
    candidates: list[Candidate]
    evidence: np.ndarray


def search_photos(
    gallery: Gallery,
    photos: Sequence[Photo],
    k: int,
    fast: bool,
    text: str | None = None,
    where: str | None = None,
    barcodes: bool | None = None,
    preference: Preference | None = None,
    seen: list[Observation] | None = None,
) -> Answer:
    """Answer photos of one product, among all products or those that words and a filter leave; as `Store.search`.

    `seen` gets what was observed.
    """
    timer, query = StageTimer(), None
    if text is not None or where is not None:
        with timer.stage("words"):
            query = _interpret(gallery, text, where, True)
        if query.emptied_by:
            return _answer_empty(gallery, photos, query, timer)
        gallery = gallery.restrict_to(query.allowed)
    observations = [observe(gallery, photo, k, fast, barcodes, timer) for photo in photos]
    if seen is not None:
        seen += observations
    return answer_observations(gallery, observations, k, query, preference, timer)


def observe(
    gallery: Gallery,
    photo: Photo,
    k: int,
    fast: bool = False,
    barcodes: bool | None = None,
    timer: StageTimer | None = None,
) -> Observation:
    """Find what a photo shows: at least k products if there are as many; arguments as for `Store.search`."""
    timer = timer or StageTimer()
    with timer.stage("image"):
        pixels, codes = read_photo(gallery, photo, barcodes)
    detection = DetectionAhead(gallery, pixels)
    begin = detection.begin if gallery.base.settings.threads > 1 and gallery.base.local is not None else None
    with timer.stage("embed"):
        plain, (crop,) = gallery.base.embedder.plain.embed_and_locate([pixels], fast, begin)
        embedding = gallery.base.embedder.whiten(plain)
    extract = None if fast else functools.cache(functools.partial(detection.extract, crop))
    candidates, evidence = find_candidates(gallery, embedding, extract, k, timer)
    candidates = [candidate._replace(size=pixels.shape[:2]) for candidate in candidates]
    return Observation(_name_of(photo), pixels, crop, codes, embedding, plain, extract, candidates, evidence)


def read_photo(gallery: Gallery, photo: Photo, barcodes: bool | None) -> tuple[np.ndarray, tuple[Barcode, ...]]:
    """Return a photo's pixels, (H, W, 3) uint8 as `Embedder.read` gives them, and its barcodes.

    Args:
        gallery: The gallery to search.
        photo: As for `Store.search`.
        barcodes: Whether to read barcodes; None reads them if their reader is installed and a product has one.
    """
    embedder = gallery.base.embedder
    if barcodes or (barcodes is None and barcode.can_read() and gallery.barcodes.has_any):
        return barcode.read(photo, embedder.config.preprocessing.decoded_side)
    return embedder.read(photo), ()


def find_candidates(
    gallery: Gallery,
    embedding: np.ndarray,
    extract: Callable[[], LocalFeatures] | None,
    k: int = CONSIDERED,
    timer: StageTimer | None = None,
) -> tuple[list[Candidate], np.ndarray]:
    """Find the products that a photo may show, and verify them if the nearest does not lead clearly.

    Args:
        gallery: The gallery to search.
        embedding: (1, D) float32, unit row, of the photo.
        extract: Returns the photo's local features, called only to verify; None skips verification.
        k: Number of products, `CONSIDERED` at least.
        timer: Times the stages.
    Returns:
        Candidates, best score first, and (P, 4) float64, the evidence for the first `CONSIDERED` of them.
    """
    timer = timer or StageTimer()
    with timer.stage("index"):
        nearest = scoring.find_nearest(gallery, embedding, max(k, CONSIDERED))
    candidates = list(scoring.best_by_product(gallery, nearest).values())
    if extract and gallery.base.local is not None and not scoring.leads_clearly(candidates):
        with timer.stage("local_features"):
            candidates = scoring.verify(gallery, nearest, extract(), embedding)
    with timer.stage("decision"):
        evidence = scoring.collect_evidence(gallery, candidates[:CONSIDERED], embedding)
    return candidates, evidence


def answer_observations(
    gallery: Gallery,
    observations: Sequence[Observation],
    k: int,
    query: Query | None = None,
    preference: Preference | None = None,
    timer: StageTimer | None = None,
) -> Answer:
    """Answer what several photos of one product show.

    Args:
        gallery: The gallery that was searched.
        observations: One of each photo, at least one.
        k: Number of matches.
        query: Words and a filter that were asked too.
        preference: Moves the order of the matches a little.
        timer: Holds what the observations took.
    """
    timer = timer or StageTimer()
    embedding = normalize_rows(np.sum([observation.embedding for observation in observations], 0))
    with timer.stage("decision"):
        judged, known = judge(gallery, observations)
        decision = gallery.base.calibration.decide(np.array([candidate.probability for candidate in judged]))
    ranked = _rank_with_words(gallery, judged, query, embedding) if query and query.ranking else judged
    if decision == "match" and ranked[:1] != judged[:1]:
        decision = "ambiguous"  # the words name another product first
    gallery.base.release_pages()
    with timer.stage("catalog"):
        matches = _add_word_scores(gallery, ranked, gallery.matches(ranked[:k]), query)
    matches = preference.rerank(matches) if preference else matches
    name = " + ".join(observation.name for observation in observations)
    answer = Answer(name, decision, matches, {}, known)
    answer = _add_query(answer, query, int(query.allowed.sum())) if query else answer
    codes = tuple(dict.fromkeys(code for observation in observations for code in observation.barcodes))
    answer = apply_labels(gallery, answer, codes, judged, embedding) if codes else answer
    if answer.decision != "match":
        with timer.stage("decision"):
            photos = [(observation.pixels, observation.crop) for observation in observations]
            answer = add_advice(gallery, answer, photos, judged)
    return replace(answer, elapsed_ms=timer.report())


def judge(gallery: Gallery, observations: Sequence[Observation]) -> tuple[list[Candidate], float]:
    """Turn the evidence of all photos into probabilities; the best evidence for each product counts.

    Measured on 163 triples of grocery photos, of products that the network was trained on: right product first, and in
    parentheses the AUROC against the same photos without their product. With five reference images a product, then
    with one: the first photo alone 0.86 (0.86), 0.64 (0.67); the best evidence 0.98 (0.97), 0.71 (0.73); the mean
    embedding 0.98 (0.96), 0.70 (0.74); the product of probabilities 0.98 (0.94), 0.69 (0.73); reciprocal ranks 0.94,
    0.66; the surest photo 0.98 (0.96), 0.71 (0.74).

    Returns:
        Candidates, the most likely first, and the probability that the photos show a product of the catalogue.
    """
    best: dict[int, Candidate] = {}
    evidence: dict[int, np.ndarray] = {}
    for observation in observations:
        for candidate, row in itertools.zip_longest(observation.candidates, observation.evidence):
            number = gallery.owner(candidate.row)
            if number not in best or candidate.score > best[number].score:
                best[number] = candidate
            if row is not None:  # among the first `CONSIDERED` of its photo
                evidence[number] = np.maximum(evidence.get(number, row), row)
    probabilities = gallery.base.calibration.probabilities(np.array([*evidence.values()]).reshape(-1, 4))
    likely = dict(zip(evidence, probabilities.tolist(), strict=True))
    judged = [candidate._replace(probability=likely.get(number, 0.0)) for number, candidate in best.items()]
    judged.sort(key=lambda candidate: (-candidate.probability, -candidate.score))
    return judged, float(probabilities.sum())


def search_words(gallery: Gallery, text: str | None, where: str | None, k: int) -> Answer:
    """Answer words and a filter without a photo; as `Store.search`."""
    timer = StageTimer()
    with timer.stage("words"):
        query = _interpret(gallery, text, where, False)
    found, decision = query.answer(gallery.table)
    pictures = scoring.nearest_pictures(gallery, found[:k].tolist())
    candidates = [Candidate(picture.row, query.score(number)) for number, picture in pictures.items()]
    with timer.stage("catalog"):
        matches = _add_word_scores(gallery, candidates, gallery.matches(candidates), query)
    return _add_query(Answer("", decision, matches, timer.report()), query, len(found))


def _interpret(gallery: Gallery, text: str | None, where: str | None, with_photo: bool) -> Query:
    """Turn words and a filter into products; as `text_query.interpret`."""
    from ..text import text_query  # here, so that a photo does not wait for it

    return text_query.interpret(gallery.table, lambda: gallery.words, text, where, with_photo)


def _answer_empty(gallery: Gallery, photos: Sequence[Photo], query: Query, timer: StageTimer) -> Answer:
    """Answer photos if the filter leaves no product; raise ImageError if a photo cannot be read."""
    with timer.stage("image"):
        for photo in photos:
            gallery.base.embedder.read(photo)
    name = " + ".join(map(_name_of, photos))
    return _add_query(Answer(name, "unknown", (), timer.report()), query, 0)


def _add_query(answer: Answer, query: Query, found: int) -> Answer:
    return replace(answer, understood=query.understood, found=found, emptied_by=query.emptied_by)


def search_code(gallery: Gallery, text: str, k: int) -> Answer:
    """Answer a barcode or SKU that was read elsewhere; as `Store.named_by`."""
    timer = StageTimer()
    with timer.stage("catalog"):
        label = gallery.barcodes.find(Barcode(text, ""))
        skus = label.skus or (text,)
        found = gallery.first_matches(skus)
    matches = tuple(replace(found[sku], probability=SURE / len(found)) for sku in skus if sku in found)
    decision: Decision = "unknown" if not matches else "match" if len(matches) == 1 else "ambiguous"
    labels = () if matches and not label.skus else (label,)
    return Answer("", decision, matches[:k], timer.report(), SURE if matches else 0.0, labels)


def warm_up(gallery: Gallery, fast: bool, words: bool) -> None:
    """Run every stage once, with a picture of the gallery, so that the first search need not wait.

    Args:
        gallery: The gallery to warm up.
        fast: As for `Store.search`.
        words: Also search by words once.
    """
    timer = StageTimer()
    pixels, _ = read_photo(gallery, gallery.base.picture(0), None)
    with timer.stage("embed"):
        embedding, (crop,) = gallery.base.embedder.embed_and_locate([pixels], fast)
    nearest = scoring.find_nearest(gallery, embedding, CONSIDERED)
    if gallery.base.local is not None and not fast:
        with timer.stage("local_features"):
            nearest = scoring.verify(gallery, nearest, extract_query_features(pixels, crop), embedding)
    candidates = list(scoring.best_by_product(gallery, nearest).values())[:CONSIDERED]
    scoring.collect_evidence(gallery, candidates, embedding)
    (match, *_) = gallery.matches(candidates)
    gallery.base.release_pages()
    if words:
        with contextlib.suppress(QueryError):  # a product's name may read as a sentence about a photo
            search_words(gallery, match.name, None, 1)


def _rank_with_words(
    gallery: Gallery, candidates: Sequence[Candidate], query: Query, embedding: np.ndarray
) -> list[Candidate]:
    """Rank the candidates of a photo and of words together; each keeps its score by the photo."""
    known = {gallery.owner(candidate.row): candidate for candidate in candidates}
    by_words = [number for number in query.nearest_by_words() if number not in known]
    known |= scoring.nearest_pictures(gallery, by_words, embedding)
    return [known[number] for number in query.order_with_photo({number: c.score for number, c in known.items()})]


def _add_word_scores(
    gallery: Gallery, candidates: Sequence[Candidate], matches: Sequence[Match], query: Query | None
) -> tuple[Match, ...]:
    """Add to each match how well it fits the words, if any were asked."""
    if query is None or query.ranking is None:
        return tuple(matches)
    numbers = [gallery.owner(candidate.row) for candidate in candidates]
    return tuple(replace(match, words=query.score(n)) for match, n in zip(matches, numbers, strict=False))


def _name_of(photo: Photo) -> str:
    return os.fspath(photo) if isinstance(photo, (str, os.PathLike)) else "photo"
