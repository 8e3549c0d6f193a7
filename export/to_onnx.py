"""Export a trained embedding network to one ONNX file: picture in, unit embedding out.

B batch, N pictures, S input side in px.
"""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from edgesearch.embedding.embedder import CONFIG_FILE, RESPONSE
from edgesearch.errors import ModelError

from . import model_folder
from .backbones import EmbeddingNetwork, build_network

OPSET = 18
INPUT, OUTPUT = "picture", "embedding"  # the second output is RESPONSE
PARITY = 1e-4  # largest difference of a component between torch and onnxruntime


def export(run: Path, folder: Path, inputs: np.ndarray) -> float:
    """Write a new model folder from the weights of a training run, and compare it with torch.

    Args:
        run: folder of the training run.
        folder: the model folder.
        inputs: (N, 3, S, S) float32, inputs of the comparison.
    Returns:
        The largest difference of a component between torch and onnxruntime.
    Raises:
        ModelError: the run has no weights, or torch and onnxruntime disagree.
    """
    model, provenance = load(run / "weights.pt")
    folder.mkdir(parents=True, exist_ok=True)
    to_onnx(model, folder / model_folder.FP32_FILE, inputs.shape[-1])
    model_folder.write_config(folder, model.backbone, model.projection.out_features, provenance)
    with torch.inference_mode():
        expected = model(torch.from_numpy(inputs))[0].numpy()
    found = model_folder.embed(folder, "fp32", inputs)
    difference = float(np.abs(found - expected).max())
    if difference > PARITY:
        raise ModelError(f"{folder}: ONNX and torch differ by {difference:.1e}; at most {PARITY:.0e} is allowed.")
    model_folder.add_provenance(folder, {"parity": difference})
    return difference


def load(weights: Path) -> tuple[EmbeddingNetwork, dict[str, Any]]:
    """Load the network that `train` saved, and its provenance; raise ModelError if the file holds none."""
    try:
        saved = torch.load(weights, weights_only=True)
        provenance = saved["provenance"]
        recipe = provenance["recipe"]
        model = build_network(recipe["backbone"], recipe["dim"], recipe["convention"])
        model.load_state_dict(saved["state"])
    except (OSError, KeyError, RuntimeError, pickle.UnpicklingError) as error:
        raise ModelError(f"{weights}: not weights saved by `train` ({error}); train first.") from error
    return model.eval(), provenance


def load_any(folder: Path) -> tuple[EmbeddingNetwork, dict[str, Any]]:
    """Load a network and its provenance from the folder of a model or of a training run."""
    if (folder / CONFIG_FILE).exists():
        return load_folder(folder), model_folder.read(folder)["provenance"]
    return load(folder / "weights.pt")


def load_folder(folder: Path) -> EmbeddingNetwork:
    """Load the float network of a model folder, to train on from it; raise ModelError if it is none that we wrote.

    Of a projection that `project` fitted, it keeps what the outputs of the last convolutions give.
    """
    try:
        table = model_folder.read(folder)
        model = build_network(table["backbone"], table["dim"], "tensorflow")
        graph = onnx.load(folder / model_folder.FP32_FILE).graph
        stored = {one.name: torch.from_numpy(numpy_helper.to_array(one).copy()) for one in graph.initializer}
        stored["projection.weight"] = stored["projection.weight"][:, : model.projection.in_features]
        model.load_state_dict({key: stored[key] for key in model.state_dict()})
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise ModelError(f"{folder}: no float model ({error}); name a folder that `to_onnx` wrote.") from error
    return model.eval()


def to_onnx(model: EmbeddingNetwork, path: Path, side: int) -> None:
    """Write a network for inputs (B, 3, S, S) float32 with a free batch size; side: S."""
    example = torch.zeros(2, 3, side, side)
    batch = {0: torch.export.Dim("batch", min=1, max=4096)}
    program = torch.onnx.export(
        model.cpu().float().eval(),
        (example,),
        input_names=[INPUT],
        output_names=[OUTPUT, RESPONSE],
        dynamic_shapes=(batch,),
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    network = program.model_proto
    fold_padding(network)
    del network.metadata_props[:]
    for node in network.graph.node:  # the exporter notes file names of this machine on each node
        del node.metadata_props[:]
        node.doc_string = ""
    for value in network.graph.value_info:
        del value.metadata_props[:]
    onnx.checker.check_model(network, full_check=True)
    onnx.save(network, path)


def fold_padding(network: onnx.ModelProto) -> None:
    """Move every zero padding before a convolution into the convolution's own `pads`, in place.

    Otherwise the quantizer would insert a quantization between the two.
    """
    graph = network.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for pad in [node for node in graph.node if node.op_type == "Pad"]:
        users = [node for node in graph.node if pad.output[0] in node.input]
        if len(users) == 1 and users[0].op_type == "Conv":
            amounts = numpy_helper.to_array(constants[pad.input[1]])  # (2 * 4,): before N, C, H, W, then after them
            (convolution,) = users
            added = np.array([amounts[2], amounts[3], amounts[6], amounts[7]])
            (pads,) = [a for a in convolution.attribute if a.name == "pads"]
            pads.ints[:] = (np.array(pads.ints) + added).tolist()
            convolution.input[0] = pad.input[0]
            graph.node.remove(pad)
    used = {name for node in graph.node for name in node.input}
    for tensor in [t for t in graph.initializer if t.name not in used]:
        graph.initializer.remove(tensor)
