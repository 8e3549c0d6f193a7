"""Sorting photos into folders by a detail of the product they show."""

import errno
import json
import os
import shutil
from pathlib import Path
from typing import BinaryIO

import pytest

from edgesearch import CountError
from edgesearch.catalog.loader import read
from edgesearch.commands.cli import main
from edgesearch.counting.photo_sorting import SortedPhoto, check_output, copy_to_group, folder_names


@pytest.fixture
def incoming(shop: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "incoming"
    (folder / "more").mkdir(parents=True)
    for entry in read(shop / "catalogue.csv").entries[:4]:
        picture = Path(entry.images[0][1])
        (folder / ("more" if entry.product.sku == "P000003" else "") / picture.name).write_bytes(picture.read_bytes())
    (folder / "bad.jpg").write_bytes(b"no")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_photos_are_listed_by_group_and_copied_once(
    shop: Path, shop_edge: Path, incoming: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, products = contents(incoming), {e.product.sku: e.product for e in read(shop / "catalogue.csv").entries}
    command = ["sort", str(shop_edge), str(incoming), "--by", "category", "--no-barcodes"]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    product = products["P000001"]
    assert f"P000001.jpg -> P000001 {product.name} -> {product.category}" in lines
    assert [line for line in lines if line.startswith("bad.jpg -> no picture") and line.endswith("-> review")]
    for _ in range(2):  # the second time, nothing is copied
        assert main([*command, "-o", str(tmp_path / "sorted"), "--json"]) == 0
        table = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        copies = contents(tmp_path / "sorted")
        assert {one["placed"] for one in table} == {str(tmp_path / "sorted" / name) for name in copies}
        assert sorted(copies.values()) == sorted(before.values())
        assert copies["review/bad.jpg"] == b"no"
        assert copies[f"{product.category}/P000001.jpg"] == before["P000001.jpg"]
        assert contents(incoming) == before


def test_unreadable_photos_do_not_stop_the_others(
    tiny_edge: Path, incoming: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (incoming / "A-gone.jpg").symlink_to(tmp_path / "nowhere")
    os.mkfifo(incoming / "A-pipe.jpg")  # opening it would block forever
    (incoming / "A-notes.txt").write_text("five boxes")
    assert main(["sort", str(tiny_edge), str(incoming), "--by", "sku", "-o", str(tmp_path / "sorted"), "--json"]) == 0
    out, err = capsys.readouterr()
    placed = {one["photo"]: one["placed"] for one in map(json.loads, out.splitlines())}
    assert [photo for photo, path in placed.items() if path is None] == ["A-gone.jpg", "A-pipe.jpg"]
    assert len(contents(tmp_path / "sorted")) == len(placed) - 2 == 5
    assert "not copied (2): A-gone.jpg, A-pipe.jpg" in err
    assert "no photos by their names (1): A-notes.txt" in err


def test_an_unknown_detail_is_refused(shop_edge: Path, incoming: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sort", str(shop_edge), str(incoming), "--by", "shade"]) == 1
    assert "shade: no product has that detail; they have barcode, brand, category" in capsys.readouterr().err


def test_an_output_inside_the_photos_is_refused(shop_edge: Path, incoming: Path, tmp_path: Path) -> None:
    assert main(["sort", str(shop_edge), str(incoming), "--by", "sku", "-o", str(incoming / "x")]) == 1
    assert not (incoming / "x").exists()
    check_output([incoming], tmp_path / "incoming2")


def test_existing_copies_are_kept(tmp_path: Path) -> None:
    photos = [tmp_path / name / "IMG.jpg" for name in ("a", "b", "c")]
    for path, content in zip(photos, ("one", "two", "one"), strict=True):
        path.parent.mkdir()
        path.write_text(content)
        path.chmod(0o444)
    placed = [
        copy_to_group(SortedPhoto("IMG.jpg", path, value="x", folder="x"), tmp_path / "out")
        for path in [*photos, *photos]
    ]
    assert [path.name for path in placed] == ["IMG.jpg", "IMG-2.jpg", "IMG.jpg"] * 2
    assert contents(tmp_path / "out") == {"x/IMG.jpg": b"one", "x/IMG-2.jpg": b"two"}


def test_a_failed_copy_is_reported_and_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(_: BinaryIO, target: BinaryIO) -> None:
        target.write(b"o")
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "IMG.jpg").write_text("one")
    with monkeypatch.context() as patch, pytest.raises(CountError, match="No space left"):
        patch.setattr(shutil, "copyfileobj", half)
        copy_to_group(SortedPhoto("IMG.jpg", tmp_path / "IMG.jpg", folder="x"), tmp_path / "full")
    assert not contents(tmp_path / "full")
    (tmp_path / "out").write_text("a file")
    with pytest.raises(CountError, match="cannot be copied"):
        copy_to_group(SortedPhoto("IMG.jpg", tmp_path / "IMG.jpg", folder="x"), tmp_path / "out")


def test_folder_names_are_valid_and_unique() -> None:
    values = [
        "Fruit",
        "Aisle 1/2",
        "..",
        "../..",
        "review",
        "con",
        "CON.x",
        "a:b",
        "a|b",
        "fruit2",
        "x" * 300,
        "é" * 99,
    ]
    values += ["FRUIT", " ", "tab\there", "牛奶", "end.", ".hidden"]
    named = folder_names(values)
    assert len({name.casefold() for name in named.values()}) == len(values)
    for name in named.values():
        assert name
        assert not set(name) & set('/\\:|"<>*?\t')
        assert name.strip(". ") == name
        assert len(name.encode()) < 100
        assert name.casefold() not in ("review", "con", "con.x")
    assert (named["Aisle 1/2"], named["牛奶"], named["fruit2"]) == ("Aisle 1_2", "牛奶", "fruit2")
