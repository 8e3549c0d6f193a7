"""Assemble the members of a bundle from the extracts of its pictures, in the order of the catalogue."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .._util import progress
from .._util.spill_file import SpillFile
from ..bundle.golden_queries import FILE as GOLDEN_FILE
from ..bundle.golden_queries import GoldenQueries
from ..catalog import sqlite_catalog
from ..catalog.product import Product
from ..catalog.sqlite_catalog import Catalog, Picture
from ..embedding.embedder import Embedder
from ..embedding.whitening import FILE as WHITENING_FILE
from ..embedding.whitening import Whitening
from ..index.cells import ParallelMap
from ..index.compact_index import CompactIndex
from ..local_features.local_index import FILE as LOCAL_FILE
from ..local_features.local_index import LocalIndex
from ..search.open_bundle import CATALOG, INDEX, PICTURES
from ..text import colour_words, full_text
from .extraction import Extract, Extraction
from .extraction_cache import ExtractionCache
from .fit_whitening import fit_whitening
from .similar_bundle import SimilarIndex
from .staged_bundle import LearnedFrom, StagedBundle, whiten_rows


class UsablePicture(NamedTuple):
    """A picture that could be read.

    Attributes:
        name: The picture as the catalogue names it.
        source: Where to read it; "" if only its features are known.
        key: Key of its extract in the cache.
    """

    name: str
    source: str
    key: bytes


Products = Sequence[tuple[Product, Sequence[UsablePicture]]]


def assemble(
    products: Products,
    cache: ExtractionCache,
    extraction: Extraction,
    folder: Path,
    like: SimilarIndex | None,
    parallel_map: ParallelMap,
    shipped: Whitening | None = None,
) -> StagedBundle:
    """Write all members of a bundle but the network.

    Args:
        products: Products with their pictures; rows are numbered in this order.
        cache: Holds the extract of every picture.
        extraction: How they were extracted.
        folder: Empty folder for the members and temporary files.
        like: Index whose quantizer and cells to keep, and its whitening; None learns new ones.
        parallel_map: Maps the parts of the index on workers.
        shipped: The model's own whitening; None if it has none.
    """
    stage, spill = new_folder(folder / "stage"), new_folder(folder / "spill")
    plain = _write_catalog(products, cache, extraction, stage, spill)
    local = _write_local_features(products, cache, extraction, stage, spill)
    owners = np.repeat(np.arange(len(products)), [len(pictures) for _, pictures in products])
    with progress.stage("learn the whitening"):
        whitening = like.whitening if like else fit_whitening(plain, owners, shipped, extraction.seed)
    is_learned = whitening is not None and (shipped is None or whitening.digest != shipped.digest)
    embedder = extraction.embedder.with_whitening(whitening)
    if whitening:
        whitening.write(stage / WHITENING_FILE)
    embeddings = whiten_rows(embedder, plain, spill / "whitened")
    index = CompactIndex.build(
        embeddings, embedder.space, seed=extraction.seed, like=like.index if like else None, parallel_map=parallel_map
    )
    index.write(new_folder(stage / INDEX))
    _write_golden_queries(embedder, index, stage)
    return StagedBundle(
        stage,
        len(products),
        embeddings,
        embedder,
        index,
        local,
        extraction.seed,
        like is not None,
        LearnedFrom(plain, owners, shipped) if is_learned else None,
    )


def new_folder(folder: Path) -> Path:
    """Create a folder and return it."""
    folder.mkdir()
    return folder


def _write_catalog(
    products: Products, cache: ExtractionCache, extraction: Extraction, stage: Path, spill: Path
) -> np.ndarray:
    """Write catalogue and thumbnails; return the embeddings, (N, D) float32, mapped from a file if they are many."""
    embeddings = SpillFile((extraction.config.dim,), "float32", spill / "embeddings")
    with open(stage / PICTURES, "wb") as thumbnails:

        def entries() -> Iterator[tuple[Product, list[Picture]]]:
            row = 0
            for product, pictures in progress.track("write the catalogue", "product", products, len(products)):
                extracts = [Extract.from_bytes(data) for data in cache.read(picture.key for picture in pictures)]
                kept = []
                for picture, extract in zip(pictures, extracts, strict=True):
                    embeddings.append(extract.embedding[None])
                    kept.append(Picture(row, picture.name, thumbnails.tell(), thumbnails.write(extract.thumbnail)))
                    row += 1
                seen = [extract.colours for extract in extracts if extract.thumbnail]
                yield colour_words.add_colours(product, seen), kept

        sqlite_catalog.write(stage / CATALOG, entries())
    return embeddings.rows()


def _write_local_features(
    products: Products, cache: ExtractionCache, extraction: Extraction, stage: Path, spill: Path
) -> LocalIndex | None:
    if not extraction.local_features:
        return None
    keys = (picture.key for _, pictures in products for picture in pictures)
    extracts = progress.track("index local features", "picture", cache.read(keys), sum(len(p) for _, p in products))
    packed = (Extract.from_bytes(data).local_features for data in extracts)
    local = LocalIndex.build(extraction.codebook, (features for features in packed if features), spill)
    local.write(stage / LOCAL_FILE)
    return local


def _write_golden_queries(embedder: Embedder, index: CompactIndex, stage: Path) -> None:
    """Write golden queries, and the word index if this SQLite has FTS5; a device without one builds its own."""
    with contextlib.closing(Catalog(stage / CATALOG)) as catalog, open(stage / PICTURES, "rb") as thumbnails:

        def picture(row: int) -> bytes:
            ((_, stored),) = catalog.find([row])
            thumbnails.seek(stored.start)
            return thumbnails.read(stored.size)

        pictured = [row for row, (_, size) in enumerate(catalog.picture_offsets()) if size]
        with progress.stage("ask golden queries"):
            GoldenQueries.record(embedder, index, picture, pictured).write(stage / GOLDEN_FILE)
        if full_text.is_available():
            with progress.stage("index the words"):
                full_text.write(stage / full_text.FILE, catalog.products())
