"""Compare the compiled kernel with its numpy twin, and the twin with plain loops."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from edgesearch.index import kernel
from edgesearch.index.kernel import BLOCK, NO_ROW, Blocks, SearchRequest

compiled = pytest.importorskip("edgesearch.index._kernel", reason="the kernel is not compiled here")


@pytest.fixture(params=["", "plain"])
def loops(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run a test with the processor's fastest loops, then with the plain ones."""
    yield compiled.use(request.param)
    compiled.use("")


def make_blocks(rows: int, dim: int, subquantizers: int, cells: int = 1, seed: int = 0) -> Blocks:
    """Make random codes, and vectors unrelated to them, so that each loop must read the right array."""
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


def make_queries(count: int, dim: int) -> np.ndarray:
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
def test_kernel_and_twin_find_the_same_rows(
    loops: str, rows: int, dim: int, subquantizers: int, cells: int, probes: int, rescored: bool
) -> None:
    blocks, queries = make_blocks(rows, dim, subquantizers, cells), make_queries(10, dim)
    k = min(7, rows)
    for shortlist in (k, min(100, len(blocks.rows))):
        given = kernel.search(blocks, SearchRequest(queries, k, probes, shortlist, rescored))
        twin = kernel.search_by_numpy(blocks, SearchRequest(queries, k, probes, shortlist, rescored))
        # Float sums in another order may move a table entry to the next level, and so a row out of the shortlist.
        assert (given[0] == twin[0]).mean() >= 0.98
        same = (given[0] == twin[0]) & (twin[0] != NO_ROW)
        np.testing.assert_allclose(given[1][same], twin[1][same], rtol=1e-5, atol=0.02 if not rescored else 1e-6)


def test_search_by_codes_needs_no_vectors() -> None:
    blocks, queries = make_blocks(400, 32, 8, 3), make_queries(5, 32)
    coded = replace(blocks, vectors=blocks.vectors[:0])
    asked = SearchRequest(queries, 7, 2, 50, rescored=False)
    for one, other in zip(kernel.search(coded, asked), kernel.search(blocks, asked), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="vectors"):
        kernel.search(coded, asked._replace(rescored=True))


def test_all_loops_give_identical_results() -> None:
    blocks, queries = make_blocks(3000, 128, 64, 20), make_queries(50, 128)
    answers = []
    for name in ("", "plain"):
        compiled.use(name)
        answers.append(kernel.search(blocks, SearchRequest(queries, 10, 5, 100)))
    compiled.use("")
    assert np.array_equal(answers[0][0], answers[1][0])
    assert np.array_equal(answers[0][1], answers[1][1])


def test_only_allowed_rows_are_found(loops: str) -> None:
    blocks, queries = make_blocks(2000, 64, 32, 7), make_queries(5, 64)
    for share in (0.0, 0.001, 0.3):
        mask = np.random.default_rng(2).random(len(blocks.rows)) < share
        allowed = kernel.pack_bits(mask & (blocks.rows >= 0))
        given, twin = (
            search(blocks, SearchRequest(queries, 20, 7, 100, allowed=allowed))
            for search in (kernel.search, kernel.search_by_numpy)
        )
        assert set(given[0].flat) - {NO_ROW} <= set(blocks.rows[mask])
        assert np.array_equal(given[0], twin[0])
        assert np.array_equal(given[1], twin[1])


def test_only_the_nearest_cells_are_searched(loops: str) -> None:
    blocks, queries = make_blocks(2000, 64, 32, 7), make_queries(5, 64)
    found, _ = kernel.search(blocks, SearchRequest(queries, 20, 2, 100))
    for query, rows in zip(queries, found, strict=True):
        cells = kernel.route(query, blocks.centers, 2)
        inside = [blocks.rows[blocks.starts[c] * BLOCK : blocks.starts[c + 1] * BLOCK] for c in cells]
        assert np.isin(rows, np.concatenate(inside)).all()


def test_equal_scores_are_ordered_by_position(loops: str) -> None:
    blocks = make_blocks(BLOCK * 40, 16, 8)
    same = replace(
        blocks,
        packed=np.zeros_like(blocks.packed),
        vectors=np.ones_like(blocks.vectors),
        rows=np.arange(BLOCK * 40, dtype=np.int32),
    )
    found, _ = kernel.search(same, SearchRequest(make_queries(3, 16), 50, 1, 60))
    assert found.tolist() == [list(range(50))] * 3


def test_k_can_be_the_whole_index(loops: str) -> None:
    blocks = make_blocks(700, 32, 16, 3)
    found, scores = kernel.search(blocks, SearchRequest(make_queries(2, 32), 700, 3, 704))
    assert sorted(found[0]) == list(range(700))
    assert (np.diff(scores, axis=1) <= 0).all()


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, 1e38, 1e-38])
def test_extreme_queries_return_valid_rows(loops: str, value: float) -> None:
    found, _ = kernel.search(make_blocks(100, 16, 8), SearchRequest(np.full((1, 16), value, np.float32), 5, 1, 50))
    assert ((found >= 0) & (found < 100)).all()


def test_threads_can_search_at_the_same_time() -> None:
    blocks, queries = make_blocks(5000, 128, 64, 10), make_queries(64, 128)
    expected = kernel.search(blocks, SearchRequest(queries, 10, 5, 100))[0]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda q: kernel.search(blocks, SearchRequest(q[None], 10, 5, 100))[0][0], queries))
    assert np.array_equal(found, expected)


def test_search_rejects_arrays_that_do_not_fit() -> None:
    blocks, queries = make_blocks(100, 16, 8, 2), make_queries(2, 16)
    for name in ("rotation", "codebook", "centers", "starts", "packed", "vectors", "rows"):
        short = replace(blocks, **{name: getattr(blocks, name)[:-1]})
        with pytest.raises(ValueError, match="do not fit together"):
            kernel.search(short, SearchRequest(queries, 5, 1, 50))
    for starts in ([0, 9, 4], [1, 2, 4], [0, 2, 3], [0, 2, 2**32 - 1]):
        with pytest.raises(ValueError, match="starts"):
            kernel.search(replace(blocks, starts=np.array(starts, np.uint32)), SearchRequest(queries, 5, 1, 50))
    for k, probes, shortlist in ((0, 1, 50), (5, 0, 50), (5, 3, 50), (5, 1, 4), (5, 1, 10**9)):
        with pytest.raises(ValueError, match="do not fit together"):
            kernel.search(blocks, SearchRequest(queries, k, probes, shortlist))
    with pytest.raises(ValueError, match="allowed"):
        kernel.search(blocks, SearchRequest(queries, 5, 1, 50, allowed=np.zeros(3, np.uint32)))


@pytest.mark.slow
def test_one_warning_without_compiled_modules() -> None:
    code = """if True:
        import sys
        for name in ("images._resampling", "index._kernel", "local_features._sift", "local_features._geometry"):
            sys.modules[f"edgesearch.{name}"] = None
        from edgesearch.images import network_input
        from edgesearch.index import kernel
        from edgesearch.local_features import geometry, sift
        print(network_input._resampling, kernel._kernel, sift._sift, geometry._geometry)
    """
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "None None None None"
    assert run.stderr.count("compiled modules are missing") == 1


@pytest.mark.parametrize(("rows", "subquantizers"), [(32, 2), (96, 64), (64, 256)])
def test_twin_scan_equals_a_plain_loop(rows: int, subquantizers: int) -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 16, (rows, subquantizers)).astype(np.uint8)
    levels = rng.integers(0, kernel.MAX_LEVEL + 1, (subquantizers, 16)).astype(np.uint8)
    expected = [sum(int(levels[m, codes[n, m]]) for m in range(subquantizers)) for n in range(rows)]
    assert kernel.scan(levels, kernel.pack_codes(codes)).tolist() == expected


@pytest.mark.parametrize("spread", [0.0, 1e-6, 1.0, 300.0])
def test_table_is_within_half_a_step_per_subquantizer(spread: float) -> None:
    rng = np.random.default_rng(0)
    codebook = (rng.standard_normal((64, 2, 16)) * spread).astype(np.float32)
    codes = rng.integers(0, 16, (192, 64)).astype(np.uint8)
    query = make_queries(1, 128)[0]
    levels, step, bias = kernel.make_table(query, np.eye(128, dtype=np.float32), codebook)
    words = codebook.transpose(0, 2, 1)[np.arange(64), codes].reshape(192, 128)
    rebuilt = bias + step * kernel.scan(levels, kernel.pack_codes(codes))
    assert np.abs(rebuilt - words @ query).max() <= 64 / 2 * step + 1e-4 * spread  # the last term is for float32 sums


def test_select_best_prefers_high_scores_then_low_positions() -> None:
    scores, positions = np.array([5, 1, 9, 9, 3], np.float32), np.array([10, 11, 13, 12, 14])
    assert kernel.select_best(scores, positions, 2).tolist() == [3, 2]
    assert kernel.select_best(scores, positions, 9).tolist() == [3, 2, 0, 4, 1]


def test_cosines_with_int8_rows_are_nearly_exact() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((50, 128)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    rows = kernel.quantize_rows(x)
    assert np.abs(rows).max(1).tolist() == [127] * 50
    np.testing.assert_allclose(kernel.compute_cosines(x[0], rows), x @ x[0], atol=3e-3)  # int8
    assert kernel.compute_cosines(x[0], np.zeros((1, 128), np.int8)).tolist() == [0.0]


def test_kernel_and_twin_count_the_same_votes() -> None:
    rng = np.random.default_rng(0)
    lists = [np.sort(rng.choice(500, size, replace=False)).astype(np.uint16) for size in (0, 1, 500, 37, 200)]
    last = np.cumsum([len(numbers) for numbers in lists])
    call = np.concatenate(lists), last - [len(numbers) for numbers in lists], last, rng.random(5, np.float32)
    given, expected = np.zeros(500, np.float32), np.zeros(500, np.float32)
    kernel.vote(*call, given)
    kernel.vote_by_numpy(*call, expected)
    np.testing.assert_array_equal(given, expected)


@pytest.mark.parametrize(
    ("postings", "first", "last", "weights"),
    [([3], [0], [2], [1]), ([3], [-1], [1], [1]), ([3], [1], [0], [1]), ([9], [0], [1], [1]), ([3], [0], [1], [1, 1])],
)
def test_vote_rejects_arrays_that_do_not_fit(
    postings: list[int], first: list[int], last: list[int], weights: list[int]
) -> None:
    arrays = np.array(postings, np.uint16), np.array(first), np.array(last), np.array(weights, np.float32)
    for vote in (kernel.vote, kernel.vote_by_numpy):
        with pytest.raises(ValueError, match="do not fit together"):
            vote(*arrays, np.zeros(9, np.float32))


@pytest.mark.parametrize("vote", [kernel.vote, kernel.vote_by_numpy])
def test_rejected_votes_leave_scores_unchanged(vote: Callable[..., None]) -> None:
    postings, first, last = np.array([3, 4, 9], np.uint16), np.array([0, 1]), np.array([1, 3])
    scores = np.ones(9, np.float32)
    with pytest.raises(ValueError, match="do not fit together"):
        vote(postings, first, last, np.ones(2, np.float32), scores)
    assert scores.tolist() == [1] * 9


def make_codebook(parts: int, dim: int, words: int) -> tuple[np.ndarray, np.ndarray]:
    """Return random codewords (parts, dim, words) and their squared lengths (parts, words)."""
    codewords = np.random.default_rng(words).standard_normal((parts, dim, words)).astype(np.float32)
    return codewords, (codewords**2).sum(1)


@pytest.mark.parametrize(("parts", "dim", "words"), [(2, 64, 64), (32, 4, 16), (1, 1, 256), (3, 5, 32)])
def test_kernel_and_twin_find_the_same_codewords(loops: str, parts: int, dim: int, words: int) -> None:
    codebook, x = make_codebook(parts, dim, words), make_queries(200, parts * dim)
    # Sums in another order may swap two codewords that are equally near.
    assert (kernel.encode(x, *codebook) == kernel.encode_by_numpy(x, *codebook)).mean() >= 0.999
    assert kernel.encode(x[:0], *codebook).shape == (0, parts)


def test_the_first_of_equal_codewords_is_found(loops: str) -> None:
    codewords = np.repeat(make_queries(1, 8)[0].reshape(2, 4, 1), 32, 2)
    squares = (codewords**2).sum(1)
    assert kernel.encode(make_queries(3, 8), codewords, squares).tolist() == [[0, 0]] * 3


@pytest.mark.parametrize(("parts", "dim"), [(32, 4), (1, 1), (256, 2)])
def test_kernel_and_twin_quantize_products_alike(loops: str, parts: int, dim: int) -> None:
    codebook, x = make_codebook(parts, dim, 16), make_queries(100, parts * dim)
    given, twin = kernel.quantize_products(x, *codebook), kernel.quantize_products_by_numpy(x, *codebook)
    assert (given[0] == twin[0]).mean() >= 0.999  # another last bit may move a number to the next level
    np.testing.assert_allclose(given[1], twin[1], rtol=1e-5, atol=1e-5)  # float32
    np.testing.assert_allclose(given[2], twin[2], rtol=1e-5)
    assert given[0].max() == kernel.MAX_LEVEL


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, 1e38])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_extreme_vectors_give_valid_codes_and_levels(loops: str, value: float) -> None:
    x = np.full((1, 8), value, np.float32)
    assert kernel.encode(x, *make_codebook(2, 4, 32)).max() < 32
    assert kernel.quantize_products(x, *make_codebook(2, 4, 16))[0].max() <= kernel.MAX_LEVEL


@pytest.mark.parametrize(("parts", "dim", "words"), [(2, 4, 24), (2, 4, 272), (257, 1, 16), (1, 2049, 16)])
def test_impossible_codebooks_are_rejected(parts: int, dim: int, words: int) -> None:
    codebook, x = make_codebook(parts, dim, words), make_queries(2, parts * dim)
    for function in (kernel.encode, kernel.quantize_products):
        with pytest.raises(ValueError, match="do not fit together"):
            function(x, *codebook)


def test_vectors_and_codebooks_that_do_not_fit_are_rejected() -> None:
    (codewords, squares), x = make_codebook(2, 4, 16), make_queries(2, 8)
    for function in (kernel.encode, kernel.quantize_products):
        for wrong in ((x[:, :7], codewords, squares), (x, codewords[:, :3], squares), (x, codewords, squares[:, :15])):
            with pytest.raises(ValueError, match="do not fit together"):
                function(*(np.ascontiguousarray(array) for array in wrong))
        with pytest.raises(ValueError, match="codewords: items have the format"):
            function(x, codewords.view(np.int32), squares)
    with pytest.raises(ValueError, match="do not fit together"):
        kernel.quantize_products(x, *make_codebook(2, 4, 32))


def misalign(array: np.ndarray) -> np.ndarray:
    """Copy an array to an address that is not a multiple of its item size."""
    room = np.zeros(array.nbytes + 1, np.uint8)
    copy = room[1:].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def call_vote(changed: str = "", change: Callable[[np.ndarray], np.ndarray] = misalign) -> np.ndarray:
    """Vote with one array changed; return the scores."""
    arrays = {
        "postings": np.array([3, 4], np.uint16),
        "first": np.array([0]),
        "last": np.array([2]),
        "weights": np.ones(1, np.float32),
        "scores": np.zeros(9, np.float32),
    }
    if changed:
        arrays[changed] = change(arrays[changed])
    compiled.vote(*arrays.values())
    return arrays["scores"]


def call_match(changed: str = "", change: Callable[[np.ndarray], np.ndarray] = misalign) -> np.ndarray:
    """Match with one array changed; return the rows."""
    arrays = {
        "levels": np.zeros((2, 2, 16), np.uint8),
        "packed": np.zeros((1, 1, BLOCK), np.uint8),
        "allowed": np.ones((2, 1), np.uint32),
        "out_rows": np.zeros(2, np.int32),
        "out_sums": np.zeros((2, 2), np.uint16),
    }
    if changed:
        arrays[changed] = change(arrays[changed])
    compiled.match(*arrays.values(), 2, 1)
    return arrays["out_rows"]


@pytest.mark.parametrize(("m", "count"), [(2, 0), (2, 5), (6, 32), (6, 100), (32, 256), (32, 300)])
@pytest.mark.parametrize("levels_used", [2, 64])  # few levels: many rows tie
@pytest.mark.parametrize("share", [None, 1.0, 0.05])
def test_kernel_and_twin_match_alike(loops: str, m: int, count: int, levels_used: int, share: float | None) -> None:
    rng, blocks = np.random.default_rng(count), -(-count // BLOCK)
    levels = rng.integers(0, levels_used, (20, m, 16), np.uint8)
    packed = rng.integers(0, 256, (blocks, m // 2, BLOCK), np.uint8)
    bits = np.packbits(rng.random((20, blocks * BLOCK)) < (share or 0), axis=1, bitorder="little").view("<u4")
    allowed = None if share is None else bits.astype(np.uint32)
    given, twin = (f(levels, packed, count, allowed) for f in (kernel.match, kernel.match_by_numpy))
    assert np.array_equal(given[0], twin[0])
    assert np.array_equal(given[1], twin[1])


@pytest.mark.parametrize("name", ["postings", "first", "last", "weights", "scores"])
def test_vote_rejects_other_formats_and_misaligned_arrays(name: str) -> None:
    assert call_vote().tolist() == [0, 0, 0, 1, 1, 0, 0, 0, 0]
    with pytest.raises(ValueError, match=f"{name}: the array is not aligned"):
        call_vote(name)
    with pytest.raises(ValueError, match=f"{name}: items have the format"):
        call_vote(name, lambda array: array.view(f"V{array.itemsize}"))
    with pytest.raises(ValueError, match=f"{name}: items have the format"):
        call_vote(name, lambda array: array.astype(array.dtype.newbyteorder()))
    with pytest.raises(ValueError, match=f"{name}: items have the format '.*' and 16 bytes"):
        call_vote(name, lambda array: array.astype(np.complex128))


@pytest.mark.parametrize("name", ["levels", "packed", "allowed", "out_rows", "out_sums"])
def test_match_rejects_other_formats_and_misaligned_arrays(name: str) -> None:
    assert call_match().tolist() == [0, 0]
    with pytest.raises(ValueError, match=f"{name}: items have the format"):
        call_match(name, lambda array: array.view(np.int8))
    if name not in ("levels", "packed"):  # bytes are always aligned
        with pytest.raises(ValueError, match=f"{name}: the array is not aligned"):
            call_match(name)


def test_search_rejects_other_formats_and_misaligned_arrays() -> None:
    blocks, request = make_blocks(100, 16, 8, 2), SearchRequest(make_queries(2, 16), 5, 1, 50)
    for name in ("rotation", "codebook", "starts", "rows"):
        array = getattr(blocks, name)
        with pytest.raises(ValueError, match=f"{name}: the array is not aligned"):
            kernel.search(replace(blocks, **{name: misalign(array)}), request)
        with pytest.raises(ValueError, match=f"{name}: items have the format"):
            kernel.search(replace(blocks, **{name: array.view(np.uint8)}), request)
    for name in ("centers", "vectors"):
        with pytest.raises(ValueError, match=f"{name}: items have the format 'B' and 1 bytes; expected int8"):
            kernel.search(replace(blocks, **{name: getattr(blocks, name).view(np.uint8)}), request)
    with pytest.raises(ValueError, match="allowed: items have the format"):
        kernel.search(blocks, request._replace(allowed=np.ones(4, np.float32)))


def test_arrays_that_cannot_be_written_are_rejected() -> None:
    def freeze(array: np.ndarray) -> np.ndarray:
        array.flags.writeable = False
        return array

    with pytest.raises((ValueError, BufferError)):
        call_vote("scores", freeze)
    with pytest.raises((ValueError, BufferError)):
        call_vote("postings", lambda array: np.repeat(array, 2)[::2])
    with pytest.raises(TypeError):
        call_vote("postings", lambda array: array.tolist())  # type: ignore[arg-type, return-value]
