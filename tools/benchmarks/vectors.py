"""Vectors to measure indexes with: real embeddings, or synthetic ones for larger sizes."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from edgesearch._util.files import replacing
from edgesearch._util.hashing import hash_json
from edgesearch.embedding.embedder import Embedder, normalize_rows
from edgesearch.images.crops import Crop

QUERIES = 1000
CROPS = 7  # of each picture: its centre, and random squares
SMALLEST_CROP = 0.4  # of the shorter side
INTRINSIC_DIMENSIONS = 24  # of the synthetic vectors; about as many as in real pictures


def embeddings(data: Path, model: Path, count: int, kept: Path, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Embed the real photos and crops of them, and draw rows and queries in a seeded order.

    Args:    data: folder of real photos; kept: folder where the embeddings are kept for the next run.
    Returns: (count, D) float32 rows, and (QUERIES, D) float32 queries, which are not among the rows.
    Raises:  ValueError: there are fewer pictures and crops than that.
    """
    embedder = Embedder.open(model, threads=2)
    pictures = _pictures(data)
    listed = hash_json([str(path.relative_to(data)) for path in pictures])
    file = kept / f"embeddings-{embedder.space[:12]}-{listed[:12]}-{seed}.npy"
    if not file.exists():
        kept.mkdir(parents=True, exist_ok=True)
        with replacing(file) as whole:
            np.save(whole, np.concatenate(list(_embedded(pictures, embedder, seed))))
    rows = np.load(file, mmap_mode="r")
    if count + QUERIES > len(rows):
        raise ValueError(f"{data}: {len(rows):,} pictures and crops; --rows can be at most {len(rows) - QUERIES:,}.")
    order = np.random.default_rng(seed).permutation(len(rows))
    return rows[np.sort(order[QUERIES : QUERIES + count])], rows[np.sort(order[:QUERIES])]


def synthetic(count: int, dim: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (count, dim) and (QUERIES, dim) float32 unit rows: points of few intrinsic dimensions, and noise."""
    rng = np.random.default_rng(seed)
    axes = rng.standard_normal((INTRINSIC_DIMENSIONS, dim)).astype(np.float32)
    total = count + QUERIES
    rows = np.empty((total, dim), np.float32)
    for start in range(0, total, 65_536):
        size = min(65_536, total - start)
        inner = rng.standard_normal((size, INTRINSIC_DIMENSIONS)).astype(np.float32)
        noise = rng.standard_normal((size, dim)).astype(np.float32)
        rows[start : start + size] = normalize_rows(inner @ axes + noise)
    return rows[:count], rows[count:]


def _pictures(data: Path) -> list[Path]:
    return sorted(path for path in data.rglob("*") if path.suffix in (".jpg", ".png", ".webp"))


def _embedded(pictures: list[Path], embedder: Embedder, seed: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(seed)
    progress = iter(tqdm(pictures, desc="embed", unit="picture", disable=None))
    for paths in iter(lambda: list(itertools.islice(progress, 8)), []):
        preprocess, inputs = embedder.config.preprocessing, []
        for path in paths:
            pixels = embedder.read(path)
            crops = [preprocess.centre_crop(pixels.shape[:2]), *_random_crops(pixels.shape[:2], rng)]
            inputs += [preprocess(pixels, crop) for crop in crops]
        yield embedder.run(np.stack(inputs))[0]


def _random_crops(size: tuple[int, int], rng: np.random.Generator) -> Iterator[Crop]:
    for side in min(size) * rng.uniform(SMALLEST_CROP, 1, CROPS - 1):
        left, top = rng.uniform(0, 1, 2) * (np.array(size[::-1]) - side)
        yield Crop(float(left), float(top), float(side))
