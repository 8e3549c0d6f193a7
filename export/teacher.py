"""Compute the teacher of a training run: the vectors of several networks for all training pictures, in one.

Networks that were trained apart know different things. Each one's pooled features are half-whitened, weighted and
concatenated, and the whole is half-whitened again to as many components as a student has. Of v4 and EfficientNet-Lite2
and -Lite0, weights 1, .7 and .7, recall@1 of 418 held-out photos of groceries among their catalogue pictures is .821 in
all 656 components, .811 in 256, and .763 for v4 alone (held-out objects 1.000, 1.000 and .969).

N pictures, R rows of them, K components.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from edgesearch.errors import ModelError

from . import model_folder
from .backbones import BACKBONES, build_network, half_whitening
from .to_onnx import load_any
from .train import plain_pictures, pooled_features
from .training_pictures import Pictures
from .weights import pretrained

AXES = 200  # of each network that is not trained


@dataclass(frozen=True)
class Member:
    """One network of the teacher.

    Attributes:
        network: a pretrained backbone, named as in `BACKBONES`, or the folder of a training run or a model.
        weight: of its unit vectors.
    """

    network: str
    weight: float

    @classmethod
    def parse(cls, text: str) -> "Member":
        """Read "NETWORK=WEIGHT"; raise ModelError if it is something else."""
        network, _, weight = text.rpartition("=")
        try:
            return cls(network, float(weight))
        except ValueError:
            raise ModelError(f"{text!r}: not a network of the teacher; write it as efficientnet_lite2=0.7.") from None


@torch.no_grad()
def teacher(members: list[Member], pictures: Pictures, rows: np.ndarray, dim: int) -> np.ndarray:
    """Return the teacher's vectors, (N, K) float32, K = `dim`: unit rows for the given rows, (R,) int64, else zeros.

    Raises:
        ModelError: a network cannot be had.
    """
    joined = torch.cat([member.weight * _vectors(member, pictures, rows) for member in members], 1)
    mean, axes = half_whitening(joined, dim)
    vectors = np.zeros((len(pictures.label), dim), np.float32)
    vectors[rows] = F.normalize((joined - mean) @ axes)
    return vectors


def _vectors(member: Member, pictures: Pictures, rows: np.ndarray) -> Tensor:
    """Return a network's vectors: (R, K) float32, unit rows."""
    folder = Path(member.network)
    if member.network in BACKBONES:
        start = pretrained(member.network, "tensorflow")
        features = pooled_features(build_network(member.network, 1, "tensorflow", start), pictures, rows)
        mean, axes = half_whitening(features, AXES)
        return F.normalize((features - mean) @ axes)
    if not folder.is_dir():
        raise ModelError(
            f"{member.network}: neither a backbone nor a folder; name one of {', '.join(BACKBONES)}, or the folder of "
            "a run or a model."
        )
    if (folder / model_folder.INT8_FILE).exists() and not (folder / model_folder.FP32_FILE).exists():
        parts = (model_folder.embed(folder, "int8", views.numpy()) for views in plain_pictures(pictures, rows))
        return torch.from_numpy(np.concatenate(list(parts)))
    model, _ = load_any(folder)
    return F.normalize(model.projection(pooled_features(model, pictures, rows)))
