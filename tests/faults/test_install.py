"""The power goes while a bundle is installed: at every step, what ran runs on, or what was to run does."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import edgesearch

from ..conftest import TINY_MODEL

KILLED = 77
# Ends without any clean-up, as kill -9 does, before the nth change of the device folder.
INSTALL = """
import os, sys
bundle, device, steps = sys.argv[1], sys.argv[2], int(sys.argv[3])
import edgesearch
done, fsync = 0, os.fsync
def step():
    global done
    done += 1
    if done > steps:
        os._exit(77)
def hook(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        changes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and str(path).startswith(device)
    else:
        changes = event in ("os.mkdir", "os.rename", "os.remove") and str(arguments[0]).startswith(device)
    if changes:
        step()
def synced(descriptor):
    step()
    fsync(descriptor)
sys.addaudithook(hook)
os.fsync = synced
edgesearch.install(bundle, device)
"""


@pytest.mark.parametrize("by_delta", [False, True], ids=["bundle", "delta"])
def test_power_cuts_at_every_step(shop: Path, tmp_path: Path, by_delta: bool) -> None:
    before, bundles = tmp_path / "before", []
    for sequence in (1, 2, 3):
        bundles.append(tmp_path / f"{sequence}.edge")
        edgesearch.build(shop / "catalogue.csv", bundles[-1], TINY_MODEL, local_features=0, sequence=sequence)
    for bundle in bundles[:2]:
        edgesearch.install(bundle, before)
    update = bundles[2]
    if by_delta:
        update = tmp_path / "3.delta"
        edgesearch.delta(bundles[1], bundles[2], update)
    ran = []
    for steps in range(100):
        device = tmp_path / f"device{steps}"
        shutil.copytree(before, device)
        command = [sys.executable, "-c", INSTALL, str(update), str(device), str(steps)]
        status = subprocess.run(command, check=False, capture_output=True).returncode
        with edgesearch.open(device) as store:
            ran.append(store.bundle.manifest.sequence)
        if status == 0:
            break
        assert status == KILLED
        assert edgesearch.rollback(device).sequence == ran[-1] - 1  # what it goes back to is there too
        edgesearch.install(update, device)
        with edgesearch.open(device) as store:
            assert store.bundle.manifest.sequence == 3
        assert len(list((device / "slots").glob("*/*"))) == 2
    assert ran == sorted(ran)
    assert (ran[0], ran[-1]) == (2, 3)
    assert len(ran) > 8
