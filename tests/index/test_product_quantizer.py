"""Fit a product quantizer, encode and decode."""

import numpy as np
import pytest

from edgesearch.index.product_quantizer import ProductQuantizer


def unit_rows(count: int, dim: int = 32, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 300])
@pytest.mark.parametrize("subquantizers", [8, 16])
def test_shapes_and_types(count: int, subquantizers: int) -> None:
    x = unit_rows(count)
    quantizer = ProductQuantizer.fit(x, subquantizers)
    codes = quantizer.encode(x)
    assert (codes.shape, codes.dtype) == ((count, subquantizers), np.uint8)
    assert codes.max() < 16
    assert quantizer.decode(codes).shape == x.shape
    assert quantizer.table(x[:1]).shape == (1, subquantizers, 16)


def test_rotation_is_orthogonal() -> None:
    rotation = ProductQuantizer.fit(unit_rows(200), 16).rotation
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(32), atol=1e-5)  # float32


def test_the_same_seed_gives_the_same_quantizer() -> None:
    a, b = (ProductQuantizer.fit(unit_rows(200), 16, seed=3) for _ in range(2))
    assert np.array_equal(a.rotation, b.rotation)
    assert np.array_equal(a.codebook, b.codebook)


def test_codes_are_the_nearest_codewords() -> None:
    x = unit_rows(100)
    quantizer = ProductQuantizer.fit(x, 8)
    codes = quantizer.encode(x)
    rotated = (x @ quantizer.rotation).reshape(100, 8, 4)
    for n, m in [(0, 0), (50, 3), (99, 7)]:
        distances = ((rotated[n, m] - quantizer.codebook[m]) ** 2).sum(1)
        assert distances[codes[n, m]] == pytest.approx(distances.min(), abs=1e-6)


def test_table_entries_add_up_to_products_with_decoded_rows() -> None:
    x, queries = unit_rows(50), unit_rows(7, seed=1)
    quantizer = ProductQuantizer.fit(x, 16)
    codes, tables = quantizer.encode(x), quantizer.table(queries)
    sums = tables[:, np.arange(16), codes].sum(2)
    np.testing.assert_allclose(sums, queries @ quantizer.decode(codes).T, atol=1e-5)  # float32


def test_few_rows_decode_nearly_exactly() -> None:
    x = unit_rows(5)
    quantizer = ProductQuantizer.fit(x, 16)
    np.testing.assert_allclose(quantizer.decode(quantizer.encode(x)), x, atol=0.05)


def test_training_rounds_lower_the_error() -> None:
    x = unit_rows(500) * np.linspace(2, 0.1, 32, dtype=np.float32)
    errors = []
    for rounds in (0, 8):
        quantizer = ProductQuantizer.fit(x, 8, rounds=rounds)
        errors.append(((quantizer.decode(quantizer.encode(x)) - x) ** 2).sum())
    assert errors[1] < 0.7 * errors[0]


@pytest.mark.parametrize("shape", [(0, 32), (3, 30), (32,)])
def test_wrong_shapes_are_rejected(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected"):
        ProductQuantizer.fit(np.zeros(shape, np.float32), 8)


def test_wrong_queries_are_rejected() -> None:
    quantizer = ProductQuantizer.fit(unit_rows(20), 8)
    for call in (quantizer.encode, quantizer.table):
        with pytest.raises(ValueError, match="expected"):
            call(np.zeros((2, 31), np.float32))
