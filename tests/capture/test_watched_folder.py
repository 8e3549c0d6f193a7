"""A folder of a scanner's firmware: each photo once, when it is whole, whatever becomes of the folder."""

import io
import os
import threading
from pathlib import Path

import pytest
from PIL import Image

from edgesearch.capture import watched_folder
from edgesearch.capture.inbox import File, Inbox, Line, Lost, Note, Stop
from edgesearch.capture.watched_folder import Paths, WatchedFolder


def picture(number: int, kind: str = "JPEG") -> bytes:
    encoded = io.BytesIO()
    Image.new("RGB", (40, 40), (90, 0, 0)).save(encoded, kind, comment=str(number))
    return encoded.getvalue()


class Drop:
    """A folder that is looked at step by step."""

    def __init__(self, folder: Path, backlog: bool = False):
        self.folder, self.inbox = folder, Inbox()
        self.watch = WatchedFolder(folder, self.inbox, backlog, every_s=0.25)

    def write(self, name: str, content: bytes) -> Path:
        (self.folder / name).write_bytes(content)
        return self.folder / name

    def look(self, times: int = 1) -> list[str]:
        """The names of what it brings, "(sentence)" for what it says."""
        said = []
        for _ in range(times):
            self.watch.look()
            while event := self.inbox.take(0.001):
                if isinstance(event, File):
                    said.append(Path(event.name).name)
                else:
                    assert isinstance(event, (Note, Lost))
                    said.append(f"({event.text})")
        return said


@pytest.fixture
def drop(tmp_path: Path) -> Drop:
    drop = Drop(tmp_path)
    drop.look()
    return drop


def test_a_photo_is_brought_at_once_and_once(drop: Drop) -> None:
    drop.write("a.jpg", picture(1))
    drop.write("b.png", picture(2, "PNG"))
    drop.write("c.txt", b"text")
    drop.write(".d.jpg", picture(3))
    assert drop.look(10) == ["a.jpg", "b.png"]


def test_what_was_there_before_is_brought_on_request_only(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(picture(1))
    assert Drop(tmp_path).look(10) == []
    assert Drop(tmp_path, backlog=True).look(10) == ["a.jpg"]


def test_a_half_written_photo_waits_for_its_end(drop: Drop) -> None:
    whole = picture(1)
    for part in range(1, 10):
        drop.write("a.jpg", whole[: len(whole) * part // 10])
        assert drop.look() == []
    drop.write("a.jpg", whole)
    assert drop.look(10) == ["a.jpg"]


def test_a_photo_that_stays_cut_off_is_brought_after_a_while(drop: Drop) -> None:
    drop.write("a.jpg", picture(1)[:-9])
    assert drop.look(3) == []
    assert drop.look(10) == ["a.jpg"]


def test_a_photo_that_is_written_over_is_brought_again(drop: Drop) -> None:
    drop.write("a.jpg", picture(1))
    assert drop.look(5) == ["a.jpg"]
    os.utime(drop.write("a.jpg", picture(2)), ns=(1, 1))
    assert drop.look(5) == ["a.jpg"]


def test_a_new_name_is_no_new_photo_and_a_temporary_one_is_none(drop: Drop) -> None:
    path = drop.write("a.jpg", picture(1))
    assert drop.look(5) == ["a.jpg"]
    path.rename(drop.folder / "b.jpg")
    drop.write("c.jpg.part", picture(3))
    assert drop.look(5) == []
    (drop.folder / "c.jpg.part").rename(drop.folder / "c.jpg")
    assert drop.look(5) == ["c.jpg"]


def test_a_copy_is_said_and_not_brought(drop: Drop) -> None:
    drop.write("a.jpg", picture(1))
    drop.look(5)
    drop.write("b.jpg", picture(1))
    (said,) = drop.look(5)
    assert "b.jpg: the same photo as a.jpg" in said


def test_a_folder_that_vanishes_comes_back_with_what_is_new(tmp_path: Path) -> None:
    folder = tmp_path / "usb"
    folder.mkdir()
    drop = Drop(folder)
    drop.look()
    drop.write("a.jpg", picture(1))
    assert drop.look(3) == ["a.jpg"]
    folder.rename(tmp_path / "gone")
    assert [one.count("Waiting for it") for one in drop.look(5)] == [1]
    folder.mkdir()  # an empty mount point
    assert [one.count("there again") for one in drop.look(5)] == [1]
    folder.rmdir()
    drop.look(2)
    (tmp_path / "gone").rename(folder)
    drop.write("b.jpg", picture(2))
    assert drop.look(5)[1:] == ["b.jpg"]


def test_a_folder_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    drop = Drop(tmp_path / "later")
    assert len(drop.look(5)) == 1
    drop.folder.mkdir()
    drop.write("a.jpg", picture(1))
    assert drop.look(5)[1:] == ["a.jpg"]


def test_thousands_of_photos_come_in_order_and_never_all_at_once(tmp_path: Path) -> None:
    for number in range(2000):
        path = tmp_path / f"{(number * 7919) % 2000:04}.jpg"
        path.write_bytes(picture(number))
        os.utime(path, ns=(number, number))
    inbox = Inbox()
    brought = WatchedFolder(tmp_path, inbox, backlog=True)
    brought.start()
    names = []
    while len(names) < 2000:
        event = inbox.take(5.0)
        assert isinstance(event, File)
        names.append(int(Path(event.name).stem))
    brought.stop()
    assert names == [(number * 7919) % 2000 for number in range(2000)]


def test_a_folder_at_rest_is_not_listed(drop: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    os.utime(drop.folder, ns=(1, 1))
    drop.look(2)
    monkeypatch.setattr(watched_folder.os, "scandir", None)
    assert drop.look(5) == []


def test_what_is_remembered_is_bounded(drop: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched_folder, "REMEMBERED", 10)
    for number in range(50):
        path = drop.write("a.jpg", picture(number))
        os.utime(path, ns=(number, number))
        drop.look(2)
        path.unlink()
    assert len(drop.watch._known) <= 11
    assert len(drop.watch._contents) <= 10


def test_paths_are_brought_line_by_line_and_then_it_ends() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"a b.jpg\n\nc.jpg\r\nlast.jpg")
    os.close(writer)
    inbox = Inbox()
    Paths(reader, inbox).run()
    assert [inbox.take(1.0) for _ in range(4)] == [File("a b.jpg"), File("c.jpg"), File("last.jpg"), Stop()]


def test_only_the_newest_frame_waits() -> None:
    inbox = Inbox()
    for number in range(100):
        inbox.show(bytes([number]), number / 30)
    inbox.tell(Note("later"))
    frame = inbox.take(1.0)
    assert (frame.photo, frame.dropped) == (bytes([99]), 99)  # type: ignore[union-attr]
    assert inbox.take(1.0) == Note("later")
    assert inbox.take(0.001) is None


def test_whoever_brings_many_lines_waits_for_room() -> None:
    inbox, stopped = Inbox(), threading.Event()
    thread = threading.Thread(target=lambda: [inbox.give(Line(str(number)), stopped) for number in range(50)])
    thread.start()
    assert [inbox.take(5.0) for _ in range(50)] == [Line(str(number)) for number in range(50)]
    thread.join(5.0)
    assert not thread.is_alive()
