"""Open a bundle for searching: network, index, local features, catalogue, words and pictures. Nothing changes it."""

from __future__ import annotations

import functools
import os
import sqlite3
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from .._util.hashing import hash_json, sha256
from ..bundle.bundle_file import Bundle
from ..bundle.manifest import Manifest
from ..catalog import packed_catalog
from ..catalog.sqlite_catalog import Catalog
from ..embedding.embedder import CONFIG_FILE, Embedder, ModelConfig
from ..embedding.run_settings import DEFAULT, FLOAT, Environment, Settings, processor
from ..embedding.runtime import version
from ..embedding.whitening import FILE as WHITENING_FILE
from ..embedding.whitening import Whitening
from ..errors import BundleError, EdgeSearchError
from ..images import image
from ..index.compact_index import ARRAYS_FILE, CompactIndex
from ..local_features.descriptors import DEFAULT_FEATURES, PackedFeatures, extract_stable_features
from ..local_features.local_index import FILE as LOCAL_FILE
from ..local_features.local_index import LocalIndex
from .decision import Calibration

if TYPE_CHECKING:
    from ..text.full_text import WordIndex

T = TypeVar("T")

# Names of the parts inside a bundle.
MODEL, INDEX, CATALOG, PICTURES = "model/", "index/", "catalog.sqlite", "pictures.bin"


class Reference(NamedTuple):
    """A taught reference picture, as the network sees it; `Gallery` maps its embedding as the bundle says.

    Attributes:
        embedding: (D,) float32, unit length, without whitening.
        features: Its local features; None if the bundle has none.
    """

    embedding: np.ndarray
    features: PackedFeatures | None

    def to_bytes(self) -> bytes:
        """Return the embedding, little-endian, then the local features if there are any."""
        return self.embedding.astype("<f4").tobytes() + (self.features.to_bytes() if self.features else b"")

    @classmethod
    def from_bytes(cls, data: bytes, dim: int) -> Reference:
        """Read what `to_bytes` returned; `dim` is D. Raise ValueError for anything else."""
        embedding, features = np.frombuffer(data[: 4 * dim], "<f4"), data[4 * dim :]
        if embedding.shape != (dim,):
            raise ValueError(f"an embedding of {len(embedding)} dimensions; expected {dim}")
        return cls(embedding, PackedFeatures.from_bytes(features) if features else None)


class OpenBundle:
    """The opened parts of a bundle. Safe to share between threads.

    Attributes:
        bundle: The file.
        settings: How the network runs.
        index: Embeddings of the reference pictures.
        local: Their local features; None if the bundle has none.
        calibration: Turns evidence into a decision.
        catalog: Products and pictures.
        embedder: The network.
        cross_fits: Returns the bundle to ask about the picture of a row; None asks this one. A build sets it.
    """

    def __init__(self, bundle: Bundle, settings: Settings = DEFAULT):
        """Open all parts. Raise EdgeSearchError if one is damaged, or they do not belong together."""
        self.bundle, self.settings = bundle, settings
        self.cross_fits: Callable[[int], OpenBundle] | None = None
        with ThreadPoolExecutor(1) as pool:
            embedder = pool.submit(open_embedder, bundle, settings)  # takes as long as all other parts together
            self.index = open_index(bundle)
            self.local = LocalIndex.open(bundle.open_member(LOCAL_FILE)) if LOCAL_FILE in bundle else None
            self.calibration = _read_calibration(bundle)
            self._pictures = bundle.open_member(PICTURES)
            self.catalog = open_catalog(bundle)
            self.embedder = embedder.result()
        try:
            self._check_parts()
        except BundleError:
            self.catalog.close()
            raise
        self.release_pages()  # verification read them

    def picture(self, row: int) -> bytes:
        """Return the small JPEG or WebP of a row; a blank picture if the bundle keeps none of its product."""
        return self.stored_picture(row) or image.blank_picture()

    def stored_picture(self, row: int) -> bytes | None:
        """Return a row's picture, or else the first that the bundle keeps of its product; None if it keeps none."""
        ((_, picture),) = self.catalog.find([row])
        if not picture.size:
            of_product = self.catalog.find(self.catalog.rows_of([self.catalog.owner(row)]).tolist())
            picture = next((other for _, other in of_product if other.size), picture)
        return bytes(self._pictures.read(picture.start, picture.start + picture.size)) if picture.size else None

    @functools.cached_property
    def words(self) -> WordIndex:
        """The word index, built in memory if the bundle has none. Raises QueryError, BundleError."""
        words = open_words(self.bundle, self.catalog)
        if len(words.lengths) != len(self.catalog):
            raise BundleError(
                f"{self.bundle.path}: its word index covers {len(words.lengths)} products, its catalogue "
                f"{len(self.catalog)}; build the bundle again."
            )
        return words

    @property
    def space(self) -> str:
        """Hash of network, preprocessing and codebook; a `Reference` is valid only in the same space."""
        return space_of(self.bundle.manifest)

    def without(self, row: int | None) -> OpenBundle:
        """Return the bundle to ask about one of its own pictures, whose whitening was not learned from it.

        Args:
            row: The picture's row; None for any other photo.
        """
        return self if row is None or self.cross_fits is None else self.cross_fits(row)

    def make_reference(self, picture: bytes) -> Reference:
        """Return the embedding and the local features of an encoded picture; raise ImageError if it cannot be read."""
        pixels = self.embedder.read(picture)
        rows, _ = self.embedder.plain.embed_references([pixels])
        return Reference(
            rows[0],
            self.local.codebook.encode(extract_stable_features(pixels, DEFAULT_FEATURES)) if self.local else None,
        )

    def self_test(self) -> None:
        """Ask the golden queries; raise BundleError if this device answers differently from the one that built it."""
        from ..bundle.golden_queries import FILE, GoldenQueries  # here, so that a search does not load it

        try:
            golden = GoldenQueries.read(self.bundle.member(FILE))
            golden.check(self.embedder, self.index, self.picture, self.settings.as_built)
        except EdgeSearchError as error:
            raise BundleError(f"{self.bundle.path}: {error}") from error

    def release_pages(self) -> None:
        """Release the memory of pages that the last searches read from large files."""
        self.index.release_pages()
        if self.local is not None:
            self.local.release_pages()

    def close(self) -> None:
        """Close the catalogue, the words and the file."""
        self.catalog.close()
        if "words" in vars(self):
            self.words.close()
        self.bundle.close()

    def _check_parts(self) -> None:
        """Raise BundleError if parts do not belong together: scores across embedding spaces mean nothing."""
        path = self.bundle.path
        for part, digest in binding_hashes(self.embedder, self.index, self.local).items():
            if self.bundle.manifest.hashes.get(part) != digest:
                raise BundleError(f"{path}: its {part} is not the one it was built with; build the bundle again.")
        if self.local is not None and len(self.local) != len(self.index):
            raise BundleError(
                f"{path}: it has local features of {len(self.local)} pictures and an index of {len(self.index)}; build "
                "the bundle again."
            )
        if self.index.space != self.embedder.space or len(self.index) != self.catalog.rows:
            raise BundleError(
                f"{path}: the index holds {len(self.index)} rows for model {self.index.space[:8]}, but there are "
                f"{self.catalog.rows} pictures and model {self.embedder.space[:8]}; build the bundle again."
            )


def open_index(bundle: Bundle) -> CompactIndex:
    """Map the index of a bundle; raise BundleError if the bundle lacks it, IndexFileError if it is damaged."""
    return CompactIndex.open(bundle.open_member(INDEX + ARRAYS_FILE))


def open_whitening(bundle: Bundle, dim: int) -> Whitening | None:
    """Read the whitening of a bundle, of D dimensions; None if it has none. Raise EdgeSearchError if it is damaged."""
    return Whitening.read(memoryview(bundle.copy_member(WHITENING_FILE)), dim) if WHITENING_FILE in bundle else None


def open_catalog(bundle: Bundle) -> Catalog:
    """Open the catalogue of a bundle; raise BundleError or CatalogError if that fails."""
    if CATALOG in bundle or packed_catalog.FILE not in bundle:
        return _open_member(bundle, CATALOG, Catalog)
    packed = bundle.member(packed_catalog.FILE)
    if _is_kept_in_memory(bundle):
        return Catalog(packed_catalog.unpack_to_bytes(packed))
    try:
        with tempfile.TemporaryDirectory(prefix="edgesearch-") as folder:
            packed_catalog.unpack(packed, Path(folder) / CATALOG)
            return Catalog(Path(folder) / CATALOG)
    except (OSError, sqlite3.Error) as error:
        raise BundleError(
            f"{bundle.path}: {packed_catalog.FILE} cannot be unpacked ({error}); free some space, or set TMPDIR to "
            "another folder."
        ) from error


def open_words(bundle: Bundle, catalog: Catalog) -> WordIndex:
    """Open the word index of a bundle; build it from the catalogue if the bundle has none."""
    from ..text.full_text import FILE, WordIndex  # here, so that a photo does not wait for it

    if FILE not in bundle:
        return WordIndex(None, catalog.products)
    return _open_member(bundle, FILE, lambda file: WordIndex(file, catalog.products))


def _open_member(bundle: Bundle, name: str, read: Callable[[Path | bytes], T]) -> T:
    """Give SQLite a member to read: an unlinked copy, or bytes if the bundle is sealed or the system cannot unlink."""
    if _is_kept_in_memory(bundle):
        return read(bundle.copy_member(name))
    with bundle.unpack_member(name) as path:
        return read(path)


def _is_kept_in_memory(bundle: Bundle) -> bool:
    return bundle.sealed or os.name == "nt"


def binding_hashes(embedder: Embedder, index: CompactIndex, local: LocalIndex | None) -> dict[str, str]:
    """Return the hashes by which a manifest binds model, whitening, codebooks and index to each other."""
    rotation, codebook = index.blocks.rotation, index.blocks.codebook
    return {
        **({} if local is None else {"local": local.space}),
        **({} if embedder.whitening is None else {"whitening": embedder.whitening.digest}),
        "model": embedder.network_sha256,
        "preprocessing": embedder.config.preprocessing.digest(),
        "codebook": sha256(rotation.tobytes() + codebook.tobytes()),
        "index": index.space,
    }


def space_of(manifest: Manifest) -> str:
    """Return the `OpenBundle.space` of a bundle from its manifest."""
    return hash_json([network_of(manifest.hashes), manifest.hashes.get("local", "")])


def network_of(hashes: Mapping[str, str]) -> str:
    """Return the hash of network and preprocessing, from `binding_hashes`; embeddings are comparable only if equal."""
    return hash_json([hashes["model"], hashes["preprocessing"]])


def run_environment(bundle: Bundle) -> Environment:
    """Return the network, runtime and processor that settings are valid for; raise ModelError without onnxruntime."""
    return Environment(bundle.manifest.hashes.get("model", ""), version(), processor())


def open_embedder(bundle: Bundle, settings: Settings) -> Embedder:
    """Open the network of a bundle; raise EdgeSearchError if it is damaged or onnxruntime is not installed."""
    config = ModelConfig.parse(bundle.copy_member(MODEL + CONFIG_FILE), f"{bundle.path}: {MODEL}{CONFIG_FILE}")
    if len(config.files) != 1:
        raise BundleError(f"{bundle.path}: its model names {len(config.files)} networks, expected one; build it again.")
    ((file, _),) = config.files.values()
    network = bundle.copy_member(MODEL + file)
    embedder = Embedder(config, network, settings.threads, settings.kernels == FLOAT)
    return embedder.with_whitening(open_whitening(bundle, config.dim))


def _read_calibration(bundle: Bundle) -> Calibration:
    try:
        return Calibration.from_dict(dict(bundle.manifest.calibration))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise BundleError(f"{bundle.path}: its calibration lacks or has a wrong {error}; build it again.") from error
