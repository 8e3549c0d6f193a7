"""Check that only networks of weights and standard operators reach onnxruntime."""

import itertools
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgesearch import ModelError
from edgesearch.embedding import network_size, onnx_file, protobuf
from edgesearch.embedding.embedder import Embedder
from edgesearch.embedding.shipped_models import default_model

from ..conftest import TINY_MODEL

onnx = pytest.importorskip("onnx")

INT8_FILE = "model.int8.onnx"


def tensor() -> "onnx.TensorProto":
    """Return a tensor of weights."""
    return onnx.numpy_helper.from_array(np.ones((2, 3), np.float32), "weights")


def model(nodes: "list[onnx.NodeProto]", weights: "list[onnx.TensorProto]") -> "onnx.ModelProto":
    """Return a network of one input and one output."""
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2, 3]) for name in ("in", "out")]
    return onnx.helper.make_model(onnx.helper.make_graph(nodes, "graph", ends[:1], ends[1:], weights))


def move_outside(found: "onnx.TensorProto") -> "onnx.TensorProto":
    """Declare that the weights lie in another file."""
    onnx.external_data_helper.set_external_data(found, "/etc/passwd")
    found.ClearField("raw_data")
    return found


def constant(value: "onnx.TensorProto") -> "onnx.NodeProto":
    """Return a node with the weights as an attribute."""
    return onnx.helper.make_node("Constant", [], ["out"], value=value)


def branch(value: "onnx.TensorProto") -> "onnx.NodeProto":
    """Return a node with the weights two graphs below."""
    inner = model([constant(value)], []).graph
    deeper = model([onnx.helper.make_node("If", ["in"], ["out"], then_branch=inner, else_branch=inner)], []).graph
    return onnx.helper.make_node("Loop", ["in"], ["out"], body=deeper)


def sparse(value: "onnx.TensorProto") -> "onnx.ModelProto":
    """Return a network with the weights as indices of a sparse tensor."""
    made = model([], [])
    made.graph.sparse_initializer.add().indices.CopyFrom(value)
    return made


def listing(value: "onnx.TensorProto") -> "onnx.NodeProto":
    """Return a node with the weights in a list attribute."""
    node = onnx.helper.make_node("Constant", [], ["out"])
    node.attribute.add(name="values", type=onnx.AttributeProto.TENSORS).tensors.append(value)
    return node


def refusal(made: "onnx.ModelProto") -> str:
    """Return why a network is refused, or ""."""
    try:
        onnx_file.check(made.SerializeToString(), "x")
    except ModelError as error:
        return str(error)
    return ""


WHERE: list[Callable[["onnx.TensorProto"], "onnx.ModelProto"]] = [
    lambda value: model([], [value]),
    lambda value: model([constant(value)], []),
    lambda value: model([branch(value)], []),
    lambda value: model([listing(value)], []),
    sparse,
]


@pytest.mark.parametrize("put", WHERE)
def test_weights_in_other_files_are_refused_in_every_position(
    put: Callable[["onnx.TensorProto"], "onnx.ModelProto"],
) -> None:
    assert "other files" not in refusal(put(tensor()))
    for change in (move_outside, mark_outside, name_outside):
        with pytest.raises(ModelError, match="x: has weights in other files; export it"):
            onnx_file.check(put(change(tensor())).SerializeToString(), "x")


def mark_outside(found: "onnx.TensorProto") -> "onnx.TensorProto":
    """Declare that the weights lie in another file, without naming it."""
    found.data_location = onnx.TensorProto.EXTERNAL
    return found


def name_outside(found: "onnx.TensorProto") -> "onnx.TensorProto":
    """Name another file for the weights, without declaring that they lie there."""
    found.external_data.add(key="location", value="x")
    return found


def test_operators_of_other_domains_are_refused() -> None:
    for domain in ("", "ai.onnx"):
        onnx_file.check(
            model([onnx.helper.make_node("Relu", ["in"], ["out"], domain=domain)], []).SerializeToString(), "x"
        )
    for domain in ("com.microsoft", "my.own", "ai.onnx.ml"):
        node = onnx.helper.make_node("Relu", ["in"], ["out"], domain=domain)
        below = model([onnx.helper.make_node("If", ["in"], ["out"], then_branch=model([node], []).graph)], [])
        for made in (model([node], []), below):
            with pytest.raises(ModelError, match=rf"operators of another domain \(b'{domain}'\)"):
                onnx_file.check(made.SerializeToString(), "x")


def test_functions_and_training_steps_are_refused() -> None:
    with_function, with_training = model([], []), model([], [])
    with_function.functions.add(name="f", domain="")
    with_training.training_info.add()
    for made, says in ((with_function, "functions"), (with_training, "training")):
        with pytest.raises(ModelError, match=says):
            onnx_file.check(made.SerializeToString(), "x")


@pytest.mark.parametrize("kind", ["Loop", "If", "Scan", "RandomNormal", "ConstantOfShape", "Expand", "Tile", "Range"])
def test_operators_that_no_export_writes_are_refused(kind: str) -> None:
    made = model([onnx.helper.make_node(kind, ["in"], ["out"])], [])
    assert f"has the operator '{kind}'; expected one that `export` writes" in refusal(made)


def joined(times: int) -> "onnx.ModelProto":
    """Return a network that joins a tensor to itself again and again."""
    names = ["in", *(f"t{number}" for number in range(times))]
    return model(
        [onnx.helper.make_node("Concat", [one, one], [other], axis=0) for one, other in itertools.pairwise(names)], []
    )


def padded(pads: int) -> "onnx.ModelProto":
    """Return a convolution with a wide margin."""
    made = model([onnx.helper.make_node("Conv", ["in", "w"], ["out"], pads=[pads] * 4)], [])
    made.graph.initializer.append(onnx.numpy_helper.from_array(np.ones((1, 3, 1, 1), np.float32), "w"))
    made.graph.input[0].CopyFrom(onnx.helper.make_tensor_value_info("in", onnx.TensorProto.FLOAT, [None, 3, 8, 8]))
    return made


def outer(size: int) -> "onnx.ModelProto":
    """Return the sums of each of some weights with each."""
    weights = [np.ones(shape, np.float32) for shape in ((size, 1), (1, size))]
    tensors = [onnx.numpy_helper.from_array(one, name) for one, name in zip(weights, "ab", strict=True)]
    return model([onnx.helper.make_node("Add", ["a", "b"], ["out"])], tensors)


@pytest.mark.parametrize(("make", "small", "large"), [(joined, 10, 40), (padded, 3, 100_000), (outer, 100, 100_000)])
def test_networks_that_would_fill_the_memory_are_refused(
    make: Callable[[int], "onnx.ModelProto"], small: int, large: int
) -> None:
    assert not refusal(make(small))
    assert f"at most {network_size.MAX_VALUES:,}" in refusal(make(large))


def test_operators_that_do_not_fit_are_refused() -> None:
    concat = onnx.helper.make_node("Concat", ["in", "in"], ["out"], axis=0)
    twice = onnx.helper.make_node("Concat", ["in", "in"], ["out"], axis=0)
    twice.attribute[0].ints.extend([1])
    for nodes, says in (
        ([onnx.helper.make_node("Relu", ["missing"], ["out"])], "'missing'"),
        ([concat, concat], "two tensors are named 'out'"),
        ([twice], "two values of 'axis'"),
        ([onnx.helper.make_node("Conv", ["in", "in"], ["out"])], "does not fit its inputs"),
    ):
        assert says in refusal(model(nodes, []))


@pytest.mark.parametrize("network", [*TINY_MODEL.glob("*.onnx"), *default_model().glob("*.onnx")], ids=lambda p: p.name)
def test_shapes_are_those_of_onnx(network: Path) -> None:
    made = onnx.load(network)
    for value in [*made.graph.input, *made.graph.output]:
        value.type.tensor_type.shape.dim[0].dim_value = 1
    del made.graph.value_info[:]
    inferred = onnx.shape_inference.infer_shapes(made, strict_mode=True, data_prop=True).graph
    expected = {
        value.name: tuple(size.dim_value for size in value.type.tensor_type.shape.dim)
        for value in [*inferred.value_info, *inferred.output]
    }
    found = network_size.tensor_shapes(memoryview(made.SerializeToString()))
    assert expected
    assert {name: found[name] for name in expected} == expected


def test_shipped_networks_pass_the_check() -> None:
    for path in (*default_model().glob("*.onnx"), *TINY_MODEL.glob("*.onnx")):
        onnx_file.check(path.read_bytes(), path.name)


def test_weights_in_an_existing_file_are_refused_too(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file lies in the working directory, where onnxruntime would find it."""
    config = Embedder.open(TINY_MODEL).config
    made = onnx.load(TINY_MODEL / INT8_FILE)
    monkeypatch.chdir(tmp_path)
    onnx.save(made, "out.onnx", save_as_external_data=True, location="weights", size_threshold=0)
    assert os.path.exists("weights")
    with pytest.raises(ModelError, match="weights in other files"):
        Embedder(config, Path("out.onnx").read_bytes())


@pytest.mark.parametrize(
    "data",
    [
        b"no network",
        b"\x3a",  # a graph without its length
        b"\x3a\x05abc",  # longer than the file
        b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # a length of 64 bits
        b"\xba\x80\x80\x80\x80\x01\x00",  # a key of more than 32 bits, which others may cut to that of a graph
        b"\x3b\x3c",  # a group
        b"\x02\x00",  # field 0
        b"\x00\x00",
        b"\x80" * 100,
        b"\x3d\x00",
    ],
)
def test_malformed_messages_are_refused(data: bytes) -> None:
    with pytest.raises(ModelError, match="no ONNX file, or a damaged one"):
        onnx_file.check(data, "x")


def field(number: int, content: bytes) -> bytes:
    """Encode a message as a field of another message."""
    size, length = len(content), b""
    while size > 127:
        size, length = size >> 7, length + bytes([size & 127 | 128])
    return bytes([8 * number + protobuf.BYTES]) + length + bytes([size]) + content


def test_nested_graphs_are_checked_to_any_depth() -> None:
    graph = field(5, move_outside(tensor()).SerializeToString())
    for _ in range(2000):
        graph = field(1, field(5, field(6, graph)))  # in an attribute of a node
    with pytest.raises(ModelError, match="weights in other files"):
        onnx_file.check(field(7, graph), "x")


def test_onnxruntime_reads_the_format_that_was_checked() -> None:
    """Bytes 4 to 8 imitate onnxruntime's own format."""
    config, network = Embedder.open(TINY_MODEL).config, (TINY_MODEL / INT8_FILE).read_bytes()
    Embedder(config, field(2, b"xxORTM") + network)
