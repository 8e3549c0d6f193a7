"""Our index beside others: same vectors, same queries, one thread each, exact neighbours as ground truth.

Every system is built, written to a file and opened again in one process, where single queries are asked of all in
turns. Its memory is the growth of a fresh process that opens the file, asks the same queries, and comes to rest.
"""

import argparse
import itertools
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from tqdm import tqdm

from edgesearch.content import Mapped
from edgesearch.index import ARRAYS_FILE, ROUTER_FILE, CompactIndex
from edgesearch.metrics import ann_recall

from . import vectors
from .context import NO_MODEL, SEED, Found, add_data, add_model, require_photos
from .processes import in_fresh_process, resident

K = 10
TURN = 50  # queries of one system before the next one's turn
SLOW_US = 5_000  # a system that takes longer has one turn
SMALL_ROWS = 2048  # of the index by which a library is loaded before its memory is measured
Figures = dict[str, Any]


class System(ABC):
    """An index library: builds a file, and answers one query at a time from it."""

    index: Any

    def __init__(self, name: str, folder: Path, setting: str = ""):
        self.file, self.setting = folder / name, setting

    @abstractmethod
    def build(self, x: np.ndarray) -> None:
        """Index (N, D) float32 rows and write the file."""

    @abstractmethod
    def open(self) -> None:
        """Open the file for searching, mapped where the library can."""

    @abstractmethod
    def ask(self, query: np.ndarray) -> np.ndarray:
        """(1, D) float32 -> the K nearest rows, best first."""

    def turn(self) -> None:  # noqa: B027  # most have nothing to do
        """Get ready for some questions."""

    def rest(self) -> None:  # noqa: B027  # most have nothing to do
        """Give back the memory that is not needed until the next question."""


class Ours(System):
    """The compact index, as a bundle opens it."""

    def build(self, x: np.ndarray) -> None:
        self.file.mkdir(exist_ok=True)
        CompactIndex.build(x, "bench").write(self.file)

    def open(self) -> None:
        router = self.file / ROUTER_FILE
        with open(self.file / ARRAYS_FILE, "rb") as file:
            mapped = Mapped(file)
        self.index = CompactIndex.open(mapped, memoryview(router.read_bytes()) if router.exists() else None)

    def ask(self, query: np.ndarray) -> np.ndarray:
        return self.index.search(query, K).rows[0]

    def rest(self) -> None:
        self.index.let_go()


class OursInHaste(Ours):
    """The same looking into fewer cells than build chose; `setting` is their share."""

    def open(self) -> None:
        super().open()
        self.index = replace(self.index, probes=max(1, round(self.index.probes * float(self.setting))))


class OursAtRest(Ours):
    """The same asked now and then, as people do: what the last question read of the vectors is let go by then."""

    def ask(self, query: np.ndarray) -> np.ndarray:
        self.index.let_go()
        return super().ask(query)


class Faiss(System):
    """`setting` is "factory|search parameters"; settings of one file share it in memory."""

    _opened: ClassVar[dict[Path, Any]] = {}

    def build(self, x: np.ndarray) -> None:
        import faiss

        faiss.omp_set_num_threads(os.cpu_count() or 1)
        index = faiss.index_factory(x.shape[1], self.setting.split("|")[0], faiss.METRIC_INNER_PRODUCT)
        index.train(x[:262_144])
        index.add(x)
        faiss.write_index(index, str(self.file))

    def open(self) -> None:
        import faiss

        faiss.omp_set_num_threads(1)
        if self.file not in self._opened:
            self._opened[self.file] = faiss.read_index(str(self.file))
        self.index = self._opened[self.file]

    def turn(self) -> None:
        import faiss

        space: Any = faiss.ParameterSpace()  # typed wrongly
        space.set_index_parameters(self.index, self.setting.split("|")[1])

    def ask(self, query: np.ndarray) -> np.ndarray:
        return self.index.search(query, K)[1][0]


class Usearch(System):
    """`setting` is the dtype of the stored vectors."""

    def _made(self, dim: int) -> Any:
        from usearch.index import Index

        return Index(ndim=dim, metric="ip", dtype=self.setting)

    def build(self, x: np.ndarray) -> None:
        index = self._made(x.shape[1])
        index.add(np.arange(len(x), dtype=np.uint64), x)
        index.save(str(self.file))

    def open(self) -> None:
        from usearch.index import Index

        self.index = Index.restore(str(self.file), view=True)

    def ask(self, query: np.ndarray) -> np.ndarray:
        return self.index.search(query, K, threads=1).keys.reshape(-1)


class Hnswlib(System):
    """A float graph; `setting` is ef."""

    def build(self, x: np.ndarray) -> None:
        import hnswlib

        index = hnswlib.Index("ip", x.shape[1])
        index.init_index(len(x), M=16, ef_construction=200)
        index.add_items(x)
        index.save_index(str(self.file))
        self.file.with_suffix(".dim").write_text(str(x.shape[1]))

    def open(self) -> None:
        import hnswlib

        self.index = hnswlib.Index("ip", int(self.file.with_suffix(".dim").read_text()))
        self.index.load_index(str(self.file))
        self.index.set_ef(int(self.setting))

    def ask(self, query: np.ndarray) -> np.ndarray:
        return self.index.knn_query(query, K, num_threads=1)[0][0]


class SqliteVec(System):
    """Exact search inside SQLite."""

    def open(self) -> None:
        import apsw
        import sqlite_vec

        self.index = apsw.Connection(str(self.file))
        self.index.enable_load_extension(True)
        self.index.load_extension(sqlite_vec.loadable_path())

    def build(self, x: np.ndarray) -> None:
        self.open()
        self.index.execute(f"CREATE VIRTUAL TABLE v USING vec0(e float[{x.shape[1]}] distance_metric=cosine)")
        with self.index:
            rows = ((number, row.tobytes()) for number, row in enumerate(x))
            self.index.executemany("INSERT INTO v(rowid, e) VALUES (?, ?)", rows)
        self.index.close()

    def ask(self, query: np.ndarray) -> np.ndarray:
        nearest = "SELECT rowid FROM v WHERE e MATCH ? ORDER BY distance LIMIT ?"
        return np.array([row for (row,) in self.index.execute(nearest, (query.tobytes(), K))])


def systems(rows: int, dim: int, folder: Path) -> dict[str, System]:
    """All of them by name; settings of one index share its file."""
    made: dict[str, System] = {
        "edgesearch": Ours("edgesearch", folder),
        "edgesearch, vectors let go": OursAtRest("edgesearch", folder),
        "edgesearch, half the probes": OursInHaste("edgesearch", folder, "0.5"),
        "edgesearch, a quarter of the probes": OursInHaste("edgesearch", folder, "0.25"),
    }
    for part in sorted({2, max(2, dim // 64)}):  # dimensions a subquantizer
        for refine in ("SQ8", "RFlat"):
            codes, end = f"PQ{dim // part}x4fs", "RFlat" if refine == "RFlat" else f"Refine({refine})"
            for factor in (4, 8, 16):
                flat = Faiss(f"faiss-{codes}-{refine}", folder, f"{codes},{end}|k_factor_rf={factor}")
                made[f"faiss {codes},{end} x{factor}"] = flat
            lists = f"IVF{round(4 * rows**0.5)}"
            for probes, factor in itertools.product((8, 16, 32, 64, 128), (4, 8, 16)):
                settings = f"{lists},{codes},{end}|nprobe={probes},k_factor_rf={factor}"
                ivf = Faiss(f"faiss-ivf-{codes}-{refine}", folder, settings)
                made[f"faiss {lists},{codes},{end} x{factor}, {probes} probes"] = ivf
    made["faiss HNSW32,PQ32"] = Faiss("faiss-hnsw-pq", folder, "HNSW32_PQ32|efSearch=64")
    made["faiss HNSW32,SQ8"] = Faiss("faiss-hnsw-sq", folder, "HNSW32_SQ8|efSearch=64")
    made |= {f"usearch {dtype}": Usearch(f"usearch-{dtype}", folder, dtype) for dtype in ("f32", "f16", "i8")}
    made["hnswlib"] = Hnswlib("hnswlib", folder, "64")
    made["sqlite-vec"] = SqliteVec("sqlite-vec", folder)
    return made


def measure(x: np.ndarray, queries: np.ndarray, folder: Path, only: list[str]) -> Iterator[Figures]:
    """Build all, ask all in turns, and measure the memory of each.

    Args:    x: (N, D), queries: (Q, D) float32, unit rows; only: systems whose name begins so; all where it is empty.
    """
    np.save(folder / "queries.npy", queries)
    every = systems(len(x), x.shape[1], folder)
    chosen = {name: system for name, system in every.items() if not only or name.startswith(tuple(only))}
    built: dict[Path, float] = {}
    for system in chosen.values():
        if system.file not in built:
            start = time.perf_counter()
            system.build(x)
            built[system.file] = time.perf_counter() - start
        system.open()
    spent, found = _asked_in_turns(chosen, queries)
    exact = exact_neighbours(x, queries)
    for name, system in chosen.items():
        right = exact[: len(found[name])]
        yield {
            "name": name,
            "p50_us": float(np.percentile(spent[name], 50)),
            "p99_us": float(np.percentile(spent[name], 99)),
            **{f"recall@{k}": ann_recall([r[:k] for r in found[name]], right[:, :k]) for k in (K, 1)},
            "resident_bytes_per_row": _resident_growth(list(every).index(name), x.shape, folder) / len(x),
            "file_bytes_per_row": _size(system.file) / len(x),
            "build_s": built[system.file],
        }


def exact_neighbours(x: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """(Q, K) rows with the highest inner products."""
    best = np.full((len(queries), 0), 0.0, np.float32)
    rows = np.empty((len(queries), 0), np.int64)
    for start in range(0, len(x), 65_536):
        scores = queries @ x[start : start + 65_536].T
        best = np.concatenate([best, scores], 1)
        rows = np.concatenate([rows, np.broadcast_to(np.arange(start, start + scores.shape[1]), scores.shape)], 1)
        order = np.argpartition(-best, K - 1, 1)[:, :K]
        best, rows = np.take_along_axis(best, order, 1), np.take_along_axis(rows, order, 1)
    return np.take_along_axis(rows, np.argsort(-best, 1), 1)


def _asked_in_turns(chosen: dict[str, System], queries: np.ndarray) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Microseconds of every query and the rows found; some queries of one system, then of the next, and again."""
    spent: dict[str, list[float]] = {name: [] for name in chosen}
    found: dict[str, list[np.ndarray]] = {name: [] for name in chosen}
    for start in range(0, len(queries), TURN):
        for name, system in chosen.items():
            if start and np.median(spent[name]) > SLOW_US:
                continue
            system.turn()
            for query in queries[start : start + TURN]:
                begun = time.perf_counter()
                rows = system.ask(query[None])
                spent[name].append((time.perf_counter() - begun) * 1e6)
                found[name].append(rows)
    return spent, found


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.iterdir()) if path.is_dir() else path.stat().st_size


def _resident_growth(number: int, shape: tuple[int, ...], folder: Path) -> int:
    """Bytes by which a fresh process grows when it opens the file of a system and asks all queries."""
    return int(in_fresh_process("indexes", "grown", number, *shape, folder))


def grown(number: str, rows: str, dim: str, folder: str) -> int:
    """What opening and asking system `number` adds to this process; the library itself is loaded before."""

    def this(count: int, place: Path) -> System:
        return list(systems(count, int(dim), place).values())[int(number)]

    small = Path(folder) / f"small-{number}"
    few = np.random.default_rng(0).standard_normal((SMALL_ROWS, int(dim))).astype(np.float32)
    if not small.exists():
        small.mkdir()
        if not os.fork():  # what building takes must not be there when opening begins
            this(SMALL_ROWS, small).build(few)
            os._exit(0)
        os.wait()
    queries = np.load(Path(folder) / "queries.npy")
    _open_and_ask(this(SMALL_ROWS, small), queries[:TURN])
    before = resident()
    _open_and_ask(this(int(rows), Path(folder)), queries)
    return resident() - before


def _open_and_ask(system: System, queries: np.ndarray) -> None:
    system.open()
    system.turn()
    start = time.perf_counter()
    for number, query in enumerate(queries, 1):
        system.ask(query[None])
        if number == TURN and time.perf_counter() - start > TURN * SLOW_US / 1e6:
            break
    system.rest()


def table(results: list[Figures]) -> str:
    """Markdown."""
    lines = [
        "| index | p50 us | p99 us | recall@10 | recall@1 | resident B a row | file B a row | build s |",
        "|---" * 8 + "|",
    ]
    for r in results:
        lines.append(
            f"| {r['name']} | {r['p50_us']:.0f} | {r['p99_us']:.0f} | {r['recall@10']:.3f} | {r['recall@1']:.3f} "
            f"| {r['resident_bytes_per_row']:.0f} | {r['file_bytes_per_row']:.0f} | {r['build_s']:.0f} |"
        )
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which vectors, and which systems."""
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--data", choices=["embeddings", "synthetic"], default="embeddings")
    parser.add_argument("--dim", type=int, default=128, help="of synthetic vectors (default: 128)")
    add_data(parser, "--photos")
    parser.add_argument("--kept", type=Path, default=Path("build/index"), help="folder where embeddings stay")
    add_model(parser)
    parser.add_argument("--only", action="append", default=[], help="systems whose name begins so")


def run(options: argparse.Namespace, folder: Path) -> Found:
    """As `measure`."""
    if options.data == "embeddings":
        require_photos(options.photos, "--photos")
        x, queries = vectors.embeddings(options.photos, options.model, options.rows, options.kept, SEED)
    else:
        x, queries = vectors.synthetic(options.rows, options.dim, SEED)
    results = list(tqdm(measure(x, queries, folder, options.only), desc="index", unit="system", disable=None))
    found = {"rows": len(x), "dim": x.shape[1], "data": options.data, "results": results}
    note = "One query at a time, one thread."
    return (
        found
        | {"markdown": table(results), "note": note}
        | ({} if options.data == "embeddings" else {"model": NO_MODEL})
    )
