"""Write and read array files, and reject damaged ones."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesearch import IndexFileError
from edgesearch._util import array_file

STORED = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.arange(5, dtype=np.int8),
    "empty": np.empty((0, 4), np.int64),
}


@pytest.fixture
def data(tmp_path: Path) -> bytes:
    array_file.write(tmp_path / "x.arrays", STORED, {"scale": 0.5})
    return (tmp_path / "x.arrays").read_bytes()


def test_round_trip_returns_views(data: bytes) -> None:
    found, meta = array_file.read(memoryview(data), "x")
    assert meta == {"scale": 0.5}
    for name, array in STORED.items():
        assert np.array_equal(found[name], array)
        assert found[name].dtype == array.dtype
    assert not found["a"].flags.owndata


def test_ranges_of_rows_are_joined(data: bytes) -> None:
    arrays, _ = array_file.open_arrays(memoryview(data), "x")
    assert arrays["b"].read_ranges([1, 4, 0], [3, 4, 2]).tolist() == [1, 2, 0, 1]
    assert np.array_equal(arrays["a"].read_ranges([1], [2]), STORED["a"][1:])
    assert arrays["a"].read_ranges([], []).shape == (0, 3)


def test_arrays_are_aligned(data: bytes) -> None:
    header = json.loads(data[16 : 16 + struct.unpack("<I", data[12:16])[0]])
    assert all(entry["offset"] % array_file.ALIGNMENT == 0 for entry in header["arrays"].values())


def test_every_truncation_is_an_error(data: bytes) -> None:
    needed = len(data)
    for length in range(needed):
        with pytest.raises(IndexFileError):
            array_file.read(memoryview(data[:length]), "x")


def make_file(change: dict[str, Any]) -> memoryview:
    header = {"meta": {}, "arrays": {"a": {"dtype": "uint8", "shape": [4], "offset": 0} | change}}
    text = json.dumps(header).encode()
    return memoryview((struct.pack("<8sII", b"ESARRAYS", 1, len(text)) + text).ljust(192, b"\0"))


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [65]},
        {"shape": [64, 2]},
        {"shape": [-1]},
        {"shape": [2**62, 2**62]},
        {"shape": "many"},
        {"shape": [1.5]},
        {"offset": 2},
        {"offset": -64},
        {"offset": 2**40},
        {"dtype": "object"},
        {"dtype": None},
        {"shape": [0, 2**62, 2**62]},
        {"shape": [0] * 100},
        {"shape": [True]},
        {"shape": [10**400]},
        {"more": 1},
    ],
)
def test_impossible_headers_are_rejected(change: dict[str, Any]) -> None:
    with pytest.raises(IndexFileError, match="damaged"):
        array_file.read(make_file(change), "x")


def test_foreign_and_newer_files_are_rejected(data: bytes) -> None:
    with pytest.raises(IndexFileError, match="not an array file"):
        array_file.read(memoryview(b"PK" + data[2:]), "x")
    with pytest.raises(IndexFileError, match="format 2"):
        array_file.read(memoryview(data[:8] + struct.pack("<I", 2) + data[12:]), "x")
