"""A bundle while it is built: its members in a folder, beside the objects that they were written from.

N rows, D dimensions.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..bundle import bundle_file
from ..embedding.embedder import Embedder
from ..index.compact_index import CompactIndex
from ..local_features.local_index import LocalIndex
from ..search.decision import ONE_PICTURE
from ..search.open_bundle import OpenBundle, binding_hashes

HEAD_BYTES = 16_384  # upper bound of manifest and signature


class PlainRows(NamedTuple):
    """The embeddings of a catalogue as the network computes them, without whitening.

    Attributes:
        rows: (N, D) float32, unit rows, in memory or mapped.
        owners: (N,) int, product of each row.
    """

    rows: np.ndarray
    owners: np.ndarray


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
        plain: The embeddings without whitening; None if there is no whitening.
    """

    folder: Path
    products: int
    embeddings: np.ndarray
    embedder: Embedder
    index: CompactIndex
    local: LocalIndex | None
    seed: int = 0
    keeps_codebook: bool = False
    plain: PlainRows | None = None

    def without_whitening(self) -> "StagedBundle":
        """Return the bundle with the embeddings as the network computes them; its files stay as they are."""
        if self.plain is None:
            return self
        embedder = self.embedder.plain
        index = CompactIndex.build(self.plain.rows, embedder.space, 2 * self.index.code_bytes, self.seed)
        return replace(self, embeddings=self.plain.rows, embedder=embedder, index=index, plain=None)

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
        head = {"name": "", "sequence": 0, "created": "", "calibration": ONE_PICTURE.to_dict()}
        bundle_file.write(path, self.folder, head | self.manifest_fields())
        with contextlib.closing(OpenBundle(bundle_file.Bundle(path, whole=False))) as draft:
            yield draft
        path.unlink()
