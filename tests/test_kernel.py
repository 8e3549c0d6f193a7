"""The inner loops, against plain loops."""

import numpy as np
import pytest

from edgesearch import kernel


@pytest.mark.parametrize(("rows", "subquantizers"), [(1, 2), (33, 8), (500, 64), (7, 256)])
def test_scan_equals_the_plain_loop(rows: int, subquantizers: int) -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 16, (rows, subquantizers)).astype(np.uint8)
    table = rng.integers(0, 256, (subquantizers, 16)).astype(np.uint8)
    expected = [sum(int(table[m, codes[n, m]]) for m in range(subquantizers)) for n in range(rows)]
    assert kernel.scan(table, kernel.pack(codes)).tolist() == expected


def test_the_largest_sum_fits() -> None:
    codes = np.full((3, 256), 15, np.uint8)
    assert kernel.scan(np.full((256, 16), 255, np.uint8), kernel.pack(codes)).tolist() == [255 * 256] * 3


@pytest.mark.parametrize("spread", [0.0, 1e-6, 1.0, 300.0])
def test_quantized_sums_are_off_by_at_most_half_a_step_a_subquantizer(spread: float) -> None:
    rng = np.random.default_rng(0)
    table = (rng.standard_normal((64, 16)) * spread).astype(np.float32)
    codes = rng.integers(0, 16, (200, 64)).astype(np.uint8)
    levels, step = kernel.quantize_table(table)
    exact = table[np.arange(64), codes].sum(1)
    rebuilt = kernel.scan(levels, kernel.pack(codes)) * step + table.min(1).sum()
    assert np.abs(rebuilt - exact).max() <= 64 / 2 * step + 1e-4 * spread  # the last for float32 sums


def test_best_keeps_the_highest() -> None:
    scores = np.array([5, 1, 9, 9, 3], np.uint16)
    assert set(kernel.best(scores, 2)) == {2, 3}
    assert set(kernel.best(scores, 9)) == set(range(5))


def test_rescoring_int8_rows_gives_their_cosines() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((50, 128)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    rows = kernel.quantize_rows(x)
    assert np.abs(rows).max(1).tolist() == [127] * 50
    np.testing.assert_allclose(kernel.rescore(x[0], rows), x @ x[0], atol=3e-3)  # int8
