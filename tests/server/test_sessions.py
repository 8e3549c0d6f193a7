"""Roles, PINs, tokens and sessions."""

import sys
import time
from io import StringIO
from pathlib import Path

import pytest

import edgesearch
from edgesearch.commands.cli import main
from edgesearch.errors import DeviceError

pytest.importorskip("fastapi", reason="the extra `server` is not installed")

from edgesearch.server import sessions, wrong_pins
from edgesearch.server.access import Access, Role
from edgesearch.server.sessions import RefusedError, Sessions, Visitor
from edgesearch.server.state import ServerState
from edgesearch.server.wrong_pins import WrongPins

from .client import PINS, Client
from .client import client as client
from .client import guarded as guarded
from .client import photo as photo


@pytest.mark.slow
def test_each_role_has_its_rights(guarded: Client, photo: bytes) -> None:
    def statuses() -> list[int]:
        asked = [("POST", "/v1/search", {"content": photo}), ("POST", "/v1/undo", {}), ("GET", "/v1/log", {})]
        return [guarded(verb, path, **given).status_code for verb, path, given in asked]

    assert statuses() == [200, 401, 401]
    guarded.log_in("Ada")
    assert statuses() == [200, 409, 401]
    guarded("POST", "/v1/logout")
    guarded.log_in("Bo")
    assert statuses() == [200, 409, 200]
    assert guarded("GET", "/v1/me").json() == {"role": "manager", "name": "Bo", "needs_pin": True}


def test_changes_are_logged_with_the_name_of_the_person(guarded: Client, photo: bytes) -> None:
    guarded.log_in("Ada")
    guarded("POST", "/v1/products", data={"sku": "N1", "name": "New"}, files={"photo": ("a.jpg", photo)})
    guarded.log_in("Bo")
    log = [(one["what"], one["who"]) for one in guarded("GET", "/v1/log").json()["events"]]
    assert log[1:] == [("login", "Ada"), ("enrol", "Ada"), ("login", "Bo")]


def test_token_works_until_it_is_removed(guarded: Client, device: Path) -> None:
    access = Access(device / "access.json")
    token = access.add_token("till", Role.STAFF)
    bearer = {"Authorization": f"Bearer {token}"}
    assert guarded("POST", "/v1/undo", headers=bearer).status_code == 409
    assert guarded("POST", "/v1/undo", headers={"Authorization": "Bearer wrong"}).status_code == 401
    access.remove("till")
    assert guarded("POST", "/v1/undo", headers=bearer).status_code == 401
    assert token not in (device / "access.json").read_text()


def test_wrong_pins_lock_log_ins_for_longer_each_time(device: Path) -> None:
    now = 0.0
    access = Access(device / "access.json")
    access.add_pin("Ada", *PINS["Ada"])
    log_ins = Sessions(access, is_local=True, wrong=WrongPins(device / wrong_pins.FILE, clock=lambda: now))
    for left in range(wrong_pins.FREE_TRIES - 1, 0, -1):
        with pytest.raises(RefusedError, match=f"{left} more"):
            log_ins.log_in("111222")
    with pytest.raises(RefusedError, match="60 seconds"):
        log_ins.log_in("111222")
    with pytest.raises(RefusedError, match="too many"):
        log_ins.log_in(PINS["Ada"][1])
    now = 61.0
    with pytest.raises(RefusedError, match="120 seconds"):
        log_ins.log_in("111222")
    now = 200.0
    assert log_ins.log_in(PINS["Ada"][1])[1].name == "Ada"


def test_session_ends_when_it_is_idle_or_its_pin_is_removed(device: Path) -> None:
    now = 0.0
    access = Access(device / "access.json")
    for name, given in PINS.items():
        access.add_pin(name, *given)
    log_ins = Sessions(access, is_local=True, clock=lambda: now)
    ada, bo = (log_ins.log_in(pin)[0] for _, pin in PINS.values())

    def roles() -> list[Role]:
        return [visitor.role for visitor in (log_ins.identify(ada, None), log_ins.identify(bo, None)) if visitor]

    assert roles() == [Role.STAFF, Role.MANAGER]
    access.remove("Ada")
    assert roles() == [Role.CUSTOMER, Role.MANAGER]
    now = sessions.SESSION_S + 1
    assert roles() == [Role.CUSTOMER, Role.CUSTOMER]


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="the system does not count suspended time")
def test_session_ends_while_the_machine_is_suspended(device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    access = Access(device / "access.json")
    access.add_pin("Ada", *PINS["Ada"])
    log_ins = Sessions(access, is_local=True)
    ada, _ = log_ins.log_in(PINS["Ada"][1])
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    monkeypatch.setattr(time, "clock_gettime", lambda clock: now + sessions.SESSION_S + 1)
    assert log_ins.identify(ada, None) == Visitor(Role.CUSTOMER)


@pytest.mark.parametrize(
    "pin", ["12345", "1234567890123", "12345a", "111111", "121212", "", "\uff11\uff12\uff13\uff14\uff15\uff16"]
)
def test_weak_pin_is_rejected(device: Path, pin: str) -> None:
    with pytest.raises(DeviceError, match="not a PIN"):
        Access(device / "access.json").add_pin("Ada", Role.STAFF, pin)


@pytest.mark.parametrize("content", ["", "{}", '{"format": 2, "holders": []}', '{"format": 1, "holders": [{}]}'])
def test_damaged_access_file_blocks_everybody(device: Path, content: str) -> None:
    (device / "access.json").write_text(content)
    with pytest.raises(DeviceError, match="is damaged"):
        Sessions(Access(device / "access.json"), is_local=True).default_visitor()


def test_other_machines_need_a_pin_or_token(device: Path, tiny_edge: Path) -> None:
    for path in (device, tiny_edge):
        with edgesearch.open(path) as store, pytest.raises(DeviceError, match="PIN"):
            ServerState(store, path, is_local=False)


def test_access_command_adds_lists_and_removes(
    device: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", StringIO("271828\n"))
    assert main(["access", str(device), "--add", "Ada"]) == 0
    assert main(["access", str(device), "--add-token", "till", "--role", "manager"]) == 0
    token = capsys.readouterr().out.strip()
    assert Sessions(Access(device / "access.json"), is_local=True).identify(None, token) == Visitor(
        Role.MANAGER, "till"
    )
    assert main(["access", str(device)]) == 0
    assert capsys.readouterr().out.split("\n")[:2] == ["staff     pin    Ada", "manager   token  till"]
    assert main(["access", str(device), "--remove", "Ada"]) == 0
    assert main(["access", str(device), "--remove", "Ada"]) == 1
    assert "expected one of: till" in capsys.readouterr().err
    assert (device / "access.json").stat().st_mode & 0o077 == 0
