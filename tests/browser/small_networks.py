"""Make small networks of each kind of operator, with random weights, and what onnxruntime computes with them."""

import base64
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from onnx import helper, numpy_helper
from onnx.onnx_pb import NodeProto, TensorProto
from onnxruntime import InferenceSession

SIDE = 11  # px of the input


class Builder:
    """Collects the nodes of a network, rounded to 8 bits between its operators.

    Attributes:
        nodes, weights: of the network.
        exact: names of the tensors that have to be the same to the last bit.
    """

    def __init__(self, rng: np.random.Generator):
        """Begin a network."""
        self.rng = rng
        self.nodes: list[NodeProto] = []
        self.weights: list[TensorProto] = []
        self.exact: list[str] = []

    def constant(self, numbers: np.ndarray) -> str:
        """Add weights; return their name."""
        self.weights.append(numpy_helper.from_array(numbers, f"w{len(self.weights)}"))
        return str(self.weights[-1].name)

    def node(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add a node; return the name of its output."""
        output = f"{kind}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def rounded(self, tensor: str, scale: float = 0.03, zero: int = 117) -> str:
        """Round a tensor to 8 bits."""
        levels = [self.constant(np.array(scale, np.float32)), self.constant(np.array(zero, np.uint8))]
        dequantized = self.node("DequantizeLinear", [self.node("QuantizeLinear", [tensor, *levels]), *levels])
        self.exact.append(dequantized)
        return dequantized

    def convolution(
        self, tensor: str, shape: Sequence[int], scale: float = 0.03, zero: int = 117, **attributes: Any
    ) -> str:
        """Add a convolution of 8 bits; `scale` and `zero` are those of its input."""
        scales = self.rng.uniform(0.001, 0.01, shape[0]).astype(np.float32)
        weights = self.rng.integers(-60, 61, shape, np.int8)
        bias = self.rng.integers(-3000, 3001, shape[0], np.int32)
        parts = []
        for numbers, factors in ((weights, scales), (bias, scales * np.float32(scale))):
            zeros = np.zeros(len(factors), numbers.dtype)
            parts.append(self.node("DequantizeLinear", [*map(self.constant, (numbers, factors, zeros))], axis=0))
        return self.node("Conv", [tensor, *parts], kernel_shape=list(shape[2:]), **attributes)

    def floats(self, tensor: str, shape: Sequence[int], **attributes: Any) -> str:
        """Add a convolution of floats."""
        weights = (self.rng.standard_normal(shape) / np.prod(shape[1:]) ** 0.5).astype(np.float32)
        bias = self.rng.standard_normal(shape[0]).astype(np.float32)
        return self.node("Conv", [tensor, self.constant(weights), self.constant(bias)], **attributes)


def _bottleneck(b: Builder) -> list[str]:
    """Every window of 8-bit convolutions, with numbers of channels that fill no register; a sum and a join."""
    picture = b.rounded("picture", 0.0078, 128)
    wide = b.rounded(b.convolution(picture, (13, 3, 3, 3), 0.0078, 128, strides=[2, 2], pads=[0, 0, 1, 1]))
    small = b.rounded(b.convolution(wide, (13, 1, 3, 3), group=13, pads=[1, 1, 1, 1]), 0.021, 0)
    large = b.rounded(b.convolution(small, (13, 1, 5, 5), 0.021, 0, group=13, pads=[2, 2, 2, 2]))
    point = b.rounded(b.convolution(large, (13, 13, 1, 1)), 0.05, 200)
    total = b.rounded(b.node("Add", [wide, point]), 0.041, 90)
    joined = b.rounded(b.node("Concat", [large, total], axis=1), 0.037, 101)
    return [joined, b.rounded(b.convolution(joined, (24, 26, 1, 1), 0.037, 101))]


def _floats_first(b: Builder) -> list[str]:
    """Convolutions in float with limits, as the shipped networks begin."""
    limits = [b.constant(np.array(one, np.float32)) for one in (0, 6)]
    first = b.node("Clip", [b.floats("picture", (24, 3, 3, 3), strides=[2, 2], pads=[0, 0, 1, 1]), *limits])
    second = b.node("Relu", [b.floats(first, (24, 1, 3, 3), group=24, pads=[1, 1, 1, 1])])
    return [b.rounded(b.floats(second, (10, 24, 1, 1)))]


def _gates(b: Builder) -> list[str]:
    """Squeeze-and-excitation, standardized input and hard functions in float, as in MobileNetV3."""
    scale = b.constant(b.rng.uniform(0.5, 2, (3, 1, 1)).astype(np.float32))
    standard = b.node("Sub", [b.node("Mul", ["picture", scale]), b.constant(np.array(0.25, np.float32))])
    maps = b.node("HardSwish", [b.rounded(b.floats(standard, (16, 3, 3, 3), pads=[1, 1, 1, 1]))])
    axes = b.constant(np.array([2, 3]))
    mean = b.rounded(b.node("ReduceMean", [maps, axes], keepdims=1))
    gate = b.node("HardSigmoid", [b.rounded(b.convolution(mean, (16, 16, 1, 1)))], alpha=1 / 6, beta=0.5)
    return [b.node("Mul", [maps, gate])]


def _pools(b: Builder) -> list[str]:
    """Pooling, as in ResNet, and all that makes an embedding of maps."""
    maps = b.node("Relu", [b.floats("picture", (16, 3, 7, 7), strides=[2, 2], pads=[3, 3, 3, 3])])
    pooled = b.rounded(b.node("MaxPool", [maps], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]))
    spatial, channels = (b.constant(np.array(axes)) for axes in ([2, 3], [-1]))
    mean = b.node("ReduceMean", [pooled, spatial], keepdims=0)
    weights = [b.constant(b.rng.standard_normal(size).astype(np.float32)) for size in ((8, 16), (8,))]
    vector = b.node("Gemm", [mean, *weights], transB=1)
    length = b.node(
        "Clip", [b.node("ReduceL2", [vector, channels], keepdims=1), b.constant(np.array(1e-12, np.float32))]
    )
    maps_summed = b.node("ReduceSum", [pooled, b.constant(np.array([1]))], keepdims=0)
    whole = b.node("GlobalAveragePool", [pooled])
    return [pooled, b.node("Div", [vector, length]), maps_summed, whole]


KINDS: dict[str, Callable[[Builder], list[str]]] = {
    "a bottleneck in 8 bits": _bottleneck,
    "a network that begins in float": _floats_first,
    "a network with gates": _gates,
    "a network with poolings": _pools,
}


def make() -> list[dict[str, Any]]:
    """Return networks, an input for each, and what onnxruntime computes."""
    return [_ask(name, build, np.random.default_rng(seed)) for seed, (name, build) in enumerate(KINDS.items())]


def _ask(name: str, build: Callable[[Builder], list[str]], rng: np.random.Generator) -> dict[str, Any]:
    builder = Builder(rng)
    outputs = build(builder)
    graph = helper.make_graph(
        builder.nodes,
        "small",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None) for output in outputs],
        builder.weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    content = model.SerializeToString()
    picture = rng.uniform(-1, 1, (1, 3, SIDE, SIDE)).astype(np.float32)
    found = InferenceSession(content, providers=["CPUExecutionProvider"]).run(outputs, {"picture": picture})
    return {
        "name": name,
        "model": base64.b64encode(content).decode(),
        "side": SIDE,
        "input": _encode(picture),
        "outputs": [
            {"name": output, "shape": numbers.shape[1:], "numbers": _encode(numbers), "exact": output in builder.exact}
            for output, numbers in zip(outputs, found, strict=True)
        ],
    }


def _encode(numbers: Any) -> str:
    return base64.b64encode(np.ascontiguousarray(numbers, np.float32).tobytes()).decode()
