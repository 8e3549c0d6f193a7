"""A bundle while it is built: its members in a folder, beside the objects that they were written from.

N rows, D dimensions.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .._util import progress
from .._util.spill_file import SpillFile, split_portions
from ..bundle import bundle_file
from ..embedding.embedder import Embedder
from ..embedding.whitening import Whitening
from ..index.compact_index import CompactIndex
from ..local_features.local_index import LocalIndex
from ..search.decision import Calibration
from ..search.open_bundle import OpenBundle, binding_hashes

HEAD_BYTES = 16_384  # upper bound of manifest and signature


class LearnedFrom(NamedTuple):
    """The embeddings that a catalogue's whitening was learned from.

    Attributes:
        rows: (N, D) float32, unit rows, as the network computes them, in memory or mapped.
        owners: (N,) int, product of each row.
        shipped: The model's own whitening; None if it has none.
    """

    rows: np.ndarray
    owners: np.ndarray
    shipped: Whitening | None


@dataclass(frozen=True)
class StagedBundle:
    """A bundle before it is written.

    Attributes:
        folder: Folder of its members; fitting it to a budget changes them.
        products: Number of products.
        embeddings: (N, D) float32, the rows of the index.
        embedder: The network that computed them, with its whitening.
        index: The vector index.
        local: The index of local features; None if the bundle keeps none.
        seed: Seed of the index.
        keeps_codebook: The quantizer of the index must not change.
        learned_from: Origin of the whitening; None if it was not learned from this catalogue.
    """

    folder: Path
    products: int
    embeddings: np.ndarray
    embedder: Embedder
    index: CompactIndex
    local: LocalIndex | None
    seed: int = 0
    keeps_codebook: bool = False
    learned_from: LearnedFrom | None = None

    def with_shipped_whitening(self, path: Path) -> "StagedBundle":
        """Return the bundle with the model's whitening instead of the catalogue's; its files stay as they are.

        Args:
            path: File for the rows of its index if they are many.
        """
        if self.learned_from is None:
            return self
        embedder = self.embedder.with_whitening(self.learned_from.shipped)
        rows = whiten_rows(embedder, self.learned_from.rows, path)
        index = CompactIndex.build(rows, embedder.space, 2 * self.index.code_bytes, self.seed)
        return replace(self, embeddings=rows, embedder=embedder, index=index, learned_from=None)

    @property
    def size_bytes(self) -> int:
        """An upper bound of the size of the bundle."""
        return bundle_file.size_bytes(self.sizes(), HEAD_BYTES)

    def sizes(self) -> dict[str, int]:
        """Return the size of each member in bytes."""
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return {path.relative_to(self.folder).as_posix(): path.stat().st_size for path in files}

    def manifest_fields(self) -> dict[str, Any]:
        """Return the fields of the manifest that describe the members: hashes, counts and measured accuracy."""
        index, local = self.index, self.local
        return {
            "hashes": binding_hashes(self.embedder, index, local),
            "counts": {
                "products": self.products,
                "pictures": len(self.embeddings),
                "local_features": local.feature_count if local else 0,
            },
            "accuracy": {"ann_recall@10": index.recall, "probes": index.probes, "shortlist": index.shortlist},
        }

    @contextlib.contextmanager
    def open_draft(self, folder: Path) -> Iterator[OpenBundle]:
        """Open a temporary bundle of the members, to search in it; it is not calibrated.

        Args:
            folder: Folder for the file, which is removed afterwards.
        """
        path = folder / "draft.edge"
        head = {"name": "", "sequence": 0, "created": "", "calibration": Calibration().to_dict()}
        bundle_file.write(path, self.folder, head | self.manifest_fields())
        with contextlib.closing(OpenBundle(bundle_file.Bundle(path, whole=False))) as draft:
            yield draft
        path.unlink()


def whiten_rows(embedder: Embedder, rows: np.ndarray, path: Path) -> np.ndarray:
    """Return the rows of an index, (N, D) float32, from embeddings without whitening.

    Args:
        embedder: Holds the whitening; without one, the embeddings are the rows.
        rows: (N, D) float32, in memory or mapped.
        path: File for the rows if they are many.
    """
    if not embedder.whitening:
        return rows
    whitened = SpillFile(rows.shape[1:], "float32", path)
    with progress.stage("whiten", "row", len(rows)) as stage:
        for portion in split_portions(rows):
            whitened.append(embedder.whiten(portion))
            stage.done += len(portion)
    return whitened.rows()
