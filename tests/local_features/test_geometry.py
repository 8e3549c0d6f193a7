"""Compare the compiled map fit with its numpy twin, and both with known maps."""

from collections.abc import Callable

import numpy as np
import pytest

from edgesearch.local_features import geometry
from edgesearch.local_features.geometry import MAX_PAIRS, MIN_PAIRS, AffineFit
from edgesearch.local_features.keypoint_codes import dequantize_keypoints

Fit = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], AffineFit]

compiled = pytest.importorskip("edgesearch.local_features._geometry", reason="the geometry is not compiled here")


def make_keypoints(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.random((count, 2)), rng.uniform(0.01, 0.05, count), rng.random(count)]).astype(
        np.float32
    )


def map_keypoints(
    reference: np.ndarray, turn: float, scale: float, stretch: float = 1.0, noise: float = 0.003
) -> tuple[np.ndarray, np.ndarray]:
    """Map keypoints (P, 4) to a photo; return them and the map (2, 3)."""
    c, s = np.cos(2 * np.pi * turn), np.sin(2 * np.pi * turn)
    linear = scale * np.array([[c, -s], [s, c]]) @ np.diag([stretch, 1 / stretch])
    affine = np.column_stack([linear, [0.3, 0.1]])
    photo = reference.copy()
    photo[:, :2] = (
        reference[:, :2] @ linear.T + affine[:, 2] + np.random.default_rng(1).normal(0, noise, (len(photo), 2))
    )
    photo[:, 2] *= scale
    photo[:, 3] = (reference[:, 3] + turn) % 1
    return photo, affine


@pytest.mark.parametrize("outliers", [0, 30, 200])
@pytest.mark.parametrize(("turn", "scale", "stretch"), [(0, 1, 1), (0.1, 0.4, 1), (0.7, 2.5, 1), (0.4, 0.7, 1.3)])
def test_map_is_found_among_wrong_pairs(turn: float, scale: float, stretch: float, outliers: int) -> None:
    reference = make_keypoints(20 + outliers)
    photo, affine = map_keypoints(reference, turn, scale, stretch, noise=0.003 * scale)
    photo[20:] = make_keypoints(outliers, seed=5)
    found = geometry.fit_affine(photo, reference)
    assert 19 <= found.inliers <= 20 + outliers // 20
    assert np.abs(found.affine - affine).max() < 0.02 * max(1, scale)


@pytest.mark.parametrize("pairs", [0, 3, 4, 11, 100, 600])
@pytest.mark.parametrize("right", [0, 8])
def test_compiled_map_equals_the_twins(pairs: int, right: int) -> None:
    for seed in range(5):
        reference, photo = make_keypoints(pairs, seed), make_keypoints(pairs, seed + 100)
        bits: list[np.ndarray] = []
        photo[:right] = map_keypoints(reference[:right], 0.2, 0.8)[0]
        given, twin = geometry.fit_affine(photo, reference), geometry.fit_affine_by_numpy(photo, reference)
        assert given.inliers == twin.inliers
        assert np.allclose(given.affine, twin.affine, atol=1e-9)
        if given.inliers:
            bits = [
                f(photo, reference, given.affine)
                for f in (geometry.find_consistent_pairs, geometry.find_consistent_pairs_by_numpy)
            ]
            assert np.array_equal(*bits)
        if bits and right and pairs <= 100:
            explained = np.unpackbits(bits[0].view(np.uint8), axis=1, bitorder="little")
            assert np.trace(explained[:right]) == min(right, pairs)


@pytest.mark.parametrize(("photo_size", "size"), [(0, 40), (40, 0), (1, 1), (500, 256)])
@pytest.mark.parametrize("scale", [0.06, 0.9, 15.0])
def test_compiled_pairs_equal_the_twins_at_every_scale(photo_size: int, size: int, scale: float) -> None:
    photo, reference = make_keypoints(photo_size, 1), make_keypoints(size, 2)
    copied = min(photo_size, size) // 2
    photo[:copied], _ = map_keypoints(reference[:copied], 0.3, scale, noise=0.003 * scale)
    _, affine = map_keypoints(reference, 0.3, scale)
    bits = [
        f(photo, reference, affine) for f in (geometry.find_consistent_pairs, geometry.find_consistent_pairs_by_numpy)
    ]
    assert np.array_equal(*bits)
    assert np.unpackbits(bits[0].view(np.uint8)).sum() >= copied


def test_maps_that_no_camera_produces_are_rejected() -> None:
    reference = make_keypoints(40)
    mirrored, _ = map_keypoints(reference, 0.0, 1.0)
    mirrored[:, 0] = 1 - mirrored[:, 0]
    assert geometry.fit_affine(mirrored, reference).inliers == 0
    flat, _ = map_keypoints(reference, 0.0, 1.0)
    flat[:, 1] *= 0.01
    assert geometry.fit_affine(flat, reference).inliers == 0
    assert geometry.fit_affine(make_keypoints(40, seed=3), reference).inliers <= MIN_PAIRS


def test_pairs_at_the_same_position_count_once() -> None:
    reference = np.repeat(make_keypoints(4), 20, axis=0)
    photo, _ = map_keypoints(reference, 0.1, 1.2, noise=0)
    assert geometry.fit_affine(photo, reference).inliers == 4
    assert geometry.fit_affine(photo[:20], reference[:20]).inliers == 0


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, -np.inf, 1e38, -1.0])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_extreme_keypoints_give_few_inliers(value: float) -> None:
    photo, reference = make_keypoints(30), make_keypoints(30, seed=1)
    photo[::2] = value
    assert geometry.fit_affine(photo, reference).inliers <= 15
    assert geometry.fit_affine(photo, np.full_like(reference, value)).inliers <= 15


def test_surplus_pairs_are_ignored() -> None:
    reference = make_keypoints(MAX_PAIRS + 50)
    photo, _ = map_keypoints(reference, 0.0, 1.0)
    assert geometry.fit_affine(photo, reference).inliers <= MAX_PAIRS


def test_arrays_that_do_not_fit_are_rejected() -> None:
    some, affine = make_keypoints(5), np.zeros((2, 3))
    with pytest.raises(ValueError, match="fit together"):
        compiled.fit_affine(some, some[:4], affine)
    with pytest.raises(ValueError, match="fit together"):
        compiled.fit_affine(some, some, affine[:1])
    with pytest.raises(ValueError, match="fit together"):
        compiled.find_consistent_pairs(some, some, affine, 0.1, np.empty((5, 1), np.uint32))
    with pytest.raises(ValueError, match="fit together"):
        compiled.find_consistent_pairs(some, some, np.eye(2, 3), 0.1, np.empty((4, 1), np.uint32))
    with pytest.raises(ValueError, match="photo: items have the format"):
        compiled.fit_affine(some.view(np.int32), some, affine)
    with pytest.raises(ValueError, match="out_affine: items have the format"):
        compiled.fit_affine(some, some, affine.astype(np.float32))
    with pytest.raises(ValueError, match="out_bits: items have the format"):
        compiled.find_consistent_pairs(some, some, np.eye(2, 3), 0.1, np.empty((5, 1), np.float32))
    misaligned = np.zeros(some.nbytes + 1, np.uint8)[1:].view(np.float32).reshape(some.shape)
    with pytest.raises(ValueError, match="reference: the array is not aligned"):
        compiled.find_consistent_pairs(some, misaligned, np.eye(2, 3), 0.1, np.empty((5, 1), np.uint32))


@pytest.mark.parametrize(("features", "size"), [(0, 0), (0, 40), (300, 1), (300, 90), (2000, 2000)])
def test_compiled_fit_of_matches_equals_the_twins(features: int, size: int) -> None:
    for seed in range(3):
        rng = np.random.default_rng(seed)
        reference = rng.integers(0, 256, (size, 4)).astype(np.uint8)
        nearest = rng.integers(0, max(1, size), features).astype(np.int32)  # some match the same one
        photo = map_keypoints(dequantize_keypoints(reference[nearest]), 0.2, 0.8)[0]
        distances = rng.integers(1, 40, (features, 2)).astype(np.float32) / 32  # equal ones among them
        given, twin = (
            fit(photo, nearest, distances, reference) for fit in (geometry.fit_matches, geometry.fit_matches_by_numpy)
        )
        assert given.inliers == twin.inliers
        assert given.inliers >= 30 or size < 90
        assert np.allclose(given.affine, twin.affine, atol=1e-9)


@pytest.mark.parametrize("fit", [geometry.fit_matches, geometry.fit_matches_by_numpy])
@pytest.mark.parametrize("named", [-1, 4])
def test_match_with_a_keypoint_that_does_not_exist_is_refused(fit: Fit, named: int) -> None:
    with pytest.raises(ValueError, match=r"not fit together|does not exist"):
        fit(make_keypoints(1), np.array([named], np.int32), np.zeros((1, 2), np.float32), np.zeros((4, 4), np.uint8))
