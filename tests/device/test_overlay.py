"""The overlay file: its log, damage, concurrent use and privacy."""

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import edgesearch
from edgesearch import DeviceError, Store
from edgesearch.device import overlay
from edgesearch.images import image

from .conftest import first_of


def test_a_moved_overlay_file_is_noticed(store: Store, device: Path, strange: list[Path]) -> None:
    before = first_of(store, strange[0])
    store.enrol("NEW", [strange[0]], name="Blue mug")
    assert first_of(store, strange[0]) == "NEW"
    aside = device.parent / "aside"
    aside.mkdir()
    for path in device.glob(f"{overlay.FILE}*"):
        path.rename(aside / path.name)
    assert first_of(store, strange[0]) == before
    with pytest.raises(DeviceError, match="nothing to undo"):
        store.undo()
    for path in device.glob(f"{overlay.FILE}*"):
        path.unlink()
    for path in aside.iterdir():
        path.rename(device / path.name)
    assert first_of(store, strange[0]) == "NEW"


@pytest.mark.slow
def test_several_processes_can_create_the_overlay(device: Path) -> None:
    for path in device.glob(f"{overlay.FILE}*"):
        path.unlink()
    code = "import edgesearch, sys; edgesearch.open(sys.argv[1]).edit('P000000', price=sys.argv[2])"
    started = [subprocess.Popen([sys.executable, "-c", code, str(device), str(price)]) for price in range(1, 5)]
    assert [process.wait() for process in started] == [0] * 4
    assert sorted(event.detail["after"]["details"]["price"] for event in edgesearch.log(device)) == [1, 2, 3, 4]


def test_the_log_records_who_did_what_and_reveals_tampering(store: Store, device: Path, strange: list[Path]) -> None:
    store.enrol("NEW", [strange[0]], who="anna", name="Blue mug")
    store.edit("NEW", who="ben", price=3)
    store.undo()
    events = edgesearch.log(device)
    assert [event.what for event in events] == ["install", "enrol", "edit", "undo"]
    assert [event.who for event in events[1:3]] == ["anna", "ben"]
    assert events[2].detail["after"]["details"]["price"] == 3
    store.close()
    with sqlite3.connect(device / overlay.FILE) as database:
        with pytest.raises(sqlite3.IntegrityError, match="only added to"):
            database.execute("DELETE FROM event WHERE number = 3")
        database.execute("DROP TRIGGER kept")
        database.execute("DELETE FROM event WHERE number = 3")
    with pytest.raises(DeviceError, match="line 3 of its log was changed"):
        edgesearch.log(device)


def test_lost_changes_are_detected(store: Store, device: Path, strange: list[Path]) -> None:
    store.enrol("NEW", [strange[0]], name="Blue mug")
    store.close()
    with sqlite3.connect(device / overlay.FILE) as database:
        database.execute("DELETE FROM change")
    with edgesearch.open(device) as again, pytest.raises(DeviceError, match="its changes are not those of its log"):
        again.search(strange[0])


@pytest.mark.skipif(os.name == "nt", reason="Windows deletes no open files")
@pytest.mark.parametrize("suffixes", [["-wal"], ["-wal", "-shm"]])
def test_an_edit_survives_the_deletion_of_the_files_beside_it(device: Path, suffixes: list[str]) -> None:
    with edgesearch.open(device) as store, edgesearch.open(device) as other:
        sku = min(store.skus())
        store.edit(sku, price=1)
        other.edit(sku, stock=1)
        for suffix in suffixes:
            (device / f"{overlay.FILE}{suffix}").unlink()
        for one in (other, store):
            assert (one.products([sku])[sku].price, one.products([sku])[sku].stock) == (1, 1)
        other.edit(sku, brand="after")
        assert store.products([sku])[sku].brand == "after"
    assert [event.what for event in edgesearch.log(device)] == ["install", "edit", "edit", "edit"]


def test_an_overlay_of_a_newer_format_is_refused(device: Path, strange: list[Path]) -> None:
    with sqlite3.connect(device / overlay.FILE) as database:
        database.execute("PRAGMA user_version = 2")
    with edgesearch.open(device) as store, pytest.raises(DeviceError, match=r"overlay.sqlite: format 2"):
        store.search(strange[0])


@pytest.mark.slow
def test_writers_queue_and_readers_see_complete_transactions(device: Path, strange: list[Path]) -> None:
    store = edgesearch.open(device)
    store.enrol("NEW", [strange[0]], name="Blue mug", price=0)
    stores = [edgesearch.open(device) for _ in range(3)]
    seen: list[float | None] = []

    def write(one: Store) -> None:
        for price in range(stores.index(one), 15, len(stores)):  # each its own, because an equal one changes nothing
            one.edit("NEW", price=price + 1, stock=price + 1)

    def read() -> None:
        while any(thread.is_alive() for thread in threads):
            product = store.search(strange[0], k=1, fast=True).matches[0].product
            seen.append(None if (product.stock or 0) == product.price else product.price)

    threads = [threading.Thread(target=write, args=(one,)) for one in stores]
    for thread in threads:
        thread.start()
    read()
    assert seen and not any(seen)
    assert len(edgesearch.log(device)) == 2 + 3 * 5


@pytest.mark.slow
def test_a_read_only_folder_can_be_read(device: Path, strange: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    with edgesearch.open(device) as store:
        store.enrol("NEW", [strange[0]], name="Blue mug")
    connect = sqlite3.connect

    def refused(address: object, *args: object, **settings: object) -> sqlite3.Connection:
        if "mode=rw" in str(address):
            return connect("file:/nowhere/overlay.sqlite?mode=ro", uri=True)
        return connect(address, *args, **settings)  # type: ignore[call-overload]

    monkeypatch.setattr(sqlite3, "connect", refused)
    with edgesearch.open(device) as store:
        assert first_of(store, strange[0]) == "NEW"


def test_files_are_readable_only_by_their_owner(store: Store, device: Path, strange: list[Path]) -> None:
    os.umask(0)
    store.enrol("NEW", [strange[0]], name="Blue mug")
    for path in device.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_photos_of_searches_are_not_stored(store: Store, device: Path, strange: list[Path]) -> None:
    before = {path: path.read_bytes() for path in device.rglob("*") if path.is_file() and "-shm" not in path.name}
    store.search(np.asarray(image.read(strange[0])))
    assert before == {path: path.read_bytes() for path in before}


@pytest.mark.slow
def test_concurrent_writers_do_not_damage_the_file(device: Path) -> None:
    code = """if True:
        import sys, threading
        from pathlib import Path
        from edgesearch.device.changes import Change
        from edgesearch.device.overlay import Overlay
        from edgesearch.bundle.sealing import Seal

        def write(name):
            kept = Overlay(Path(sys.argv[1]), Seal())
            for price in range(25):
                one = Overlay(Path(sys.argv[1]), Seal())
                one.change("edit", name, lambda before: Change(details={"price": price}))
                assert kept.snapshot().changes[name].details["price"] == price
                one.close()

        threads = [threading.Thread(target=write, args=(f"{sys.argv[2]}-{number}",)) for number in range(3)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
    """
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(device), name], stderr=subprocess.PIPE, text=True)
        for name in ("one", "two")
    ]
    assert [process.communicate()[1] for process in started] == ["", ""]
    assert len(edgesearch.log(device)) == 1 + 2 * 3 * 25
