"""Build embedding networks on pretrained backbones.

B batch, C feature channels, D embedding dimensions, K principal axes, N pictures.
"""

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from edgesearch.errors import ModelError

from .efficientnet_lite import SCALES, efficientnet_lite, rename_published
from .torchvision_cpu import torchvision
from .weights import Weights

CONVENTIONS = ("tensorflow", "torchvision")


@dataclass(frozen=True)
class Backbone:
    """Part of torchvision's network that is used.

    Attributes:
        channels: channels of its last feature maps, C.
        parts: names of its children up to the pooling.
    """

    channels: int
    parts: tuple[str, ...] = ("features",)


_RESNET = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
BACKBONES = {
    "mobilenet_v2": Backbone(1280),
    "mobilenet_v3_small": Backbone(576),
    "mobilenet_v3_large": Backbone(960),
    "resnet18": Backbone(512, _RESNET),
    "resnet50": Backbone(2048, _RESNET),
    **{name: Backbone(1280) for name in SCALES},
}
JOINED = "+"  # joins the names of two backbones whose feature maps are concatenated


class EmbeddingNetwork(nn.Module):
    """Map pictures to unit embeddings: backbone, global average pooling, projection and L2 norm."""

    def __init__(self, backbone: str, convention: str, features: nn.Module, channels: int, dim: int):
        super().__init__()
        self.backbone, self.convention = backbone, convention
        self.prepare = Standardize() if convention == "torchvision" else nn.Identity()
        self.features = features
        self.projection = nn.Linear(channels, dim)

    @torch.no_grad()
    def start_from(self, mean: Tensor, axes: Tensor) -> None:
        """Initialize the projection as PCA.

        Args:
            mean: (C,) float32.
            axes: (C, K) float32; the first D are used.
        """
        first = axes[:, : self.projection.out_features]
        # The L2 norm removes this factor, but the steps of AdamW are absolute.
        first = first * (self.projection.out_features**0.5 / first.norm())
        self.projection.weight.zero_()
        self.projection.weight[: first.shape[1]] = first.T
        self.projection.bias.copy_(-self.projection.weight @ mean)

    @property
    def towers(self) -> list[nn.Module]:
        """The backbones: one, or several whose maps are concatenated."""
        return list(self.features) if isinstance(self.features, Towers) else [self.features]

    def maps(self, x: Tensor) -> Tensor:
        """Return the backbone's last feature maps: (B, 3, H, W) float32 in [-1, 1] -> (B, C, h, w)."""
        maps: Tensor = self.features(self.prepare(x))
        return maps

    def head(self, maps: Tensor) -> Tensor:
        """Embed feature maps: (B, C, h, w) float32 -> (B, D) float32, rows of unit length."""
        projected = self.projection(maps.mean((2, 3)))
        return projected / projected.norm(dim=1, keepdim=True).clamp_min(1e-12)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Embed pictures, (B, 3, H, W) float32 in [-1, 1].

        Returns:
            (B, D) float32, rows of unit length, and the response of each position, (B, h, w) float32.
        """
        maps = self.maps(x)
        return self.head(maps), maps.sum(1)


class Towers(nn.ModuleList):
    """Networks that see the same picture; their feature maps are concatenated."""

    def forward(self, x: Tensor) -> Tensor:
        """Return all feature maps: (B, 3, H, W) float32 -> (B, sum of C, h, w) float32."""
        return torch.cat([tower(x) for tower in self], 1)


class Standardize(nn.Module):
    """Convert from [-1, 1] to the standardized ImageNet range with which torchvision's weights were trained."""

    scale: Tensor
    offset: Tensor

    def __init__(self) -> None:
        super().__init__()
        mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        self.register_buffer("scale", (0.5 / deviation).view(3, 1, 1), persistent=False)
        self.register_buffer("offset", ((0.5 - mean) / deviation).view(3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convert pixels: (B, 3, H, W) float32 -> (B, 3, H, W) float32."""
        return x * self.scale + self.offset


class Mean(nn.Module):
    """Global average pooling; with a free batch size the exporter writes torch's own as a dozen nodes."""

    def forward(self, x: Tensor) -> Tensor:
        """Average feature maps: (B, C, h, w) -> (B, C, 1, 1)."""
        return x.mean((2, 3), keepdim=True)


def build_network(
    name: str, dim: int, convention: str = "torchvision", weights: Weights | None = None
) -> EmbeddingNetwork:
    """Build an embedding network, with batch norm folded into the convolutions.

    Folding fixes the batch statistics: the network computes the same in training and in use, and trains faster.

    Args:
        name: a key of `BACKBONES`.
        dim: D.
        convention: one of `CONVENTIONS`, the padding and input range that the weights were trained with.
        weights: pretrained weights; None for random ones, in tests.
    Raises:
        ModelError: the backbone or convention is unknown, or the weights do not belong to it.
    """
    names = name.split(JOINED)
    if not BACKBONES.keys() >= set(names) or convention not in CONVENTIONS:
        raise ModelError(
            f"backbone {name!r} with convention {convention!r} is unknown; choose one of {', '.join(BACKBONES)}, or "
            f"two joined by {JOINED!r}, and one of {', '.join(CONVENTIONS)}."
        )
    towers = [_build_features(one, convention, weights) for one in names]
    features = towers[0] if len(towers) == 1 else Towers(towers)
    built = EmbeddingNetwork(name, convention, features, sum(BACKBONES[one].channels for one in names), dim)
    return built.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _build_features(name: str, convention: str, weights: Weights | None) -> nn.Module:
    backbone = BACKBONES[name]
    if name in SCALES:
        network = nn.ModuleDict({"features": efficientnet_lite(name)})
    else:
        network = torchvision.models.get_model(name, weights=None)
    if weights is not None:
        _load(network, weights, name)
    parts = OrderedDict((part, getattr(network, part)) for part in backbone.parts)
    features = parts["features"] if len(parts) == 1 else nn.Sequential(parts)
    fold_batch_norm(features.eval())
    pool_by_mean(features)
    if convention == "tensorflow":
        pad_same(features)
    return features


def join(networks: list[EmbeddingNetwork], dim: int) -> EmbeddingNetwork:
    """Join trained networks as towers under a new projection to `dim` dimensions."""
    name, convention = JOINED.join(network.backbone for network in networks), networks[0].convention
    features = Towers([network.features for network in networks])
    channels = sum(network.projection.in_features for network in networks)
    return EmbeddingNetwork(name, convention, features, channels, dim)


def half_whitening(features: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return mean and principal axes of features, each axis divided by the square root of its standard deviation.

    This lies between PCA, where a few directions outweigh the others, and full whitening (Jegou and Chum, ECCV 2012),
    where noise counts as much as products.

    Args:
        features: (N, C) float32.
        count: number of axes, K, at most N and C.
    Returns:
        Mean, (C,) float32, and axes, (C, K) float32.
    """
    mean = features.mean(0)
    _, spread, axes = torch.pca_lowrank(features - mean, q=count, center=False, niter=6)
    return mean, axes * spread**-0.5


def pad_same(module: nn.Module) -> None:
    """Give every stride-2 convolution TensorFlow's "SAME" padding for even sides: one pixel more right and bottom.

    Weights published from TensorFlow were trained with it; torchvision's symmetric padding gives another result.
    """
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Conv2d) and child.stride == (2, 2) and child.kernel_size[0] > 1:
            before = child.kernel_size[0] // 2 - 1
            child.padding = (0, 0)
            setattr(module, name, nn.Sequential(nn.ZeroPad2d((before, before + 1, before, before + 1)), child))
        else:
            pad_same(child)


def pool_by_mean(module: nn.Module) -> None:
    """Replace every global pooling, including that of squeeze-and-excitation, by `Mean`, in place."""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.AdaptiveAvgPool2d):
            setattr(module, name, Mean())
        else:
            pool_by_mean(child)


def fold_batch_norm(module: nn.Module) -> None:
    """Replace every convolution followed by batch norm by one convolution, in place."""
    before: tuple[str, nn.Module] | None = None
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d) and before is not None:
            convolution = before[1]
            assert isinstance(convolution, nn.Conv2d)
            setattr(module, before[0], fuse_conv_bn_eval(convolution, child))
            setattr(module, name, nn.Identity())
        else:
            fold_batch_norm(child)
            before = (name, child)


def _load(network: nn.Module, weights: Weights, name: str) -> None:
    tensors = rename_published(weights.tensors, network) if name in SCALES else weights.tensors
    try:
        missing, unexpected = network.load_state_dict(tensors, strict=False)
    except RuntimeError as error:  # an array of another shape
        detail = str(error).splitlines()[-1].strip()
        raise ModelError(
            f"{weights.source}: no weights of {name} ({detail}); give others, or correct the recipe."
        ) from error
    classifier = ("classifier.", "fc.")  # not used
    missing = [key for key in missing if not key.startswith(classifier) and not key.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ModelError(
            f"{weights.source}: no weights of {name} (missing {missing[:3]}, unknown {list(unexpected)[:3]}); give "
            "others, or correct the recipe."
        )
