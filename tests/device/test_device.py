"""A device that staff teach: what it finds, what survives updates, and what its log records."""

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import edgesearch
from edgesearch import CatalogError, DeviceError, ImageError, Store
from edgesearch.catalog.loader import read
from edgesearch.images import image
from edgesearch.search import scoring

from ..conftest import TINY_MODEL
from .conftest import Build, first_of

pytestmark = pytest.mark.slow


@pytest.mark.slow
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
    assert max(found.matches, key=lambda match: match.score).sku == sku
    assert [match.sku for match in found.matches].count(sku) == 1


def test_local_features_of_taught_pictures_are_compared(store: Store, strange: list[Path]) -> None:
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


@pytest.mark.slow
def test_undo_takes_back_changes_one_by_one(store: Store, shop: Path, strange: list[Path]) -> None:
    entry = read(shop / "catalogue.csv").entries[0]
    photo, sku = entry.images[0][1], entry.product.sku
    store.enrol("NEW", [strange[0]], name="Blue mug")
    store.edit(sku, price=1)
    store.remove(sku)
    store.undo()
    assert store.products([sku])[sku].price == 1
    assert sku in [match.sku for match in store.search(photo).matches]
    store.undo()
    assert store.products([sku])[sku].price == entry.product.price
    store.undo()
    assert "NEW" not in store.skus()
    with pytest.raises(DeviceError, match="nothing to undo"):
        store.undo()
    store.enrol("NEW", [strange[0]], name="Blue mug")
    store.remove("NEW")
    store.undo()
    assert first_of(store, strange[0]) == "NEW"


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_bundle_file_cannot_be_taught(first: Path, strange: list[Path]) -> None:
    with edgesearch.open(first) as store, pytest.raises(DeviceError, match="install it in a device folder"):
        store.enrol("NEW", strange[:1], name="x")


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_older_bundles_are_refused_even_without_the_state_file(build: Build, device: Path, first: Path) -> None:
    edgesearch.install(build(3), device)
    (device / "current").unlink()
    with pytest.raises(DeviceError, match="has had 3"):
        edgesearch.install(build(2), device)
    assert edgesearch.install(build(3), device).sequence == 3


def test_a_closed_store_refuses_searches(store: Store, strange: list[Path]) -> None:
    store.close()
    with pytest.raises(DeviceError, match="was closed"):
        store.search(strange[0])
