"""Turn pictures into unit vectors with the network of a model folder.

A model folder holds `config.json` and the ONNX files that it names. B batch, D embedding dimensions, H height and W
width of a picture in px, S side of the network's input in px, h and w size of its response.
"""

import copy
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .._util import stopping
from .._util.hashing import hash_json, sha256
from ..errors import ModelError
from ..images import augmented_views, crops, image, network_input
from ..images.crops import Crop
from . import onnx_file, runtime
from .whitening import FILE as WHITENING_FILE
from .whitening import Whitening
from .whitening import normalize_rows as normalize_rows

CONFIG_FILE = "config.json"
CONFIG_FORMAT = 1
RESPONSE = "response"  # optional second output: how strongly each part of the picture makes the network respond


@dataclass(frozen=True)
class Preprocessing:
    """Rules that turn an upright RGB picture into the network's input.

    Attributes:
        resize: shorter side in px to which a picture is resized.
        crop: side in px of the square cut from its middle, S.
        scale: factor of the RGB values.
        offset: added to the scaled values.
    """

    resize: int
    crop: int
    scale: float
    offset: float

    def __post_init__(self) -> None:
        """Raise ValueError for impossible sides or for values that are not finite."""
        if not 0 < self.crop <= self.resize <= 4096 or not math.isfinite(self.scale + self.offset):
            raise ValueError(f"preprocessing {asdict(self)}")

    @property
    def decoded_side(self) -> int:
        """Smallest shorter side, in px, with which a picture is decoded."""
        return max(self.resize, image.WORKING_SIDE)

    def digest(self) -> str:
        """Return a hash of these settings."""
        return hash_json(asdict(self))

    def centre_crop(self, size: tuple[int, int]) -> Crop:
        """Return the only crop of a fast search in a picture of (H, W) px."""
        return crops.centre_crop(size, self.crop / self.resize)

    def __call__(self, picture: np.ndarray, crop: Crop) -> np.ndarray:
        """Convert a crop of a picture, (H, W, 3) uint8, to the network's input, (3, S, S) float32."""
        return self.convert(picture, [crop])[0]

    def convert(self, picture: np.ndarray, parts: Sequence[Crop]) -> np.ndarray:
        """Convert B crops of a picture, (H, W, 3) uint8, to the network's input, (B, 3, S, S) float32."""
        return network_input.crop_squares(picture, parts, self.crop, self.scale, self.offset)


@dataclass(frozen=True)
class ModelConfig:
    """Content of a model folder's `config.json`.

    Attributes:
        name: name of the model with its version.
        backbone: name of the network's backbone.
        dim: embedding dimensions, D.
        preprocessing: how pictures become the network's input.
        files: name and sha256 of the ONNX file for each precision, "int8" or "fp32".
        provenance: how the model was made, in free form.
        whitening: sha256 of the file of a map learned with the model; "" if there is none.
    """

    name: str
    backbone: str
    dim: int
    preprocessing: Preprocessing
    files: dict[str, tuple[str, str]]
    provenance: dict[str, Any]
    whitening: str = ""

    @classmethod
    def parse(cls, data: bytes, name: str) -> "ModelConfig":
        """Read a config key by key.

        Args:
            data: content of `config.json`.
            name: of the file, for error messages.
        Raises:
            ModelError: the config is no JSON or of another format, or a key is missing or wrong.
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
                whitening=str(table.get("whitening", "")),
            )
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise ModelError(f"{name}: {error} is missing or wrong; export the model again.") from error


class Embedder:
    """Embeds pictures as unit vectors with one network and its preprocessing. Safe to share between threads.

    Attributes:
        config: the model's config.
        network_sha256: hash of the network's ONNX file.
        whitening: maps what the network embeds; None leaves it as it is.
    """

    def __init__(self, config: ModelConfig, network: bytes, threads: int = 1, unfused: bool = False):
        """Load a network.

        Args:
            config: config of the model.
            network: content of the ONNX file, whose hash the caller has verified.
            threads: threads for one call.
            unfused: compute in float; see `runtime.load`.
        Raises:
            ModelError: the network holds more than weights and ONNX's own operators or does not fit the config, or
                onnxruntime is not installed or refuses it.
        """
        onnx_file.check(network, f"model {config.name}")
        self._network = runtime.load(network, f"model {config.name}", threads, unfused)
        self.config = config
        self.network_sha256 = sha256(network)
        self.whitening: Whitening | None = None
        side = config.preprocessing.crop
        outputs = self._network.output_shapes
        first, *others = outputs
        shapes = [self._network.input_shape[1:], outputs[first][1:]]
        extra = {name: len(outputs[name]) for name in others}
        if shapes != [[3, side, side], [config.dim]] or config.dim % 4 or extra not in ({}, {RESPONSE: 3}):
            raise ModelError(
                f"model {config.name}: maps {shapes[0]} to {shapes[1]} per picture, extra outputs {extra}; its config "
                f"says {[3, side, side]} to {[config.dim]}, a multiple of 4, with at most {RESPONSE!r} as extra "
                "output; export the model again."
            )

    @property
    def space(self) -> str:
        """Name of the embedding space; vectors of different spaces must not be compared."""
        parts = [self.network_sha256, self.config.preprocessing.digest()]
        return hash_json([*parts, self.whitening.digest] if self.whitening else parts)

    def with_whitening(self, whitening: Whitening | None) -> "Embedder":
        """Return an embedder that runs the same network and maps its embeddings; None maps nothing."""
        mapped = copy.copy(self)
        mapped.whitening = whitening
        return mapped

    def whiten(self, rows: np.ndarray) -> np.ndarray:
        """Apply the whitening, if there is one, to unit rows of the plain network, (B, D) float32."""
        return self.whitening(rows) if self.whitening else rows

    @property
    def plain(self) -> "Embedder":
        """Return the same network without whitening."""
        return self.with_whitening(None)

    @classmethod
    def open(cls, folder: Path, precision: str = "int8", threads: int = 1) -> "Embedder":
        """Load a model folder after checking the hash of the ONNX file.

        Raises:
            ModelError: a file is missing or is not the one that the config names.
        """
        config, network = read_model(folder, precision)
        return cls(config, network, threads)

    def read(self, photo: image.Photo) -> np.ndarray:
        """Decode a photo as large as the network needs, (H, W, 3) uint8; raise ImageError if it cannot be read."""
        return image.read(photo, self.config.preprocessing.decoded_side)

    def run(self, inputs: np.ndarray) -> list[np.ndarray]:
        """Run the network alone, without whitening.

        Args:
            inputs: (B, 3, S, S) float32 as made by `config.preprocessing`.
        Returns:
            (B, D) float32, rows of unit length; then, if the network has this output, (B, h, w) float32, how strongly
            each part of the picture makes it respond.
        Raises:
            StoppedError: a `Stop` ended the run, after the operator that was running.
        """
        stop = stopping.current()
        return self._network.run(inputs, stop.interrupting if stop else None)

    def embed_inputs(self, inputs: np.ndarray) -> np.ndarray:
        """Embed inputs of the network, (B, 3, S, S) float32 as for `run`; returns (B, D) float32, unit rows."""
        return self.whiten(self.run(inputs)[0])

    def embed(self, pictures: Sequence[np.ndarray], fast: bool = False) -> np.ndarray:
        """Embed decoded pictures.

        Args:
            pictures: B times (H, W, 3) uint8.
            fast: embed only the centre crop of each. Otherwise embed the mean of three crops: the whole picture, its
                near middle, and the object that the network finds in the whole.
        Returns:
            (B, D) float32, rows of unit length.
        """
        return self.embed_and_locate(pictures, fast)[0]

    def embed_and_locate(
        self,
        pictures: Sequence[np.ndarray],
        fast: bool = False,
        located: Callable[[np.ndarray, list[Crop]], None] | None = None,
    ) -> tuple[np.ndarray, list[Crop]]:
        """Embed decoded pictures and locate the object in each.

        Args:
            pictures: B times (H, W, 3) uint8.
            fast: as `embed` takes it.
            located: called before the network runs on the crops around the objects, with the embeddings of the first
                two crops, (B, D) float32, unit rows, and the crops around the objects; not if it does not locate any.
        Returns:
            (B, D) float32, rows of unit length, and the crop around each object. It is the centre crop if `fast`, and
            the whole picture if the network has no response.
        """
        if not pictures:
            return np.empty((0, self.config.dim), np.float32), []
        sizes = [picture.shape[:2] for picture in pictures]
        if fast:
            middles = [self.config.preprocessing.centre_crop(size) for size in sizes]
            return self.whiten(self._run_crops(pictures, middles)[0]), middles
        wholes = [crops.whole_crop(size) for size in sizes]
        nears = [crops.centre_crop(size, crops.NEAR_SHARE) for size in sizes]
        # Two crops of one picture in one run: a tenth faster than one by one, as fast as larger batches, and the
        # response does not depend on which other pictures are embedded.
        outputs = [
            self.run(self.config.preprocessing.convert(picture, pair))
            for picture, *pair in zip(pictures, wholes, nears, strict=True)
        ]
        total = np.stack([rows.sum(0) for rows, *_ in outputs])
        responses = [response[0] for _, *others in outputs for response in others]
        if not responses:
            return self.whiten(normalize_rows(total)), wholes
        objects = list(map(crops.object_crop, wholes, responses))
        if located:
            located(self.whiten(normalize_rows(total)), objects)
        return self.whiten(normalize_rows(total + self._run_crops(pictures, objects)[0])), objects

    def _run_crops(self, pictures: Sequence[np.ndarray], parts: Sequence[Crop]) -> list[np.ndarray]:
        """Run the network on one crop of each of B pictures, (H, W, 3) uint8; returns the arrays of `run`."""
        inputs = [self.config.preprocessing(*pair) for pair in zip(pictures, parts, strict=True)]
        return self.run(np.stack(inputs))

    def embed_references(self, pictures: Sequence[np.ndarray], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Embed reference images for an index.

        A photo is embedded as `embed` does. A product on a plain background becomes the mean of its centre crop and of
        augmented views, which show it as shop photos do.

        Args:
            pictures: B times (H, W, 3) uint8.
            seed: seed of the augmented views.
        Returns:
            (B, D) float32, rows for the index, and (B, D) float32, embeddings of the centre crops alone.
        """
        plain = self.plain
        centres = plain.embed(pictures, fast=True)
        rows = [plain._embed_reference(*pair, seed) for pair in zip(pictures, centres, strict=True)]
        empty = np.empty((0, self.config.dim), np.float32)
        return self.whiten(np.concatenate([empty, *rows])), self.whiten(centres)

    def _embed_reference(self, picture: np.ndarray, centre: np.ndarray, seed: int) -> np.ndarray:
        """Embed one picture, (H, W, 3) uint8, whose centre crop has the embedding (D,); returns (1, D) float32."""
        side = self.config.preprocessing.crop
        views = augmented_views.draw_views(picture, side, np.random.default_rng(seed))
        if not views:
            return self.embed([picture])
        rows = self._run_crops(views, [Crop(0, 0, side)] * len(views))[0]
        return normalize_rows(centre + normalize_rows(rows.sum(0, keepdims=True)))

    def embed_photos(self, photos: Sequence[image.Photo], fast: bool = False, batch: int = 16) -> np.ndarray:
        """Decode and embed B photos; returns (B, D) float32. Raise ImageError if one cannot be read."""
        starts = range(0, max(1, len(photos)), batch)
        return np.concatenate([self.embed([self.read(p) for p in photos[i : i + batch]], fast) for i in starts])


def read_model(folder: Path, precision: str = "int8") -> tuple[ModelConfig, bytes]:
    """Read a model folder's config and one ONNX file.

    Raises:
        ModelError: a file is missing, damaged or not the one that the config names, or there is no such precision.
    """
    path = Path(folder) / CONFIG_FILE
    config = ModelConfig.parse(_read_file(path), str(path))
    if precision not in config.files:
        raise ModelError(f"{path}: no {precision} network; it has {', '.join(sorted(config.files))}.")
    file, digest = config.files[precision]
    network = _read_file(Path(folder) / file)
    if sha256(network) != digest:
        raise ModelError(
            f"{Path(folder) / file}: not the file that {CONFIG_FILE} names (sha256); copy the folder again."
        )
    return config, network


def read_whitening(folder: Path) -> Whitening | None:
    """Read the map of a model folder; None if it has none.

    Raises:
        EdgeSearchError: a file is missing or damaged, or is not the one that the config names.
    """
    config = ModelConfig.parse(_read_file(folder / CONFIG_FILE), str(folder / CONFIG_FILE))
    if not config.whitening:
        return None
    data = _read_file(folder / WHITENING_FILE)
    if sha256(data) != config.whitening:
        raise ModelError(
            f"{folder / WHITENING_FILE}: not the file that {CONFIG_FILE} names (sha256); copy the folder again."
        )
    return Whitening.read(memoryview(data), config.dim)


def copy_model(folder: Path, precision: str, target: Path) -> None:
    """Copy one network of a model folder and a config that names it alone; raise ModelError as `read_model` does."""
    config, network = read_model(folder, precision)
    _, digest = config.files[precision]
    name = f"model.{precision}.onnx"
    table = json.loads(_read_file(folder / CONFIG_FILE)) | {"files": {precision: {"file": name, "sha256": digest}}}
    table.pop("whitening", None)  # a bundle keeps its own
    (target / CONFIG_FILE).write_text(json.dumps(table, indent=1), encoding="utf-8")
    (target / name).write_bytes(network)


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); give a model folder, or reinstall.") from error
