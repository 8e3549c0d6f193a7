"""The speed of a build compared with this machine's limit, and its memory."""

import argparse
import functools
import hashlib
import itertools
import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import numpy as np
from demo_shop import write_catalogue

import edgesearch
from edgesearch._util import blas
from edgesearch.building.extraction import PICTURE_SIDE, Extract, Extraction, PictureResult
from edgesearch.building.thread_engine import open_thread_pool
from edgesearch.bundle.delta import delta
from edgesearch.catalog import loader
from edgesearch.embedding.shipped_models import default_model
from edgesearch.images import image
from edgesearch.images.colours import TERMS
from edgesearch.index.compact_index import CompactIndex
from edgesearch.local_features.descriptors import DEFAULT_FEATURES, extract_stable_features

from . import local_features_cost, vectors
from .context import SEED, Results
from .processes import in_fresh_process, peak_resident, watch_own_memory

TURNS = 3
CHANGED_SIDE = 400  # px; the other size makes it another picture
Measured = dict[str, float]


def measure(pictures: int, rows: int, made_up: int, folder: Path, seed: int) -> Measured:
    """Build drawn pictures, index synthetic rows, and assemble made-up extracts; each in a process of its own.

    Returns: bound, taken: pictures a second that all cores decode and embed, and that a build extracts, without local
             features and with them (`_with_print`); share: the second divided by the first; rest, unchanged: seconds
             that a build takes after the last picture, and with nothing changed; bytes of the bundle, and of a delta
             with other pictures for a hundredth of the products; seconds and bytes of memory for an index of `rows`
             rows, and for a build with the made-up extracts of `made_up` pictures.
    """
    write_catalogue(folder, products=pictures, unknown=0, photos=0, seed=seed)
    write_made_up(folder / "made-up.csv", made_up, sorted((folder / "pictures").iterdir()))
    vectors.synthetic(rows, _extraction(0, seed).config.dim, seed)[0].tofile(folder / "rows")
    found: Measured = {"pictures": pictures, "rows": rows, "made_up": made_up}
    for name in ("built", "indexed", "put_together"):
        found |= json.loads(in_fresh_process("build_speed", name, folder, seed))
    return found


def built(folder: str, seed: str) -> str:
    """Measure rates of a build and of its bound, in turns; return JSON."""
    catalogue, best = Path(folder) / "catalogue.csv", dict[str, float]()
    sources = [source for entry in loader.read(catalogue).entries for _, source in entry.images]
    for turn, (name, kept) in itertools.product(range(TURNS), (("", 0), ("_with_print", DEFAULT_FEATURES))):
        extraction = _extraction(kept, int(seed))
        output = Path(folder) / f"built{name}-{turn}.edge"
        rates = {f"bound{name}_per_s": _measure_bound(extraction, sources)}
        rates[f"taken{name}_per_s"], rest_s = _measure_rate(catalogue, output, kept)
        for key, rate in rates.items():
            best[key] = max(rate, best.get(key, 0))
        best[f"rest{name}_s"] = min(rest_s, best.get(f"rest{name}_s", rest_s))
        start = time.perf_counter()
        edgesearch.build(catalogue, output, local_features=kept, resume=True)
        best[f"unchanged{name}_s"] = min(best.get(f"unchanged{name}_s", np.inf), time.perf_counter() - start)
        best[f"share{name}"] = best[f"taken{name}_per_s"] / best[f"bound{name}_per_s"]
    return json.dumps(best | _measure_changes(catalogue, output))


def _measure_changes(catalogue: Path, output: Path) -> Measured:
    """Change the pictures of some products; return the bytes of a bundle and of a delta."""
    pictures = sorted((catalogue.parent / "pictures").iterdir())
    for changed in pictures[: max(1, len(pictures) // 100)]:
        changed.write_bytes(image.thumbnail(image.read(pictures[-1]), CHANGED_SIDE))
    after, made = output.with_name("after.edge"), output.with_name("after.delta")
    edgesearch.build(catalogue, after, like=output)
    delta(output, after, made)
    return {"bundle_bytes": output.stat().st_size, "delta_bytes": made.stat().st_size}


def indexed(folder: str, seed: str) -> str:
    """Measure seconds and peak memory of indexing the rows of a file; return JSON."""
    rows = np.memmap(Path(folder) / "rows", np.float32, "r").reshape(-1, _extraction(0, 0).config.dim)
    start = time.perf_counter()
    with blas.one_thread(), open_thread_pool() as spread:
        index = CompactIndex.build(rows, "bench", seed=int(seed), parallel_map=spread)
        (made := Path(folder) / "index").mkdir()
        index.write(made)
    found = {"index_s": time.perf_counter() - start, "index_recall@10": index.recall}
    return json.dumps(found | {"index_peak_bytes": peak_resident()})


def put_together(folder: str, seed: str) -> str:
    """Measure seconds and peak memory of a build with made-up extracts; return JSON."""
    start = time.perf_counter()
    with (
        mock.patch("edgesearch.building.build.Extraction", _MadeUpExtraction),
        watch_own_memory() as own,
    ):
        edgesearch.build(Path(folder) / "made-up.csv", Path(folder) / "made-up.edge", seed=int(seed))
    found = {"put_together_s": time.perf_counter() - start, "put_together_own_bytes": max(own)}
    return json.dumps(found | {"put_together_peak_bytes": peak_resident()})


def write_made_up(path: Path, products: int, pictures: Sequence[Path]) -> None:
    """Write a catalogue of `products` products that use the given pictures in turn."""
    with open(path, "w", encoding="utf-8") as file:
        file.write("sku,name,images,price,category\n")
        for number in range(products):
            picture = pictures[number % len(pictures)].relative_to(path.parent)
            file.write(f"P{number:07},Made-up product {number},{picture},{number % 1000 / 10},Category {number % 40}\n")


class _MadeUpExtraction(Extraction):
    """An extraction that makes up its results without decoding pictures."""

    _numbers = itertools.count()

    def extract_batch(self, cached: frozenset[bytes], batch: Sequence[str]) -> list[PictureResult]:
        return [self._make_extract(next(self._numbers), picture) for picture in batch]

    def _make_extract(self, number: int, picture: str) -> PictureResult:
        rng = np.random.default_rng(number)
        row = rng.standard_normal(self.config.dim).astype(np.float32)
        features = local_features_cost.make_features(rng)
        extract = Extract(row / np.linalg.norm(row), np.full(len(TERMS), 1 / len(TERMS)), _thumbnail(picture), features)
        return PictureResult(hashlib.sha256(number.to_bytes(8, "little")).digest(), extract.to_bytes(), "")


@functools.cache
def _thumbnail(picture: str) -> bytes:
    return image.thumbnail(image.read(picture), PICTURE_SIDE)


def _measure_bound(extraction: Extraction, sources: Sequence[str]) -> float:
    """Return the pictures a second that are decoded and embedded, with local features if the extraction keeps them."""

    def process(source: str) -> None:
        pixels = extraction.embedder.read(source)
        extraction.embedder.embed_references([pixels], extraction.seed)
        if extraction.local_features:
            extraction.codebook.encode(extract_stable_features(pixels, extraction.local_features))

    with blas.one_thread(), ThreadPoolExecutor(os.cpu_count()) as pool:
        process(sources[0])
        start = time.perf_counter()
        list(pool.map(process, sources))
        return len(sources) / (time.perf_counter() - start)


def _measure_rate(catalogue: Path, output: Path, kept: int) -> tuple[float, float]:
    """Return the pictures a second that a build extracts, and the seconds it takes after the last of them."""
    moments: list[tuple[int, float]] = []
    edgesearch.build(
        catalogue,
        output,
        local_features=kept,
        resume=True,
        progress=lambda done, total: moments.append((done, time.perf_counter())),
    )
    end, (first, begun), (last, over) = time.perf_counter(), moments[0], moments[-1]
    return (last - first) / (over - begun), end - over


def _extraction(kept: int, seed: int) -> Extraction:
    return Extraction.of(default_model(), "int8", kept, seed)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--pictures", type=int, default=200, help="drawn pictures to build (default: 200)")
    parser.add_argument("--rows", type=int, default=1_000_000, help="synthetic rows to index (default: 1,000,000)")
    parser.add_argument("--made-up", type=int, default=100_000, help="made-up extracts (default: 100,000)")


def run(options: argparse.Namespace, folder: Path) -> Results:
    """Run the benchmark."""
    return measure(options.pictures, options.rows, options.made_up, folder, SEED)
