"""Fit the projection of a finished model again, to photos as a device crops them.

PCA keeps the directions in which the pictures that it is fitted to differ. Fitted to photos of groceries, it keeps what
tells groceries apart, also those that it never saw. The pooled inputs of each tower's last convolution join the pooled
outputs; they are less bound to the classes of ImageNet. Only the projection changes: every convolution, float or int8,
stays as it is.

Recall@1 of four-fold cross-validation over the 40 groceries with odd class ids and the objects that may be trained on:
projection and whitening saw no picture of the products asked (vectors alone, three crops, mean over products; groceries
from one catalogue picture, the same among 350 other pictures, from five photos, objects from one view, the same among
other pictures). All choices here were made by it.

| network | fitted to, taking | groceries | among others | five photos | objects | among others |
|---|---|---|---|---|---|---|
| mobilenet_v2_v4 | other pictures, outputs | .584 | .553 | .923 | .871 | .813 |
| | photos too, outputs | .687 | .616 | .925 | .893 | .821 |
| | photos too, outputs and inputs | .702 | .634 | .929 | .886 | .804 |
| mobilenet_v2_lite2_v1 | other pictures, outputs | .626 | .610 | .927 | .931 | .884 |
| | photos too, outputs | .719 | .677 | .938 | .935 | .877 |
| | photos too, outputs and inputs, towers .7 and 1 | .735 | .698 | .937 | .939 | .899 |

The shares here are .5 and .15; with those below, kept more even for shops that sell other things, .697 of groceries are
found instead of .702. Photos of the very products asked do harm: .679 with them and .703 without (before whitening). So
does whitening the scatter within products in all channels before the PCA (.644 at best); a generalized mean instead of
the mean is no better. More dimensions find a little more with mobilenet_v2_v4: 320 .706, .644, .939, .896, .817, and
384 .707, .647, .942, .900, .817 (instead of .701, .632, .929, .887, .803 with 256, in the order of the table).

N pictures or crops, C pooled channels, D embedding dimensions, P parts: the outputs and inputs of T towers' last
convolutions.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.linalg import eigh
from onnx import NodeProto, helper, numpy_helper
from tqdm import tqdm

from edgesearch.embedding import runtime
from edgesearch.embedding.embedder import Preprocessing, read_model
from edgesearch.errors import ModelError
from edgesearch.images import crops, image

from . import model_folder
from .to_onnx import OUTPUT
from .training_pictures import Source
from .whiten import choose, photo

SHARES = {"groceries": 0.4, "objects": 0.2}  # of what the projection is fitted to; other groups share the rest
OTHERS = 4000  # pictures of these
EARLIER_WEIGHT = 0.7  # of the inputs of the last convolutions, where their outputs weigh 1
EARLIER = "earlier"  # begins the names of the tensors that are added


def project(folder: Path, out: Path, sources: list[Source], weights: Sequence[float] = ()) -> None:
    """Write a model folder with a projection fitted to training pictures.

    Args:
        folder: a model folder; its int8 network embeds the pictures.
        out: folder of the new model, which has no whitening.
        sources: training pictures.
        weights: of the T towers; empty for 1 each.
    Raises:
        ModelError: `folder` holds no int8 network that `to_onnx` and `quantize` wrote, or it has other than T towers.
    """
    config, content = read_model(folder)
    network = onnx.load_from_string(content)
    widths = pool_inputs(network)
    towers = list(weights) or [1.0] * (len(widths) // 2)
    if 2 * len(towers) != len(widths):
        raise ModelError(f"{folder}: {len(towers)} weights given for {len(widths) // 2} towers; give one for each.")
    _end_at_pooling(network)
    pooling = _Pooling(runtime.load(network.SerializeToString(), config.name), config.preprocessing)
    parts = [*towers, *(EARLIER_WEIGHT * weight for weight in towers)]
    weight, bias = fit(*pooling.run_all(sources), widths, parts, config.dim)
    out.mkdir(parents=True, exist_ok=True)
    for precision, (file, _) in config.files.items():
        network = onnx.load_from_string(read_model(folder, precision)[1])
        pool_inputs(network)
        _replace(network, {"projection.weight": weight, "projection.bias": bias})
        onnx.checker.check_model(network, full_check=True)
        onnx.save(network, out / file)
    facts = {"of": config.name, "shares": SHARES, "earlier": EARLIER_WEIGHT, "towers": towers}
    model_folder.copy_config(folder, out, {"projection": facts})


def fit(
    groups: Sequence[np.ndarray], shares: Sequence[float], widths: Sequence[int], parts: Sequence[float], dim: int
) -> tuple[np.ndarray, np.ndarray]:
    """Fit half-whitened PCA (`backbones.half_whitening`) to groups of pooled crops, each with its share.

    Args:
        groups: of (N, C) float32; all parts are scaled to vary equally in the last one.
        shares: of the groups, summing to 1.
        widths: channels of each of the P parts, summing to C.
        parts: weight of each part.
        dim: D.
    Returns:
        Weight, (D, C) float32, and bias, (D,) float32.
    """
    spread = [np.sqrt(part.var(0).sum()) for part in np.split(groups[-1], np.cumsum(widths)[:-1], 1)]
    scales = np.repeat(np.array(parts) / spread, widths)
    mean = np.average([rows.mean(0) for rows in groups], axis=0, weights=shares)
    scatter = np.zeros((len(mean), len(mean)))
    for rows, share in zip(groups, shares, strict=True):
        centred = ((rows - mean) * scales).astype(np.float64)
        scatter += share / len(rows) * centred.T @ centred
    variance, axes = eigh(scatter)
    weight = (axes[:, -dim:] * variance[-dim:] ** -0.25).T[::-1] * scales
    return weight.astype(np.float32), (-weight @ mean).astype(np.float32)


def pool_inputs(network: onnx.ModelProto) -> list[int]:
    """Pool the inputs of each tower's last convolution too, and hand them to the projection, in place.

    Returns:
        Channels of the P parts that the projection takes: outputs of the towers, then inputs.
    Raises:
        ModelError: the network is not one that `to_onnx` wrote.
    """
    graph = network.graph
    made = {name: node for node in graph.node for name in node.output}
    projection = next((node for node in graph.node if node.op_type == "Gemm"), None)
    pooling = made.get(projection.input[0]) if projection else None
    if projection is None or pooling is None or pooling.op_type != "ReduceMean":
        raise ModelError("network: has no projection of pooled maps alone; name a folder that `to_onnx` wrote.")
    last = _convolutions_before(pooling.input[0], made)
    pooled = [f"{EARLIER}.{number}" for number in range(len(last))]
    added = [
        helper.make_node("ReduceMean", [node.input[0], pooling.input[1]], [name], name, keepdims=0)
        for node, name in zip(last, pooled, strict=True)
    ]
    added.append(helper.make_node("Concat", [pooling.output[0], *pooled], [EARLIER], EARLIER, axis=1))
    position = list(graph.node).index(projection)
    for node in reversed(added):
        graph.node.insert(position, node)
    projection.input[0] = EARLIER
    del graph.value_info[:]  # notes of shapes that no longer hold
    shapes = [_kernel_shape(node, network, made) for node in last]
    return [outputs for outputs, _ in shapes] + [inputs for _, inputs in shapes]


def _convolutions_before(tensor: str, made: dict[str, NodeProto]) -> list[NodeProto]:
    """Return the last convolution of each tower whose maps are concatenated in a tensor."""
    node = made[tensor]
    if node.op_type == "Conv":
        return [node]
    before = node.input if node.op_type == "Concat" else node.input[:1]
    return [found for name in before for found in _convolutions_before(name, made)]


def _kernel_shape(node: NodeProto, network: onnx.ModelProto, made: dict[str, NodeProto]) -> tuple[int, int]:
    """Return the output and input channels of a convolution without groups."""
    name = node.input[1]
    name = made[name].input[0] if name in made else name  # int8 weights are dequantized first
    (kernel,) = [tensor for tensor in network.graph.initializer if tensor.name == name]
    return kernel.dims[0], kernel.dims[1]


def _end_at_pooling(network: onnx.ModelProto) -> None:
    """Make what the projection takes the first output, in place."""
    graph = network.graph
    later = {EARLIER}
    for node in list(graph.node):
        if later & set(node.input):
            later.update(node.output)
            graph.node.remove(node)
    (joined,) = [node for node in graph.node if EARLIER in node.output]
    joined.output[0] = OUTPUT
    graph.output[0].type.tensor_type.shape.dim[1].Clear()


def _replace(network: onnx.ModelProto, arrays: dict[str, np.ndarray]) -> None:
    """Replace initializers by arrays, in place."""
    for tensor in network.graph.initializer:
        if tensor.name in arrays:
            tensor.CopyFrom(numpy_helper.from_array(arrays[tensor.name], tensor.name))


@dataclass(frozen=True)
class _Pooling:
    """A network that ends at its pooling, and how pictures become its input."""

    network: runtime.Network
    preprocessing: Preprocessing

    def run_all(self, sources: list[Source]) -> tuple[list[np.ndarray], list[float]]:
        """Pool crops of the photos of each group in `SHARES`, and of others: (N, C) float32 each, and their shares."""
        backgrounds = [source.path for source in sources if source.group == "background"]
        others = [source for source in sources if source.group not in SHARES]
        chosen = [[one for one in choose(s for s in sources if s.group == group) if not one.clean] for group in SHARES]
        chosen.append(others[:: max(1, len(others) // OTHERS)])
        shown = tqdm(total=sum(map(len, chosen)), desc="project", disable=None)

        def run(source: Source) -> np.ndarray:
            shown.update()
            return self._run(photo(source, backgrounds))

        with ThreadPoolExecutor(os.cpu_count()) as pool, shown:
            found = [np.concatenate(list(pool.map(run, group))) for group in chosen]
        return found, [*SHARES.values(), 1 - sum(SHARES.values())]

    def _run(self, shown: image.Photo) -> np.ndarray:
        """Pool the whole picture and its near middle, as a search crops them: (2, C) float32."""
        picture = image.read(shown, self.preprocessing.decoded_side)
        size = picture.shape[:2]
        parts = [crops.whole_crop(size), crops.centre_crop(size, crops.NEAR_SHARE)]
        return self.network.run(self.preprocessing.convert(picture, parts))[0]
