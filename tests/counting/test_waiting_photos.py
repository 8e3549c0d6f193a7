"""Photos that wait for review are kept until a person settles them."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

import edgesearch
from edgesearch import CountError
from edgesearch._util import files
from edgesearch.counting.photo_count import Count
from edgesearch.images import image


@pytest.fixture
def grey(tmp_path: Path) -> Path:
    """Return a photo of no product."""
    (tmp_path / "photos").mkdir()
    path = tmp_path / "photos" / "grey.jpg"
    path.write_bytes(image.thumbnail(np.full((1500, 900, 3), 90, np.uint8), 1500))
    return path


def kept(count: Count) -> list[Path]:
    return sorted(count.output.with_suffix(".photos").glob("*"))


def test_a_photo_is_kept_from_doubt_to_decision(tiny_edge: Path, grey: Path, tmp_path: Path) -> None:
    with edgesearch.open(tiny_edge) as store:
        with Count(store, tmp_path / "stock.csv") as count:
            count.add_photos([grey.parent])
            (entry,) = count.to_review
        grey.unlink()
        with Count(store, tmp_path / "stock.csv") as count:
            (path,) = kept(count)
            photo = count.waiting_photo(entry.id)
            assert photo == path.read_bytes() and max(image.read(photo).shape) == 1024
            assert os.name == "nt" or path.stat().st_mode & 0o077 == 0
            count.correct(entry.id, "P000001")
            assert (count.waiting_photo(entry.id), kept(count)) == (None, [])
            count.undo()
            assert count.waiting_photo(entry.id)
            count.correct(entry.id, "-")
        assert not kept(count)


def test_a_counted_photo_is_kept_once_it_is_taken_back(tiny_edge: Path, shop: Path, tmp_path: Path) -> None:
    content = (shop / "pictures" / "P000001.jpg").read_bytes()
    with edgesearch.open(tiny_edge) as store, Count(store, tmp_path / "stock.csv") as count:
        entry, _ = count.add_photo(content, "now")
        count.correct(entry.id, "P000001")
        assert not kept(count)
        count.correct(entry.id, "")
        assert count.waiting_photo(entry.id)


def test_copies_are_not_counted_as_photos(tiny_edge: Path, grey: Path) -> None:
    with edgesearch.open(tiny_edge) as store:
        for _ in range(2):
            with Count(store, grey.parent / "stock.csv") as count:
                count.add_photos([grey.parent])
                assert len(count.to_review) == 1 and count.notes == []


def test_copies_of_a_killed_process_are_deleted(tiny_edge: Path, grey: Path, tmp_path: Path) -> None:
    folder = tmp_path / "stock.photos"
    with edgesearch.open(tiny_edge) as store:
        with Count(store, tmp_path / "stock.csv") as count:
            count.add_photos([grey])
        (folder / "p0.jpg").write_bytes(b"of a photo that was settled")
        (folder / ".p1.jpg.new").write_bytes(b"half")
        with Count(store, tmp_path / "stock.csv") as count:
            assert [path.stem for path in kept(count)] == [count.to_review[0].id]


def test_copies_in_an_encrypted_folder_are_sealed(tiny_edge: Path, grey: Path, tmp_path: Path) -> None:
    edgesearch.install(tiny_edge, tmp_path / "device", encrypt=True, key=b"k" * 32)
    (tmp_path / "device" / "counts").mkdir()
    with (
        edgesearch.open(tmp_path / "device", key=b"k" * 32) as store,
        Count(store, tmp_path / "device" / "counts" / "a.csv") as count,
    ):
        count.add_photos([grey])
        (path,) = kept(count)
        assert b"JFIF" not in path.read_bytes()
        photo = count.waiting_photo(path.stem)
        assert photo and photo.startswith(b"\xff\xd8")
        path.write_bytes(path.read_bytes()[:-1])
        assert count.waiting_photo(path.stem) is None


def test_a_count_in_an_encrypted_folder_is_sealed_and_goes_on(tiny_edge: Path, grey: Path, tmp_path: Path) -> None:
    device, key = tmp_path / "device", b"k" * 32
    edgesearch.install(tiny_edge, device, encrypt=True, key=key)
    (device / "counts").mkdir()
    list_path, session = device / "counts" / "a.csv", device / "counts" / "a.session"
    with edgesearch.open(device, key=key) as store:
        with Count(store, list_path) as count:
            count.add_photos([grey])
            sku = count.add_product("P000001").sku
        session.write_bytes(session.read_bytes() + b"half a li")
        with Count(store, list_path) as count:
            assert (count.counts, len(count.to_review)) == ({sku: 1}, 1)
            assert sku.encode() in count.stock_list()
        for path in (device / "counts").rglob("*.*"):
            assert path.is_dir() or not {sku, "grey"} & {
                word for word in (sku, "grey") if word.encode() in path.read_bytes()
            }
        assert sorted(path.name for path in (device / "counts").iterdir()) == ["a.photos", "a.session"]
        lines = session.read_bytes().splitlines(True)
        session.write_bytes(b"".join([lines[0], *lines[:0:-1]]))
        with pytest.raises(CountError, match="line 2: is damaged"):
            Count(store, list_path)
        session.write_bytes(b'{"format": 1}\n')
        with pytest.raises(CountError, match="is readable in an encrypted folder"):
            Count(store, list_path)


def test_a_list_named_as_another_counts_review_is_refused(tiny_edge: Path, tmp_path: Path) -> None:
    with edgesearch.open(tiny_edge) as store:
        with pytest.raises(CountError, match="the name of a review list"):
            Count(store, tmp_path / "a.review.csv")
        with Count(store, tmp_path / "a.csv") as count:
            count.add_product("P000001")
        assert os.name == "nt" or (tmp_path / "a.session").stat().st_mode & 0o077 == 0


def test_a_full_disk_counts_no_photo_that_it_cannot_keep(
    tiny_edge: Path, grey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with edgesearch.open(tiny_edge) as store, Count(store, tmp_path / "stock.csv") as count:
        with monkeypatch.context() as patch, pytest.raises(CountError, match=r"stock.photos.*No space left"):
            patch.setattr(files, "replacing", full)
            count.add_photos([grey])
        assert not count.to_review
        count.add_photos([grey])
        assert len(count.to_review) == 1 == len(kept(count))
