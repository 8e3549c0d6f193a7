"""An encrypted folder whose files were changed without its key is refused, and says which; a power cut is not."""

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

import edgesearch
from edgesearch import DeviceError
from edgesearch._util.hashing import hash_json
from edgesearch.commands.cli import main
from edgesearch.device import device_files, head
from edgesearch.device.device_files import CURRENT, ENCRYPTED
from edgesearch.device.maintenance import overlay_snapshot
from edgesearch.device.overlay import FILE as OVERLAY
from edgesearch.device.slots import ACCESS, TRUSTED, Slots
from edgesearch.server.access import Access, Role

KEY = bytes(range(32))


@pytest.fixture(scope="module")
def ready(build: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install two signed bundles in an encrypted folder, give two PINs, and edit a product."""
    folder = tmp_path_factory.mktemp("ready")
    private, public = edgesearch.keygen(folder / "shop")
    for sequence in (1, 2):
        edgesearch.install(build(sequence, sign=private), folder / "device", public, encrypt=True, key=KEY)
    access(folder / "device").add_token("till", Role.STAFF)
    shutil.copytree(folder / "device", folder / "old")
    edit(folder / "device", "first")
    edit(folder / "device", "second")
    access(folder / "device").add_token("boss", Role.MANAGER)
    edgesearch.install(build(2, sign=private), folder / "twin", public, encrypt=True, key=KEY)
    edit(folder / "twin", "of the twin")
    return folder


@pytest.fixture
def device(ready: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(ready / "device", tmp_path / "device"))


def access(device: Path) -> Access:
    return Access(device / ACCESS, Slots(device, KEY))


def edit(device: Path, name: str) -> None:
    with edgesearch.open(device, key=KEY) as store:
        store.edit(min(store.skus()), name=name)


def put(*names: str, source: str = "old") -> Callable[[Path, Path], None]:
    """Return a function that puts files of another folder in place of those of the device, or removes them."""

    def change(ready: Path, device: Path) -> None:
        for name in names:
            (device / name).unlink(missing_ok=True)
            if (ready / source / name).exists():
                shutil.copy(ready / source / name, device / name)

    return change


def write(name: str, content: bytes) -> Callable[[Path, Path], None]:
    return lambda ready, device: (device / name).write_bytes(content) and None


def turn_slot_back(current: Path) -> None:
    table = json.loads(current.read_bytes())
    del table["sha256"]
    table["slot"] = "a"
    current.write_text(json.dumps({**table, "sha256": hash_json(table)}))


CHANGES = {
    "another key is trusted": (write(TRUSTED, b"edgesearch public key 1: " + b"0" * 64 + b"\n"), "trusted.pub"),
    "no key is trusted": (put(TRUSTED, source="nowhere"), "trusted.pub"),
    "the slot is turned back": (lambda _, device: turn_slot_back(device / CURRENT), "current"),
    "PINs are turned back": (put(ACCESS), "access.json"),
    "PINs are removed": (put(ACCESS, source="nowhere"), "access.json"),
    "settings are added": (write("settings.json", b"{}"), "settings.json"),
    "the log is turned back": (put(OVERLAY), OVERLAY),
    "the log is removed": (put(OVERLAY, source="nowhere"), OVERLAY),
    "the log is another device's": (put(OVERLAY, source="twin"), OVERLAY),
    "the head is another device's": (put(head.FILE, source="twin"), head.FILE),
    "the head is emptied": (write(head.FILE, b""), head.FILE),
    "the head is turned back": (put(head.FILE), "access.json"),
    "the head is removed": (put(head.FILE, source="nowhere"), head.FILE),
    "head and mark are another device's": (put(head.FILE, ENCRYPTED, source="twin"), "access.json"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_without_the_key_is_refused_and_named(ready: Path, device: Path, name: str) -> None:
    change, named = CHANGES[name]
    change(ready, device)
    with pytest.raises(DeviceError, match=named) as refusal:
        read_all(device)
    assert "\n" not in str(refusal.value)


def test_an_honest_folder_is_read_and_changed(device: Path) -> None:
    read_all(device)
    edit(device, "third")
    access(device).remove("boss")
    edgesearch.rollback(device, key=KEY)
    read_all(device)
    assert [event.what for event in edgesearch.log(device, key=KEY)][-2:] == ["edit", "rollback"]


@pytest.mark.parametrize("lines", [1, 2])
def test_lines_cut_off_the_log_are_noticed(device: Path, lines: int) -> None:
    import sqlite3

    with contextlib.closing(sqlite3.connect(device / OVERLAY)) as database:
        database.execute("DROP TRIGGER kept")
        database.execute("DELETE FROM event WHERE number > (SELECT max(number) FROM event) - ?", (lines,))
        database.commit()
    with pytest.raises(DeviceError, match=r"line 4 of its log .* ends at"):
        edgesearch.log(device, key=KEY)


@pytest.mark.parametrize("step", range(6))
def test_a_change_that_stops_at_any_step_leaves_a_folder_that_opens(device: Path, step: int) -> None:
    class Stop(BaseException):
        pass

    names = [one.name for one in access(device).holders()]
    steps = iter(range(100))
    real = os.replace

    def replace(source: Path, target: Path) -> None:
        if next(steps) == step:
            raise Stop
        real(source, target)

    with mock.patch("os.replace", replace), contextlib.suppress(Stop):
        access(device).add_token("new", Role.STAFF)
        edit(device, "third")
    read_all(device)
    assert [one.name for one in access(device).holders()][:2] == names
    access(device).add_token("newer", Role.STAFF)
    edit(device, "fourth")
    read_all(device)


def test_what_is_the_owners_own_is_accepted_on_request_and_logged(
    ready: Path,
    device: Path,
    build: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    put(ACCESS, OVERLAY)(ready, device)
    monkeypatch.setenv("EDGESEARCH_KEY", KEY.hex())
    bundle = str(build(2, sign=ready / "shop.key"))
    assert main(["install", bundle, "--to", str(device)]) == 1
    assert main(["install", bundle, "--to", str(device), "--accept-changes"]) == 0
    read_all(device)
    (accepted,) = [event for event in edgesearch.log(device) if event.what == "accept"]
    assert accepted.detail == {"files": [ACCESS, OVERLAY]}
    capsys.readouterr()
    assert main(["log", str(device)]) == 0
    assert f"accept    {ACCESS}, {OVERLAY}\n" in capsys.readouterr().out


def test_a_plain_folder_in_place_of_an_encrypted_one_is_refused(first: Path, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="--encrypt, or leave the key out"):
        edgesearch.install(first, tmp_path / "device", key=KEY)
    edgesearch.install(first, tmp_path / "device")
    with pytest.raises(DeviceError, match="and a key is given; leave the key out, or restore the folder"):
        edgesearch.open(tmp_path / "device", key=KEY)


def test_a_folder_without_a_head_works_as_before(first: Path, tmp_path: Path) -> None:
    with mock.patch.multiple(device_files, NUMBER_BYTES=0, derive_key=lambda key, _: key):
        edgesearch.install(first, tmp_path / "device", encrypt=True, key=KEY)
    edit(tmp_path / "device", "first")
    read_all(tmp_path / "device")
    assert Slots(tmp_path / "device", KEY).head is None


def test_lost_pins_close_a_plain_folder_too(first: Path, tmp_path: Path) -> None:
    device = tmp_path / "device"
    edgesearch.install(first, device)
    pins = Access(device / ACCESS, Slots(device))
    assert pins.holders() == ()
    pins.add_token("till", Role.STAFF)
    (device / ACCESS).unlink()
    for reader in (pins, Access(device / ACCESS, Slots(device))):
        with pytest.raises(DeviceError, match="the file is gone"):
            reader.holders()
    pins.add_token("boss", Role.MANAGER)
    assert [one.name for one in pins.holders()] == ["boss"]


def read_all(device: Path) -> None:
    """Read everything that decides."""
    slots = Slots(device, KEY)
    slots.settings()
    slots.read_file(TRUSTED)
    Access(device / ACCESS, slots).holders()
    edgesearch.open(device, key=KEY).close()
    edgesearch.log(device, key=KEY)
    overlay_snapshot(device, KEY)
