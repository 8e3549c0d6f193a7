"""Convert our ONNX networks to files of LiteRT (formerly TensorFlow Lite), operator by operator, with the same numbers.

LiteRT's converters start from TensorFlow or from its own exporter of torch, and turn a network that was quantized
elsewhere into a float network. So this module writes the file itself: the weights, biases and scales of the ONNX file
as they are, and its zero points minus 128, because LiteRT's activations are int8 and ours are uint8.

The input is transposed to LiteRT's layout (NHWC); this takes 0.1 ms, which is part of the measured time.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

RELU6 = 6.0
CHANNELS_LAST = (0, 2, 3, 1)


def engine(network: bytes) -> Callable[[np.ndarray], np.ndarray]:
    """Return an engine of one thread that maps (B, 3, S, S) float32 to (B, D) float32.

    Raises:  ImportError: LiteRT is not installed; ValueError: the network has an operator that is not converted here.
    """
    from ai_edge_litert.interpreter import Interpreter

    content = _Converter(network).convert()
    ready: dict[int, Any] = {}  # by B

    def run(inputs: np.ndarray) -> np.ndarray:
        count = len(inputs)
        if count not in ready:
            made = Interpreter(model_content=content, num_threads=1)
            made.resize_tensor_input(0, [count, *inputs.shape[2:], inputs.shape[1]])
            made.allocate_tensors()
            ready[count] = made
        interpreter = ready[count]
        interpreter.set_tensor(0, np.ascontiguousarray(inputs.transpose(CHANNELS_LAST)))
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))

    return run


class _Converter:
    """Converts one graph from ONNX to LiteRT; tensors keep their ONNX names."""

    def __init__(self, network: bytes):
        import onnx
        from ai_edge_litert import schema_py_generated as schema
        from onnx import helper, numpy_helper

        self._schema = schema
        inferred = onnx.shape_inference.infer_shapes(onnx.load_from_string(network))
        self._graph = graph = inferred.graph
        self._constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
        self._how = {
            node.output[0]: {a.name: helper.get_attribute_value(a) for a in node.attribute} for node in graph.node
        }
        self._made_by = {name: node for node in graph.node for name in node.output}
        self._users = {name: [node for node in graph.node if name in node.input] for name in self._made_by}
        self._shapes = {
            value.name: [side.dim_value or 1 for side in value.type.tensor_type.shape.dim]
            for value in [*graph.value_info, *graph.input, *graph.output]
        }
        self._tensors: list[Any] = []
        self._operators: list[Any] = []
        self._buffers = [schema.BufferT()]  # LiteRT reserves the first buffer
        self._codes: list[int] = []
        self._indexes: dict[str, int] = {}

    def convert(self) -> bytes:
        """Return the bytes of the file.

        Raises: ValueError: an operator is not converted here.
        """
        import flatbuffers

        self._activation(self._graph.input[0].name)
        for node in self._graph.node:
            getattr(self, f"_{node.op_type.lower()}", self._unknown)(node)
        schema = self._schema
        part, model = schema.SubGraphT(), schema.ModelT()
        part.tensors, part.operators, part.inputs = self._tensors, self._operators, [0]
        part.outputs = [self._indexes[one.name] for one in self._graph.output]
        model.version, model.subgraphs, model.buffers = 3, [part], self._buffers
        model.operatorCodes = [self._code(number) for number in self._codes]
        builder = flatbuffers.Builder()
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _conv(self, node: Any) -> None:
        how, schema = self._how[node.output[0]], self._schema
        weight, weight_scale = self._constant(node.input[1])
        bias, bias_scale = self._constant(node.input[2])
        is_deep = how["group"] > 1
        options = schema.DepthwiseConv2DOptionsT() if is_deep else schema.Conv2DOptionsT()
        options.strideH, options.strideW = how["strides"]
        options.padding = self._padding(node, how)
        result, options.fusedActivationFunction = self._result_and_activation(node.output[0])
        if is_deep:
            options.depthMultiplier = 1
        order, axis = ((1, 2, 3, 0), 3) if is_deep else (CHANNELS_LAST, 0)
        given = [
            self._source(node.input[0]),
            self._add_constant(f"{node.name} weight", weight.transpose(order), weight_scale, axis),
            self._add_constant(f"{node.name} bias", bias, bias_scale, 0),
        ]
        kind = "DEPTHWISE_CONV_2D" if is_deep else "CONV_2D"
        self._add_operator(kind, given, result, options, type(options).__name__)

    def _add(self, node: Any) -> None:
        given = [self._source(name) for name in node.input]
        options = self._schema.AddOptionsT()
        self._add_operator("ADD", given, self._result_and_activation(node.output[0])[0], options, "AddOptionsT")

    def _clip(self, node: Any) -> None:
        """Skip it: a convolution clips its own output, and a length is never zero."""

    def _quantizelinear(self, node: Any) -> None:
        if node.input[0] in self._indexes and self._indexes[node.input[0]] != self._indexes.get(node.output[0]):
            given, result = [self._indexes[node.input[0]]], self._int8_tensor(node)
            self._add_operator("QUANTIZE", given, result, self._schema.QuantizeOptionsT(), "QuantizeOptionsT")

    def _dequantizelinear(self, node: Any) -> None:
        if node.input[0] in self._constants or all(
            one.op_type in ("Conv", "Add") for one in self._users[node.output[0]]
        ):
            return
        given, result = [self._indexes[node.input[0]]], self._activation(node.output[0])
        self._add_operator("DEQUANTIZE", given, result, self._schema.DequantizeOptionsT(), "DequantizeOptionsT")

    def _reducemean(self, node: Any) -> None:
        self._add_reduction("MEAN", node)

    def _reducesum(self, node: Any) -> None:
        self._add_reduction("SUM", node)

    def _gemm(self, node: Any) -> None:
        given = [self._source(node.input[0])]
        given += [self._add_constant(name, self._constants[name], None, 0) for name in node.input[1:]]
        options = self._schema.FullyConnectedOptionsT()
        self._add_operator(
            "FULLY_CONNECTED", given, self._activation(node.output[0]), options, "FullyConnectedOptionsT"
        )

    def _reducel2(self, node: Any) -> None:
        """Skip it: with the division by it, it is one operator of LiteRT."""

    def _div(self, node: Any) -> None:
        options, given = self._schema.L2NormOptionsT(), [self._source(node.input[0])]
        self._add_operator("L2_NORMALIZATION", given, self._activation(node.output[0]), options, "L2NormOptionsT")

    def _unknown(self, node: Any) -> None:
        raise ValueError(f"{node.op_type}: not written for LiteRT; only operators of our networks are.")

    def _add_reduction(self, kind: str, node: Any) -> None:
        axes = np.array([(0, 3, 1, 2)[axis] for axis in self._constants[node.input[1]]], np.int32)  # NCHW -> NHWC
        given = [self._source(node.input[0]), self._add_constant(f"{node.name} axes", axes, None, 0)]
        result = self._activation(node.output[0], self._shapes[node.output[0]])
        self._add_operator(kind, given, result, self._schema.ReducerOptionsT(), "ReducerOptionsT")

    def _padding(self, node: Any, how: dict[str, Any]) -> int:
        """Return SAME, which pads half of the missing size before and the larger half behind, or VALID: no padding."""
        height, stride, kernel = self._shapes[node.input[0]][2], how["strides"][0], how["kernel_shape"][0]
        lacks = max(0, (-(-height // stride) - 1) * stride + kernel - height)
        same = [lacks // 2, lacks // 2, lacks - lacks // 2, lacks - lacks // 2]
        if list(how["pads"]) == same:
            return int(self._schema.Padding.SAME)
        if not any(how["pads"]):
            return int(self._schema.Padding.VALID)
        raise ValueError(f"{node.name}: pads {how['pads']}; LiteRT has {same} or none.")

    def _result_and_activation(self, name: str) -> tuple[int, int]:
        """Return the tensor of an operator's result, and its fused activation."""
        kinds = self._schema.ActivationFunctionType
        user = self._users[name][0]
        if user.op_type == "QuantizeLinear" and self._made_by[user.input[0]].op_type != "Clip" and self._is_int8(name):
            return self._int8_tensor(user), int(kinds.NONE)
        if user.op_type == "Clip":
            least, most = (float(self._constants[one]) for one in user.input[1:3])
            if (least, most) != (0.0, RELU6):
                raise ValueError(f"{user.name}: clips to {least} and {most}; LiteRT to 0 and {RELU6}.")
            return self._activation(user.output[0]), int(kinds.RELU6)
        return self._activation(name), int(kinds.NONE)

    def _is_int8(self, name: str) -> bool:
        maker = self._made_by.get(self._made_by[name].input[0])
        return maker is not None and maker.op_type == "DequantizeLinear"

    def _source(self, name: str) -> int:
        """Return the tensor that an operator reads; the quantized one, if it was dequantized only for this operator."""
        maker = self._made_by.get(name)
        dequantized = maker is not None and maker.op_type == "DequantizeLinear" and name not in self._indexes
        return self._indexes[maker.input[0] if maker is not None and dequantized else name]

    def _constant(self, name: str) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the values of a constant, and its scales if it is quantized."""
        if name in self._constants:
            return self._constants[name], None
        numbers, scale, _ = self._made_by[name].input
        return self._constants[numbers], self._constants[scale].reshape(-1)

    def _int8_tensor(self, node: Any) -> int:
        """Return the int8 tensor of a QuantizeLinear's output."""
        name = node.output[0]
        if name not in self._indexes:
            scale, zero = (self._constants[one] for one in node.input[1:3])
            place = self._activation(name, kind=self._schema.TensorType.INT8)
            how = self._schema.QuantizationParametersT()
            how.scale, how.zeroPoint = [float(scale)], [int(zero) - 128]
            self._tensors[place].quantization = how
        return self._indexes[name]

    def _activation(self, name: str, shape: list[int] | None = None, kind: int | None = None) -> int:
        known = shape or self._shapes[name]
        shape = [known[axis] for axis in CHANNELS_LAST] if len(known) == 4 else known
        self._indexes[name] = self._tensor(name, shape, self._schema.TensorType.FLOAT32 if kind is None else kind, 0)
        self._tensors[-1].shapeSignature = [-1, *shape[1:]]
        return self._indexes[name]

    def _add_constant(self, name: str, numbers: np.ndarray, scale: np.ndarray | None, axis: int) -> int:
        kinds = self._schema.TensorType
        kind = {"int8": kinds.INT8, "int32": kinds.INT32, "float32": kinds.FLOAT32}[numbers.dtype.name]
        buffer = self._schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(numbers).tobytes(), np.uint8)
        self._buffers.append(buffer)
        place = self._tensor(name, list(numbers.shape), kind, len(self._buffers) - 1)
        if scale is not None:
            how = self._schema.QuantizationParametersT()
            how.scale, how.zeroPoint = scale.tolist(), [0] * len(scale)
            how.quantizedDimension = axis
            self._tensors[place].quantization = how
        return place

    def _tensor(self, name: str, shape: list[int], kind: int, buffer: int) -> int:
        made = self._schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name.encode(), shape, kind, buffer
        self._tensors.append(made)
        return len(self._tensors) - 1

    def _add_operator(self, kind: str, given: list[int], result: int, options: Any, name: str) -> None:
        number = getattr(self._schema.BuiltinOperator, kind)
        if number not in self._codes:
            self._codes.append(number)
        made = self._schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = self._codes.index(number), given, [result]
        made.builtinOptionsType = getattr(self._schema.BuiltinOptions, name.removesuffix("T"))
        made.builtinOptions = options
        self._operators.append(made)

    def _code(self, number: int) -> Any:
        made = self._schema.OperatorCodeT()
        made.builtinCode = number
        made.deprecatedBuiltinCode = min(number, 127)
        known = self._schema.BuiltinOperator
        made.version = {known.CONV_2D: 3, known.DEPTHWISE_CONV_2D: 3, known.ADD: 2, known.DEQUANTIZE: 2}.get(number, 1)
        return made
