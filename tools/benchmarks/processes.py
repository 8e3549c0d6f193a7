"""What a figure needs to know of processes: a fresh one, and what one holds."""

import contextlib
import os
import re
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


def in_fresh_process(module: str, function: str, *arguments: object) -> str:
    """What a function of a module beside this one returns, printed, when a new process of one thread calls it.

    Args:    arguments: handed over as text.
    """
    code = f"import sys; from benchmarks.{module} import {function}; print({function}(*sys.argv[1:]))"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent.parent)}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603  # ours
    return done.stdout


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def most_resident() -> int:
    """Bytes of memory that this process held at most."""
    return _told("/proc/self/status", "VmHWM")


@contextlib.contextmanager
def most_own(every_s: float = 0.05) -> Iterator[list[int]]:
    """Bytes of memory that this process holds for itself, now and then; files that it maps the system takes back."""
    found, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(every_s):
            found.append(_told("/proc/self/status", "RssAnon"))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield found
    finally:
        ended.set()
        watching.join()


def free_memory() -> int:
    """Bytes that processes can still take."""
    return _told("/proc/meminfo", "MemAvailable")


def _told(file: str, name: str) -> int:
    """Bytes that the system tells there under a name."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path(file).read_text())
    assert found
    return int(found[1]) * 1024


class Processors(NamedTuple):
    """Seconds of all processors since the machine began: there were, were busy, and were busy with our children."""

    there_s: float
    busy_s: float
    own_s: float

    @classmethod
    def now(cls) -> "Processors":
        ticks = [int(one) for one in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        idle = ticks[3] + ticks[4]  # and waiting for a disk
        own = resource.getrusage(resource.RUSAGE_CHILDREN)
        hertz = os.sysconf("SC_CLK_TCK")
        return cls(sum(ticks) / hertz, (sum(ticks) - idle) / hertz, own.ru_utime + own.ru_stime)

    def others_since(self, before: "Processors") -> float:
        """The share of all processors that others took since then."""
        there, busy, own = (now - then for now, then in zip(self, before, strict=True))
        return max(0.0, busy - own) / max(there, 1e-9)
