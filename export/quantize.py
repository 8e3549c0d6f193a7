"""Float ONNX becomes int8: QDQ, weights per channel, calibrated on real training pictures.

The first convolutions stay float: their outputs, wide in range and few in channels, lose most. Measured on 272
held-back pictures, one thread with AVX-512 VNNI, mean cosine to float and time: 3 float convolutions 0.9904, 3.1 ms;
6: 0.9930, 3.5 ms; 9: 0.9961, 3.8 ms; 12: 0.9966, 3.9 ms; all of them: 5.8 ms. The cut must fall behind a bottleneck's
last convolution: behind any other, its ReLU6 stays float too and 8 bits must hold the range before the clipping.
Tried and left out: moving-average ranges (0.9913 with 3), equalizing the channels of the bottlenecks (0.9920 with 3),
and, on the network before training with every convolution in int8, percentile ranges (0.9686 against 0.9667).
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import tomllib
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from edgesearch.errors import ModelError

from . import artifact
from .to_onnx import INPUT


@dataclass(frozen=True)
class Quantization:
    """The section [quantize] of a recipe.

    Attributes: pictures: to calibrate on; float_convolutions: how many of the first stay float.
    """

    pictures: int
    seed: int
    float_convolutions: int

    @classmethod
    def read(cls, path: Path) -> "Quantization":
        """Raises ModelError: no such file, not TOML, or a key is missing or unknown."""
        try:
            return cls(**tomllib.loads(path.read_text(encoding="utf-8"))["quantize"])
        except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
            raise ModelError(f"{path}: no section [quantize] to use ({error}).") from error


class _Pictures(CalibrationDataReader):
    """Feeds (N, 3, S, S) inputs one by one."""

    def __init__(self, inputs: np.ndarray):
        self._rest: Iterator[np.ndarray] = iter(inputs)

    def get_next(self) -> dict[str, np.ndarray] | None:
        picture = next(self._rest, None)
        return None if picture is None else {INPUT: picture[None]}


def quantize(folder: Path, inputs: np.ndarray, how: Quantization) -> None:
    """Add the int8 network to a model folder; inputs: (N, 3, S, S) float32, what to calibrate on."""
    with tempfile.TemporaryDirectory() as temporary:
        prepared = Path(temporary) / "prepared.onnx"
        quant_pre_process(str(folder / artifact.FP32_FILE), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(folder / artifact.INT8_FILE),
            _Pictures(inputs),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=_kept_float(onnx.load(prepared), how.float_convolutions),
            calibrate_method=CalibrationMethod.MinMax,
        )
    artifact.add_int8(folder)


def _kept_float(network: onnx.ModelProto, convolutions: int) -> list[str]:
    """Names of the nodes that stay float: the first convolutions, and everything from the pooling on."""
    nodes = network.graph.node
    first = [node.name for node in nodes if node.op_type == "Conv"][:convolutions]
    (pooling,) = [i for i, node in enumerate(nodes) if node.op_type == "ReduceMean"]
    return first + [node.name for node in nodes[pooling:]]
