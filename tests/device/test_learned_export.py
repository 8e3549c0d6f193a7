"""Export what a device learned, merge it into the next bundle, and refuse damaged or hostile exports."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import edgesearch
from edgesearch import CatalogError, Store
from edgesearch.building import merge_learned
from edgesearch.device import learned_export
from edgesearch.device.learned_export import LearnedExport
from edgesearch.learning import contradiction, diverse_memory, fleet
from edgesearch.search.open_bundle import network_of

from ..conftest import coarse_pattern
from .conftest import Build

SKU, OTHER = "P000003", "P000005"


@pytest.fixture(autouse=True)
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell pictures apart that the untrained network embeds nearly alike, and trust its labels."""
    monkeypatch.setattr(diverse_memory, "NOTHING_NEW", 0.9999995)
    monkeypatch.setattr(contradiction, "UNSUPPORTED", 1.0)
    monkeypatch.setattr(contradiction, "NEARER", 1.0)


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{seed}.png" for seed in range(4)]
    for seed, path in enumerate(paths):
        pixels = coarse_pattern(seed)
        Image.fromarray(pixels).save(path)
    return paths


@pytest.fixture
def exported(store: Store, device: Path, photos: list[Path], tmp_path: Path) -> Path:
    """Return the folder that a device exported, which learned two pictures."""
    store.learner.switch(True)
    for photo in photos[:2]:
        assert store.learn(photo, SKU, who="Ada").state == "used"
    assert edgesearch.export(device, tmp_path / "taught") == (0, 2)
    return tmp_path / "taught"


def change(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    table = json.loads((folder / learned_export.FILE).read_bytes())
    edit(table)
    (folder / learned_export.FILE).write_text(json.dumps(table))


@pytest.mark.slow
def test_what_one_device_learned_reaches_every_device(
    build: Build, store: Store, device: Path, first: Path, exported: Path, photos: list[Path], tmp_path: Path
) -> None:
    merged = build(2, merge_learned=[exported])
    edgesearch.install(first, tmp_path / "other")
    with edgesearch.open(tmp_path / "other") as other:
        assert other.search(photos[0]).matches[0].score < 0.999999
    edgesearch.install(merged, tmp_path / "other")
    with edgesearch.open(tmp_path / "other") as other:
        match = next(match for match in other.search(photos[0], k=8).matches if match.sku == SKU)
        assert match.score > 0.99
        assert other.base.index.size == 10
        assert other.picture(match)  # the catalogue's: no shop sees the photos of another
    edgesearch.install(merged, device)
    store.reopen()
    assert len(store.base.catalog.rows_of([store._gallery().find_product(SKU)[0]])) == 3  # type: ignore[index]
    assert len(store._gallery().rows_of(SKU)) == 3  # its own pictures count once
    edgesearch.rollback(device)
    store.reopen()
    assert len(store._gallery().rows_of(SKU)) == 3


def test_an_export_names_no_person_and_leaves_out_what_is_set_aside(
    store: Store, device: Path, exported: Path, photos: list[Path], tmp_path: Path
) -> None:
    assert b"Ada" not in (exported / learned_export.FILE).read_bytes()
    for one in store.learner.pictures():  # nor by a hash that a guess of the name would confirm
        guess = learned_export.name_of(f"{one.device}|{one.group}".encode())
        assert guess.encode() not in (exported / learned_export.FILE).read_bytes()
    assert len([*(exported / "learned").iterdir()]) == 2
    store.learner.dismiss(1, may_teach=True)
    assert edgesearch.export(device, tmp_path / "again") == (0, 1)


@pytest.mark.slow
def test_vectors_alone_are_exported_and_merged(
    build: Build, store: Store, device: Path, photos: list[Path], tmp_path: Path
) -> None:
    store.learner.switch(True, vectors_only=True)
    store.learn(photos[0], SKU)
    edgesearch.export(device, tmp_path / "taught")
    assert [*(tmp_path / "taught" / "learned").iterdir()] == []
    edgesearch.install(build(2, merge_learned=[tmp_path / "taught"]), device)
    store.reopen()
    assert len(store._gallery().rows_of(SKU)) == 2  # once, though no picture is kept


@pytest.mark.slow
def test_a_merged_bundle_fits_a_budget_and_keeps_the_limit(build: Build, exported: Path, photos: list[Path]) -> None:
    path = build(2, merge_learned=[exported], learned_per_product=1, budget_mb=1)
    with edgesearch.open(path) as base:
        assert base.base.index.size == 9
        assert base.search(photos[0]).matches


@pytest.mark.slow
def test_the_same_export_twice_changes_nothing(build: Build, exported: Path, tmp_path: Path) -> None:
    twice = Path(shutil.copytree(exported, tmp_path / "twice"))
    with edgesearch.open(build(2, merge_learned=[exported, twice])) as base:
        assert base.base.index.size == 10


DAMAGE: list[tuple[str, Callable[[dict[str, Any]], object]]] = [
    ("format", lambda table: table.update(format=2)),
    ("network", lambda table: table.update(network="0" * 64)),
    ("damaged", lambda table: table.update(sha256="0" * 64)),
    ("damaged", lambda table: table.update(device="../x")),
    ("damaged", lambda table: table["pictures"][0].update(name="../../../etc/passwd")),
    ("damaged", lambda table: table["pictures"][0].update(trust=2)),
    ("damaged", lambda table: table["pictures"][0].update(trust=float("nan"))),
    ("damaged", lambda table: table["pictures"][0].update(time="yesterday")),
    ("damaged", lambda table: table["pictures"][0].update(state="aside")),
    ("damaged", lambda table: table["pictures"][0].update(size=10**12)),
    ("damaged", lambda table: table["pictures"][0].update(size=3)),
    ("damaged", lambda table: table["pictures"][0].pop("source")),
    ("damaged", lambda table: table.update(pictures=7)),
    ("damaged", lambda table: table["pictures"].pop()),
]


Read = Callable[[Path], LearnedExport]


@pytest.fixture
def read(store: Store) -> Read:
    """Return a function that reads an export as a build with the model of the device does."""
    hashes, dim = store.bundle.manifest.hashes, store.base.index.dim
    return lambda folder: learned_export.read(folder, network_of(hashes), hashes["local"], dim)


@pytest.mark.parametrize(("word", "edit"), DAMAGE)
def test_a_damaged_or_foreign_export_is_refused_in_one_sentence(
    read: Read, exported: Path, word: str, edit: Callable[[dict[str, Any]], object]
) -> None:
    assert len(read(exported).pictures) == 2
    change(exported, edit)
    with pytest.raises(CatalogError, match=word) as raised:
        read(exported)
    assert str(raised.value).startswith(f"{exported / learned_export.FILE}: ")
    assert "\n" not in str(raised.value)


def test_truncated_changed_and_missing_files_are_refused(read: Read, exported: Path, tmp_path: Path) -> None:
    references, listed = exported / learned_export.REFERENCES, exported / learned_export.FILE
    content = references.read_bytes()
    for wrong in (content[:-1], content + b"x", content[:40] + b"\0" + content[41:], b""):
        references.write_bytes(wrong)
        with pytest.raises(CatalogError, match="damaged"):
            read(exported)
    references.unlink()
    with pytest.raises(CatalogError, match="missing"):
        read(exported)
    listed.write_bytes(b"[" * 100_000)
    with pytest.raises(CatalogError, match="damaged"):
        read(exported)
    listed.unlink()
    os.mkfifo(listed)  # to read it would wait for ever
    with pytest.raises(CatalogError, match="no file"):
        read(exported)
    with pytest.raises(CatalogError, match="cannot be read"):
        read(tmp_path / "nowhere")


@pytest.mark.slow
def test_skip_bad_leaves_a_damaged_export_out_and_says_so(
    build: Build, shop: Path, exported: Path, tmp_path: Path
) -> None:
    good = Path(shutil.copytree(exported, tmp_path / "good"))
    change(exported, lambda table: table.update(network="0" * 64))
    with edgesearch.open(build(2, merge_learned=[exported, good], skip_bad=True)) as base:
        assert base.base.index.size == 10


@pytest.mark.slow
def test_a_picture_that_was_exchanged_or_cannot_be_read_is_not_asked(build: Build, exported: Path) -> None:
    first, second = sorted((exported / "learned").iterdir())
    first.write_bytes(b"not the picture of that name")
    second.unlink()
    second.symlink_to("/etc/passwd")
    with edgesearch.open(build(2, merge_learned=[exported])) as base:
        assert base.base.index.size == 10  # the vectors are whole


def test_an_interrupted_export_leaves_nothing(
    store: Store, device: Path, photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.learner.switch(True)
    store.learn(photos[0], SKU)

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("edgesearch.device.overlay_export.write_new", fail)
    (tmp_path / "out").mkdir()
    with pytest.raises(KeyboardInterrupt):
        edgesearch.export(device, tmp_path / "out" / "taught")
    assert [*(tmp_path / "out").iterdir()] == []


def test_a_fate_has_a_sentence() -> None:
    assert {*merge_learned.FATES, fleet.USED} == {fleet.USED, fleet.LITTLE, fleet.CONTRADICTS, fleet.UNCONFIRMED}
