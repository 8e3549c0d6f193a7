"""Open the bundle that a new one is to be like, so that the delta between them is small."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from ..bundle import bundle_file
from ..embedding.embedder import Embedder
from ..embedding.whitening import Whitening
from ..errors import BundleError
from ..index.compact_index import CompactIndex
from ..search.open_bundle import open_index, open_whitening


@dataclass(frozen=True)
class SimilarIndex:
    """The parts that a new bundle keeps.

    Attributes:
        index: Its quantizer and cells are kept.
        whitening: Maps its rows; None if nothing does.
    """

    index: CompactIndex
    whitening: Whitening | None


def open_similar_index(path: Path, embedder: Embedder) -> SimilarIndex:
    """Open the index of the bundle to be like; raise BundleError if it was built with another network."""
    bundle = bundle_file.Bundle(path)
    index = open_index(bundle)
    with contextlib.suppress(BundleError):  # a whitening of other dimensions belongs to another network too
        whitening = open_whitening(bundle, embedder.config.dim)
        if index.space == embedder.with_whitening(whitening).space:
            return SimilarIndex(index, whitening)
    raise BundleError(f"{path}: was built with another model; give one of this model, or leave out --like.")
