"""Route queries to cells: a usearch graph over the cell centres. The only user of usearch."""

from __future__ import annotations  # usearch is imported only where a router is made

from typing import TYPE_CHECKING

import numpy as np

from ..errors import IndexFileError

if TYPE_CHECKING:
    from usearch.index import Index as Graph


def build_router(centers: np.ndarray) -> Graph:
    """Build a graph over cell centres, (C, D) float32."""
    graph = _make_graph(centers.shape[1])
    graph.add(np.arange(len(centers), dtype=np.uint64), centers, threads=1)
    return graph


def open_router(data: memoryview, name: str, dim: int, cells: int) -> Graph:
    """Load a graph from the content of its file.

    Args:    name: of the file, for error messages; dim: D; cells: C.
    Raises:  IndexFileError: the file is damaged, or its graph has other cells or dimensions.
    """
    graph = _make_graph(dim)
    try:
        graph.load(bytes(data))
    except RuntimeError as error:
        raise IndexFileError(f"{name}: {error}; build the bundle again.") from error
    if len(graph) != cells or graph.ndim != dim:
        raise IndexFileError(
            f"{name}: found {len(graph)} cells of {graph.ndim} dimensions, expected {cells} of {dim}; build the bundle "
            "again."
        )
    return graph


def _make_graph(dim: int) -> Graph:
    from usearch.index import Index  # imported here: every process would load it, and few catalogues have a router

    return Index(ndim=dim, metric="ip", dtype="f32")
