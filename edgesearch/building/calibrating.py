"""Calibrate the decision of a staged bundle, or take the cached calibration of the same members and photos."""

from collections.abc import Iterator, Sequence
from dataclasses import astuple, replace
from pathlib import Path

from .._util.hashing import hash_json
from ..search.calibration import MIN_QUESTIONS, calibrate
from ..search.confusions import find_confusions, measure_fewer_pictures
from ..search.decision import Calibration
from ..search.decision_prior import Prior, read_prior
from ..search.open_bundle import OpenBundle
from ..search.outcomes import Targets
from .build_options import BuildOptions
from .cross_fit import cross_fit
from .extraction_cache import ExtractionCache
from .staged_bundle import StagedBundle

LabelledPhoto = tuple[Path, str]  # a photo and its SKU, "" if its product is not in the catalogue


def calibrate_staged(
    staged: StagedBundle,
    folder: Path,
    cache: ExtractionCache,
    sources: Sequence[str],
    photos: Sequence[LabelledPhoto],
    photo_hashes: Sequence[tuple[str, str]],
    options: BuildOptions,
) -> Calibration:
    """Calibrate the bundle, or return the cached calibration of the same members and photos.

    Args:
        staged: The bundle.
        folder: Folder for a temporary bundle.
        cache: Keeps the last calibration.
        sources: Sources of the pictures, by row.
        photos: Photos to calibrate with; without any, the catalogue's own pictures are used.
        photo_hashes: sha256 and SKU of each photo.
        options: Hold the model and the errors to accept.
    Raises:
        ModelError: The model's prior is damaged.
    """
    prior: Prior = read_prior(options.model_folder, staged.learned_from is not None)
    targets: Targets = options.targets
    with staged.open_draft(folder) as draft:
        members = {name: entry.sha256 for name, entry in draft.bundle.manifest.files.items()}
        digest = hash_json([members, photo_hashes, astuple(targets), prior.digest])
        learned = cache.calibration(
            digest, lambda: _calibrate(cross_fit(staged, draft, folder), sources, prior, photos, targets).to_dict()
        )
    return Calibration.from_dict(learned)


def _calibrate(
    base: OpenBundle, sources: Sequence[str], prior: Prior, photos: Sequence[LabelledPhoto], targets: Targets
) -> Calibration:
    """Calibrate, and add which products are confused and whether more pictures of them help."""
    calibration, questions = calibrate(base, sources, prior, photos, targets)
    confused = find_confusions(base, questions, calibration.weights)
    numbers = {entry.number for entry in base.catalog.find_skus({pair.sku for pair in confused}).values()}
    helped = measure_fewer_pictures(questions, calibration.weights, numbers)
    return replace(calibration, expected={**calibration.expected, **helped}, confused=confused)


def describe_calibration(
    calibration: Calibration, options: BuildOptions, photos_used: int, photos_given: int
) -> Iterator[str]:
    """Yield notes on photos that were not used, and on targets that the calibration misses."""
    if photos_used < photos_given:
        yield f"{options.queries}: {photos_given - photos_used} of its photos are of products without a picture"
    if photos_used and not calibration.questions:
        yield (
            f"{options.queries}: {photos_used} photos are too few to calibrate with; give at least {MIN_QUESTIONS} of "
            "its products."
        )
