"""Backbones and the embedder built on them.

B batch, C feature channels, D embedding dimensions.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from edgesearch.errors import ModelError

from .torchvision_cpu import torchvision

FEATURES = {"mobilenet_v2": 1280}  # C by backbone


class Embedder(nn.Module):
    """Backbone, global average pooling, projection and L2 norm: picture in, unit embedding out."""

    def __init__(self, backbone: str, features: nn.Module, channels: int, dim: int):
        super().__init__()
        self.backbone = backbone
        self.features = features
        self.projection = nn.Linear(channels, dim)

    def head(self, maps: Tensor) -> Tensor:
        """(B, C, h, w) float32 feature maps -> (B, D) float32, rows of unit length."""
        projected = self.projection(maps.mean((2, 3)))
        return projected / projected.norm(dim=1, keepdim=True).clamp_min(1e-12)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) float32 in [-1, 1] -> (B, D) float32, rows of unit length."""
        return self.head(self.features(x))


def embedder(name: str, dim: int, weights: Path | None = None) -> Embedder:
    """Build an embedder on backbone `name`, batch norm folded into the convolutions.

    Folding fixes the batch statistics, so fine-tuning is the same function in training and in use, and faster.

    Args:    weights: `.npz` of arrays under torchvision's keys; None for random weights (tests).
    Raises:  ModelError: unknown backbone, or weights that do not belong to it.
    """
    if name not in FEATURES:
        raise ModelError(f"backbone {name!r} is unknown; choose one of {', '.join(FEATURES)}.")
    network = torchvision.models.get_model(name, weights=None)
    if weights is not None:
        _load(network, weights)
    features = network.features.eval()
    pad_same(features)
    fold_batch_norm(features)
    built = Embedder(name, features, FEATURES[name], dim)
    return built.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def pad_same(module: nn.Module) -> None:
    """Give every 3x3 stride-2 convolution TensorFlow's "SAME" padding: one pixel right and bottom.

    The published MobileNetV2 weights were trained so; torchvision's symmetric padding is another function.
    """
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Conv2d) and child.stride == (2, 2) and child.kernel_size == (3, 3):
            child.padding = (0, 0)
            setattr(module, name, nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), child))
        else:
            pad_same(child)


def fold_batch_norm(module: nn.Module) -> None:
    """Replace every convolution + batch norm by one convolution, in place."""
    before: tuple[str, nn.Module] | None = None
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d) and before is not None:
            _fold(module, before, child)
            setattr(module, name, nn.Identity())
        else:
            fold_batch_norm(child)
            before = (name, child)


def _fold(parent: nn.Module, before: tuple[str, nn.Module], norm: nn.BatchNorm2d) -> None:
    name, layer = before
    if isinstance(layer, nn.Sequential):  # padding, then the convolution
        parent, name, layer = layer, "1", layer[1]
    assert isinstance(layer, nn.Conv2d)
    setattr(parent, name, fuse_conv_bn_eval(layer, norm))


def _load(network: nn.Module, path: Path) -> None:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            state = {key: torch.from_numpy(arrays[key]) for key in arrays.files}
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path}: no readable .npz of weights ({error}); give the file named in its README."
        ) from error
    missing, unexpected = network.load_state_dict(state, strict=False)
    missing = [key for key in missing if not key.startswith("classifier.") and not key.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ModelError(
            f"{path}: not weights of this backbone; missing {missing[:3]}, unknown {list(unexpected)[:3]}."
        )
