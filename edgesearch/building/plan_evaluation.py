"""How much a catalogue finds when it is searched in other ways: the same questions, looked at once, asked of each."""

import copy
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from ..index.compact_index import CompactIndex
from ..local_features.descriptors import LocalFeatures, look
from ..local_features.local_index import LocalIndex
from ..search.calibration import Shown
from ..search.decision import CONSIDERED
from ..search.gallery import Gallery, OverlayRows, is_sure
from ..search.open_bundle import OpenBundle
from .budget import Measured


class _Asked(NamedTuple):
    """A question; embedding: (1, D) float32; row: as `Shown`."""

    embedding: np.ndarray
    seen: LocalFeatures
    product: int
    row: int | None


class Trial:
    """Questions to a catalogue, those of its products alone."""

    def __init__(self, base: OpenBundle, shown: Iterable[Shown]):
        """base: stays open while it is asked."""
        self._base = base
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            self._asked = [one for one in pool.map(self._looked, shown) if one]

    def __call__(self, index: CompactIndex, local: LocalIndex | None) -> Measured:
        """Ask this index and this print in place of the catalogue's own."""
        base = copy.copy(self._base)
        base.index, base.local = index, local
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = np.array([*pool.map(lambda one: _found(base, one), self._asked)], np.float64).reshape(-1, 2)
        recall, sure = found.mean(0).tolist() if len(found) else (0.0, 0.0)
        return Measured(recall, sure, len(found))

    def _looked(self, shown: Shown) -> _Asked | None:
        if shown.product is None:
            return None
        pixels = shown.pixels()
        embedding, (part,) = self._base.embedder.embed_pixels([pixels])
        return _Asked(embedding, look(pixels, part), shown.product, shown.row)


def _found(base: OpenBundle, asked: _Asked) -> tuple[bool, float]:
    """Whether the right product came first, and how likely it was said to be."""
    gallery = Gallery(base, 0, OverlayRows(hidden={"": [asked.row]} if asked.row is not None else {}), {})
    near = gallery.nearest(asked.embedding, CONSIDERED)
    found = list(gallery.by_product(near).values())
    if base.local is not None and not is_sure(found):
        found = gallery.verified(near, asked.seen, asked.embedding)
    found = found[:CONSIDERED]
    given = base.calibration.probabilities(gallery.evidence(found, asked.embedding))
    is_right = np.array([gallery.owner(one.row) == asked.product for one in found])
    return bool(is_right[given.argmax()]), float(given[is_right].sum())
