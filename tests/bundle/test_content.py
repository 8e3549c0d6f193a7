"""Files that are read in parts, mapped or sealed."""

import io
import zipfile
from pathlib import Path

import pytest

from edgesearch import BundleError
from edgesearch.bundle.content import (
    PIECE,
    ContentFile,
    MappedFile,
    SealedFile,
    SealedFileWriter,
    VerifiedRange,
    hash_pieces,
)
from edgesearch.bundle.sealing import Seal

SIZES = (1, 100, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 7)
SEALS = (Seal(), Seal(bytes(32)))


def make_data(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def map_file(path: Path, data: bytes) -> MappedFile:
    path.write_bytes(data)
    with open(path, "rb") as file:
        return MappedFile(file)


def seal_file(path: Path, data: bytes, seal: Seal) -> bytes:
    with open(path, "wb") as target:
        writer = SealedFileWriter(target, len(data), seal, "name")
        for start in range(0, len(data), 9999):
            writer.write(data[start : start + 9999])
    return path.read_bytes()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seal", SEALS)
def test_any_range_of_a_sealed_file_can_be_read(tmp_path: Path, size: int, seal: Seal) -> None:
    data = make_data(size)
    file = SealedFile(map_file(tmp_path / "x", seal_file(tmp_path / "x", data, seal)), seal, "name")
    assert file.size == size
    for start in (0, 1, size // 2, PIECE - 1, PIECE, size):
        for stop in (start, start + 1, start + PIECE, size, size + 9):
            assert bytes(file.read(start, stop)) == data[start:stop]


@pytest.mark.parametrize("seal", SEALS)
def test_damaged_and_foreign_sealed_files_are_rejected(tmp_path: Path, seal: Seal) -> None:
    data = make_data(2 * PIECE + 5)
    good = seal_file(tmp_path / "x", data, seal)

    def read(bad: bytes, name: str = "name") -> None:
        file = SealedFile(map_file(tmp_path / "y", bad), seal, name)
        file.read(0, file.size)

    read(good)
    step = PIECE + seal.overhead
    swapped = good[:16] + good[16 + step : 16 + 2 * step] + good[16 : 16 + step] + good[16 + 2 * step :]
    cut = [good[:length] for length in (1, 15, 16, 100, 16 + step, 16 + 2 * step, len(good) - 1)]
    flipped = [good[:i] + bytes([good[i] ^ 1]) + good[i + 1 :] for i in (0, 9, 16, 30, 5000, step + 20, len(good) - 1)]
    for bad in (*cut, *flipped, swapped, good + b"x"):
        with pytest.raises(ValueError, match=r"sealed|cut off|not what was written"):
            read(bad)
    with pytest.raises(ValueError, match="not what was written"):
        read(good, "another")


def test_a_range_gives_no_byte_outside_it(tmp_path: Path) -> None:
    whole = map_file(tmp_path / "x", make_data(3 * PIECE))
    hashes = memoryview(hash_pieces(whole.read(PIECE, 2 * PIECE)))
    for part in (VerifiedRange(whole, slice(PIECE, 2 * PIECE), table, "x: pictures") for table in (None, hashes)):
        assert bytes(part.read(0, PIECE)) == bytes(whole.read(PIECE, 2 * PIECE))
        for start, stop in ((-1, 5), (5, 4), (0, PIECE + 1), (10**12, 10**12 + 1)):
            with pytest.raises(BundleError, match="x: pictures: has 65536 bytes"):
                part.read(start, stop)


def test_pieces_are_verified_when_they_are_read(tmp_path: Path) -> None:
    data = bytearray(make_data(3 * PIECE + 7))
    hashes = memoryview(hash_pieces(memoryview(bytes(data))))
    data[2 * PIECE + 10] ^= 1
    whole = map_file(tmp_path / "x", bytes(100) + data)
    part = VerifiedRange(whole, slice(100, 100 + len(data)), hashes, "x: pictures")
    assert bytes(part.read(0, 2 * PIECE)) == data[: 2 * PIECE]
    assert bytes(part.read(3 * PIECE, len(data))) == data[3 * PIECE :]
    for start, stop in ((2 * PIECE, 2 * PIECE + 1), (0, len(data)), (2 * PIECE - 1, 2 * PIECE + 1)):
        with pytest.raises(BundleError, match="x: pictures is not what the manifest promises"):
            part.read(start, stop)


@pytest.mark.parametrize("seal", SEALS)
def test_libraries_can_read_a_content_as_a_file(tmp_path: Path, seal: Seal) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a", make_data(PIECE))
    data = (tmp_path / "x.zip").read_bytes()
    file = SealedFile(map_file(tmp_path / "y", seal_file(tmp_path / "y", data, seal)), seal, "name")
    with zipfile.ZipFile(io.BufferedReader(ContentFile(file))) as archive:
        assert archive.read("a") == make_data(PIECE)
