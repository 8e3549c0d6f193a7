"""The time from a phone's photo to its answer among very many products, by stage, on one thread.

The photos are drawn, enlarged to 12 megapixels, with sensor noise, and saved as JPEGs of 1 MB. For half of them the
index contains their embedding, so that the answer is certain and local features are not used. The others are unknown.

Times of stages are processor times. With one thread and everything in memory they equal wall time on an idle machine.
A second table compares numbers of threads by both.
"""

import argparse
import contextlib
import io
import itertools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
from demo_shop import write_twins
from PIL import Image

import edgesearch
from edgesearch import Store
from edgesearch._util import blas
from edgesearch.embedding.embedder import Embedder
from edgesearch.embedding.shipped_models import default_model

from . import cold_start, older_cpu
from .context import SEED, Results

SIZE = 4000, 3000  # px
BYTES = 1_000_000
NOISE = 3.0  # standard deviation, of 255
PHOTOS = 4  # of each kind
ROUNDS = 12
THREADS = 1, 2  # of a search; compared in turns
STAGES = "image", "embed", "index", "local_features", "decision", "catalog", "total"


class Kind(NamedTuple):
    """A kind of search, and its photos."""

    name: str
    photos: list[bytes]
    fast: bool


def measure(products: int, folder: Path, seed: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Search photos on a device with `products` made-up products; folder: where it is made.

    Returns: for each kind of search `kind`, median ms by stage, `network` (the network's runs alone), and the `share`
             of the network in the total; then, for each kind and number of `threads`, the median `wall_ms` and
             `processor_ms`.
    """
    blas.use_one_thread()
    photos = camera_photos(folder, 2 * PHOTOS, seed)
    embedder = Embedder.open(default_model())
    known = [*embedder.embed_photos(photos[:PHOTOS])]
    kinds = [
        Kind("certain, no local features", photos[:PHOTOS], False),
        Kind("with local features", photos[PHOTOS:], False),
        Kind("--fast", photos[:PHOTOS], True),
    ]
    device = cold_start.make_device(products, folder, seed, known)
    clock = mock.patch.object(time, "perf_counter", time.process_time)  # the clock of an answer's stages
    with edgesearch.open(device) as store, clock:
        rows: dict[str, list[dict[str, float]]] = {kind.name: [] for kind in kinds}
        for number in range(ROUNDS * PHOTOS):
            for kind in kinds:
                rows[kind.name].append(_time_search(store, kind.photos[number % PHOTOS], kind.fast))
    stages = [{"kind": name} | _medians(found[PHOTOS:]) for name, found in rows.items()]
    return stages, compare_threads(device, kinds)


def compare_threads(device: Path, kinds: Sequence[Kind]) -> list[dict[str, Any]]:
    """Search each photo with one thread and with more, in turns; as `measure` returns."""
    times: dict[tuple[str, int], list[list[float]]] = {
        (kind.name, threads): [] for kind in kinds for threads in THREADS
    }
    with contextlib.ExitStack() as stack:
        stores = {threads: stack.enter_context(edgesearch.open(device, threads)) for threads in THREADS}
        for number, kind in itertools.product(range(ROUNDS * PHOTOS), kinds):
            for threads, store in stores.items():
                begun = time.perf_counter(), time.process_time()
                store.search(kind.photos[number % PHOTOS], fast=kind.fast)
                ended = time.perf_counter(), time.process_time()
                times[kind.name, threads].append([(ended[i] - begun[i]) * 1000 for i in (0, 1)])
    medians = {key: np.median(found[PHOTOS:], axis=0).tolist() for key, found in times.items()}
    return [
        {"kind": name, "threads": threads, "wall_ms": wall, "processor_ms": processor}
        for (name, threads), (wall, processor) in medians.items()
    ]


def camera_photos(folder: Path, count: int, seed: int) -> list[bytes]:
    """Return JPEGs of about 1 MB and 12 megapixels, each of a drawn product."""
    write_twins(folder / "scenes", families=4, photos=1, seed=seed)
    drawn = sorted((folder / "scenes" / "photos").glob("*.jpg"))
    rng = np.random.default_rng(seed)
    return [_make_camera_photo(Image.open(path).convert("RGB"), rng) for path in drawn[:: len(drawn) // count][:count]]


def table(rows: list[dict[str, Any]], by_threads: list[dict[str, Any]]) -> str:
    """Return Markdown: a column for each kind of search, then a line for each kind and number of threads."""
    lines = ["| ms, median | " + " | ".join(row["kind"] for row in rows) + " |", "|---" * (len(rows) + 1) + "|"]
    for stage in (*STAGES, "network", "share"):
        shown = [f"{row[stage]:.2f}" if row[stage] else "" for row in rows]
        lines.append(f"| {stage} | " + " | ".join(shown) + " |")
    lines += ["", "| kind | threads | wall, ms | processor, ms |", "|---|---|---|---|"]
    for row in by_threads:
        lines.append(f"| {row['kind']} | {row['threads']} | {row['wall_ms']:.2f} | {row['processor_ms']:.2f} |")
    return "\n".join(lines)


def _make_camera_photo(scene: Image.Image, rng: np.random.Generator) -> bytes:
    """Return a JPEG of the best quality with at most BYTES."""
    wide = np.asarray(scene.resize(SIZE, Image.Resampling.BICUBIC), np.float32)
    noise = rng.standard_normal(wide.shape, np.float32)
    photo = Image.fromarray((wide + NOISE * noise).clip(0, 255).astype(np.uint8))
    low, high = 1, 95
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if len(_jpeg(photo, middle)) <= BYTES else (low, middle - 1)
    return _jpeg(photo, low)


def _jpeg(photo: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=quality, subsampling="4:2:0")
    return file.getvalue()


def _time_search(store: Store, photo: bytes, fast: bool) -> dict[str, float]:
    """Return the stages of one search in ms, and the time of its network runs alone."""
    answer = store.search(photo, fast=fast)
    embedder = store.base.embedder
    side = embedder.config.preprocessing.crop
    inputs = np.zeros((2, 3, side, side), np.float32)
    start = time.perf_counter()
    for count in (1,) if fast else (2, 1):
        embedder.run(inputs[:count])
    network = time.perf_counter() - start
    return {**answer.elapsed_ms, "network": network * 1000}


def _medians(found: list[dict[str, float]]) -> dict[str, float]:
    medians = {name: float(np.median([one.get(name, 0.0) for one in found])) for name in (*STAGES, "network")}
    return medians | {"share": float(np.median([one["network"] / one["total"] for one in found]))}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--products", type=int, default=100_000, help="number of made-up products (default: 100,000)")
    parser.add_argument("--as", dest="instructions", choices=older_cpu.OLDER, help="hide instructions newer than these")


def run(options: argparse.Namespace, folder: Path) -> Results:
    """Run the benchmark."""
    if options.instructions:
        older_cpu.restart_as(options.instructions)
    rows, by_threads = measure(options.products, folder, SEED)
    return {
        "products": options.products,
        "results": rows,
        "by_threads": by_threads,
        "instructions": older_cpu.visible_instructions(),
        "markdown": table(rows, by_threads),
        "note": "a JPEG of 1 MB and 12 megapixels;",
    }
