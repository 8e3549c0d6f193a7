"""Deltas: they make the new bundle to the byte, or fail and leave the old one running."""

import csv
import errno
import gzip
import os
import shutil
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import edgesearch
from edgesearch import BundleError, DeviceError, EdgeSearchError, SignatureError
from edgesearch.bundle import bundle_file, container
from edgesearch.bundle.bundle_file import SIGNATURE_FILE, Bundle
from edgesearch.bundle.delta import rebuild
from edgesearch.bundle.delta_format import BATCH, CHUNK, COPIES, LITERALS, STEP
from edgesearch.bundle.delta_matching import WINDOW, Copy, find_copies
from edgesearch.commands.cli import main

from ..conftest import TINY_MODEL
from ..device.test_slots import runs

pytestmark = pytest.mark.slow

Make = Callable[[int, int], Path]


@pytest.fixture(scope="module")
def edges(shop: Path, keys: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Signed bundles with sequence numbers 0 to 3: seven products, other prices, one product more, one fewer."""
    folder = tmp_path_factory.mktemp("edges")
    with open(shop / "catalogue.csv", encoding="utf-8", newline="") as file:
        rows = [{**row, "images": str(shop / row["images"])} for row in csv.DictReader(file)]
    dearer = [{**row, "price": f"{float(row['price']) * 1.1:.2f}"} for row in rows]
    made = []
    for sequence, listed in enumerate((rows[:7], dearer[:7], dearer, dearer[:3] + dearer[4:])):
        with open(folder / "catalogue.csv", "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(listed)
        made.append(folder / f"{sequence}.edge")
        if sequence:  # take over the work of the one before, so that pictures are extracted once
            (folder / f"{sequence - 1}.edge.work").rename(folder / f"{sequence}.edge.work")
        key = keys / "shop.key"
        edgesearch.build(folder / "catalogue.csv", made[-1], TINY_MODEL, sign=key, sequence=sequence, resume=True)
    return made


@pytest.fixture(scope="module")
def make(edges: list[Path], keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Return a function that makes the signed delta between two of the bundles."""
    folder = tmp_path_factory.mktemp("deltas")

    def make_delta(old: int, new: int) -> Path:
        path = folder / f"{old}-{new}.delta"
        if not path.exists():
            edgesearch.delta(edges[old], edges[new], path, keys / "shop.key")
        return path

    return make_delta


@pytest.fixture(scope="module")
def ready_device(edges: list[Path], keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the first bundle once; tests change copies of this folder."""
    folder = tmp_path_factory.mktemp("ready") / "device"
    edgesearch.install(edges[0], folder, keys / "shop.pub")
    return folder


@pytest.fixture
def device(ready_device: Path, tmp_path: Path) -> Path:
    """Return a device folder with the first bundle."""
    return Path(shutil.copytree(ready_device, tmp_path / "device"))


def installed(device: Path) -> set[bytes]:
    """Return the contents of the slots."""
    return {path.read_bytes() for path in (device / "slots").glob("*/*")}


def test_a_chain_of_deltas_ends_in_the_same_bytes(edges: list[Path], make: Make, device: Path) -> None:
    for new in (1, 2, 3):
        assert edgesearch.install(make(new - 1, new), device).sequence == new
        assert runs(device) == new
        assert installed(device) == {edges[new - 1].read_bytes(), edges[new].read_bytes()}
    assert edgesearch.rollback(device).sequence == 2


def test_new_prices_are_few_bytes(edges: list[Path], make: Make) -> None:
    assert make(0, 1).stat().st_size < 3000
    assert make(1, 2).stat().st_size < edges[2].stat().st_size / 4


def test_the_same_bundles_give_the_same_delta(edges: list[Path], make: Make, keys: Path, tmp_path: Path) -> None:
    edgesearch.delta(edges[0], edges[1], tmp_path / "again.delta", keys / "shop.key")
    assert (tmp_path / "again.delta").read_bytes() == make(0, 1).read_bytes()


def test_applying_a_delta_again_changes_nothing(edges: list[Path], make: Make, device: Path) -> None:
    for _ in range(2):
        edgesearch.install(make(0, 1), device)
        assert runs(device) == 1
    assert edgesearch.rollback(device).sequence == 0
    edgesearch.install(make(0, 1), device)
    assert runs(device) == 1
    assert installed(device) == {edges[0].read_bytes(), edges[1].read_bytes()}


def test_the_base_may_be_the_previous_bundle(edges: list[Path], make: Make, device: Path) -> None:
    edgesearch.install(make(0, 1), device)
    edgesearch.install(make(0, 2), device)
    assert runs(device) == 2
    assert installed(device) == {edges[1].read_bytes(), edges[2].read_bytes()}


def test_the_base_is_the_same_signed_or_not(edges: list[Path], tmp_path: Path) -> None:
    bare, signed = tmp_path / "bare.edge", Bundle(edges[0])
    with zipfile.ZipFile(edges[0]) as archive:
        container.write(bare, {name: archive.read(name) for name in archive.namelist() if name != SIGNATURE_FILE})
    assert (Bundle(bare).digest, Bundle(bare).signer) == (signed.digest, None)
    edgesearch.delta(bare, edges[1], tmp_path / "0-1.delta")
    edgesearch.install(edges[0], tmp_path / "device")
    edgesearch.install(tmp_path / "0-1.delta", tmp_path / "device")
    assert installed(tmp_path / "device") == {edges[0].read_bytes(), edges[1].read_bytes()}


def test_a_delta_needs_a_trusted_signature(edges: list[Path], keys: Path, tmp_path: Path, device: Path) -> None:
    for key, message in ((None, "is not signed"), (keys / "foreign.key", "signed by key")):
        edgesearch.delta(edges[0], edges[1], tmp_path / "x.delta", key)
        with pytest.raises(SignatureError, match=message):
            edgesearch.install(tmp_path / "x.delta", device)
        assert runs(device) == 0


def test_the_bundle_it_makes_needs_a_trusted_signature(
    edges: list[Path], keys: Path, tmp_path: Path, device: Path
) -> None:
    for key in (None, keys / "foreign.key"):
        other = tmp_path / "other.edge"
        bundle_file.write(other, unpack(edges[1], tmp_path / "stage"), manifest_fields(edges[1]), key)
        edgesearch.delta(edges[0], other, tmp_path / "x.delta", keys / "shop.key")
        with pytest.raises(SignatureError):
            edgesearch.install(tmp_path / "x.delta", device)
        assert (runs(device), installed(device)) == (0, {edges[0].read_bytes()})


def test_a_wrong_base_is_named(edges: list[Path], make: Make, keys: Path, device: Path, tmp_path: Path) -> None:
    digests = [Bundle(path).digest[:8] for path in edges]
    message = rf"changes bundle {digests[1]}, and .* \(it has {digests[0]}\); install the full bundle"
    with pytest.raises(DeviceError, match=message):
        edgesearch.install(make(1, 2), device)
    with pytest.raises(DeviceError, match=r"it has none"):
        edgesearch.install(make(1, 2), tmp_path / "new", keys / "shop.pub")
    (path,) = (device / "slots").glob("*/*")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DeviceError, match=r"no intact one"):
        edgesearch.install(make(0, 1), device)


def test_no_delta_leads_to_an_older_bundle(edges: list[Path], make: Make, device: Path, tmp_path: Path) -> None:
    edgesearch.install(edges[3], device)
    with pytest.raises(DeviceError, match=r"sequence number is 1, and .* has had 3"):
        edgesearch.install(make(0, 1), device)
    with pytest.raises(BundleError, match="give the older bundle first"):
        edgesearch.delta(edges[1], edges[0], tmp_path / "x.delta")


def test_damage_anywhere_is_detected(edges: list[Path], make: Make, device: Path, tmp_path: Path) -> None:
    data, bad = make(0, 1).read_bytes(), tmp_path / "bad.delta"
    flipped = (data[:i] + bytes([data[i] ^ 4]) + data[i + 1 :] for i in range(0, len(data), 23))
    for damaged in (*flipped, *(data[:i] for i in range(0, len(data), 101))):
        bad.write_bytes(damaged)
        try:
            edgesearch.install(bad, device)
        except EdgeSearchError as error:
            assert "\n" not in str(error)
            assert installed(device) == {edges[0].read_bytes()}
        else:  # padding, or an unused field of the zip
            assert installed(device) == {edges[0].read_bytes(), edges[1].read_bytes()}
            shutil.rmtree(device)
            edgesearch.install(edges[0], device)
    assert runs(device) == 0


def unpack(edge: Path, folder: Path) -> Path:
    """Write the members of a bundle as files."""
    opened = Bundle(edge, delta=True)
    for name in opened.manifest.files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(opened.member(name))
    return folder


def manifest_fields(edge: Path) -> dict[str, object]:
    """Return the fields that `bundle_file.write` takes."""
    return {key: value for key, value in vars(Bundle(edge, delta=True).manifest).items() if key != "files"}


def steps(*rows: tuple[int, int, int]) -> bytes:
    """Return the member `copies` with these steps."""
    table = np.zeros((BATCH, 3), STEP)
    for i, row in enumerate(rows):
        table[i] = row
    return gzip.compress(table.view(np.uint8).T.tobytes())


@pytest.mark.parametrize(
    "members",
    [
        {COPIES: b""},
        {COPIES: b"no gzip"},
        {COPIES: gzip.compress(bytes(1000))},
        {COPIES: steps()},
        {COPIES: steps((0, -1, WINDOW), (10**6, 0, 0))},
        {COPIES: steps((0, 1 << 60, WINDOW))},
        {COPIES: steps((0, 0, 1 << 62))},
        {COPIES: steps((1 << 62, 0, 0))},
        {COPIES: steps((-1, 0, WINDOW))},
        {COPIES: steps((0, 5, -1))},
        {COPIES: steps(*[(0, 0, 1)] * BATCH)},
        {COPIES: steps(*[(0, -WINDOW * (i > 0), WINDOW) for i in range(BATCH)])},
        {LITERALS: b""},
        {LITERALS: gzip.compress(b"")},
        {LITERALS: gzip.compress(bytes(10**6))},
    ],
)
def test_signed_deltas_with_wrong_members_are_rejected(
    members: dict[str, bytes], edges: list[Path], make: Make, keys: Path, device: Path, tmp_path: Path
) -> None:
    stage = unpack(make(0, 1), tmp_path / "stage")
    for name, content in members.items():
        (stage / name).write_bytes(content)
    bundle_file.write(tmp_path / "x.delta", stage, manifest_fields(make(0, 1)), keys / "shop.key")
    with pytest.raises(BundleError, match="does not make the bundle that it promises"):
        edgesearch.install(tmp_path / "x.delta", device)
    assert (runs(device), installed(device)) == (0, {edges[0].read_bytes()})


@pytest.mark.parametrize(
    "change",
    [
        {"size": 10},
        {"size": -1},
        {"size": 1 << 62},
        {"sha256": "0" * 64},
        {"digest": "0" * 64},
        {"digest": "../../up"},
        {"base": "\n"},
    ],
)
def test_a_wrong_description_of_the_result_is_rejected(
    change: dict[str, object], edges: list[Path], make: Make, keys: Path, device: Path, tmp_path: Path
) -> None:
    fields = manifest_fields(make(0, 1))
    fields["delta"] = replace(fields["delta"], **change)  # type: ignore[type-var]
    bundle_file.write(tmp_path / "x.delta", unpack(make(0, 1), tmp_path / "stage"), fields, keys / "shop.key")
    with pytest.raises(EdgeSearchError) as caught:
        edgesearch.install(tmp_path / "x.delta", device)
    assert "\n" not in str(caught.value)
    assert (runs(device), installed(device)) == (0, {edges[0].read_bytes()})


def test_a_wrong_sequence_number_is_rejected(
    edges: list[Path], make: Make, keys: Path, device: Path, tmp_path: Path
) -> None:
    fields = {**manifest_fields(make(0, 1)), "sequence": 9}
    bundle_file.write(tmp_path / "x.delta", unpack(make(0, 1), tmp_path / "stage"), fields, keys / "shop.key")
    with pytest.raises(BundleError, match=r"sequence number is 9, and that of the bundle it makes is 1"):
        edgesearch.install(tmp_path / "x.delta", device)
    assert (runs(device), installed(device)) == (0, {edges[0].read_bytes()})


def test_nothing_is_written_without_enough_space(
    edges: list[Path], make: Make, device: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    with pytest.raises(DeviceError, match="1000 are free"):
        edgesearch.install(make(0, 1), device)
    assert installed(device) == {edges[0].read_bytes()}


@pytest.mark.parametrize("allowed", range(2))
def test_a_full_disk_leaves_the_running_bundle(
    edges: list[Path], make: Make, device: Path, monkeypatch: pytest.MonkeyPatch, allowed: int
) -> None:
    left = [os.fsync] * allowed

    def full(descriptor: int) -> None:
        if not left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left.pop()(descriptor)

    path = make(0, 1)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DeviceError, match="No space left"):
        edgesearch.install(path, device)
    monkeypatch.undo()
    assert runs(device) == 0
    edgesearch.install(path, device)
    assert runs(device) == 1


def test_making_a_delta_never_changes_the_two_bundles(edges: list[Path], make: Make, tmp_path: Path) -> None:
    before = [path.read_bytes() for path in edges]
    (tmp_path / "link.edge").symlink_to(edges[0])
    for output in (edges[0], edges[1], tmp_path / "link.edge"):
        with pytest.raises(BundleError, match="is one of the two bundles"):
            edgesearch.delta(edges[0], edges[1], output)
    with pytest.raises(BundleError, match="nothing to change"):
        edgesearch.delta(edges[0], edges[0], tmp_path / "x.delta")
    with pytest.raises(BundleError, match="folder that exists"):
        edgesearch.delta(edges[0], edges[1], tmp_path / "none" / "x.delta")
    with pytest.raises(BundleError, match="not a bundle"):
        edgesearch.delta(edges[0], make(0, 1), tmp_path / "x.delta")
    with pytest.raises(SignatureError):
        edgesearch.delta(edges[0], edges[1], tmp_path / "x.delta", edges[0])
    assert [path.read_bytes() for path in edges] == before
    assert [path.name for path in tmp_path.iterdir()] == ["link.edge"]


def test_a_delta_that_does_not_make_the_same_bytes_is_not_written(
    edges: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = sys.modules["edgesearch.bundle.delta"]
    monkeypatch.setattr(module, "find_copies", lambda old, new: [Copy(0, 0, WINDOW)] if len(new) > WINDOW else [])
    with pytest.raises(BundleError, match="sha256"):
        edgesearch.delta(edges[0], edges[1], tmp_path / "x.delta")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", [["inspect", "{}"], ["verify", "{}"], ["search", "{}", "photo.jpg"]])
def test_a_delta_is_not_a_store(command: list[str], make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([part.format(make(0, 1)) for part in command]) == 1
    err = capsys.readouterr().err
    assert "a delta from bundle" in err
    assert err.count("\n") == 1


def test_the_command_reports_both_sizes(edges: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["delta", str(edges[0]), str(edges[1]), "-o", str(tmp_path / "x.delta")]) == 0
    assert f" bytes instead of {edges[1].stat().st_size:,}, for devices that have" in capsys.readouterr().out


def count_copied(old: np.ndarray, new: np.ndarray) -> int:
    """Return the number of copied bytes; check that copies are right, in order and disjoint. Both are (N,) uint8."""
    end = total = 0
    for copy in find_copies(old, new):
        assert copy.start >= end
        assert copy.size >= WINDOW
        taken, source = new[copy.start : copy.start + copy.size], old[copy.source : copy.source + copy.size]
        np.testing.assert_array_equal(taken, source)
        end, total = copy.start + copy.size, total + copy.size
    return total


def test_only_new_and_changed_rows_are_not_copied() -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 256, (3000, 250), np.uint8)
    words = rng.choice(np.frombuffer(b"cup tea mug jar oil ", "S4"), (3000, 40))
    for old in (rows, words.view(np.uint8)):
        flat, row = old.reshape(-1), old.shape[1]
        assert count_copied(flat, flat) == flat.size
        assert count_copied(flat, np.delete(old, 70, 0).reshape(-1)) == flat.size - row
        fresh = rng.integers(0, 256, row, np.uint8)
        assert count_copied(flat, np.insert(old, 70, fresh, 0).reshape(-1)) >= flat.size - 3
        prices = old.copy()
        prices[:, -8:] = rng.integers(128, 256, (len(old), 8))
        assert count_copied(flat, prices.reshape(-1)) >= flat.size * (row - 8) / row - 3 * len(old)


@pytest.mark.parametrize("sizes", [(0, 0), (0, 100), (100, 0), (WINDOW - 1, 500), (WINDOW, WINDOW), (500, WINDOW + 1)])
def test_short_members_and_runs_of_one_byte_are_handled(sizes: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    old, new = (rng.integers(0, 256, size, np.uint8) for size in sizes)
    assert count_copied(old, new) == 0
    zeros = [np.zeros(size, np.uint8) for size in sizes]
    assert count_copied(*zeros) in (0, zeros[1].size)


def test_a_large_result_is_written_in_pieces(edges: list[Path], tmp_path: Path) -> None:
    stage = unpack(edges[1], tmp_path / "stage")
    (stage / "zeros").write_bytes(bytes(5_000_000))
    bundle_file.write(tmp_path / "new.edge", stage, manifest_fields(edges[1]))
    edgesearch.delta(edges[0], tmp_path / "new.edge", tmp_path / "x.delta")
    assert (tmp_path / "x.delta").stat().st_size < 20_000
    pieces: list[int] = []
    rebuild(Bundle(tmp_path / "x.delta", delta=True), Bundle(edges[0]), lambda piece: pieces.append(len(piece)))
    assert sum(pieces) == (tmp_path / "new.edge").stat().st_size
    assert max(pieces) <= max(CHUNK, edges[0].stat().st_size)
