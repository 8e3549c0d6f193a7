"""Draw views of training pictures in batches: a product as a shelf photo or a catalogue shows it.

One warp per view applies crop, scale, rotation, squeeze and perspective; transparent parts show a background. Then
follow light, blur, low resolution, noise and occlusion. All random numbers come from one torch generator, so a seed
reproduces them.

B views, S side of the packed pictures, T side of the network's input.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Strength:
    """Ranges of one kind of view; a pair is uniform between its ends.

    Attributes:
        scale: of a cut-out its longer side to the view's; of a photo the crop's side to the picture's.
        rotation_deg: largest rotation to either side.
        perspective: largest perspective coefficient.
        light: strength of all changes of light.
        degrade: probability of blur, and of low resolution.
    """

    scale: tuple[float, float]
    rotation_deg: float
    perspective: float
    light: float
    degrade: float


SHELF = Strength(scale=(0.35, 1.15), rotation_deg=25, perspective=0.25, light=0.25, degrade=0.35)
CATALOGUE = Strength(scale=(0.7, 1.0), rotation_deg=4, perspective=0.05, light=0.1, degrade=0.1)


class Augmenter:
    """Draws views with one seeded generator."""

    def __init__(self, seed: int):
        self.generator = torch.Generator().manual_seed(seed)

    def uniform(self, count: int, low: float, high: float) -> Tensor:
        """Return (count,) float32, uniform between `low` and `high`."""
        return torch.rand(count, generator=self.generator) * (high - low) + low

    def chance(self, count: int, probability: float) -> Tensor:
        """Return (count,) bool, True with the given probability."""
        return torch.rand(count, generator=self.generator) < probability

    def views(
        self, pixels: Tensor, aspect: Tensor, cut_out: Tensor, shelf: Tensor, background: Tensor, side: int
    ) -> Tensor:
        """Draw one view of each picture.

        Args:
            pixels: (B, 4, S, S) uint8, premultiplied RGBA.
            aspect: (B,) float32, width / height.
            cut_out: (B,) bool, True for pictures with transparent surroundings.
            shelf: (B,) bool, True for a shelf photo, False for a catalogue view on white.
            background: (B, 4, S, S) uint8, shown behind a shelf view.
            side: T.
        Returns:
            (B, 3, T, T) float32 in [-1, 1].
        """
        scene = self._scene(background, side)
        scene = torch.where(shelf.view(-1, 1, 1, 1), scene, self.uniform(len(scene), 0.9, 1.0).view(-1, 1, 1, 1))
        layer = self._warp(pixels, aspect, cut_out, shelf, side)
        alpha = layer[:, 3:]
        view = layer[:, :3] + (1 - alpha) * scene
        view = self._occlude(view, scene, shelf)
        view = self._light(view, shelf)
        view = self._degrade(view, shelf)
        return (view.clamp(0, 1) * 2 - 1).contiguous(memory_format=torch.channels_last)

    def _scene(self, background: Tensor, side: int) -> Tensor:
        """Zoom and rotate backgrounds, mirrored at their edges; returns (B, 3, T, T) in [0, 1]."""
        count = len(background)
        zoom = self.uniform(count, 0.3, 1.2)
        angle = self.uniform(count, -math.pi, math.pi)
        theta = torch.zeros(count, 2, 3)
        theta[:, 0, 0] = theta[:, 1, 1] = zoom * angle.cos()
        theta[:, 0, 1], theta[:, 1, 0] = -zoom * angle.sin(), zoom * angle.sin()
        theta[:, :, 2] = torch.stack([self.uniform(count, -0.3, 0.3), self.uniform(count, -0.3, 0.3)], 1)
        grid = F.affine_grid(theta, [count, 3, side, side], align_corners=False)
        return _sample(background[:, :3, ::2, ::2], grid, padding_mode="reflection")

    def _warp(self, pixels: Tensor, aspect: Tensor, cut_out: Tensor, shelf: Tensor, side: int) -> Tensor:
        """Sample (B, 4, S, S) uint8 into (B, 4, T, T) through one random homography each."""
        count = len(pixels)
        rotation, perspective, scale = (torch.empty(count) for _ in range(3))
        for kind, rows in ((SHELF, shelf), (CATALOGUE, ~shelf)):
            n = int(rows.sum())
            rotation[rows] = self.uniform(n, -kind.rotation_deg, kind.rotation_deg) * math.pi / 180
            perspective[rows] = kind.perspective
            scale[rows] = self.uniform(n, *kind.scale)
        # From view to picture: a cut-out of scale s fills s of the view; a crop of side s of a photo fills the view.
        reach = torch.where(cut_out, 1 / scale, scale.clamp(0.4, 1.0))
        stretch = torch.exp(self.uniform(count, -0.15, 0.15))
        longer = torch.maximum(aspect, torch.ones_like(aspect))
        wide, high = aspect / longer, 1 / longer  # the picture's extent if its longer side is 1
        unit = torch.where(cut_out, torch.ones_like(wide), torch.minimum(wide, high))
        homography = torch.eye(3).repeat(count, 1, 1)
        homography[:, 0, 0] = unit * reach * stretch / wide * rotation.cos()
        homography[:, 0, 1] = -unit * reach * stretch / wide * rotation.sin()
        homography[:, 1, 0] = unit * reach / stretch / high * rotation.sin()
        homography[:, 1, 1] = unit * reach / stretch / high * rotation.cos()
        for axis, extent in ((0, wide), (1, high)):
            slack = torch.where(
                cut_out,
                (1 / scale - extent).clamp(min=0.1) / extent,
                (1 - unit * reach / extent).clamp(min=0),
            )
            homography[:, axis, 2] = self.uniform(count, -1, 1) * slack * torch.where(shelf, 0.7, 0.3)
            homography[:, 2, axis] = self.uniform(count, -1, 1) * perspective
        return _sample(pixels, _project(homography, side), padding_mode="zeros")

    def _occlude(self, view: Tensor, scene: Tensor, shelf: Tensor) -> Tensor:
        """Hide up to a sixth of a shelf view behind a rectangle of background from elsewhere in the batch."""
        count, _, side, _ = view.shape
        x, y = self.uniform(count, 0, 1), self.uniform(count, 0, 1)
        half = self.uniform(count, 0.08, 0.2)
        ruler = torch.linspace(0, 1, side)
        inside = ((ruler - x[:, None]).abs() < half[:, None])[:, None, None, :] & (
            (ruler - y[:, None]).abs() < half[:, None]
        )[:, None, :, None]
        hidden = inside & (self.chance(count, 0.25) & shelf).view(-1, 1, 1, 1)
        return torch.where(hidden, scene.roll(1, 0), view)

    def _light(self, view: Tensor, shelf: Tensor) -> Tensor:
        """Change exposure, contrast, saturation and colour cast, and let the light fall off across the picture."""
        count, _, side, _ = view.shape
        strength = torch.where(shelf, SHELF.light, CATALOGUE.light).view(-1, 1, 1, 1)

        def factor(spread: float, channels: int = 1) -> Tensor:
            drawn = self.uniform(count * channels, -spread, spread).view(count, channels, 1, 1)
            return torch.exp(drawn * strength)

        grey = view.mean(1, keepdim=True)
        view = grey + (view - grey) * factor(1.0)
        mean = view.mean((1, 2, 3), keepdim=True)
        view = (mean + (view - mean) * factor(0.8)) * factor(1.0) * factor(0.35, 3)
        ruler = torch.linspace(-1, 1, side)
        slope = self.uniform(2 * count, -0.6, 0.6).view(count, 2, 1, 1) * strength
        return view * (1 + slope[:, :1] * ruler.view(1, 1, 1, -1) + slope[:, 1:] * ruler.view(1, 1, -1, 1))

    def _degrade(self, view: Tensor, shelf: Tensor) -> Tensor:
        """Add motion or defocus blur and low resolution to some of the views, and sensor noise to all."""
        count, _, side, _ = view.shape
        chance = torch.where(shelf, SHELF.degrade, CATALOGUE.degrade)
        blurred = torch.rand(count, generator=self.generator) < chance
        if blurred.any():
            view = view.clone()
            view[blurred] = self._blur(view[blurred])
        coarse = torch.rand(count, generator=self.generator) < chance
        for rows in torch.nonzero(coarse).split(8):  # a few rows share one resolution
            rows = rows[:, 0]
            small = int(side * float(self.uniform(1, 0.25, 0.8)))
            few = F.interpolate(view[rows], size=small, mode="bilinear", antialias=True)
            view[rows] = F.interpolate(few, size=side, mode="bilinear")
        noise = self.uniform(count, 0, 0.04).view(-1, 1, 1, 1)
        return view + torch.randn(view.shape, generator=self.generator) * noise

    def _blur(self, view: Tensor) -> Tensor:
        """Convolve each view with its own 9x9 Gaussian, stretched along a random direction."""
        count, channels, _, _ = view.shape
        angle = self.uniform(count, 0, math.pi).view(-1, 1, 1)
        long, short = (
            self.uniform(count, 0.6, 3.0).view(-1, 1, 1),
            self.uniform(count, 0.4, 1.0).view(-1, 1, 1),
        )
        y, x = torch.meshgrid(torch.arange(-4.0, 5), torch.arange(-4.0, 5), indexing="ij")
        along, across = x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin()
        kernel = torch.exp(-0.5 * ((along / long) ** 2 + (across / short) ** 2))
        kernel = (kernel / kernel.sum((1, 2), keepdim=True)).repeat_interleave(channels, 0)[:, None]
        flat = F.pad(view.reshape(1, -1, *view.shape[2:]), (4, 4, 4, 4), mode="reflect")
        return F.conv2d(flat, kernel, groups=count * channels).view_as(view)


def _sample(pixels: Tensor, grid: Tensor, padding_mode: str) -> Tensor:
    """Sample (B, C, S, S) uint8 at the grid (B, T, T, 2); returns (B, C, T, T) float32 in [0, 1]."""
    return F.grid_sample(pixels.float(), grid, padding_mode=padding_mode, align_corners=False).mul_(1 / 255)


def _project(homography: Tensor, side: int) -> Tensor:
    """Return the sampling grid, (B, T, T, 2), of (B, 3, 3) homographies from view to picture, both in [-1, 1]."""
    ruler = (torch.arange(side) + 0.5) / side * 2 - 1
    y, x = torch.meshgrid(ruler, ruler, indexing="ij")
    points = torch.stack([x, y, torch.ones_like(x)], -1).view(-1, 3) @ homography.mT
    depth = points[..., 2:].clamp(min=0.2)
    return (points[..., :2] / depth).view(-1, side, side, 2)


def plain_views(pixels: Tensor, aspect: Tensor, cut_out: Tensor, side: int, background: Tensor | None = None) -> Tensor:
    """Return pictures without augmentation, as a device sees them: the middle of a photo, a whole cut-out on white.

    Args:
        pixels: (B, 4, S, S) uint8, premultiplied RGBA.
        aspect: (B,) float32, width / height.
        cut_out: (B,) bool, True for pictures with transparent surroundings.
        side: T.
        background: (B, 4, S, S) uint8, shown behind cut-outs, which are then smaller; None for white.
    Returns:
        (B, 3, T, T) float32 in [-1, 1].
    """
    longer = aspect.clamp(min=1)
    wide, high = aspect / longer, 1 / longer
    filled = 0.9 if background is None else 0.65
    reach = torch.where(cut_out, torch.tensor(1 / filled), 0.875 * torch.minimum(wide, high))
    homography = torch.zeros(len(aspect), 3, 3)
    homography[:, 0, 0], homography[:, 1, 1], homography[:, 2, 2] = reach / wide, reach / high, 1
    layer = _sample(pixels, _project(homography, side), padding_mode="zeros")
    scene = 1.0 if background is None else F.interpolate(background[:, :3].float(), size=side, mode="bilinear") / 255
    view = layer[:, :3] + (1 - layer[:, 3:]) * scene
    return (view * 2 - 1).contiguous(memory_format=torch.channels_last)
