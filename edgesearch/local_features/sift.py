"""Detect scale-invariant features: keypoints, and descriptors of their surroundings.

Lowe, Distinctive Image Features from Scale-Invariant Keypoints, IJCV 2004. Descriptors are square roots of histograms
(Arandjelović, Zisserman, Three Things Everyone Should Know to Improve Object Retrieval, CVPR 2012). Unlike Lowe, this
reads gradients on a fixed grid that is scaled and rotated with the keypoint, so all keypoints cost the same. `sift.c`
does the work; the numpy twin below is its specification, and replaces it if it is not compiled.

Shapes: H, W px of the picture; h, w px of an octave; P keypoints. A turn is a full circle, from x to y.
"""

from typing import NamedTuple

import numpy as np

from .._util.compiled import warn_not_compiled

try:
    from . import _sift  # type: ignore[attr-defined]
except ImportError:
    _sift = None
    warn_not_compiled()

DIM = 128
DESCRIPTOR_SCALE = 512  # of the unit vector that a descriptor stores
LAYERS = 3  # scales of an octave that have keypoints
SIGMA = 1.6  # px, blur of an octave's first picture
CAMERA_SIGMA = 0.5  # px, blur that every photo is assumed to have
CONTRAST = 255 * 0.04 / LAYERS
EDGE = 10  # largest ratio of the two curvatures
BORDER = 5  # px at the edge without keypoints
MIN_SIDE = 16  # px of the smallest octave
MAX_PIXELS = 1 << 21
REFINEMENTS = 5
TURNS = 36  # bins of the histogram of gradients that gives a keypoint its direction
TURN_SIDE = 13  # samples per side of that histogram's grid
TURN_SIGMA = 1.5  # of the weights of that grid, in sigmas of the keypoint
PEAK = 0.8  # share of the highest peak that makes another peak a direction too
SPACING = 0.75  # of both grids, in sigmas of the keypoint
CELLS, DIRECTIONS, GRID = 4, 8, 20  # of a descriptor: cells per side, bins of a cell, samples per side
CLIP = 0.2  # largest share of one value in the length of a descriptor


class SiftFeatures(NamedTuple):
    """The features of a picture, strongest first.

    Attributes:
        keypoints: (P, 4) float32: x, y and sigma in px, direction in turns, 0 to 1.
        descriptors: (P, 128) uint8, unit vectors times `DESCRIPTOR_SCALE`.
    """

    keypoints: np.ndarray
    descriptors: np.ndarray


def detect(grey: np.ndarray, limit: int) -> SiftFeatures:
    """Detect the strongest features.

    Args:    grey: (H, W) uint8, at most `MAX_PIXELS`; limit: most features to return.
    Raises:  ValueError: grey is not (H, W) uint8, is empty, or is larger than `MAX_PIXELS`.
    """
    if grey.ndim != 2 or grey.dtype != np.uint8 or not 0 < grey.size <= MAX_PIXELS:
        raise ValueError(f"got {grey.dtype} of shape {grey.shape}; expected (H, W) uint8, at most {MAX_PIXELS:,} px.")
    if _sift is None:
        return detect_by_numpy(grey, limit)
    keypoints, descriptors = np.empty((limit, 4), np.float32), np.empty((limit, DIM), np.uint8)
    found = _sift.detect(np.ascontiguousarray(grey), *grey.shape[::-1], keypoints, descriptors)
    return SiftFeatures(keypoints[:found], descriptors[:found])


def detect_by_numpy(grey: np.ndarray, limit: int) -> SiftFeatures:
    """Specify `detect`. grey: (H, W) uint8."""
    points: list[tuple[int, int, float, float, float, float]] = []
    octaves: list[np.ndarray] = []
    blurred = _blur(grey.astype(np.float64), (SIGMA**2 - CAMERA_SIGMA**2) ** 0.5)
    while min(blurred.shape) >= MIN_SIDE and len(octaves) < 8:
        octaves.append(_blur_octave(blurred))
        points += [(len(octaves) - 1, *point) for point in _find_points(np.diff(octaves[-1], axis=0))]
        blurred = octaves[-1][LAYERS][::2, ::2]
    points.sort(key=lambda point: -point[-1])
    keypoints, descriptors = [], []
    for number, layer, x, y, sigma, _ in points:
        picture, scale = octaves[number][layer], 2**number
        for turn in _find_directions(picture, x, y, sigma):
            keypoints.append((x * scale, y * scale, sigma * scale, turn))
            descriptors.append(_describe(picture, x, y, sigma, turn))
        if len(keypoints) >= limit:
            break
    shapes = (-1, 4), (-1, DIM)
    return SiftFeatures(
        np.array(keypoints[:limit], np.float32).reshape(shapes[0]),
        np.array(descriptors[:limit], np.uint8).reshape(shapes[1]),
    )


def _blur_octave(first: np.ndarray) -> np.ndarray:
    """Compute an octave from its first picture: (h, w) -> (6, h, w); sigma doubles every three pictures."""
    pictures = [first]
    for i in range(1, LAYERS + 3):
        before, after = SIGMA * 2 ** ((i - 1) / LAYERS), SIGMA * 2 ** (i / LAYERS)
        pictures.append(_blur(pictures[-1], (after**2 - before**2) ** 0.5))
    return np.stack(pictures)


def _blur(picture: np.ndarray, sigma: float) -> np.ndarray:
    """Blur a picture (h, w) with a Gaussian; reflect it at its outermost pixel."""
    radius = int(np.ceil(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    for axis in (0, 1):
        padded = np.pad(picture, [(radius, radius) if a == axis else (0, 0) for a in (0, 1)], mode="reflect")
        picture = np.apply_along_axis(np.convolve, axis, padded, kernel, mode="valid")
    return picture


def _find_points(dogs: np.ndarray) -> list[tuple[int, float, float, float, float]]:
    """Find the extrema of the differences of blurs (5, h, w): layer, x and y in px of the octave, sigma, strength."""
    inner = (slice(1, -1), slice(BORDER, -BORDER), slice(BORDER, -BORDER))
    if min(dogs.shape[1:]) <= 2 * BORDER:
        return []
    cubes = np.lib.stride_tricks.sliding_window_view(dogs, (3, 3, 3))[
        :, BORDER - 1 : 1 - BORDER, BORDER - 1 : 1 - BORDER
    ]
    here = dogs[inner]
    extreme = np.where(here > 0, here >= cubes.max((3, 4, 5)), here <= cubes.min((3, 4, 5)))
    candidates = np.argwhere(extreme & (np.abs(here) > CONTRAST / 2)) + np.array((1, BORDER, BORDER))
    return [found for candidate in candidates if (found := _refine(dogs, candidate)) is not None]


def _refine(dogs: np.ndarray, point: np.ndarray) -> tuple[int, float, float, float, float] | None:
    """Move a point (layer, y, x) to the extremum of the parabola through its neighbours; `None` if there is none."""
    lowest = np.array((1, BORDER, BORDER))
    for _ in range(REFINEMENTS):
        cube = dogs[tuple(slice(i - 1, i + 2) for i in point)]
        gradient, hessian = _derivatives(cube)
        if np.linalg.det(hessian) == 0:
            return None
        offset = -np.linalg.solve(hessian, gradient)
        if (np.abs(offset) < 0.5).all():
            strength = abs(cube[1, 1, 1] + gradient @ offset / 2)
            trace, curvature = np.trace(hessian[1:, 1:]), np.linalg.det(hessian[1:, 1:])
            if strength < CONTRAST or trace**2 * EDGE >= (EDGE + 1) ** 2 * curvature:
                return None
            layer, y, x = point + offset
            return int(point[0]), float(x), float(y), float(SIGMA * 2 ** (layer / LAYERS)), float(strength)
        if (np.abs(offset) >= MAX_PIXELS).any():
            return None
        point = point + np.rint(offset).astype(int)
        if (point < lowest).any() or (point >= np.array(dogs.shape) - lowest).any():
            return None
    return None


def _derivatives(cube: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return gradient (3,) and Hessian (3, 3) in the middle of values (3, 3, 3), by differences."""

    def mixed(faces: np.ndarray) -> float:
        return float(faces[1, 1] - faces[1, 0] - faces[0, 1] + faces[0, 0]) / 4

    line = [cube[:, 1, 1], cube[1, :, 1], cube[1, 1, :]]
    gradient = np.array([(values[2] - values[0]) / 2 for values in line])
    hessian = np.diag([values[2] + values[0] - 2 * values[1] for values in line])
    hessian[0, 1] = hessian[1, 0] = mixed(cube[::2, ::2, 1])
    hessian[0, 2] = hessian[2, 0] = mixed(cube[::2, 1, ::2])
    hessian[1, 2] = hessian[2, 1] = mixed(cube[1, ::2, ::2])
    return gradient, hessian


def _read_gradients(picture: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return length and direction, in turns, of the gradients at the pixels nearest to (x, y); length 0 outside."""
    columns, rows = np.floor(x + 0.5).astype(int), np.floor(y + 0.5).astype(int)
    inside = (columns >= 1) & (columns <= picture.shape[1] - 2) & (rows >= 1) & (rows <= picture.shape[0] - 2)
    columns, rows = np.where(inside, columns, 1), np.where(inside, rows, 1)
    gx = picture[rows, columns + 1] - picture[rows, columns - 1]
    gy = picture[rows + 1, columns] - picture[rows - 1, columns]
    return np.hypot(gx, gy) * inside, np.arctan2(gy, gx) / (2 * np.pi) % 1


def _find_directions(picture: np.ndarray, x: float, y: float, sigma: float) -> list[float]:
    """Return the main directions of the gradients around a keypoint, in turns."""
    steps = np.arange(TURN_SIDE) - TURN_SIDE // 2
    v, u = (
        axis[np.add.outer(steps**2, steps**2) <= TURN_SIDE**2 // 4] * SPACING
        for axis in np.meshgrid(steps, steps, indexing="ij")
    )
    length, turn = _read_gradients(picture, x + u * sigma, y + v * sigma)
    weights = length * np.exp(-(u**2 + v**2) / (2 * TURN_SIGMA**2))
    histogram = np.bincount(np.rint(turn * TURNS).astype(int) % TURNS, weights, TURNS)
    around = np.stack([np.roll(histogram, shift) for shift in (0, 1, -1, 2, -2)])
    h = np.array([6, 4, 4, 1, 1]) @ around / 16
    before, after = np.roll(h, 1), np.roll(h, -1)
    peaks = np.flatnonzero((h > before) & (h > after) & (h >= PEAK * h.max()))
    return [((i + (before[i] - after[i]) / (2 * (before[i] - 2 * h[i] + after[i]))) / TURNS) % 1 for i in peaks]


def _describe(picture: np.ndarray, x: float, y: float, sigma: float, turn: float) -> np.ndarray:
    """Return a descriptor (128,) uint8, (4, 4, 8): cells row by row, as the keypoint's direction turns them."""
    steps = (np.arange(GRID) - (GRID - 1) / 2) * SPACING
    v, u = (axis.ravel() for axis in np.meshgrid(steps, steps, indexing="ij"))
    cosine, sine = np.cos(2 * np.pi * turn) * sigma, np.sin(2 * np.pi * turn) * sigma
    length, direction = _read_gradients(picture, x + cosine * u - sine * v, y + sine * u + cosine * v)
    half = GRID * SPACING * 0.4  # half of the window without the half cells at its rim
    length = length * np.exp(-(u**2 + v**2) / (2 * half**2))
    offsets = (v / (half / 2) + (CELLS + 1) / 2, u / (half / 2) + (CELLS + 1) / 2, (direction - turn) % 1 * DIRECTIONS)
    padded = np.zeros((CELLS + 2, CELLS + 2, DIRECTIONS))
    for corner in np.ndindex(2, 2, 2):  # a sample adds to the bins around it
        floors = [np.floor(offset).astype(int) for offset in offsets]
        shares = [
            offset - floor if up else 1 - (offset - floor)
            for offset, floor, up in zip(offsets, floors, corner, strict=True)
        ]
        row, column, bin_ = (floor + up for floor, up in zip(floors, corner, strict=True))
        np.add.at(padded, (row, column, bin_ % DIRECTIONS), length * np.prod(shares, 0))
    values = padded[1:-1, 1:-1].ravel()
    values = np.minimum(values, CLIP * np.linalg.norm(values))
    return np.rint(DESCRIPTOR_SCALE * np.sqrt(values / max(values.sum(), 1e-12))).clip(0, 255).astype(np.uint8)
