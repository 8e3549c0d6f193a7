"""Run a figure as on an older processor: Linux on x86-64, of a processor whose `cpuid` can be made to fault."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_name("older_cpu.c")
VARIABLE = "OLDER_CPU"
OLDER = "avx2", "avx512"  # without AVX-512, AVX-VNNI and AMX; without AMX
SHOWN = "avx2", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8"  # what int8 kernels are chosen by
HIDDEN = {"avx2": SHOWN[1:], "avx512": SHOWN[4:]}
CPUINFO = Path("/proc/cpuinfo")


def again(instructions: str) -> None:
    """Start this process anew on what looks like an older processor; returns where it does so already.

    Raises:  OSError: the system has none of what that takes, or no C compiler.
    """
    if os.environ.get(VARIABLE) == instructions:
        return
    library = Path(tempfile.mkdtemp(prefix="edgesearch-")) / "older_cpu.so"
    try:
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, SOURCE], check=True)  # noqa: S603, S607  # ours
    except subprocess.CalledProcessError as error:
        raise OSError(f"{SOURCE}: cannot be compiled here ({error}); leave out --as.") from error
    environment = os.environ | {VARIABLE: instructions, "LD_PRELOAD": str(library)}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606  # ourselves


def instructions() -> str:
    """Those of `SHOWN` that this process sees; empty where the system does not tell."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    hidden = HIDDEN.get(os.environ.get(VARIABLE, ""), ())
    return " ".join(flag for flag in SHOWN if flag in flags and flag not in hidden)
