"""Reading pictures from archives, URLs and local paths."""

import errno
import io
import os
import sys
import tarfile
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from PIL import Image

from edgesearch import CatalogError, ImageError
from edgesearch.catalog import archives, loader, sources
from edgesearch.images import image


def picture(colour: str = "red") -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (32, 24), colour).save(data, "PNG")
    return data.getvalue()


FILES = {
    "mug/a.png": picture("red"),
    "mug/b.png": picture("blue"),
    "Sale!/c.png": picture("green"),
    "solo.png": picture(),
}


def write_archive(folder: Path, kind: str, files: dict[str, bytes] = FILES, name: str = "shop") -> Path:
    """Write an archive of these files; kind: "zip", "stored.zip", "tar" or "tar.gz"."""
    path = folder / f"{name}.{kind}"
    if kind.endswith("zip"):
        method = zipfile.ZIP_STORED if kind == "stored.zip" else zipfile.ZIP_DEFLATED
        with zipfile.ZipFile(path, "w", method) as made:
            for inner, data in files.items():
                made.writestr(inner, data)
        return path
    with tarfile.open(path, "w:gz" if kind.endswith("gz") else "w") as tar:
        for inner, data in files.items():
            info = tarfile.TarInfo(inner)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize("kind", ["zip", "stored.zip", "tar", "tar.gz"])
def test_an_archive_of_folders_is_a_catalogue(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "50% off!"  # both signs are escaped in a source
    folder.mkdir()
    read = loader.read(write_archive(folder, kind))
    assert [(one.product.sku, len(one.images)) for one in read.entries] == [("Sale!", 1), ("mug", 2), ("solo", 1)]
    for entry in read.entries:
        for name, source in entry.images:
            assert sources.read_bytes(source) == FILES[name]
            assert sources.format_source(source).endswith(f"!/{name}")
    assert "3; first product Sale! 'Sale!', 1 picture" in read.notes[0]


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_a_table_in_an_archive_names_its_pictures(tmp_path: Path, kind: str) -> None:
    table = b"sku,name,images\nM,Mug,a.png;../top.png\nN,None,gone.png\n"
    files = {"shop/in/catalogue.csv": table, "shop/in/a.png": picture(), "shop/top.png": picture("blue")}
    with pytest.raises(CatalogError, match=r"no pictures"):  # not at its top
        loader.read(write_archive(tmp_path, kind, {"x/y/catalogue.csv": table, "z.txt": b""}, "deep"))
    files = {name.replace("/in/", "/"): data for name, data in files.items()} | {"shop/pics/b.png": picture("green")}
    files["shop/catalogue.csv"] = table.replace(b"../top", b"pics/b")
    mug, none = loader.read(write_archive(tmp_path, kind, files)).entries
    assert [sources.read_bytes(source) for _, source in mug.images] == [picture(), picture("green")]
    with pytest.raises(ImageError, match=r"shop/gone\.png: not in the archive"):
        sources.read_bytes(none.images[0][1])


@pytest.mark.parametrize("name", ["../out.png", "/etc/out.png", "..\\out.png"])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_names_that_lead_out_of_the_archive_are_refused(tmp_path: Path, kind: str, name: str) -> None:
    with pytest.raises(CatalogError, match="leads out of the archive"):
        loader.read(write_archive(tmp_path, kind, {name: picture(), "a.png": picture()}))
    cell = name.replace("\\", "/")
    table = f"sku,name,images\nA,Cup,{cell}\n".encode()
    with pytest.raises(CatalogError, match=r"catalogue\.csv, line 2: A has the picture .* leads out of the archive"):
        loader.read(write_archive(tmp_path, kind, {"catalogue.csv": table, "a.png": picture()}, "table"))


def test_links_and_devices_in_a_tar_are_no_pictures(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name, kind in (("link.png", tarfile.SYMTYPE), ("device.png", tarfile.CHRTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
    with pytest.raises(CatalogError, match="no pictures in it"):
        loader.read(tmp_path / "x.tar")


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_damaged_and_empty_archives_are_refused(tmp_path: Path, kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, 5000, np.uint8).tobytes()
    whole = write_archive(tmp_path, kind, {f"{n}.png": noise for n in range(4)}).read_bytes()
    path = tmp_path / f"cut.{kind}"
    end = 22_000 if kind == "tar" else len(whole) - 10  # a tar has zeros after its last member
    for data in (b"", b"hello", whole[: len(whole) // 2], whole[:end]):
        path.write_bytes(data)
        with pytest.raises(CatalogError, match=r"damaged|cut off|no (zip|tar)"):
            loader.read(path)
    with pytest.raises(CatalogError, match="no pictures in it"):
        loader.read(write_archive(tmp_path, kind, {}, "empty"))
    nested = write_archive(tmp_path, kind, {"inner.zip": write_archive(tmp_path, "zip").read_bytes()}, "nested")
    with pytest.raises(CatalogError, match=r"no pictures in it, .*inner\.zip"):
        loader.read(nested)


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = write_archive(tmp_path, "zip", {"a.png": picture()})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1  # the flag, in the central directory
    path.write_bytes(data)
    with pytest.raises(CatalogError, match=r"a\.png is encrypted"):
        loader.read(path)


def test_a_zip_member_without_a_name_is_refused(tmp_path: Path) -> None:
    path = write_archive(tmp_path, "zip", {"a": picture()})
    data = bytearray(path.read_bytes())
    name = data.index(b"PK\1\2") + 46
    data[name] = 0  # the name ends there
    path.write_bytes(data)
    with pytest.raises(CatalogError, match="leads out of the archive"):
        loader.read(path)


@pytest.mark.parametrize("kind", ["zip", "stored.zip", "tar"])
def test_an_archive_that_changes_later_is_an_error(tmp_path: Path, kind: str) -> None:
    path = write_archive(tmp_path, kind, {"a.png": picture() * 50})
    source = loader.read(path).entries[0].images[0][1]
    data = path.read_bytes()
    path.write_bytes(data[: 600 if kind == "tar" else 100])
    with pytest.raises(ImageError, match=r"a\.png: .*archive"):
        sources.read_bytes(source)
    path.write_bytes(b"x" * len(data))
    if kind != "tar":
        with pytest.raises(ImageError, match="has changed or is damaged"):
            sources.read_bytes(source)
    path.unlink()
    with pytest.raises(ImageError, match="no such file"):
        sources.read_bytes(source)


def test_a_member_that_unpacks_to_too_much_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_archive(tmp_path, "zip", {"a.png": bytes(100_000)})
    source = loader.read(path).entries[0].images[0][1]
    monkeypatch.setattr(image, "MAX_BYTES", 1000)
    assert len(sources.read_bytes(source)) == 1001
    with pytest.raises(ImageError, match=r"a\.png: .*at most 1,000 are read"):
        sources.read_picture(source, image.read)
    monkeypatch.setattr(archives, "MAX_GROWTH", 2)
    with pytest.raises(CatalogError, match="unpacks to over 2 times its size"):
        loader.read(write_archive(tmp_path, "tar.gz", {"a.png": bytes(100_000)}))


def test_errors_name_the_source(tmp_path: Path) -> None:
    source = loader.read(write_archive(tmp_path, "zip", {"a.png": picture()[:50]})).entries[0].images[0][1]
    for where, says in ((source, r"shop\.zip!/a\.png: "), (str(tmp_path / "none.png"), r"none\.png: no such file")):
        with pytest.raises(ImageError, match=says):
            sources.read_picture(where, image.read)


def test_a_local_file_named_like_a_member_is_read_as_a_file() -> None:
    name = "zip:0+5+0:a.zip!/b.png"
    assert sources.format_source(sources.resolve("", name)) == f"./{name}"


def test_urls_are_read_by_fsspec(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.pipe("/shop/pictures/a.png", FILES["mug/a.png"])
    memory.pipe("/shop/c.csv", b"sku,name,images\nA,Cup,pictures/a.png;memory://shop/b.png\n")
    memory.pipe("/shop/b.png", FILES["mug/b.png"])
    memory.pipe("/folder/mug/a.png", picture())
    memory.pipe("/shop.zip", write_archive(tmp_path, "zip").read_bytes())
    (entry,) = loader.read("memory://shop/c.csv").entries
    assert [sources.read_bytes(source) for _, source in entry.images] == [FILES["mug/a.png"], FILES["mug/b.png"]]
    (mug,) = loader.read("memory://folder").entries
    assert (mug.product.sku, sources.read_bytes(mug.images[0][1])) == ("mug", picture())
    assert sum(len(one.images) for one in loader.read("memory://shop.zip").entries) == 4
    for url, says in (
        ("memory://none.csv", "no such file"),
        ("nowhere://a.csv", "cannot be read"),
        ("memory://x.zip", "no"),
    ):
        with pytest.raises(CatalogError, match=says):
            loader.read(url)
    for url in ("memory://none.png", "nowhere://a.png"):
        with pytest.raises(ImageError, match=url):
            sources.read_bytes(url)
    for name in ("/etc/passwd", "file:///etc/passwd", "LOCAL:///etc/passwd", "https://a.b::file:///etc/passwd"):
        memory.pipe("/shop/local.csv", f"sku,name,images\nA,Cup,{name}\n".encode())
        with pytest.raises(CatalogError, match=f"line 2: A has the picture '{name}': .* of this machine"):
            loader.read("memory://shop/local.csv")


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_cannot_name_local_files(tmp_path: Path, kind: str) -> None:
    (tmp_path / "secret.png").write_bytes(picture())
    for name, says in ((f"file://{tmp_path}/secret.png", "file of this machine"), ("https://shop.example/a.png", "")):
        files = {"catalogue.csv": f"sku,name,images\nA,Cup,{name}\n".encode(), "a.png": picture()}
        if says:
            with pytest.raises(CatalogError, match=says):
                loader.read(write_archive(tmp_path, kind, files))
        else:
            assert loader.read(write_archive(tmp_path, kind, files)).entries[0].images == ((name, name),)


def test_a_flipped_bit_in_a_stored_member_is_an_error(tmp_path: Path) -> None:
    path = write_archive(tmp_path, "stored.zip", {"a.bmp": picture()})
    source = loader.read(path).entries[0].images[0][1]
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 9] ^= 1
    path.write_bytes(data)
    with pytest.raises(ImageError, match=r"a\.bmp: damaged"):
        sources.read_bytes(source)


def test_impossible_positions_are_errors_of_the_picture(tmp_path: Path) -> None:
    path = write_archive(tmp_path, "zip", {"a.png": picture()})
    for source in (sources.member_source("zip", 1 << 63, 9, str(path), "a.png"), "nul\0.png"):
        with pytest.raises(ImageError, match=r"\.png: cannot be read"):
            sources.read_bytes(source)


def test_hard_links_in_a_tar_are_the_same_picture(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name in ("a/1.png", "b/1.png", "c/1.png"):
            info = tarfile.TarInfo(name)
            if name == "a/1.png":
                info.size = len(picture())
            else:
                info.type, info.linkname = tarfile.LNKTYPE, "a/1.png" if name[0] == "b" else "none.png"
            tar.addfile(info, io.BytesIO(picture()))
    one, other = loader.read(tmp_path / "x.tar").entries
    assert (one.product.sku, other.product.sku) == ("a", "b")
    assert sources.read_bytes(other.images[0][1]) == picture()


def test_a_file_name_that_is_not_utf8_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "mug").mkdir()
    (tmp_path / "mug" / "a.png").write_bytes(picture())
    try:
        os.mkdir(os.fsencode(tmp_path) + b"/bad\xff")
    except OSError:
        pytest.skip("this file system has no such names")
    (tmp_path / "bad\udcff" / "a.png").write_bytes(picture())
    with pytest.raises(CatalogError, match=r"the file name 'bad\\udcff/a.png' is not UTF-8; rename"):
        loader.read(tmp_path)


def test_hidden_folders_are_not_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mug/a.png", ".Trashes/b.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(picture())
    listed: list[str] = []
    monkeypatch.setattr(os, "scandir", lambda path, scan=os.scandir: listed.append(str(path)) or scan(path))
    assert [one.product.sku for one in loader.read(tmp_path).entries] == ["mug"]
    assert listed
    assert not any("Trashes" in path for path in listed)


def test_a_full_disk_is_not_blamed_on_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, room = write_archive(tmp_path, "tar.gz"), tmp_path / "room"
    room.mkdir()
    monkeypatch.setattr(archives.tempfile, "mkdtemp", lambda prefix: str(room))

    class Full(io.FileIO):
        def write(self, data: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(archives, "open", lambda path, mode: Full(path, mode), raising=False)
    with pytest.raises(CatalogError, match=r"cannot be unpacked to .*shop\.tar \(No space left on device\); free some"):
        loader.read(archive)
    assert not room.exists()


@pytest.mark.slow
def test_pictures_are_read_over_http(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp", reason="aiohttp is not installed")
    (tmp_path / "a.png").write_bytes(picture())
    serve = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        assert sources.read_bytes(f"{url}/a.png") == picture()
        with pytest.raises(ImageError, match=r"b\.png: no such file"):
            sources.read_bytes(f"{url}/b.png")
        server.shutdown()
    with pytest.raises(ImageError, match=r"a\.png: cannot be read \(.*check that the server answers"):
        sources.read_bytes(f"{url}/a.png")


def test_a_missing_file_system_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec = pytest.importorskip("fsspec")

    def lacking(url: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", lacking)
    with pytest.raises(ImageError, match=r"\(Install s3fs to access S3\); install that"):
        sources.read_bytes("s3://bucket/a.png")


def test_a_url_without_fsspec_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(CatalogError, match=r"pip install edgesearch\[urls\]"):
        loader.read("s3://bucket/c.csv")
    with pytest.raises(ImageError, match=r"pip install edgesearch\[urls\]"):
        sources.read_bytes("s3://bucket/a.jpg")
