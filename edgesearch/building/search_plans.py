"""Ways to search one catalogue, from all that is known of its pictures to a few bytes of each.

N rows, D dimensions, M subquantizers.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from ..index.compact_index import ARRAYS_FILE, CompactIndex
from ..index.kernel import BLOCK
from ..local_features.descriptors import SUBQUANTIZERS as PRINT_SUBQUANTIZERS
from ..local_features.local_index import FILE as LOCAL_FILE
from ..local_features.local_index import LocalIndex
from .budget import Measured, Plan, worth_more

CODES = (256, 128, 64, 32, 16)  # M
FEATURES = (1024, 512, 256, 128, 64, 32)
SLACK = 256  # bytes that arrays of other sizes may need more
Ask = Callable[[CompactIndex, LocalIndex | None], Measured]


class SearchPlans:
    """Indexes and prints of one catalogue, made when they are wanted."""

    def __init__(
        self, x: np.ndarray, index: CompactIndex, local: LocalIndex | None, seed: int = 0, only_its_codes: bool = False
    ):
        """
        Args:    x: (N, D) float32, the rows of the index; index, local: all of it; only_its_codes: keep its quantizer.
        """
        self._x, self._whole, self._seed = x, index, seed
        self._prints = [*local.pictures()] if local else []
        self._local = local
        self._sizes = np.array([one.size for one in self._prints], np.int64)
        self._words = np.array([len(one.words) for one in self._prints], np.int64)
        own = 2 * index.code_bytes
        others = () if only_its_codes else CODES
        self._subquantizers = sorted({own, *(m for m in others if index.dim % m == 0)}, reverse=True)
        most = int(self._sizes.max(initial=0))
        self._features = [most, *(n for n in FEATURES if n < most)] if most else []
        self._built = cache(self._build)
        self.print = cache(self._cut)

    def plans(self, folder: Path, least_bytes: int) -> list[Plan]:
        """All of them, the largest first.

        Args:    folder: with the files of the whole index and print; least_bytes: of a bundle without these.
        """
        index_bytes = (folder / "index" / ARRAYS_FILE).stat().st_size
        print_bytes = (folder / LOCAL_FILE).stat().st_size if self._prints else 0
        own, positions = self._whole.code_bytes, len(self._whole.blocks.rows)
        indexes = [
            (m // 2, rescored, index_bytes + SLACK + positions * (m // 2 - own - self._whole.dim * (not rescored)))
            for m in self._subquantizers
            for rescored in (True, False)
            if not rescored or m // 2 == own  # of other codes the vectors cost as much and give as much
        ]
        prints = [*((n, print_bytes + SLACK - self._saved(n)) for n in self._features), (0, 0)]
        plans = [
            Plan(code_bytes, rescored, features, least_bytes + size + print_size)
            for code_bytes, rescored, size in indexes
            for features, print_size in prints
        ]
        return sorted(plans, key=lambda plan: (-plan.size_bytes, plan.name))

    def index(self, plan: Plan) -> CompactIndex:
        """That of a plan."""
        built = self._built(2 * plan.code_bytes)
        return built[0] if plan.rescored else built[1]

    def asked(self, plans: Sequence[Plan], limit_bytes: int, ask: Ask) -> list[Plan]:
        """Those that do not fit, and those that do, measured.

        First indexes are asked alone; those of which a smaller one finds as much are not asked with a print.
        """

        def measured(plan: Plan) -> Plan:
            return replace(plan, measured=ask(self.index(plan), self.print(plan.features)))

        fitting = [plan for plan in plans if plan.size_bytes <= limit_bytes]
        alone = [measured(plan) for plan in fitting if not plan.features]
        indexes = {(plan.code_bytes, plan.rescored) for plan in worth_more(alone)}
        printed = [plan for plan in fitting if plan.features and (plan.code_bytes, plan.rescored) in indexes]
        found = [*(plan for plan in plans if plan not in fitting), *alone, *map(measured, printed)]
        return sorted(found, key=lambda plan: (-plan.size_bytes, plan.name))

    def _saved(self, features: int) -> int:
        """Bytes that a print of so many features lacks of the whole."""
        fewer = self._sizes.clip(max=features)
        blocks = (-(-self._sizes // BLOCK) + -fewer // BLOCK).sum()
        feature_bytes = PRINT_SUBQUANTIZERS // 2 + 4  # code and place
        return int(blocks * BLOCK * feature_bytes + 2 * (self._words - self._words.clip(max=features)).sum())

    def _build(self, subquantizers: int) -> tuple[CompactIndex, CompactIndex]:
        """With int8 vectors, and without."""
        index = self._whole
        if subquantizers != 2 * index.code_bytes:
            index = CompactIndex.build(self._x, index.space, subquantizers, self._seed)
        return index, index.coded(self._x, self._seed)

    def _cut(self, features: int) -> LocalIndex | None:
        if not features or self._local is None:
            return None
        if features >= self._sizes.max():
            return self._local
        codebook = self._local.codebook
        return LocalIndex.build(codebook, [one.first(features, codebook) for one in self._prints])
