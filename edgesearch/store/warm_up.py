"""Run warm-ups in threads of their own, and stop them when the store closes."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from .._util.stopping import Stop, run_until_stopped


class WarmUps:
    """The warm-ups of one store."""

    def __init__(self) -> None:
        self._running: list[tuple[Stop, Future[None]]] = []

    def start(self, work: Callable[[], None]) -> "Future[None]":
        """Run a function in a new thread and return its future; `stop` ends it early."""
        stop, pool = Stop(), ThreadPoolExecutor(1, "edgesearch-warm")
        future = pool.submit(run_until_stopped, stop, work)
        self._running.append((stop, future))
        pool.shutdown(wait=False)  # the pool gets no more work
        return future

    def stop(self) -> None:
        """Stop what runs, and wait for its end."""
        for stop, future in self._running:
            stop.set()
            wait([future])
