"""Time the stages of one answer, and stop between them when asked to."""

import contextlib
import time
from collections.abc import Iterator

from .._util import stopping

STAGES = ("words", "image", "embed", "index", "local_features", "decision", "catalog")  # in the order they are reported


class StageTimer:
    """Milliseconds spent in each stage of one answer.

    Attributes:
        elapsed_ms: Milliseconds by stage, one of `STAGES`; a stage that runs again adds to its own time.
    """

    def __init__(self) -> None:
        self.elapsed_ms: dict[str, float] = {}

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block as part of a stage. Raise StoppedError before it starts if the caller set a `Stop`."""
        stopping.check()
        start = time.perf_counter()
        yield
        self.elapsed_ms[name] = self.elapsed_ms.get(name, 0.0) + (time.perf_counter() - start) * 1000

    def report(self) -> dict[str, float]:
        """Return the milliseconds by stage, in the order of `STAGES`, and their sum as `total`."""
        elapsed = {name: self.elapsed_ms[name] for name in STAGES if name in self.elapsed_ms}
        return elapsed | {"total": sum(elapsed.values())}
