"""The bundle: any damage raises BundleError, and a failed write changes nothing."""

import errno
import os
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgesearch
from edgesearch import BundleError, EdgeSearchError
from edgesearch.bundle import bundle_file, manifest
from edgesearch.bundle.bundle_file import MANIFEST_FILE, Bundle
from edgesearch.bundle.container import ALIGNMENT
from edgesearch.bundle.manifest import Manifest

pytestmark = pytest.mark.slow

FIELDS = {
    "name": "test",
    "sequence": 1,
    "created": "2026-01-01T00:00:00+00:00",
    "hashes": {},
    "counts": {"products": 0, "pictures": 0},
    "calibration": {},
    "accuracy": {},
}


@pytest.fixture
def edge(tmp_path: Path) -> Path:
    """Return a bundle of three members."""
    stage = tmp_path / "stage"
    (stage / "index").mkdir(parents=True)
    (stage / "a.bin").write_bytes(bytes(range(256)) * 5)
    (stage / "empty.bin").write_bytes(b"")
    (stage / "index" / "b.bin").write_bytes(b"b" * 100)
    bundle_file.write(tmp_path / "x.edge", stage, FIELDS)
    return tmp_path / "x.edge"


def test_members_round_trip_aligned(edge: Path) -> None:
    opened = Bundle(edge)
    assert bytes(opened.member("a.bin")) == bytes(range(256)) * 5
    assert bytes(opened.member("index/b.bin")) == b"b" * 100
    assert "empty.bin" in opened and "none" not in opened
    with pytest.raises(BundleError, match="no none inside"):
        opened.member("none")
    address = np.frombuffer(opened.content.read(0, 1), np.uint8).ctypes.data
    for name in ("a.bin", "index/b.bin"):
        assert (np.frombuffer(opened.member(name), np.uint8).ctypes.data - address) % ALIGNMENT == 0
    with zipfile.ZipFile(edge) as archive:  # an ordinary zip, the manifest first
        assert archive.testzip() is None
        assert archive.namelist()[0] == MANIFEST_FILE


def test_opening_copies_no_member(edge: Path) -> None:
    (edge.parent / "stage" / "large.bin").write_bytes(bytes(8_000_000))
    bundle_file.write(edge, edge.parent / "stage", FIELDS)
    tracemalloc.start()
    Bundle(edge).close()
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most_bytes < 1_000_000


def test_members_are_verified_piece_by_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_file, "WHOLE_UP_TO", 40)  # so that the piece hashes exceed it too
    (tmp_path / "stage").mkdir()
    for name, size in (("a.bin", 200_000), ("b.bin", 70_000), ("small.bin", 40)):
        (tmp_path / "stage" / name).write_bytes(bytes(range(250)) * (size // 250) + bytes(size % 250))
    bundle_file.write(tmp_path / "x.edge", tmp_path / "stage", FIELDS)
    data = bytearray((tmp_path / "x.edge").read_bytes())
    opened = Bundle(tmp_path / "x.edge", whole=False)
    assert bytes(opened.open_member("a.bin").read(0, 200_000)) == bytes(opened.member("a.bin"))
    data[opened.locations["a.bin"].start + 150_000] ^= 1
    data[opened.locations["b.bin"].start] ^= 1
    (tmp_path / "y.edge").write_bytes(data)
    with pytest.raises(BundleError, match=r"a\.bin is not what the manifest promises"):
        Bundle(tmp_path / "y.edge")
    damaged = Bundle(tmp_path / "y.edge", whole=False)
    assert damaged.open_member("a.bin").read(0, 131_072) == opened.open_member("a.bin").read(0, 131_072)
    for name, start in (("a.bin", 140_000), ("b.bin", 0)):
        with pytest.raises(BundleError, match="is not what the manifest promises"):
            damaged.open_member(name).read(start, start + 1)
    with pytest.raises(BundleError, match="is not what the manifest promises"):
        damaged.member("b.bin")


def test_unpacked_copies_are_removed(edge: Path) -> None:
    with Bundle(edge).unpack_member("index/b.bin") as copy:
        assert copy.read_bytes() == b"b" * 100
    assert not copy.parent.exists()


@pytest.mark.slow
def test_every_flipped_byte_is_detected(edge: Path) -> None:
    data = bytearray(edge.read_bytes())
    opened = Bundle(edge)
    locations = opened.locations
    opened.close()
    content = {i for at in locations.values() for i in range(at.start, at.stop)}
    for i in sorted(content):
        data[i] ^= 0x11
        edge.write_bytes(data)
        with pytest.raises(BundleError):
            Bundle(edge).close()
        data[i] ^= 0x11


@pytest.mark.slow
def test_a_flipped_byte_anywhere_raises_or_changes_nothing(edge: Path) -> None:
    data = bytearray(edge.read_bytes())
    for i in range(len(data)):
        data[i] ^= 0xFF
        edge.write_bytes(data)
        try:
            opened = Bundle(edge)
        except BundleError:
            pass
        else:  # a byte of padding or of an unused field
            assert bytes(opened.member("a.bin")) == bytes(range(256)) * 5
            opened.close()
        data[i] ^= 0xFF


@pytest.mark.slow
def test_every_truncation_is_detected(edge: Path) -> None:
    data = edge.read_bytes()
    for length in range(0, len(data), 7):
        edge.write_bytes(data[:length])
        with pytest.raises(BundleError):
            Bundle(edge)


def rewrite(path: Path, change: Callable[[zipfile.ZipFile, list[tuple[str, bytes]]], None]) -> Path:
    """Write the members again with an ordinary zip library, as a foreign tool would."""
    with zipfile.ZipFile(path) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w") as archive:
        change(archive, members)
    return path


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_foreign_zips_are_rejected(edge: Path) -> None:
    original = edge.read_bytes()

    def reordered(archive: zipfile.ZipFile, members: list[tuple[str, bytes]]) -> None:
        for name, content in reversed(members):
            archive.writestr(name, content)

    def compressed(archive: zipfile.ZipFile, members: list[tuple[str, bytes]]) -> None:
        for name, content in members:
            archive.writestr(name, content, zipfile.ZIP_DEFLATED)

    def doubled(archive: zipfile.ZipFile, members: list[tuple[str, bytes]]) -> None:
        for name, content in [*members, ("a.bin", b"other")]:
            archive.writestr(name, content)

    def extended(archive: zipfile.ZipFile, members: list[tuple[str, bytes]]) -> None:
        for name, content in [*members, ("extra.bin", b"extra")]:
            archive.writestr(name, content)

    def shortened(archive: zipfile.ZipFile, members: list[tuple[str, bytes]]) -> None:
        for name, content in members[:-1]:
            archive.writestr(name, content)

    for change in (reordered, compressed, doubled, extended, shortened):
        edge.write_bytes(original)
        with pytest.raises(BundleError):
            Bundle(rewrite(edge, change))


def test_a_file_that_is_not_a_bundle_is_named_in_the_error(tmp_path: Path) -> None:
    (tmp_path / "empty.edge").write_bytes(b"")
    (tmp_path / "text.edge").write_text("hello")
    for name, message in (
        ("none.edge", "cannot be read"),
        ("empty.edge", "empty file"),
        ("text.edge", "not a bundle"),
        ("", "cannot be read"),
    ):
        with pytest.raises(BundleError, match=message):
            Bundle(tmp_path / name)


def test_a_named_pipe_is_rejected_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.edge")
    with pytest.raises(BundleError, match="not a file"):
        Bundle(tmp_path / "pipe.edge")


def test_a_newer_manifest_names_both_formats() -> None:
    data = Manifest(files={}, **FIELDS).to_bytes()  # type: ignore[arg-type]
    assert Manifest.parse(data, "x").name == "test"
    with pytest.raises(BundleError, match="format 2; this version reads 1"):
        Manifest.parse(data.replace(b'"format": 1', b'"format": 2'), "x")


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"format": 1}', b"\xff", b"[" * 5000, b"null"])
def test_damaged_manifests_are_rejected(data: bytes) -> None:
    with pytest.raises(BundleError):
        Manifest.parse(data, "x")


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a/../b", "a//b", "", "A", "a\\b", "c:/x", ".hidden", "a/."])
def test_member_names_cannot_leave_the_folder(name: str) -> None:
    data = Manifest(files={name: manifest.FileEntry(1, "0")}, **FIELDS).to_bytes()  # type: ignore[arg-type]
    with pytest.raises(BundleError, match="member name"):
        Manifest.parse(data, "x")


def test_a_full_disk_leaves_the_old_bundle(edge: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = edge.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BundleError, match="No space left"):
        bundle_file.write(edge, edge.parent / "stage", {**FIELDS, "name": "other"})
    assert edge.read_bytes() == before
    assert sorted(p.name for p in edge.parent.iterdir()) == ["stage", "x.edge"]


def test_the_same_content_gives_the_same_bytes(edge: Path) -> None:
    bundle_file.write(edge.with_name("y.edge"), edge.parent / "stage", FIELDS)
    assert edge.read_bytes() == edge.with_name("y.edge").read_bytes()


@pytest.mark.slow
def test_a_damaged_store_never_answers(tiny_edge: Path, shop: Path, tmp_path: Path) -> None:
    """Damage a whole store at random: it raises or, in unused bytes, answers the same."""
    data = tiny_edge.read_bytes()
    photo = next((shop / "photos").glob("*.jpg"))
    with edgesearch.open(tiny_edge) as store:
        expected = [match.sku for match in store.search(photo).matches]
    rng = np.random.default_rng(0)
    path = tmp_path / "damaged.edge"
    for _ in range(150):
        damaged = bytearray(data)
        for offset in rng.integers(0, len(data), rng.integers(1, 4)):
            damaged[offset] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            with edgesearch.open(path) as store:
                assert [match.sku for match in store.search(photo).matches] == expected
        except EdgeSearchError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("signed", [True, False])
def test_the_size_of_a_bundle_is_predicted(tmp_path: Path, keys: Path, signed: bool) -> None:
    stage = tmp_path / "stage"
    (stage / "model").mkdir(parents=True)
    sizes = {"model/a": 70_001, "b": 3_000_000, "c": 0, "d": 1 << 20, "e": 63}
    for name, size in sizes.items():
        (stage / name).write_bytes(bytes(size))
    empty = {"hashes": {}, "counts": {}, "calibration": {}, "accuracy": {}}
    manifest = bundle_file.write(
        tmp_path / "x.edge",
        stage,
        {"name": "x", "sequence": 1, "created": "", **empty},
        keys / "shop.key" if signed else None,
    )
    head = len(manifest.to_bytes())
    found = (tmp_path / "x.edge").stat().st_size
    assert found <= bundle_file.size_bytes(sizes, head + 200 * signed) <= found + 300
