"""What computes a network: onnxruntime, or OpenVINO where its extra is installed. The only user of both.

Both are given bytes that were looked at (`onnxfile`), tell nobody that they were, and keep no file of their own.

OpenVINO is told two things: not to compute in bfloat16 what an int8 network leaves in float, as it would where a
processor can, for `mobilenet_v2_v4` then sees other things (cosine to float 0.968 instead of 0.995 in the mean, 0.813
instead of 0.956 at least: `tools/bench embedder`); and how many pictures are given, for of any number it makes a
network that is a tenth slower, so that there is one for one picture and one for two.

B pictures, S input side in px.
"""

import io
import os
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any, Protocol, TypeAlias

import numpy as np

from ..errors import ModelError

ONNXRUNTIME, OPENVINO = "onnxruntime", "openvino"
RUNTIMES = ONNXRUNTIME, OPENVINO
MOST_TOGETHER = 2  # pictures that OpenVINO computes at once: so many looks are taken together (`Embedder.see`)
MOST_STREAMS = 4  # calls that OpenVINO computes side by side
TALKATIVE = "openvino.tools.ovc", "openvino_telemetry"  # convert networks of others, and report to Intel at import

Shape: TypeAlias = list[Any]
# Calls `interrupt` from another thread where what runs inside has to end (`Stop.interrupting`).
Interrupting: TypeAlias = Callable[[Callable[[], None]], AbstractContextManager[None]]


class Runtime(Protocol):
    """A network, ready to run. Safe to share between threads.

    Attributes: input_shape: of its one input; output_shapes: by name, in their order; sides that may vary are no
                numbers.
    """

    input_shape: Shape
    output_shapes: dict[str, Shape]

    def run(self, inputs: np.ndarray, interrupting: Interrupting | None = None) -> list[np.ndarray]:
        """inputs: (B, 3, S, S) float32 -> all outputs; interrupting: lets others end it, after the operator that runs,
        with an exception of the runtime.
        """


class OnnxRuntime:
    """As `Runtime`."""

    def __init__(self, network: bytes, threads: int, unfused: bool):
        onnxruntime = _onnxruntime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Threads that spin while they wait burn a handheld's battery.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        options.add_session_config_entry("session.load_model_format", "ONNX")  # what was looked at, no other
        if unfused:
            options.add_session_config_entry("session.disable_quant_qdq", "1")
        self._session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
        self._options = onnxruntime.RunOptions
        self._input = self._session.get_inputs()[0].name
        self.input_shape = list(self._session.get_inputs()[0].shape)
        self.output_shapes = {end.name: list(end.shape) for end in self._session.get_outputs()}

    def run(self, inputs: np.ndarray, interrupting: Interrupting | None = None) -> list[np.ndarray]:
        """As `Runtime`."""
        names, given = [*self.output_shapes], {self._input: inputs}
        if interrupting is None:
            return [np.asarray(output) for output in self._session.run(names, given)]
        options = self._options()  # 1 us
        with interrupting(lambda: setattr(options, "terminate", True)):
            return [np.asarray(output) for output in self._session.run(names, given, options)]


class OpenVino:
    """As `Runtime`; compiled at its first runs, which take half a second longer each."""

    def __init__(self, network: bytes, threads: int):
        openvino = quiet_openvino()
        reader = openvino.frontend.FrontEndManager().load_by_framework("onnx")  # what was looked at, no other
        self._network = reader.convert(reader.load(io.BytesIO(network)))
        self._core = openvino.Core()
        streams = max(1, min(MOST_STREAMS, (os.cpu_count() or 1) // threads))
        self._how = {
            "INFERENCE_NUM_THREADS": threads * streams,
            "NUM_STREAMS": streams,
            "INFERENCE_PRECISION_HINT": "f32",
            "ENABLE_CPU_PINNING": False,  # the system knows better which processor is free
        }
        self._lock = threading.Lock()
        self._compiled: dict[int, Any] = {}  # by B
        self._free: dict[int, list[Any]] = {}  # requests that nobody uses, by B; two calls must not share one
        self.input_shape = _shape(self._network.inputs[0])
        self.output_shapes = {end.any_name: _shape(end) for end in self._network.outputs}

    def run(self, inputs: np.ndarray, interrupting: Interrupting | None = None) -> list[np.ndarray]:
        """As `Runtime`."""
        parts = [inputs[start : start + MOST_TOGETHER] for start in range(0, len(inputs), MOST_TOGETHER)]
        found = [self._run(part, interrupting) for part in parts]
        return found[0] if len(found) == 1 else [np.concatenate(rows) for rows in zip(*found, strict=True)]

    def _run(self, inputs: np.ndarray, interrupting: Interrupting | None) -> list[np.ndarray]:
        request = self._request(len(inputs))
        if interrupting is None:
            request.infer({0: inputs}, share_inputs=True)
        else:
            with interrupting(request.cancel):  # of what is not started nothing; what is started and waited for ends
                request.start_async({0: inputs}, share_inputs=True)
                request.wait()
        outputs = [np.array(request.get_output_tensor(end).data) for end in range(len(self.output_shapes))]
        self._free[len(inputs)].append(request)
        return outputs

    def _request(self, count: int) -> Any:
        with self._lock:
            if count not in self._compiled:
                fixed = self._network.clone()
                fixed.reshape([count, *self.input_shape[1:]])
                self._compiled[count], self._free[count] = self._core.compile_model(fixed, "CPU", self._how), []
            free = self._free[count]
            return free.pop() if free else self._compiled[count].create_infer_request()


def load(runtime: str, network: bytes, name: str, threads: int = 1, unfused: bool = False) -> Runtime:
    """Make a network ready to run.

    Args:    runtime: one of `RUNTIMES`; network: an ONNX file's content, looked at by the caller; name: what to call it
             in errors; threads: of one call; unfused: compute a quantized network in float, rounding to its quantized
             values between the operators; onnxruntime alone does.
    Raises:  ModelError: the runtime is not installed, or refuses the network.
    """
    try:
        return OpenVino(network, threads) if runtime == OPENVINO else OnnxRuntime(network, threads, unfused)
    except ModelError:
        raise
    except Exception as error:  # the exceptions of both share no base class
        said = " ".join(str(error).split())
        raise ModelError(f"{name}: {runtime} cannot load it ({said}).") from error


def version(runtime: str = ONNXRUNTIME) -> str:
    """Which one is installed; raises ModelError: none is."""
    return str((quiet_openvino() if runtime == OPENVINO else _onnxruntime()).__version__)


def is_installed(runtime: str) -> bool:
    """Whether it can be imported."""
    try:
        return bool(version(runtime))
    except ModelError:
        return False


def _onnxruntime() -> ModuleType:
    """Imported when it is needed, so that importing edgesearch stays light.

    From 1.29 on it reports to its makers, unless it is told before that it must not.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelError(
            f"onnxruntime: not installed, or of no use here ({error}); pip install onnxruntime, or take openvino."
        ) from error
    return onnxruntime


def quiet_openvino() -> ModuleType:
    """As `_onnxruntime`. Without its tools, whose import reports to Intel and Google that it happens.

    Whoever wants the tools may import them before or after.
    """
    kept_out = [] if OPENVINO in sys.modules else [name for name in TALKATIVE if name not in sys.modules]
    sys.modules.update(dict.fromkeys(kept_out))  # type: ignore[arg-type]  # None: importing it fails
    try:
        import openvino
    except ImportError as error:
        raise ModelError(
            f"openvino: not installed, or of no use here ({error}); install the extra: pip install "
            "'edgesearch[openvino]', or take onnxruntime."
        ) from error
    finally:
        for name in kept_out:
            sys.modules.pop(name, None)
    return openvino


def _shape(end: Any) -> Shape:
    sides = [end.partial_shape[place] for place in range(end.partial_shape.rank.get_length())]
    return [side.get_length() if side.is_static else None for side in sides]
