"""A round through products that need photos: what is offered, taken, deleted and said."""

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from edgesearch import Answer, CatalogError, ImageError, Match
from edgesearch.capture.guided_capture import GuidedCapture, Visit
from edgesearch.capture.inbox import TRIGGER, EndScan, Frame, Inbox, IncomingPhoto, Line, SourceLost
from edgesearch.capture.watched_folder import WatchedFolder
from edgesearch.catalog.product import Product
from edgesearch.commands import photo_sources, terminal_picture
from edgesearch.commands.cli import main
from edgesearch.images import image, quality
from edgesearch.learning import contradiction, diverse_memory
from edgesearch.store import photo_session
from edgesearch.store.photo_session import Recognition, Step
from edgesearch.store.store import Store

from ..conftest import coarse_pattern

PRODUCTS = [Match(Product(sku, f"Name of {sku}", barcode=sku * 3), 1.0, "", 0) for sku in "ABC"]


class FakeSession:
    """Takes frames whose first pixel is bright; three are enough."""

    def __init__(self, sku: str):
        self.sku, self.numbers, self.presses = sku, list[int](), list[bool]()

    def add(self, frame: Any, press: bool = False) -> Step:
        if isinstance(frame, bytes) and frame == b"x":
            raise ImageError("picture of 1 bytes: damaged; take it again.")
        self.presses.append(press)
        bright = press or (not isinstance(frame, bytes) and frame[0, 0, 0] > 0)
        self.numbers += [len(self.numbers) + 1] * int(bright)
        return Step("taken" if bright else "dark", len(self.numbers), len(self.numbers) >= 3)

    def take_back(self) -> list[int]:
        gone, self.numbers = self.numbers, []
        return gone

    def measure(self) -> Recognition:
        return Recognition(len(self.numbers), 0, len(self.numbers), 0, 1)


class FakeStore:
    """Begins sessions, and knows the barcodes of the products."""

    def __init__(self) -> None:
        self.sessions: list[FakeSession] = []

    def photo_session(self, sku: str, who: str | None = None) -> FakeSession:
        self.sessions.append(FakeSession(sku))
        return self.sessions[-1]

    def named_by(self, text: str, k: int) -> Answer:
        named = tuple(match for match in PRODUCTS if text in (match.sku, match.product.barcode))
        return Answer("", "match" if named else "unknown", named, {})


class FakeScreen:
    """Remembers what it was told to show."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def offer(self, visit: Visit, number: int, count: int) -> None:
        self.said.append(f"{number}/{count} {visit.product.sku}")

    def advise(self, step: Step, frame: bool) -> None:
        self.said.append(f"{step.advice} {step.taken}")

    def finish(self, visit: Visit) -> None:
        assert visit.recognition
        self.said.append(f"{visit.product.sku}: {visit.recognition.first_after}")

    def notify(self, text: str) -> None:
        self.said.append(text)


def frame(seed: int) -> Frame:
    """Return a frame with motion in it; a dark one for seed 0."""
    pixels = np.random.default_rng(seed).integers(1, 256, (64, 64, 3), np.uint8)
    return Frame(pixels * (seed > 0), 0.0, 0)


def play(*events: object, more: bool = False) -> tuple[FakeStore, FakeScreen, GuidedCapture]:
    """Let a round of three products see events, then the end."""
    store, screen, inbox = FakeStore(), FakeScreen(), Inbox()
    for event in (*events, EndScan()):
        if isinstance(event, Frame):
            inbox._events.put(event)  # `put_frame` keeps the newest alone
        else:
            inbox.put_now(cast(Any, event))
    capture = GuidedCapture(cast(Store, store), PRODUCTS, screen, "Ada", more)
    capture.run(inbox)
    return store, screen, capture


def test_frames_count_after_the_start_alone() -> None:
    store, screen, _ = play(frame(1), Line(""), frame(2), frame(0), frame(3), frame(4), frame(5))
    assert screen.said == ["1/3 A", "taken 1", "dark 1", "taken 2", "taken 3", "A: 3", "2/3 B"]
    assert [session.sku for session in store.sessions] == ["A"]


def test_an_empty_line_takes_the_next_frame() -> None:
    store, screen, _ = play(Line(""), frame(0), Line(""), frame(0), frame(0))
    assert store.sessions[0].presses[:2] == [False, True]
    assert "taken 1" in screen.said


def test_products_are_skipped_and_the_round_ends_after_the_last() -> None:
    _, screen, _ = play(Line("s"), Line(""), frame(1), Line("s"), Line("s"), Line(""))
    assert screen.said == ["1/3 A", "2/3 B", "taken 1", "B: 1", "3/3 C"]


def test_back_deletes_this_product_then_the_one_before() -> None:
    store, screen, capture = play(
        Line(""), frame(1), Line("s"), Line(""), frame(2), Line("b"), Line("b"), Line("b"), Line("q"), Line("")
    )
    assert screen.said == [
        "1/3 A", "taken 1", "A: 1", "2/3 B", "taken 1", "Name of B: its photos are deleted.", "2/3 B",
        "Name of A: its photos are deleted.", "1/3 A", "1/3 A",
    ]  # fmt: skip
    assert [session.numbers for session in store.sessions] == [[], []]
    assert all(visit.session is None for visit in capture.visits)


def test_a_barcode_begins_with_its_product() -> None:
    _, screen, _ = play(Line("CCC"), frame(1), Line("A"), frame(2), Line("999"))
    assert screen.said[:4] == ["1/3 A", "1/4 C", "taken 1", "C: 1"]
    assert screen.said[4:6] == ["2/5 A", "taken 1"]
    assert screen.said[6] == "999: no product has this code."


def test_photos_of_a_folder_are_taken_at_once(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    file.write_bytes(b"picture")
    _, screen, _ = play(
        *[IncomingPhoto(str(file)), IncomingPhoto("b.jpg", b"x"), IncomingPhoto("c.jpg", b"c")], more=True
    )
    assert screen.said == ["1/3 A", "taken 1", "picture of 1 bytes: damaged; take it again.", "taken 2", "A: 2"]


def test_the_end_of_the_lines_lets_the_product_finish() -> None:
    _, screen, _ = play(Line(""), EndScan(TRIGGER), frame(1), frame(2), frame(3), Line(""))
    assert screen.said == ["1/3 A", "taken 1", "taken 2", "taken 3", "A: 3"]
    assert play(EndScan(TRIGGER), Line(""), frame(1))[1].said == ["1/3 A"]
    assert play(EndScan(TRIGGER), Line(""), frame(1), more=True)[1].said == ["1/3 A", "taken 1", "A: 1"]
    lost = play(Line(""), EndScan(TRIGGER), SourceLost("camera", "camera: ended."), frame(1))
    assert lost[1].said == ["1/3 A", "camera: ended."]


def test_a_failure_is_said_and_the_round_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise CatalogError("A: no product of that SKU is here; check it.")

    monkeypatch.setattr(FakeStore, "photo_session", fail)
    assert play(Line(""), Line("s"))[1].said == ["1/3 A", "A: no product of that SKU is here; check it.", "2/3 B"]


def test_a_picture_is_drawn_with_characters() -> None:
    pixels = np.zeros((40, 20, 3), np.uint8)
    pixels[:20] = (250, 0, 0)
    lines = terminal_picture.draw(image.thumbnail(pixels, 40), 8)
    assert len(lines) == 4
    assert all(line.count("▀") == 8 and line.endswith("\x1b[0m") for line in lines)


def test_the_command_takes_photos_of_a_folder(
    device: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module, name, value in (
        (diverse_memory, "NOTHING_NEW", 2.0), (quality, "FAR", 0.0), (contradiction, "UNSUPPORTED", 1.0),
        (photo_session, "ENOUGH_S", 0.0),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(3):
        pixels = coarse_pattern(seed)
        (folder / f"{seed}.jpg").write_bytes(image.thumbnail(pixels, 270))
    command = ["capture", str(device), "-k", "1", "--watch", str(folder), "--who", "Ada"]
    assert main(command) == 1
    assert "learning is off" in capsys.readouterr().err
    main(["learn", str(device), "on"])
    monkeypatch.setattr(photo_sources, "WatchedFolder", lambda *given: WatchedFolder(*given[:2], backlog=True))
    capsys.readouterr()
    assert main([*command, "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in events] == ["offer", "photo", "photo", "photo", "product", "end"]
    assert events[4]["numbers"] == [1, 2, 3] and events[5]["recognition"]["photos"] == 3
    assert main(["capture", str(device), "--list", "--location", "nowhere"]) == 1
    assert "has no products at nowhere" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["capture", str(device)])
