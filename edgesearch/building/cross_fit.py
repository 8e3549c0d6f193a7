"""Ask a catalogue about its own pictures as if it did not have them.

A whitening shrinks above all the differences between the pictures that it was learned from. Each of them, left out of
the search, would therefore be found far more easily than a photo: of 360 pictures of 40 products (one catalogue
picture and five photos each, two halves of the products asked apart) .99, where products that the map was not learned
from find .89. So the pictures are divided into parts, and each is asked with a map that was learned without its part.

N rows, D embedding dimensions.
"""

import copy
import threading
from functools import cache
from pathlib import Path

import numpy as np

from ..index.compact_index import CompactIndex
from ..search.open_bundle import OpenBundle
from .fit_whitening import learn_without
from .staged_bundle import StagedBundle, whiten_rows

PARTS = 4


def cross_fit(staged: StagedBundle, draft: OpenBundle, folder: Path) -> OpenBundle:
    """Return the draft of a staged bundle such that `OpenBundle.without` leaves a picture out of the whitening too.

    Args:
        staged: The bundle.
        draft: Its draft.
        folder: Folder for temporary files.
    """
    if staged.learned_from is None:
        return draft
    rows, owners, shipped = staged.learned_from
    part = np.random.default_rng(staged.seed).permutation(len(rows)) % PARTS
    lock, asked = threading.Lock(), copy.copy(draft)

    @cache
    def fit(number: int) -> OpenBundle:
        whitening = learn_without(rows, owners, np.flatnonzero(part != number), shipped)
        base = copy.copy(draft)
        base.embedder = draft.embedder.with_whitening(whitening)
        whitened = whiten_rows(base.embedder, rows, folder / f"part{number}")
        index = CompactIndex.build(whitened, base.embedder.space, seed=staged.seed, like=staged.index)
        base.index = index.drop_vectors(whitened, staged.seed) if staged.index.is_codes_only else index
        return base

    def without(row: int) -> OpenBundle:
        with lock:
            return fit(int(part[row]))

    asked.cross_fits = without
    return asked
