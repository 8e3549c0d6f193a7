"""A build's parts on a cluster, by Ray Data (docs.ray.io/en/latest/data/data.html); the only user of ray.

Workers are processes on any machine of the cluster. What a worker that died was at is done again by another. Parts are
handed over and come back as pickled bytes, in order.
"""

import contextlib
import logging
import os
import pickle
import socket
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import numpy as np

from .._util import blas
from ..errors import BundleError, EdgeSearchError
from ..index.cells import Spread

GROUP_BYTES = 1 << 28
REACHED_S = 10
Part = TypeVar("Part")
Result = TypeVar("Result")


@contextlib.contextmanager
def cluster(workers: int | None = None) -> Iterator[Spread]:
    """Spread parts over a cluster: the one that `RAY_ADDRESS` names or that ray is connected to, else this machine.

    Args:    workers: at most; None for as many as the cluster has processors.
    Raises:  EdgeSearchError: ray is not installed, or cannot be reached.
    """
    ray = _connected()
    begun = not ray.is_initialized()
    if begun:
        _check_reachable(os.environ.get("RAY_ADDRESS", ""))
    try:
        if begun:
            ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        count = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
    except Exception as error:  # ray's have no base class
        raise EdgeSearchError(f"--engine ray: no cluster can be reached ({error}); check RAY_ADDRESS.") from error
    try:
        with _hushed(ray.data.DataContext.get_current()):
            yield lambda function, parts: _spread(function, parts, count)
    finally:
        if begun:
            ray.shutdown()


class _Worker:
    """In a process of the cluster."""

    def __init__(self, function: Callable[[Any], Any], folder: str):
        """folder: in which relative paths are meant, where this machine has it."""
        blas.on_one_thread()
        self._function = function
        with contextlib.suppress(OSError):
            os.chdir(folder)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list[bytes]]:
        return {"result": [pickle.dumps(self._done(_read(part))) for part in batch["part"]]}

    def _done(self, part: Any) -> Any:
        """Errors as they are: ray would wrap them into text."""
        try:
            return self._function(part)
        except EdgeSearchError as error:
            return error
        except Exception as error:
            return _undone(f"{type(error).__name__}: {error}")


def _spread(function: Callable[[Part], Result], parts: Iterable[Part], workers: int) -> Iterator[Result]:
    for group in _groups(parts):
        if len(group) == 1:  # workers take seconds to begin
            yield function(_read(group[0]))
        else:
            yield from _done(function, group, workers)


def _groups(parts: Iterable[Part]) -> Iterator[list[bytes]]:
    """Parts as bytes, as many as this process and the cluster's store should hold at once."""
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


def _done(function: Callable[[Part], Result], group: list[bytes], workers: int) -> Iterator[Result]:
    import ray

    data = ray.data.from_items([{"part": part} for part in group], override_num_blocks=len(group))
    data.context.execution_options.preserve_order = True
    done = data.map_batches(
        _Worker,
        fn_constructor_args=(function, os.getcwd()),
        batch_size=1,
        num_cpus=1,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=min(workers, len(group))),
    )
    try:
        for row in done.iter_rows():
            result = _read(row["result"])
            if isinstance(result, EdgeSearchError):
                raise result
            yield result
    except EdgeSearchError:
        raise
    except Exception as error:  # ray's have no base class
        raise _undone((str(error).strip().splitlines() or [type(error).__name__])[-1]) from error


def _undone(reason: str) -> BundleError:
    return BundleError(f"--engine ray: a part cannot be done ({reason}); nothing was written.")


def _read(data: bytes) -> Any:
    return pickle.loads(data)  # noqa: S301  # our own


@contextlib.contextmanager
def _hushed(context: Any) -> Iterator[None]:
    """The build tells its progress itself, and what went wrong."""
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
    """Ray itself tries for minutes; raises EdgeSearchError."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if not colon or not port.isdecimal():  # none, "auto", "local"
        return
    try:
        with socket.create_connection((host.strip("[]"), int(port)), REACHED_S):
            pass
    except (OSError, OverflowError) as error:
        raise EdgeSearchError(f"--engine ray: no cluster answers at {address} ({error}); check RAY_ADDRESS.") from error


def _connected() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it reports to its makers otherwise
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what its processes say of themselves
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise EdgeSearchError("--engine ray: ray is not installed; pip install edgesearch[ray].") from error
    return ray
