"""Extract features from pictures, on a thread here or in a process on another machine.

Each picture is processed alone on one thread, so that its extract depends on nothing that runs at the same time.

D dimensions of the embedding, T colour terms.
"""

import hashlib
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .._util.hashing import hash_json
from ..catalog import sources
from ..embedding.embedder import Embedder, ModelConfig, read_model
from ..embedding.runtime import version
from ..errors import BundleError, ImageError
from ..images import colours, image, photo_files, photo_formats
from ..local_features.descriptors import Codebook, PackedFeatures, extract_stable_features, read_default_codebook
from ..version import __version__
from .kernels_in_use import describe_kernels

PICTURE_SIDE = 224  # px; of the reference pictures that a bundle keeps for display
_HEAD = struct.Struct("<4I")  # sizes of embedding, colours and thumbnail in bytes, CRC-32 of all that follows


class Extract(NamedTuple):
    """The features of a picture that a build keeps.

    Attributes:
        embedding: (D,) float32, unit length.
        colours: (T,) float64, share of each colour term.
        thumbnail: JPEG.
        local_features: Packed local features; None if the build keeps none.
    """

    embedding: np.ndarray
    colours: np.ndarray
    thumbnail: bytes
    local_features: PackedFeatures | None

    def to_bytes(self) -> bytes:
        """Return the bytes that `from_bytes` reads."""
        parts = self.embedding.astype("<f4").tobytes(), self.colours.astype("<f8").tobytes(), self.thumbnail
        content = b"".join(parts) + (self.local_features.to_bytes() if self.local_features else b"")
        return _HEAD.pack(*map(len, parts), zlib.crc32(content)) + content

    @classmethod
    def from_bytes(cls, data: bytes) -> "Extract":
        """Read what `to_bytes` returned; raise BundleError if it is damaged."""
        if len(data) < _HEAD.size or zlib.crc32(data[_HEAD.size :]) != _HEAD.unpack_from(data)[3]:
            raise BundleError("an extract of a picture is damaged; build again with --fresh.")
        *sizes, _ = _HEAD.unpack_from(data)
        first, second, third = np.cumsum([_HEAD.size + sizes[0], *sizes[1:]]).tolist()
        packed = data[third:]
        return cls(
            np.frombuffer(data[_HEAD.size : first], "<f4"),
            np.frombuffer(data[first:second], "<f8"),
            data[second:third],
            PackedFeatures.from_bytes(packed) if packed else None,
        )


class PictureResult(NamedTuple):
    """The outcome of extracting one picture.

    Attributes:
        key: sha256 of its file.
        extract: The extract as bytes; empty if the cache has it already.
        error: Why the picture cannot be read; empty if it can.
        lacks_end: Whether it is read although its file seems cut off.
    """

    key: bytes
    extract: bytes
    error: str
    lacks_end: bool = False


@dataclass(frozen=True)
class Extraction:
    """Extracts features from pictures; can be pickled and sent to another process.

    Attributes:
        config: Configuration of the model.
        network: The ONNX file.
        local_features: Local features to keep of each picture, 0 for none.
        seed: Seed of the augmented views.
        versions: Versions of edgesearch and of the libraries that compute, and the kernels.
    """

    config: ModelConfig
    network: bytes
    local_features: int
    seed: int
    versions: str

    @classmethod
    def of(cls, model: Path, precision: str, local_features: int, seed: int) -> "Extraction":
        """Read a model folder; raise ModelError if it cannot be used."""
        return cls(*read_model(model, precision), local_features, seed, _versions())

    @property
    def digest(self) -> str:
        """A hash of everything that an extract depends on, besides the picture."""
        spaces = [self.embedder.space, self.codebook.digest]
        return hash_json([*spaces, self.local_features, self.seed, PICTURE_SIDE, self.versions])

    @cached_property
    def embedder(self) -> Embedder:
        """The network, run on one thread."""
        return Embedder(self.config, self.network)

    @cached_property
    def codebook(self) -> Codebook:
        """The codebook of the local features."""
        return read_default_codebook()

    def extract_batch(self, cached: frozenset[bytes], batch: Sequence[str]) -> list[PictureResult]:
        """Extract features from pictures, except from those in the cache.

        Args:
            cached: Keys of the cached extracts.
            batch: Sources of pictures.
        Raises:
            BundleError: This process has other versions than the one that started the build.
        """
        if self.versions != _versions():
            raise BundleError(
                f"a worker has {_versions()}, but the build was started with {self.versions}; install the same "
                "versions on every machine."
            )
        return [self._process(cached, source) for source in batch]

    def _process(self, cached: frozenset[bytes], source: str) -> PictureResult:
        try:
            content = sources.read_bytes(source)
        except ImageError as error:
            return PictureResult(b"", b"", str(error))
        key, lacks_end = hashlib.sha256(content).digest(), photo_formats.lacks_end(content)
        if key in cached:
            return PictureResult(key, b"", "", lacks_end)
        try:
            return PictureResult(key, self.extract(content).to_bytes(), "", lacks_end)
        except ImageError as error:
            return PictureResult(b"", b"", f"{sources.format_source(source)}: {photo_files.strip_name(error)}")

    def extract(self, picture: bytes) -> Extract:
        """Extract features from the content of a picture file; raise ImageError if it cannot be read."""
        pixels = self.embedder.read(picture)
        return Extract(
            self.embedder.embed_references([pixels], self.seed)[0][0],
            colours.colour_shares(pixels),
            image.thumbnail(pixels, PICTURE_SIDE),
            self.codebook.encode(extract_stable_features(pixels, self.local_features)) if self.local_features else None,
        )

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields alone: each process opens network and codebook itself."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def _versions() -> str:
    libraries = f"onnxruntime {version()}, {image.decoder_version()}, numpy {np.__version__}"
    return f"edgesearch {__version__}, {libraries}, {describe_kernels()}"
