"""Networks that are more than weights and standard operators never reach onnxruntime."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgesearch import ModelError
from edgesearch.embedding import onnx_file
from edgesearch.embedding.embedder import Embedder, default_model

from ..conftest import TINY_MODEL

onnx = pytest.importorskip("onnx")

INT8_FILE = "model.int8.onnx"


def tensor() -> "onnx.TensorProto":
    """Weights."""
    return onnx.numpy_helper.from_array(np.ones((2, 3), np.float32), "weights")


def model(nodes: "list[onnx.NodeProto]", weights: "list[onnx.TensorProto]") -> "onnx.ModelProto":
    """A network of one input and one output."""
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2, 3]) for name in ("in", "out")]
    return onnx.helper.make_model(onnx.helper.make_graph(nodes, "graph", ends[:1], ends[1:], weights))


def outside(found: "onnx.TensorProto") -> "onnx.TensorProto":
    """The same weights, said to lie in another file."""
    onnx.external_data_helper.set_external_data(found, "/etc/passwd")
    found.ClearField("raw_data")
    return found


def constant(value: "onnx.TensorProto") -> "onnx.NodeProto":
    """The weights as an attribute."""
    return onnx.helper.make_node("Constant", [], ["out"], value=value)


def branch(value: "onnx.TensorProto") -> "onnx.NodeProto":
    """The weights two graphs below."""
    inner = model([constant(value)], []).graph
    deeper = model([onnx.helper.make_node("If", ["in"], ["out"], then_branch=inner, else_branch=inner)], []).graph
    return onnx.helper.make_node("Loop", ["in"], ["out"], body=deeper)


def sparse(value: "onnx.TensorProto") -> "onnx.ModelProto":
    """The weights as values or places of a sparse tensor."""
    made = model([], [])
    made.graph.sparse_initializer.add().indices.CopyFrom(value)
    return made


def listed(value: "onnx.TensorProto") -> "onnx.NodeProto":
    """The weights as one of a list in an attribute."""
    node = onnx.helper.make_node("Constant", [], ["out"])
    node.attribute.add(name="values", type=onnx.AttributeProto.TENSORS).tensors.append(value)
    return node


WHERE: list[Callable[["onnx.TensorProto"], "onnx.ModelProto"]] = [
    lambda value: model([], [value]),
    lambda value: model([constant(value)], []),
    lambda value: model([branch(value)], []),
    lambda value: model([listed(value)], []),
    sparse,
]


@pytest.mark.parametrize("put", WHERE)
def test_weights_in_other_files_are_refused_wherever_they_are_named(
    put: Callable[["onnx.TensorProto"], "onnx.ModelProto"],
) -> None:
    onnx_file.check(put(tensor()).SerializeToString(), "x")
    for change in (outside, only_said, only_named):
        with pytest.raises(ModelError, match="x: has weights in other files; export it"):
            onnx_file.check(put(change(tensor())).SerializeToString(), "x")


def only_said(found: "onnx.TensorProto") -> "onnx.TensorProto":
    """Said to lie elsewhere, but not where."""
    found.data_location = onnx.TensorProto.EXTERNAL
    return found


def only_named(found: "onnx.TensorProto") -> "onnx.TensorProto":
    """Another file is named, but not said to be read."""
    found.external_data.add(key="location", value="x")
    return found


def test_other_operators_are_refused() -> None:
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


def test_functions_and_training_are_refused() -> None:
    with_function, with_training = model([], []), model([], [])
    with_function.functions.add(name="f", domain="")
    with_training.training_info.add()
    for made, says in ((with_function, "functions"), (with_training, "training")):
        with pytest.raises(ModelError, match=says):
            onnx_file.check(made.SerializeToString(), "x")


def test_what_ships_is_one_file_of_standard_operators() -> None:
    for path in (*default_model().glob("*.onnx"), *TINY_MODEL.glob("*.onnx")):
        onnx_file.check(path.read_bytes(), path.name)


def test_it_is_refused_before_onnxruntime_opens_it(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the file is there, in the folder the process stands in."""
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
def test_what_is_not_plainly_well_formed_is_refused(data: bytes) -> None:
    with pytest.raises(ModelError, match="no ONNX file, or a damaged one"):
        onnx_file.check(data, "x")


def field(number: int, content: bytes) -> bytes:
    """A message inside a message."""
    size, length = len(content), b""
    while size > 127:
        size, length = size >> 7, length + bytes([size & 127 | 128])
    return bytes([8 * number + onnx_file.BYTES]) + length + bytes([size]) + content


def test_graphs_inside_graphs_are_followed_without_end() -> None:
    graph = field(5, outside(tensor()).SerializeToString())
    for _ in range(2000):
        graph = field(1, field(5, field(6, graph)))  # in an attribute of a node
    with pytest.raises(ModelError, match="weights in other files"):
        onnx_file.check(field(7, graph), "x")


def test_what_was_looked_at_is_what_is_read() -> None:
    """Bytes 4 to 8 would tell onnxruntime that this is of its own format."""
    config, network = Embedder.open(TINY_MODEL).config, (TINY_MODEL / INT8_FILE).read_bytes()
    Embedder(config, field(2, b"xxORTM") + network)
