"""Align a photo with a reference picture, and measure where the two differ.

The map that most keypoints agree on (`geometry`) aligns the photo. One smooth warp corrects what a map of a plane
leaves: the curve of a can, the camera's angle. It is fitted to the offset of each window of the photo from its expected
position, and damage hardly bends it. Windows are compared by the covariance and contrast terms of SSIM (Wang et al.,
Image Quality Assessment, IEEE TIP 2004), without its brightness term, so that light does not count. Colour is compared
separately, as shares of the light and after one fit for the whole picture, so that the colour of a lamp does not count.

On 96 photos of drawn products (seed 31), the sum by which `compare` judges tells damaged parts from sound ones with an
area under the curve of 0.82; if each window were moved like its neighbours instead, 0.71.

Shapes: F px, the longer side of the frame in which both are compared; h, w px, the sides of the frame.
"""

from typing import NamedTuple

import numpy as np

from ..images import augmented_views
from . import geometry
from .descriptors import LocalFeatures

FRAME = 192  # px
PASSES, FITS = 2, 5
COARSE_REACH, FINE_REACH = 6, 3  # px in each direction; the coarse search works at half the size
MARGIN = 17  # px; windows within half of it of the edge also show the product's surroundings
WINDOW = 13  # px, at the size of either search
SOFT = 3  # px of blur for both pictures; a hurried photo has as much
FLAT = 60.0  # variance of grey levels below which a window shows nothing
DIM = 0.05  # share of full light below which a colour is noise


class AlignedPair(NamedTuple):
    """A photo in the frame of a reference picture.

    Attributes:
        reference: (h, w, 3) float32, 0 to 255.
        photo: (h, w, 3) float32, 0 to 255.
        visible: (h, w) bool, inside the photo.
        scale: px of the photo per px of the frame.
        affine: (2, 3) float64, passed to `align`.
    """

    reference: np.ndarray
    photo: np.ndarray
    visible: np.ndarray
    scale: float
    affine: np.ndarray


def match_features(photo: LocalFeatures, reference: LocalFeatures) -> tuple[geometry.AffineFit, np.ndarray]:
    """Find the map that most keypoints of two pictures agree on.

    Returns: the fit, and the keypoints of the reference that agree, (P, 4) float32.
    """
    if min(len(photo.descriptors), len(reference.descriptors)) < 2:
        return geometry.NO_FIT, np.empty((0, 4), np.float32)
    distances = 2 - 2 * photo.descriptors @ reference.descriptors.T
    nearest = distances.argmin(1)
    two_lowest = np.partition(distances, 1, axis=1)
    passed = np.flatnonzero(two_lowest[:, 0] < geometry.RATIO**2 * two_lowest[:, 1])  # Lowe's ratio test
    passed = passed[np.argsort(two_lowest[passed, 0], kind="stable")]
    _, unique = np.unique(nearest[passed], return_index=True)  # a reference keypoint matches once
    passed = passed[np.sort(unique)]
    source, target = reference.keypoints[nearest[passed]], photo.keypoints[passed]
    fit = geometry.fit_affine(target, source)
    if not fit.inliers:
        return fit, source[:0]
    scale = np.sqrt(np.linalg.det(fit.affine[:, :2]))
    errors = np.hypot(*(source[:, :2] @ fit.affine[:, :2].T + fit.affine[:, 2] - target[:, :2]).T) / scale
    return fit, source[errors < geometry.TOLERANCES[-1]]


def align(photo: np.ndarray, reference: np.ndarray, affine: np.ndarray, frame: int = FRAME) -> AlignedPair:
    """Warp a photo into the frame of a reference picture.

    Args:
        photo: (H, W, 3) uint8.
        reference: (R, Q, 3) uint8.
        affine: (2, 3) float64, from the reference to the photo, both in shares of their longer side.
        frame: px of the frame's longer side.
    """
    height, width = (max(1, round(frame * n / max(reference.shape[:2]))) for n in reference.shape[:2])
    scale = float(np.sqrt(np.linalg.det(affine[:, :2]))) * max(photo.shape[:2]) / frame
    factor = max(1, int(scale))  # average so many px, so that none is skipped
    small = _average_blocks(photo, factor)
    y, x = np.mgrid[:height, :width] / frame
    mapped = np.tensordot(affine[:, :2], np.stack([x, y]), 1) + affine[:, 2, None, None]
    x, y = mapped * max(photo.shape[:2]) / factor - 0.5  # px of the reduced photo
    visible = (x >= 0) & (y >= 0) & (x <= small.shape[1] - 1) & (y <= small.shape[0] - 1)
    picture = _resize(_average_blocks(reference, max(1, max(reference.shape[:2]) // frame)), (height, width))
    return AlignedPair(picture, _sample(small, x, y), visible, scale, affine)


def find_shared_area(pair: AlignedPair, keypoints: np.ndarray) -> np.ndarray:
    """Return the area that both pictures show, within the matched keypoints and away from the product's edge.

    A plain background is no part of it.

    Args:    keypoints: (P, 4) float32, of the reference, from `match_features`.
    Returns: (h, w) bool.
    """
    mask = augmented_views.product_mask(np.asarray(pair.reference.round(), np.uint8))
    whole = _mean(((mask > 127) & pair.visible).astype(np.float32), MARGIN) > 0.99
    return whole & _fill_hull(keypoints[:, :2] * max(pair.visible.shape), pair.visible.shape)


def _fill_hull(points: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Fill the convex hull of points x, y: (P, 2) -> (h, w) bool (Andrew's monotone chain)."""
    points = np.unique(points.astype(np.float64).round(1), axis=0)  # in order of x, then y
    corners: list[np.ndarray] = []
    for ordered in (points, points[::-1]):
        side: list[np.ndarray] = []
        for point in ordered:
            while len(side) > 1 and _turn(side[-2], side[-1], point[0], point[1]) <= 0:
                side.pop()
            side.append(point)
        corners += side[:-1]
    y, x = np.mgrid[: size[0], : size[1]]
    inside = np.full(size, len(corners) > 2)
    for start, end in zip(corners, [*corners[1:], *corners[:1]], strict=True):
        inside &= _turn(start, end, x, y) >= 0
    return inside


def _turn(start: np.ndarray, end: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return numbers above 0 for points right of the line from start to end, with y pointing down."""
    return np.asarray((end[0] - start[0]) * (y - start[1]) - (end[1] - start[1]) * (x - start[0]))


def measure_differences(pair: AlignedPair, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Measure where two pictures differ in printed details and in colour.

    Args:    inside: (h, w) bool, from `find_shared_area`.
    Returns: (h, w) float32 each, 0 where the pictures agree, 2 at most.
    """
    soft = [_mean(part, SOFT) for part in (pair.reference, pair.photo)]
    first, second = (part @ np.array([0.299, 0.587, 0.114], np.float32) for part in soft)
    second = _match_contrast(first, second, inside)
    y, x = np.mgrid[: first.shape[0], : first.shape[1]].astype(np.float32)
    moved = both = np.dstack([soft[1], second])
    for _ in range(PASSES):
        dy, dx = _fit_warp(first, moved[..., 3], inside.astype(np.float32))
        y, x = y + dy, x + dx
        moved = _sample(both, x, y)
    best, _, _ = _match_windows(first, moved[..., 3], FINE_REACH)
    return 1 - best, _compare_colours(soft[0], moved[..., :3], inside)


def _fit_warp(first: np.ndarray, second: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the offset of the second picture, px down and right, (h, w) float32 each, as one smooth warp."""
    halves = [_average_blocks(part[..., None], 2)[..., 0] for part in (first, second)]
    best, *steps = _match_windows(halves[0], halves[1], COARSE_REACH)
    weight = best.clip(0.01) ** 4 * np.sqrt(_variance(halves[0], WINDOW) + 1)
    weight = weight * _average_blocks(inside[..., None], 2)[..., 0]
    powers = _make_powers(halves[0].shape).reshape(-1, 6)
    warp = []
    for step in steps:  # iteratively reweighted, regularized least squares
        offsets, trust = step.ravel(), weight.ravel().astype(np.float64) + 1e-9
        for _ in range(FITS):
            scaled = powers * trust[:, None]
            coefficients = np.linalg.solve(scaled.T @ powers + 1e-6 * trust.sum() * np.eye(6), scaled.T @ offsets)
            trust = weight.ravel() / (1 + (offsets - powers @ coefficients) ** 2) + 1e-9  # outliers count little
        warp.append(2 * (_make_powers(first.shape) @ coefficients).astype(np.float32))
    return warp[0], warp[1]


def _make_powers(size: tuple[int, ...]) -> np.ndarray:
    """Return the six terms of a quadratic polynomial in each pixel's position: (h, w, 6) float64."""
    y, x = np.mgrid[: size[0], : size[1]] / max(size) - 0.5
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], 2)


def _match_windows(first: np.ndarray, second: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the most similar nearby window for each window.

    Returns: (h, w) each: similarity, at most 1, and the window's offset, px down and right.
    """
    means, variances = _mean(first, WINDOW), _variance(first, WINDOW)
    best = np.full(first.shape, -2, np.float32)
    down, right = np.zeros_like(best), np.zeros_like(best)
    padded = np.pad(second, reach, "edge")
    other_means, other_variances = _mean(padded, WINDOW), _variance(padded, WINDOW)
    steps = [(y, x) for y in range(-reach, reach + 1) for x in range(-reach, reach + 1)]
    for y, x in sorted(steps, key=lambda step: abs(step[0]) + abs(step[1])):  # the nearest of equals wins
        part = (slice(reach + y, reach + y + first.shape[0]), slice(reach + x, reach + x + first.shape[1]))
        covariance = _mean(first * padded[part], WINDOW) - means * other_means[part]
        alike = (2 * covariance + FLAT) / (variances + other_variances[part] + FLAT)
        better = alike > best + 1e-3
        best, down, right = np.where(better, alike, best), np.where(better, y, down), np.where(better, x, right)
    return best, down, right


def _compare_colours(first: np.ndarray, second: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Return the distance of the colours, in shares of the light, after one fit for the whole: (h, w) float32."""
    one, other = (_colour_shares(_mean(part, WINDOW // 2)) for part in (first, second))
    squares = np.zeros(visible.shape, np.float32)
    for k in range(2):
        x, y = one[..., k][visible], other[..., k][visible]
        gain, shift = _fit_line(x, y)
        squares += (other[..., k] - gain * one[..., k] - shift) ** 2
    return np.sqrt(squares)


def _colour_shares(picture: np.ndarray) -> np.ndarray:
    """Return red and blue minus green, in shares of the light: (h, w, 3) float32 -> (h, w, 2) float32."""
    light = picture.sum(2) + 3 * 255 * DIM
    return np.stack([(picture[..., 0] - picture[..., 1]) / light, (picture[..., 2] - picture[..., 1]) / light], 2)


def _fit_line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Fit a line to points (N,), repeatedly to the points near it; return gain and shift."""
    gain, shift = 1.0, float(np.median(y - x)) if len(x) else 0.0
    for _ in range(4):
        errors = np.abs(y - gain * x - shift)
        near = errors <= np.quantile(errors, 0.7) if len(errors) else errors > 0
        spread = float(x[near].var()) if near.any() else 0.0
        if spread < 1e-4:  # a single colour has no gain
            return 1.0, float(np.median(y - x)) if len(x) else 0.0
        gain = float(np.clip(((x[near] - x[near].mean()) * (y[near] - y[near].mean())).mean() / spread, 0.6, 1.4))
        shift = float(np.median(y[near] - gain * x[near]))
    return gain, shift


def _match_contrast(first: np.ndarray, second: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Scale the second picture (h, w) to the contrast of the first, by the median of their windows."""
    textured = visible & (_variance(first, WINDOW) > FLAT)
    if not textured.any():
        return second
    ratio = np.median(_variance(first, WINDOW)[textured]) / max(1.0, np.median(_variance(second, WINDOW)[textured]))
    return np.asarray(second * np.float32(np.clip(np.sqrt(ratio), 0.5, 3)), np.float32)


def _variance(picture: np.ndarray, side: int) -> np.ndarray:
    """Return the variance in the square of an odd side around each pixel: (h, w) float32 -> (h, w) float32."""
    return (_mean(picture * picture, side) - _mean(picture, side) ** 2).clip(0)


def _mean(picture: np.ndarray, side: int) -> np.ndarray:
    """Average the square of an odd side around each pixel of (H, W, ...); repeat the pixels of the border outside."""
    half = side // 2
    flat = picture.reshape(*picture.shape[:2], -1).astype(np.float64)
    padded = np.pad(flat, ((half + 1, half), (half + 1, half), (0, 0)), "edge")
    sums = padded.cumsum(0).cumsum(1)
    side = 2 * half + 1
    total = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return (total / side**2).astype(np.float32).reshape(picture.shape)


def _average_blocks(picture: np.ndarray, factor: int) -> np.ndarray:
    """Average blocks of pixels: (H, W, C) -> (H / factor, W / factor, C) float32."""
    height, width = (n // factor * factor for n in picture.shape[:2])
    blocks = picture[:height, :width].astype(np.float32)
    blocks = blocks.reshape(height // factor, factor, width // factor, factor, -1)
    return blocks.mean((1, 3))


def _resize(picture: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Resize a picture: (H, W, C) float32 -> (*size, C) float32."""
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32) + 0.5
    return _sample(picture, x * picture.shape[1] / size[1] - 0.5, y * picture.shape[0] / size[0] - 0.5)


def _sample(picture: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Sample a picture (H, W, C) bilinearly at px x, y (h, w); repeat the pixels of the border outside."""
    x, y = x.clip(0, picture.shape[1] - 1), y.clip(0, picture.shape[0] - 1)
    left, top = (
        np.floor(n).astype(int).clip(0, most - 2) for n, most in ((x, picture.shape[1]), (y, picture.shape[0]))
    )
    u, v = ((x - left)[..., None].astype(np.float32), (y - top)[..., None].astype(np.float32))
    upper = picture[top, left] * (1 - u) + picture[top, left + 1] * u
    lower = picture[top + 1, left] * (1 - u) + picture[top + 1, left + 1] * u
    return np.asarray(upper * (1 - v) + lower * v, np.float32)
