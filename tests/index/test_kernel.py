"""The compiled kernel against its numpy twin, and the twin against plain loops."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from edgesearch.index import kernel
from edgesearch.index.kernel import BLOCK, NO_ROW, Blocks, Question

compiled = pytest.importorskip("edgesearch.index._kernel", reason="the kernel is not compiled here")


@pytest.fixture(params=["", "plain"])
def loops(request: pytest.FixtureRequest) -> Iterator[str]:
    """The processor's own loops, then the plain ones."""
    yield compiled.use(request.param)
    compiled.use("")


def blocks_of(rows: int, dim: int, subquantizers: int, cells: int = 1, seed: int = 0) -> Blocks:
    """Random codes, and vectors that have nothing to do with them: neither may matter to the other's loops."""
    rng = np.random.default_rng(seed)
    count = -(-rows // BLOCK)
    numbers = np.full(count * BLOCK, NO_ROW, np.int32)
    numbers[np.sort(rng.choice(len(numbers), rows, replace=False))] = rng.permutation(rows)
    inner = np.sort(rng.integers(0, count + 1, cells - 1))
    return Blocks(
        rotation=np.linalg.qr(rng.standard_normal((dim, dim)))[0].astype(np.float32),
        codebook=rng.standard_normal((subquantizers, dim // subquantizers, 16)).astype(np.float32),
        centers=rng.integers(-127, 128, (cells, dim)).astype(np.int8),
        starts=np.array([0, *inner, count], np.uint32),
        packed=rng.integers(0, 256, (count, subquantizers // 2, BLOCK)).astype(np.uint8),
        vectors=rng.integers(-127, 128, (count * BLOCK, dim)).astype(np.int8),
        rows=numbers,
    )


def queries_of(count: int, dim: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((count, dim)).astype(np.float32)


@pytest.mark.parametrize("rescored", [True, False])
@pytest.mark.parametrize(
    ("rows", "dim", "subquantizers", "cells", "probes"),
    [
        (1, 4, 2, 1, 1),
        (33, 8, 2, 1, 1),
        (400, 30, 6, 3, 2),
        (3000, 128, 64, 20, 5),
        (5000, 256, 64, 9, 9),
        (64, 512, 256, 1, 1),
    ],
)
def test_the_kernel_finds_what_its_twin_finds(
    loops: str, rows: int, dim: int, subquantizers: int, cells: int, probes: int, rescored: bool
) -> None:
    blocks, queries = blocks_of(rows, dim, subquantizers, cells), queries_of(10, dim)
    k = min(7, rows)
    for shortlist in (k, min(100, len(blocks.rows))):
        given = kernel.search(blocks, Question(queries, k, probes, shortlist, rescored))
        twin = kernel.search_by_numpy(blocks, Question(queries, k, probes, shortlist, rescored))
        # Float sums in another order may move a table's entry to the next level, a row beyond the shortlist's end.
        assert (given[0] == twin[0]).mean() >= 0.98
        same = (given[0] == twin[0]) & (twin[0] != NO_ROW)
        np.testing.assert_allclose(given[1][same], twin[1][same], rtol=1e-5, atol=0.02 if not rescored else 1e-6)


def test_codes_alone_need_no_vectors() -> None:
    blocks, queries = blocks_of(400, 32, 8, 3), queries_of(5, 32)
    coded = replace(blocks, vectors=blocks.vectors[:0])
    asked = Question(queries, 7, 2, 50, rescored=False)
    for one, other in zip(kernel.search(coded, asked), kernel.search(blocks, asked), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="vectors"):
        kernel.search(coded, asked._replace(rescored=True))


def test_all_loops_find_the_same() -> None:
    blocks, queries = blocks_of(3000, 128, 64, 20), queries_of(50, 128)
    answers = []
    for name in ("", "plain"):
        compiled.use(name)
        answers.append(kernel.search(blocks, Question(queries, 10, 5, 100)))
    compiled.use("")
    assert np.array_equal(answers[0][0], answers[1][0])
    assert np.array_equal(answers[0][1], answers[1][1])


def test_only_allowed_rows_are_found(loops: str) -> None:
    blocks, queries = blocks_of(2000, 64, 32, 7), queries_of(5, 64)
    for share in (0.0, 0.001, 0.3):
        mask = np.random.default_rng(2).random(len(blocks.rows)) < share
        allowed = kernel.bits(mask & (blocks.rows >= 0))
        given, twin = (
            search(blocks, Question(queries, 20, 7, 100, allowed=allowed))
            for search in (kernel.search, kernel.search_by_numpy)
        )
        assert set(given[0].flat) - {NO_ROW} <= set(blocks.rows[mask])
        assert np.array_equal(given[0], twin[0])
        assert np.array_equal(given[1], twin[1])


def test_cells_chosen_elsewhere_are_looked_into(loops: str) -> None:
    blocks, queries = blocks_of(2000, 64, 32, 7), queries_of(5, 64)
    routed = np.array([[1, 6]] * 5, np.uint32)
    given = kernel.search(blocks, Question(queries, 20, 2, 100, routed=routed))
    twin = kernel.search_by_numpy(blocks, Question(queries, 20, 2, 100, routed=routed))
    inside = np.concatenate([blocks.rows[blocks.starts[c] * BLOCK : blocks.starts[c + 1] * BLOCK] for c in (1, 6)])
    assert np.isin(given[0], inside).all()
    assert np.array_equal(given[0], twin[0])


def test_equal_rows_come_in_the_order_they_are_stored(loops: str) -> None:
    blocks = blocks_of(BLOCK * 40, 16, 8)
    same = replace(
        blocks,
        packed=np.zeros_like(blocks.packed),
        vectors=np.ones_like(blocks.vectors),
        rows=np.arange(BLOCK * 40, dtype=np.int32),
    )
    found, _ = kernel.search(same, Question(queries_of(3, 16), 50, 1, 60))
    assert found.tolist() == [list(range(50))] * 3


def test_everything_can_be_asked_for(loops: str) -> None:
    blocks = blocks_of(700, 32, 16, 3)
    found, scores = kernel.search(blocks, Question(queries_of(2, 32), 700, 3, 704))
    assert sorted(found[0]) == list(range(700))
    assert (np.diff(scores, axis=1) <= 0).all()


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, 1e38, 1e-38])
def test_strange_queries_are_survived(loops: str, value: float) -> None:
    found, _ = kernel.search(blocks_of(100, 16, 8), Question(np.full((1, 16), value, np.float32), 5, 1, 50))
    assert ((found >= 0) & (found < 100)).all()


def test_many_threads_search_at_once() -> None:
    blocks, queries = blocks_of(5000, 128, 64, 10), queries_of(64, 128)
    expected = kernel.search(blocks, Question(queries, 10, 5, 100))[0]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda q: kernel.search(blocks, Question(q[None], 10, 5, 100))[0][0], queries))
    assert np.array_equal(found, expected)


def test_arrays_that_do_not_fit_are_refused() -> None:
    blocks, queries = blocks_of(100, 16, 8, 2), queries_of(2, 16)
    for name in ("rotation", "codebook", "centers", "starts", "packed", "vectors", "rows"):
        short = replace(blocks, **{name: getattr(blocks, name)[:-1]})
        with pytest.raises(ValueError, match="do not fit together"):
            kernel.search(short, Question(queries, 5, 1, 50))
    for starts in ([0, 9, 4], [1, 2, 4], [0, 2, 3], [0, 2, 2**32 - 1]):
        with pytest.raises(ValueError, match="starts"):
            kernel.search(replace(blocks, starts=np.array(starts, np.uint32)), Question(queries, 5, 1, 50))
    for k, probes, shortlist in ((0, 1, 50), (5, 0, 50), (5, 3, 50), (5, 1, 4), (5, 1, 10**9)):
        with pytest.raises(ValueError, match="do not fit together"):
            kernel.search(blocks, Question(queries, k, probes, shortlist))
    with pytest.raises(ValueError, match="allowed"):
        kernel.search(blocks, Question(queries, 5, 1, 50, allowed=np.zeros(3, np.uint32)))
    for routed in (np.full((2, 1), 2, np.uint32), np.zeros((1, 1), np.uint32)):
        with pytest.raises(ValueError, match="routed"):
            kernel.search(blocks, Question(queries, 5, 1, 50, routed=routed))


def test_without_a_compiled_kernel_a_warning_says_so() -> None:
    code = "import sys; sys.modules['edgesearch.index._kernel'] = None; from edgesearch import kernel; print(kernel._kernel)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "None"
    assert run.stderr.count("no compiled kernel") == 1


@pytest.mark.parametrize(("rows", "subquantizers"), [(32, 2), (96, 64), (64, 256)])
def test_the_twins_scan_equals_the_plain_loop(rows: int, subquantizers: int) -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 16, (rows, subquantizers)).astype(np.uint8)
    levels = rng.integers(0, kernel.MAX_LEVEL + 1, (subquantizers, 16)).astype(np.uint8)
    expected = [sum(int(levels[m, codes[n, m]]) for m in range(subquantizers)) for n in range(rows)]
    assert kernel.scan(levels, kernel.pack(codes)).tolist() == expected


@pytest.mark.parametrize("spread", [0.0, 1e-6, 1.0, 300.0])
def test_quantized_sums_are_off_by_at_most_half_a_step_a_subquantizer(spread: float) -> None:
    rng = np.random.default_rng(0)
    codebook = (rng.standard_normal((64, 2, 16)) * spread).astype(np.float32)
    codes = rng.integers(0, 16, (192, 64)).astype(np.uint8)
    query = queries_of(1, 128)[0]
    levels, step, bias = kernel.make_table(query, np.eye(128, dtype=np.float32), codebook)
    words = codebook.transpose(0, 2, 1)[np.arange(64), codes].reshape(192, 128)
    rebuilt = bias + step * kernel.scan(levels, kernel.pack(codes))
    assert np.abs(rebuilt - words @ query).max() <= 64 / 2 * step + 1e-4 * spread  # the last for float32 sums


def test_best_keeps_the_highest_and_of_equals_the_first() -> None:
    scores, positions = np.array([5, 1, 9, 9, 3], np.float32), np.array([10, 11, 13, 12, 14])
    assert kernel.best(scores, positions, 2).tolist() == [3, 2]
    assert kernel.best(scores, positions, 9).tolist() == [3, 2, 0, 4, 1]


def test_int8_rows_give_their_cosines() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((50, 128)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    rows = kernel.quantize_rows(x)
    assert np.abs(rows).max(1).tolist() == [127] * 50
    np.testing.assert_allclose(kernel.cosines(x[0], rows), x @ x[0], atol=3e-3)  # int8
    assert kernel.cosines(x[0], np.zeros((1, 128), np.int8)).tolist() == [0.0]


@pytest.mark.skipif(kernel._kernel is None, reason="the kernel is not compiled here")
def test_words_vote_as_the_twin_has_it() -> None:
    rng = np.random.default_rng(0)
    lists = [np.sort(rng.choice(500, size, replace=False)).astype(np.uint16) for size in (0, 1, 500, 37, 200)]
    last = np.cumsum([len(numbers) for numbers in lists])
    call = np.concatenate(lists), last - [len(numbers) for numbers in lists], last, rng.random(5, np.float32)
    given, expected = np.zeros(500, np.float32), np.zeros(500, np.float32)
    kernel.vote(*call, given)
    kernel.vote_by_numpy(*call, expected)
    np.testing.assert_array_equal(given, expected)


@pytest.mark.skipif(kernel._kernel is None, reason="the kernel is not compiled here")
@pytest.mark.parametrize(
    ("postings", "first", "last", "weights"),
    [([3], [0], [2], [1]), ([3], [-1], [1], [1]), ([3], [1], [0], [1]), ([9], [0], [1], [1]), ([3], [0], [1], [1, 1])],
)
def test_votes_that_do_not_fit_are_refused(
    postings: list[int], first: list[int], last: list[int], weights: list[int]
) -> None:
    arrays = np.array(postings, np.uint16), np.array(first), np.array(last), np.array(weights, np.float32)
    with pytest.raises(ValueError, match="do not fit together"):
        kernel.vote(*arrays, np.zeros(9, np.float32))
