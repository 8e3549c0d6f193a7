"""The second eye among very many pictures: what it adds to a photo's time and to a process's memory."""

import mmap
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from pictures import write_twins

from edgesearch import image, local
from edgesearch.kernel import BLOCK
from edgesearch.local import Coded, LocalIndex

from .indexes import resident

WORDS_A_PICTURE = 200
Figures = dict[str, float]
T = TypeVar("T")


def measure(pictures: int, folder: Path, seed: int) -> Figures:
    """Ask drawn photos of an index of made-up pictures, each with as many features as are kept.

    Args:    folder: where the index and the photos are made.
    Returns: bytes on flash, p50 of each step in ms, and the bytes by which a fresh process grows.
    """
    write_twins(folder, families=4, photos=2, seed=seed)
    rng = np.random.default_rng(seed)
    blocks = local.KEPT // BLOCK
    made = [
        Coded(
            local.KEPT,
            rng.integers(0, 256, (blocks, local.SUBQUANTIZERS // 2, BLOCK), np.uint8),
            rng.integers(0, 256, (local.KEPT, 4), np.uint8),
            np.sort(rng.choice(local.WORDS, WORDS_A_PICTURE, replace=False)).astype(np.uint16),
        )
        for _ in range(pictures)
    ]
    LocalIndex.build(local.default_codebook(), made).write(folder / local.FILE)
    code = "import sys; from figures.prints import asked; print(*asked(*sys.argv[1:]))"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent.parent)}
    command = [sys.executable, "-c", code, str(folder), str(seed)]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603  # ours
    names = ("look_ms", "words_ms", "verify_ms", "resident_bytes")
    figures = dict(zip(names, map(float, done.stdout.split()), strict=True))
    return {"file_bytes_a_picture": (folder / local.FILE).stat().st_size / pictures, **figures}


def asked(folder: str, seed: str) -> tuple[float, ...]:
    """In a fresh process: p50 of look, words and verification in ms, and by how much the process grew."""
    photos = [image.read(path, image.WORKING_SIDE) for path in sorted(Path(folder).glob("photos/*.jpg"))]
    rng = np.random.default_rng(int(seed))
    before = resident()
    with open(Path(folder) / local.FILE, "rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    index = LocalIndex.open(memoryview(mapped), mapped)
    times: list[list[float]] = [[], [], []]
    for photo in photos:
        seen = _timed(times[0], lambda photo=photo: local.look(photo))  # type: ignore[misc]
        named = _timed(times[1], lambda seen=seen: index.candidates(seen, 10))  # type: ignore[misc]
        rows = [*named.tolist(), *rng.integers(0, len(index), 20).tolist()]
        _timed(times[2], lambda seen=seen, rows=rows: index.verify(seen, rows))  # type: ignore[misc]
        index.let_go()
    return (*(float(np.median(ms)) for ms in times), resident() - before)


def _timed(times: list[float], work: Callable[[], T]) -> T:
    start = time.perf_counter()
    done = work()
    times.append((time.perf_counter() - start) * 1000)
    return done
