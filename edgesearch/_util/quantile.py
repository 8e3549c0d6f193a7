"""Compute one quantile without loading numpy's masked arrays.

`np.quantile` imports `numpy.ma` when it is first called, for which the first search of a process would wait, and its
last bit depends on numpy's version. This gives the bits of numpy 2.4.
"""

import numpy as np


def quantile(values: np.ndarray, share: float) -> np.floating:
    """Return the value below which a share of all values lie, interpolated linearly.

    Args:
        values: float32 or float64 of any shape, not empty.
        share: 0 to 1.
    Returns:
        A scalar of the same dtype.
    """
    position = share * (values.size - 1)
    before = int(position)
    after, weight = min(before + 1, values.size - 1), position - before
    ordered = np.partition(values, [before, after], axis=None)
    low, high = ordered[before], ordered[after]
    number = values.dtype.type
    return low + (high - low) * number(weight) if weight < 0.5 else high - (high - low) * number(1 - weight)
