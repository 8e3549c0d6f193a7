"""The time and memory that local features of very many pictures add to a photo and to a process."""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from demo_shop import write_twins

from edgesearch.bundle.content import MappedFile
from edgesearch.images import image
from edgesearch.index.kernel import BLOCK
from edgesearch.local_features import descriptors, local_index
from edgesearch.local_features.descriptors import PackedFeatures
from edgesearch.local_features.local_index import LocalIndex
from edgesearch.search.scoring import BY_VISUAL_WORDS, VERIFIED

from .context import NO_MODEL, SEED, Results
from .processes import in_fresh_process, resident

WORDS_A_PICTURE = 200
Figures = dict[str, float]


def measure(pictures: int, folder: Path, seed: int) -> Figures:
    """Search drawn photos in an index of made-up pictures, each with the default number of features.

    Args:    folder: where the index and the photos are made.
    Returns: bytes of the file for each picture, p50 of each step in ms, and the bytes by which a fresh process grows.
    """
    write_twins(folder, families=4, photos=2, seed=seed)
    make_index(pictures, seed).write(folder / local_index.FILE)
    found: Figures = json.loads(in_fresh_process("local_features_cost", "measure_steps", folder, seed))
    return {"file_bytes_a_picture": (folder / local_index.FILE).stat().st_size / pictures, **found}


def make_index(pictures: int, seed: int) -> LocalIndex:
    """Return an index of random features, with the default number of features for each picture."""
    rng = np.random.default_rng(seed)
    return LocalIndex.build(descriptors.read_default_codebook(), (make_features(rng) for _ in range(pictures)))


def make_features(rng: np.random.Generator) -> PackedFeatures:
    """Return random features of one picture."""
    words = np.sort(rng.choice(descriptors.WORDS, WORDS_A_PICTURE, replace=False))
    return PackedFeatures(
        descriptors.DEFAULT_FEATURES,
        rng.integers(0, 256, (descriptors.DEFAULT_FEATURES // BLOCK, descriptors.SUBQUANTIZERS // 2, BLOCK), np.uint8),
        rng.integers(0, 256, (descriptors.DEFAULT_FEATURES, 4), np.uint8),
        words.astype(np.uint16),
    )


def measure_steps(folder: str, seed: str) -> str:
    """Measure in a fresh process p50 of extraction, visual words and verification, and its growth; return JSON."""
    photos = [image.read(path, image.WORKING_SIDE) for path in sorted(Path(folder).glob("photos/*.jpg"))]
    rng = np.random.default_rng(int(seed))
    before = resident()
    with open(Path(folder) / local_index.FILE, "rb") as file:
        index = LocalIndex.open(MappedFile(file))
    moments = []
    for photo in photos:
        start = time.perf_counter()
        seen = descriptors.extract_query_features(photo)
        looked = time.perf_counter()
        named = index.find_candidates(seen, BY_VISUAL_WORDS)
        worded = time.perf_counter()
        index.verify(seen, [*named.tolist(), *rng.integers(0, len(index), VERIFIED).tolist()])
        moments.append((start, looked, worded, time.perf_counter()))
        index.release_pages()
    look_ms, words_ms, verify_ms = (np.median(np.diff(moments), axis=0) * 1000).tolist()
    measure_growth = resident() - before
    return json.dumps(
        {"look_ms": look_ms, "words_ms": words_ms, "verify_ms": verify_ms, "resident_bytes": measure_growth}
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--pictures", type=int, default=100_000, help="number of made-up pictures (default: 100,000)")


def run(options: argparse.Namespace, folder: Path) -> Results:
    """Run the benchmark."""
    return measure(options.pictures, folder, SEED) | {"pictures": options.pictures, "model": NO_MODEL}
