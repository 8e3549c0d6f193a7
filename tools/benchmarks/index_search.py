"""Our index compared with others: same vectors, same queries, one thread each, exact neighbours as ground truth.

One process builds every system, writes it to a file, opens it again, and sends single queries to all systems in turns.
The memory of a system is the growth of a fresh process that opens the file, sends the same queries, and releases
memory.
"""

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from edgesearch.evaluation.metrics import ann_recall

from . import vectors
from .context import NO_MODEL, SEED, Results, add_data, add_model, require_photos
from .index_libraries import LIBRARIES, K, System, systems
from .processes import free_memory, in_fresh_process, resident

TURN = 50  # queries of one system before the next one's turn
SLOW_US = 5_000  # a system that takes longer has one turn only
REACHED = 0.985  # least recall@10 of a setting that is compared with ours
SMALL_ROWS = 2048  # of the index by which a library is loaded before its memory is measured
Figures = dict[str, Any]


def measure(x: np.ndarray, queries: np.ndarray, folder: Path, only: list[str]) -> Iterator[Figures]:
    """Build all systems, query them in turns, and measure the memory of each.

    Args:    x: (N, D), queries: (Q, D) float32, unit rows; only: starts of the names of systems; empty: all systems.
    """
    np.save(folder / "queries.npy", queries)
    every = systems(len(x), x.shape[1], folder)
    chosen = _choose(every, only)
    built: dict[Path, float] = {}
    for system in chosen.values():
        if system.file not in built:
            start = time.perf_counter()
            system.build(x)
            built[system.file] = time.perf_counter() - start
        system.open()
    spent, found = _search_in_turns(chosen, queries)
    exact = exact_neighbours(x, queries)
    held: dict[object, int] = {}
    for name, system in chosen.items():
        right = exact[: len(found[name])]
        same = system.file if system.reads_whole else name  # settings do not change how much is read
        if same not in held:
            held[same] = _resident_growth(list(every).index(name), x.shape, folder)
        yield {
            "name": name,
            "p50_us": float(np.percentile(spent[name], 50)),
            "p99_us": float(np.percentile(spent[name], 99)),
            **{f"recall@{k}": ann_recall([r[:k] for r in found[name]], right[:, :k]) for k in (K, 1)},
            "resident_bytes_per_row": held[same] / len(x),
            "file_bytes_per_row": _size(system.file) / len(x),
            "build_s": built[system.file],
        }


def exact_neighbours(x: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Return the rows of (N, D) float32 with the highest inner products with (Q, D) float32 queries: (Q, K) int64."""
    best = np.full((len(queries), 0), 0.0, np.float32)
    rows = np.empty((len(queries), 0), np.int64)
    for start in range(0, len(x), 65_536):
        scores = queries @ x[start : start + 65_536].T
        best = np.concatenate([best, scores], 1)
        rows = np.concatenate([rows, np.broadcast_to(np.arange(start, start + scores.shape[1]), scores.shape)], 1)
        order = np.argpartition(-best, K - 1, 1)[:, :K]
        best, rows = np.take_along_axis(best, order, 1), np.take_along_axis(rows, order, 1)
    return np.take_along_axis(rows, np.argsort(-best, 1), 1)


def _search_in_turns(chosen: dict[str, System], queries: np.ndarray) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Query the systems in turns of TURN queries; return microseconds and found rows of every query."""
    spent: dict[str, list[float]] = {name: [] for name in chosen}
    found: dict[str, list[np.ndarray]] = {name: [] for name in chosen}
    for start in range(0, len(queries), TURN):
        for name, system in chosen.items():
            if start and np.median(spent[name]) > SLOW_US:
                continue
            system.prepare()
            for query in queries[start : start + TURN]:
                begun = time.perf_counter()
                rows = system.search(query[None])
                spent[name].append((time.perf_counter() - begun) * 1e6)
                found[name].append(rows)
    return spent, found


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.iterdir()) if path.is_dir() else path.stat().st_size


def _resident_growth(number: int, shape: tuple[int, ...], folder: Path) -> int:
    """Return the bytes by which a fresh process grows when it opens the file of a system and sends all queries."""
    return int(in_fresh_process("index_search", "measure_growth", number, *shape, folder))


def measure_growth(number: str, rows: str, dim: str, folder: str) -> int:
    """Return the bytes that opening and querying system `number` adds to this process; its library is loaded before."""

    def this(count: int, place: Path) -> System:
        return list(systems(count, int(dim), place).values())[int(number)]

    small = Path(folder) / f"small-{number}"
    few = np.random.default_rng(0).standard_normal((SMALL_ROWS, int(dim))).astype(np.float32)
    if not small.exists():
        small.mkdir()
        if not os.fork():  # a fork builds, so that its memory does not count
            this(SMALL_ROWS, small).build(few)
            os._exit(0)
        os.wait()
    queries = np.load(Path(folder) / "queries.npy")
    loaded, measured = this(SMALL_ROWS, small), this(int(rows), Path(folder))  # kept, so that no memory is freed
    _open_and_ask(loaded, queries[:TURN])
    before = resident()
    _open_and_ask(measured, queries)
    return resident() - before


def _open_and_ask(system: System, queries: np.ndarray) -> None:
    system.open()
    system.prepare()
    start = time.perf_counter()
    for number, query in enumerate(queries, 1):
        system.search(query[None])
        if number == TURN and time.perf_counter() - start > TURN * SLOW_US / 1e6:
            break
    system.release_memory()


def best_settings(results: list[Figures]) -> dict[str, Figures]:
    """Return each library's fastest setting with a recall@10 of REACHED, else its best; for ours, build's choice."""
    found: dict[str, Figures] = {}
    for kind, library in LIBRARIES.items():
        own = [one for one in results if one["name"] == kind or (kind != "edgesearch" and one["name"].startswith(kind))]
        if own:
            found[library] = min(own, key=lambda one: (max(0.0, REACHED - one["recall@10"]), one["p50_us"]))
    return found


def require_memory(rows: int, dim: int, only: list[str]) -> None:
    """Check that memory suffices for the vectors, a copy of them, and one more for each file that is read whole.

    Raises: ValueError: it does not.
    """
    files = {system.file for system in _choose(systems(rows, dim, Path()), only).values() if system.reads_whole}
    needed, free = rows * dim * 4 * (2 + len(files)), free_memory()
    if needed > free:
        raise ValueError(
            f"index: {rows:,} rows of {dim} dimensions need about {needed / 1e9:.1f} GB of memory, {free / 1e9:.1f} "
            "are free; give fewer --rows, or --only for fewer systems."
        )


def _choose(every: dict[str, System], only: list[str]) -> dict[str, System]:
    return {name: system for name, system in every.items() if not only or name.startswith(tuple(only))}


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
    """Add the options of this benchmark."""
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--data", choices=["embeddings", "synthetic"], default="embeddings")
    parser.add_argument("--dim", type=int, default=128, help="dimensions of synthetic vectors (default: 128)")
    add_data(parser, "--photos")
    parser.add_argument("--kept", type=Path, default=Path("build/index"), help="folder where embeddings are kept")
    add_model(parser)
    parser.add_argument(
        "--only", action="append", default=[], help="systems whose name starts with ONLY; may be repeated"
    )


def run(options: argparse.Namespace, folder: Path) -> Results:
    """Run the benchmark."""
    if options.data == "embeddings":
        require_photos(options.photos, "--photos")
        x, queries = vectors.embeddings(options.photos, options.model, options.rows, options.kept, SEED)
    else:
        require_memory(options.rows, options.dim, options.only)
        x, queries = vectors.synthetic(options.rows, options.dim, SEED)
    results = list(tqdm(measure(x, queries, folder, options.only), desc="index", unit="system", disable=None))
    found = {
        "rows": len(x),
        "dim": x.shape[1],
        "data": options.data,
        "results": results,
        "best": best_settings(results),
    }
    if options.data == "synthetic":
        found["model"] = NO_MODEL
    return found | {"markdown": table(results), "note": "One query at a time, one thread."}
