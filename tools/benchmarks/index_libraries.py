"""The compared index libraries: each builds a file, and answers one query at a time from it."""

import itertools
import os
from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from edgesearch.bundle.content import MappedFile
from edgesearch.index.compact_index import ARRAYS_FILE, CompactIndex

K = 10
LIBRARIES = {  # start of a system's name: name of the library
    "edgesearch": "edgesearch",
    "faiss": "FAISS",
    "usearch": "USearch",
    "hnswlib": "hnswlib",
    "sqlite-vec": "sqlite-vec",
}


class System(ABC):
    """An index library: builds a file, and answers one query at a time from it."""

    index: Any
    reads_whole = False  # reads its file whole instead of mapping it

    def __init__(self, name: str, folder: Path, setting: str = ""):
        self.file, self.setting = folder / name, setting

    @abstractmethod
    def build(self, x: np.ndarray) -> None:
        """Index (N, D) float32 rows and write the file."""

    @abstractmethod
    def open(self) -> None:
        """Open the file for searching, mapped where the library can."""

    @abstractmethod
    def search(self, query: np.ndarray) -> np.ndarray:
        """Return the K nearest rows of a (1, D) float32 query, best first: (K,) int."""

    def prepare(self) -> None:  # noqa: B027  # most have nothing to do
        """Prepare for some queries."""

    def release_memory(self) -> None:  # noqa: B027  # most have nothing to do
        """Release the memory that is not needed until the next query."""


class Edgesearch(System):
    """The compact index, as a bundle opens it."""

    def build(self, x: np.ndarray) -> None:
        self.file.mkdir(exist_ok=True)
        CompactIndex.build(x, "bench").write(self.file)

    def open(self) -> None:
        with open(self.file / ARRAYS_FILE, "rb") as file:
            self.index = CompactIndex.open(MappedFile(file))

    def search(self, query: np.ndarray) -> np.ndarray:
        return self.index.search(query, K).rows[0]

    def release_memory(self) -> None:
        self.index.release_pages()


class FewerProbes(Edgesearch):
    """Our index with fewer probes than the build chose; `setting` is their share."""

    def open(self) -> None:
        super().open()
        self.index = replace(self.index, probes=max(1, round(self.index.probes * float(self.setting))))


class PagesReleased(Edgesearch):
    """Our index for occasional queries: the pages of vectors that the last query read are released before each."""

    def search(self, query: np.ndarray) -> np.ndarray:
        self.index.release_pages()
        return super().search(query)


class Faiss(System):
    """`setting` is "factory|search parameters"; settings of one file share it in memory."""

    reads_whole = True
    _opened: ClassVar[dict[Path, Any]] = {}

    def build(self, x: np.ndarray) -> None:
        import faiss

        faiss.omp_set_num_threads(os.cpu_count() or 1)
        index = faiss.index_factory(x.shape[1], self.setting.split("|")[0], faiss.METRIC_INNER_PRODUCT)
        index.train(x[:262_144])
        index.add(x)
        faiss.write_index(index, str(self.file))

    def open(self) -> None:
        import faiss

        faiss.omp_set_num_threads(1)
        if self.file not in self._opened:
            self._opened[self.file] = faiss.read_index(str(self.file))
        self.index = self._opened[self.file]

    def prepare(self) -> None:
        import faiss

        space: Any = faiss.ParameterSpace()  # typed wrongly
        space.set_index_parameters(self.index, self.setting.split("|")[1])

    def search(self, query: np.ndarray) -> np.ndarray:
        return self.index.search(query, K)[1][0]


class Usearch(System):
    """`setting` is the dtype of the stored vectors."""

    def _make_index(self, dim: int) -> Any:
        from usearch.index import Index

        return Index(ndim=dim, metric="ip", dtype=self.setting)

    def build(self, x: np.ndarray) -> None:
        index = self._make_index(x.shape[1])
        index.add(np.arange(len(x), dtype=np.uint64), x)
        index.save(str(self.file))

    def open(self) -> None:
        from usearch.index import Index

        self.index = Index.restore(str(self.file), view=True)

    def search(self, query: np.ndarray) -> np.ndarray:
        return self.index.search(query, K, threads=1).keys.reshape(-1)


class Hnswlib(System):
    """A float HNSW graph; `setting` is ef."""

    reads_whole = True

    def build(self, x: np.ndarray) -> None:
        import hnswlib

        index = hnswlib.Index("ip", x.shape[1])
        index.init_index(len(x), M=16, ef_construction=200)
        index.add_items(x)
        index.save_index(str(self.file))
        self.file.with_suffix(".dim").write_text(str(x.shape[1]))

    def open(self) -> None:
        import hnswlib

        self.index = hnswlib.Index("ip", int(self.file.with_suffix(".dim").read_text()))
        self.index.load_index(str(self.file))
        self.index.set_ef(int(self.setting))

    def search(self, query: np.ndarray) -> np.ndarray:
        return self.index.knn_query(query, K, num_threads=1)[0][0]


class SqliteVec(System):
    """Exact search inside SQLite."""

    def open(self) -> None:
        import apsw
        import sqlite_vec

        self.index = apsw.Connection(str(self.file))
        self.index.enable_load_extension(True)
        self.index.load_extension(sqlite_vec.loadable_path())

    def build(self, x: np.ndarray) -> None:
        self.open()
        self.index.execute(f"CREATE VIRTUAL TABLE v USING vec0(e float[{x.shape[1]}] distance_metric=cosine)")
        with self.index:
            rows = ((number, row.tobytes()) for number, row in enumerate(x))
            self.index.executemany("INSERT INTO v(rowid, e) VALUES (?, ?)", rows)
        self.index.close()

    def search(self, query: np.ndarray) -> np.ndarray:
        nearest = "SELECT rowid FROM v WHERE e MATCH ? ORDER BY distance LIMIT ?"
        return np.array([row for (row,) in self.index.execute(nearest, (query.tobytes(), K))])


def systems(rows: int, dim: int, folder: Path) -> dict[str, System]:
    """Return all systems by name; settings of one index share its file."""
    made: dict[str, System] = {
        "edgesearch": Edgesearch("edgesearch", folder),
        "edgesearch, pages released": PagesReleased("edgesearch", folder),
        "edgesearch, half the probes": FewerProbes("edgesearch", folder, "0.5"),
        "edgesearch, a quarter of the probes": FewerProbes("edgesearch", folder, "0.25"),
    }
    for part in sorted({2, max(2, dim // 64)}):  # dimensions a subquantizer
        for refine in ("SQ8", "RFlat"):
            codes, end = f"PQ{dim // part}x4fs", "RFlat" if refine == "RFlat" else f"Refine({refine})"
            for factor in (4, 8, 16):
                flat = Faiss(f"faiss-{codes}-{refine}", folder, f"{codes},{end}|k_factor_rf={factor}")
                made[f"faiss {codes},{end} x{factor}"] = flat
            lists = f"IVF{round(4 * rows**0.5)}"
            for probes, factor in itertools.product((8, 16, 32, 64, 128), (4, 8, 16)):
                settings = f"{lists},{codes},{end}|nprobe={probes},k_factor_rf={factor}"
                ivf = Faiss(f"faiss-ivf-{codes}-{refine}", folder, settings)
                made[f"faiss {lists},{codes},{end} x{factor}, {probes} probes"] = ivf
    made["faiss HNSW32,PQ32"] = Faiss("faiss-hnsw-pq", folder, "HNSW32_PQ32|efSearch=64")
    made["faiss HNSW32,SQ8"] = Faiss("faiss-hnsw-sq", folder, "HNSW32_SQ8|efSearch=64")
    made |= {f"usearch {dtype}": Usearch(f"usearch-{dtype}", folder, dtype) for dtype in ("f32", "f16", "i8")}
    made["hnswlib"] = Hnswlib("hnswlib", folder, "64")
    made["sqlite-vec"] = SqliteVec("sqlite-vec", folder)
    return made
