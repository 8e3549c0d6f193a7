"""Do two pictures show the same print? Pairs of keypoints that agree on one affine map say so.

Every pair alone gives a similarity, from the scales and directions of its keypoints (Lowe 2004, section 7.3); those
that most others agree with are fitted again to all that agree (least squares, affine), as in Philbin et al., Object
Retrieval with Large Vocabularies and Fast Spatial Matching, CVPR 2007. A plane seen from an angle is nearly an affine
map, and so is the part of a bottle that faces the camera. `_geometry.c` computes it; the numpy twin below is its
specification.

P pairs. Keypoints are (P, 4) float32: x, y, sigma in shares of the picture's longer side, and direction in turns.
"""

from typing import NamedTuple

import numpy as np

try:
    from . import _geometry  # type: ignore[attr-defined]
except ImportError:  # as in sift.py, which warns
    _geometry = None

MOST_PAIRS = 1024  # the best are looked at
LEAST_PAIRS = 4
TRIED = 3  # similarities that are fitted again
COARSE = 0.15  # of the reference's longer side: how far off a pair's own similarity may place another
TOLERANCES = (0.08, 0.04, 0.04)  # the same of the fits, one after the other
SCALE_TOLERANCE = 1.0  # octaves between a pair's scale and the map's
TURN_TOLERANCE = 0.15  # turns between a pair's rotation and the map's
LEAST_SCALE, MOST_SCALE, MOST_STRETCH = 0.05, 20.0, 4.0  # of a map that a photo of a product can be
NEAR = 0.02  # of the reference's longer side: how far off a map may show a keypoint that it explains
CLOSE = 0.004  # keypoints that are as close are one place


class Agreement(NamedTuple):
    """What two pictures have in common.

    Attributes: places: how many agree; affine: (2, 3) float64, maps the reference onto the photo, zeros where
                nothing agrees.
    """

    places: int
    affine: np.ndarray


NOTHING = Agreement(0, np.zeros((2, 3)))


def agree(photo: np.ndarray, reference: np.ndarray) -> Agreement:
    """The largest set of pairs that one map explains; photo, reference: (P, 4) keypoints, pair by pair, best first."""
    photo, reference = (np.ascontiguousarray(k[:MOST_PAIRS], np.float32) for k in (photo, reference))
    if _geometry is None:
        return agree_by_numpy(photo, reference)
    affine = np.zeros((2, 3))
    return Agreement(_geometry.agree(photo, reference, affine), affine)


def agree_by_numpy(photo: np.ndarray, reference: np.ndarray) -> Agreement:
    """As `agree`, which it specifies."""
    found = NOTHING
    if len(photo) < LEAST_PAIRS:
        return found
    octaves = np.log2(photo[:, 2] / reference[:, 2], dtype=np.float64)
    turns = photo[:, 3].astype(np.float64) - reference[:, 3]
    supporters = _supporters(photo, reference, octaves, turns)
    for first in np.argsort(-supporters.sum(1), kind="stable")[:TRIED]:
        inside = supporters[first]
        affine = None
        for tolerance in TOLERANCES:
            affine = _fit(photo[inside], reference[inside])
            if affine is None:
                break
            inside = _inside(affine, tolerance, photo, reference, octaves, turns)
        count = _places(reference[inside]) if affine is not None else 0
        if affine is not None and count >= LEAST_PAIRS and count > found.places:
            found = Agreement(count, affine)
    return found


def explained(photo: np.ndarray, reference: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """At which places of the reference a map shows each keypoint of the photo.

    Args:    photo: (P, 4), reference: (Q, 4) keypoints; affine: (2, 3) float64, as `agree` gives it.
    Returns: (P, ceil(Q / 32)) uint32, one bit a place, the lowest first.
    """
    if _geometry is None:
        return explained_by_numpy(photo, reference, affine)
    bits = np.empty((len(photo), -(-len(reference) // 32)), np.uint32)
    _geometry.explain(np.ascontiguousarray(photo), np.ascontiguousarray(reference), affine, NEAR, bits)
    return bits


def explained_by_numpy(photo: np.ndarray, reference: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """As `explained`, which it specifies."""
    scale, turn = _scale_and_turn(affine)
    x, y = affine[:, :2] @ reference[:, :2].T.astype(np.float64) + affine[:, 2:]
    off = np.hypot(x - photo[:, :1], y - photo[:, 1:2]) / scale
    octaves = np.log2(photo[:, 2:3] / reference[:, 2]) - np.log2(scale)
    turned = _turned(photo[:, 3:].astype(np.float64) - reference[:, 3] - turn)
    mask = (off < NEAR) & (np.abs(octaves) < SCALE_TOLERANCE) & (turned < TURN_TOLERANCE)
    words = -(-len(reference) // 32)
    padded = np.zeros((len(photo), words * 32), bool)
    padded[:, : len(reference)] = mask
    return np.packbits(padded, axis=1, bitorder="little").view("<u4").astype(np.uint32)


def _supporters(photo: np.ndarray, reference: np.ndarray, octaves: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """(P, P) bool: pair j lies where the similarity of pair i places it."""
    at, came = (k[:, 0] + 1j * k[:, 1].astype(np.float64) for k in (photo, reference))
    scaled = 2**octaves * np.exp(2j * np.pi * turns)
    off = np.abs(scaled[:, None] * (came[None] - came[:, None]) - (at[None] - at[:, None])) / np.abs(scaled)[:, None]
    same_scale = np.abs(octaves[:, None] - octaves[None]) < SCALE_TOLERANCE
    return (off < COARSE) & same_scale & (_turned(turns[:, None] - turns[None]) < TURN_TOLERANCE)


def _turned(turns: np.ndarray) -> np.ndarray:
    """The size of a rotation, either way."""
    return np.abs(turns - np.rint(turns))


def _fit(photo: np.ndarray, reference: np.ndarray) -> np.ndarray | None:
    """(2, 3): the affine map by least squares; None where there are too few, or no camera would see it so."""
    if len(photo) < LEAST_PAIRS:
        return None
    places = np.column_stack([reference[:, :2].astype(np.float64), np.ones(len(reference))])
    normal = places.T @ places
    if np.linalg.det(normal) < 1e-9:
        return None
    affine = np.linalg.solve(normal, places.T @ photo[:, :2]).T
    squares = (affine[:, :2] ** 2).sum()
    area = np.linalg.det(affine[:, :2])  # below 0: mirrored
    if not LEAST_SCALE**2 < area < MOST_SCALE**2 or squares > (MOST_STRETCH + 1 / MOST_STRETCH) * area:
        return None
    return affine


def _inside(
    affine: np.ndarray,
    tolerance: float,
    photo: np.ndarray,
    reference: np.ndarray,
    octaves: np.ndarray,
    turns: np.ndarray,
) -> np.ndarray:
    """(P,) bool: the pairs that a map explains."""
    scale, turn = _scale_and_turn(affine)
    off = np.hypot(*(reference[:, :2] @ affine[:, :2].T + affine[:, 2] - photo[:, :2]).T) / scale
    return (
        (off < tolerance)
        & (np.abs(octaves - np.log2(scale)) < SCALE_TOLERANCE)
        & (_turned(turns - turn) < TURN_TOLERANCE)
    )


def _scale_and_turn(affine: np.ndarray) -> tuple[float, float]:
    """Of the similarity that is nearest to a map."""
    turn = np.arctan2(affine[1, 0] - affine[0, 1], affine[0, 0] + affine[1, 1]) / (2 * np.pi)
    return float(np.sqrt(np.linalg.det(affine[:, :2]))), float(turn)


def _places(reference: np.ndarray) -> int:
    """How many keypoints there are, those counted once that are one place."""
    near = np.abs(reference[:, None, :2] - reference[None, :, :2]).max(2) < CLOSE
    return int((~np.tril(near, -1).any(1)).sum())
