"""The function `edgesearch.build` and its result.

It loads the other modules of this package when a build begins, so that a search starts without them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from typing import Unpack

    from ..bundle.manifest import Manifest
    from .budget import BudgetReport
    from .build_options import BuildKeywords

Report: TypeAlias = Callable[[int, int], None]  # pictures done, pictures in all


@dataclass(frozen=True)
class Built:
    """The result of a build.

    Attributes:
        manifest: Manifest of the bundle.
        size_bytes: Size of its file.
        skipped: For each picture that was left out, why it cannot be used.
        without_picture: SKUs of products without a usable picture; only words, filters and barcodes find them.
        notes: Notes of the catalogue's reader, the merge and the calibration.
        fitted: Report on the fit to the budget; None if everything was kept.
        expectations: Sentences on how photos will be answered.
    """

    manifest: Manifest
    size_bytes: int
    skipped: tuple[str, ...]
    without_picture: tuple[str, ...]
    notes: tuple[str, ...] = ()
    fitted: BudgetReport | None = None
    expectations: tuple[str, ...] = ()


def build(
    catalogue: str | Path,
    output: Path,
    model: str | Path | None = None,
    *,
    progress: Report = lambda done, total: None,
    **options: Unpack[BuildKeywords],
) -> Built:
    """Build a bundle from a catalogue.

    Args:
        catalogue: CSV, Parquet or .xlsx file, or a folder or archive of pictures.
        output: The `.edge` file to write.
        model: "light", "accurate", the name of a model that ships, or a model folder; None uses "light".
        progress: Called with the number of pictures done and of all pictures.
        options: Any field of `edgesearch.building.build_options.BuildOptions`.
    Raises:
        ValueError: An option is outside its limits.
        CatalogError: The catalogue cannot be used, or one of its pictures without `skip_bad`.
        ImageError: A photo to calibrate with cannot be read.
        ModelError: The model cannot be used.
        BundleError: The output cannot be written, or not within the budget.
        SignatureError: A key cannot be used.
        EdgeSearchError: The engine cannot be used.
    """
    from .build import build_bundle
    from .build_options import BuildOptions

    if isinstance(merge := options.get("merge"), (str, os.PathLike)):
        options["merge"] = [Path(merge)]
    return build_bundle(catalogue, Path(output), BuildOptions(model, **options), progress)
