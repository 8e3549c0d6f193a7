"""Names of files in other Unicode forms and encodings than the table's."""

import struct
import unicodedata
import zipfile
import zlib
from pathlib import Path

import pytest

from edgesearch.catalog import loader, sources

from .test_sources import picture

NAME = "K\u00e4se \u00fc/\u00c4pfel.png"


@pytest.mark.parametrize("written", ["NFC", "NFD"])
@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
def test_a_table_and_the_disk_may_use_different_forms(tmp_path: Path, written: str, on_disk: str) -> None:
    folder, name = NAME.split("/")
    path = tmp_path / unicodedata.normalize("NFC", folder) / unicodedata.normalize(on_disk, name)
    path.parent.mkdir()
    path.write_bytes(picture())
    text = unicodedata.normalize(written, f"sku,name,images\n\u00c4,K\u00e4se,{NAME}\n\u00c4bs,Abs,{tmp_path}/{NAME}\n")
    (tmp_path / "c.csv").write_text(text, encoding="utf-8")
    entries = loader.read(tmp_path / "c.csv").entries
    assert [sources.read_bytes(entry.images[0][1]) for entry in entries] == [picture()] * 2
    assert (entries[0].product.sku, entries[0].product.name) == ("\u00c4", "K\u00e4se")
    (tmp_path / "q.csv").write_text(unicodedata.normalize(written, f"image,sku\n{NAME},A\n"), encoding="utf-8")
    assert loader.read_queries(tmp_path / "q.csv")[0][0].is_file()


def test_folders_give_skus_in_one_form(tmp_path: Path) -> None:
    folder = tmp_path / unicodedata.normalize("NFD", "K\u00e4se")
    folder.mkdir()
    (folder / "a.png").write_bytes(picture())
    read = loader.read(tmp_path)
    assert [entry.product.sku for entry in read.entries] == ["K\u00e4se"]
    assert "without pictures" not in str(read.notes)


def zip_file(path: Path, name: bytes, extra: bytes = b"") -> Path:
    """Write a zip whose only picture has this name, as bytes."""
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("catalogue.csv", "sku,name,images\nA,Cheese,K\u00e4se/\u00e4.png\n")
        info = zipfile.ZipInfo("x" * len(name))
        info.extra = extra
        made.writestr(info, picture())
    data = path.read_bytes().replace(b"x" * len(name), name)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "cp437", "cp850", "cp1252", "cp1250"])
def test_a_zip_without_flags_may_have_names_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    path = zip_file(tmp_path / "shop.zip", "K\u00e4se/\u00e4.png".encode(encoding))
    (entry,) = loader.read(path).entries
    assert sources.read_bytes(entry.images[0][1]) == picture()


def test_a_zip_may_have_its_names_in_an_extra_field(tmp_path: Path) -> None:
    name, stored = "K\u00e4se/\u00e4.png".encode(), b"K\xffse/\xff.png"
    field = b"\1" + struct.pack("<I", zlib.crc32(stored)) + name
    path = zip_file(tmp_path / "shop.zip", stored, extra=struct.pack("<HH", 0x7075, len(field)) + field)
    (entry,) = loader.read(path).entries
    assert sources.read_bytes(entry.images[0][1]) == picture()


def test_queries_from_windows_are_read(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "q.csv").write_text("image,sku\np\\a.jpg,A\nodd\\b.jpg,B\n")
    (tmp_path / "odd\\b.jpg").write_bytes(b"")
    expected = [(tmp_path / "p" / "a.jpg", "A"), (tmp_path / "odd\\b.jpg", "B")]
    assert loader.read_queries(tmp_path / "q.csv") == expected
