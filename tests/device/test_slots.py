"""A device folder: which bundles may be installed, which one runs, and rollback."""

import errno
import functools
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgesearch
from edgesearch import BundleError, DeviceError, EdgeSearchError, SignatureError
from edgesearch.bundle import bundle_file
from edgesearch.device import slot_state, slots
from edgesearch.embedding.embedder import Embedder
from edgesearch.index.compact_index import CompactIndex

from ..conftest import TINY_MODEL

pytestmark = pytest.mark.slow

Make = Callable[..., Path]


@pytest.fixture(scope="module")
def make(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Return a function that gives a copy of a bundle of the shop with an untrained network, each built once."""
    output = tmp_path_factory.mktemp("built") / "shop.edge"  # one output, so that pictures are extracted once

    @functools.cache
    def build(sequence: int, sign: Path | None, next_key: Path | None) -> bytes:
        edgesearch.build(
            shop / "catalogue.csv",
            output,
            TINY_MODEL,
            local_features=0,
            sign=sign,
            next_key=next_key,
            sequence=sequence,
            resume=True,
        )
        return output.read_bytes()

    def make_bundle(sequence: int, sign: Path | None = None, next_key: Path | None = None) -> Path:
        path = tmp_path_factory.mktemp("bundle") / f"shop{sequence}.edge"
        path.write_bytes(build(sequence, sign, next_key))
        return path

    return make_bundle


def runs(device: Path) -> int:
    with edgesearch.open(device) as store:
        return store.bundle.manifest.sequence


def test_an_installed_bundle_answers_as_its_file(make: Make, shop: Path, tmp_path: Path) -> None:
    source = make(5)
    assert edgesearch.install(source, tmp_path / "device").sequence == 5
    photo = next((shop / "photos").glob("*.jpg"))
    with edgesearch.open(source) as one, edgesearch.open(tmp_path / "device") as other:
        assert one.search(photo).matches == other.search(photo).matches
    source.unlink()
    assert runs(tmp_path / "device") == 5


def test_rollback_returns_to_the_previous_bundle(make: Make, tmp_path: Path) -> None:
    device = tmp_path / "device"
    for sequence in (1, 2, 3):
        edgesearch.install(make(sequence), device)
        assert runs(device) == sequence
    assert len(list((device / "slots").glob("*/*"))) == 2
    assert edgesearch.rollback(device).sequence == 2
    assert runs(device) == 2


def test_a_second_rollback_does_not_bring_the_bad_bundle_back(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(self: slots.Slots, state: object) -> None:
        raise KeyboardInterrupt  # after the log has its line

    device = tmp_path / "device"
    for sequence in (1, 2):
        edgesearch.install(make(sequence), device)
    with pytest.raises(DeviceError, match="the last change was no rollback; leave out --forward"):
        edgesearch.rollback(device, forward=True)
    edgesearch.rollback(device)
    with pytest.raises(DeviceError, match=r"runs the bundle before the last install already; .* give --forward"):
        edgesearch.rollback(device)
    assert runs(device) == 1
    assert edgesearch.rollback(device, forward=True).sequence == 2
    assert [event.what for event in edgesearch.log(device)] == ["install", "install", "rollback", "forward"]
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(slots.Slots, "_write_state", interrupt)
        edgesearch.rollback(device)
    assert runs(device) == 2
    assert edgesearch.rollback(device).sequence == 1


def test_older_bundles_are_refused_even_after_rollback(make: Make, tmp_path: Path) -> None:
    device, bundles = tmp_path / "device", {sequence: make(sequence) for sequence in (1, 2, 3)}
    for sequence in (1, 3):
        edgesearch.install(bundles[sequence], device)
    edgesearch.rollback(device)
    with pytest.raises(DeviceError, match=r"sequence number is 2, and .* has had 3"):
        edgesearch.install(bundles[2], device)
    assert runs(device) == 1
    edgesearch.install(bundles[3], device)
    assert runs(device) == 3
    assert edgesearch.rollback(device).sequence == 1


def test_a_bundle_of_a_wrong_clock_does_not_keep_out_all_others(make: Make, tmp_path: Path) -> None:
    device, wrong = tmp_path / "device", make(4_765_000_000)  # seconds until the year 2121
    edgesearch.install(make(1), device)
    with pytest.raises(DeviceError, match=r"the clock here is at \d+; .* accept it with --any-sequence"):
        edgesearch.install(wrong, device)
    assert runs(device) == 1
    edgesearch.install(wrong, device, any_sequence=True)
    (device / "current").unlink()  # then the log says what was installed
    with pytest.raises(DeviceError, match="go back to the previous one with `rollback`, or accept it with --any-seq"):
        edgesearch.install(make(2), device)
    edgesearch.install(make(2), device, any_sequence=True)
    edgesearch.install(make(3), device)
    assert [event.detail.get("any_sequence") for event in edgesearch.log(device)] == [None, True, True, None]
    with pytest.raises(DeviceError, match=r"sequence number is 2, and .* has had 3"):
        edgesearch.install(make(2), device)


def test_installing_the_same_bundle_again_changes_nothing(make: Make, tmp_path: Path) -> None:
    device, first, second = tmp_path / "device", make(1), make(2)
    edgesearch.install(first, device)
    edgesearch.install(second, device)
    edgesearch.install(second, device)
    assert runs(device) == 2
    assert edgesearch.rollback(device).sequence == 1


def test_bundles_of_untrusted_keys_are_refused(make: Make, keys: Path, tmp_path: Path) -> None:
    device = tmp_path / "device"
    edgesearch.install(make(1, keys / "shop.key"), device, keys / "shop.pub")
    for source, says in ((make(2), "is not signed"), (make(2, keys / "foreign.key"), "signed by key")):
        with pytest.raises(SignatureError, match=says):
            edgesearch.install(source, device)
        with pytest.raises((SignatureError, DeviceError)):
            edgesearch.install(source, device, keys / "foreign.pub")
    assert runs(device) == 1
    edgesearch.install(make(2, keys / "shop.key"), device)
    assert runs(device) == 2


def test_the_first_bundle_must_be_signed_by_the_trusted_key(make: Make, keys: Path, tmp_path: Path) -> None:
    with pytest.raises(SignatureError):
        edgesearch.install(make(1, keys / "foreign.key"), tmp_path / "device", keys / "shop.pub")
    with pytest.raises(DeviceError, match="nothing is installed"):
        edgesearch.open(tmp_path / "device")


def test_a_bundle_introduces_the_next_key_which_replaces_the_old_one(make: Make, keys: Path, tmp_path: Path) -> None:
    device, shop_key, next_key = tmp_path / "device", keys / "shop.key", keys / "next.key"
    edgesearch.install(make(1, shop_key), device, keys / "shop.pub")
    with pytest.raises(SignatureError):
        edgesearch.install(make(2, next_key), device)
    edgesearch.install(make(2, shop_key, keys / "next.pub"), device)
    edgesearch.install(make(3, shop_key), device)  # shops may change keys on different days
    edgesearch.install(make(4, next_key), device)
    with pytest.raises(SignatureError):
        edgesearch.install(make(5, shop_key), device)
    assert runs(device) == 4
    assert edgesearch.rollback(device).sequence == 3


def test_the_signature_of_another_bundle_is_refused(make: Make, keys: Path, tmp_path: Path) -> None:
    signed, other = make(1, keys / "shop.key"), make(2, keys / "shop.key")
    with zipfile.ZipFile(other) as archive:
        signature = archive.read(bundle_file.SIGNATURE_FILE)
    data = bytearray(signed.read_bytes())
    with zipfile.ZipFile(signed) as archive:
        mine = archive.read(bundle_file.SIGNATURE_FILE)
    start = data.index(mine)
    data[start : start + len(mine)] = signature
    signed.write_bytes(data)
    with pytest.raises(BundleError):
        edgesearch.open(signed)


def test_damage_anywhere_is_refused_or_harmless(make: Make, keys: Path, tmp_path: Path) -> None:
    source = make(1, keys / "shop.key")
    data = bytearray(source.read_bytes())
    for i in [*range(40, 4000, 97), *range(4000, len(data), 39973)]:
        damaged = data[:i] + bytes([data[i] ^ 4]) + data[i + 1 :]
        (tmp_path / "damaged.edge").write_bytes(damaged)
        try:
            edgesearch.install(tmp_path / "damaged.edge", tmp_path / f"device{i}", keys / "shop.pub")
        except EdgeSearchError as error:
            assert "\n" not in str(error)
        else:  # padding, or a field of the zip that nobody reads
            assert runs(tmp_path / f"device{i}") == 1
            shutil.rmtree(tmp_path / f"device{i}")


@pytest.mark.parametrize("allowed", range(2))
def test_a_full_disk_keeps_the_current_bundle(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: int
) -> None:
    device, second = tmp_path / "device", make(2)
    edgesearch.install(make(1), device)
    left = [os.fsync] * allowed

    def full(descriptor: int) -> None:
        if not left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left.pop()(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DeviceError, match="No space left"):
        edgesearch.install(second, device)
    assert runs(device) == 1
    monkeypatch.undo()
    edgesearch.install(second, device)
    assert runs(device) == 2


def test_installations_do_not_overlap(make: Make, tmp_path: Path) -> None:
    device, first, second = tmp_path / "device", make(1), make(2)
    edgesearch.install(first, device)
    with slots.Slots(device)._locked(), pytest.raises(DeviceError, match="another installation"):
        edgesearch.install(second, device)
    edgesearch.install(second, device)
    assert runs(device) == 2


def test_a_file_system_without_locks_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(DeviceError, match="No locks available"), slots.Slots(tmp_path / "device")._locked(create=True):
        pass


def test_an_open_store_keeps_its_bundle(make: Make, shop: Path, tmp_path: Path) -> None:
    device, photo = tmp_path / "device", next((shop / "photos").glob("*.jpg"))
    edgesearch.install(make(1), device)
    with edgesearch.open(device) as store:
        before = store.search(photo).matches
        for sequence in (2, 3, 4):  # the file that it has open is deleted meanwhile
            edgesearch.install(make(sequence), device)
        assert store.search(photo).matches == before


def test_a_bundle_that_answers_differently_here_is_refused(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, second = tmp_path / "device", make(2)
    edgesearch.install(make(1), device)
    embed, search = Embedder.embed, CompactIndex.search
    monkeypatch.setattr(Embedder, "embed", lambda *args: embed(*args)[:, ::-1])
    with pytest.raises(BundleError, match="computes other embeddings on this device"):
        edgesearch.install(second, device)
    monkeypatch.undo()
    monkeypatch.setattr(CompactIndex, "search", lambda *args: replace(search(*args), rows=np.zeros((8, 1))))
    with pytest.raises(BundleError, match="finds other rows on this device"):
        edgesearch.install(second, device)
    monkeypatch.undo()
    assert runs(device) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a",
        b"{}",
        b'{"format": 1}',
        b'{"format": 2, "slot": "a", "highest": 1, "installed": {"a": "' + b"0" * 64 + b'"}}',
        slot_state.SlotState("c", 1, {"c": "0" * 64}).to_bytes(),
        slot_state.SlotState("a", 1, {"a": "../../etc/passwd"}).to_bytes(),
        slot_state.SlotState("a", 1, {"a": "0" * 64}).to_bytes().replace(b'"highest": 1', b'"highest": 0'),
        b"[" * 4000,
        b"\xff\xfe",
    ],
)
def test_a_damaged_state_file_is_reported(make: Make, tmp_path: Path, content: bytes) -> None:
    device = tmp_path / "device"
    edgesearch.install(make(1), device)
    (device / slots.CURRENT).write_bytes(content)
    for act in (edgesearch.open, edgesearch.rollback):
        with pytest.raises(DeviceError, match="current"):
            act(device)


def test_a_bundle_replaced_in_its_slot_is_refused(make: Make, tmp_path: Path) -> None:
    device = tmp_path / "device"
    edgesearch.install(make(1), device)
    (installed,) = (device / "slots").glob("*/*")
    shutil.copy(make(2), installed)
    with pytest.raises(DeviceError, match="is not the bundle that was installed"):
        edgesearch.open(device)


def test_installing_again_repairs_a_damaged_slot(make: Make, tmp_path: Path) -> None:
    device, source = tmp_path / "device", make(1)
    edgesearch.install(source, device)
    (installed,) = (device / "slots").glob("*/*")
    for damage in (b"", installed.read_bytes()[:-7], None):
        installed.unlink() if damage is None else installed.write_bytes(damage)
        with pytest.raises(BundleError):
            edgesearch.open(device)
        edgesearch.install(source, device)
        assert runs(device) == 1


def test_a_failed_installation_leaves_no_files(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device, second = tmp_path / "device", make(2)
    edgesearch.install(make(1), device)
    before = sorted(device.rglob("*"))
    monkeypatch.setattr(Embedder, "embed", lambda self, pictures: np.full((len(pictures), self.config.dim), np.nan))
    with pytest.raises(BundleError, match="computes other embeddings"):
        edgesearch.install(second, device)
    assert [path for path in sorted(device.rglob("*")) if path.is_file()] == [p for p in before if p.is_file()]


def test_a_device_without_keys_gets_no_key(make: Make, keys: Path, shop: Path, tmp_path: Path) -> None:
    device = tmp_path / "device"
    edgesearch.install(make(1, keys / "shop.key", keys / "next.pub"), device)
    edgesearch.install(make(2), device)
    assert runs(device) == 2
    with pytest.raises(BundleError, match="give --sign"):
        edgesearch.build(shop / "catalogue.csv", tmp_path / "x.edge", TINY_MODEL, next_key=keys / "next.pub")


def test_keys_can_be_changed_back(make: Make, keys: Path, tmp_path: Path) -> None:
    device = tmp_path / "device"
    edgesearch.install(make(1, keys / "shop.key", keys / "next.pub"), device, keys / "shop.pub")
    edgesearch.install(make(2, keys / "next.key", keys / "shop.pub"), device)
    edgesearch.install(make(3, keys / "shop.key"), device)
    with pytest.raises(SignatureError):
        edgesearch.install(make(4, keys / "next.key"), device)


def test_an_emptied_list_of_keys_trusts_nobody(make: Make, keys: Path, tmp_path: Path) -> None:
    device = tmp_path / "device"
    edgesearch.install(make(1, keys / "shop.key"), device, keys / "shop.pub")
    (device / slots.TRUSTED).write_bytes(b"")
    with pytest.raises(SignatureError, match=r"trusted\.pub"):
        edgesearch.install(make(2), device)


def test_a_lost_list_of_keys_trusts_nobody(make: Make, keys: Path, tmp_path: Path) -> None:
    device = tmp_path / "device"
    edgesearch.install(make(1, keys / "shop.key"), device, keys / "shop.pub")
    (device / slots.TRUSTED).unlink()
    with pytest.raises(SignatureError, match="is gone"):
        edgesearch.install(make(2), device)
    edgesearch.install(make(2, keys / "shop.key"), device, keys / "shop.pub")
    with pytest.raises(SignatureError):
        edgesearch.install(make(3), device)


def test_bytes_between_the_members_are_refused(make: Make, keys: Path, tmp_path: Path) -> None:
    source = make(1, keys / "shop.key")
    with zipfile.ZipFile(source, "a") as archive:
        directory = archive.start_dir
    data = source.read_bytes()
    end = bytearray(data[directory:])
    at = end.rindex(b"PK\5\6") + 16
    end[at : at + 4] = (directory + 10_000_000).to_bytes(4, "little")
    (tmp_path / "padded.edge").write_bytes(data[:directory] + bytes(10_000_000) + end)
    with pytest.raises(BundleError, match="larger than its manifest says"):
        edgesearch.install(tmp_path / "padded.edge", tmp_path / "device", keys / "shop.pub")


def test_a_folder_without_an_installation_is_reported(make: Make, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="nothing is installed there"):
        edgesearch.open(tmp_path)
    with pytest.raises(DeviceError, match="nothing is installed there"):
        edgesearch.rollback(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    edgesearch.install(make(1), tmp_path / "device")
    with pytest.raises(DeviceError, match="no previous bundle"):
        edgesearch.rollback(tmp_path / "device")
    (tmp_path / "file").write_text("x")
    with pytest.raises(DeviceError, match=r"cannot be changed \((File exists|Not a directory)\)"):
        edgesearch.install(make(1), tmp_path / "file")


def test_the_folder_is_private(make: Make, tmp_path: Path) -> None:
    device = tmp_path / "device"
    edgesearch.install(make(1), device)
    for path in [device, *device.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path
    assert json.loads((device / slots.CURRENT).read_text())["format"] == 2
