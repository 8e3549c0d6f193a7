"""A quantile is numpy's, and loads nothing."""

import subprocess
import sys

import numpy as np
import pytest

from edgesearch._util.quantile import quantile


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-15)])
@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.65, 0.95, 1.0])
def test_quantile_equals_numpys(dtype: type, tolerance: float, share: float) -> None:
    rng = np.random.default_rng(0)
    for shape in [(1,), (2,), (7, 7), (49,), (5, 3, 4), (64, 64)]:
        for values in (rng.standard_normal(shape).astype(dtype), rng.integers(0, 4, shape).astype(dtype)):
            found = quantile(values, share)
            assert found == pytest.approx(np.quantile(values, share), rel=tolerance, abs=tolerance)
            assert found.dtype == dtype


def test_masked_arrays_are_not_loaded() -> None:
    code = "import sys, numpy as np; loaded = 'numpy.ma' in sys.modules  # before version 2, by numpy itself\n"
    code += "from edgesearch.images import crops; from edgesearch.images.crops import Crop\n"
    code += "crops.object_crop(Crop(0, 0, 224), np.eye(7, dtype=np.float32)); print('numpy.ma' in sys.modules, loaded)"
    after, before = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert after == before
