"""Check the arrays of an index file before the kernel reads them."""

import numpy as np

from .kernel import BLOCK, NO_ROW, Blocks
from .product_quantizer import CODEWORDS


def find_misfit(blocks: Blocks, size: int, probes: int, shortlist: int) -> str:
    """Return what is wrong with the arrays and settings of an index, or "" if they fit together.

    Args:    size: N; probes, shortlist: as in `CompactIndex`.
    """
    return _find_wrong_shape(blocks) or _find_wrong_number(blocks, size, probes, shortlist)


def _find_wrong_shape(blocks: Blocks) -> str:
    """Name the first array whose dtype or shape is wrong; "" if there is none."""
    d, m, p, c = (
        len(array) if array.ndim else 0 for array in (blocks.rotation, blocks.codebook, blocks.packed, blocks.centers)
    )
    expected = {
        "rotation": (np.float32, (d, d)),
        "codebook": (np.float32, (m // 2 * 2, d // max(m, 1), CODEWORDS)),
        "centers": (np.int8, (c, d)),
        "starts": (np.uint32, (c + 1,)),
        "packed": (np.uint8, (p, m // 2, BLOCK)),
        "vectors": (np.int8, (p * BLOCK if blocks.vectors.size else 0, d)),
        "rows": (np.int32, (p * BLOCK,)),
    }
    for name, (kind, shape) in expected.items():
        found = getattr(blocks, name)
        if found.dtype != kind or found.shape != shape or not (found.size or name == "vectors"):
            return f"{name} is {found.dtype} {found.shape}, expected {np.dtype(kind)} {shape}"
    return ""


def _find_wrong_number(blocks: Blocks, size: int, probes: int, shortlist: int) -> str:
    """Describe the first impossible value in arrays of the right shapes; "" if there is none."""
    starts, rows, cells = blocks.starts, blocks.rows, len(blocks.centers)
    if starts[0] != 0 or starts[-1] != len(blocks.packed) or (starts[1:] < starts[:-1]).any():
        return "the cells do not cover the blocks in order"
    if rows.min() < NO_ROW or rows.max() != size - 1 or (rows >= 0).sum() != size:
        return f"the row numbers are not 0 to {size - 1}"
    if len(blocks.rotation) % len(blocks.codebook) or not 1 <= probes <= cells or shortlist < 1:
        return f"{len(blocks.codebook)} subquantizers, {probes} probes or a shortlist of {shortlist} is impossible"
    return ""
