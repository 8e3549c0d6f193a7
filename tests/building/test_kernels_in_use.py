"""A build knows which kernels compute, because numpy gives other bytes."""

import os
import pickle

import numpy as np
import pytest

from edgesearch import BundleError
from edgesearch.building import ray_engine
from edgesearch.building.extraction import Extraction
from edgesearch.building.kernels_in_use import describe_kernels
from edgesearch.local_features import sift

from ..conftest import TINY_MODEL


def test_extracts_of_other_kernels_are_not_reused(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = Extraction.of(TINY_MODEL, "int8", 256, 0).digest
    monkeypatch.setattr(sift, "_sift", None)
    assert "_sift" in describe_kernels()
    assert Extraction.of(TINY_MODEL, "int8", 256, 0).digest != compiled


def test_a_worker_computes_nothing_with_other_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_engine.blas, "use_one_thread", lambda: None)  # tests share this process
    batch = {"part": np.array([pickle.dumps(2)], object)}
    kernels, computed = describe_kernels(), list[int]()
    worker = ray_engine._Worker(computed.append, os.getcwd(), kernels)
    assert [pickle.loads(result) for result in worker(batch)["result"]] == [None]
    monkeypatch.setattr(sift, "_sift", None)
    (result,) = worker(batch)["result"]
    error = pickle.loads(result)
    assert isinstance(error, BundleError)
    assert f"a worker computes with numpy in place of _sift, this process with {kernels}" in str(error)
    assert computed == [2]
