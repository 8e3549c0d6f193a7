"""The time from the start of a process to its first answer, and its memory, with very many products."""

import argparse
import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from unittest import mock

import numpy as np
from demo_shop import write_twins

import edgesearch
from edgesearch.building.extraction import PICTURE_SIDE
from edgesearch.bundle import bundle_file
from edgesearch.bundle.golden_queries import FILE as GOLDEN_FILE
from edgesearch.bundle.golden_queries import GoldenQueries
from edgesearch.catalog import sqlite_catalog
from edgesearch.catalog.product import Product
from edgesearch.catalog.sqlite_catalog import Picture
from edgesearch.device.slots import open_bundle
from edgesearch.embedding.embedder import Embedder, copy_model, normalize_rows
from edgesearch.embedding.run_settings import DEFAULT
from edgesearch.embedding.shipped_models import default_model
from edgesearch.evaluation import doctor
from edgesearch.images import image
from edgesearch.index.compact_index import CompactIndex
from edgesearch.local_features.local_index import FILE as LOCAL_FILE
from edgesearch.search.decision import Calibration
from edgesearch.search.open_bundle import CATALOG, INDEX, MODEL, PICTURES, binding_hashes

from . import local_features_cost, vectors
from .context import SEED, Results

STARTS = 7
SPREAD = 0.8  # length of what a reference differs by from its product


def measure(products: int, folder: Path, seed: int) -> dict[str, float]:
    """Start processes that open a device folder, made in `folder`, and search a photo.

    Returns: bytes of the bundle; median ms of each step, and the quickest start; the memory of the median process after
             its first answers, and its share of a processor at rest.
    """
    device = make_device(products, folder, seed)
    running = open_bundle(device)
    size, photo = running.path.stat().st_size, doctor.hard_photos(running)[0]
    running.close()
    with _byte_code_kept(folder / "byte code"):
        doctor.measure_start(device, DEFAULT, photo)  # writes the byte code
        starts = [doctor.measure_start(device, DEFAULT, photo) for _ in range(STARTS)]
    starts.sort(key=lambda one: one.total_ms)
    steps = {
        name: float(np.median([getattr(one, name) for one in starts])) for name in ("import_ms", "open_ms", "answer_ms")
    }
    middle = starts[STARTS // 2]
    return {
        "bundle_bytes": size,
        "first_answer_ms": middle.total_ms,
        "quickest_first_answer_ms": starts[0].total_ms,
        **steps,
        "resident_bytes": middle.resident_bytes or 0,
        "own_bytes": middle.own_bytes or 0,
        "idle_cpu": middle.idle_cpu,
    }


@contextlib.contextmanager
def _byte_code_kept(folder: Path) -> Iterator[None]:
    """Let processes keep byte code, as an installed package does; a checkout may compile itself at each start."""
    with mock.patch.dict(os.environ, PYTHONPYCACHEPREFIX=str(folder)):
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        yield


def make_device(
    products: int, folder: Path, seed: int, known: Sequence[np.ndarray] = (), references: int = 1, printed: bool = True
) -> Path:
    """Install made-up products: the shipped model, synthetic vectors, random local features, a picture each.

    Args:
        products: number of products.
        folder: where everything is made.
        seed: of everything random.
        known: (D,) float32 each, embeddings of the first products.
        references: of each product, all but the first without a picture.
        printed: whether there are local features.
    """
    folder.mkdir(exist_ok=True)
    stage = folder / "stage"
    for part in (MODEL, INDEX):
        (stage / part).mkdir(parents=True)
    copy_model(default_model(), "int8", stage / MODEL)
    embedder = Embedder.open(default_model())
    rows = vectors.synthetic(products, embedder.config.dim, seed)[0]
    rows[: len(known)] = known or rows[:0]
    if references > 1:
        rows = _spread(rows, references, seed)
    index = CompactIndex.build(rows, embedder.space, seed=seed)
    index.write(stage / INDEX)
    local = local_features_cost.make_index(len(rows), seed) if printed else None
    if local:
        local.write(stage / LOCAL_FILE)
    write_twins(folder / "drawn", families=4, photos=1, seed=seed)
    drawn = [image.thumbnail(image.read(path), PICTURE_SIDE) for path in sorted(folder.glob("drawn/pictures/*.jpg"))]
    with open(stage / PICTURES, "wb") as file:
        file.writelines(drawn[row % len(drawn)] for row in range(products))
    sqlite_catalog.write(stage / CATALOG, _products(products, [len(one) for one in drawn], references))
    pictured = range(0, len(rows), references)
    golden = GoldenQueries.record(embedder, index, lambda row: drawn[row // references % len(drawn)], pictured)
    golden.write(stage / GOLDEN_FILE)
    described = {
        "name": "made-up",
        "sequence": 1,
        "created": "",
        "hashes": binding_hashes(embedder, index, local),
        "counts": {"products": products, "pictures": len(rows)},
        "calibration": Calibration().to_dict(),
        "accuracy": {},
    }
    bundle_file.write(folder / "made.edge", stage, described)
    shutil.rmtree(stage)
    edgesearch.install(folder / "made.edge", folder / "device")
    (folder / "made.edge").unlink()
    return folder / "device"


def _spread(rows: np.ndarray, references: int, seed: int) -> np.ndarray:
    """Return several unit rows around each: (N, D) float32 -> (references * N, D) float32, those of one row in turn."""
    around = np.repeat(rows, references, 0)
    noise = np.random.default_rng(seed).standard_normal(around.shape, np.float32)
    return normalize_rows(around + SPREAD / np.sqrt(around.shape[1]) * noise)


def _products(count: int, sizes: list[int], references: int = 1) -> Iterator[tuple[Product, list[Picture]]]:
    start = 0
    for number in range(count):
        size, row = sizes[number % len(sizes)], number * references
        product = Product(
            f"P{number:07}", f"Made-up product {number}", number % 1000 / 10, "EUR", f"Kind {number % 40}"
        )
        first = Picture(row, f"pictures/P{number:07}.jpg", start, size)
        yield product, [first, *(Picture(row + n, f"{row + n}.jpg", 0, 0) for n in range(1, references))]
        start += size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--products", type=int, default=100_000, help="number of made-up products (default: 100,000)")


def run(options: argparse.Namespace, folder: Path) -> Results:
    """Run the benchmark."""
    return measure(options.products, folder, SEED) | {"products": options.products}
