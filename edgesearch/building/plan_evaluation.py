"""Measure the accuracy of different indexes of one catalogue: ask each the same questions, embedded once.

D dimensions.
"""

import copy
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from .._util import progress
from ..index.compact_index import CompactIndex
from ..local_features.descriptors import LocalFeatures, extract_query_features
from ..local_features.local_index import LocalIndex
from ..search.calibration import CalibrationPhoto
from ..search.gallery import Gallery, OverlayRows
from ..search.open_bundle import OpenBundle
from ..search.pipeline import find_candidates
from .budget import PlanAccuracy


class _Question(NamedTuple):
    """A photo whose product is known.

    Attributes:
        embedding: (1, D) float32, unit row.
        features: Its local features.
        product: Number of its product.
        row: Row to hide from the search, as in `CalibrationPhoto`.
    """

    embedding: np.ndarray
    features: LocalFeatures
    product: int
    row: int | None


class PlanEvaluation:
    """Questions to a catalogue whose right answers are known; call it with an index to measure."""

    def __init__(self, base: OpenBundle, photos: Iterable[CalibrationPhoto]):
        """Embed the photos of products of the catalogue; `base` must stay open."""
        self._base = base
        asked = [*photos]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            prepared = progress.track("embed photos to try with", "photo", pool.map(self._prepare, asked), len(asked))
            self._questions = [question for question in prepared if question]

    def __call__(self, index: CompactIndex, local: LocalIndex | None) -> PlanAccuracy:
        """Return the accuracy with these indexes in place of those of the bundle."""
        base = copy.copy(self._base)
        base.index, base.local = index, local
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            results = [*pool.map(lambda question: _search(base, question), self._questions)]
        recall, confidence = np.array(results, np.float64).mean(0).tolist() if results else (0.0, 0.0)
        return PlanAccuracy(recall, confidence, len(results))

    def _prepare(self, photo: CalibrationPhoto) -> _Question | None:
        if photo.product is None:
            return None
        pixels = photo.pixels()
        embedding, (crop,) = self._base.embedder.embed_and_locate([pixels])
        return _Question(embedding, extract_query_features(pixels, crop), photo.product, photo.row)


def _search(base: OpenBundle, question: _Question) -> tuple[bool, float]:
    """Return whether the right product came first, and its probability."""
    hidden = {"": [question.row]} if question.row is not None else {}
    gallery = Gallery(base, 0, OverlayRows(hidden=hidden), {})
    candidates, evidence = find_candidates(gallery, question.embedding, lambda: question.features)
    probabilities = base.calibration.probabilities(evidence)
    considered = candidates[: len(evidence)]
    is_right = np.array([gallery.owner(candidate.row) == question.product for candidate in considered])
    return bool(is_right[probabilities.argmax()]), float(probabilities[is_right].sum())
