"""Compare engines for the same network on one thread, in turns: their times, and whether their embeddings agree.

Times are processor times: other load disturbs them less than wall times, and they show when an engine uses more threads
than it is given. In its turn an engine runs three times: first with caches full of the other engines' data, as after
the decoding of a photo or worse; then with warm caches, as only a benchmark runs it.

B pictures, D dimensions, S input side in px.
"""

import argparse
import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from demo_shop import write_twins

from edgesearch.embedding import onnx_file, runtime
from edgesearch.embedding.embedder import Embedder, normalize_rows, read_model
from edgesearch.errors import EdgeSearchError
from edgesearch.images import crops

from . import litert, older_cpu, openvino_engine
from .context import SEED, Results, add_data, add_model

PICTURES = 48
BATCHES = 1, 2
ROUNDS, WARM_UP = 40, 3
RUNS = 3  # in a row
OURS = "onnxruntime int8 (ours)"
EXACT = "onnxruntime float"

Engine = Callable[[np.ndarray], np.ndarray]  # (B, 3, S, S) float32 -> (B, D) float32


def measure(model: Path, data: Path, folder: Path, seed: int) -> tuple[list[dict[str, Any]], list[str]]:
    """Time every installed engine.

    Args:    data: folder of real photos; if it has none, pictures are drawn into `folder`.
    Returns: a row for each engine and batch size: `engine`, `batch`, `p50_ms` and `p95_ms` of a picture, `first_ms`
             (the median of first runs), `ratio` and `first_ratio` to ours, `cosine` and `least_cosine` to
             onnxruntime's float embeddings; and a line for each engine that is missing.
    """
    inputs = _make_inputs(model, data, folder, seed)
    engines, missing = {}, []
    for name, make in _engine_makers(model).items():
        try:
            engines[name] = make()
        except (ImportError, EdgeSearchError, ValueError) as error:
            missing.append(f"{name}: {error}")
    exact = _embed_all(engines[EXACT], inputs)
    cosines = {name: (_embed_all(engine, inputs) * exact).sum(1) for name, engine in engines.items()}
    rows = []
    for batch in BATCHES:
        times = _time_in_turns(engines, inputs, batch)
        medians = {name: (np.median(taken[:, 1:]), np.median(taken[:, 0])) for name, taken in times.items()}
        for name, taken in times.items():
            p50, first = medians[name]
            found = {"p50_ms": float(p50), "p95_ms": float(np.percentile(taken[:, 1:], 95)), "first_ms": float(first)}
            found |= {"ratio": float(p50 / medians[OURS][0]), "first_ratio": float(first / medians[OURS][1])}
            seen = {"cosine": float(cosines[name].mean()), "least_cosine": float(cosines[name].min())}
            rows.append({"engine": name, "batch": batch} | found | seen)
    return rows, missing


def versions() -> str:
    """Return the versions of the installed engines other than onnxruntime."""
    found = []
    for name in ("openvino", "ai-edge-litert", "torch"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found.append(f"{name} {metadata.version(name)}")
    return ", ".join(found)


def table(rows: list[dict[str, Any]]) -> str:
    """Return Markdown."""
    lines = [
        "| engine | at once | ms a picture, p50 | p95 | to ours | after others | to ours | cosine to float | least |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        times = f"{row['p50_ms']:.2f} | {row['p95_ms']:.2f} | {row['ratio']:.2f}"
        times += f" | {row['first_ms']:.2f} | {row['first_ratio']:.2f}"
        lines.append(
            f"| {row['engine']} | {row['batch']} | {times} | {row['cosine']:.4f} | {row['least_cosine']:.4f} |"
        )
    return "\n".join(lines)


def _engine_makers(model: Path) -> dict[str, Callable[[], Engine]]:
    int8, exact = (read_model(model, precision)[1] for precision in ("int8", "fp32"))
    for network in (int8, exact):
        onnx_file.check(network, model.name)
    return {
        OURS: lambda: _onnxruntime(int8),
        EXACT: lambda: _onnxruntime(exact),
        "OpenVINO int8, tuned": lambda: openvino_engine.tuned_engine(int8),
        "OpenVINO float, tuned": lambda: openvino_engine.tuned_engine(exact),
        "OpenVINO int8, defaults": lambda: openvino_engine.default_engine(int8),
        "LiteRT int8": lambda: litert.engine(int8),
        "LiteRT float": lambda: litert.engine(exact),
        "torch float": lambda: _torch(exact),
    }


def _onnxruntime(network: bytes) -> Engine:
    loaded = runtime.load(network, "the network")
    return lambda inputs: loaded.run(inputs)[0]


def _torch(network: bytes) -> Engine:
    """Return an engine that runs the operators of the file one after the other, as torch runs a module."""
    import onnx
    import torch
    from onnx import helper, numpy_helper
    from torch.nn import functional as F

    torch.set_num_threads(1)
    graph = onnx.load_from_string(network).graph
    constants = {one.name: torch.from_numpy(numpy_helper.to_array(one).copy()) for one in graph.initializer}
    nodes = [(node, {a.name: helper.get_attribute_value(a) for a in node.attribute}) for node in graph.node]

    def conv(x: Any, weight: Any, bias: Any = None, **how: Any) -> Any:
        top, left, bottom, right = how["pads"]
        x = F.pad(x, (left, right, top, bottom)) if any(how["pads"]) else x
        return F.conv2d(x, weight, bias, how["strides"], groups=how["group"])

    run: dict[str, Any] = {
        "Conv": conv,
        "Clip": lambda x, least=None, most=None, **_: torch.clamp(x, least, most),
        "Add": lambda x, y, **_: x + y,
        "Div": lambda x, y, **_: x / y,
        "ReduceMean": lambda x, axes, **how: x.mean(axes.tolist(), bool(how["keepdims"])),
        "ReduceSum": lambda x, axes, **how: x.sum(axes.tolist(), bool(how["keepdims"])),
        "ReduceL2": lambda x, axes, **how: torch.linalg.vector_norm(x, 2, axes.tolist(), bool(how["keepdims"])),
        "Gemm": lambda x, weight, bias, **_: F.linear(x, weight, bias),
    }

    @torch.inference_mode()
    def embed(inputs: np.ndarray) -> np.ndarray:
        values = constants | {graph.input[0].name: torch.from_numpy(inputs)}
        for node, how in nodes:
            values[node.output[0]] = run[node.op_type](*(values[name] if name else None for name in node.input), **how)
        return np.asarray(values[graph.output[0].name].numpy())

    return embed


def _make_inputs(model: Path, data: Path, folder: Path, seed: int) -> np.ndarray:
    """Return (PICTURES, 3, S, S) float32 inputs, one crop of each whole photo."""
    found = sorted(path for path in data.rglob("*") if path.suffix in (".jpg", ".webp"))
    if not found:
        write_twins(folder, families=4, photos=2, seed=seed)
        found = sorted(folder.glob("photos/*.jpg"))
    embedder = Embedder.open(model)
    pixels = [embedder.read(path) for path in found[:: max(1, len(found) // PICTURES)][:PICTURES]]
    return np.stack([embedder.config.preprocessing(one, crops.whole_crop(one.shape[:2])) for one in pixels])


def _embed_all(engine: Engine, inputs: np.ndarray) -> np.ndarray:
    return normalize_rows(np.concatenate([engine(one[None]) for one in inputs]))


def _time_in_turns(engines: dict[str, Engine], inputs: np.ndarray, batch: int) -> dict[str, np.ndarray]:
    """Return milliseconds a picture of each engine, (ROUNDS, RUNS) float64; engines take turns on the same pictures."""
    times: dict[str, list[list[float]]] = {name: [] for name in engines}
    for given in itertools.islice(_batches(inputs, batch), WARM_UP + ROUNDS):
        for name, engine in engines.items():
            moments = [time.process_time_ns()]
            for _ in range(RUNS):
                engine(given)
                moments.append(time.process_time_ns())
            times[name].append((np.diff(moments) / 1e6 / batch).tolist())
    return {name: np.array(taken[WARM_UP:]) for name, taken in times.items()}


def _batches(inputs: np.ndarray, batch: int) -> Iterator[np.ndarray]:
    for number in itertools.count():
        yield np.ascontiguousarray(np.roll(inputs, -number * batch, 0)[:batch])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    add_data(parser)
    add_model(parser)
    parser.add_argument("--as", dest="instructions", choices=older_cpu.OLDER, help="hide instructions newer than these")


def run(options: argparse.Namespace, folder: Path) -> Results:
    """Run the benchmark."""
    if options.instructions:
        older_cpu.restart_as(options.instructions)
    rows, missing = measure(options.model, options.data, folder, SEED)
    return {
        "results": rows,
        "missing": missing,
        "instructions": older_cpu.visible_instructions(),
        "markdown": table(rows),
        "note": "\n".join([*(f"Left out: {one}" for one in missing), f"one thread, processor time; {versions()};"]),
    }
