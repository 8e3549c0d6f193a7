"""A catalogue becomes a bundle.

Pictures are looked at in any order and by anybody (`extraction`); what is taken of them is kept by the hash of their
files (`work`). All that follows reads it in the catalogue's order, in portions and on one thread where the number of
threads could change a bit: the same catalogue gives the same bytes on one kind of processor, whatever built it. The
clock alone differs, and stands still where SOURCE_DATE_EPOCH is set (reproducible-builds.org/docs/source-date-epoch).
"""

import contextlib
import datetime
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from .._util import blas
from .._util.hashing import digest_of, sha256
from ..bundle import bundle_file, container, signing
from ..bundle.golden_queries import FILE as GOLDEN_FILE
from ..bundle.golden_queries import Golden
from ..bundle.manifest import Manifest
from ..catalog import loader, product
from ..catalog.product import Entry, Product
from ..catalog.sources import is_missing, shown
from ..catalog.sqlite_catalog import Catalog
from ..device import overlay_export
from ..embedding.embedder import copy_model, default_model
from ..errors import BundleError, CatalogError, several
from ..images import image
from ..index.cells import Spread
from ..index.compact_index import CompactIndex
from ..local_features.descriptors import KEPT, MOST_KEPT
from ..search.calibration import FALSE_ACCEPTS, FEWEST, calibrate, questions
from ..search.decision import ONE_PICTURE, Calibration
from ..search.open_bundle import CATALOG, INDEX, MODEL, PICTURES, OpenBundle, bindings, open_index
from ..text import full_text
from . import extraction_cache as works
from .assemble import Products, Usable, assemble
from .budget import Fitted, limit_of
from .extraction import Extraction, Taken
from .extraction_cache import ExtractionCache
from .fit_to_budget import Staged, check_possible, fit
from .plan_evaluation import Trial
from .ray_engine import cluster
from .thread_engine import threads

ENGINES = {"local": threads, "ray": cluster}
PART, PARTS = 16, 64  # pictures that a worker is handed at most; parts at least
MOST_WORDS = (1 << 32) - 1  # of the print of all pictures, and rows: what their places are counted with
Progress = Callable[[int, int], None]  # pictures done, pictures in all


@dataclass(frozen=True)
class Built:
    """What a build made.

    Attributes: skipped: why each picture that was left out cannot be used; left_out: SKUs without any usable picture;
                notes: what was not merged as a device has it, or not learned from, and why; fitted: what was kept
                within a budget, None where all of it was.
    """

    manifest: Manifest
    size_bytes: int
    skipped: tuple[str, ...]
    left_out: tuple[str, ...]
    notes: tuple[str, ...] = ()
    fitted: Fitted | None = None


def build(
    catalogue: str | Path,
    output: Path,
    model: Path | None = None,
    precision: str = "int8",
    skip_bad: bool = False,
    local_features: int = KEPT,
    sign: Path | None = None,
    next_key: Path | None = None,
    sequence: int | None = None,
    merge: Sequence[Path] = (),
    like: Path | None = None,
    queries: Path | None = None,
    false_accepts: float = FALSE_ACCEPTS,
    mapping: Mapping[str, str] | None = None,
    encoding: str | None = None,
    decimal: str = "",
    budget_mb: float | None = None,
    seed: int = 0,
    engine: str = "local",
    workers: int | None = None,
    resume: bool = False,
    progress: Progress = lambda done, total: None,
) -> Built:
    """Turn a catalogue into a bundle.

    Args:    catalogue: what `catalogues.read` takes, with mapping, encoding and decimal; output: the `.edge` file to
             write; model: model folder, None for the shipped one; precision: "int8" or "fp32";
             skip_bad: leave out pictures that cannot be read, instead of stopping;
             local_features: features of the print kept of each picture, 20 bytes each; 0 for none;
             sign: private key; next_key: public key that devices trust from this bundle on, besides that of `sign`;
             sequence: a device installs no bundle with a lower one; None for the seconds since 1970; merge: folders
             with what devices were taught, as `export` writes them;
             queries: CSV of photos and their SKUs to calibrate with, None for the catalogue's own pictures;
             false_accepts: share of photos of unknown products to take for known ones; budget_mb: the bundle is at
             most so large, in millions of bytes, and holds what finds most within it;
             like: a bundle whose index's quantizer and cells are kept, so that a delta from it is small;
             engine: "local", the threads of this machine, or "ray", a cluster; workers: of it, None for all processors;
             resume: go on where a build to that output was stopped, and keep beside it, in OUTPUT.work, what was taken
             of the pictures for the next build.
    Raises:  CatalogError: the catalogue, or without `skip_bad` any of its pictures, cannot be used;
             ModelError: the model cannot be used; BundleError: the output cannot be written, or not within the
             budget; SignatureError: a key cannot be used; EdgeSearchError: the engine cannot be used.
    """
    output, model = Path(output), Path(model or default_model())
    _check(engine, local_features, false_accepts)
    limit_bytes = None if budget_mb is None else limit_of(budget_mb)
    described = _described(output, sign, next_key, sequence)
    photos = loader.read_queries(queries) if queries else []
    entries, notes = _entries(loader.read(catalogue, mapping, encoding, decimal), merge, catalogue)
    product.check_queries(photos, {entry.product.sku for entry in entries}, catalogue)
    told = [[sha256(image.content(path)), sku] for path, sku in photos]  # one that is missing is said now
    pictures = sum(len(entry.images) for entry in entries)
    _check_number(catalogue, pictures, local_features)
    extraction = Extraction.of(model, precision, local_features, seed)
    if limit_bytes is not None:
        check_possible(output, len(extraction.network), 0 if skip_bad else pictures, limit_bytes)
    if engine == "local" and not skip_bad:  # elsewhere paths may mean others
        _refuse_missing(catalogue, entries)
    known = _index(Path(like), extraction.embedder.space) if like else None
    with (
        _working(output, resume, extraction) as (work, folder),
        blas.one_thread(),
        ENGINES[engine](workers) as spread,
    ):
        taken = _take(entries, extraction, work, spread, progress)
        products, skipped = _usable(entries, taken)
        _refuse_bad(catalogue, products, skipped, skip_bad)
        used = {product.sku for product, _ in products}
        asked = [photo for photo in photos if not photo[1] or photo[1] in used]
        staged, fitted = _staged(products, work, extraction, folder, known, spread), None
        copy_model(model, precision, _made(staged.folder / MODEL))
        places = [one.place for _, usable in products for one in usable]
        if limit_bytes is not None and staged.size_bytes > limit_bytes:
            with _opened(staged, folder, _parts(staged, len(products))) as base:
                ask = Trial(base, questions(base, places, [photo for photo in asked if photo[1]]))
                staged, fitted = fit(staged, output, limit_bytes, ask)
        described |= _parts(staged, len(products), fitted)
        with _opened(staged, folder, described) as base:
            digest = digest_of([_members(base), told, false_accepts])
            learned = work.learned(digest, lambda: calibrate(base, places, asked, false_accepts).to_dict())
            calibration = Calibration.from_dict(learned)
        described["calibration"] = calibration.to_dict()
        manifest = bundle_file.write(output, staged.folder, described, sign, limit_bytes)
        work.keep(one.key for _, usable in products for one in usable)
    if len(asked) < len(photos):
        notes.append(f"{queries}: {len(photos) - len(asked)} of its photos are of products that were left out")
    notes += _doubts(calibration, false_accepts, queries, len(asked))
    left_out = tuple(entry.product.sku for entry in entries if entry.product.sku not in used)
    return Built(manifest, output.stat().st_size, tuple(skipped), left_out, tuple(notes), fitted)


def _check(engine: str, local_features: int, false_accepts: float) -> None:
    if engine not in ENGINES:
        raise ValueError(f"engine is {engine!r}; expected one of {', '.join(ENGINES)}.")
    if not 0 <= local_features <= MOST_KEPT:
        raise ValueError(f"local_features is {local_features}; expected 0 to {MOST_KEPT}.")
    if not 0 < false_accepts < 1:
        raise ValueError(f"false_accepts is {false_accepts}; expected a share above 0 and below 1.")


def _entries(read: loader.Catalogue, merge: Sequence[Path], catalogue: str | Path) -> tuple[list[Entry], list[str]]:
    """With what devices were taught, and notes on it."""
    entries, notes = overlay_export.merge(read.entries, map(Path, merge))
    if not entries:
        raise CatalogError(f"{catalogue}: all its products are removed by what is merged; nothing was built.")
    return entries, read.notes + notes


def _doubts(calibration: Calibration, false_accepts: float, queries: Path | None, photos: int) -> Iterator[str]:
    """What a calibration does not keep."""
    if photos and calibration.questions < FEWEST:
        yield (
            f"{queries}: too few photos to learn from, {photos}; they tell the error rates alone. "
            f"Give at least {FEWEST // 2} of its products."
        )
    elif false_accepts != FALSE_ACCEPTS and calibration.false_accept_rate > false_accepts:
        yield (
            f"of unknown products {calibration.false_accept_rate:.2f} were accepted, not the {false_accepts:g} asked "
            "for: one picture a product tells too little; give photos with --calibrate."
        )


def _described(output: Path, sign: Path | None, next_key: Path | None, sequence: int | None) -> dict[str, Any]:
    """What a manifest says before anything is built; what is wrong with output or keys is said now."""
    if not output.parent.is_dir() or output.is_dir():
        raise BundleError(f"{output}: not a file in a folder that exists; give a path such as store.edge.")
    if output.exists() and not container.may_be_one(output):
        raise BundleError(f"{output}: is there and is no bundle; give another path, or remove it.")
    if not os.access(output.parent, os.W_OK):
        raise BundleError(f"{output}: nothing can be written into {output.parent}; give another path.")
    if next_key and not sign:
        raise BundleError(f"{output}: to bring a next key it must be signed by the one before; give --sign.")
    if sign:
        signing.sign(b"", sign)
    now = _now()
    return {
        "name": output.stem.encode(errors="replace").decode(),
        "sequence": int(now.timestamp()) if sequence is None else sequence,
        "created": now.isoformat(timespec="seconds"),
        "next_key": signing.read_public(next_key) if next_key else "",
    }


def _check_number(catalogue: str | Path, pictures: int, local_features: int) -> None:
    most = MOST_WORDS // max(1, local_features)
    if pictures > most:
        raise CatalogError(
            f"{catalogue}: {pictures:,} pictures; one bundle holds at most {most:,} with {local_features} features of "
            "the print each: build one for each part of the catalogue."
        )


def _now() -> datetime.datetime:
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        return (
            datetime.datetime.fromtimestamp(int(epoch), datetime.UTC) if epoch else datetime.datetime.now(datetime.UTC)
        )
    except (ValueError, OverflowError, OSError) as error:
        raise BundleError(f"SOURCE_DATE_EPOCH is {epoch!r}; expected seconds since 1970, or unset it.") from error


def _index(path: Path, space: str) -> CompactIndex:
    """That of a bundle of the same model."""
    index = open_index(bundle_file.Bundle(path))
    if index.space != space:
        raise BundleError(f"{path}: was built with another model; give one of this model, or leave out --like.")
    return index


@contextlib.contextmanager
def _working(output: Path, resume: bool, extraction: Extraction) -> Iterator[tuple[ExtractionCache, Path]]:
    """What is known of pictures, and a folder that is empty before and gone after; that they cannot be is an error."""
    kept = output.with_name(f"{output.name}.work")
    try:
        if resume:
            kept.mkdir(exist_ok=True)
        folder = (
            contextlib.nullcontext(str(kept)) if resume else tempfile.TemporaryDirectory(prefix="edgesearch-build-")
        )
        with folder as name, works.opened(Path(name), extraction.digest) as work:
            made = Path(name) / "made"
            shutil.rmtree(made, ignore_errors=True)  # of a build that was killed
            try:
                yield work, _made(made)
            finally:
                shutil.rmtree(made, ignore_errors=True)
    except (OSError, sqlite3.OperationalError) as error:
        where = kept if resume else "temporary files"
        raise BundleError(f"{output}: cannot be made ({error}); check {where}, and the space left there.") from error
    except sqlite3.Error as error:
        raise BundleError(f"{kept}: what is kept there is damaged ({error}); remove it, and build again.") from error


def _take(
    entries: Sequence[Entry], extraction: Extraction, work: ExtractionCache, spread: Spread, progress: Progress
) -> list[Taken]:
    """Look at every picture that is not known yet; what is taken goes into the work, where it is taken again from."""
    places = [place for entry in entries for _, place in entry.images]
    step = min(PART, max(1, len(places) // PARTS))
    parts = (places[first : first + step] for first in range(0, len(places), step))
    taken: list[Taken] = []
    progress(0, len(places))
    for part in spread(partial(extraction.take, work.known()), parts):
        work.add((one.key, one.extract) for one in part if one.extract)
        taken += [one._replace(extract=b"") for one in part]
        progress(len(taken), len(places))
    return taken


def _usable(entries: Sequence[Entry], taken: Sequence[Taken]) -> tuple[list[tuple[Product, list[Usable]]], list[str]]:
    """The products with the pictures that could be read, and why the others could not."""
    products: list[tuple[Product, list[Usable]]] = []
    skipped: list[str] = []
    found = iter(taken)
    for entry in entries:
        usable = []
        for (source, place), one in zip(entry.images, found, strict=False):
            if one.error:
                skipped.append(f"{entry.product.sku}: {one.error}")
            else:
                usable.append(Usable(source, place, one.key))
        if usable:
            products.append((entry.product, usable))
    return products, skipped


def _refuse_missing(catalogue: str | Path, entries: Sequence[Entry]) -> None:
    """What cannot be read, seen without reading anything."""
    named = ((entry.product.sku, place) for entry in entries for _, place in entry.images)
    missing = [f"{sku}: {shown(place)}: no such file" for sku, place in named if is_missing(place)]
    _refuse_bad(catalogue, entries, missing, skip_bad=False)


def _refuse_bad(catalogue: str | Path, products: Sequence[object], bad: Sequence[str], skip_bad: bool) -> None:
    if bad and not skip_bad:
        raise CatalogError(
            f"{catalogue}: {len(bad)} of its pictures cannot be used ({several(bad, len(bad))}); "
            "mend them, or leave them out with --skip-bad."
        )
    if not products:
        raise CatalogError(f"{catalogue}: none of its pictures can be used ({bad[0]}); nothing was built.")


def _staged(
    products: Products,
    work: ExtractionCache,
    extraction: Extraction,
    folder: Path,
    like: CompactIndex | None,
    spread: Spread,
) -> Staged:
    """All members but the network."""
    stage, embedder, seed = _made(folder / "stage"), extraction.embedder, extraction.seed
    gathered = assemble(products, work, extraction, stage, _made(folder / "spool"))
    index = CompactIndex.build(gathered.embeddings, embedder.space, seed=seed, like=like, spread=spread)
    index.write(_made(stage / INDEX))
    with contextlib.closing(Catalog(stage / CATALOG)) as kept, open(stage / PICTURES, "rb") as pictures:

        def picture(row: int) -> bytes:
            ((_, place),) = kept.find([row])
            pictures.seek(place.start)
            return pictures.read(place.size)

        Golden.ask(embedder, index, picture).write(stage / GOLDEN_FILE)
        if full_text.is_available():  # otherwise a device indexes them itself
            full_text.write(stage / full_text.FILE, kept.products())
    return Staged(stage, gathered.embeddings, embedder, index, gathered.local, seed, like is not None)


def _parts(staged: Staged, products: int, fitted: Fitted | None = None) -> dict[str, Any]:
    """What a manifest says of them."""
    index, local = staged.index, staged.local
    found = {"ann_recall@10": index.recall, "probes": index.probes, "shortlist": index.shortlist}
    return {
        "hashes": bindings(staged.embedder, index, local),
        "counts": {
            "products": products,
            "pictures": len(staged.x),
            "local_features": local.features if local else 0,
        },
        "accuracy": found | (fitted.card() if fitted else {}),
    }


@contextlib.contextmanager
def _opened(staged: Staged, folder: Path, described: dict[str, Any]) -> Iterator[OpenBundle]:
    """What is to be written, to be asked; calibrated or not, it finds the same."""
    unnamed = {"name": "", "sequence": 0, "created": "", "calibration": ONE_PICTURE.to_dict()}
    asked = folder / "asked.edge"
    bundle_file.write(asked, staged.folder, described | unnamed)
    with contextlib.closing(OpenBundle(bundle_file.Bundle(asked, whole=False))) as base:
        yield base
    asked.unlink()


def _members(base: OpenBundle) -> dict[str, str]:
    """The hashes of what is asked: of the same the same is learned."""
    return {name: entry.sha256 for name, entry in base.bundle.manifest.files.items()}


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
