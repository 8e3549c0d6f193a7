"""Write tests/data/tiny_model: an untrained network of a few kilobytes that keeps all other tests fast.

python -m tests.embedding.make_tiny_model
"""

import json
from pathlib import Path

import torch
from torch import nn

from edgesearch._util.hashing import sha256
from edgesearch.embedding.embedder import CONFIG_FILE
from export import model_folder
from export.backbones import EmbeddingNetwork
from export.to_onnx import to_onnx

FOLDER = Path(__file__).parents[1] / "data" / "tiny_model"
SIDE, DIM, CHANNELS = 32, 16, 48
PREPROCESSING = {"resize": 36, "crop": SIDE, "scale": 1 / 127.5, "offset": -1.0}


def main() -> None:
    """Write the folder."""
    torch.manual_seed(0)
    features = nn.Sequential(nn.Conv2d(3, CHANNELS, 4, stride=2), nn.ReLU6())
    model = EmbeddingNetwork("tiny", "tensorflow", features, CHANNELS, DIM)
    FOLDER.mkdir(parents=True, exist_ok=True)
    to_onnx(model, FOLDER / model_folder.INT8_FILE, SIDE)
    config = {
        "format": 1,
        "name": "tiny",
        "backbone": "none",
        "dim": DIM,
        "preprocessing": PREPROCESSING,
        "files": {
            "int8": {"file": model_folder.INT8_FILE, "sha256": sha256((FOLDER / model_folder.INT8_FILE).read_bytes())}
        },
        "provenance": {"weights": "random; float, in the place of int8"},
    }
    (FOLDER / CONFIG_FILE).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
