"""Wrong PINs: whom they lock out, where, and for how long."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra `server` is not installed")

from edgesearch._util import files
from edgesearch.device.overlay import Overlay
from edgesearch.errors import DeviceError
from edgesearch.server import wrong_pins
from edgesearch.server.access import Access, Holder
from edgesearch.server.sessions import RefusedError, Sessions, WrongPinError
from edgesearch.server.wrong_pins import FREE_ELSEWHERE, FREE_TRIES, MAX_WAIT_S, WrongPins

from .client import PINS, Client
from .client import guarded as guarded
from .client import photo as photo

KIOSK, OFFICE = "192.168.1.7", "192.168.1.8"
ADA, BO = (PINS[name][1] for name in ("Ada", "Bo"))


class Clock:
    now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def start(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Sessions]:
    """Return a function that starts a server's sessions, again after the first time."""
    monkeypatch.setattr(Holder, "accepts", lambda holder, pin: pin == PINS[holder.name][1])  # without hashing
    access = Access(tmp_path / "access.json")
    for name, given in PINS.items():
        access.add_pin(name, *given)
    return lambda: Sessions(access, True, clock, WrongPins(tmp_path / wrong_pins.FILE, clock))


def guess(log_ins: Sessions, times: int, address: str = KIOSK) -> None:
    for _ in range(times):
        with pytest.raises(WrongPinError):
            log_ins.log_in("111222", address)


def test_right_pin_of_ones_own_does_not_clear_the_count_of_others(start: Callable[[], Sessions]) -> None:
    log_ins = start()
    for _ in range(3):
        guess(log_ins, FREE_TRIES - 1)
        assert log_ins.log_in(ADA, KIOSK)[1].name == "Ada"
    guess(log_ins, 1)
    with pytest.raises(RefusedError):  # right, but not tried
        log_ins.log_in(BO, KIOSK)
    assert log_ins.log_in(BO, OFFICE)[1].name == "Bo"


def test_guesses_at_one_address_lock_no_other(start: Callable[[], Sessions], clock: Clock) -> None:
    log_ins = start()
    guess(log_ins, FREE_TRIES)
    for pin in (ADA, BO):
        with pytest.raises(RefusedError, match="too many wrong PINs"):
            log_ins.log_in(pin, KIOSK)
        log_ins.log_in(pin, OFFICE)
    clock.now += MAX_WAIT_S
    log_ins.log_in(ADA, KIOSK)


def test_guesses_at_many_addresses_lock_only_those_that_a_person_has_not_used(start: Callable[[], Sessions]) -> None:
    log_ins = start()
    log_ins.log_in(ADA, OFFICE)
    for number in range(FREE_ELSEWHERE):
        guess(log_ins, 1, f"10.0.0.{number}")
    with pytest.raises(RefusedError):
        log_ins.log_in(BO, OFFICE)
    with pytest.raises(RefusedError):
        log_ins.log_in(ADA, KIOSK)
    assert log_ins.log_in(ADA, OFFICE)[1].name == "Ada"


def test_restart_does_not_clear_the_counts(start: Callable[[], Sessions]) -> None:
    guess(start(), FREE_TRIES)
    with pytest.raises(RefusedError, match="too many wrong PINs"):
        start().log_in(ADA, KIOSK)


def test_an_attacker_has_a_hundred_guesses_a_day(start: Callable[[], Sessions], clock: Clock) -> None:
    log_ins, guesses, ends = start(), 0, clock.now + 2 * wrong_pins.DAY_S
    while clock.now < ends:
        try:
            log_ins.log_in("111222", KIOSK)
        except RefusedError as error:
            guesses += isinstance(error, WrongPinError)
            clock.now += error.wait_s or 1.0
    assert 2 * 96 <= guesses <= 2 * 101


def test_wrong_pins_count_for_a_day_by_any_clock(start: Callable[[], Sessions], clock: Clock) -> None:
    guess(start(), FREE_TRIES)
    clock.now -= 365 * wrong_pins.DAY_S  # a device without a battery
    log_ins = start()
    with pytest.raises(RefusedError) as refused:
        log_ins.log_in(ADA, KIOSK)
    assert refused.value.wait_s <= MAX_WAIT_S
    clock.now += wrong_pins.DAY_S + 1
    guess(log_ins, 1)
    assert log_ins.wrong_pins() == 1


@pytest.mark.parametrize("content", ["", "[]", "[" * 100_000, '{"addresses": {"a": {"wrong": ["x"], "right": 1}}}'])
def test_damaged_counts_keep_nobody_out(start: Callable[[], Sessions], tmp_path: Path, content: str) -> None:
    (tmp_path / wrong_pins.FILE).write_text(content)
    log_ins = start()
    guess(log_ins, 1)
    log_ins.log_in(ADA, KIOSK)
    table = json.loads((tmp_path / wrong_pins.FILE).read_text())
    assert list(table["addresses"]) == [KIOSK]
    assert (tmp_path / wrong_pins.FILE).stat().st_mode & 0o077 == 0


def test_right_pin_is_accepted_although_the_disk_is_full(guarded: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise DeviceError("the disk is full.")

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Overlay, "record", fail)
    monkeypatch.setattr(files, "replacing", refuse)
    for _ in range(FREE_TRIES - 1):
        assert guarded("POST", "/v1/login", json={"pin": "111222"}).status_code == 403
    guarded.log_in("Ada")
    assert guarded("POST", "/v1/login", json={"pin": "111222"}).status_code == 403
    assert guarded("POST", "/v1/login", json={"pin": BO}).status_code == 403  # the wrong ones were counted


def test_wrong_pins_are_logged_without_the_pin_and_told_to_managers(guarded: Client) -> None:
    guarded.log_in("Ada")
    assert "wrong_pins" not in guarded("POST", "/v1/login", json={"pin": ADA}).json()
    for pin in ("111222", "111223"):
        assert guarded("POST", "/v1/login", json={"pin": pin}).status_code == 403
    assert guarded("POST", "/v1/login", json={"pin": BO}).json()["wrong_pins"] == 2
    events = [one for one in guarded("GET", "/v1/log").json()["events"] if one["what"] == "wrong_pin"]
    assert [(one["who"], one["detail"]["address"]) for one in events] == [("Ada", "127.0.0.1")] * 2
    assert "11122" not in json.dumps(events)
