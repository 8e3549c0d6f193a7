"""Check that a sample of the faults of `tools/robustness/faults` is survived."""

import json
import shutil
import subprocess
import sys

import pytest

from ..conftest import ROOT

pytestmark = pytest.mark.slow

SOME = (
    "device: bit flips",
    "install the third: killed",
    "install a delta: disk full",
    "enrol: power cut",
    "undo: disk broken",
)


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("cc"), reason="faults are injected on Linux, by C")
def test_faults_are_survived() -> None:
    command = [sys.executable, "-W", "error", "-m", "robustness.faults", "--json", "--flips", "10", "--share", "0.1"]
    done = subprocess.run([*command, "--only", *SOME], cwd=ROOT / "tools", check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    counts = [json.loads(line) for line in done.stdout.splitlines()]
    assert {count["name"] for count in counts} == set(SOME)
    assert all(count["same"] + count["sentence"] and not count["wrong"] for count in counts)
