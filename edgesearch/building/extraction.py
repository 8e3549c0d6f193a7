"""What a build takes from a picture, whoever takes it: a thread here, or a process on another machine.

Each picture is looked at alone, on one thread, so that what is taken depends on nothing else that is done beside it.

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

from .._util.hashing import digest_of
from ..catalog import sources
from ..embedding.embedder import Embedder, ModelConfig, read_model
from ..embedding.runtime import version
from ..errors import BundleError, ImageError
from ..images import colours, image, photo_files
from ..local_features.descriptors import Codebook, PackedFeatures, default_codebook, steady
from ..version import __version__

PICTURE_SIDE = 224  # px; of the reference images kept for showing
_HEAD = struct.Struct("<4I")  # bytes of embedding, colours and thumbnail, CRC-32 of all that follows


class Extract(NamedTuple):
    """What is taken of a picture.

    Attributes: embedding: (D,) float32; colours: (T,) float64; thumbnail: JPEG; coded: its print, None where none is
                kept.
    """

    embedding: np.ndarray
    colours: np.ndarray
    thumbnail: bytes
    coded: PackedFeatures | None

    def to_bytes(self) -> bytes:
        """As `from_bytes` reads them."""
        parts = self.embedding.astype("<f4").tobytes(), self.colours.astype("<f8").tobytes(), self.thumbnail
        content = b"".join(parts) + (self.coded.to_bytes() if self.coded else b"")
        return _HEAD.pack(*map(len, parts), zlib.crc32(content)) + content

    @classmethod
    def from_bytes(cls, data: bytes) -> "Extract":
        """Raises BundleError: not what `to_bytes` gives."""
        if len(data) < _HEAD.size or zlib.crc32(data[_HEAD.size :]) != _HEAD.unpack_from(data)[3]:
            raise BundleError("what was kept of a picture is damaged; remove the folder that --resume keeps it in.")
        *sizes, _ = _HEAD.unpack_from(data)
        first, second, third = np.cumsum([_HEAD.size + sizes[0], *sizes[1:]]).tolist()
        coded = data[third:]
        return cls(
            np.frombuffer(data[_HEAD.size : first], "<f4"),
            np.frombuffer(data[first:second], "<f8"),
            data[second:third],
            PackedFeatures.from_bytes(coded) if coded else None,
        )


class Taken(NamedTuple):
    """What became of a picture.

    Attributes: key: sha256 of its file; extract: as bytes, empty where it was known before; error: why it cannot be
                read, empty where it can.
    """

    key: bytes
    extract: bytes
    error: str


@dataclass(frozen=True)
class Extraction:
    """How pictures are looked at; another process may be handed it.

    Attributes: config, network: of a model folder; local_features: of the print, 0 for none; seed: of made views;
                versions: of what computes.
    """

    config: ModelConfig
    network: bytes
    local_features: int
    seed: int
    versions: str

    @classmethod
    def of(cls, model: Path, precision: str, local_features: int, seed: int) -> "Extraction":
        """Raises ModelError: the model cannot be used."""
        return cls(*read_model(model, precision), local_features, seed, _versions())

    @property
    def digest(self) -> str:
        """Names what is taken of a picture: of another extraction it may differ."""
        told = [self.embedder.space, self.codebook.digest, self.local_features, self.seed, PICTURE_SIDE, self.versions]
        return digest_of(told)

    @cached_property
    def embedder(self) -> Embedder:
        """On one thread."""
        return Embedder(self.config, self.network)

    @cached_property
    def codebook(self) -> Codebook:
        """Of the print."""
        return default_codebook()

    def take(self, known: frozenset[bytes], pictures: Sequence[str]) -> list[Taken]:
        """Look at pictures, but not at those known.

        Args:    known: keys of pictures that were looked at before; pictures: their places.
        Raises:  BundleError: other versions are installed here than where the build was begun.
        """
        if self.versions != _versions():
            raise BundleError(
                f"a worker has {_versions()}, the build was begun with {self.versions}; install the same everywhere."
            )
        return [self._taken(known, place) for place in pictures]

    def _taken(self, known: frozenset[bytes], place: str) -> Taken:
        try:
            content = sources.content(place)
        except ImageError as error:
            return Taken(b"", b"", str(error))
        key = hashlib.sha256(content).digest()
        if key in known:
            return Taken(key, b"", "")
        try:
            return Taken(key, self.extract(content).to_bytes(), "")
        except ImageError as error:
            return Taken(b"", b"", f"{sources.shown(place)}: {photo_files.nameless(error)}")

    def extract(self, picture: bytes) -> Extract:
        """picture: a file's content; raises ImageError."""
        pixels = self.embedder.read(picture)
        return Extract(
            self.embedder.embed_references([pixels], self.seed)[0][0],
            colours.shares(pixels),
            image.thumbnail(pixels, PICTURE_SIDE),
            self.codebook.encode(steady(pixels, self.local_features)) if self.local_features else None,
        )

    def __getstate__(self) -> dict[str, Any]:
        """Without network session and codebook, which are opened where it is used."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def _versions() -> str:
    return f"edgesearch {__version__}, onnxruntime {version()}, {image.decoder()}, numpy {np.__version__}"
