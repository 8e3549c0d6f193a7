"""A watched folder: each photo is delivered once, when it is complete, even if the folder disappears meanwhile."""

import io
import os
import threading
from pathlib import Path

import pytest
from PIL import Image

from edgesearch.capture import watched_folder
from edgesearch.capture.inbox import EndScan, Inbox, IncomingPhoto, Line, Notice, SourceLost
from edgesearch.capture.watched_folder import PathStream, WatchedFolder


def picture(number: int, kind: str = "JPEG") -> bytes:
    encoded = io.BytesIO()
    Image.new("RGB", (40, 40), (90, 0, 0)).save(encoded, kind, comment=str(number))
    return encoded.getvalue()


class PolledFolder:
    """A watched folder that is polled step by step."""

    def __init__(self, folder: Path, backlog: bool = False):
        self.folder, self.inbox = folder, Inbox()
        self.watched = WatchedFolder(folder, self.inbox, backlog, poll_s=0.25)

    def write(self, name: str, content: bytes) -> Path:
        (self.folder / name).write_bytes(content)
        return self.folder / name

    def poll(self, times: int = 1) -> list[str]:
        """Poll, and return the names of the delivered photos and, in brackets, the notices."""
        delivered = []
        for _ in range(times):
            self.watched.poll()
            while event := self.inbox.get(0.001):
                if isinstance(event, IncomingPhoto):
                    delivered.append(Path(event.name).name)
                else:
                    assert isinstance(event, (Notice, SourceLost))
                    delivered.append(f"({event.text})")
        return delivered


@pytest.fixture
def polled(tmp_path: Path) -> PolledFolder:
    polled = PolledFolder(tmp_path)
    polled.poll()
    return polled


def test_a_photo_is_delivered_at_once_and_only_once(polled: PolledFolder) -> None:
    polled.write("a.jpg", picture(1))
    polled.write("b.png", picture(2, "PNG"))
    polled.write("c.txt", b"text")
    polled.write(".d.jpg", picture(3))
    assert polled.poll(10) == ["a.jpg", "b.png"]


def test_photos_already_in_the_folder_are_delivered_on_request_only(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(picture(1))
    assert PolledFolder(tmp_path).poll(10) == []
    assert PolledFolder(tmp_path, backlog=True).poll(10) == ["a.jpg"]


def test_an_incomplete_photo_is_delivered_when_it_is_complete(polled: PolledFolder) -> None:
    whole = picture(1)
    for part in range(1, 10):
        polled.write("a.jpg", whole[: len(whole) * part // 10])
        assert polled.poll() == []
    polled.write("a.jpg", whole)
    assert polled.poll(10) == ["a.jpg"]


def test_a_photo_that_stays_truncated_is_delivered_after_a_while(polled: PolledFolder) -> None:
    polled.write("a.jpg", picture(1)[:-9])
    assert polled.poll(3) == []
    assert polled.poll(10) == ["a.jpg"]


def test_an_overwritten_photo_is_delivered_again(polled: PolledFolder) -> None:
    polled.write("a.jpg", picture(1))
    assert polled.poll(5) == ["a.jpg"]
    os.utime(polled.write("a.jpg", picture(2)), ns=(1, 1))
    assert polled.poll(5) == ["a.jpg"]


def test_renamed_and_temporary_files_are_not_delivered(polled: PolledFolder) -> None:
    path = polled.write("a.jpg", picture(1))
    assert polled.poll(5) == ["a.jpg"]
    path.rename(polled.folder / "b.jpg")
    polled.write("c.jpg.part", picture(3))
    assert polled.poll(5) == []
    (polled.folder / "c.jpg.part").rename(polled.folder / "c.jpg")
    assert polled.poll(5) == ["c.jpg"]


def test_a_copy_is_reported_and_not_delivered(polled: PolledFolder) -> None:
    polled.write("a.jpg", picture(1))
    polled.poll(5)
    polled.write("b.jpg", picture(1))
    (notice,) = polled.poll(5)
    assert "b.jpg: the same photo as a.jpg" in notice


def test_a_folder_that_returns_delivers_only_new_photos(tmp_path: Path) -> None:
    folder = tmp_path / "usb"
    folder.mkdir()
    polled = PolledFolder(folder)
    polled.poll()
    polled.write("a.jpg", picture(1))
    assert polled.poll(3) == ["a.jpg"]
    folder.rename(tmp_path / "gone")
    assert [one.count("Waiting for it") for one in polled.poll(5)] == [1]
    folder.mkdir()  # an empty mount point
    assert [one.count("is back") for one in polled.poll(5)] == [1]
    folder.rmdir()
    polled.poll(2)
    (tmp_path / "gone").rename(folder)
    polled.write("b.jpg", picture(2))
    assert polled.poll(5)[1:] == ["b.jpg"]


def test_a_missing_folder_is_watched_once_it_appears(tmp_path: Path) -> None:
    polled = PolledFolder(tmp_path / "later")
    assert len(polled.poll(5)) == 1
    polled.folder.mkdir()
    polled.write("a.jpg", picture(1))
    assert polled.poll(5)[1:] == ["a.jpg"]


@pytest.mark.slow
def test_thousands_of_photos_are_delivered_in_order(tmp_path: Path) -> None:
    for number in range(2000):
        path = tmp_path / f"{(number * 7919) % 2000:04}.jpg"
        path.write_bytes(picture(number))
        os.utime(path, ns=(number, number))
    inbox = Inbox()
    watched = WatchedFolder(tmp_path, inbox, backlog=True)
    watched.start()
    names: list[int] = []
    while len(names) < 2000:
        event = inbox.get(5.0)
        assert isinstance(event, IncomingPhoto)
        names.append(int(Path(event.name).stem))
    watched.stop()
    assert names == [(number * 7919) % 2000 for number in range(2000)]


def test_an_unchanged_folder_is_not_listed(polled: PolledFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    os.utime(polled.folder, ns=(1, 1))
    polled.poll(2)
    monkeypatch.setattr(os, "scandir", None)
    assert polled.poll(5) == []


def test_the_number_of_remembered_photos_is_bounded(polled: PolledFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched_folder, "MAX_REMEMBERED", 10)
    for number in range(50):
        path = polled.write("a.jpg", picture(number))
        os.utime(path, ns=(number, number))
        polled.poll(2)
        path.unlink()
    assert len(polled.watched._delivered) <= 11
    assert len(polled.watched._names_by_hash) <= 10


def test_paths_are_delivered_line_by_line_and_then_the_scan_ends() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"a b.jpg\n\nc.jpg\r\nlast.jpg")
    os.close(writer)
    inbox = Inbox()
    PathStream(reader, inbox).run()
    assert [inbox.get(1.0) for _ in range(4)] == [
        IncomingPhoto("a b.jpg"),
        IncomingPhoto("c.jpg"),
        IncomingPhoto("last.jpg"),
        EndScan(),
    ]


def test_the_inbox_keeps_only_the_newest_frame() -> None:
    inbox = Inbox()
    for number in range(100):
        inbox.put_frame(bytes([number]), number / 30)
    inbox.put_now(Notice("later"))
    frame = inbox.get(1.0)
    assert (frame.photo, frame.dropped) == (bytes([99]), 99)  # type: ignore[union-attr]
    assert inbox.get(1.0) == Notice("later")
    assert inbox.get(0.001) is None


def test_delivering_many_lines_waits_for_room() -> None:
    inbox, stopped = Inbox(), threading.Event()
    thread = threading.Thread(target=lambda: [inbox.put(Line(str(number)), stopped) for number in range(50)])
    thread.start()
    assert [inbox.get(5.0) for _ in range(50)] == [Line(str(number)) for number in range(50)]
    thread.join(5.0)
    assert not thread.is_alive()
