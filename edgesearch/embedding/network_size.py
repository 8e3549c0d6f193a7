"""Bound the memory and the arithmetic of a network before onnxruntime loads it, from the shapes of its tensors.

A few operators on tiny weights can ask for any amount of memory: a convolution with enormous padding, a tensor that is
joined to itself again and again. So the shape of every tensor is computed as onnxruntime does, for one picture. Only
the operators that `export` writes are known; none of them has a branch or a loop.

The operators are those of onnx.ai/onnx/operators. Sizes are counted in values, because all are float32 or int8.
"""

import math
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import ModelError
from .protobuf import VALUE_BITS, read_fields, read_varint

MAX_NODES = 10_000  # the accurate model has 700
MAX_VALUES = 200_000_000  # of all tensors together; the accurate model has 64 million
MAX_PRODUCTS = 50_000_000_000  # multiplications for a picture; resnet50 has 4 billion
MAX_AXES, MAX_NUMBERS = 8, 1024  # of a tensor; of an attribute, or of weights that are whole numbers
Shape = tuple[int, ...]


@dataclass
class _Node:
    """An operator: its type, the names of its inputs and outputs, and its attributes that are whole numbers or text."""

    kind: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    attributes: dict[str, list[int] | str] = field(default_factory=dict)

    def integers(self, name: str, default: Sequence[int]) -> list[int]:
        """Return the numbers of an attribute."""
        found = self.attributes.get(name)
        return found if isinstance(found, list) and found else list(default)


@dataclass
class _Graph:
    """A network: its operators in their order, the shapes of its tensors, and small weights that are whole numbers."""

    nodes: list[_Node] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)
    numbers: dict[str, list[int]] = field(default_factory=dict)

    def add(self, name: str, shape: Shape) -> None:
        """Add a tensor; raise ValueError if another has its name."""
        if name in self.shapes:
            raise ValueError(f"two tensors are named {name[:80]!r}")
        self.shapes[name] = shape


def check(network: memoryview, name: str) -> None:
    """Check operators, memory and arithmetic of a network.

    Args:
        network: content of an ONNX file.
        name: of the network, for error messages.
    Raises:
        ModelError: it has another operator than `export` writes, or is too large.
        ValueError, IndexError: it is damaged.
    """
    graph, values, products = _read_graph(network), 0, 0
    if len(graph.nodes) > MAX_NODES:
        raise ModelError(
            f"{name}: {len(graph.nodes):,} operators; at most {MAX_NODES:,} are run, export a smaller one."
        )
    for node in graph.nodes:
        if node.kind not in _SHAPES:
            raise ModelError(f"{name}: has the operator {node.kind[:80]!r}; expected one that `export` writes.")
        try:
            shape = _add_outputs(node, graph)
            of_node = _count_products(node, graph, shape)
        except (KeyError, ValueError, IndexError, TypeError, ZeroDivisionError) as error:
            raise ModelError(
                f"{name}: its operator {node.kind} does not fit its inputs ({error}); export it again."
            ) from error
        values, products = values + math.prod(shape) + _count_scratch(node, shape, of_node), products + of_node
        if values > MAX_VALUES or products > MAX_PRODUCTS:
            raise ModelError(
                f"{name}: needs memory for {values:,} values and {products:,} multiplications a picture; at most "
                f"{MAX_VALUES:,} and {MAX_PRODUCTS:,} are spent, export a smaller network."
            )


def tensor_shapes(network: memoryview) -> dict[str, Shape]:
    """Return the shapes of all tensors of a sound network by name, for one picture."""
    graph = _read_graph(network)
    for node in graph.nodes:
        _add_outputs(node, graph)
    return graph.shapes


def _add_outputs(node: _Node, graph: _Graph) -> Shape:
    """Add the outputs of an operator to the graph; return their shape."""
    shape = _SHAPES[node.kind](node, graph)
    if len(shape) > MAX_AXES or min(shape, default=1) < 0:
        raise ValueError(f"a tensor of shape {shape[: MAX_AXES + 1]}")
    for output in filter(None, node.outputs):
        graph.add(output, shape)
    return shape


def _count_products(node: _Node, graph: _Graph, shape: Shape) -> int:
    """Return the number of multiplications of a convolution or a product of matrices; of others, the outputs."""
    if node.kind == "Conv":
        return math.prod(shape) * math.prod(graph.shapes[node.inputs[1]][1:])
    if node.kind in ("Gemm", "MatMul"):
        return math.prod(shape) * max(graph.shapes[node.inputs[0]])
    return math.prod(shape) * math.prod(node.integers("kernel_shape", [1]))


def _count_scratch(node: _Node, shape: Shape, products: int) -> int:
    """Return how many values a convolution may copy to lay out its windows as a matrix."""
    return products // max(1, shape[1]) if node.kind == "Conv" else 0


def _same(node: _Node, graph: _Graph) -> Shape:
    return graph.shapes[node.inputs[0]]


def _broadcast(node: _Node, graph: _Graph) -> Shape:
    shapes = [graph.shapes[name] for name in node.inputs]
    axes = max(map(len, shapes))
    padded = [(1,) * (axes - len(shape)) + shape for shape in shapes]
    return tuple(max(sizes) for sizes in zip(*padded, strict=True))


def _window(node: _Node, graph: _Graph) -> Shape:
    """Return the shape after a convolution or a pooling."""
    batch, channels, *sides = graph.shapes[node.inputs[0]]
    if node.kind == "Conv":
        channels, _, *kernel = graph.shapes[node.inputs[1]]
    else:
        kernel = node.integers("kernel_shape", [])
    pads, strides = node.integers("pads", [0] * 2 * len(sides)), node.integers("strides", [1] * len(sides))
    dilations = node.integers("dilations", [1] * len(sides))
    if node.attributes.get("auto_pad", "NOTSET") != "NOTSET":
        pads = [size - 1 for size in kernel] * 2  # at most
    if min([*pads, *kernel]) < 0 or min([*strides, *dilations]) < 1:
        raise ValueError("negative numbers")
    before, after = pads[: len(sides)], pads[len(sides) :]
    windows = zip(sides, before, after, kernel, strides, dilations, strict=True)
    return batch, channels, *(max(0, -(-(n + b + a - d * (k - 1)) // s)) for n, b, a, k, s, d in windows)


def _pool_all(node: _Node, graph: _Graph) -> Shape:
    batch, channels, *sides = graph.shapes[node.inputs[0]]
    return batch, channels, *(1 for _ in sides)


def _reduce(node: _Node, graph: _Graph) -> Shape:
    shape = graph.shapes[node.inputs[0]]
    axes = graph.numbers[node.inputs[1]] if len(node.inputs) > 1 else node.integers("axes", range(len(shape)))
    reduced = {axis % len(shape) for axis in axes}
    keeps = node.integers("keepdims", [1])[0]
    return tuple(1 if axis in reduced else size for axis, size in enumerate(shape) if keeps or axis not in reduced)


def _gemm(node: _Node, graph: _Graph) -> Shape:
    one, other = (graph.shapes[name] for name in node.inputs[:2])
    return one[node.integers("transA", [0])[0] != 0], other[node.integers("transB", [0])[0] == 0]


def _matmul(node: _Node, graph: _Graph) -> Shape:
    one, other = (graph.shapes[name] for name in node.inputs)
    if (len(one), len(other)) != (2, 2):
        raise ValueError(f"shapes {one} and {other}")
    return one[0], other[1]


def _concat(node: _Node, graph: _Graph) -> Shape:
    shapes = [graph.shapes[name] for name in node.inputs]
    axis = node.integers("axis", [])[0] % len(shapes[0])
    return *shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :]


_SHAPES: Mapping[str, Callable[[_Node, _Graph], Shape]] = {
    **dict.fromkeys(("Clip", "Relu", "HardSigmoid", "HardSwish", "QuantizeLinear", "DequantizeLinear"), _same),
    **dict.fromkeys(("Add", "Div", "Mul", "Sub"), _broadcast),
    **dict.fromkeys(("Conv", "MaxPool"), _window),
    **dict.fromkeys(("ReduceL2", "ReduceMean", "ReduceSum"), _reduce),
    "GlobalAveragePool": _pool_all,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Concat": _concat,
}


def _read_graph(network: memoryview) -> _Graph:
    """Read operators and shapes; several messages of one field add to each other, as protobuf demands."""
    graph, inputs = _Graph(), dict[str, Shape]()
    for content in _messages(network, 7):
        for number, value in read_fields(content):
            if isinstance(value, memoryview):
                if number == 1:
                    graph.nodes.append(_read_node(value))
                elif number == 5:
                    _read_weights(value, graph)
                elif number == 11:
                    inputs |= _read_input(value)
    graph.shapes = inputs | graph.shapes  # older files list weights as inputs, too
    return graph


def _read_node(data: memoryview) -> _Node:
    node = _Node()
    for number, value in read_fields(data):
        if not isinstance(value, memoryview):
            continue
        if number == 4:
            node.kind = _text(value)
        elif number in (1, 2):
            (node.inputs if number == 1 else node.outputs).append(_text(value))
        elif number == 5:
            name, found = _read_attribute(value)
            node.attributes[name] = found
    return node


def _read_attribute(data: memoryview) -> tuple[str, list[int] | str]:
    name, text, numbers, single = "", "", list[int](), list[int]()
    for number, value in read_fields(data):
        if number == 1 and isinstance(value, memoryview):
            name = _text(value)
        elif number == 4 and isinstance(value, memoryview):
            text = _text(value)
        elif number in (3, 8):
            _extend(single if number == 3 else numbers, value)
    if len(single) + bool(numbers) > 1:
        raise ValueError(f"two values of {name[:80]!r}")
    return name, numbers or single or text


def _read_weights(data: memoryview, graph: _Graph) -> None:
    """Note the shape of weights, and their values if they are a few numbers of 64 bits, such as axes."""
    name, shape, numbers = "", list[int](), list[int]()
    for number, value in read_fields(data):
        if number == 8 and isinstance(value, memoryview):
            name = _text(value)
        elif number == 1:
            _extend(shape, value)
        elif number == 7:
            _extend(numbers, value)
        elif number == 9 and isinstance(value, memoryview) and len(value) <= 8 * MAX_AXES and len(value) % 8 == 0:
            numbers += struct.unpack(f"<{len(value) // 8}q", value)
    graph.add(name, tuple(shape))
    graph.numbers[name] = numbers


def _read_input(data: memoryview) -> dict[str, Shape]:
    """Return the shape of an input by its name; the batch, which has a name in place of a size, counts as one."""
    name, shape = "", list[int]()
    for number, value in read_fields(data):
        if number == 1 and isinstance(value, memoryview):
            name = _text(value)
        elif number == 2 and isinstance(value, memoryview):
            for size in (
                one for kind in _messages(value, 1) for dims in _messages(kind, 2) for one in _messages(dims, 1)
            ):
                stated = [n for field, n in read_fields(size) if field == 1 and isinstance(n, int)]
                _extend(shape, stated[-1] if stated else 1)
    return {name: tuple(shape)}


def _messages(data: memoryview, number: int) -> Iterator[memoryview]:
    """Yield the messages in a field."""
    return (value for found, value in read_fields(data) if found == number and isinstance(value, memoryview))


def _extend(numbers: list[int], value: int | memoryview) -> None:
    """Add the numbers of a field, which may be packed; raise ValueError if they are more than any operator has."""
    found, offset = [value] if isinstance(value, int) else [], 0
    while isinstance(value, memoryview) and offset < len(value):
        number, offset = read_varint(value, offset, VALUE_BITS)
        found.append(number)
        if len(numbers) + len(found) > MAX_NUMBERS:
            break
    if len(numbers) + len(found) > MAX_NUMBERS:
        raise ValueError(f"over {MAX_NUMBERS} numbers")
    numbers += [number - (1 << 64) if number >> 63 else number for number in found]  # signed, of 64 bits


def _text(value: memoryview) -> str:
    return value.tobytes().decode("utf-8", "replace")
