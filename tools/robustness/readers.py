"""Feed every reader of the package with bytes that no hash has verified.

A reader may return, or raise an `EdgeSearchError` of one line; anything else is a finding. Random bytes would hardly
ever get past the header of some formats; there the input is a list of edits to a small sound file (`reader_inputs`).
"""

import contextlib
import json
import lzma
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from edgesearch._util import array_file
from edgesearch._util.array_file import MemorySource
from edgesearch._util.hashing import hash_json
from edgesearch.bundle import container, signing
from edgesearch.bundle.golden_queries import GoldenQueries
from edgesearch.bundle.manifest import Manifest
from edgesearch.bundle.sealing import Seal
from edgesearch.catalog import loader, packed_catalog
from edgesearch.catalog import sources as places
from edgesearch.catalog.product import Entry, Product
from edgesearch.catalog.sqlite_catalog import Catalog
from edgesearch.device import overlay_export
from edgesearch.device.overlay import FILE as OVERLAY_FILE
from edgesearch.device.overlay import Overlay
from edgesearch.device.overlay_export import FILE as TAUGHT_FILE
from edgesearch.device.slot_state import SlotState
from edgesearch.embedding import onnx_file, run_settings
from edgesearch.embedding.embedder import ModelConfig
from edgesearch.errors import EdgeSearchError
from edgesearch.images import image
from edgesearch.index.compact_index import LAYOUT_CODES_ONLY, CompactIndex
from edgesearch.local_features.descriptors import KIND
from edgesearch.local_features.local_index import LAYOUT as LOCAL_LAYOUT
from edgesearch.local_features.local_index import LocalIndex

from .reader_inputs import (
    MANY_ROWS,
    MODEL_CONFIG,
    NAME,
    STATE,
    edit_arrays,
    edit_json,
    overwrite,
    scratch_folder,
    sound_catalog,
    sound_index,
    sound_local_features,
    sound_manifest,
    sound_overlay,
    write_input,
)

Reader = Callable[[bytes], object]


def attack(name: str, data: bytes) -> None:
    """Give a reader an input.

    Raises: AssertionError: the message of its error has several lines. Any other exception is a finding, too.
    """
    try:
        READERS[name](data)
    except EdgeSearchError as error:
        assert "\n" not in str(error), str(error)


def read_arrays(data: bytes) -> object:
    """Read an array file."""
    return array_file.read(memoryview(data), NAME)


def read_index(data: bytes) -> None:
    """Open a compact index with edited numbers, of one cell, of several or without vectors, and search it."""
    rows = MANY_ROWS if data[:1] == b"\1" else 40
    parts, meta = sound_index(rows)
    if data[:1] == b"\2":
        parts = {name: part for name, part in parts.items() if name != "vectors"}
        meta = meta | {"layout": LAYOUT_CODES_ONLY}
    index = CompactIndex.open(memoryview(edit_arrays(parts, meta, data[1:])))
    queries = np.eye(2, index.dim, dtype=np.float32)
    index.search(queries, 3)
    index.search(queries, 2, rescored=False)
    index.search(queries, 3, allowed=index.make_filter(np.arange(len(index)) % 3 == 0))
    index.read_vectors(np.arange(len(index)))


def read_local(data: bytes) -> None:
    """Open an index of local features with edited numbers, and verify a photo against it."""
    parts, photo = sound_local_features()
    index = LocalIndex.open(memoryview(edit_arrays(parts, {"layout": LOCAL_LAYOUT, "kind": KIND}, data)))
    index.space, index.feature_count  # noqa: B018  # a store reads these, too
    index.verify(photo, [*index.find_candidates(photo, 5).tolist(), *range(len(index))])


def read_golden(data: bytes) -> object:
    """Read golden queries with edited numbers."""
    parts: dict[str, np.ndarray] = {
        "rows": np.arange(2),
        "embeddings": np.eye(2, 8, dtype=np.float32),
        "found": np.arange(2),
        "scores": np.ones(2, np.float32),
    }
    return GoldenQueries.read(memoryview(edit_arrays(parts, {}, data)))


def read_manifest(data: bytes) -> object:
    """Read a bundle's manifest with edited values."""
    return Manifest.parse(edit_json(json.loads(sound_manifest().to_bytes()), data), NAME)


def read_model_config(data: bytes) -> object:
    """Read a model's config with edited values."""
    return ModelConfig.parse(edit_json(MODEL_CONFIG, data), NAME)


def read_state(data: bytes) -> object:
    """Read the state of a device folder; edited values get the right hash."""
    table = json.loads(edit_json(STATE, data)) if data[:1] != b"{" else {}
    return SlotState.parse(json.dumps({**table, "sha256": hash_json(table)}).encode() if table else data, NAME)


def read_keys(data: bytes) -> None:
    """Read keys and signatures."""
    path = write_input(data)
    for read in (signing.read_public, signing.read_trusted, lambda path: signing.sign(b"", path)):
        _expect_survived(lambda read=read: read(path))  # type: ignore[misc]
    signing.verify_signature(b"", data, NAME)


def read_zip(data: bytes) -> None:
    """Read the directory of a bundle."""
    path, content = Path(NAME), MemorySource(memoryview(data))
    for place in container.locate_members(path, content, container.locate_heads(path, content)).values():
        assert len(content.read(place.start, place.stop)) == place.stop - place.start


def read_image(data: bytes) -> None:
    """Decode a photo, at the size that a store works with and at full size."""
    _expect_survived(lambda: image.read(data, image.WORKING_SIDE))
    image.read(data)


def read_catalog(data: bytes) -> None:
    """Read products and pictures from a small SQLite file that the input overwrites in part (see `overwrite`)."""
    opened = Catalog(write_input(overwrite(sound_catalog(), data)))
    try:
        opened.skus()
        rows = range(opened.rows)
        opened.find(rows)
        for row in rows:
            opened.owner(row)
    finally:
        opened.close()


def read_packed(data: bytes) -> None:
    """Unpack a packed catalogue; also one whose uncompressed content is the input, which no fuzzer would reach."""
    _expect_survived(lambda: packed_catalog.unpack_to_bytes(data))
    Catalog(packed_catalog.unpack_to_bytes(lzma.compress(data, check=lzma.CHECK_NONE, preset=0))).close()


def read_overlay(data: bytes) -> None:
    """Read an overlay and its log from a small SQLite file that the input overwrites in part."""
    folder = write_input(overwrite(sound_overlay(), data)).rename(Path(scratch_folder().name) / OVERLAY_FILE).parent
    with contextlib.closing(Overlay(folder, Seal())) as overlay:
        _expect_survived(overlay.events)
        _expect_survived(overlay.version)
        snapshot = overlay.snapshot()
        overlay.references(
            "space", (number for change in snapshot.changes.values() for number in change.pictures.values())
        )


def read_taught(data: bytes) -> None:
    """Merge an exported overlay into catalogue entries, as a build does."""
    folder = write_input(data).rename(Path(scratch_folder().name) / TAUGHT_FILE).parent
    overlay_export.merge([Entry(Product("A-1", "Mug", 4.5), (("a.jpg", "a.jpg"),))], [folder])


def read_settings(data: bytes) -> None:
    """Read the settings that `doctor` stores."""
    run_settings.parse(data, NAME)


def read_onnx(data: bytes) -> None:
    """Check a network before onnxruntime reads it."""
    onnx_file.check(data, NAME)


def read_csv(data: bytes) -> None:
    """Read a user's catalogue or queries."""
    path = write_input(data)
    _expect_survived(lambda: loader.read(path))
    loader.read_queries(path)


def read_archive(data: bytes) -> None:
    """Read a user's zip or tar archive of pictures."""
    path = write_input(data)
    archive = path.rename(path.with_suffix(".zip" if data[:2] == b"PK" else ".tar"))
    for entry in loader.read(archive).entries:
        for _, place in entry.images:
            _expect_survived(partial(places.read_bytes, place))


def _expect_survived(read: Callable[[], object]) -> None:
    try:
        read()
    except EdgeSearchError as error:
        assert "\n" not in str(error), str(error)


READERS: dict[str, Reader] = {
    "archive": read_archive,
    "arrays": read_arrays,
    "catalog": read_catalog,
    "csv": read_csv,
    "golden": read_golden,
    "image": read_image,
    "index": read_index,
    "keys": read_keys,
    "local": read_local,
    "manifest": read_manifest,
    "model_config": read_model_config,
    "onnx": read_onnx,
    "overlay": read_overlay,
    "packed": read_packed,
    "settings": read_settings,
    "state": read_state,
    "taught": read_taught,
    "zip": read_zip,
}
