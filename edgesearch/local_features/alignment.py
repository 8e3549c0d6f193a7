"""A photo laid onto a reference picture, and where the two then differ.

Keypoints that agree on one affine map (`geometry`) lay the photo onto the picture. What a map of a plane leaves, the
curve of a can or the camera's angle, one bent sheet mends, fitted to how far each window of the photo lies from where
it should be; damage bends it little. Two windows are compared by what is left of SSIM (Wang et al., Image Quality
Assessment, IEEE TIP 2004) without its brightness: covariance and contrast, so that light does not count. Their colour
is compared apart, by its share in the light and after one fit of the whole, so that a lamp's does not.

On 96 photos of drawn products (seed 31), the sum that `compare` judges by parts sound from other ones with an area
under the curve of 0.82; where each window was moved as those around it, with 0.71.

F px, the longer side of the frame in which both are compared; h, w its sides.
"""

from typing import NamedTuple

import numpy as np

from ..images import augmented_views
from . import geometry
from .descriptors import LocalFeatures
from .local_index import RATIO

FRAME = 192  # px
PASSES, FITS = 2, 5
COARSE_REACH, FINE_REACH = 6, 3  # px either way; the first at half the size
MARGIN = 17  # px; windows nearer to the edge than half of it show what is beside the product
WINDOW = 13  # px, of the fine comparison; the coarse one's, at half the size, is as many
SOFT = 3  # px; both pictures are as blurred as a hurried photo is
FLAT = 60.0  # variance below which a window shows nothing, of grey levels
DIM = 0.05  # of full light, below which a colour is noise


class Laid(NamedTuple):
    """A photo in the frame of a reference picture.

    Attributes: reference, photo: (h, w, 3) float32, 0 to 255; seen: (h, w) bool, inside the photo;
                scale: px of the photo for one of the frame; affine: (2, 3) float64, as `laid` takes it.
    """

    reference: np.ndarray
    photo: np.ndarray
    seen: np.ndarray
    scale: float
    affine: np.ndarray


def agreement(photo: LocalFeatures, reference: LocalFeatures) -> tuple[geometry.Agreement, np.ndarray]:
    """The map that most keypoints of two pictures agree on, and the reference's keypoints that do, (P, 4)."""
    if min(len(photo.descriptors), len(reference.descriptors)) < 2:
        return geometry.NOTHING, np.empty((0, 4), np.float32)
    distances = 2 - 2 * photo.descriptors @ reference.descriptors.T
    nearest = distances.argmin(1)
    two = np.partition(distances, 1, axis=1)
    asked = np.flatnonzero(two[:, 0] < RATIO**2 * two[:, 1])
    asked = asked[np.argsort(two[asked, 0], kind="stable")]
    _, once = np.unique(nearest[asked], return_index=True)
    asked = asked[np.sort(once)]
    came, to = reference.keypoints[nearest[asked]], photo.keypoints[asked]
    found = geometry.agree(to, came)
    if not found.places:
        return found, came[:0]
    scale = np.sqrt(np.linalg.det(found.affine[:, :2]))
    off = np.hypot(*(came[:, :2] @ found.affine[:, :2].T + found.affine[:, 2] - to[:, :2]).T) / scale
    return found, came[off < geometry.TOLERANCES[-1]]


def laid(photo: np.ndarray, reference: np.ndarray, affine: np.ndarray, frame: int = FRAME) -> Laid:
    """A photo as a map sees it from the reference.

    Args:    photo: (H, W, 3) uint8; reference: (R, Q, 3) uint8; affine: (2, 3) float64, from the reference to the
             photo, both in shares of their longer side; frame: px of its longer side.
    """
    tall, wide = (max(1, round(frame * n / max(reference.shape[:2]))) for n in reference.shape[:2])
    scale = float(np.sqrt(np.linalg.det(affine[:, :2]))) * max(photo.shape[:2]) / frame
    less = max(1, int(scale))  # means of so many px, so that none is passed over
    small = _means(photo, less)
    y, x = np.mgrid[:tall, :wide] / frame
    at = np.tensordot(affine[:, :2], np.stack([x, y]), 1) + affine[:, 2, None, None]
    at = at * max(photo.shape[:2]) / less - 0.5
    seen = (at >= 0).all(0) & (at[0] <= small.shape[1] - 1) & (at[1] <= small.shape[0] - 1)
    picture = _sampled(_means(reference, max(1, max(reference.shape[:2]) // frame)), (tall, wide))
    return Laid(picture, _bilinear(small, at[0], at[1]), seen, scale, affine)


def shared(pair: Laid, keypoints: np.ndarray) -> np.ndarray:
    """(h, w) bool: what of the frame both show: between the keypoints that agree, and away from the product's edge.

    A plain background is none of it. keypoints: (P, 4) of the reference.
    """
    mask = augmented_views.product_mask(np.asarray(pair.reference.round(), np.uint8))
    whole = _mean(((mask > 127) & pair.seen).astype(np.float32), MARGIN) > 0.99
    return whole & _between(keypoints[:, :2] * FRAME, pair.seen.shape)


def _between(points: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """(h, w) bool: inside the convex hull of (P, 2) points x, y (Andrew's monotone chain)."""
    points = np.unique(points.astype(np.float64).round(1), axis=0)  # in order of x, then y
    corners: list[np.ndarray] = []
    for way in (points, points[::-1]):
        side: list[np.ndarray] = []
        for point in way:
            while len(side) > 1 and _turn(side[-2], side[-1], point[0], point[1]) <= 0:
                side.pop()
            side.append(point)
        corners += side[:-1]
    y, x = np.mgrid[: size[0], : size[1]]
    inside = np.full(size, len(corners) > 2)
    for one, other in zip(corners, [*corners[1:], *corners[:1]], strict=True):
        inside &= _turn(one, other, x, y) >= 0
    return inside


def _turn(one: np.ndarray, other: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Above 0 where a point lies to the right of the way from one point to another, y pointing down."""
    return np.asarray((other[0] - one[0]) * (y - one[1]) - (other[1] - one[1]) * (x - one[0]))


def differences(pair: Laid, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where two pictures differ in print, and in colour: (h, w) float32 each, 0 where they agree, 2 at most.

    Args:    inside: (h, w) bool, what both show.
    """
    soft = [_mean(part, SOFT) for part in (pair.reference, pair.photo)]
    first, second = (part @ np.array([0.299, 0.587, 0.114], np.float32) for part in soft)
    second = _same_contrast(first, second, inside)
    y, x = np.mgrid[: first.shape[0], : first.shape[1]].astype(np.float32)
    moved = both = np.dstack([soft[1], second])
    for _ in range(PASSES):
        dy, dx = _displacement(first, moved[..., 3], inside.astype(np.float32))
        y, x = y + dy, x + dx
        moved = _bilinear(both, x, y)
    best, _, _ = _matched(first, moved[..., 3], FINE_REACH)
    return 1 - best, _colours(soft[0], moved[..., :3], inside)


def _displacement(first: np.ndarray, second: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(h, w) float32 each, px: how far the second picture lies from where it should be, as one bent sheet."""
    halves = [_means(part[..., None], 2)[..., 0] for part in (first, second)]
    best, *steps = _matched(halves[0], halves[1], COARSE_REACH)
    weight = best.clip(0.01) ** 4 * np.sqrt(_variance(halves[0], WINDOW) + 1) * _means(inside[..., None], 2)[..., 0]
    at = _powers(halves[0].shape).reshape(-1, 6)
    found = []
    for step in steps:
        off, trust = step.ravel(), weight.ravel().astype(np.float64) + 1e-9
        for _ in range(FITS):
            scaled = at * trust[:, None]
            bent = np.linalg.solve(scaled.T @ at + 1e-6 * trust.sum() * np.eye(6), scaled.T @ off)
            trust = weight.ravel() / (1 + (off - at @ bent) ** 2) + 1e-9  # what is off by much pulls little
        found.append(2 * (_powers(first.shape) @ bent).astype(np.float32))
    return found[0], found[1]


def _powers(size: tuple[int, ...]) -> np.ndarray:
    """(h, w, 6): what a bent sheet is made of."""
    y, x = np.mgrid[: size[0], : size[1]] / max(size) - 0.5
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], 2)


def _matched(first: np.ndarray, second: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How alike each window and the most like of those nearby are, at most 1; how far that lies, px down and right."""
    one, own = _mean(first, WINDOW), _variance(first, WINDOW)
    best = np.full(first.shape, -2, np.float32)
    down, right = np.zeros_like(best), np.zeros_like(best)
    padded = np.pad(second, reach, "edge")
    sums, other = _mean(padded, WINDOW), _variance(padded, WINDOW)
    steps = [(y, x) for y in range(-reach, reach + 1) for x in range(-reach, reach + 1)]
    for y, x in sorted(steps, key=lambda step: abs(step[0]) + abs(step[1])):  # of equals the nearest
        part = (slice(reach + y, reach + y + first.shape[0]), slice(reach + x, reach + x + first.shape[1]))
        together = _mean(first * padded[part], WINDOW) - one * sums[part]
        alike = (2 * together + FLAT) / (own + other[part] + FLAT)
        better = alike > best + 1e-3
        best, down, right = np.where(better, alike, best), np.where(better, y, down), np.where(better, x, right)
    return best, down, right


def _colours(first: np.ndarray, second: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(h, w) float32: how far apart the colours are, in shares of the light, after one fit of the whole."""
    one, other = (_shares(_mean(part, WINDOW // 2)) for part in (first, second))
    off = np.zeros(seen.shape, np.float32)
    for k in range(2):
        x, y = one[..., k][seen], other[..., k][seen]
        gain, shift = _line(x, y)
        off += (other[..., k] - gain * one[..., k] - shift) ** 2
    return np.sqrt(off)


def _shares(picture: np.ndarray) -> np.ndarray:
    """(h, w, 2): red and blue less green, in shares of the light."""
    light = picture.sum(2) + 3 * 255 * DIM
    return np.stack([(picture[..., 0] - picture[..., 1]) / light, (picture[..., 2] - picture[..., 1]) / light], 2)


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Gain and shift of a line that half the points need not follow: fitted again and again to those that do."""
    gain, shift = 1.0, float(np.median(y - x)) if len(x) else 0.0
    for _ in range(4):
        off = np.abs(y - gain * x - shift)
        near = off <= np.quantile(off, 0.7) if len(off) else off > 0
        spread = float(x[near].var()) if near.any() else 0.0
        if spread < 1e-4:  # one colour alone says nothing of a gain
            return 1.0, float(np.median(y - x)) if len(x) else 0.0
        gain = float(np.clip(((x[near] - x[near].mean()) * (y[near] - y[near].mean())).mean() / spread, 0.6, 1.4))
        shift = float(np.median(y[near] - gain * x[near]))
    return gain, shift


def _same_contrast(first: np.ndarray, second: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """The second picture with the contrast of the first, as the median of its windows has it."""
    shown = seen & (_variance(first, WINDOW) > FLAT)
    if not shown.any():
        return second
    ratio = np.median(_variance(first, WINDOW)[shown]) / max(1.0, np.median(_variance(second, WINDOW)[shown]))
    return np.asarray(second * np.float32(np.clip(np.sqrt(ratio), 0.5, 3)), np.float32)


def _variance(picture: np.ndarray, side: int) -> np.ndarray:
    return (_mean(picture * picture, side) - _mean(picture, side) ** 2).clip(0)


def _mean(picture: np.ndarray, side: int) -> np.ndarray:
    """The mean of the square of an odd side around each place; beyond the border its pixels go on."""
    half = side // 2
    flat = picture.reshape(*picture.shape[:2], -1).astype(np.float64)
    padded = np.pad(flat, ((half + 1, half), (half + 1, half), (0, 0)), "edge")
    sums = padded.cumsum(0).cumsum(1)
    side = 2 * half + 1
    total = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return (total / side**2).astype(np.float32).reshape(picture.shape)


def _means(picture: np.ndarray, factor: int) -> np.ndarray:
    """(H, W, C) -> (H / factor, W / factor, C) float32, the means of blocks."""
    tall, wide = (n // factor * factor for n in picture.shape[:2])
    blocks = picture[:tall, :wide].astype(np.float32).reshape(tall // factor, factor, wide // factor, factor, -1)
    return blocks.mean((1, 3))


def _sampled(picture: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """(H, W, C) float32 -> the same of another size."""
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32) + 0.5
    return _bilinear(picture, x * picture.shape[1] / size[1] - 0.5, y * picture.shape[0] / size[0] - 0.5)


def _bilinear(picture: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(H, W, C) float32 at places in px; beyond the border its pixels go on."""
    x, y = x.clip(0, picture.shape[1] - 1), y.clip(0, picture.shape[0] - 1)
    left, top = (
        np.floor(n).astype(int).clip(0, most - 2) for n, most in ((x, picture.shape[1]), (y, picture.shape[0]))
    )
    u, v = ((x - left)[..., None].astype(np.float32), (y - top)[..., None].astype(np.float32))
    upper = picture[top, left] * (1 - u) + picture[top, left + 1] * u
    lower = picture[top + 1, left] * (1 - u) + picture[top + 1, left + 1] * u
    return np.asarray(upper * (1 - v) + lower * v, np.float32)
