"""Inject a fault when a process changes or reads a folder for the nth time, through any library (`fault_steps.c`)."""

import contextlib
import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("fault_steps.c")
CHANGES, READS = 1, 2
COUNT, KILL, TEAR, CUT = 0, -1, -2, -3
KILLED = 77  # exit status of a process that ended at a step


@dataclass(frozen=True)
class Step:
    """A fault at one step.

    Attributes:
        number:  number of the step, from 0.
        what:    an errno that the call fails with; or KILL: the process ends; TEAR: it ends half-way through a write;
                 CUT: it ends and everything that was not synced is lost; COUNT: nothing happens.
        lasting: later steps fail too.
        kinds:   what counts as a step: CHANGES, READS or both.
    """

    number: int
    what: int
    lasting: bool = False
    kinds: int = CHANGES


def restart_with_library(folder: Path) -> None:
    """Restart this program with `fault_steps.c` loaded, compiled in `folder`; return if it is loaded already."""
    if _library() is not None:
        return
    built = folder / "steps.so"
    flags = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run([os.environ.get("CC", "cc"), *flags, SOURCE, "-ldl", "-o", built], check=True)  # noqa: S603  # ours
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # a fork has one
    os.execve(sys.executable, sys.orig_argv, os.environ | one_thread | {"LD_PRELOAD": str(built)})  # noqa: S606  # ours


@contextlib.contextmanager
def armed(folder: Path, step: Step) -> Iterator[None]:
    """Inject the fault into what this process does below a folder meanwhile."""
    library = _library()
    assert library is not None
    library.steps_arm(os.fsencode(folder), step.kinds, ctypes.c_long(step.number), step.what, step.lasting)
    try:
        yield
    finally:
        library.steps_disarm()


def count_steps() -> int:
    """Disarm the fault; return the number of steps since it was armed."""
    library = _library()
    assert library is not None
    return int(library.steps_disarm())


def _library() -> ctypes.CDLL | None:
    library = ctypes.CDLL(None)
    return library if hasattr(library, "steps_arm") else None
