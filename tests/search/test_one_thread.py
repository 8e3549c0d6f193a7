"""A search runs on the thread that asks, whatever numpy's BLAS would do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# The products of a search, as large as they come. BLAS threads that are woken run for milliseconds afterwards.
PROGRAM = """
import os, time
from types import SimpleNamespace
import numpy as np
from edgesearch._util import blas
from edgesearch.index.compact_index import CompactIndex
from edgesearch.local_features import descriptors
from edgesearch.local_features.descriptors import LocalFeatures
from edgesearch.local_features.local_index import LocalIndex
from edgesearch.search import scoring

def run_time():  # of other threads, in ns
    tasks = [task for task in os.listdir("/proc/self/task") if int(task) != os.getpid()]
    return [int(open(f"/proc/self/task/{task}/schedstat").read().split()[0]) for task in sorted(tasks)]

def wait_until_idle():
    before = None
    while before != (before := run_time()):
        time.sleep(0.2)
    return before

rng = np.random.default_rng(0)
rows = rng.standard_normal((5000, 256)).astype(np.float32)
rows /= np.linalg.norm(rows, axis=1, keepdims=True)
photo = np.abs(rng.standard_normal((500, 128))).astype(np.float32)
photo = LocalFeatures(rng.random((500, 4), np.float32), photo / np.linalg.norm(photo, axis=1, keepdims=True))
book = descriptors.read_default_codebook()
local = LocalIndex.build(book, [book.encode(photo)] * 3)
with blas.one_thread():
    index = CompactIndex.build(rows[:100], "space").drop_vectors(rows[:100])
taught = SimpleNamespace(taught=SimpleNamespace(embeddings=rows))
idle = wait_until_idle()
local.verify(photo, local.find_candidates(photo, 3).tolist())
scoring._compare_taught(taught, rows[:1])
index.search(rows[:1], 80)
index.read_vectors(np.arange(100))
print(len(idle), sum(wait_until_idle()) - sum(idle))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="the system does not tell how long threads ran")
def test_a_search_wakes_no_other_thread() -> None:
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "2"}
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env=environment)
    threads, ran_ns = map(int, run.stdout.split())
    if not threads:
        pytest.skip("numpy's BLAS has no threads here")
    assert ran_ns == 0
