"""Enumerate, build and evaluate the search plans of a catalogue, from the full index to a few bytes per picture.

N rows, D dimensions, M subquantizers.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from .._util import progress
from ..index.compact_index import ARRAYS_FILE, CompactIndex
from ..index.kernel import BLOCK
from ..local_features.descriptors import SUBQUANTIZERS as LOCAL_SUBQUANTIZERS
from ..local_features.local_index import FILE as LOCAL_FILE
from ..local_features.local_index import LocalIndex
from ..search.open_bundle import INDEX
from .budget import Plan, PlanAccuracy, drop_dominated

SUBQUANTIZER_COUNTS = (256, 128, 64, 32, 16)  # M
FEATURE_COUNTS = (1024, 512, 256, 128, 64, 32)
SLACK = 256  # bytes by which the padding of arrays may grow
Evaluate = Callable[[CompactIndex, LocalIndex | None], PlanAccuracy]


class SearchPlans:
    """Builds the indexes of a catalogue's plans, each when it is first needed."""

    def __init__(
        self,
        embeddings: np.ndarray,
        index: CompactIndex,
        local: LocalIndex | None,
        seed: int = 0,
        keeps_codebook: bool = False,
    ):
        """Prepare the plans of a catalogue.

        Args:
            embeddings: (N, D) float32, the rows of the index.
            index: The index of the whole catalogue.
            local: Its index of local features; None if there is none.
            seed: Seed of the quantizers.
            keeps_codebook: Offer no plan with another quantizer than that of `index`.
        """
        self._embeddings, self._whole, self._seed = embeddings, index, seed
        self._local = local
        self._pictures = [*local.read_features()] if local else []
        self._sizes = np.array([features.size for features in self._pictures], np.int64)
        self._words = np.array([len(features.words) for features in self._pictures], np.int64)
        own = 2 * index.code_bytes
        others = () if keeps_codebook else SUBQUANTIZER_COUNTS
        self._subquantizers = sorted({own, *(m for m in others if index.dim % m == 0)}, reverse=True)
        most = int(self._sizes.max(initial=0))
        self._features = [most, *(n for n in FEATURE_COUNTS if n < most)] if most else []
        self._indexes_with = cache(self._build_indexes)
        self.local_index = cache(self._truncate_local)

    def enumerate(self, folder: Path, least_bytes: int) -> list[Plan]:
        """Return all plans with their sizes, the largest first.

        Args:
            folder: Folder with the files of the whole index and its local features.
            least_bytes: Size of a bundle without these files.
        """
        index_bytes = (folder / INDEX / ARRAYS_FILE).stat().st_size
        local_bytes = (folder / LOCAL_FILE).stat().st_size if self._pictures else 0
        own, positions = self._whole.code_bytes, len(self._whole.blocks.rows)
        indexes = [
            (m // 2, rescored, index_bytes + SLACK + positions * (m // 2 - own - self._whole.dim * (not rescored)))
            for m in self._subquantizers
            for rescored in (True, False)
            if not rescored or m // 2 == own  # int8 vectors cost and give the same beside codes of any length
        ]
        locals_ = [*((n, local_bytes + SLACK - self._saved_bytes(n)) for n in self._features), (0, 0)]
        plans = [
            Plan(code_bytes, rescored, features, least_bytes + size + local_size)
            for code_bytes, rescored, size in indexes
            for features, local_size in locals_
        ]
        return sorted(plans, key=lambda plan: (-plan.size_bytes, plan.name))

    def index(self, plan: Plan) -> CompactIndex:
        """Return the index of a plan."""
        rescored, coded = self._indexes_with(2 * plan.code_bytes)
        return rescored if plan.rescored else coded

    def evaluate(self, plans: Sequence[Plan], limit_bytes: int, evaluate: Evaluate) -> list[Plan]:
        """Return the plans that exceed the limit, and those within it with their accuracy, the largest first.

        Indexes are evaluated alone first. Only those that no smaller one equals are evaluated with local features, and
        the others are dropped.
        """

        def measure(plan: Plan) -> Plan:
            return replace(plan, accuracy=evaluate(self.index(plan), self.local_index(plan.features)))

        fitting = [plan for plan in plans if plan.size_bytes <= limit_bytes]
        plain = [plan for plan in fitting if not plan.features]
        alone = [measure(plan) for plan in progress.track("try indexes within the budget", "index", plain, len(plain))]
        indexes = {(plan.code_bytes, plan.rescored) for plan in drop_dominated(alone)}
        combined = [plan for plan in fitting if plan.features and (plan.code_bytes, plan.rescored) in indexes]
        tried = progress.track("try local features within the budget", "plan", combined, len(combined))
        found = [*(plan for plan in plans if plan not in fitting), *alone, *map(measure, tried)]
        return sorted(found, key=lambda plan: (-plan.size_bytes, plan.name))

    def _saved_bytes(self, features: int) -> int:
        """Return the bytes saved by keeping at most so many local features of each picture."""
        fewer = self._sizes.clip(max=features)
        blocks = (-(-self._sizes // BLOCK) + -fewer // BLOCK).sum()
        feature_bytes = LOCAL_SUBQUANTIZERS // 2 + 4  # code and position
        return int(blocks * BLOCK * feature_bytes + 2 * (self._words - self._words.clip(max=features)).sum())

    def _build_indexes(self, subquantizers: int) -> tuple[CompactIndex, CompactIndex]:
        """Return the index with int8 vectors, and the one without."""
        index = self._whole
        if subquantizers != 2 * index.code_bytes:
            index = CompactIndex.build(self._embeddings, index.space, subquantizers, self._seed)
        return index, index.drop_vectors(self._embeddings, self._seed)

    def _truncate_local(self, features: int) -> LocalIndex | None:
        """Return an index of at most so many local features of each picture; None for 0."""
        if not features or self._local is None:
            return None
        if features >= self._sizes.max():
            return self._local
        codebook = self._local.codebook
        return LocalIndex.build(codebook, [picture.truncate(features, codebook) for picture in self._pictures])
