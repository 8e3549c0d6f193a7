"""Build a bundle from a catalogue, stage by stage.

`build_bundle` reads the catalogue, extracts features from its pictures, assembles the members, fits them to a budget,
calibrates, and writes the file. Each stage is a function below or in the module of its name.

The same catalogue gives the same bytes on one kind of processor, whatever builds it. Workers extract pictures in any
order, and the cache keeps the extracts by the hash of each file. All later stages read them in the order of the
catalogue, in portions, and on one thread wherever the number of threads could change a bit. Only the clock differs;
SOURCE_DATE_EPOCH fixes it (reproducible-builds.org/docs/source-date-epoch).
"""

import datetime
import math
import os
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from .._util import blas, progress
from .._util.hashing import sha256
from ..bundle import bundle_file, container, signing
from ..bundle.manifest import Manifest
from ..catalog import loader, product
from ..catalog.product import Entry
from ..catalog.sources import format_source, is_missing
from ..device import overlay_export
from ..embedding.embedder import copy_model, read_whitening
from ..errors import BundleError, CatalogError, several
from ..images import image, photo_formats
from ..index.cells import ParallelMap
from ..search.calibration import rehearsal_photos
from ..search.decision import Calibration
from ..search.expectations import describe
from ..search.open_bundle import MODEL
from .assemble import Products, UsablePicture, assemble, new_folder
from .budget import BudgetReport
from .build_options import ENGINES, BuildOptions
from .calibrating import calibrate_staged, describe_calibration
from .entry_point import Built, Report
from .extraction import Extraction, PictureResult
from .extraction_cache import ExtractionCache
from .fit_to_budget import check_feasible, fit_to_budget
from .merge_learned import merge_learned, read_exports
from .plan_evaluation import PlanEvaluation
from .similar_bundle import open_similar_index
from .staged_bundle import StagedBundle
from .workspace import open_workspace

BATCH = 16  # pictures in a worker's batch, at most
MIN_BATCHES = 64  # so that few pictures spread over all workers too
MAX_COUNTED = (1 << 32) - 1  # local features of all pictures, or rows: their positions are uint32
TELL_AFTER_S = 10.0  # of extraction, where the work is kept
LabelledPhoto = tuple[Path, str]  # a photo and its SKU, "" if its product is not in the catalogue


def build_bundle(
    catalogue: str | Path, output: Path, options: BuildOptions, report: Report = lambda done, total: None
) -> Built:
    """Build a bundle from a catalogue; see `entry_point.build`."""
    header = start_manifest(output, options)
    read = read_catalogue(catalogue, options)
    extraction = Extraction.of(options.model_folder, options.precision, options.local_features, options.seed)
    check_before_extraction(catalogue, output, read.entries, extraction, options)
    exports, bad = read_exports([*map(Path, options.merge_learned)], extraction, options.skip_bad)
    like = open_similar_index(Path(options.like), extraction.embedder) if options.like else None
    with (
        open_workspace(output, extraction.digest, options.resume, options.fresh) as (cache, folder),
        blas.one_thread(),
        ENGINES[options.engine](options.workers) as parallel_map,
    ):
        results = extract_pictures(read.entries, extraction, cache, parallel_map, report)
        products, skipped = select_usable(read.entries, results)
        _refuse_bad_pictures(catalogue, len(results) - len(skipped), skipped, options.skip_bad)
        shipped = read_whitening(options.model_folder)
        products, merged = merge_learned(products, exports, cache, extraction, shipped, options.learned_per_product)
        photos = read.photos_of(products)
        staged = assemble(products, cache, extraction, folder, like, parallel_map, shipped)
        copy_model(options.model_folder, options.precision, new_folder(staged.folder / MODEL))
        sources = [picture.source for _, pictures in products for picture in pictures]
        with progress.stage("fit to the budget"):
            staged, fitted = apply_budget(staged, output, folder, options.limit_bytes, sources, photos)
        with progress.stage("calibrate"):
            calibration = calibrate_staged(staged, folder, cache, sources, photos, read.photo_hashes, options)
        manifest = write_bundle(output, staged, header, fitted, calibration, options)
        cache.keep_only(picture.key for _, pictures in products for picture in pictures)
    notes = [*read.notes, *_describe_cut_off(read.entries, results), *bad, *merged]
    notes += describe_calibration(calibration, options, len(photos), len(read.photos))
    without = tuple(product.sku for product, pictures in products if not pictures)
    names = {product.sku: f"{product.sku} {product.name}" for product, _ in products}
    expectations = tuple(describe(calibration, lambda sku: names.get(sku, sku)))
    return Built(manifest, output.stat().st_size, tuple(skipped), without, tuple(notes), fitted, expectations)


# Stage 1: check output and keys, read the catalogue.


def start_manifest(output: Path, options: BuildOptions) -> dict[str, Any]:
    """Return the manifest fields that are known before anything is built.

    Raises:
        BundleError: The output cannot be written, or SOURCE_DATE_EPOCH is not a time.
        SignatureError: A key cannot be used.
    """
    if not output.parent.is_dir() or output.is_dir():
        raise BundleError(f"{output}: not a file in a folder that exists; give a path such as store.edge.")
    if output.exists() and not container.may_be_bundle(output):
        raise BundleError(f"{output}: exists and is not a bundle; give another path, or remove it.")
    if not os.access(output.parent, os.W_OK):
        raise BundleError(f"{output}: nothing can be written into {output.parent}; give another path.")
    if options.next_key and not options.sign:
        raise BundleError(f"{output}: a bundle with a next key must be signed with the current one; give --sign.")
    if options.sign:
        signing.sign(b"", options.sign)
    now = _now()
    return {
        "name": output.stem.encode(errors="replace").decode(),
        "sequence": int(now.timestamp()) if options.sequence is None else options.sequence,
        "created": now.isoformat(timespec="seconds"),
        "next_key": signing.read_public(options.next_key) if options.next_key else "",
    }


def _now() -> datetime.datetime:
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        return (
            datetime.datetime.fromtimestamp(int(epoch), datetime.UTC) if epoch else datetime.datetime.now(datetime.UTC)
        )
    except (ValueError, OverflowError, OSError) as error:
        raise BundleError(f"SOURCE_DATE_EPOCH is {epoch!r}; expected seconds since 1970, or unset it.") from error


class CatalogueInput(NamedTuple):
    """The input of a build.

    Attributes:
        entries: Products with their pictures, merged with what devices were taught.
        photos: Photos to calibrate with.
        photo_hashes: sha256 of each photo, and its SKU.
        notes: Notes of the reader and the merge.
    """

    entries: Sequence[Entry]
    photos: Sequence[LabelledPhoto]
    photo_hashes: Sequence[tuple[str, str]]
    notes: Sequence[str]

    def photos_of(self, products: Products) -> list[LabelledPhoto]:
        """Return the photos of those products that have pictures, and those of unknown products."""
        used = {product.sku for product, pictures in products if pictures}
        return [(path, sku) for path, sku in self.photos if not sku or sku in used]


def read_catalogue(catalogue: str | Path, options: BuildOptions) -> CatalogueInput:
    """Read the catalogue, what devices were taught, and the photos to calibrate with.

    Raises:
        CatalogError: One of them cannot be used, or the merge removes all products.
        ImageError: A photo cannot be read.
    """
    photos = loader.read_queries(options.queries) if options.queries else []
    read = loader.read(
        catalogue,
        options.mapping,
        options.encoding,
        options.decimal,
        options.sheet,
        options.header_row,
        options.max_rows,
    )
    with progress.stage("merge what devices were taught"):
        entries, notes = overlay_export.merge(read.entries, map(Path, options.merge))
    if not entries:
        raise CatalogError(f"{catalogue}: the merged overlays remove all its products; no bundle was written.")
    product.check_queries(photos, {entry.product.sku for entry in entries}, catalogue)
    named = progress.track("read the photos to calibrate with", "photo", photos, len(photos))
    hashes = [(sha256(image.read_bytes(path)), sku) for path, sku in named]  # a missing photo is reported now
    return CatalogueInput(entries, photos, hashes, [*read.notes, *notes])


def check_before_extraction(
    catalogue: str | Path, output: Path, entries: Sequence[Entry], extraction: Extraction, options: BuildOptions
) -> None:
    """Raise the errors that can be found before any picture is read.

    Raises:
        CatalogError: There are more pictures than a bundle can hold, or a local picture does not exist.
        BundleError: The budget is too small for network and rows.
    """
    pictures = sum(len(entry.images) for entry in entries)
    most = MAX_COUNTED // max(1, options.local_features)
    if pictures > most:
        raise CatalogError(
            f"{catalogue}: {pictures:,} pictures; one bundle holds at most {most:,} with {options.local_features} "
            "local features each: build one bundle for each part of the catalogue."
        )
    if options.limit_bytes is not None:
        check_feasible(output, len(extraction.network), 0 if options.skip_bad else pictures, options.limit_bytes)
    if options.engine == "local" and not options.skip_bad:  # on another machine a path may mean another file
        named = progress.track("look for the pictures", "product", entries, len(entries))
        sources = ((entry.product.sku, source) for entry in named for _, source in entry.images)
        missing = [f"{sku}: {format_source(source)}: no such file" for sku, source in sources if is_missing(source)]
        _refuse_bad_pictures(catalogue, pictures, missing, skip_bad=False)


# Stage 2: extract features from the pictures.


def extract_pictures(
    entries: Sequence[Entry],
    extraction: Extraction,
    cache: ExtractionCache,
    parallel_map: ParallelMap,
    report: Report = lambda done, total: None,
) -> list[PictureResult]:
    """Extract features from every picture that the cache lacks, and store them there.

    Returns: One result for each picture, in the order of the catalogue, without the extract itself.
    """
    sources = [source for entry in entries for _, source in entry.images]
    step = min(BATCH, max(1, len(sources) // MIN_BATCHES))
    batches = (sources[first : first + step] for first in range(0, len(sources), step))
    results: list[PictureResult] = []
    report(0, len(sources))
    tell_at_s = time.monotonic() + TELL_AFTER_S
    with progress.stage("read the pictures", "picture", len(sources)) as stage:
        for batch in parallel_map(partial(extraction.extract_batch, cache.keys()), batches):
            cache.add((result.key, result.extract) for result in batch if result.extract)
            results += [result._replace(extract=b"") for result in batch]
            stage.done = len(results)
            report(len(results), len(sources))
            if time.monotonic() >= tell_at_s:
                tell_at_s = math.inf
                progress.note(
                    f"{cache.folder}: keeps the finished pictures; after a stop, repeat the command to go on."
                )
    return results


def select_usable(entries: Sequence[Entry], results: Sequence[PictureResult]) -> tuple[Products, list[str]]:
    """Return all products with their usable pictures, and for each other picture why it cannot be used."""
    products = []
    skipped: list[str] = []
    remaining = iter(results)
    for entry in entries:
        usable = []
        for (name, source), result in zip(entry.images, remaining, strict=False):
            if result.error:
                skipped.append(f"{entry.product.sku}: {result.error}")
            else:
                usable.append(UsablePicture(name, source, result.key))
        products.append((entry.product, usable))
    return products, skipped


def _describe_cut_off(entries: Sequence[Entry], results: Sequence[PictureResult]) -> list[str]:
    """Return a sentence on the pictures that are read although their files seem cut off; none if there are none."""
    named = [f"{entry.product.sku}: {name}" for entry in entries for name, _ in entry.images]
    found = [name for name, result in zip(named, results, strict=True) if result.lacks_end]
    return [f"{photo_formats.WITHOUT_END} ({len(found)}): {several(found, len(found))}"] if found else []


def _refuse_bad_pictures(catalogue: str | Path, usable: int, reasons: Sequence[str], skip_bad: bool) -> None:
    if reasons and not skip_bad:
        raise CatalogError(
            f"{catalogue}: {len(reasons)} of its pictures cannot be used ({several(reasons, len(reasons))}); "
            "repair them, or leave them out with --skip-bad."
        )
    if not usable:
        reason = reasons[0] if reasons else "its products have none"
        raise CatalogError(f"{catalogue}: none of its pictures can be used ({reason}); no bundle was written.")


# Stage 3, assemble the members, is in `assemble.py`. Stage 4: fit them to the budget.


def apply_budget(
    staged: StagedBundle,
    output: Path,
    folder: Path,
    limit_bytes: int | None,
    sources: Sequence[str],
    photos: Sequence[LabelledPhoto],
) -> tuple[StagedBundle, BudgetReport | None]:
    """Fit the bundle to the limit, if there is one and the bundle exceeds it.

    Args:
        staged: The bundle.
        output: Name of the bundle in errors.
        folder: Folder for a temporary bundle.
        limit_bytes: The budget; None sets no limit.
        sources: Sources of the pictures, by row.
        photos: Photos to evaluate search plans with; without any, the catalogue's own pictures are asked.
    Raises:
        BundleError: The bundle cannot be made so small.
    """
    if limit_bytes is None or staged.size_bytes <= limit_bytes:
        return staged, None
    known = [(path, sku) for path, sku in photos if sku]
    asked = staged if known else staged.with_shipped_whitening(folder / "asked")  # not learned from what is asked
    with staged.open_draft(folder) as draft:
        draft.embedder = asked.embedder
        evaluation = PlanEvaluation(draft, rehearsal_photos(draft, sources, known))
        return fit_to_budget(staged, output, limit_bytes, evaluation, asked=asked)


# Stage 5, calibrate, is in `calibrating.py`. Stage 6: write the file.


def write_bundle(
    output: Path,
    staged: StagedBundle,
    header: dict[str, Any],
    report: BudgetReport | None,
    calibration: Calibration,
    options: BuildOptions,
) -> Manifest:
    """Write the bundle; raise BundleError if it cannot be written or exceeds the budget."""
    fields = header | staged.manifest_fields()
    if report:
        fields["accuracy"] = fields["accuracy"] | report.card()
    fields["calibration"] = calibration.to_dict()
    return bundle_file.write(output, staged.folder, fields, options.sign, options.limit_bytes)
