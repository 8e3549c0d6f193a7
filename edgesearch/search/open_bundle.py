"""What a bundle holds, opened: network, index, print, catalogue, pictures. Nothing here ever changes it."""

import functools
import os
import sqlite3
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from .._util.hashing import digest_of, sha256
from ..bundle.bundle_file import Bundle
from ..bundle.golden_queries import FILE as GOLDEN_FILE
from ..bundle.golden_queries import GoldenQueries
from ..bundle.manifest import Manifest
from ..catalog import packed_catalog
from ..catalog.sqlite_catalog import Catalog
from ..embedding.embedder import CONFIG_FILE, Embedder, ModelConfig
from ..embedding.run_settings import DEFAULT, FLOAT, Environment, Settings, processor
from ..embedding.runtime import version
from ..errors import BundleError, EdgeSearchError
from ..images import image
from ..index.compact_index import ARRAYS_FILE, ROUTER_FILE, CompactIndex
from ..local_features.descriptors import KEPT, PackedFeatures, steady
from ..local_features.local_index import FILE as LOCAL_FILE
from ..local_features.local_index import LocalIndex
from ..text.full_text import FILE as WORDS_FILE
from ..text.full_text import WordIndex
from .decision import Calibration

T = TypeVar("T")

# Where the parts lie inside a bundle.
MODEL, INDEX, CATALOG, PICTURES = "model/", "index/", "catalog.sqlite", "pictures.bin"


class Reference(NamedTuple):
    """A reference picture as photos are compared with it; coded: its print, None where the base knows none."""

    embedding: np.ndarray
    features: PackedFeatures | None

    def to_bytes(self) -> bytes:
        """Little-endian: the embedding, then the print if there is one."""
        return self.embedding.astype("<f4").tobytes() + (self.features.to_bytes() if self.features else b"")

    @classmethod
    def from_bytes(cls, data: bytes, dim: int) -> "Reference":
        """dim: D; raises ValueError: not what `to_bytes` gives."""
        embedding, features = np.frombuffer(data[: 4 * dim], "<f4"), data[4 * dim :]
        if embedding.shape != (dim,):
            raise ValueError(f"an embedding of {len(embedding)} dimensions, where {dim} are expected")
        return cls(embedding, PackedFeatures.from_bytes(features) if features else None)


class OpenBundle:
    """The parts of a bundle. Safe to share between threads."""

    def __init__(self, bundle: Bundle, settings: Settings = DEFAULT):
        """Raises EdgeSearchError: the parts do not belong together, or one of them is damaged."""
        self.bundle, self.settings = bundle, settings
        with ThreadPoolExecutor(1) as pool:
            embedder = pool.submit(_embedder, bundle, settings)  # takes as long as all the rest
            self.index = open_index(bundle)
            self.local = LocalIndex.open(bundle.open_member(LOCAL_FILE)) if LOCAL_FILE in bundle else None
            self.calibration = _calibration(bundle)
            self._pictures = bundle.open_member(PICTURES)
            self.catalog = open_catalog(bundle)
            self.embedder = embedder.result()
        try:
            self._check_parts()
        except BundleError:
            self.catalog.close()
            raise
        self.release_pages()  # verifying has read them

    def picture(self, row: int) -> bytes:
        """The small JPEG or WebP of a row of the index; a blank one where none is kept of its product."""
        return self.kept(row) or image.blank_picture()

    def kept(self, row: int) -> bytes | None:
        """The same; None where none is kept. Where that of the row is not, it is the product's first that is."""
        ((_, place),) = self.catalog.find([row])
        if not place.size:
            all_places = self.catalog.find(self.catalog.rows_of([self.catalog.owner(row)]).tolist())
            place = next((one for _, one in all_places if one.size), place)
        return bytes(self._pictures.read(place.start, place.start + place.size)) if place.size else None

    @functools.cached_property
    def words(self) -> WordIndex:
        """The words of the catalogue; of a bundle that brings none they are made, in memory. Raises QueryError."""
        found = open_words(self.bundle, self.catalog)
        if len(found.lengths) != len(self.catalog):
            raise BundleError(
                f"{self.bundle.path}: its words are of {len(found.lengths)} products, its catalogue of "
                f"{len(self.catalog)}; build the bundle again."
            )
        return found

    @property
    def space(self) -> str:
        """What a `reference` must have in common with those here: network, preprocessing and codebook, as a hash."""
        return space_of(self.bundle.manifest)

    def reference(self, picture: bytes) -> Reference:
        """What is seen in a reference picture that is taught here, an encoded picture; raises ImageError."""
        pixels = self.embedder.read(picture)
        rows, _ = self.embedder.embed_references([pixels])
        return Reference(rows[0], self.local.codebook.encode(steady(pixels, KEPT)) if self.local else None)

    def self_test(self) -> None:
        """Ask the golden queries; raises BundleError where this device answers otherwise than the one that built it."""
        try:
            golden = GoldenQueries.read(self.bundle.member(GOLDEN_FILE))
            golden.check(self.embedder, self.index, self.picture, self.settings.as_built)
        except EdgeSearchError as error:
            raise BundleError(f"{self.bundle.path}: {error}") from error

    def release_pages(self) -> None:
        """Take out of memory what the last searches read of large files."""
        self.index.release_pages()
        if self.local is not None:
            self.local.release_pages()

    def close(self) -> None:
        """Close the catalogue and the file."""
        self.catalog.close()
        if "words" in vars(self):
            self.words.close()
        self.bundle.close()

    def _check_parts(self) -> None:
        """Fail closed where parts do not belong together: scores of two embedding spaces are nonsense."""
        path, found = self.bundle.path, bindings(self.embedder, self.index, self.local)
        for part, digest in found.items():
            if self.bundle.manifest.hashes.get(part) != digest:
                raise BundleError(f"{path}: its {part} is not the one it was built with; build the bundle again.")
        if self.local is not None and len(self.local) != len(self.index):
            raise BundleError(
                f"{path}: its local features are of {len(self.local)} pictures, its index of {len(self.index)}; build "
                "the bundle again."
            )
        if self.index.space != self.embedder.space or len(self.index) != self.catalog.rows:
            raise BundleError(
                f"{path}: the index holds {len(self.index)} rows for model {self.index.space[:8]}, but there are "
                f"{self.catalog.rows} pictures and model {self.embedder.space[:8]}; build the bundle again."
            )


def open_index(bundle: Bundle) -> CompactIndex:
    """The index of a bundle, read where it lies; raises BundleError."""
    router = bundle.member(INDEX + ROUTER_FILE) if INDEX + ROUTER_FILE in bundle else None
    return CompactIndex.open(bundle.open_member(INDEX + ARRAYS_FILE), router)


def open_catalog(bundle: Bundle) -> Catalog:
    """The catalogue of a bundle."""
    if CATALOG in bundle or packed_catalog.FILE not in bundle:
        return _opened(bundle, CATALOG, Catalog)
    packed = bundle.member(packed_catalog.FILE)
    if _is_kept_in_memory(bundle):
        return Catalog(packed_catalog.unpack_to_bytes(packed))
    try:
        with tempfile.TemporaryDirectory(prefix="edgesearch-") as folder:
            packed_catalog.unpack(packed, Path(folder) / CATALOG)
            return Catalog(Path(folder) / CATALOG)
    except (OSError, sqlite3.Error) as error:
        raise BundleError(
            f"{bundle.path}: {packed_catalog.FILE} cannot be unpacked ({error}); free some space, or name another folder in "
            "TMPDIR."
        ) from error


def open_words(bundle: Bundle, catalog: Catalog) -> WordIndex:
    """The index of words of a bundle; made of its catalogue where it has none."""
    if WORDS_FILE not in bundle:
        return WordIndex(None, catalog.products)
    return _opened(bundle, WORDS_FILE, lambda file: WordIndex(file, catalog.products))


def _opened(bundle: Bundle, name: str, read: Callable[[Path | bytes], T]) -> T:
    """A member for SQLite: a copy without a name; in memory where that cannot be, and of a sealed one."""
    if _is_kept_in_memory(bundle):
        return read(bundle.copy_member(name))
    with bundle.unpack_member(name) as path:
        return read(path)


def _is_kept_in_memory(bundle: Bundle) -> bool:
    return bundle.sealed or os.name == "nt"


def bindings(embedder: Embedder, index: CompactIndex, local: LocalIndex | None) -> dict[str, str]:
    """The hashes by which a manifest binds model, preprocessing, codebooks and index to each other."""
    rotation, codebook = index.blocks.rotation, index.blocks.codebook
    return {
        **({} if local is None else {"local": local.space}),
        "model": embedder.network_sha256,
        "preprocessing": embedder.config.preprocessing.digest(),
        "codebook": sha256(rotation.tobytes() + codebook.tobytes()),
        "index": index.space,
    }


def space_of(manifest: Manifest) -> str:
    """The `space` of a bundle."""
    return digest_of([manifest.hashes["index"], manifest.hashes.get("local", "")])


def place(bundle: Bundle) -> Environment:
    """Return what settings of a bundle hold for: its network, on this device; raises ModelError: no onnxruntime."""
    return Environment(bundle.manifest.hashes.get("model", ""), version(), processor())


def _embedder(bundle: Bundle, settings: Settings) -> Embedder:
    config = ModelConfig.parse(bundle.copy_member(MODEL + CONFIG_FILE), f"{bundle.path}: {MODEL}{CONFIG_FILE}")
    if len(config.files) != 1:
        raise BundleError(f"{bundle.path}: its model names {len(config.files)} networks, expected one; build it again.")
    ((file, _),) = config.files.values()
    network = bundle.copy_member(MODEL + file)
    return Embedder(config, network, settings.threads, settings.kernels == FLOAT)


def _calibration(bundle: Bundle) -> Calibration:
    try:
        return Calibration.from_dict(dict(bundle.manifest.calibration))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise BundleError(f"{bundle.path}: its calibration lacks or has a wrong {error}; build it again.") from error
