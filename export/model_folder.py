"""Write and read the model folder that devices use: config, ONNX files and card."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from edgesearch._util.hashing import sha256
from edgesearch.embedding.embedder import CONFIG_FILE, CONFIG_FORMAT, Embedder, Preprocessing
from edgesearch.embedding.whitening import FILE as WHITENING_FILE
from edgesearch.images import image

FP32_FILE, INT8_FILE, CARD_FILE = "model.fp32.onnx", "model.int8.onnx", "MODEL_CARD.md"
PREPROCESSING = {
    "resize": 256,
    "crop": 224,
    "scale": 1 / 127.5,
    "offset": -1.0,
}  # the input range that the pretrained weights expect


def write_config(folder: Path, backbone: str, dim: int, provenance: dict[str, Any]) -> None:
    """Write a config that names only the float file."""
    _write(
        folder,
        {
            "format": CONFIG_FORMAT,
            "name": folder.name,
            "backbone": backbone,
            "dim": dim,
            "preprocessing": PREPROCESSING,
            "files": {"fp32": _entry(folder / FP32_FILE)},
            "provenance": provenance,
        },
    )


def add_int8(folder: Path) -> None:
    """Add the int8 file to the config."""
    table = read(folder)
    table["files"] = {"int8": _entry(folder / INT8_FILE), "fp32": table["files"]["fp32"]}
    _write(folder, table)


def copy_config(folder: Path, out: Path, facts: dict[str, Any]) -> None:
    """Write the config of a model folder whose network files, already in `out`, were made from those of another.

    Args:
        folder: the other model folder.
        out: the new one; it has no whitening yet.
        facts: added to the provenance.
    """
    table = read(folder)
    table["name"] = out.name
    table["files"] = {precision: _entry(out / entry["file"]) for precision, entry in table["files"].items()}
    table["provenance"] = {key: value for key, value in table["provenance"].items() if key != "whitening"} | facts
    table.pop("whitening", None)
    _write(out, table)


def remove_float(folder: Path) -> None:
    """Remove the float file, which no device uses, from the folder and the config."""
    table = read(folder)
    table["files"] = {"int8": table["files"]["int8"]}
    _write(folder, table)
    (folder / FP32_FILE).unlink()


def add_whitening(folder: Path, facts: dict[str, Any]) -> None:
    """Add the map in the folder to the config, and how it was learned to the provenance."""
    table = read(folder)
    table["whitening"] = sha256((folder / WHITENING_FILE).read_bytes())
    table["provenance"]["whitening"] = facts
    _write(folder, table)


def add_provenance(folder: Path, facts: dict[str, Any]) -> None:
    """Add facts to the config's provenance."""
    table = read(folder)
    table["provenance"] |= facts
    _write(folder, table)


def read(folder: Path) -> dict[str, Any]:
    """Return the content of the config."""
    table: dict[str, Any] = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    return table


def inputs(paths: list[Path]) -> np.ndarray:
    """Read N pictures as the network's input, as a device does; returns (N, 3, S, S) float32."""
    preprocessing = Preprocessing(**PREPROCESSING)  # type: ignore[arg-type]
    pictures = (image.read(path, preprocessing.decoded_side) for path in paths)
    return np.stack([preprocessing(picture, preprocessing.centre_crop(picture.shape[:2])) for picture in pictures])


def embed(folder: Path, precision: str, batch: np.ndarray) -> np.ndarray:
    """Embed inputs with onnxruntime, as a device does: (N, 3, S, S) float32 -> (N, D) float32."""
    embedder = Embedder.open(folder, precision, threads=2)
    return np.concatenate([embedder.run(batch[i : i + 16])[0] for i in range(0, len(batch), 16)])


def _entry(path: Path) -> dict[str, str]:
    return {"file": path.name, "sha256": sha256(path.read_bytes())}


def _write(folder: Path, table: dict[str, Any]) -> None:
    (folder / CONFIG_FILE).write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
