"""A model folder becomes unit embeddings.

A model folder holds `config.json` and the ONNX files it names. B batch, D embedding dimensions, S input side in px.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .._util import stopping
from .._util.hashing import digest_of, sha256
from ..errors import ModelError
from ..images import augmented_views, crops, image
from ..images.crops import Crop
from . import onnx_file, runtime

DEFAULT_MODEL = "mobilenet_v2_v4"
CONFIG_FILE = "config.json"
CONFIG_FORMAT = 1
RESPONSE = "response"  # second output of networks that can be asked where they see something


@dataclass(frozen=True)
class Preprocessing:
    """From an upright RGB picture to the network's input.

    Attributes: resize: px of the shorter side; crop: px of the square cut from its middle, S; the input is
                value * scale + offset in RGB planes.
    """

    resize: int
    crop: int
    scale: float
    offset: float

    def __post_init__(self) -> None:
        """Raises ValueError: sides that cannot be, or numbers that are none."""
        if not 0 < self.crop <= self.resize <= 4096 or not math.isfinite(self.scale + self.offset):
            raise ValueError(f"preprocessing {asdict(self)}")

    @property
    def decoded_side(self) -> int:
        """Shorter side in px to which a picture is decoded at least."""
        return max(self.resize, image.WORKING_SIDE)

    def digest(self) -> str:
        """Hash of these settings."""
        return digest_of(asdict(self))

    def centre_crop(self, size: tuple[int, int]) -> Crop:
        """The look of a hurry, at a picture of (H, W) px."""
        return crops.centre_crop(size, self.crop / self.resize)

    def __call__(self, picture: np.ndarray, look: Crop) -> np.ndarray:
        """(H, W, 3) uint8, one look at it -> (3, S, S) float32."""
        pixels = image.crop_square(picture, look, self.crop)
        return pixels.transpose(2, 0, 1).astype(np.float32) * np.float32(self.scale) + np.float32(self.offset)


@dataclass(frozen=True)
class ModelConfig:
    """What `config.json` says.

    Attributes: files: ONNX file and its sha256 by precision, "int8" or "fp32"; provenance: how it was made, free form.
    """

    name: str
    backbone: str
    dim: int
    preprocessing: Preprocessing
    files: dict[str, tuple[str, str]]
    provenance: dict[str, Any]

    @classmethod
    def parse(cls, data: bytes, name: str) -> "ModelConfig":
        """Read key by key; name: what to call the config in errors.

        Raises:  ModelError: not JSON, of another format, or a key is missing or wrong.
        """
        try:
            table = json.loads(data)
            if table["format"] != CONFIG_FORMAT:
                raise ModelError(f"{name}: model format {table['format']}; this version reads {CONFIG_FORMAT}.")
            prep = table["preprocessing"]
            return cls(
                name=str(table["name"]),
                backbone=str(table["backbone"]),
                dim=int(table["dim"]),
                preprocessing=Preprocessing(
                    int(prep["resize"]), int(prep["crop"]), float(prep["scale"]), float(prep["offset"])
                ),
                files={kind: (str(f["file"]), str(f["sha256"])) for kind, f in table["files"].items()},
                provenance=dict(table["provenance"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise ModelError(f"{name}: {error} is missing or wrong; export the model again.") from error


class Embedder:
    """Pictures to unit vectors, with one ONNX file and its preprocessing. Safe to share between threads."""

    def __init__(self, config: ModelConfig, network: bytes, threads: int = 1, unfused: bool = False):
        """
        Args:    network: the ONNX file's content, verified by the caller; threads, unfused: as `runtime.load` has them.
        Raises:  ModelError: the network is more than weights and ONNX's operators, onnxruntime is not installed or
                 refuses it, or it does not fit the config.
        """
        onnx_file.check(network, f"model {config.name}")
        self._network = runtime.load(network, f"model {config.name}", threads, unfused)
        self.config = config
        self.network_sha256 = sha256(network)
        side = config.preprocessing.crop
        outputs = self._network.output_shapes
        first, *others = outputs
        shapes = [self._network.input_shape[1:], outputs[first][1:]]
        besides = {name: len(outputs[name]) for name in others}
        if shapes != [[3, side, side], [config.dim]] or config.dim % 4 or besides not in ({}, {RESPONSE: 3}):
            raise ModelError(
                f"model {config.name}: from {shapes[0]} to {shapes[1]} for each picture, and besides {besides}; its "
                f"config says {[3, side, side]} to {[config.dim]}, a multiple of 4, and besides at most {RESPONSE!r}."
            )

    @property
    def space(self) -> str:
        """Names the embedding space: vectors of two spaces must not be compared."""
        return digest_of([self.network_sha256, self.config.preprocessing.digest()])

    @classmethod
    def open(cls, folder: Path, precision: str = "int8", threads: int = 1) -> "Embedder":
        """Load a model folder; the file's hash is checked first.

        Raises:  ModelError: a file is missing or not the one the config names.
        """
        config, network = read_model(folder, precision)
        return cls(config, network, threads)

    def read(self, photo: image.Photo) -> np.ndarray:
        """Decode a photo as large as is needed: (H, W, 3) uint8; raises ImageError."""
        return image.read(photo, self.config.preprocessing.decoded_side)

    def run(self, inputs: np.ndarray) -> list[np.ndarray]:
        """Run the network.

        Args:    inputs: (B, 3, S, S) float32 as made by `config.preprocessing`.
        Returns: (B, D) float32, rows of unit length; and, if the network tells, (B, h, w) float32, how strongly each
                 place of the picture made it respond.
        Raises:  StoppedError: it was told to stop (`stopping`), which ends it after the operator that runs.
        """
        stop = stopping.current()
        return self._network.run(inputs, stop.interrupting if stop else None)

    def embed(self, pictures: Sequence[np.ndarray], fast: bool = False) -> np.ndarray:
        """Embed decoded pictures.

        Args:    pictures: B times (H, W, 3) uint8; fast: one look at each, its centre. Otherwise the mean of the whole,
                 the middle seen from near, and the object that the network finds in the whole.
        Returns: (B, D) float32, rows of unit length.
        """
        return self.embed_and_locate(pictures, fast)[0]

    def embed_and_locate(self, pictures: Sequence[np.ndarray], fast: bool = False) -> tuple[np.ndarray, list[Crop]]:
        """As `embed`, and besides where in each picture the object is: its middle where nobody looked for one."""
        if not pictures:
            return np.empty((0, self.config.dim), np.float32), []
        sizes = [picture.shape[:2] for picture in pictures]
        if fast:
            middles = [self.config.preprocessing.centre_crop(size) for size in sizes]
            return self._look(pictures, middles)[0], middles
        wholes = [crops.whole_crop(size) for size in sizes]
        nears = [crops.centre_crop(size, crops.NEAR_SHARE) for size in sizes]
        # Both looks at one picture at once, and no other picture with them: a tenth faster than one after the other, as
        # fast as any number, and where the network responds does not depend on what else is embedded.
        seen = [self._look([one, one], looked) for one, *looked in zip(pictures, wholes, nears, strict=True)]
        total = np.stack([rows.sum(0) for rows, *_ in seen])
        responses = [response[0] for _, *others in seen for response in others]
        if not responses:
            return normalize_rows(total), wholes
        objects = list(map(crops.object_crop, wholes, responses))
        return normalize_rows(total + self._look(pictures, objects)[0]), objects

    def _look(self, pictures: Sequence[np.ndarray], squares: Sequence[Crop]) -> list[np.ndarray]:
        inputs = [self.config.preprocessing(*pair) for pair in zip(pictures, squares, strict=True)]
        return self.run(np.stack(inputs))

    def embed_references(self, pictures: Sequence[np.ndarray], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Embed reference images: a photo as it is, of a product on a plain background the mean with made views of it.

        Args:    pictures: B times (H, W, 3) uint8; seed: of the views.
        Returns: (B, D) float32, the rows of an index; and the same of one look at each picture, without views.
        """
        glances = self.embed(pictures, fast=True)
        rows = [self._reference(*pair, seed) for pair in zip(pictures, glances, strict=True)]
        return np.concatenate([np.empty((0, self.config.dim), np.float32), *rows]), glances

    def _reference(self, picture: np.ndarray, glance: np.ndarray, seed: int) -> np.ndarray:
        side = self.config.preprocessing.crop
        made = augmented_views.draw_views(picture, side, np.random.default_rng(seed))
        if not made:
            return self.embed([picture])
        shop = self._look(made, [Crop(0, 0, side)] * len(made))[0]
        return normalize_rows(glance + normalize_rows(shop.sum(0, keepdims=True)))

    def embed_photos(self, photos: Sequence[image.Photo], fast: bool = False, batch: int = 16) -> np.ndarray:
        """Decode and embed: B photos -> (B, D) float32; raises ImageError."""
        starts = range(0, max(1, len(photos)), batch)
        return np.concatenate([self.embed([self.read(p) for p in photos[i : i + batch]], fast) for i in starts])


def normalize_rows(rows: np.ndarray) -> np.ndarray:
    """(B, D) float32 -> the same, every row of unit length; a row of zeros stays."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, np.finfo(np.float32).tiny), np.float32)


def read_model(folder: Path, precision: str = "int8") -> tuple[ModelConfig, bytes]:
    """Read a model folder's config and one verified ONNX file; raises ModelError."""
    path = Path(folder) / CONFIG_FILE
    config = ModelConfig.parse(_read(path), str(path))
    if precision not in config.files:
        raise ModelError(f"{path}: no {precision} network; it has {', '.join(sorted(config.files))}.")
    file, digest = config.files[precision]
    network = _read(Path(folder) / file)
    if sha256(network) != digest:
        raise ModelError(
            f"{Path(folder) / file}: not the file that {CONFIG_FILE} names (sha256); copy the folder again."
        )
    return config, network


def copy_model(folder: Path, precision: str, target: Path) -> None:
    """Copy what a device needs of a model folder: one network, and the config naming it alone; raises ModelError."""
    config, network = read_model(folder, precision)
    _, digest = config.files[precision]
    name = f"model.{precision}.onnx"
    table = json.loads(_read(folder / CONFIG_FILE)) | {"files": {precision: {"file": name, "sha256": digest}}}
    (target / CONFIG_FILE).write_text(json.dumps(table, indent=1), encoding="utf-8")
    (target / name).write_bytes(network)


def default_model() -> Path:
    """The folder of the shipped model."""
    return artifact_folder(DEFAULT_MODEL)


def artifact_folder(name: str) -> Path:
    """A folder that ships with the package: inside it where it is installed, beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "artifacts" / name
    return inside if inside.is_dir() else package.parent / "artifacts" / name


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); give a model folder, or reinstall.") from error
