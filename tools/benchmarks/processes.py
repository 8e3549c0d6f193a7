"""Run code in a fresh process, and measure the memory and processor time of processes."""

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
    """Call a function of a benchmark module in a new process with one thread; return its result as printed text.

    Args:    arguments: passed as text.
    """
    code = f"import sys; from benchmarks.{module} import {function}; print({function}(*sys.argv[1:]))"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent.parent)}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603  # ours
    return done.stdout


def resident() -> int:
    """Return this process's resident memory in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak_resident() -> int:
    """Return this process's peak resident memory in bytes."""
    return _read_kb("/proc/self/status", "VmHWM")


@contextlib.contextmanager
def watch_own_memory(every_s: float = 0.05) -> Iterator[list[int]]:
    """Sample this process's anonymous memory in bytes; mapped files, which the system can reclaim, do not count."""
    found, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(every_s):
            found.append(_read_kb("/proc/self/status", "RssAnon"))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield found
    finally:
        ended.set()
        watching.join()


def free_memory() -> int:
    """Return the bytes of memory that are available to processes."""
    return _read_kb("/proc/meminfo", "MemAvailable")


def _read_kb(file: str, name: str) -> int:
    """Return in bytes a value that a file of the system states in kB."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path(file).read_text())
    assert found
    return int(found[1]) * 1024


class Processors(NamedTuple):
    """Seconds of all processors since the machine started: in total, busy, and busy with our child processes."""

    total_s: float
    busy_s: float
    own_s: float

    @classmethod
    def now(cls) -> "Processors":
        ticks = [int(one) for one in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        idle = ticks[3] + ticks[4]  # idle, and waiting for a disk
        own = resource.getrusage(resource.RUSAGE_CHILDREN)
        hertz = os.sysconf("SC_CLK_TCK")
        return cls(sum(ticks) / hertz, (sum(ticks) - idle) / hertz, own.ru_utime + own.ru_stime)

    def others_since(self, before: "Processors") -> float:
        """Return the share of all processors that other processes took since then."""
        total, busy, own = (now - then for now, then in zip(self, before, strict=True))
        return max(0.0, busy - own) / max(total, 1e-9)
