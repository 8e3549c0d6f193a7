"""A phone's photo to its answer among very many products, by stage, on one thread.

The photos are drawn ones, enlarged to 12 megapixels, with a sensor's noise, saved as JPEGs of 1 MB. Of half of them the
embedding is in the index, so that the answer is sure and no print is looked at; of the others nothing is.

Times are of the processor: with one thread, and all in memory, those of the clock on a machine that does nothing else.
"""

import argparse
import io
import time
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
from demo_shop import write_twins
from PIL import Image

import edgesearch
from edgesearch import Store
from edgesearch._util import blas
from edgesearch.embedding.embedder import Embedder, default_model

from . import cold_start, older_cpu
from .context import SEED, Found

SIZE = 4000, 3000  # px
BYTES = 1_000_000
NOISE = 3.0  # standard deviation, of 255
PHOTOS = 4  # of each kind
ROUNDS = 12
STAGES = "image", "embed", "index", "local_features", "decision", "catalog", "total"


class Kind(NamedTuple):
    """Photos that are asked in one way."""

    name: str
    photos: list[bytes]
    fast: bool


def measure(products: int, folder: Path, seed: int) -> list[dict[str, Any]]:
    """Ask a device with so many made-up products; folder: where it is made.

    Returns: of each kind of question `kind`, medians in ms by stage, `network`, those of its runs of the network alone,
             and its `share` of the whole.
    """
    blas.on_one_thread()
    photos = camera_photos(folder, 2 * PHOTOS, seed)
    embedder = Embedder.open(default_model())
    known = [*embedder.embed_photos(photos[:PHOTOS])]
    kinds = [
        Kind("sure, print not looked at", photos[:PHOTOS], False),
        Kind("print looked at", photos[PHOTOS:], False),
        Kind("--fast", photos[:PHOTOS], True),
    ]
    device = cold_start.made_device(products, folder, seed, known)
    clock = mock.patch.object(time, "perf_counter", time.process_time)  # by which an answer's stages are timed
    with edgesearch.open(device) as store, clock:
        rows: dict[str, list[dict[str, float]]] = {kind.name: [] for kind in kinds}
        for number in range(ROUNDS * PHOTOS):
            for kind in kinds:
                rows[kind.name].append(_asked(store, kind.photos[number % PHOTOS], kind.fast))
    return [{"kind": name} | _medians(found[PHOTOS:]) for name, found in rows.items()]


def camera_photos(folder: Path, count: int, seed: int) -> list[bytes]:
    """JPEGs of about 1 MB and 12 megapixels, each of a drawn product."""
    write_twins(folder / "scenes", families=4, photos=1, seed=seed)
    drawn = sorted((folder / "scenes" / "photos").glob("*.jpg"))
    rng = np.random.default_rng(seed)
    return [_as_camera(Image.open(path).convert("RGB"), rng) for path in drawn[:: len(drawn) // count][:count]]


def table(rows: list[dict[str, Any]]) -> str:
    """For people."""
    lines = ["| ms, median | " + " | ".join(row["kind"] for row in rows) + " |", "|---" * (len(rows) + 1) + "|"]
    for stage in (*STAGES, "network", "share"):
        shown = [f"{row[stage]:.2f}" if row[stage] else "" for row in rows]
        lines.append(f"| {stage} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def _as_camera(scene: Image.Image, rng: np.random.Generator) -> bytes:
    """The best quality of which the file has no more than BYTES."""
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


def _asked(store: Store, photo: bytes, fast: bool) -> dict[str, float]:
    """One question, and then the runs of the network that it takes, alone."""
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
    """Among how many, and on what."""
    parser.add_argument("--products", type=int, default=100_000, help="made up (default: 100,000)")
    parser.add_argument("--as", dest="instructions", choices=older_cpu.OLDER, help="as on a processor without more")


def run(options: argparse.Namespace, folder: Path) -> Found:
    """As `measure`."""
    if options.instructions:
        older_cpu.again(options.instructions)
    rows = measure(options.products, folder, SEED)
    return {
        "products": options.products,
        "results": rows,
        "instructions": older_cpu.instructions(),
        "markdown": table(rows),
        "note": "a JPEG of 1 MB and 12 megapixels;",
    }
