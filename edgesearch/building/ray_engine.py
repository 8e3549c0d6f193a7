"""Spread the work of a build over a cluster with Ray Data (docs.ray.io/en/latest/data/data.html); the only user of ray.

Workers are processes on any machine of the cluster. If a worker dies, ray gives its part to another one. Parts and
results travel as pickled bytes, and results arrive in order. A cluster that is started here asks for a token. The key
that signs a bundle and the device key stay in this process.
"""

import contextlib
import logging
import os
import pickle
import secrets
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import numpy as np

from .._util import blas
from ..bundle import sealing
from ..errors import BundleError, EdgeSearchError
from ..index.cells import ParallelMap
from .kernels_in_use import describe_kernels

GROUP_BYTES = 1 << 28  # of pickled parts that this process and the cluster's store hold at once
CONNECT_TIMEOUT_S = 10
Part = TypeVar("Part")
Result = TypeVar("Result")


@contextlib.contextmanager
def connect_cluster(workers: int | None = None) -> Iterator[ParallelMap]:
    """Yield a function that maps parts on a cluster and returns the results in order.

    The cluster is the one that ray is already connected to or that `RAY_ADDRESS` names, else processes on this machine.

    Args:
        workers: Largest number of workers; None takes one per processor of the cluster.
    Raises:
        EdgeSearchError: ray is not installed, or the cluster cannot be reached.
    """
    ray = _import_ray()
    starts_here = not ray.is_initialized()
    if starts_here:
        _check_reachable(os.environ.get("RAY_ADDRESS", ""))
    try:
        if starts_here:
            with _device_key_hidden():
                ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        count = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
    except Exception as error:  # ray's exceptions have no common base class
        raise EdgeSearchError(f"--engine ray: the cluster cannot be reached ({error}); check RAY_ADDRESS.") from error
    try:
        with _silence(ray.data.DataContext.get_current()):
            yield lambda function, parts: _map_parts(function, parts, count)
    finally:
        if starts_here:
            ray.shutdown()


@contextlib.contextmanager
def _device_key_hidden() -> Iterator[None]:
    """Take the device key out of the environment, which the processes of a new cluster inherit."""
    hidden = {name: os.environ.pop(name) for name in sealing.VARIABLES if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)


class _Worker:
    """Runs the function in a process of the cluster."""

    def __init__(self, function: Callable[[Any], Any], folder: str, kernels: str):
        """Change to `folder`, which relative paths refer to, if this machine has it; kernels: of the whole build."""
        blas.use_one_thread()
        self._function, self._kernels = function, kernels
        with contextlib.suppress(OSError):
            os.chdir(folder)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list[bytes]]:
        return {"result": [pickle.dumps(self._run(_unpickle(part))) for part in batch["part"]]}

    def _run(self, part: Any) -> Any:
        """Return the result of a part, or the error as an object: ray would turn a raised one into text."""
        if (found := describe_kernels()) != self._kernels:
            return BundleError(
                f"--engine ray: a worker computes with {found}, this process with {self._kernels}, which gives other "
                "bytes; install the same wheel of edgesearch on every machine, and build outside a source checkout."
            )
        try:
            return self._function(part)
        except EdgeSearchError as error:
            return error
        except Exception as error:
            return _part_failed(f"{type(error).__name__}: {error}")


def _map_parts(function: Callable[[Part], Result], parts: Iterable[Part], workers: int) -> Iterator[Result]:
    for group in _group_parts(parts):
        if len(group) == 1:  # workers take seconds to start
            yield function(_unpickle(group[0]))
        else:
            yield from _run_group(function, group, workers)


def _group_parts(parts: Iterable[Part]) -> Iterator[list[bytes]]:
    """Yield lists of pickled parts, each list of about `GROUP_BYTES`."""
    group: list[bytes] = []
    size = 0
    for part in parts:
        group.append(pickle.dumps(part))
        size += len(group[-1])
        if size > GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _run_group(function: Callable[[Part], Result], group: list[bytes], workers: int) -> Iterator[Result]:
    import ray

    data = ray.data.from_items([{"part": part} for part in group], override_num_blocks=len(group))
    data.context.execution_options.preserve_order = True
    results = data.map_batches(
        _Worker,
        fn_constructor_args=(function, os.getcwd(), describe_kernels()),
        batch_size=1,
        num_cpus=1,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=min(workers, len(group))),
    )
    try:
        for row in results.iter_rows():
            result = _unpickle(row["result"])
            if isinstance(result, EdgeSearchError):
                raise result
            yield result
    except EdgeSearchError:
        raise
    except Exception as error:  # ray's exceptions have no common base class
        raise _part_failed((str(error).strip().splitlines() or [type(error).__name__])[-1]) from error


def _part_failed(reason: str) -> BundleError:
    return BundleError(f"--engine ray: a worker failed ({reason}); no bundle was written.")


def _unpickle(data: bytes) -> Any:
    return pickle.loads(data)  # noqa: S301  # this build pickled it


@contextlib.contextmanager
def _silence(context: Any) -> Iterator[None]:
    """Switch off ray's progress bars and log: the build reports its progress and its errors itself."""
    log, bars = logging.getLogger("ray.data"), context.enable_progress_bars
    level = log.level
    context.enable_progress_bars = False
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        context.enable_progress_bars = bars
        log.setLevel(level)


def _check_reachable(address: str) -> None:
    """Raise EdgeSearchError if nothing answers at `address`; ray itself would try for minutes."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if not colon or not port.isdecimal():  # empty, "auto" or "local"
        return
    try:
        with socket.create_connection((host.strip("[]"), int(port)), CONNECT_TIMEOUT_S):
            pass
    except (OSError, OverflowError) as error:
        raise EdgeSearchError(f"--engine ray: no cluster answers at {address} ({error}); check RAY_ADDRESS.") from error


def _import_ray() -> Any:
    if "ray" not in sys.modules and not {"RAY_ADDRESS", "RAY_AUTH_MODE"} & os.environ.keys():  # nobody has chosen
        os.environ["RAY_AUTH_MODE"] = "token"  # without, others in the network could run code here
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # ray would send usage statistics to its makers
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # silences the log of ray's own processes
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise EdgeSearchError("--engine ray: ray is not installed; pip install edgesearch[ray].") from error
    return ray
