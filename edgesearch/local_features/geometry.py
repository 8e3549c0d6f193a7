"""Verify that two pictures show the same printed details: fit one affine map to pairs of keypoints.

Each pair alone gives a similarity, from the scales and directions of its keypoints (Lowe 2004, section 7.3). The
similarities with the most support are fitted again to all pairs that agree (least squares, affine), as in Philbin et
al., Object Retrieval with Large Vocabularies and Fast Spatial Matching, CVPR 2007. A plane seen at an angle is nearly
an affine map, and so is the side of a bottle that faces the camera. `geometry.c` does the work; the numpy twin below
is its specification.

Shapes: P pairs. Keypoints are (P, 4) float32: x, y, sigma in shares of the picture's longer side; direction in turns.
"""

from typing import NamedTuple

import numpy as np

from .._util.compiled import warn_not_compiled
from .keypoint_codes import KEYPOINT_LEVELS, dequantize_keypoints

try:
    from . import _geometry  # type: ignore[attr-defined]
except ImportError:
    _geometry = None
    warn_not_compiled()

RATIO = 0.85  # of the distances to the nearest and the next reference feature; as strict as 0.8 of exact descriptors
MAX_PAIRS = 1024  # pairs that are used, the best
MIN_PAIRS = 4
HYPOTHESES = 3  # similarities that are fitted again
COARSE_TOLERANCE = 0.15  # largest error of a pair's own similarity, in shares of the reference's longer side
TOLERANCES = (0.08, 0.04, 0.04)  # largest errors of the successive fits, in the same unit
SCALE_TOLERANCE = 1.0  # octaves between a pair's scale and the map's
TURN_TOLERANCE = 0.15  # turns between a pair's rotation and the map's
MIN_SCALE, MAX_SCALE, MAX_STRETCH = 0.05, 20.0, 4.0  # of a map that a photo of a product can have
PAIR_TOLERANCE = 0.02  # largest error of a consistent pair, in shares of the reference's longer side
SAME_POSITION = 0.004  # keypoints as close as this count once


class AffineFit(NamedTuple):
    """An affine map between two pictures, and its support.

    Attributes:
        inliers: pairs at different positions that the map explains.
        affine: (2, 3) float64, maps the reference onto the photo; zeros if there is no map.
    """

    inliers: int
    affine: np.ndarray


NO_FIT = AffineFit(0, np.zeros((2, 3)))


def fit_affine(photo: np.ndarray, reference: np.ndarray) -> AffineFit:
    """Find the map that explains most pairs. photo, reference: (P, 4) float32 keypoints, pair by pair, best first."""
    photo, reference = (np.ascontiguousarray(k[:MAX_PAIRS], np.float32) for k in (photo, reference))
    if _geometry is None:
        return fit_affine_by_numpy(photo, reference)
    affine = np.zeros((2, 3))
    return AffineFit(_geometry.fit_affine(photo, reference, affine), affine)


def fit_affine_by_numpy(photo: np.ndarray, reference: np.ndarray) -> AffineFit:
    """Specify `fit_affine`. photo, reference: (P, 4) float32, at most `MAX_PAIRS` pairs."""
    found = NO_FIT
    if len(photo) < MIN_PAIRS:
        return found
    octaves = np.log2(photo[:, 2] / reference[:, 2], dtype=np.float64)
    turns = photo[:, 3].astype(np.float64) - reference[:, 3]
    supporters = _find_supporters(photo, reference, octaves, turns)
    for first in np.argsort(-supporters.sum(1), kind="stable")[:HYPOTHESES]:
        inliers = supporters[first]
        affine = None
        for tolerance in TOLERANCES:
            affine = _fit_least_squares(photo[inliers], reference[inliers])
            if affine is None:
                break
            inliers = _find_inliers(affine, tolerance, photo, reference, octaves, turns)
        count = _count_distinct(reference[inliers]) if affine is not None else 0
        if affine is not None and count >= MIN_PAIRS and count > found.inliers:
            found = AffineFit(count, affine)
    return found


def fit_matches(photo: np.ndarray, nearest: np.ndarray, distances: np.ndarray, reference: np.ndarray) -> AffineFit:
    """Find the map that explains most matches that pass Lowe's ratio test; a reference feature matches once.

    Args:
        photo: (P, 4) float32, keypoints.
        nearest: (P,) int32, the reference keypoint with the most similar descriptor.
        distances: (P, 2) float32, squared, of that descriptor and of the next.
        reference: (Q, 4) uint8, quantized keypoints.
    Raises:
        ValueError: types or sizes do not fit together, or a number in `nearest` is not below Q.
    """
    if _geometry is None:
        return fit_matches_by_numpy(photo, nearest, distances, reference)
    affine = np.zeros((2, 3))
    photo, reference = np.ascontiguousarray(photo), np.ascontiguousarray(reference)
    return AffineFit(_geometry.fit_matches(photo, nearest, distances, reference, KEYPOINT_LEVELS, affine), affine)


def fit_matches_by_numpy(
    photo: np.ndarray, nearest: np.ndarray, distances: np.ndarray, reference: np.ndarray
) -> AffineFit:
    """Specify `fit_matches`: (P, 4) float32, (P,) int32, (P, 2) float32, (Q, 4) uint8."""
    if len(nearest) and not 0 <= nearest.min() <= nearest.max() < len(reference):
        raise ValueError("a match names a keypoint that does not exist")
    passed = np.flatnonzero(distances[:, 0] < RATIO**2 * distances[:, 1])
    passed = passed[np.argsort(distances[passed, 0], kind="stable")]
    passed = passed[np.sort(np.unique(nearest[passed], return_index=True)[1])]
    return fit_affine_by_numpy(photo[passed][:MAX_PAIRS], dequantize_keypoints(reference[nearest[passed]])[:MAX_PAIRS])


def find_consistent_pairs(photo: np.ndarray, reference: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Find the pairs of keypoints that a map brings together.

    Args:    photo: (P, 4) float32; reference: (Q, 4) float32; affine: (2, 3) float64, from `fit_affine`.
    Returns: (P, ceil(Q / 32)) uint32, one bit per reference keypoint, lowest first.
    """
    if _geometry is None:
        return find_consistent_pairs_by_numpy(photo, reference, affine)
    bits = np.empty((len(photo), -(-len(reference) // 32)), np.uint32)
    photo, reference = np.ascontiguousarray(photo), np.ascontiguousarray(reference)
    _geometry.find_consistent_pairs(photo, reference, affine, PAIR_TOLERANCE, bits)
    return bits


def find_consistent_pairs_by_numpy(photo: np.ndarray, reference: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Specify `find_consistent_pairs`: (P, 4), (Q, 4) float32, (2, 3) float64 -> (P, ceil(Q / 32)) uint32."""
    scale, turn = _nearest_similarity(affine)
    x, y = affine[:, :2] @ reference[:, :2].T.astype(np.float64) + affine[:, 2:]
    errors = np.hypot(x - photo[:, :1], y - photo[:, 1:2]) / scale
    octaves = np.log2(photo[:, 2:3] / reference[:, 2]) - np.log2(scale)
    rotated = _rotation_size(photo[:, 3:].astype(np.float64) - reference[:, 3] - turn)
    mask = (errors < PAIR_TOLERANCE) & (np.abs(octaves) < SCALE_TOLERANCE) & (rotated < TURN_TOLERANCE)
    padded = np.zeros((len(photo), -(-len(reference) // 32) * 32), bool)
    padded[:, : len(reference)] = mask
    return np.packbits(padded, axis=1, bitorder="little").view("<u4").astype(np.uint32)


def _find_supporters(photo: np.ndarray, reference: np.ndarray, octaves: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Return whether the similarity of pair i maps pair j to nearly where it is: (P, P) bool."""
    target, source = (k[:, 0] + 1j * k[:, 1].astype(np.float64) for k in (photo, reference))
    factors = 2**octaves * np.exp(2j * np.pi * turns)  # a similarity multiplies complex positions by its factor
    mapped = factors[:, None] * (source[None] - source[:, None])
    errors = np.abs(mapped - (target[None] - target[:, None])) / np.abs(factors)[:, None]
    same_scale = np.abs(octaves[:, None] - octaves[None]) < SCALE_TOLERANCE
    return (errors < COARSE_TOLERANCE) & same_scale & (_rotation_size(turns[:, None] - turns[None]) < TURN_TOLERANCE)


def _rotation_size(turns: np.ndarray) -> np.ndarray:
    """Return the size of rotations, 0 to 0.5 turns."""
    return np.abs(turns - np.rint(turns))


def _fit_least_squares(photo: np.ndarray, reference: np.ndarray) -> np.ndarray | None:
    """Return the affine map (2, 3) by least squares; `None` for too few pairs or a map that no camera produces."""
    if len(photo) < MIN_PAIRS:
        return None
    points = np.column_stack([reference[:, :2].astype(np.float64), np.ones(len(reference))])
    normal = points.T @ points
    if np.linalg.det(normal) < 1e-9:
        return None
    affine = np.linalg.solve(normal, points.T @ photo[:, :2]).T
    squares = (affine[:, :2] ** 2).sum()
    area = np.linalg.det(affine[:, :2])  # negative if the map mirrors
    if not MIN_SCALE**2 < area < MAX_SCALE**2 or squares > (MAX_STRETCH + 1 / MAX_STRETCH) * area:
        return None
    return affine


def _find_inliers(
    affine: np.ndarray,
    tolerance: float,
    photo: np.ndarray,
    reference: np.ndarray,
    octaves: np.ndarray,
    turns: np.ndarray,
) -> np.ndarray:
    """Return which pairs a map explains: (P,) bool."""
    scale, turn = _nearest_similarity(affine)
    errors = np.hypot(*(reference[:, :2] @ affine[:, :2].T + affine[:, 2] - photo[:, :2]).T) / scale
    return (
        (errors < tolerance)
        & (np.abs(octaves - np.log2(scale)) < SCALE_TOLERANCE)
        & (_rotation_size(turns - turn) < TURN_TOLERANCE)
    )


def _nearest_similarity(affine: np.ndarray) -> tuple[float, float]:
    """Return scale and rotation, in turns, of the similarity that is nearest to a map (2, 3)."""
    turn = np.arctan2(affine[1, 0] - affine[0, 1], affine[0, 0] + affine[1, 1]) / (2 * np.pi)
    return float(np.sqrt(np.linalg.det(affine[:, :2]))), float(turn)


def _count_distinct(reference: np.ndarray) -> int:
    """Count keypoints (P, 4) at different positions."""
    near = np.abs(reference[:, None, :2] - reference[None, :, :2]).max(2) < SAME_POSITION
    return int((~np.tril(near, -1).any(1)).sum())
