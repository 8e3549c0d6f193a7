"""The compact index."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgesearch import IndexFileError, arrays, index
from edgesearch.index import ARRAYS_FILE, ROUTER_FILE, CompactIndex
from edgesearch.metrics import ann_recall


def unit_rows(count: int, dim: int = 32, seed: int = 0) -> np.ndarray:
    """Rows around 50 centres, as embeddings of products are."""
    rng = np.random.default_rng(seed)
    centers = rng.standard_normal((50, dim))
    x = centers[rng.integers(0, 50, count)] + 0.5 * rng.standard_normal((count, dim))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def exact_rows(queries: np.ndarray, x: np.ndarray, k: int) -> np.ndarray:
    return np.argsort(-(queries @ x.T), 1, kind="stable")[:, :k]


def opened(folder: Path) -> CompactIndex:
    router = folder / ROUTER_FILE
    data = memoryview((folder / ARRAYS_FILE).read_bytes())
    return CompactIndex.open(data, memoryview(router.read_bytes()) if router.exists() else None)


@pytest.mark.parametrize("count", [1, 2, 81, 400])
def test_a_small_catalogue_is_searched_exactly(count: int) -> None:
    x, queries = unit_rows(count), unit_rows(20, seed=1)
    found = CompactIndex.build(x, "space")
    k = min(5, count)
    hits = found.search(queries, k)
    assert ann_recall(hits.rows, exact_rows(queries, x, k)) >= 0.98
    exact = np.take_along_axis(queries @ x.T, hits.rows, 1)
    np.testing.assert_allclose(hits.scores, exact, atol=0.01)  # int8
    assert (np.diff(hits.scores, axis=1) <= 0).all()


def test_places_without_a_row_are_marked() -> None:
    hits = CompactIndex.build(unit_rows(3), "space").search(unit_rows(2, seed=1), 5)
    assert (hits.rows[:, 3:] == index.NO_ROW).all()
    assert np.isneginf(hits.scores[:, 3:]).all()
    assert sorted(hits.rows[0, :3]) == [0, 1, 2]


def test_codes_alone_find_nearly_the_same() -> None:
    x, queries = unit_rows(400), unit_rows(20, seed=1)
    hits = CompactIndex.build(x, "space").search(queries, 10, rescored=False)
    assert ann_recall(hits.rows, exact_rows(queries, x, 10)) >= 0.7
    exact = np.take_along_axis(queries @ x.T, hits.rows, 1)
    assert np.abs(hits.scores - exact).mean() < 0.05


def test_cells_are_routed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(index, "ONE_CELL_UP_TO", 500)
    x, queries = np.split(unit_rows(4050), [4000])
    built = CompactIndex.build(x, "space")
    assert built.router is not None
    assert built.recall >= 0.95
    hits = built.search(queries, 10)
    assert ann_recall(hits.rows, exact_rows(queries, x, 10)) >= 0.95
    built.write(tmp_path)
    assert np.array_equal(opened(tmp_path).search(queries, 10).rows, hits.rows)


def test_the_same_rows_give_the_same_file(tmp_path: Path) -> None:
    files = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        CompactIndex.build(unit_rows(200), "space").write(tmp_path / name)
        files.append((tmp_path / name / ARRAYS_FILE).read_bytes())
    assert files[0] == files[1]


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="expected"):
        CompactIndex.build(np.empty((0, 32), np.float32), "space")
    built = CompactIndex.build(unit_rows(10), "space")
    for queries, k in ((unit_rows(2, dim=16), 1), (unit_rows(2)[0], 1), (unit_rows(2), 0)):
        with pytest.raises(ValueError, match="expected"):
            built.search(queries, k)


def damaged(built: CompactIndex, tmp_path: Path, **changes: object) -> CompactIndex:
    replace(built, **changes).write(tmp_path)  # type: ignore[arg-type]
    return opened(tmp_path)


def test_parts_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    built = CompactIndex.build(unit_rows(10), "space")
    for changes in (
        {"packed": built.packed[:, :9]},
        {"packed": built.packed[:3]},
        {"vectors": built.vectors[:, :8]},
        {"rows": built.rows[:4]},
        {"rows": -built.rows},
        {"rows": built.rows + 1},
        {"vectors": built.vectors.astype(np.float32)},
        {"vectors": built.vectors[0, 0].reshape(())},
        {"cells": np.array([0, 4], np.int64)},
        {"cells": np.array([0, 12, 10], np.int64)},
        {"cells": np.array([10], np.int64)},
        {"probes": 0},
        {"probes": 7},
    ):
        with pytest.raises(IndexFileError):
            damaged(built, tmp_path, **changes)


def test_a_missing_part_is_refused(tmp_path: Path) -> None:
    CompactIndex.build(unit_rows(10), "space").write(tmp_path)
    stored, meta = arrays.read(memoryview((tmp_path / ARRAYS_FILE).read_bytes()), ARRAYS_FILE)
    for name in stored:
        arrays.write(tmp_path / ARRAYS_FILE, {key: value for key, value in stored.items() if key != name}, meta)
        with pytest.raises(IndexFileError, match=name):
            opened(tmp_path)
    for key in meta:
        arrays.write(tmp_path / ARRAYS_FILE, stored, {k: v for k, v in meta.items() if k != key})
        with pytest.raises(IndexFileError, match=key):
            opened(tmp_path)
