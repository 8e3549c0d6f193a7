"""Reading from web servers as they are."""

import io
import zipfile
from pathlib import Path

import pytest

from edgesearch import CatalogError, ImageError
from edgesearch.catalog import loader, remote_files, sources

from .web_server import serve

pytest.importorskip("aiohttp", reason="aiohttp is not installed")
CONTENT = bytes(range(256)) * 5000
TABLE = b"sku,name,images\nA,Cup,a.png\nB,Jug,b.png\n"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_files, "BACKOFF_S", 0.0)


@pytest.mark.parametrize("kind", ["plain", "chunk", "close", "gzip", "busy", "cut"])
def test_every_kind_of_server_gives_whole_files(kind: str) -> None:
    with serve({"a.png": CONTENT, "c.csv": TABLE}) as (url, asked):
        assert sources.read_bytes(f"{url}/{kind}/a.png") == CONTENT
        assert asked[f"/{kind}/a.png"] == (2 if kind in ("busy", "cut") else 1)
        entries = loader.read(f"{url}/{kind}/c.csv").entries
        assert [entry.product.sku for entry in entries] == ["A", "B"]
        assert entries[0].images == (("a.png", f"{url}/{kind}/a.png"),)


@pytest.mark.parametrize("kind", ["plain", "chunk"])
def test_an_archive_on_a_server_without_ranges_is_downloaded_once(kind: str) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as made:
        made.writestr("catalogue.csv", TABLE)
        made.writestr("b.png", CONTENT * 8)
        made.writestr("a.png", CONTENT)
    with serve({"shop.zip": packed.getvalue()}) as (url, asked):
        cup, jug = loader.read(f"{url}/{kind}/shop.zip").entries
        before = asked.total()
        assert sources.read_bytes(cup.images[0][1]) == CONTENT
        assert sources.read_bytes(jug.images[0][1]) == CONTENT * 8
        assert asked.total() == before


def test_a_server_that_stays_busy_is_named() -> None:
    with serve({"a.png": CONTENT, "c.csv": TABLE}) as (url, asked):
        with pytest.raises(ImageError, match=r"a\.png: the server answered 503 to 4 requests; run this again later"):
            sources.read_bytes(f"{url}/never/a.png")
        assert asked["/never/a.png"] == remote_files.ATTEMPTS
        with pytest.raises(CatalogError, match=r"c\.csv: the server answered 503"):
            loader.read(f"{url}/never/c.csv")
        with pytest.raises(ImageError, match=r"b\.png: no such file"):
            sources.read_bytes(f"{url}/plain/b.png")
        assert asked["/plain/b.png"] == 1


def test_a_file_over_the_limit_is_not_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources.image, "MAX_BYTES", 1000)
    with serve({"a.png": CONTENT}) as (url, _):
        assert len(sources.read_bytes(f"{url}/chunk/a.png")) == 1001


def test_a_local_path_needs_no_server(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(CONTENT)
    assert sources.read_bytes(str(tmp_path / "a.png")) == CONTENT
