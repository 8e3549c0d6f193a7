"""Quantize a float ONNX network to int8: QDQ, weights per channel, calibrated on real training pictures.

VNNI multiplies uint8 activations by int8 weights. Without VNNI, onnxruntime uses an instruction (vpmaddubsw) that adds
two products in 16 bits and saturates. The scale of each output channel is therefore chosen so that no two weights
multiplied together can overflow. This enlarges the scales by a fifth; one bit less for every weight (onnxruntime's
`reduce_range`) would double them. Mean cosine to float on an AVX2 processor (mobilenet_v2_v1, 431 held-back pictures,
calibrated on 64): 0.9907 plain, 0.9888 with `reduce_range`, 0.9955 with these scales; 0.9962 with uint8 weights, which
never saturate there but are a seventh slower.

Rounding the weights shifts the mean of a convolution's output, because activations behind a ReLU6 are not centred. The
biases correct the shift (Nagel et al. 2019, arXiv 1906.04721), which is most of what int8 loses: mean cosine 0.9926
without and 0.9981 with the correction (mobilenet_v2_v3, same pictures, first 12 convolutions float). With 3 float it is
0.9975, whether ranges are calibrated with the corrected biases, as here, or without. Matching the mean output of every
convolution, one after the other on 64 pictures, gives 0.9971 and finds 2 of 418 photos fewer, though 100 held-back
pictures of objects come closer (0.9936 against 0.9904); matching three at a time counts shifts twice (0.26).

The first convolutions stay float: their outputs, wide in range and few in channels, lose most. With corrected biases
the mean cosine is 0.9967 with 1 float convolution (6.6 ms), 0.9975 with 3 (6.2 ms), 0.9979 with 6 (6.7 ms) and 0.9981
with 12 (7.1 ms; float 9.4 ms). The cut must follow a bottleneck's last convolution: after any other, its ReLU6 stays
float too, and 8 bits must hold the range before the clipping.

onnxruntime 1.31 then leaves nothing to fuse (its own profile of mobilenet_v2_v4, one picture on an Intel Xeon with
VNNI): it runs every int8 convolution in one operator with its quantization and ReLU6, every addition in another, all in
NHWC. Of 3.3 ms, int8 convolutions take 2.5, float ones 0.5, everything after them 0.14, and the rest 0.2. With AVX2
alone int8 convolutions take 5.4 of 6.5 ms. With AMX, OpenVINO's kernels take two thirds of the time for depthwise
convolutions and half for the late pointwise ones; without AMX the whole network takes as long, within 6%
(`tools/bench embedder`).

N pictures; S input side in px; O output and I input channels, h x w kernel size, G groups of a convolution.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime import InferenceSession
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from . import model_folder
from .recipe import Quantization
from .to_onnx import INPUT

# Operators of squeeze-and-excitation that stay float. With them in int8, MobileNetV3 small (random weights) is slower,
# 4.5 ms against 3.4 on one thread with AVX2, and less accurate: mean cosine to float 0.954 against 0.969.
GATES = ("ReduceMean", "HardSigmoid", "Mul")


class _Pictures(CalibrationDataReader):
    """Feed inputs, (N, 3, S, S) float32, one by one."""

    def __init__(self, inputs: np.ndarray):
        self._rest: Iterator[np.ndarray] = iter(inputs)

    def get_next(self) -> dict[str, np.ndarray] | None:
        picture = next(self._rest, None)
        return None if picture is None else {INPUT: picture[None]}


def quantize(folder: Path, inputs: np.ndarray, settings: Quantization) -> None:
    """Add the int8 network to a model folder.

    Args:
        folder: model folder with a float network.
        inputs: (N, 3, S, S) float32, inputs to calibrate on.
        settings: the recipe's section [quantize].
    """
    with tempfile.TemporaryDirectory() as temporary:
        prepared = Path(temporary) / "prepared.onnx"
        quant_pre_process(str(folder / model_folder.FP32_FILE), str(prepared), skip_symbolic_shape=True)
        network = onnx.load(prepared)
        kept = _choose_float_nodes(network, settings.float_convolutions)
        _correct_biases(network, kept, inputs)
        onnx.save(network, prepared)
        quantize_static(
            str(prepared),
            str(folder / model_folder.INT8_FILE),
            _Pictures(inputs),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=kept,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"TensorQuantOverrides": _scale_overrides(network, kept)},
        )
    model_folder.add_int8(folder)


def _choose_float_nodes(network: onnx.ModelProto, convolutions: int) -> list[str]:
    """Return the names of the nodes that stay float.

    These are everything before the first convolution, the first `convolutions`, the gates of squeeze-and-excitation
    (but not their convolutions), and everything from the last pooling on.
    """
    nodes = list(network.graph.node)
    indices = [i for i, node in enumerate(nodes) if node.op_type == "Conv"]
    last = max(i for i, node in enumerate(nodes) if node.op_type == "ReduceMean")
    kept = [*range(indices[0]), *indices[:convolutions], *range(last, len(nodes))]
    kept += [i for i, node in enumerate(nodes[:last]) if node.op_type in GATES]
    return [nodes[i].name for i in sorted(set(kept))]


def _correct_biases(network: onnx.ModelProto, kept: list[str], inputs: np.ndarray) -> None:
    """Subtract from each int8 convolution's bias the shift that rounding its weights causes, in place."""
    constants = {tensor.name: tensor for tensor in network.graph.initializer}
    convolutions = [node for node in network.graph.node if node.op_type == "Conv" and node.name not in kept]
    means = _channel_means(network, sorted({node.input[0] for node in convolutions}), inputs)
    for node in convolutions:
        weight = numpy_helper.to_array(constants[node.input[1]])
        bias = -mean_shift(weight, means[node.input[0]])
        if len(node.input) == 2:  # the exporter leaves out a bias of zeros
            node.input.append(f"{node.input[1]}.bias")
            network.graph.initializer.append(numpy_helper.from_array(bias, node.input[2]))
        else:
            known = constants[node.input[2]]
            known.CopyFrom(numpy_helper.from_array(bias + numpy_helper.to_array(known), known.name))


def mean_shift(weight: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return the shift of each channel's mean output that rounding the weights to int8 causes.

    Args:
        weight: (O, I, h, w) float32, weights of a convolution with G groups.
        mean: (G I,) float32, means of its input channels.
    Returns:
        (O,) float32.
    """
    scales = weight_scales(weight)[:, None, None, None]
    error = (np.round(weight / scales) * scales - weight).sum((2, 3))
    groups = mean.reshape(-1, weight.shape[1])
    return (error * np.repeat(groups, len(weight) // len(groups), 0)).sum(1)


def _channel_means(network: onnx.ModelProto, tensors: list[str], inputs: np.ndarray) -> dict[str, np.ndarray]:
    """Return the mean, (C,) float32, over pictures and positions of each named tensor, (1, C, h, w)."""
    asked = onnx.ModelProto()
    asked.CopyFrom(network)
    asked.graph.output.extend(onnx.ValueInfoProto(name=name) for name in tensors)
    session = InferenceSession(asked.SerializeToString(), providers=["CPUExecutionProvider"])
    sums = [[value.mean((0, 2, 3)) for value in session.run(tensors, {INPUT: picture[None]})] for picture in inputs]
    return {name: np.mean(values, 0) for name, values in zip(tensors, zip(*sums, strict=True), strict=True)}


def _scale_overrides(network: onnx.ModelProto, kept: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Return the scale of each output channel of each int8 convolution, in the form of `quantize_static`."""
    constants = {tensor.name: tensor for tensor in network.graph.initializer}
    names = [node.input[1] for node in network.graph.node if node.op_type == "Conv" and node.name not in kept]
    zero = np.array(0, np.int8)
    return {
        name: [
            {"quant_type": QuantType.QInt8, "axis": 0, "scale": scale, "zero_point": zero}
            for scale in weight_scales(numpy_helper.to_array(constants[name]))
        ]
        for name in names
    }


def weight_scales(weight: np.ndarray) -> np.ndarray:
    """Return the smallest scales at which int8 weights overflow neither alone nor in pairs.

    vpmaddubsw adds the products of inputs 2i and 2i + 1. A uint8 activation is at most 255, so two weights of one sign
    may sum to 32767 / 255. The weights of depthwise convolutions are multiplied one by one.

    Args:
        weight: (O, I, h, w) float32, weights of a convolution.
    Returns:
        (O,) float32.
    """
    outputs, inputs = weight.shape[:2]
    flat = weight.transpose(0, 2, 3, 1).reshape(outputs, -1)  # inputs innermost, as onnxruntime lays them out
    largest = np.abs(flat).max(1) / 127
    if inputs > 1:
        pairs = np.pad(flat, ((0, 0), (0, flat.shape[1] % 2))).reshape(outputs, -1, 2)
        together = np.maximum(pairs.clip(min=0).sum(2), -pairs.clip(max=0).sum(2)).max(1)
        largest = np.maximum(largest, together / (32767 / 255 - 1))  # rounding adds half a step to each of two
    return np.maximum(largest, np.finfo(np.float32).tiny).astype(np.float32)
