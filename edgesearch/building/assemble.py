"""What was taken of a catalogue's pictures becomes the large members of a bundle, in the catalogue's order."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .._util.spill_file import SpillFile
from ..catalog import sqlite_catalog
from ..catalog.product import Product
from ..catalog.sqlite_catalog import Picture
from ..local_features.local_index import FILE as LOCAL_FILE
from ..local_features.local_index import LocalIndex
from ..search.open_bundle import CATALOG, PICTURES
from ..text import colour_words
from .extraction import Extract, Extraction
from .extraction_cache import ExtractionCache


class Usable(NamedTuple):
    """A picture that was looked at: as the catalogue names it, where it is, and its key in the work."""

    source: str
    place: str
    key: bytes


Products = Sequence[tuple[Product, Sequence[Usable]]]


class Assembled(NamedTuple):
    """Attributes: embeddings: (N, D) float32, mapped; local: the print, None where none is kept."""

    embeddings: np.ndarray
    local: LocalIndex | None


def assemble(products: Products, work: ExtractionCache, extraction: Extraction, stage: Path, spool: Path) -> Assembled:
    """Write catalogue, pictures and print into `stage`; spool: a folder for what is gathered until then."""
    embeddings = SpillFile((extraction.config.dim,), "float32", spool / "embeddings")
    with open(stage / PICTURES, "wb") as pictures:

        def entered() -> Iterator[tuple[Product, list[Picture]]]:
            row = 0
            for product, usable in products:
                extracts = [Extract.from_bytes(data) for data in work.find(one.key for one in usable)]
                kept = []
                for one, extract in zip(usable, extracts, strict=True):
                    embeddings.append(extract.embedding[None])
                    kept.append(Picture(row, one.source, pictures.tell(), pictures.write(extract.thumbnail)))
                    row += 1
                yield colour_words.seen(product, [extract.colours for extract in extracts]), kept

        sqlite_catalog.write(stage / CATALOG, entered())
    return Assembled(embeddings.rows(), _print(products, work, extraction, stage, spool))


def _print(
    products: Products, work: ExtractionCache, extraction: Extraction, stage: Path, spool: Path
) -> LocalIndex | None:
    if not extraction.local_features:
        return None
    found = (Extract.from_bytes(data).coded for data in work.find(one.key for _, usable in products for one in usable))
    local = LocalIndex.build(extraction.codebook, (coded for coded in found if coded), spool)
    local.write(stage / LOCAL_FILE)
    return local
