"""Build, search, write and open compact indexes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgesearch import IndexFileError
from edgesearch._util import array_file
from edgesearch.bundle.content import MappedFile
from edgesearch.evaluation.metrics import ann_recall
from edgesearch.index import compact_index
from edgesearch.index.compact_index import ARRAYS_FILE, CompactIndex


def unit_rows(count: int, dim: int = 32, seed: int = 0) -> np.ndarray:
    """Make unit rows around 50 centres, like embeddings of products: (count, dim) float32."""
    rng = np.random.default_rng(seed)
    centers = rng.standard_normal((50, dim))
    x = centers[rng.integers(0, 50, count)] + 0.5 * rng.standard_normal((count, dim))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def exact_rows(queries: np.ndarray, x: np.ndarray, k: int) -> np.ndarray:
    return np.argsort(-(queries @ x.T), 1, kind="stable")[:, :k]


def open_index(folder: Path) -> CompactIndex:
    return CompactIndex.open(memoryview((folder / ARRAYS_FILE).read_bytes()))


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


@pytest.mark.slow
@pytest.mark.parametrize("count", [400, 9000])
def test_like_keeps_the_bytes_of_shared_rows(count: int) -> None:
    x = unit_rows(count + 30)
    before = CompactIndex.build(x[30:], "space")
    found = CompactIndex.build(x, "space", like=before)
    for name in ("rotation", "codebook", "centers"):
        np.testing.assert_array_equal(getattr(found.blocks, name), getattr(before.blocks, name))
    rows = [set(map(bytes, index.blocks.vectors[index.blocks.rows >= 0])) for index in (before, found)]
    assert rows[0] < rows[1]
    assert found.recall >= before.recall - 0.02  # of random rows


@pytest.mark.slow
def test_like_with_too_few_cells_gets_new_cells() -> None:
    x = unit_rows(9000)
    found = CompactIndex.build(x, "space", like=CompactIndex.build(x[:100], "space"))
    assert found.cells == CompactIndex.build(x, "space").cells


@pytest.mark.slow
def test_released_vectors_can_be_searched_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    x, queries = np.split(unit_rows(5020), [5000])
    built = CompactIndex.build(x, "space")
    built.write(tmp_path)
    monkeypatch.setattr(compact_index, "RELEASE_ABOVE", 0)
    with open(tmp_path / ARRAYS_FILE, "rb") as file:
        found = CompactIndex.open(MappedFile(file))
    assert found.mapped_vectors is not None
    assert np.array_equal(found.mapped_vectors[:], found.blocks.vectors)
    for _ in range(2):
        assert np.array_equal(found.search(queries, 10).rows, built.search(queries, 10).rows)
        found.release_pages()
        built.release_pages()  # does nothing for an index in memory


@pytest.mark.slow
@pytest.mark.parametrize(("dim", "subquantizers"), [(4, 2), (32, 16), (132, 44), (160, 40), (192, 64), (256, 64)])
def test_every_embedding_width_gets_subquantizers(dim: int, subquantizers: int) -> None:
    x = unit_rows(40, dim)
    built = CompactIndex.build(x, "space")
    assert len(built.blocks.codebook) == subquantizers
    assert (built.search(x, 1).rows[:, 0] == np.arange(40)).mean() > 0.9


def test_missing_results_are_marked() -> None:
    hits = CompactIndex.build(unit_rows(3), "space").search(unit_rows(2, seed=1), 5)
    assert (hits.rows[:, 3:] == compact_index.NO_ROW).all()
    assert np.isneginf(hits.scores[:, 3:]).all()
    assert sorted(hits.rows[0, :3]) == [0, 1, 2]


def test_codes_alone_find_nearly_the_same_rows() -> None:
    x, queries = unit_rows(400), unit_rows(20, seed=1)
    hits = CompactIndex.build(x, "space").search(queries, 10, rescored=False)
    assert ann_recall(hits.rows, exact_rows(queries, x, 10)) >= 0.7
    exact = np.take_along_axis(queries @ x.T, hits.rows, 1)
    assert np.abs(hits.scores - exact).mean() < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 400, 9000])
def test_index_without_vectors_rescores_by_codes(count: int, tmp_path: Path) -> None:
    x, queries = unit_rows(count), unit_rows(20, seed=1)
    whole = CompactIndex.build(x, "space")
    coded = whole.drop_vectors(x)
    coded.write(tmp_path)
    found = open_index(tmp_path)
    assert found.is_codes_only
    assert (tmp_path / ARRAYS_FILE).stat().st_size < whole.blocks.packed.nbytes * 1.8 + 20_000
    k = min(10, count)
    hits, sums = found.search(queries, k), whole.search(queries, k, rescored=False)
    assert np.array_equal(hits.rows, coded.search(queries, k).rows)
    exact = exact_rows(queries, x, k)
    assert ann_recall(hits.rows, exact) >= ann_recall(sums.rows, exact)
    vectors = found.read_vectors(np.arange(count))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert (vectors * x).sum(1).mean() > 0.9
    np.testing.assert_allclose(hits.scores[0], vectors[hits.rows[0]] @ queries[0], atol=1e-5)
    found.release_pages()


def test_index_without_vectors_searches_allowed_rows() -> None:
    x, queries = unit_rows(400), unit_rows(5, seed=1)
    coded = CompactIndex.build(x, "space").drop_vectors(x)
    mask = np.arange(400) < 3
    hits = coded.search(queries, 6, allowed=coded.make_filter(mask))
    assert (np.sort(hits.rows[:, :3], 1) == np.arange(3)).all()
    assert (hits.rows[:, 3:] == compact_index.NO_ROW).all()
    assert np.isneginf(hits.scores[:, 3:]).all()


@pytest.mark.slow
def test_routing_finds_nearly_all_rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(compact_index, "ONE_CELL_UP_TO", 500)
    x, queries = np.split(unit_rows(4050), [4000])
    built = CompactIndex.build(x, "space")
    assert built.cells == 15
    assert built.recall >= 0.98
    hits = built.search(queries, 10)
    assert ann_recall(hits.rows, exact_rows(queries, x, 10)) >= 0.95
    built.write(tmp_path)
    assert np.array_equal(open_index(tmp_path).search(queries, 10).rows, hits.rows)
    everything = built.search(queries[:2], 4500)
    assert (np.sort(everything.rows[:, :4000], 1) == np.arange(4000)).all()
    assert (everything.rows[:, 4000:] == compact_index.NO_ROW).all()


@pytest.mark.parametrize("share", [0.0, 0.002, 0.5])
def test_only_allowed_rows_are_found(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    monkeypatch.setattr(compact_index, "ONE_CELL_UP_TO", 500)
    x, queries = np.split(unit_rows(4020), [4000])
    built = CompactIndex.build(x, "space")
    mask = np.random.default_rng(3).random(4000) < share
    hits = built.search(queries, 10, allowed=built.make_filter(mask))
    kept = np.flatnonzero(mask)
    assert np.isin(hits.rows, [*kept, compact_index.NO_ROW]).all()
    if len(kept):
        assert ann_recall(hits.rows, kept[exact_rows(queries, x[mask], 10)]) >= 0.98
    assert (hits.rows[:, : min(10, len(kept))] >= 0).all()
    with pytest.raises(ValueError, match="mask has shape"):
        built.make_filter(mask[:5])


def test_all_copies_of_a_row_are_found() -> None:
    x = np.repeat(unit_rows(40), 25, 0)
    built = CompactIndex.build(x, "space")
    assert built.recall >= 0.99
    rows = built.search(x[:1], 25).rows
    assert sorted(rows[0]) == list(range(25))


def test_building_twice_gives_the_same_file(tmp_path: Path) -> None:
    files = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        CompactIndex.build(unit_rows(200), "space").write(tmp_path / name)
        files.append((tmp_path / name / ARRAYS_FILE).read_bytes())
    assert files[0] == files[1]


def test_wrong_shapes_are_rejected() -> None:
    with pytest.raises(ValueError, match="expected"):
        CompactIndex.build(np.empty((0, 32), np.float32), "space")
    built = CompactIndex.build(unit_rows(10), "space")
    for queries, k in ((unit_rows(2, dim=16), 1), (unit_rows(2)[0], 1), (unit_rows(2), 0)):
        with pytest.raises(ValueError, match="expected"):
            built.search(queries, k)


def test_queries_that_are_not_finite_are_rejected() -> None:
    queries = unit_rows(2)
    queries[1, 3] = np.nan
    with pytest.raises(ValueError, match="finite"):
        CompactIndex.build(unit_rows(10), "space").search(queries, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"packed": lambda a: a[:1]},
        {"packed": lambda a: a[:, :3]},
        {"vectors": lambda a: a[:, :8]},
        {"vectors": lambda a: a.astype(np.float32)},
        {"vectors": lambda a: a[0, 0].reshape(())},
        {"rows": lambda a: a[:4]},
        {"rows": lambda a: a + 1},
        {"rows": lambda a: -a - 2},
        {"rows": lambda a: np.zeros_like(a)},
        {"centers": lambda a: a[:, :8]},
        {"centers": lambda a: np.concatenate([a, a])},
        {"starts": lambda a: a[:1]},
        {"starts": lambda a: a * 2},
        {"starts": lambda a: a[::-1].copy()},
        {"codebook": lambda a: a[:3]},
        {"rotation": lambda a: a[:8]},
        {"rotation": lambda a: a[:0]},
    ],
)
def test_arrays_that_do_not_fit_are_rejected(changes: dict[str, Callable], tmp_path: Path) -> None:
    built = CompactIndex.build(unit_rows(70), "space")
    blocks = replace(built.blocks, **{name: change(getattr(built.blocks, name)) for name, change in changes.items()})
    replace(built, blocks=blocks).write(tmp_path)
    with pytest.raises(IndexFileError):
        open_index(tmp_path)


@pytest.mark.parametrize("changes", [{"probes": 0}, {"probes": 7}, {"shortlist": 0}, {"size": 9}, {"size": -1}])
def test_settings_that_do_not_fit_are_rejected(changes: dict[str, int], tmp_path: Path) -> None:
    replace(CompactIndex.build(unit_rows(70), "space"), **changes).write(tmp_path)
    with pytest.raises(IndexFileError):
        open_index(tmp_path)


def test_another_layout_is_rejected(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(compact_index, "LAYOUT", 1)
    CompactIndex.build(unit_rows(70), "space").write(tmp_path)
    monkeypatch.undo()
    with pytest.raises(IndexFileError, match="index layout 1, expected 2 or 3"):
        open_index(tmp_path)


def test_a_missing_array_is_rejected(tmp_path: Path) -> None:
    CompactIndex.build(unit_rows(10), "space").write(tmp_path)
    stored, meta = array_file.read(memoryview((tmp_path / ARRAYS_FILE).read_bytes()), ARRAYS_FILE)
    for name in stored:
        array_file.write(tmp_path / ARRAYS_FILE, {key: value for key, value in stored.items() if key != name}, meta)
        with pytest.raises(IndexFileError, match=name):
            open_index(tmp_path)
    for key in meta:
        array_file.write(tmp_path / ARRAYS_FILE, stored, {k: v for k, v in meta.items() if k != key})
        with pytest.raises(IndexFileError, match=key):
            open_index(tmp_path)
