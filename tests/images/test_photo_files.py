"""Finding the photos in folders as cameras, NAS and archivers leave them."""

from pathlib import Path

import pytest

from edgesearch.images import photo_files


@pytest.mark.parametrize(
    "folder",
    ["@eaDir/a.jpg", "#recycle", "#snapshot", "@Recycle", "@Recently-Snapshot", "__MACOSX", ".thumbnails", ".@__thumb",
     "$RECYCLE.BIN", "System Volume Information", "lost+found"],
)  # fmt: skip
def test_folders_that_systems_make_hold_no_stock(tmp_path: Path, folder: str) -> None:
    for name in ("a.jpg", f"{folder}/a.jpg", f"shelf/{folder}/deep/a.jpg", "shelf/b.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    photos, others = photo_files.find_photos([tmp_path])
    assert [photo.name for photo in photos] == ["a.jpg", "shelf/b.jpg"]
    assert others == []


@pytest.mark.parametrize("name", ["a.jfif", "a.JFIF", "a.jif", "a.pjpeg", "a.hif", "a.mpo"])
def test_pictures_under_other_names_are_photos(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    assert [photo.name for photo in photo_files.find_photos([tmp_path])[0]] == [name]
