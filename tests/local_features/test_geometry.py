"""Geometric verification: the compiled one against its numpy twin, and maps that are known."""

import numpy as np
import pytest

from edgesearch.local_features import geometry
from edgesearch.local_features.geometry import LEAST_PAIRS, MOST_PAIRS

compiled = pytest.importorskip("edgesearch.local_features._geometry", reason="the geometry is not compiled here")


def keypoints(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.random((count, 2)), rng.uniform(0.01, 0.05, count), rng.random(count)]).astype(
        np.float32
    )


def moved(
    reference: np.ndarray, turn: float, scale: float, stretch: float = 1.0, noise: float = 0.003
) -> tuple[np.ndarray, np.ndarray]:
    """The same keypoints in a photo, and the map."""
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
def test_a_map_is_found_among_wrong_pairs(turn: float, scale: float, stretch: float, outliers: int) -> None:
    reference = keypoints(20 + outliers)
    photo, affine = moved(reference, turn, scale, stretch, noise=0.003 * scale)
    photo[20:] = keypoints(outliers, seed=5)
    found = geometry.agree(photo, reference)
    assert 19 <= found.places <= 20 + outliers // 20
    assert np.abs(found.affine - affine).max() < 0.02 * max(1, scale)


@pytest.mark.parametrize("pairs", [0, 3, 4, 11, 100, 600])
@pytest.mark.parametrize("right", [0, 8])
def test_the_compiled_map_is_that_of_the_twin(pairs: int, right: int) -> None:
    for seed in range(5):
        reference, photo = keypoints(pairs, seed), keypoints(pairs, seed + 100)
        bits: list[np.ndarray] = []
        photo[:right] = moved(reference[:right], 0.2, 0.8)[0]
        given, twin = geometry.agree(photo, reference), geometry.agree_by_numpy(photo, reference)
        assert given.places == twin.places
        assert np.allclose(given.affine, twin.affine, atol=1e-9)
        if given.places:
            bits = [f(photo, reference, given.affine) for f in (geometry.explained, geometry.explained_by_numpy)]
            assert np.array_equal(*bits)
        if bits and right and pairs <= 100:
            explained = np.unpackbits(bits[0].view(np.uint8), axis=1, bitorder="little")
            assert np.trace(explained[:right]) == min(right, pairs)


def test_what_no_camera_shows_does_not_agree() -> None:
    reference = keypoints(40)
    mirrored, _ = moved(reference, 0.0, 1.0)
    mirrored[:, 0] = 1 - mirrored[:, 0]
    assert geometry.agree(mirrored, reference).places == 0
    flat, _ = moved(reference, 0.0, 1.0)
    flat[:, 1] *= 0.01
    assert geometry.agree(flat, reference).places == 0
    assert geometry.agree(keypoints(40, seed=3), reference).places <= LEAST_PAIRS


def test_many_pairs_at_one_place_are_one_place() -> None:
    reference = np.repeat(keypoints(4), 20, axis=0)
    photo, _ = moved(reference, 0.1, 1.2, noise=0)
    assert geometry.agree(photo, reference).places == 4
    assert geometry.agree(photo[:20], reference[:20]).places == 0


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, -np.inf, 1e38, -1.0])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_strange_keypoints_are_survived(value: float) -> None:
    photo, reference = keypoints(30), keypoints(30, seed=1)
    photo[::2] = value
    assert geometry.agree(photo, reference).places <= 15
    assert geometry.agree(photo, np.full_like(reference, value)).places <= 15


def test_only_so_many_pairs_are_looked_at() -> None:
    reference = keypoints(MOST_PAIRS + 50)
    photo, _ = moved(reference, 0.0, 1.0)
    assert geometry.agree(photo, reference).places <= MOST_PAIRS


def test_arrays_that_do_not_fit_are_refused() -> None:
    some, affine = keypoints(5), np.zeros((2, 3))
    with pytest.raises(ValueError, match="fit together"):
        compiled.agree(some, some[:4], affine)
    with pytest.raises(ValueError, match="fit together"):
        compiled.agree(some, some, affine[:1])
    with pytest.raises(ValueError, match="fit together"):
        compiled.explain(some, some, affine, 0.1, np.empty((5, 1), np.uint32))
    with pytest.raises(ValueError, match="fit together"):
        compiled.explain(some, some, np.eye(2, 3), 0.1, np.empty((4, 1), np.uint32))
