"""Exported changes: merged into the catalogue, and damaged exports."""

import json
from pathlib import Path

import pytest

import edgesearch
from edgesearch import CatalogError, DeviceError, Store
from edgesearch.catalog.loader import read
from edgesearch.device import overlay_export

from .conftest import Build, first_of

NO_EXPORTS = (b"", b"{}", b'{"format": 2}', b'{"format": 1, "changes": [{"sku": 3}]}', b"[" * 9000)


@pytest.mark.slow
def test_exported_changes_come_back_with_the_catalogue(
    build: Build, store: Store, device: Path, shop: Path, strange: list[Path], tmp_path: Path
) -> None:
    products = [entry.product for entry in read(shop / "catalogue.csv").entries]
    store.enrol("NEW", [strange[0]], name="Blue mug", location="A7")
    store.enrol(products[1].sku, [strange[1]])
    store.edit(products[2].sku, price=1)
    store.remove(products[3].sku)
    assert edgesearch.export(device, tmp_path / "taught").products == 4
    with pytest.raises(DeviceError, match=r"cannot be written \(No such file or directory\)"):
        edgesearch.export(device, tmp_path / "none" / "taught")
    merged = build(2, merge=[tmp_path / "taught"])
    with edgesearch.open(merged) as base:
        assert base.skus() == {product.sku for product in products} - {products[3].sku} | {"NEW"}
        match = base.search(strange[0]).matches[0]
        assert (match.sku, match.product.location) == ("NEW", "A7")
        assert max(base.search(strange[1]).matches, key=lambda match: match.score).sku == products[1].sku
    edgesearch.install(merged, device)
    assert store.reopen()
    assert first_of(store, strange[0]) == "NEW"
    assert store.base.index.size == len(products) + 1
    edgesearch.install(build(3, merge=[tmp_path / "taught"]), device)
    assert not store.overlay.snapshot().changes  # type: ignore[union-attr]  # both bundles contain all changes
    assert [event.detail["skus"] for event in edgesearch.log(device) if event.what == "fold"][-1]


@pytest.mark.slow
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
