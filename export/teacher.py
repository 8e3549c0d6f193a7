"""Compute the teacher of a training run: the vectors of several networks for all training pictures, in one.

Networks that were trained apart know different things. Each one's pooled features are half-whitened, weighted and
concatenated, and PCA of the whole orders the components, so that a student can aim at the first D of them.

N pictures, K components.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from edgesearch.errors import ModelError

from .augment import plain_views
from .backbones import BACKBONES, EmbeddingNetwork, build_network, half_whitening
from .to_onnx import load_any
from .training_pictures import SIDE, Pictures
from .weights import pretrained

AXES = 200  # of each network that is not trained
SPREAD_OVER = 4  # every so many pictures estimate the axes
CHUNK = 32


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
def teacher(members: list[Member], pictures: Pictures, dim: int) -> np.ndarray:
    """Return the teacher's vectors, (N, K) float32, unit rows, K = `dim`.

    Raises:
        ModelError: a network cannot be had.
    """
    parts = [member.weight * _vectors(member, pictures) for member in members]
    joined = torch.cat(parts, 1)
    mean = joined.mean(0)
    _, _, axes = torch.pca_lowrank(joined - mean, q=dim, center=False, niter=6)
    return F.normalize((joined - mean) @ axes).numpy()


def _vectors(member: Member, pictures: Pictures) -> Tensor:
    """Return a network's vectors: (N, K) float32, unit rows."""
    folder = Path(member.network)
    if member.network in BACKBONES:
        start = pretrained(member.network, "tensorflow")
        features = pooled_features(build_network(member.network, 1, "tensorflow", start), pictures)
        mean, axes = half_whitening(features[::SPREAD_OVER], AXES)
        return F.normalize((features - mean) @ axes)
    if not folder.is_dir():
        raise ModelError(
            f"{member.network}: neither a backbone nor a folder; name one of {', '.join(BACKBONES)}, or the folder of "
            "a run or a model."
        )
    model, _ = load_any(folder)
    return F.normalize(model.projection(pooled_features(model, pictures)))


@torch.no_grad()
def pooled_features(model: EmbeddingNetwork, pictures: Pictures) -> Tensor:
    """Return the pooled feature maps, (N, C) float32, of all pictures without augmentation."""
    aspect, cut_out = torch.from_numpy(pictures.aspect), torch.from_numpy(pictures.cut_out)
    found = []
    for start in range(0, len(aspect), CHUNK):
        part = slice(start, start + CHUNK)
        views = plain_views(torch.from_numpy(pictures.pixels[part].copy()), aspect[part], cut_out[part], SIDE)
        found.append(model.maps(views).mean((2, 3)))
    return torch.cat(found)
