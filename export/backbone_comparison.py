"""Compare the backbones: size, latency, and accuracy lost by int8.

N pictures, S input side in px, C feature channels.
"""

import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from edgesearch.embedding.embedder import Embedder
from edgesearch.errors import ModelError

from . import model_folder
from .backbones import BACKBONES, EmbeddingNetwork, build_network, half_whitening
from .quantize import quantize
from .recipe import Quantization, Recipe
from .to_onnx import to_onnx
from .verify import HeldBack, measure
from .weights import Weights, pretrained

RECIPES = Path(__file__).parent / "recipes"
ROUNDS = 30


@dataclass(frozen=True)
class Row:
    """Figures of one backbone.

    Attributes:
        backbone: its name.
        size_mb: file sizes of float and int8.
        latency_ms: median latencies of float and int8.
        cosine: mean cosine between float and int8 embeddings of the held-back pictures.
        recall: recall@1 of float and int8; None without pretrained weights.
        note: which weights are missing, and how to get them.
    """

    backbone: str
    size_mb: tuple[float, float]
    latency_ms: tuple[float, float]
    cosine: float
    recall: tuple[float, float] | None
    note: str


def compare(weights: Path | None, calibration: np.ndarray, held_back: HeldBack) -> Iterator[Row]:
    """Export, quantize and measure every backbone on one thread, with a projection by PCA instead of training.

    Args:
        weights: folder of checkpoints under torchvision's names, or of `<backbone>*.npz`; None to fetch them.
        calibration: (N, 3, S, S) float32, inputs to calibrate int8 on.
        held_back: pictures to measure on.
    """
    for name in BACKBONES:
        with tempfile.TemporaryDirectory() as temporary:
            yield _measure_row(RECIPES / f"{name}.toml", weights, Path(temporary), calibration, held_back)


def table(rows: list[Row]) -> str:
    """Format the rows as a Markdown table."""
    lines = ["| backbone | MB float | int8 | ms float | int8 | cosine | recall@1 float | int8 |", "|---" * 8 + "|"]
    for row in rows:
        recall = [f"{value:.3f}" for value in row.recall] if row.recall else ["-", "-"]
        sizes, times = ([f"{value:.1f}" for value in pair] for pair in (row.size_mb, row.latency_ms))
        lines.append(f"| {' | '.join([row.backbone, *sizes, *times, f'{row.cosine:.4f}', *recall])} |")
    return "\n".join(lines + [f"\n{row.note}" for row in rows if row.note])


def count_axes(features: torch.Tensor, dim: int) -> int:
    """Return how many principal axes of features, (N, C) float32, hold more than noise, at most `dim`.

    With few pictures the last axes are noise. Axes beyond the rank are rounding errors, which half-whitening amplifies:
    MobileNetV3 small with random weights has features of rank 96; int8 has a cosine of 0.95 to float on 96 axes, and of
    0.13 on 128.
    """
    return min(dim, len(features) // 2, int(torch.linalg.matrix_rank(features - features.mean(0))))


def _measure_row(recipe: Path, weights: Path | None, folder: Path, calibration: np.ndarray, held_back: HeldBack) -> Row:
    wanted, note = Recipe.read(recipe), ""
    start: Weights | None = None
    try:
        start = pretrained(wanted.backbone, wanted.convention, _find_weights(wanted.backbone, weights))
    except ModelError as error:
        note = f"Random weights: {error}"
    torch.manual_seed(wanted.seed)
    model = build_network(wanted.backbone, wanted.dim, wanted.convention, start)
    features = _pool_features(model, calibration)
    model.start_from(*half_whitening(features, count_axes(features, wanted.dim)))
    to_onnx(model, folder / model_folder.FP32_FILE, calibration.shape[-1])
    model_folder.write_config(folder, wanted.backbone, wanted.dim, {})
    quantize(folder, calibration, Quantization.read(recipe))
    networks = [Embedder.open(folder, precision) for precision in ("fp32", "int8")]
    found = measure(folder, held_back)
    return Row(
        wanted.backbone,
        _megabytes(folder / model_folder.FP32_FILE, folder / model_folder.INT8_FILE),
        _latencies(networks, held_back.inputs[:1]),
        found["cosine"],
        None if note else (found["recall_fp32"], found["recall_int8"]),
        note,
    )


def _find_weights(backbone: str, weights: Path | None) -> Path | None:
    """Return the file in the folder whose name begins with the backbone's, or None."""
    found = sorted(weights.glob(f"{backbone}[-_.]*")) if weights else []
    return found[0] if found else None


@torch.inference_mode()
def _pool_features(model: EmbeddingNetwork, inputs: np.ndarray) -> torch.Tensor:
    """Return pooled feature maps, (N, C) float32, of inputs, (N, 3, S, S) float32."""
    parts = np.array_split(inputs, len(inputs))
    return torch.cat([model.maps(torch.from_numpy(part)).mean((2, 3)) for part in parts])


def _megabytes(*files: Path) -> tuple[float, float]:
    exact, coarse = (file.stat().st_size / 1e6 for file in files)
    return exact, coarse


def _latencies(networks: list[Embedder], inputs: np.ndarray) -> tuple[float, float]:
    """Return median milliseconds for one picture of float and int8, measured in turns."""
    spent: list[list[float]] = [[], []]
    for _ in range(ROUNDS):
        for times, network in zip(spent, networks, strict=True):
            start = time.perf_counter()
            network.run(inputs)
            times.append((time.perf_counter() - start) * 1000)
    exact, coarse = map(statistics.median, spent)
    return exact, coarse
