"""Run a network with onnxruntime.

Nothing else imports onnxruntime. It only ever gets bytes that `onnx_file.check` has accepted, sends no reports to its
makers, and writes no files.

B pictures, S input side in px.
"""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from ..errors import EdgeSearchError, ModelError

ONNXRUNTIME = "onnxruntime"

Shape: TypeAlias = list[Any]
# Called with a function that ends the run from another thread; active while the run lasts (`Stop.interrupting`).
Interrupting: TypeAlias = Callable[[Callable[[], None]], AbstractContextManager[None]]


class Network:
    """A loaded network. Safe to share between threads.

    Attributes:
        input_shape: shape of the only input; free dimensions are no numbers.
        output_shapes: shapes of the outputs by name, in their order.
    """

    input_shape: Shape
    output_shapes: dict[str, Shape]

    def __init__(self, content: bytes, name: str, threads: int, unfused: bool):
        """Load an ONNX file's content; raise what onnxruntime raises."""
        self._name = name
        onnxruntime = _import_onnxruntime()
        self._session = onnxruntime.InferenceSession(
            content, _session_options(onnxruntime, threads, unfused), providers=["CPUExecutionProvider"]
        )
        self._run_options = onnxruntime.RunOptions
        self._input = self._session.get_inputs()[0].name
        self.input_shape = list(self._session.get_inputs()[0].shape)
        self.output_shapes = {output.name: list(output.shape) for output in self._session.get_outputs()}

    def run(self, inputs: np.ndarray, interrupting: Interrupting | None = None) -> list[np.ndarray]:
        """Compute all outputs.

        Args:
            inputs: (B, 3, S, S) float32.
            interrupting: lets another thread end the run after the current operator; onnxruntime then raises.
        Returns:
            One array per output, in the order of `output_shapes`; (B, ...) float32 each.
        Raises:
            ModelError: onnxruntime cannot run it.
            StoppedError: another thread ended the run.
        """
        try:
            return self._run(inputs, interrupting)
        except (EdgeSearchError, MemoryError):
            raise
        except Exception as error:  # onnxruntime's exceptions share no base class
            raise ModelError(f"{self._name}: {ONNXRUNTIME} cannot run it ({' '.join(str(error).split())}).") from error

    def _run(self, inputs: np.ndarray, interrupting: Interrupting | None) -> list[np.ndarray]:
        names, feed = [*self.output_shapes], {self._input: inputs}
        if interrupting is None:
            return [np.asarray(output) for output in self._session.run(names, feed)]
        options = self._run_options()  # takes 1 us
        with interrupting(lambda: setattr(options, "terminate", True)):
            return [np.asarray(output) for output in self._session.run(names, feed, options)]


def load(content: bytes, name: str, threads: int = 1, unfused: bool = False) -> Network:
    """Load a network.

    Args:
        content: an ONNX file's content, already checked by the caller.
        name: of the network, for error messages.
        threads: number of threads for one call.
        unfused: compute a quantized network in float, rounding to its quantized values between the operators.
    Raises:
        ModelError: onnxruntime is not installed or refuses the network.
    """
    try:
        return Network(content, name, threads, unfused)
    except ModelError:
        raise
    except Exception as error:  # onnxruntime's exceptions share no base class
        reason = " ".join(str(error).split())
        raise ModelError(f"{name}: {ONNXRUNTIME} cannot load it ({reason}).") from error


def version() -> str:
    """Return onnxruntime's version; raise ModelError if it is not installed."""
    return str(_import_onnxruntime().__version__)


def _session_options(onnxruntime: ModuleType, threads: int, unfused: bool) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Threads that spin while they wait drain a handheld's battery.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.add_session_config_entry("session.load_model_format", "ONNX")  # the format that was checked, and no other
    if unfused:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    return options


def _import_onnxruntime() -> ModuleType:
    """Import onnxruntime on first use, so that importing edgesearch stays light.

    From 1.29 on, onnxruntime reports to its makers unless this variable is set before the import.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelError(
            f"onnxruntime: not installed, or unusable on this device ({error}); run `pip install onnxruntime`."
        ) from error
    return onnxruntime
