"""A catalogue becomes a bundle."""

import contextlib
import datetime
import itertools
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from . import bundle, catalog, catalogues, colours, exchange, image, places, signing, words
from .base import CATALOG, INDEX, MODEL, PICTURES, Base, bindings, open_index
from .calibrate import FALSE_ACCEPTS, FEWEST, calibrate
from .catalog import Entry, Picture, Product
from .decision import ONE_PICTURE, Calibration
from .embedder import Embedder, copy_model, default_model
from .errors import BundleError, CatalogError, ImageError
from .golden import FILE as GOLDEN_FILE
from .golden import Golden
from .index import CompactIndex
from .local import FILE as LOCAL_FILE
from .local import KEPT, MOST_KEPT, Codebook, Coded, LocalIndex, default_codebook, steady
from .manifest import Manifest

PICTURE_SIDE = 224  # px; of the reference images kept for showing
BATCH = 16
REASONS_SHOWN = 5
Progress = Callable[[int, int], None]  # pictures done, pictures in all


@dataclass(frozen=True)
class Built:
    """What a build made.

    Attributes: skipped: why each picture that was left out cannot be used; left_out: SKUs without any usable picture;
                notes: what was not merged as a device has it, or not learned from, and why.
    """

    manifest: Manifest
    size_bytes: int
    skipped: tuple[str, ...]
    left_out: tuple[str, ...]
    notes: tuple[str, ...] = ()


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
    seed: int = 0,
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
             false_accepts: share of photos of unknown products to take for known ones;
             like: a bundle whose index's quantizer and cells are kept, so that a delta from it is small.
    Raises:  CatalogError: the catalogue, or without `skip_bad` any of its pictures, cannot be used;
             ModelError: the model cannot be used; BundleError: the output cannot be written; SignatureError: a key
             cannot be used.
    """
    output, model = Path(output), Path(model or default_model())
    if not output.parent.is_dir() or output.is_dir():
        raise BundleError(f"{output}: not a file in a folder that exists; give a path such as store.edge.")
    if not 0 <= local_features <= MOST_KEPT:
        raise ValueError(f"local_features is {local_features}; expected 0 to {MOST_KEPT}.")
    if next_key and not sign:
        raise BundleError(f"{output}: to bring a next key it must be signed by the one before; give --sign.")
    if sign:
        signing.sign(b"", sign)  # what is wrong with the key is said now, not after the pictures
    photos = catalogues.read_queries(queries) if queries else []
    if not 0 < false_accepts < 1:
        raise ValueError(f"false_accepts is {false_accepts}; expected a share above 0 and below 1.")
    following = signing.read_public(next_key) if next_key else ""
    read = catalogues.read(catalogue, mapping, encoding, decimal)
    entries, notes = exchange.merge(read.entries, map(Path, merge))
    notes = read.notes + notes
    if not entries:
        raise CatalogError(f"{catalogue}: all its products are removed by what is merged; nothing was built.")
    catalog.check_queries(photos, {entry.product.sku for entry in entries}, catalogue)
    embedder = Embedder.open(model, precision, threads=os.cpu_count() or 1)
    known = _index(Path(like), embedder.space) if like else None
    with _staging(output) as stage:
        codebook = default_codebook()
        gallery = _read_gallery(entries, embedder, stage / PICTURES, codebook, local_features, seed, progress)
        _refuse_bad(catalogue, gallery, skip_bad)
        embeddings = np.concatenate(gallery.embeddings)
        index = CompactIndex.build(embeddings, embedder.space, seed=seed, like=known)
        index.write(_made(stage / INDEX))
        local = LocalIndex.build(codebook, gallery.prints) if gallery.prints else None
        if local:
            local.write(stage / LOCAL_FILE)
        products = gallery.coloured()
        catalog.write(stage / CATALOG, products)
        if words.is_available():  # otherwise a device indexes them itself
            words.write(stage / words.FILE, (product for product, _ in products))
        gallery.golden(embedder, index, stage / PICTURES).write(stage / GOLDEN_FILE)
        copy_model(model, precision, _made(stage / MODEL))
        now = datetime.datetime.now(datetime.UTC)
        described = {
            "name": output.stem.encode(errors="replace").decode(),
            "sequence": int(now.timestamp()) if sequence is None else sequence,
            "created": now.isoformat(timespec="seconds"),
            "next_key": following,
            "hashes": bindings(embedder, index, local),
            "counts": {
                "products": len(gallery.products),
                "pictures": len(embeddings),
                "local_features": local.features if local else 0,
            },
            "calibration": {},
            "accuracy": {"ann_recall@10": index.recall, "probes": index.probes, "shortlist": index.shortlist},
        }
        calibration = _calibration(stage, described, gallery.places, photos, false_accepts)
        if photos and calibration.questions < FEWEST:
            notes.append(
                f"{queries}: too few photos to learn from, {len(photos)}; they tell the error rates alone. "
                f"Give at least {FEWEST}."
            )
        described["calibration"] = calibration.to_dict()
        manifest = bundle.write(output, stage, described, sign)
    used = {product.sku for product, _ in gallery.products}
    left_out = tuple(entry.product.sku for entry in entries if entry.product.sku not in used)
    return Built(manifest, output.stat().st_size, tuple(gallery.skipped), left_out, tuple(notes))


def _index(path: Path, space: str) -> CompactIndex:
    """That of a bundle of the same model."""
    index = open_index(bundle.Bundle(path))
    if index.space != space:
        raise BundleError(f"{path}: was built with another model; give one of this model, or leave out --like.")
    return index


def _calibration(
    stage: Path,
    described: dict[str, Any],
    pictures: list[str],
    queries: Sequence[tuple[Path, str]],
    false_accepts: float,
) -> Calibration:
    """Ask what is to be written; calibrated or not, it finds the same."""
    with tempfile.TemporaryDirectory(prefix="edgesearch-build-") as folder:
        asked = Path(folder) / "asked.edge"
        bundle.write(asked, stage, described | {"calibration": ONE_PICTURE.to_dict()})
        with contextlib.closing(Base(bundle.Bundle(asked, whole=False))) as base:
            return calibrate(base, pictures, queries, false_accepts)


@dataclass
class _Gallery:
    """What is read from the pictures, row after row."""

    products: list[tuple[Product, list[Picture]]] = field(default_factory=list)
    embeddings: list[np.ndarray] = field(default_factory=list)
    colours: list[np.ndarray] = field(default_factory=list)
    prints: list[Coded] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def add_row(self, product: Product, source: str, place: str, start: int, size: int) -> None:
        if not self.products or self.products[-1][0] is not product:
            self.products.append((product, []))
        self.products[-1][1].append(Picture(len(self.places), source, start, size))
        self.places.append(place)

    def coloured(self) -> list[tuple[Product, list[Picture]]]:
        """The products with the colours that are seen in their pictures."""
        return [
            (colours.seen(product, [self.colours[picture.row] for picture in pictures]), pictures)
            for product, pictures in self.products
        ]

    def golden(self, embedder: Embedder, index: CompactIndex, pictures: Path) -> Golden:
        """Ask some of the pictures as they are kept."""
        places = [picture for _, kept in self.products for picture in kept]
        with open(pictures, "rb") as file:

            def picture(row: int) -> bytes:
                file.seek(places[row].start)
                return file.read(places[row].size)

            return Golden.ask(embedder, index, picture)


def _read_gallery(
    entries: list[Entry],
    embedder: Embedder,
    pictures: Path,
    codebook: Codebook,
    local_features: int,
    seed: int,
    progress: Progress,
) -> _Gallery:
    """Decode and embed every picture once; its small copy goes into the file `pictures`."""
    gallery = _Gallery()
    total = sum(len(entry.images) for entry in entries)

    def printed(pixels: np.ndarray) -> Coded:
        return codebook.encode(steady(pixels, local_features))

    with open(pictures, "wb") as file, ThreadPoolExecutor(os.cpu_count()) as pool:
        decoded = _decoded(entries, embedder, gallery.skipped)
        for batch in iter(lambda: list(itertools.islice(decoded, BATCH)), []):
            gallery.embeddings.append(embedder.embed_references([pixels for *_, pixels in batch], seed)[0])
            gallery.colours += pool.map(colours.shares, (pixels for *_, pixels in batch))
            if local_features:
                gallery.prints += pool.map(printed, (pixels for *_, pixels in batch))
            for _, product, source, place, pixels in batch:
                gallery.add_row(product, source, place, file.tell(), _append(file, pixels))
            progress(batch[-1][0] + 1, total)
    progress(total, total)
    return gallery


def _decoded(
    entries: list[Entry], embedder: Embedder, skipped: list[str]
) -> Iterator[tuple[int, Product, str, str, np.ndarray]]:
    """Number, product, name, place and pixels of every readable picture; why the others are not goes into `skipped`."""
    pictures = ((entry.product, *named) for entry in entries for named in entry.images)
    for number, (product, source, place) in enumerate(pictures):
        try:
            yield number, product, source, place, places.decoded(place, embedder.read)
        except ImageError as error:
            skipped.append(f"{product.sku}: {error}")


def _append(file: BinaryIO, pixels: np.ndarray) -> int:
    return file.write(image.thumbnail(pixels, PICTURE_SIDE))


def _refuse_bad(catalogue: str | Path, gallery: _Gallery, skip_bad: bool) -> None:
    bad = gallery.skipped
    if bad and not skip_bad:
        more = f"; and {len(bad) - REASONS_SHOWN} more" if len(bad) > REASONS_SHOWN else ""
        raise CatalogError(
            f"{catalogue}: {len(bad)} of its pictures cannot be used ({'; '.join(bad[:REASONS_SHOWN])}{more}); "
            "mend them, or leave them out with --skip-bad."
        )
    if not gallery.products:
        raise CatalogError(f"{catalogue}: none of its pictures can be used ({bad[0]}); nothing was built.")


@contextlib.contextmanager
def _staging(output: Path) -> Iterator[Path]:
    """A temporary folder; that it cannot be written is an error of the bundle."""
    try:
        with tempfile.TemporaryDirectory(prefix="edgesearch-build-") as folder:
            yield Path(folder)
    except (OSError, sqlite3.Error) as error:
        raise BundleError(f"{output}: cannot be made ({error}); check the space left for temporary files.") from error


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
