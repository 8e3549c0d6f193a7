"""Merge what many devices learned, of made-up products: time, memory and recall (`fleet`), by the code of `build`.

Products are points of few dimensions, as real embeddings nearly are. A catalogue's picture is far from its product, and
shop photos are nearer, those of one device also in the same direction. Some labels are wrong, and some devices are
poisoned: they say of every photo that it shows the next product. Local features are random; they only cost.

`--references N` instead compares a search among products with N references each with one among single references, in
turns in one process, without local features.
"""

import argparse
import hashlib
import json
import resource
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

import edgesearch
from edgesearch.building.assemble import Products, UsablePicture
from edgesearch.building.extraction import Extract, Extraction
from edgesearch.building.extraction_cache import ExtractionCache
from edgesearch.building.merge_learned import merge_learned, read_exports
from edgesearch.catalog.product import Product
from edgesearch.device import learned_export
from edgesearch.device.learned import LearningSettings
from edgesearch.device.learned_export import SharedPicture
from edgesearch.embedding.embedder import normalize_rows, read_whitening
from edgesearch.embedding.whitening import Whitening
from edgesearch.evaluation import doctor
from edgesearch.local_features import sift
from edgesearch.local_features.descriptors import LocalFeatures, PackedFeatures
from edgesearch.search.open_bundle import Reference, network_of

from .cold_start import make_device
from .context import SEED, Results, add_model

INTRINSIC = 24  # dimensions
CATALOGUE, SHOP, DEVICE = 1.3, 0.7, 0.4  # lengths of what pictures differ by from their product
WRONG = 0.02  # share of labels
ASKED = 4000
FEATURES = 256  # of a picture
DISTINCT = 64  # sets of random local features
ROUNDS = 40  # of searches


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add options."""
    add_model(parser)
    parser.add_argument("--devices", type=int, default=200, help="default: 200")
    parser.add_argument("--pictures", type=int, default=100_000, help="of all devices together (default: 100,000)")
    parser.add_argument("--products", type=int, default=0, help="default: 5,000, and 20,000 with --references")
    parser.add_argument("--poisoned", type=int, default=2, help="devices whose labels are all wrong (default: 2)")
    parser.add_argument("--references", type=int, default=0, metavar="N", help="compare a search instead")


def run(options: argparse.Namespace, folder: Path) -> Results:
    """Run the benchmark."""
    if options.references:
        return _compare_searches(options.products or 20_000, options.references, folder)
    return _merge(options, options.products or 5_000, folder)


class _World:
    """Made-up products and pictures of them."""

    def __init__(self, products: int, dim: int):
        self.rng = np.random.default_rng(SEED)
        self._axes = self.rng.standard_normal((INTRINSIC, dim)).astype(np.float32)
        self._products = normalize_rows(self._draw(products))

    def __len__(self) -> int:
        return len(self._products)

    def photos(self, products: np.ndarray, *parts: tuple[float, np.ndarray]) -> np.ndarray:
        """Return unit rows, (B, D) float32, of products and of directions with their lengths."""
        inner = self._products[products] + sum(length * normalize_rows(rows) for length, rows in parts)
        return normalize_rows(np.asarray(inner @ self._axes, np.float32))

    def directions(self, count: int) -> np.ndarray:
        """Return random directions."""
        return self._draw(count)

    def _draw(self, count: int) -> np.ndarray:
        return self.rng.standard_normal((count, INTRINSIC)).astype(np.float32)


def _merge(options: argparse.Namespace, products: int, folder: Path) -> Results:
    extraction = Extraction.of(options.model, "int8", FEATURES, 0)
    whitening, world = read_whitening(options.model), _World(products, extraction.config.dim)
    each, wrong = options.pictures // options.devices, set[str]()
    folders = [folder / f"taught-{number}" for number in range(options.devices)]
    features = [extraction.codebook.encode(_random_features(world.rng)) for _ in range(DISTINCT)]
    for number, export in enumerate(folders):
        wrong |= _write_export(world, extraction, features, export, each, number < options.poisoned)
    (folder / "work").mkdir()
    cache = ExtractionCache(folder / "work", "made")
    listed = _catalogue(world, products, cache)
    before_mb, begun, used_s = _peak_mb(), time.perf_counter(), time.process_time()
    exports, _ = read_exports(folders, extraction, skip_bad=False)
    merged, notes = merge_learned(listed, exports, cache, extraction, whitening, LearningSettings.per_product)
    taken_s, cpu_s, peak_mb = time.perf_counter() - begun, time.process_time() - used_s, _peak_mb()
    asked = world.rng.integers(products, size=ASKED)
    photos = world.photos(asked, (SHOP, world.directions(ASKED)), (DEVICE, world.directions(ASKED)))
    photos = whitening(photos) if whitening else photos
    used = [picture.name.removesuffix(".jpg") for _, pictures in merged for picture in pictures[1:]]
    found = {
        "devices": options.devices,
        "poisoned": options.poisoned,
        "pictures": each * options.devices,
        "wrong": len(wrong),
        "products": products,
        "minutes": taken_s / 60,
        "cpu_minutes": cpu_s / 60,
        "peak_mb": peak_mb,
        "peak_before_mb": before_mb,
        "used": len(used),
        "wrong_used": len(wrong & {*used}),
        "recall@1_before": _recall(listed, cache, whitening, photos, asked),
        "recall@1": _recall(merged, cache, whitening, photos, asked),
        "said": "; ".join(notes),
    }
    cache.close()
    return found


def _catalogue(world: _World, products: int, cache: ExtractionCache) -> Products:
    """Return made-up products with a picture each, whose extract is in the cache."""
    rows = world.photos(np.arange(products), (CATALOGUE, world.directions(products)))
    keys = [number.to_bytes(8, "big") for number in range(products)]
    extracts = (Extract(row, np.empty(0), b"", None).to_bytes() for row in rows)
    cache.add(zip(keys, extracts, strict=True))
    return [(Product(f"P{n}", f"Product {n}"), [UsablePicture(f"{n}.jpg", "", key)]) for n, key in enumerate(keys)]


def _write_export(
    world: _World,
    extraction: Extraction,
    features: Sequence[PackedFeatures],
    folder: Path,
    count: int,
    is_poisoned: bool,
) -> set[str]:
    """Write what a device learned; return the names of the pictures with a wrong label."""
    shown = world.rng.integers(len(world), size=count)
    labels = np.where(world.rng.random(count) < WRONG, world.rng.integers(len(world), size=count), shown)
    labels = (shown + 1) % len(world) if is_poisoned else labels
    device = np.repeat(world.directions(1), count, 0)
    rows = world.photos(shown, (SHOP, world.directions(count)), (DEVICE, device))
    contents = [Reference(row, features[n % DISTINCT]).to_bytes() for n, row in enumerate(rows)]
    names = [learned_export.name_of(content) for content in contents]
    pictures = [
        asdict(SharedPicture(f"P{label}", "2026-01-05T09:00:00+00:00", "barcode", 0.9, "used", name, size, False))
        for label, name, size in zip(labels.tolist(), names, map(len, contents), strict=True)
    ]
    embedder = extraction.embedder
    hashes = {"model": embedder.network_sha256, "preprocessing": embedder.config.preprocessing.digest()}
    table = {"format": learned_export.FORMAT, "device": world.rng.bytes(4).hex(), "network": network_of(hashes)}
    table |= {"local": extraction.codebook.digest, "sha256": hashlib.sha256(b"".join(contents)).hexdigest()}
    folder.mkdir()
    (folder / learned_export.REFERENCES).write_bytes(b"".join(contents))
    (folder / learned_export.FILE).write_text(json.dumps({**table, "pictures": pictures}))
    return {name for name, label, product in zip(names, labels, shown, strict=True) if label != product}


def _random_features(rng: np.random.Generator) -> LocalFeatures:
    descriptors = np.abs(rng.standard_normal((FEATURES, sift.DIM))).astype(np.float32)
    keypoints = rng.uniform(0.1, 0.9, (FEATURES, 4)).astype(np.float32)
    return LocalFeatures(keypoints, normalize_rows(descriptors))


def _recall(
    products: Products, cache: ExtractionCache, whitening: Whitening | None, photos: np.ndarray, asked: np.ndarray
) -> float:
    """Return the share of photos whose nearest picture is of their product."""
    owners = np.repeat(np.arange(len(products)), [len(pictures) for _, pictures in products])
    extracts = cache.read(picture.key for _, pictures in products for picture in pictures)
    rows = np.array([Extract.from_bytes(data).embedding for data in extracts], np.float32)
    rows = whitening(rows) if whitening else rows
    nearest = [int((rows @ photo).argmax()) for photo in photos]
    return float((owners[nearest] == asked).mean())


def _compare_searches(products: int, references: int, folder: Path) -> Results:
    """Search the same photos with one reference of each product and with several, in turns."""
    few, many = (make_device(products, folder / str(n), SEED, references=n, printed=False) for n in (1, references))
    with edgesearch.open(few) as one, edgesearch.open(many) as several:
        photo = doctor.hard_photos(one.bundle)[0]
        times: dict[tuple[int, str], list[float]] = {}
        for _ in range(ROUNDS):
            for number, store in ((1, one), (references, several)):
                for stage, taken_ms in store.search(photo).elapsed_ms.items():
                    times.setdefault((number, stage), []).append(taken_ms)
    middle = {key: statistics.median(taken[1:]) for key, taken in times.items()}
    stages = ("total", "index", "decision")
    shown = {f"{stage}_ms_{number}": middle[number, stage] for stage in stages for number in (1, references)}
    return {"products": products, **shown, "ratio": middle[references, "total"] / middle[1, "total"]}


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
