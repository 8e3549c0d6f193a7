"""Merge what devices learned from use into the pictures of a build, after the catalogue's own pictures.

A merged picture is a row with embedding and local features, and without a thumbnail: what one shop photographed is not
shown in another. Its name is that on the device, so that a device does not count its own pictures twice.

Memory grows by an embedding and a few hundred bytes a picture; local features are read when a picture is used.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

import numpy as np

from .._util import progress
from ..device import learned_export
from ..device.learned_export import LearnedExport
from ..embedding.embedder import normalize_rows
from ..embedding.whitening import Whitening
from ..errors import CatalogError, ImageError, several
from ..index.kernel import BLOCK
from ..learning import fleet
from ..learning.fleet import Shared
from ..local_features import sift
from ..local_features.descriptors import LocalFeatures, PackedFeatures
from ..search.open_bundle import Reference, network_of
from .assemble import Products, UsablePicture
from .extraction import Extract, Extraction
from .extraction_cache import ExtractionCache

FATES = {
    fleet.LITTLE: "add little",
    fleet.CONTRADICTS: "look like another product",
    fleet.UNCONFIRMED: "look unlike the product so far, and too few devices agree",
}
SEPARATOR = b"learned "  # before a reference in the key of its extract
NO_FEATURES = LocalFeatures(np.empty((0, 4), np.float32), np.empty((0, sift.DIM), np.float32))


class _Place(NamedTuple):
    """A picture that may be merged: the numbers of its export, of its row there, and of its product."""

    export: int
    row: int
    product: int


def read_exports(
    folders: Sequence[Path], extraction: Extraction, skip_bad: bool
) -> tuple[list[LearnedExport], list[str]]:
    """Read and check exported folders; return them, and a sentence for each that was left out.

    Raises:
        CatalogError: A folder cannot be used, and `skip_bad` is not set.
    """
    embedder = extraction.embedder
    hashes = {"model": embedder.network_sha256, "preprocessing": embedder.config.preprocessing.digest()}
    exports, notes = list[LearnedExport](), list[str]()
    for folder in progress.track("read what devices learned", "folder", folders, len(folders)):
        try:
            exports.append(
                learned_export.read(folder, network_of(hashes), extraction.codebook.digest, extraction.config.dim)
            )
        except CatalogError as error:
            if not skip_bad:
                raise
            notes.append(f"left out {error}")
    return exports, notes


def merge_learned(
    products: Products,
    exports: Sequence[LearnedExport],
    cache: ExtractionCache,
    extraction: Extraction,
    shipped: Whitening | None,
    limit: int,
) -> tuple[Products, list[str]]:
    """Add the pictures that devices learned to those of the catalogue, as `fleet` chooses them.

    Args:
        products: Of the catalogue, with their pictures, whose extracts are in the cache.
        exports: Of the devices.
        cache: Gets the extracts of the pictures that are used.
        extraction: Of the build.
        shipped: The model's whitening; None if it has none.
        limit: Learned pictures of a product to use at most.
    Returns:
        The products, and sentences on what became of the learned pictures.
    Raises:
        CatalogError: A folder was changed since it was read.
    """
    if not exports:
        return products, []
    places, foreign = _find_places(products, exports)
    if not places:
        return products, _describe(Counter(), len(exports), foreign)
    devices = {device: number for number, device in enumerate(dict.fromkeys(one.device for one in exports))}
    shared = Shared(
        _whiten(np.array([exports[one.export].embeddings[one.row] for one in places]), shipped),
        np.array([one.product for one in places]),
        np.array([devices[exports[one.export].device] for one in places]),
        np.array([exports[one.export].pictures[one.row].trust for one in places]),
    )
    owners = np.repeat(np.arange(len(products)), [len(pictures) for _, pictures in products])
    keys = (picture.key for _, pictures in products for picture in pictures)
    known = np.array([Extract.from_bytes(data).embedding for data in cache.read(keys)], np.float32)
    with progress.stage("compare what devices learned"):
        known = _whiten(known.reshape(len(owners), extraction.config.dim), shipped)
        fates, spoilt = fleet.choose(shared, known, owners, limit)
    used = [places[i] for i in np.flatnonzero(fates == fleet.USED).tolist()]
    added = _store(used, exports, cache, extraction)
    merged = [(product, [*pictures, *added.get(number, ())]) for number, (product, pictures) in enumerate(products)]
    names = [*devices]
    return merged, _describe(Counter(fates.tolist()), len(exports), foreign, [names[device] for device in spoilt])


def _find_places(products: Products, exports: Sequence[LearnedExport]) -> tuple[list[_Place], int]:
    """Return the pictures of products of the catalogue, each once, and the number of those of other products."""
    numbers = {product.sku: number for number, (product, _) in enumerate(products)}
    seen = {(number, PurePath(one.name).stem) for number, (_, pictures) in enumerate(products) for one in pictures}
    places, foreign = list[_Place](), 0
    for i, export in enumerate(exports):
        for row, one in enumerate(export.pictures):
            number = numbers.get(one.sku)
            if number is None:
                foreign += 1
            elif (number, one.name) not in seen:
                seen.add((number, one.name))
                places.append(_Place(i, row, number))
    return places, foreign


def _whiten(rows: np.ndarray, shipped: Whitening | None) -> np.ndarray:
    return shipped(rows) if shipped else normalize_rows(rows)


def _store(
    used: Sequence[_Place], exports: Sequence[LearnedExport], cache: ExtractionCache, extraction: Extraction
) -> dict[int, list[UsablePicture]]:
    """Store the extracts of pictures in the cache, and return the pictures by product."""
    added: dict[int, list[UsablePicture]] = {}

    def extracts() -> Iterator[tuple[bytes, bytes]]:
        for number, export in enumerate(exports):
            places = [one for one in used if one.export == number]
            for place, reference in zip(places, export.references([one.row for one in places]), strict=True):
                key = hashlib.sha256(SEPARATOR + reference.to_bytes()).digest()
                source = _find_source(export, place.row, extraction)
                picture = UsablePicture(f"{export.pictures[place.row].name}.jpg", source, key)
                added.setdefault(place.product, []).append(picture)
                yield key, _make_extract(reference, export.has_features, extraction).to_bytes()

    cache.add(extracts())
    return added


def _find_source(export: LearnedExport, row: int, extraction: Extraction) -> str:
    """Return where to read a picture to calibrate with; "" if it is not kept or cannot be read."""
    path = export.picture(row)
    try:
        if path:
            extraction.embedder.read(path)
        return str(path.resolve()) if path else ""
    except ImageError:
        return ""


def _make_extract(reference: Reference, has_features: bool, extraction: Extraction) -> Extract:
    """Return the extract of a learned picture, with as many local features as the build keeps."""
    features: PackedFeatures | None = None
    if extraction.local_features:
        features = reference.features if has_features else None
        features = features or extraction.codebook.encode(NO_FEATURES)
        features = features.truncate(-(-extraction.local_features // BLOCK) * BLOCK, extraction.codebook)
    return Extract(reference.embedding, np.empty(0), b"", features)


def _describe(fates: Counter[int], devices: int, foreign: int, spoilt: Sequence[str] = ()) -> list[str]:
    """Return sentences on what became of all learned pictures."""
    counts = [(fates[fate], text) for fate, text in FATES.items()]
    counts.append((foreign, "are of products that the catalogue lacks"))
    total = sum(fates.values()) + foreign
    rest = "".join(f"; {count:,} {text}" for count, text in counts if count)
    notes = [f"{fates[fleet.USED]:,} of {total:,} pictures that {devices:,} devices learned are used{rest}"]
    if spoilt:
        notes.append(
            f"many pictures of {len(spoilt)} devices look like another product ({several(spoilt, len(spoilt))}): of "
            "these, only what others confirm is used; check who scans there"
        )
    return notes
