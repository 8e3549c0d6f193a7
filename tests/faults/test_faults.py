"""Some of the faults that `tools/faults` injects; there are thousands there."""

import json
import shutil
import subprocess
import sys

import pytest

from ..conftest import ROOT


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("cc"), reason="faults are injected on Linux, by C")
@pytest.mark.parametrize("some", [["--flips", "7", "--share", "0.01"], ["--only", "install the third: killed"]])
def test_faults_are_survived(some: list[str]) -> None:
    command = [sys.executable, "-W", "error", "-m", "robustness.faults", "--json", *some]
    done = subprocess.run(command, cwd=ROOT / "tools", check=False, capture_output=True, text=True)
    counts = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert len(counts) == (72 if "--flips" in some else 1)
    assert all(count["same"] + count["sentence"] for count in counts if "space" not in count["name"])  # needs root
