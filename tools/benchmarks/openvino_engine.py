"""Run our networks on OpenVINO, for comparison with onnxruntime alone: edgesearch itself does not use it.

OpenVINO takes 182 MB installed and is at most a tenth faster. Left to its defaults it computes in bfloat16, where the
processor can, what an int8 network leaves in float; the embeddings of `mobilenet_v2_v4` then have a mean cosine of
0.968 to float instead of 0.995 (at least 0.813 instead of 0.956). A network of any batch size is a tenth slower than
one of a fixed size, so the tuned engine compiles one for each size.

B pictures, D dimensions, S input side in px.
"""

import io
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

REPORTING = "openvino.tools.ovc", "openvino_telemetry"  # converters; importing them reports to Intel and Google

Engine = Callable[[np.ndarray], np.ndarray]  # (B, 3, S, S) float32 -> (B, D) float32


def tuned_engine(network: bytes) -> Engine:
    """Return an engine of one thread that computes float operators in float32, compiled for each batch size.

    Args:    network: content of an ONNX file.
    Raises:  ImportError: OpenVINO is not installed.
    """
    openvino = _import_openvino()
    reader = openvino.frontend.FrontEndManager().load_by_framework("onnx")
    converted, core = reader.convert(reader.load(io.BytesIO(network))), openvino.Core()
    options = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    options["ENABLE_CPU_PINNING"] = False  # the system knows better which processor is free
    requests: dict[int, Any] = {}  # by batch size

    def run(inputs: np.ndarray) -> np.ndarray:
        if len(inputs) not in requests:
            fixed = converted.clone()
            fixed.reshape(list(inputs.shape))
            requests[len(inputs)] = core.compile_model(fixed, "CPU", options).create_infer_request()
        return _infer(requests[len(inputs)], inputs)

    return run


def default_engine(network: bytes) -> Engine:
    """Return an engine that is given the number of threads, 1, and nothing else.

    Args:    network: content of an ONNX file.
    Raises:  ImportError: OpenVINO is not installed.
    """
    core = _import_openvino().Core()
    compiled = core.compile_model(core.read_model(network), "CPU", {"INFERENCE_NUM_THREADS": 1})
    request = compiled.create_infer_request()
    return lambda inputs: _infer(request, inputs)


def _infer(request: Any, inputs: np.ndarray) -> np.ndarray:
    """Return the first output, (B, D) float32."""
    request.infer({0: inputs}, share_inputs=True)
    return np.array(request.get_output_tensor(0).data)


def _import_openvino() -> ModuleType:
    """Import OpenVINO without the tools that report the import; raise ImportError if it is not installed."""
    blocked = [] if "openvino" in sys.modules else [name for name in REPORTING if name not in sys.modules]
    sys.modules.update(dict.fromkeys(blocked))  # type: ignore[arg-type]  # None: importing it fails
    try:
        import openvino
    finally:
        for name in blocked:
            sys.modules.pop(name, None)
    return openvino
