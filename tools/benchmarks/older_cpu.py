"""Run a benchmark as if on an older processor: on Linux and x86-64, if the processor lets `cpuid` fault."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_name("older_cpu.c")
VARIABLE = "OLDER_CPU"
OLDER = "avx2", "avx512"  # hides AVX-512, AVX-VNNI and AMX; hides AMX
SHOWN = "avx2", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8"  # runtimes choose int8 kernels by these
HIDDEN = {"avx2": SHOWN[1:], "avx512": SHOWN[4:]}
CPUINFO = Path("/proc/cpuinfo")


def restart_as(instructions: str) -> None:
    """Restart this process with newer instructions hidden; return if they are hidden already.

    Raises:  OSError: this needs Linux on x86-64 and a C compiler.
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


def visible_instructions() -> str:
    """Return those of `SHOWN` that this process sees; an empty string if the system does not list them."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    hidden = HIDDEN.get(os.environ.get(VARIABLE, ""), ())
    return " ".join(flag for flag in SHOWN if flag in flags and flag not in hidden)
