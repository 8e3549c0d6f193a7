"""The options of a build: what each means, its default, and the values that it accepts."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from ..catalog import tabular
from ..device.learned import LearningSettings
from ..embedding.shipped_models import find_model
from ..index.cells import ParallelMap
from ..local_features.descriptors import DEFAULT_FEATURES, MAX_FEATURES
from ..search.outcomes import Targets
from .budget import budget_bytes
from .ray_engine import connect_cluster
from .thread_engine import open_thread_pool

ENGINES: Mapping[str, Callable[[int | None], AbstractContextManager[ParallelMap]]] = {
    "local": open_thread_pool,
    "ray": connect_cluster,
}


class BuildKeywords(TypedDict, total=False):
    """The keyword arguments of `edgesearch.build`: the fields of `BuildOptions`, except `model`."""

    precision: str
    skip_bad: bool
    local_features: int
    sign: Path | None
    next_key: Path | None
    sequence: int | None
    merge: Sequence[Path]
    merge_learned: Sequence[Path]
    learned_per_product: int
    like: Path | None
    queries: Path | None
    wrong_matches: float
    missed: float
    unknown_share: float
    mapping: Mapping[str, str] | None
    encoding: str | None
    decimal: str
    sheet: str
    header_row: int
    max_rows: int
    budget_mb: float | None
    seed: int
    engine: str
    workers: int | None
    resume: bool
    fresh: bool


@dataclass(frozen=True)
class BuildOptions:
    """The options of a build.

    Attributes:
        model: "light", "accurate", the name of a model that ships, or a model folder; None uses "light".
        precision: Network to ship, "int8" or "fp32".
        skip_bad: Leave out pictures that cannot be read, instead of stopping.
        local_features: Local features to keep of each picture, 20 bytes each; 0 keeps none.
        sign: Private key that signs the bundle; None leaves it unsigned.
        next_key: Public key that devices trust from this bundle on, besides that of `sign`.
        sequence: Sequence number; devices install no bundle with a lower one. None takes the seconds since 1970.
        merge: Folders of overlays that devices exported, to merge into the catalogue.
        merge_learned: Exported folders too: the pictures that devices learned from use join the index.
        learned_per_product: Learned pictures of a product to use at most.
        like: Earlier bundle whose quantizer and cells the index keeps, so that a delta from it is small.
        queries: CSV of photos and their SKUs to calibrate with; None uses the catalogue's own pictures.
        wrong_matches: Share of the matches that may name a wrong product.
        missed: Share of the photos of the catalogue's products that may be called unknown.
        unknown_share: Share of all photos that show products outside the catalogue, for `wrong_matches`.
        mapping: Column of the catalogue by field name; None recognizes the columns by their titles.
        encoding: Text encoding of the catalogue; None detects it.
        decimal: Decimal separator of the catalogue's numbers, "." or ","; "" detects it.
        sheet: Sheet of a workbook, by name or number from 1; "" finds it.
        header_row: Row of the catalogue's column names, from 1; 0 finds it.
        max_rows: Rows of the catalogue that may be read.
        budget_mb: Largest size of the bundle in millions of bytes; the build keeps what finds most products within it.
        seed: Seed of everything random: augmented views, index, codebook.
        engine: "local" for the threads of this machine, "ray" for a cluster.
        workers: Number of workers of the engine; None uses all processors.
        resume: Keep the extracts in OUTPUT.work after the build too, so that the next one reads only new pictures.
        fresh: Discard what a stopped or an earlier build left in OUTPUT.work, instead of going on from it.
    """

    model: str | Path | None = None
    precision: str = "int8"
    skip_bad: bool = False
    local_features: int = DEFAULT_FEATURES
    sign: Path | None = None
    next_key: Path | None = None
    sequence: int | None = None
    merge: Sequence[Path] = ()
    merge_learned: Sequence[Path] = ()
    learned_per_product: int = LearningSettings.per_product
    like: Path | None = None
    queries: Path | None = None
    wrong_matches: float = Targets.wrong_matches
    missed: float = Targets.missed
    unknown_share: float = Targets.unknown_share
    mapping: Mapping[str, str] | None = None
    encoding: str | None = None
    decimal: str = ""
    sheet: str = ""
    header_row: int = 0
    max_rows: int = tabular.MAX_ROWS
    budget_mb: float | None = None
    seed: int = 0
    engine: str = "local"
    workers: int | None = None
    resume: bool = False
    fresh: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError if a value is outside its limits."""
        if self.engine not in ENGINES:
            raise ValueError(f"engine is {self.engine!r}; expected one of {', '.join(ENGINES)}.")
        if not 0 <= self.local_features <= MAX_FEATURES:
            raise ValueError(f"local_features is {self.local_features}; expected 0 to {MAX_FEATURES}.")
        if self.learned_per_product < 1:
            raise ValueError(f"learned_per_product is {self.learned_per_product}; expected 1 or more.")
        _ = self.targets
        if self.budget_mb is not None:
            budget_bytes(self.budget_mb)

    @property
    def targets(self) -> Targets:
        """The errors to accept; raise ValueError for a share outside its limits."""
        return Targets(self.wrong_matches, self.missed, self.unknown_share)

    @property
    def model_folder(self) -> Path:
        """The model folder to use; raise ModelError if there is no such model."""
        return find_model(self.model)

    @property
    def limit_bytes(self) -> int | None:
        """The largest size of the bundle in bytes; None sets no limit."""
        return None if self.budget_mb is None else budget_bytes(self.budget_mb)
