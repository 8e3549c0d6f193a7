"""The linear map of embeddings, and its file."""

from pathlib import Path

import numpy as np
import pytest

from edgesearch import BundleError, EdgeSearchError
from edgesearch._util import array_file
from edgesearch.embedding.embedder import Embedder, normalize_rows
from edgesearch.embedding.whitening import ARRAY, FILE, Whitening

from ..conftest import TINY_MODEL

DIM = 16


@pytest.fixture
def whitening() -> Whitening:
    return Whitening.of(np.diag(np.linspace(0.5, 2, DIM)))


@pytest.fixture
def pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    on_white = np.full((60, 60, 3), 255, np.uint8)
    on_white[20:40, 20:40] = rng.integers(0, 200, (20, 20, 3))
    return [rng.integers(0, 256, (40, 60, 3), np.uint8), on_white]


def test_a_whitened_embedder_maps_photos_references_and_inputs_alike(
    whitening: Whitening, pictures: list[np.ndarray]
) -> None:
    plain = Embedder.open(TINY_MODEL)
    mapped = plain.with_whitening(whitening)
    for fast in (False, True):
        expected = normalize_rows(plain.embed(pictures, fast) @ whitening.matrix)
        np.testing.assert_allclose(mapped.embed(pictures, fast), expected, atol=1e-6)
    for found, row in zip(mapped.embed_references(pictures), plain.embed_references(pictures), strict=True):
        np.testing.assert_allclose(found, whitening(row), atol=1e-6)
    side = plain.config.preprocessing.crop
    inputs = np.random.default_rng(0).normal(size=(3, 3, side, side)).astype(np.float32)
    np.testing.assert_allclose(mapped.embed_inputs(inputs), whitening(plain.run(inputs)[0]), atol=1e-6)
    assert mapped.embed([]).shape == (0, DIM)


def test_each_map_has_its_own_space(whitening: Whitening) -> None:
    plain = Embedder.open(TINY_MODEL)
    other = Whitening(whitening.matrix * np.float32(1.5))
    spaces = [plain.space, *(plain.with_whitening(one).space for one in (whitening, other))]
    assert len(set(spaces)) == 3
    assert plain.with_whitening(whitening).plain.space == plain.space


def test_the_file_round_trips(whitening: Whitening, tmp_path: Path) -> None:
    whitening.write(tmp_path / FILE)
    found = Whitening.read(memoryview((tmp_path / FILE).read_bytes()), DIM)
    np.testing.assert_array_equal(found.matrix, whitening.matrix)
    assert found.digest == whitening.digest


def test_damage_to_the_file_is_reported(whitening: Whitening, tmp_path: Path) -> None:
    whitening.write(tmp_path / FILE)
    content = (tmp_path / FILE).read_bytes()
    for cut in range(0, len(content), 97):
        with pytest.raises(EdgeSearchError):
            Whitening.read(memoryview(content[:cut]), DIM)
    with pytest.raises(BundleError, match=r"\(16, 16\); expected finite float16 of shape \(32, 32\)"):
        Whitening.read(memoryview(content), 32)


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"other": np.eye(DIM, dtype=np.float16)},
        {ARRAY: np.eye(DIM, dtype=np.float16)[:8]},
        {ARRAY: np.eye(DIM, dtype=np.int8)},
        {ARRAY: np.full((DIM, DIM), np.nan, np.float16)},
    ],
)
def test_other_contents_are_refused(arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    array_file.write(tmp_path / FILE, arrays, {})
    with pytest.raises(BundleError, match="build the bundle again"):
        Whitening.read(memoryview((tmp_path / FILE).read_bytes()), DIM)
