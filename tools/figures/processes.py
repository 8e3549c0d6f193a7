"""What a figure needs to know of processes: a fresh one, and what one holds."""

import os
import subprocess
import sys
from pathlib import Path


def in_fresh_process(module: str, function: str, *arguments: object) -> str:
    """What a function of a module beside this one returns, printed, when a new process of one thread calls it.

    Args:    arguments: handed over as text.
    """
    code = f"import sys; from figures.{module} import {function}; print({function}(*sys.argv[1:]))"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent.parent)}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603  # ours
    return done.stdout


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
