"""Scale-invariant features: where a picture has something to hold on to, and what it looks like there.

Lowe, Distinctive Image Features from Scale-Invariant Keypoints, IJCV 2004; descriptors are square roots of histograms
(Arandjelović, Zisserman, Three Things Everyone Should Know to Improve Object Retrieval, CVPR 2012). Unlike Lowe's,
gradients are read on a fixed grid around the keypoint, turned and scaled with it: a keypoint's work does not grow with
its scale. `_sift.c` computes it; the numpy twin below is its specification, and takes its place where it was not
compiled.

H, W px of the picture, h, w px of an octave; P keypoints; a turn is a full circle, from x to y.
"""

import warnings
from typing import NamedTuple

import numpy as np

try:
    from . import _sift  # type: ignore[attr-defined]
except ImportError:  # no compiler was there when the package was installed
    _sift = None
    warnings.warn(
        "edgesearch: features of the print are found by numpy, some thirty times slower; install a C compiler and "
        "then edgesearch again.",
        stacklevel=2,
    )

DIM = 128
DESCRIPTOR_SCALE = 512  # of the unit vector whose levels a descriptor holds
LAYERS = 3  # scales of an octave in which keypoints lie
SIGMA = 1.6  # px, of an octave's first picture
CAMERA_SIGMA = 0.5  # px, taken for granted in the photo
CONTRAST = 255 * 0.04 / LAYERS
EDGE = 10  # of curvatures, at most
BORDER = 5  # px without keypoints
MIN_SIDE = 16  # px of the smallest octave
MAX_PIXELS = 1 << 21
REFINEMENTS = 5
TURNS = 36  # bins of the histogram of gradients from which a keypoint takes its direction
TURN_SIDE = 13  # samples a side of its grid
TURN_SIGMA = 1.5  # of the weights of that grid, in sigmas of the keypoint
PEAK = 0.8  # a second direction is taken from this share of the highest peak
SPACING = 0.75  # of both grids, in sigmas of the keypoint
CELLS, DIRECTIONS, GRID = 4, 8, 20  # of a descriptor: cells a side, bins of a cell, samples a side
CLIP = 0.2


class Features(NamedTuple):
    """What was found in a picture, the strongest first.

    Attributes: keypoints: (P, 4) float32: x, y and sigma in px, and the direction in turns, 0 to 1;
                descriptors: (P, 128) uint8, unit vectors times `DESCRIPTOR_SCALE`.
    """

    keypoints: np.ndarray
    descriptors: np.ndarray


def detect(grey: np.ndarray, most: int) -> Features:
    """Find the strongest features.

    Args:    grey: (H, W) uint8, at most `MAX_PIXELS`; most: features wanted.
    Raises:  ValueError: grey is not such a picture.
    """
    if grey.ndim != 2 or grey.dtype != np.uint8 or not 0 < grey.size <= MAX_PIXELS:
        raise ValueError(f"got {grey.dtype} of shape {grey.shape}; expected (H, W) uint8, at most {MAX_PIXELS:,} px.")
    if _sift is None:
        return detect_by_numpy(grey, most)
    keypoints, descriptors = np.empty((most, 4), np.float32), np.empty((most, DIM), np.uint8)
    found = _sift.detect(np.ascontiguousarray(grey), *grey.shape[::-1], keypoints, descriptors)
    return Features(keypoints[:found], descriptors[:found])


def detect_by_numpy(grey: np.ndarray, most: int) -> Features:
    """As `detect`, which it specifies."""
    points: list[tuple[int, int, float, float, float, float]] = []
    octaves: list[np.ndarray] = []
    blurred = _blur(grey.astype(np.float64), (SIGMA**2 - CAMERA_SIGMA**2) ** 0.5)
    while min(blurred.shape) >= MIN_SIDE and len(octaves) < 8:
        octaves.append(_octave(blurred))
        points += [(len(octaves) - 1, *point) for point in _points(np.diff(octaves[-1], axis=0))]
        blurred = octaves[-1][LAYERS][::2, ::2]
    points.sort(key=lambda point: -point[-1])
    keypoints, descriptors = [], []
    for number, layer, x, y, sigma, _ in points:
        picture, scale = octaves[number][layer], 2**number
        for turn in _directions(picture, x, y, sigma):
            keypoints.append((x * scale, y * scale, sigma * scale, turn))
            descriptors.append(_describe(picture, x, y, sigma, turn))
        if len(keypoints) >= most:
            break
    shapes = (-1, 4), (-1, DIM)
    return Features(
        np.array(keypoints[:most], np.float32).reshape(shapes[0]),
        np.array(descriptors[:most], np.uint8).reshape(shapes[1]),
    )


def _octave(first: np.ndarray) -> np.ndarray:
    """(6, h, w): sigma doubles every three pictures."""
    pictures = [first]
    for i in range(1, LAYERS + 3):
        before, after = SIGMA * 2 ** ((i - 1) / LAYERS), SIGMA * 2 ** (i / LAYERS)
        pictures.append(_blur(pictures[-1], (after**2 - before**2) ** 0.5))
    return np.stack(pictures)


def _blur(picture: np.ndarray, sigma: float) -> np.ndarray:
    """With a Gaussian; beyond the border the picture is mirrored at its outermost pixel."""
    radius = int(np.ceil(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    for axis in (0, 1):
        padded = np.pad(picture, [(radius, radius) if a == axis else (0, 0) for a in (0, 1)], mode="reflect")
        picture = np.apply_along_axis(np.convolve, axis, padded, kernel, mode="valid")
    return picture


def _points(dogs: np.ndarray) -> list[tuple[int, float, float, float, float]]:
    """Extrema of the differences of blurs (5, h, w): layer, x and y in px of the octave, sigma, strength."""
    inner = (slice(1, -1), slice(BORDER, -BORDER), slice(BORDER, -BORDER))
    if min(dogs.shape[1:]) <= 2 * BORDER:
        return []
    cubes = np.lib.stride_tricks.sliding_window_view(dogs, (3, 3, 3))[
        :, BORDER - 1 : 1 - BORDER, BORDER - 1 : 1 - BORDER
    ]
    here = dogs[inner]
    extreme = np.where(here > 0, here >= cubes.max((3, 4, 5)), here <= cubes.min((3, 4, 5)))
    places = np.argwhere(extreme & (np.abs(here) > CONTRAST / 2)) + np.array((1, BORDER, BORDER))
    return [found for place in places if (found := _refined(dogs, place)) is not None]


def _refined(dogs: np.ndarray, place: np.ndarray) -> tuple[int, float, float, float, float] | None:
    """The extremum of the parabola through a place (layer, y, x) and its neighbours; None where there is none."""
    lowest = np.array((1, BORDER, BORDER))
    for _ in range(REFINEMENTS):
        cube = dogs[tuple(slice(i - 1, i + 2) for i in place)]
        gradient, hessian = _derivatives(cube)
        if np.linalg.det(hessian) == 0:
            return None
        offset = -np.linalg.solve(hessian, gradient)
        if (np.abs(offset) < 0.5).all():
            strength = abs(cube[1, 1, 1] + gradient @ offset / 2)
            trace, curvature = np.trace(hessian[1:, 1:]), np.linalg.det(hessian[1:, 1:])
            if strength < CONTRAST or trace**2 * EDGE >= (EDGE + 1) ** 2 * curvature:
                return None
            layer, y, x = place + offset
            return int(place[0]), float(x), float(y), float(SIGMA * 2 ** (layer / LAYERS)), float(strength)
        if (np.abs(offset) >= MAX_PIXELS).any():
            return None
        place = place + np.rint(offset).astype(int)
        if (place < lowest).any() or (place >= np.array(dogs.shape) - lowest).any():
            return None
    return None


def _derivatives(cube: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gradient (3,) and Hessian (3, 3) in the middle of (3, 3, 3) values, by differences."""

    def mixed(faces: np.ndarray) -> float:
        return float(faces[1, 1] - faces[1, 0] - faces[0, 1] + faces[0, 0]) / 4

    line = [cube[:, 1, 1], cube[1, :, 1], cube[1, 1, :]]
    gradient = np.array([(values[2] - values[0]) / 2 for values in line])
    hessian = np.diag([values[2] + values[0] - 2 * values[1] for values in line])
    hessian[0, 1] = hessian[1, 0] = mixed(cube[::2, ::2, 1])
    hessian[0, 2] = hessian[2, 0] = mixed(cube[::2, 1, ::2])
    hessian[1, 2] = hessian[2, 1] = mixed(cube[1, ::2, ::2])
    return gradient, hessian


def _gradients(picture: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Length and direction in turns of the gradients at the pixels nearest to (x, y); length 0 beyond the border."""
    columns, rows = np.floor(x + 0.5).astype(int), np.floor(y + 0.5).astype(int)
    inside = (columns >= 1) & (columns <= picture.shape[1] - 2) & (rows >= 1) & (rows <= picture.shape[0] - 2)
    columns, rows = np.where(inside, columns, 1), np.where(inside, rows, 1)
    gx = picture[rows, columns + 1] - picture[rows, columns - 1]
    gy = picture[rows + 1, columns] - picture[rows - 1, columns]
    return np.hypot(gx, gy) * inside, np.arctan2(gy, gx) / (2 * np.pi) % 1


def _directions(picture: np.ndarray, x: float, y: float, sigma: float) -> list[float]:
    """Where the gradients around a keypoint point to most, in turns."""
    steps = np.arange(TURN_SIDE) - TURN_SIDE // 2
    v, u = (
        axis[np.add.outer(steps**2, steps**2) <= TURN_SIDE**2 // 4] * SPACING
        for axis in np.meshgrid(steps, steps, indexing="ij")
    )
    length, turn = _gradients(picture, x + u * sigma, y + v * sigma)
    weights = length * np.exp(-(u**2 + v**2) / (2 * TURN_SIGMA**2))
    histogram = np.bincount(np.rint(turn * TURNS).astype(int) % TURNS, weights, TURNS)
    around = np.stack([np.roll(histogram, shift) for shift in (0, 1, -1, 2, -2)])
    h = np.array([6, 4, 4, 1, 1]) @ around / 16
    before, after = np.roll(h, 1), np.roll(h, -1)
    peaks = np.flatnonzero((h > before) & (h > after) & (h >= PEAK * h.max()))
    return [((i + (before[i] - after[i]) / (2 * (before[i] - 2 * h[i] + after[i]))) / TURNS) % 1 for i in peaks]


def _describe(picture: np.ndarray, x: float, y: float, sigma: float, turn: float) -> np.ndarray:
    """(128,) uint8: (4, 4, 8), cells from top to bottom and left to right as the keypoint's direction sees them."""
    steps = (np.arange(GRID) - (GRID - 1) / 2) * SPACING
    v, u = (axis.ravel() for axis in np.meshgrid(steps, steps, indexing="ij"))
    cosine, sine = np.cos(2 * np.pi * turn) * sigma, np.sin(2 * np.pi * turn) * sigma
    length, direction = _gradients(picture, x + cosine * u - sine * v, y + sine * u + cosine * v)
    half = GRID * SPACING * 0.4  # the window without its half cells at the rim, halved
    length = length * np.exp(-(u**2 + v**2) / (2 * half**2))
    places = (v / (half / 2) + (CELLS + 1) / 2, u / (half / 2) + (CELLS + 1) / 2, (direction - turn) % 1 * DIRECTIONS)
    padded = np.zeros((CELLS + 2, CELLS + 2, DIRECTIONS))
    for corner in np.ndindex(2, 2, 2):  # each sample is shared among the nearest bins
        floors = [np.floor(place).astype(int) for place in places]
        shares = [
            place - floor if up else 1 - (place - floor)
            for place, floor, up in zip(places, floors, corner, strict=True)
        ]
        row, column, bin_ = (floor + up for floor, up in zip(floors, corner, strict=True))
        np.add.at(padded, (row, column, bin_ % DIRECTIONS), length * np.prod(shares, 0))
    values = padded[1:-1, 1:-1].ravel()
    values = np.minimum(values, CLIP * np.linalg.norm(values))
    return np.rint(DESCRIPTOR_SCALE * np.sqrt(values / max(values.sum(), 1e-12))).clip(0, 255).astype(np.uint8)
