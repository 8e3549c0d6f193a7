"""The profile of a device: recorded, shown, exported and erased, and how far it moves rankings."""

import errno
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import edgesearch
from edgesearch import CatalogError, DeviceError, Store
from edgesearch._util import sqlite_file
from edgesearch.commands.cli import main
from edgesearch.device import profile
from edgesearch.search.preference import BOUND, Preference, traits_of

from ..conftest import TINY_MODEL

KEY = bytes(range(32))


@pytest.fixture(scope="module")
def edge(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("edge") / "shop.edge"
    edgesearch.build(shop / "catalogue.csv", path, TINY_MODEL)
    return path


@pytest.fixture
def device(edge: Path, tmp_path: Path) -> Path:
    edgesearch.install(edge, tmp_path / "device")
    return tmp_path / "device"


@pytest.fixture
def store(device: Path) -> Store:
    return edgesearch.open(device)


def bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.glob(f"{profile.FILE}*")))


def test_the_profile_is_off_until_it_is_switched_on(store: Store, shop: Path, device: Path) -> None:
    photo = shop / "photos" / "P000001-1.jpg"
    before, alike = store.search(photo), store.similar("P000001")
    assert not store.profile.is_on()
    assert not store.feedback(before, before.matches[-1].sku)
    assert not (device / profile.FILE).exists()
    store.profile.switch(True)
    for _ in range(20):
        assert store.feedback([match.sku for match in alike], alike[-1].sku)
    moved = store.similar("P000001")
    assert moved != alike
    for place, match in enumerate(moved):
        assert max((one.score - match.score for one in moved[place + 1 :]), default=0) <= BOUND + 1e-6
    store.profile.switch(False)
    assert not store.feedback(before, before.matches[-1].sku)
    assert len(store.profile.reactions()) == 20
    assert (store.search(photo).matches, store.search(photo).decision) == (before.matches, before.decision)
    assert store.similar("P000001") == alike
    store.profile.switch(True)
    assert store.similar("P000001") == moved


@pytest.mark.slow
def test_a_device_with_the_profile_off_answers_as_the_bundle_file(store: Store, edge: Path, shop: Path) -> None:
    store.profile.switch(True)
    store.feedback([], "P000001")
    store.profile.switch(False)
    with edgesearch.open(edge) as plain:
        for photo in sorted((shop / "photos").glob("*.jpg"))[:3]:
            for k in (1, 20):
                mine, its = plain.search(photo, k), store.search(photo, k)
                assert (mine.decision, mine.matches) == (its.decision, its.matches)
        assert plain.similar("P000003", 7) == store.similar("P000003", 7)
        with pytest.raises(DeviceError, match="a file keeps no profile"):
            _ = plain.profile


@pytest.mark.slow
def test_the_first_match_of_a_photo_never_moves(store: Store, shop: Path) -> None:
    photos = sorted((shop / "photos").glob("*.jpg"))[::3]
    before = [store.search(photo, k=8) for photo in photos]
    store.profile.switch(True)
    for answer in before:
        for _ in range(5):
            store.feedback(answer, answer.matches[-1].sku)
    after = [store.search(photo, k=8) for photo in photos]
    assert [answer.decision for answer in after] == [answer.decision for answer in before]
    for one, other in zip(before, after, strict=True):
        assert one.matches[0] == other.matches[0]
        assert {match.sku: match for match in one.matches} == {match.sku: match for match in other.matches}
    assert [store.search(photo, k=1).matches for photo in photos] == [answer.matches[:1] for answer in before]


def test_products_ranked_before_a_pick_are_passed_over(store: Store) -> None:
    store.profile.switch(True)
    order = ["P000003", "P000001", "P000002"]
    store.feedback(order, "P000001")
    store.feedback(order, "P000005")
    store.feedback([*order, "GONE"], "P000006", picked=False)
    newest, second, first = store.profile.reactions()
    assert [sku for sku, _ in first.passed] == ["P000003"]
    assert [sku for sku, _ in second.passed] == order
    assert (newest.picked, newest.sku, list(newest.passed)) == (False, "P000006", [])
    with pytest.raises(CatalogError, match="GONE: no product"):
        store.feedback(order, "GONE")


def test_records_are_shown_and_exported(store: Store, device: Path, tmp_path: Path) -> None:
    store.profile.switch(True)
    store.feedback(["P000003"], "P000001")
    table = store.profile.to_dict()
    assert table["on"]
    assert [one["sku"] for one in table["said"]] == ["P000001"]
    assert {one["kind"] for one in table["traits"]} >= {"brand", "price"}
    strengths = [abs(one["log_odds"]) for one in table["traits"]]
    assert strengths == sorted(strengths, reverse=True)
    assert store.profile.export(tmp_path / "liked.json") == 1
    assert json.loads((tmp_path / "liked.json").read_text()) == table
    assert os.stat(tmp_path / "liked.json").st_mode & 0o077 == 0
    with pytest.raises(DeviceError, match="exists already"):
        store.profile.export(tmp_path / "liked.json")
    with pytest.raises(DeviceError, match="cannot be written"):
        store.profile.export(tmp_path / "none" / "liked.json")
    edgesearch.export(device, tmp_path / "taught")
    assert not any("P000003" in path.read_text() for path in (tmp_path / "taught").rglob("*.json"))
    assert not any(event.what not in ("install",) for event in edgesearch.log(device))


def test_an_export_that_fails_leaves_no_file(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(DeviceError, match="No space left"):
        patch.setattr(os, "fsync", full)
        store.profile.export(tmp_path / "liked.json")
    assert not list(tmp_path.glob("*liked*"))
    assert store.profile.export(tmp_path / "liked.json") == 0


def test_the_preference_is_derived_once_for_each_change(
    store: Store, device: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, of = [], Preference.of
    monkeypatch.setattr(Preference, "of", lambda said: made.append(0) or of(said))
    with edgesearch.open(device) as other:
        for change in (
            lambda: other.profile.switch(True),
            lambda: other.feedback([], "P000001"),
            lambda: store.feedback([], "P000002"),
        ):
            change()
            assert [store.profile.preference() for _ in range(3)] == [of(store.profile.reactions())] * 3
        assert len(made) == 3
        other.profile.erase()
        assert store.profile.preference() is None
        other.profile.switch(True)
        assert store.profile.preference() == Preference()


def test_erasing_removes_every_byte_while_other_stores_are_open(store: Store, device: Path) -> None:
    other = edgesearch.open(device)
    alike = other.similar("P000001")
    store.profile.switch(True)
    for number in range(60):
        store.feedback([f"P00000{digit}" for digit in range(8)], f"P00000{number % 7 + 1}")
    word = traits_of(store.search(np.zeros((9, 9, 3), np.uint8)).matches[0].product)["brand"].encode()
    assert other.profile.preference() is not None
    assert word in bytes_of(device)
    assert b"P000003" in bytes_of(device)
    store.profile.erase()
    assert (device / profile.FILE).stat().st_size <= 3 * 4096  # its size reveals nothing either
    for text in (word, b"P000003", b"sku", b"picked"):
        assert text not in bytes_of(device)
    for one in (store, other):
        assert (one.profile.is_on(), one.profile.reactions()) == (False, [])
    assert other.similar("P000001") == alike
    store.profile.erase()
    other.profile.switch(True)
    assert other.feedback([], "P000001")
    assert len(store.profile.reactions()) == 1


def test_an_open_reader_is_reported_and_erasing_works_after_it_closes(
    store: Store, device: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.profile.switch(True)
    store.feedback([], "P000003")
    monkeypatch.setattr(sqlite_file, "BUSY_TIMEOUT_S", 0.1)
    reader = sqlite3.connect(device / profile.FILE, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM said").fetchall()
    with pytest.raises(DeviceError, match="another process still reads it; do it again"):
        store.profile.erase()
    assert store.profile.reactions() == []
    reader.close()
    store.profile.erase()
    assert b"P000003" not in bytes_of(device)


def test_the_profile_of_an_encrypted_folder_is_unreadable(edge: Path, tmp_path: Path) -> None:
    device = tmp_path / "device"
    edgesearch.install(edge, device, encrypt=True, key=KEY)
    with edgesearch.open(device, key=KEY) as store:
        store.profile.switch(True)
        store.feedback(["P000003"], "P000001")
        assert store.profile.reactions()[0].sku == "P000001"
        brand = store.similar("P000003", 7)[0].product.brand
        assert brand is not None
        for word in (b"P000003", b"P000001", brand.casefold().encode(), b"picked", b'"on"'):
            assert word not in bytes_of(device)
        store.profile.erase()
        assert store.profile.reactions() == []


def test_only_the_last_records_are_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile, "MAX_RECORDS", 5)
    store.profile.switch(True)
    for number in range(9):
        store.feedback([], f"P00000{number % 8}")
    assert [one.sku for one in store.profile.reactions()] == ["P000000", "P000007", "P000006", "P000005", "P000004"]


@pytest.mark.slow
def test_threads_and_processes_can_record_at_once(store: Store, device: Path) -> None:
    store.profile.switch(True)
    code = f"import edgesearch; s = edgesearch.open({str(device)!r}); [s.feedback([], 'P000002') for _ in range(10)]"
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        threads = [
            threading.Thread(target=lambda: [store.feedback([], "P000001") for _ in range(10)]) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert process.returncode == 0
    skus = [one.sku for one in store.profile.reactions()]
    assert (skus.count("P000001"), skus.count("P000002")) == (30, 10)


@pytest.mark.slow
def test_a_killed_process_loses_no_finished_record(store: Store, device: Path) -> None:
    store.profile.switch(True)
    code = (
        f"import edgesearch; s = edgesearch.open({str(device)!r})\n"
        "while True: print(s.feedback(['P000003'] * 50, 'P000002'), flush=True)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        kept = [process.stdout.readline() for _ in range(12)]
        process.kill()
        kept += process.stdout.readlines()
    assert kept[0] == b"True\n"
    assert len(kept) <= len(store.profile.reactions()) + 1 <= len(kept) + 2
    store.profile.erase()
    assert b"P000003" not in bytes_of(device)
    assert store.profile.reactions() == []


@pytest.mark.slow
def test_the_profile_survives_the_next_bundle(store: Store, device: Path, shop: Path, tmp_path: Path) -> None:
    store.profile.switch(True)
    store.feedback([], "P000001")
    lines = (shop / "catalogue.csv").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith("P000001")]
    (tmp_path / "c.csv").write_text("\n".join(kept).replace("pictures/", f"{shop}/pictures/"), encoding="utf-8")
    edgesearch.build(tmp_path / "c.csv", tmp_path / "2.edge", TINY_MODEL, sequence=int(time.time()) + 60)
    edgesearch.install(tmp_path / "2.edge", device)
    assert store.reopen()
    held = store.profile.preference()
    assert held is not None
    assert any(kind == "brand" for kind, _ in held.weights)  # though the product is gone
    assert "P000001" not in store.skus()


@pytest.mark.parametrize("content", [b"", b"x", b"{}", bytes(16) + b"{}"])
def test_damage_is_reported_and_can_be_erased(store: Store, device: Path, content: bytes) -> None:
    store.profile.switch(True)
    store.feedback([], "P000001")
    with sqlite3.connect(device / profile.FILE) as connection:
        connection.execute("UPDATE said SET content = ?", (content,))
    connection.close()
    for act in (store.profile.reactions, store.profile.preference, lambda: store.similar("P000001")):
        with pytest.raises(DeviceError, match=f"{profile.FILE}: is damaged"):
            act()
    store.profile.erase()
    assert store.similar("P000001")


@pytest.mark.slow
def test_a_file_that_is_no_database_is_reported(store: Store, device: Path) -> None:
    (device / profile.FILE).write_bytes(b"no database, " * 400)
    for act in (store.profile.is_on, store.profile.erase, lambda: store.similar("P000001")):
        with pytest.raises(DeviceError, match=profile.FILE):
            act()
    (device / profile.FILE).unlink()
    assert store.similar("P000001")


@pytest.mark.slow
def test_the_profile_command(device: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: str) -> tuple[int, str, str]:
        status = main(["profile", str(device), *arguments])
        return (status, *capsys.readouterr())

    status, out, err = run("pick", "--sku", "P000001")
    assert (status, out) == (1, "")
    assert "its profile is off, and nothing is kept; switch it on with" in err
    assert run("show")[1] == "off; 0 picks and dismissals are kept\n"
    assert "is on" in run("on")[1]
    assert run("pick", "--sku", "P000001", "--over", "P000002", "P000003")[0] == 0
    assert run("dismiss", "--sku", "P000004")[0] == 0
    status, out, err = run("pick", "--sku", "P9")
    assert (status, err) == (1, "edgesearch: P9: no product of that SKU is here; check it.\n")
    status, out, err = run("pick", "--sku", "P000001", "--over", "P000002", "P8", "P9")
    assert (status, err) == (1, "edgesearch: P8, P9: no product has this SKU; check --over.\n")
    lines = run("show")[1].splitlines()
    assert lines[0] == "on; 2 picks and dismissals are kept"
    assert any("brand" in line and "picked" in line for line in lines[1:])
    assert json.loads(run("show", "--json")[1])["on"]
    assert run("export", "-o", str(tmp_path / "liked.json"))[0] == 0
    assert run("export", "-o", str(tmp_path / "liked.json"))[0] == 1
    assert "is off" in run("off")[1]
    assert "erased" in run("erase")[1]
    assert run("show")[1] == "off; 0 picks and dismissals are kept\n"
    assert main(["profile", str(tmp_path / "none"), "on"]) == 1
    assert "none" in capsys.readouterr().err
    for wrong in ([], ["fly"], ["pick"], ["export"]):
        with pytest.raises(SystemExit):
            run(*wrong)
