"""A device that staff teach: what it finds, what survives updates, and what its log records."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgesearch
from edgesearch import CatalogError, DeviceError, ImageError, Store
from edgesearch.catalog.loader import read
from edgesearch.device import overlay, overlay_export
from edgesearch.images import image
from edgesearch.search import scoring

from ..conftest import TINY_MODEL

Build = Callable[..., Path]
NO_EXPORTS = (b"", b"{}", b'{"format": 2}', b'{"format": 1, "changes": [{"sku": 3}]}', b"[" * 9000)


@pytest.fixture(scope="module")
def build(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Builds a bundle of the shop, or of another catalogue, by an untrained network; the print is read."""

    def built(sequence: int = 1, catalogue: Path = shop / "catalogue.csv", **options: object) -> Path:
        path = tmp_path_factory.mktemp("bundle") / f"shop{sequence}.edge"
        edgesearch.build(catalogue, path, TINY_MODEL, sequence=sequence, **options)  # type: ignore[arg-type]
        return path

    return built


@pytest.fixture(scope="module")
def first(build: Build) -> Path:
    return build()


@pytest.fixture
def device(first: Path, tmp_path: Path) -> Path:
    edgesearch.install(first, tmp_path / "device")
    return tmp_path / "device"


@pytest.fixture
def store(device: Path) -> Store:
    return edgesearch.open(device)


@pytest.fixture(scope="module")
def strange(shop: Path) -> list[Path]:
    """Photos of products that the shop has not, one of each."""
    return sorted((shop / "photos").glob("P12*.jpg"))


def first_of(store: Store, photo: Path) -> str:
    return store.search(photo, k=1).matches[0].sku


def test_an_enrolled_product_is_found_at_once_by_all_stores(store: Store, device: Path, strange: list[Path]) -> None:
    other = edgesearch.open(device)
    before = first_of(other, strange[0])
    done = store.enrol("NEW", [strange[0]], name="Blue mug", price="4.50", shelf="A7")
    assert (done.product.price, dict(done.product.attributes)["shelf"], done.pictures) == (4.5, "A7", 1)
    for one in (store, other):
        match = one.search(strange[0], k=1).matches[0]
        assert (match.sku, match.name, match.price) == ("NEW", "Blue mug", 4.5)
        assert match.score > 0.9
        assert image.read(one.picture(match)).shape[2] == 3
    assert before != "NEW"
    assert "NEW" in store.skus()
    assert store.search(strange[0], k=20).matches[-1].sku != "NEW"  # and the base's are there too


def test_added_pictures_find_a_known_product(store: Store, shop: Path, strange: list[Path]) -> None:
    sku = read(shop / "catalogue.csv").entries[3].product.sku
    store.enrol(sku, [strange[1]])
    found = store.search(strange[1])
    assert found.matches[0].sku == sku
    assert [match.sku for match in found.matches].count(sku) == 1


def test_the_print_of_taught_pictures_is_compared(store: Store, strange: list[Path]) -> None:
    for number, photo in enumerate(strange):
        store.enrol(f"NEW{number}", [photo], name="x")
    lead = [store.search(photo, k=2) for photo in strange]
    assert [answer.matches[0].sku for answer in lead] == [f"NEW{number}" for number in range(len(strange))]
    assert any("local_features" in answer.elapsed_ms and answer.matches[0].points for answer in lead)


def test_edits_and_removals_take_effect_at_once(store: Store, shop: Path) -> None:
    entry = read(shop / "catalogue.csv").entries[0]
    photo, sku = entry.images[0][1], entry.product.sku
    assert first_of(store, photo) == sku
    assert store.edit(sku, price=1, location="B2", brand=None).location == "B2"
    product = store.search(photo).matches[0].product
    assert (product.price, product.location, product.brand) == (1.0, "B2", None)
    store.remove(sku)
    assert sku not in [match.sku for match in store.search(photo, k=20).matches]
    assert sku not in store.skus()


def test_undo_takes_back_changes_one_by_one(store: Store, shop: Path, strange: list[Path]) -> None:
    entry = read(shop / "catalogue.csv").entries[0]
    photo, sku = entry.images[0][1], entry.product.sku
    store.enrol("NEW", [strange[0]], name="Blue mug")
    store.edit(sku, price=1)
    store.remove(sku)
    store.undo()
    assert store.search(photo).matches[0].price == 1
    store.undo()
    assert store.search(photo).matches[0].price == entry.product.price
    store.undo()
    assert "NEW" not in store.skus()
    with pytest.raises(DeviceError, match="nothing to undo"):
        store.undo()
    store.enrol("NEW", [strange[0]], name="Blue mug")
    store.remove("NEW")
    store.undo()
    assert first_of(store, strange[0]) == "NEW"


def test_taught_products_do_not_hide_those_of_the_bundle(
    build: Build, shop: Path, strange: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "ROWS_PER_RESULT", 1)
    known = read(shop / "catalogue.csv").entries[:2]
    lines = ["sku,name,images"]
    for entry in known:
        copies = [tmp_path / f"{entry.product.sku}-{number}.jpg" for number in range(6)]
        for copy in copies:
            shutil.copy(entry.images[0][1], copy)
        lines.append(f"{entry.product.sku},x,{';'.join(map(str, copies))}")
    (tmp_path / "catalogue.csv").write_text("\n".join(lines))
    edgesearch.install(build(1, tmp_path / "catalogue.csv"), tmp_path / "device")
    with edgesearch.open(tmp_path / "device") as store:
        for number, photo in enumerate(strange):
            store.enrol(f"NEW{number}", [photo], name="Far away")
        gallery = store._gallery()
        found = scoring.best_by_product(gallery, scoring.find_nearest(gallery, store.embed([known[0].images[0][1]]), 2))
    assert {0, 1} <= set(found)


def test_a_store_without_products_answers_unknown(store: Store, strange: list[Path]) -> None:
    for sku in store.skus():
        store.remove(sku)
    answer = store.search(strange[0])
    assert (answer.decision, answer.matches) == ("unknown", ())


@pytest.mark.parametrize(
    ("act", "error", "says"),
    [
        (lambda store, photo: store.enrol("NEW", [photo]), CatalogError, "needs a name"),
        (lambda store, photo: store.enrol("NEW", [], name="x"), CatalogError, "give 1 to 5"),
        (lambda store, photo: store.enrol("NEW", [photo] * 6, name="x"), CatalogError, "give 1 to 5"),
        (lambda store, photo: store.enrol("NEW", [photo], name="x", price="dear"), CatalogError, "price is 'dear'"),
        (lambda store, photo: store.enrol("NEW", [photo], name="x", stock=1.5), CatalogError, "stock is '1.5'"),
        (lambda store, photo: store.enrol("NEW", [photo], name=" "), CatalogError, "empty name"),
        (lambda store, photo: store.enrol(" NEW", [photo], name="x"), CatalogError, "not a SKU"),
        (lambda store, photo: store.enrol("N\0", [photo], name="x"), CatalogError, "not a SKU"),
        (lambda store, photo: store.enrol("", [photo], name="x"), CatalogError, "not a SKU"),
        (lambda store, photo: store.enrol("\udc80", [photo], name="x"), CatalogError, "not a SKU"),
        (lambda store, photo: store.enrol("NEW", [photo, b"no picture"], name="x"), ImageError, "no picture"),
        (lambda store, photo: store.edit("NEW", price=1), CatalogError, "no product of that SKU"),
        (lambda store, photo: store.edit("P000000", images="x.jpg"), CatalogError, "not a SKU or a detail"),
        (lambda store, photo: store.remove("NEW"), CatalogError, "no product of that SKU"),
    ],
)
def test_a_refused_change_changes_nothing(
    store: Store, device: Path, strange: list[Path], act: Callable[[Store, Path], object], error: type, says: str
) -> None:
    with pytest.raises(error, match=says):
        act(store, strange[0])
    assert [event.what for event in edgesearch.log(device)] == ["install"]


def test_a_bundle_file_cannot_be_taught(first: Path, strange: list[Path]) -> None:
    with edgesearch.open(first) as store, pytest.raises(DeviceError, match="install it in a device folder"):
        store.enrol("NEW", strange[:1], name="x")


def test_a_running_process_reopens_a_new_bundle_on_request(
    build: Build, store: Store, device: Path, shop: Path, strange: list[Path]
) -> None:
    store.enrol("NEW", [strange[0]], name="Blue mug")
    assert not store.reopen()
    stop, failed = threading.Event(), []

    def ask() -> None:
        while not stop.is_set():
            if first_of(store, strange[0]) != "NEW":
                failed.append("lost")

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for sequence in (2, 3):
            edgesearch.install(build(sequence), device)
            assert store.reopen()
            assert store.bundle.manifest.sequence == sequence
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failed


def test_taught_products_survive_a_bundle_with_another_network(
    build: Build, store: Store, device: Path, shop: Path, strange: list[Path], tmp_path: Path
) -> None:
    store.enrol("NEW", [strange[0]], name="Blue mug")
    model = tmp_path / "model"
    shutil.copytree(TINY_MODEL, model)
    config = json.loads((model / "config.json").read_text())
    config["preprocessing"]["offset"] += 0.25
    (model / "config.json").write_text(json.dumps(config))
    edgesearch.build(shop / "catalogue.csv", tmp_path / "other.edge", model, sequence=2)
    edgesearch.install(tmp_path / "other.edge", device)
    assert store.reopen()
    answer = store.search(strange[0], k=1)
    assert (answer.matches[0].sku, answer.matches[0].score > 0.9) == ("NEW", True)
    edgesearch.rollback(device)
    with edgesearch.open(device) as back:
        assert first_of(back, strange[0]) == "NEW"


def test_a_picture_of_a_match_from_another_bundle_is_refused(
    build: Build, store: Store, device: Path, strange: list[Path]
) -> None:
    store.enrol("NEW", [strange[0]], name="Blue mug")
    taught, known = store.search(strange[0], k=2).matches
    assert taught.sku == "NEW"
    edgesearch.install(build(2), device)
    assert store.reopen()
    assert store.picture(taught)
    with pytest.raises(DeviceError, match="search again"):
        store.picture(known)


def test_a_removed_product_does_not_return_with_the_next_bundle(
    build: Build, store: Store, device: Path, strange: list[Path], tmp_path: Path
) -> None:
    store.enrol("NEW", [strange[0]], name="Blue mug")
    edgesearch.export(device, tmp_path / "taught")
    store.remove("NEW")
    edgesearch.install(build(2, merge=[tmp_path / "taught"]), device)
    store.reopen()
    assert "NEW" not in store.skus()
    store.enrol("NEW", [strange[0]])
    assert "NEW" in store.skus()


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


def test_older_bundles_are_refused_even_without_the_state_file(build: Build, device: Path, first: Path) -> None:
    edgesearch.install(build(3), device)
    (device / "current").unlink()
    with pytest.raises(DeviceError, match="has had 3"):
        edgesearch.install(build(2), device)
    assert edgesearch.install(build(3), device).sequence == 3


def test_several_processes_can_create_the_overlay(device: Path) -> None:
    for path in device.glob(f"{overlay.FILE}*"):
        path.unlink()
    code = "import edgesearch, sys; edgesearch.open(sys.argv[1]).edit('P000000', price=sys.argv[2])"
    started = [subprocess.Popen([sys.executable, "-c", code, str(device), str(price)]) for price in range(1, 5)]
    assert [process.wait() for process in started] == [0] * 4
    assert sorted(event.detail["after"]["details"]["price"] for event in edgesearch.log(device)) == [1, 2, 3, 4]


def test_a_closed_store_refuses_searches(store: Store, strange: list[Path]) -> None:
    store.close()
    with pytest.raises(DeviceError, match="was closed"):
        store.search(strange[0])


def test_exported_changes_come_back_with_the_catalogue(
    build: Build, store: Store, device: Path, shop: Path, strange: list[Path], tmp_path: Path
) -> None:
    products = [entry.product for entry in read(shop / "catalogue.csv").entries]
    store.enrol("NEW", [strange[0]], name="Blue mug", location="A7")
    store.enrol(products[1].sku, [strange[1]])
    store.edit(products[2].sku, price=1)
    store.remove(products[3].sku)
    assert edgesearch.export(device, tmp_path / "taught") == 4
    merged = build(2, merge=[tmp_path / "taught"])
    with edgesearch.open(merged) as base:
        assert base.skus() == {product.sku for product in products} - {products[3].sku} | {"NEW"}
        match = base.search(strange[0]).matches[0]
        assert (match.sku, match.product.location) == ("NEW", "A7")
        assert first_of(base, strange[1]) == products[1].sku
    edgesearch.install(merged, device)
    assert store.reopen()
    assert first_of(store, strange[0]) == "NEW"
    assert store.base.index.size == len(products) + 1
    edgesearch.install(build(3, merge=[tmp_path / "taught"]), device)
    assert not store.overlay.snapshot().changes  # type: ignore[union-attr]  # both bundles contain all changes
    assert [event.detail["skus"] for event in edgesearch.log(device) if event.what == "fold"][-1]


def test_changes_of_two_devices_are_merged_in_order(
    first: Path, shop: Path, strange: list[Path], tmp_path: Path
) -> None:
    products = [entry.product for entry in read(shop / "catalogue.csv").entries]
    for name, price in (("one", 1), ("two", 2)):
        edgesearch.install(first, tmp_path / name)
        with edgesearch.open(tmp_path / name) as store:
            store.edit(products[0].sku, price=price)
            store.enrol("NEW", [strange[price - 1]], name=f"Mug {name}", colour="blue")
        edgesearch.export(tmp_path / name, tmp_path / f"taught-{name}")
    folders = [tmp_path / "taught-one", tmp_path / "taught-two"]
    entries, notes = overlay_export.merge(read(shop / "catalogue.csv").entries, folders)
    assert entries[0].product.price == 1
    assert (entries[-1].product.name, len(entries[-1].images)) == ("Mug one", 2)
    assert len(notes) == 2 and all("taught-two" in note for note in notes)


@pytest.mark.parametrize("content", NO_EXPORTS)
def test_a_damaged_export_is_refused(shop: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "taught.json").write_bytes(content)
    with pytest.raises(CatalogError, match=r"taught\.json"):
        overlay_export.merge(read(shop / "catalogue.csv").entries, [tmp_path])
    with pytest.raises(CatalogError, match="cannot be read"):
        overlay_export.merge([], [tmp_path / "nowhere"])


@pytest.mark.parametrize(
    "wrong",
    [{"details": {"name": {"a": 1}}}, {"details": {}}, {"own": "false"}, {"details": {"name": "x", "price": "dear"}}],
)
def test_an_export_with_wrong_details_is_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    change = {"sku": "P", "own": True, "removed": False, "details": {"name": "x"}, "was": {}, "pictures": []}
    (tmp_path / "taught.json").write_text(json.dumps({"format": 1, "changes": [{**change, **wrong}]}))
    with pytest.raises(CatalogError):
        overlay_export.merge([], [tmp_path])


def test_an_export_cannot_name_a_picture_outside_its_folder(shop: Path, tmp_path: Path) -> None:
    change = {"sku": "P", "own": True, "removed": False, "details": {"name": "x"}, "was": {}, "pictures": ["../../x"]}
    (tmp_path / "taught.json").write_text(json.dumps({"format": 1, "changes": [change]}))
    with pytest.raises(CatalogError, match="damaged"):
        overlay_export.merge([], [tmp_path])


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


def test_an_overlay_of_a_newer_format_is_refused(device: Path, strange: list[Path]) -> None:
    with sqlite3.connect(device / overlay.FILE) as database:
        database.execute("PRAGMA user_version = 2")
    with edgesearch.open(device) as store, pytest.raises(DeviceError, match=r"overlay.sqlite: format 2"):
        store.search(strange[0])


def test_writers_queue_and_readers_see_complete_transactions(device: Path, strange: list[Path]) -> None:
    store = edgesearch.open(device)
    store.enrol("NEW", [strange[0]], name="Blue mug", price=0)
    stores = [edgesearch.open(device) for _ in range(3)]
    seen: list[float | None] = []

    def write(one: Store) -> None:
        for price in range(1, 6):
            one.edit("NEW", price=price, stock=price)

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
