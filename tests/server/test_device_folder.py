"""Test what a server makes of its device folder: it removes leftovers, and lost or exchanged PINs keep it closed."""

import contextlib
from pathlib import Path

import pytest

import edgesearch
from edgesearch import DeviceError
from edgesearch.device.slots import ACCESS, Slots
from edgesearch.server.access import Access, Role
from edgesearch.server.state import ServerState

KEY = bytes(range(32))


@pytest.fixture(params=[False, True], ids=["plain", "encrypted"])
def device(tiny_edge: Path, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    if request.param:
        monkeypatch.setenv("EDGESEARCH_KEY", KEY.hex())
    edgesearch.install(tiny_edge, tmp_path / "device", encrypt=request.param)
    return tmp_path / "device"


def test_a_server_that_starts_removes_what_a_killed_one_left(device: Path) -> None:
    (device / ".upload-left").mkdir()
    (device / ".upload-left" / "uploaded.edge").write_bytes(b"content")
    with edgesearch.open(device) as store, contextlib.closing(ServerState(store, device)):
        assert not (device / ".upload-left").exists()


def test_lost_pins_close_a_server_that_starts_and_one_that_runs(device: Path) -> None:
    with edgesearch.open(device) as store, contextlib.closing(ServerState(store, device)) as running:
        visitor = running.sessions.default_visitor()
        assert visitor and visitor.role == Role.MANAGER
        Access(device / ACCESS, Slots(device)).add_token("till", Role.STAFF)
        assert running.sessions.default_visitor() != visitor
        (device / ACCESS).unlink()
        with pytest.raises(DeviceError, match=r"access\.json: "):
            running.sessions.default_visitor()
        with pytest.raises(DeviceError, match=r"access\.json: "):
            ServerState(store, device)


def test_pins_of_before_are_kept_from_the_first_start_on(device: Path) -> None:
    if Slots(device).encrypted:
        pytest.skip("nothing is written there without the head")
    Access(device / ACCESS).add_token("till", Role.STAFF)
    assert not Slots(device).guarded
    with edgesearch.open(device) as store, contextlib.closing(ServerState(store, device)):
        assert Slots(device).guarded


def test_a_named_file_of_pins_must_exist(device: Path, tmp_path: Path) -> None:
    with edgesearch.open(device) as store, pytest.raises(DeviceError, match=r"pins\.json: .* is gone"):
        ServerState(store, device, access=tmp_path / "pins.json")
