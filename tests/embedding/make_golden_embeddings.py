"""Write tests/golden/embeddings.json: embeddings of a few drawn pictures by the shipped model on this processor.

python -m tests.embedding.make_golden_embeddings
"""

import json
from pathlib import Path

import numpy as np

from edgesearch.embedding.embedder import Embedder
from edgesearch.embedding.shipped_models import default_model

PATH = Path(__file__).parents[1] / "golden" / "embeddings.json"


def pictures() -> list[np.ndarray]:
    """Draw discs and stripes on shaded backgrounds, (240, 320, 3) uint8, by arithmetic that is the same everywhere."""
    y, x = np.mgrid[0:240, 0:320]
    drawn = []
    for number in range(4):
        ground = np.stack([x // 2, y // 2 + 40 * number, (x + y) // 4], 2) % 256
        disc = (x - 100 - 40 * number) ** 2 + (y - 120) ** 2 < 70**2
        stripes = (x + number * y) // 16 % 2 == 0
        ground[disc & stripes] = (200, 40 * number, 60)
        ground[disc & ~stripes] = (250, 240, 40 * number)
        drawn.append(ground.astype(np.uint8))
    return drawn


def instructions() -> str:
    """Name the instructions that onnxruntime's int8 kernels use on this processor, if the system reports them."""
    cpuinfo = Path("/proc/cpuinfo")
    flags = set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()
    return next(
        (name for name in ("amx_int8", "avx512_vnni", "avx_vnni", "avx512bw", "avx2") if name in flags), "other"
    )


def main() -> None:
    """Write the file."""
    embedder = Embedder.open(default_model())
    table = {"model": embedder.network_sha256, "instructions": instructions()}
    rows = {
        name: np.round(embedder.embed(pictures(), fast), 5).tolist() for name, fast in (("fast", True), ("full", False))
    }
    PATH.write_text(json.dumps(table | rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
