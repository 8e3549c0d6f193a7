"""Scanning for hours: what is told and counted, and what goes wrong without an end."""

import contextlib
import errno
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import edgesearch
from edgesearch import Answer, DeviceError, ImageError, Match
from edgesearch._util.systemd import Notifier
from edgesearch.answer import Decision, Label
from edgesearch.capture.inbox import File, Frame, Inbox, Line, Lost, Reopen, Stop
from edgesearch.capture.scan_loop import SHOT_FRAMES, Notes, Scan, Scanner
from edgesearch.catalog.product import Product
from edgesearch.commands.cli import main
from edgesearch.counting.photo_count import Count
from edgesearch.counting.scan_count import Tally

PRODUCTS = {"A": Product("A", "Cup", 4.5, "EUR", location="B2", barcode="111"), "B": Product("B", "Jug")}
DECISIONS: dict[str, Decision] = {"?": "unknown", "!": "ambiguous"}


def answer(says: str) -> Answer:
    """Of what a photo "shows": a SKU, "?" unknown, "!" ambiguous, "x": it cannot be read, "d": the device fails."""
    if says in "xd":
        raise ImageError("picture of 1 bytes: damaged; take it again.") if says == "x" else DeviceError("overlay gone.")
    products = [PRODUCTS["B"], PRODUCTS["A"]] if says == "B" else [PRODUCTS["A"], PRODUCTS["B"]]
    matches = tuple(Match(product, 0.9, "", 0, probability=0.9) for product in products)
    return Answer("photo", DECISIONS.get(says, "match"), matches, {"total": 70.0})


class Shelf:
    """A store that says of bytes what is written in them, and of pixels what their colour stands for."""

    overlay: object = None
    bundle = SimpleNamespace(manifest=SimpleNamespace(name="shop", sequence=7))

    def __init__(self) -> None:
        self.reopened = self.cleared = 0
        self.fails: Exception | None = None

    def stream(self, k: int, fast: bool | None) -> "Shelf":
        return self

    def add(self, frame: np.ndarray) -> Answer:
        return answer(chr(frame[0, 0, 0]))

    def clear(self) -> None:
        self.cleared += 1

    def search(self, content: bytes, k: int, fast: bool | None) -> Answer:
        return answer(content.decode()[0])

    def named_by(self, text: str, k: int) -> Answer:
        named = [one for one in PRODUCTS.values() if text in (one.sku, one.barcode)]
        matches = tuple(Match(product, 1.0, "", 0) for product in named)
        label = (Label(text, "", tuple(one.sku for one in named)),) if text == "111" or not named else ()
        return Answer("", "match" if named else "unknown", matches, {"total": 1.0}, barcodes=label)

    def products(self, skus: Collection[str] | None = None) -> dict[str, Product]:
        return {sku: product for sku, product in PRODUCTS.items() if skus is None or sku in skus}

    def reopen(self) -> bool:
        self.reopened += 1
        if self.fails:
            raise self.fails
        return True


class Night:
    """A scanner, and what it told."""

    def __init__(self, output: Path | None = None, live: bool = True):
        self.store, self.told, self.said = Shelf(), list[Scan](), list[str]()
        self.count = Count(self.store, output) if output else None  # type: ignore[arg-type]
        tally = Tally(self.count) if self.count else None
        self.scanner = Scanner(self.store, self.told.append, self.said.append, tally, live)  # type: ignore[arg-type]
        self.at_s = time.monotonic()
        self._shade = 0

    def see(self, frames: str) -> None:
        """Frames that show these, one every 80 ms, in each of which something moves."""
        for says in frames:
            self.at_s += 0.08
            self._shade = (self._shade + 60) % 240
            picture = np.full((64, 64, 3), self._shade, np.uint8)
            picture[0, 0, 0] = ord(says)
            self.scanner.take(Frame(picture, self.at_s, 2))

    def type(self, *lines: str) -> None:
        for line in lines:
            self.scanner.take(Line(line))

    def drop(self, **contents: str) -> None:
        for name, content in contents.items():
            self.scanner.take(File(f"{name}.jpg", content.encode()))

    def short(self) -> list[str]:
        """What was told, in short."""
        return [one.facts()["EDGESEARCH_EVENT"] + one.facts()["EDGESEARCH_SKU"] for one in self.told]

    def counted(self) -> list[int]:
        return [one.counted.count for one in self.told if one.counted]


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    night = Night(tmp_path / "stock.csv")
    assert night.count
    with night.count:
        yield night


def test_pieces_are_counted_once_each(night: Night) -> None:
    night.see("A" * 20 + "?" * 12 + "A" * 20 + "B" * 9)
    assert [one for one in night.short() if one != "unknownA"] == ["matchA", "matchA", "matchB"]
    assert night.counted() == [1, 2, 1]


def test_what_is_not_sure_is_told_and_not_counted(night: Night) -> None:
    night.see("!" * 9 + "?" * 20)
    assert night.counted() == []
    assert night.short()[0] == "ambiguousA"


def test_a_trigger_counts_each_time_it_is_pulled(tmp_path: Path) -> None:
    night = Night(tmp_path / "stock.csv", live=False)
    night.see("A" * 9)
    assert night.told == []
    for _ in range(3):
        night.type("")
        night.at_s = time.monotonic()
        night.see("AAAAAAAA")
    assert night.counted() == [1, 2, 3]
    assert {one.source for one in night.told} == {"trigger"}
    assert night.store.cleared == 3


def test_a_trigger_looks_again_where_a_frame_is_not_sure() -> None:
    night = Night(live=False)
    night.type("")
    night.at_s = time.monotonic()
    night.see("?x" + "A" * SHOT_FRAMES)
    assert night.short() == ["matchA"]


def test_a_trigger_passes_over_what_was_seen_before_it() -> None:
    night = Night(live=False)
    night.type("")
    night.at_s = time.monotonic() - 10
    night.see("BBBB")
    night.at_s = time.monotonic()
    night.see("AAAA")
    assert night.short() == ["matchA"]


def test_a_trigger_without_a_camera_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgesearch.capture.scan_loop.SHOT_S", 0.01)
    night, inbox = Night(live=False), Inbox()
    inbox.tell(Line(""))
    timer = threading.Timer(1.0, inbox.tell, [Stop()])
    timer.start()
    night.scanner.run(inbox)
    assert [str(one.error) for one in night.told] == ["trigger: the camera gave no picture for 0.01 s; check it."]


def test_a_wedge_looks_up_counts_repeats_and_takes_back(night: Night) -> None:
    night.type("111", "*12", "-", "B", "999", "*0", "*99999999")
    assert night.counted() == [1, 12, 1, 1]
    assert night.short()[-4:] == ["matchB", "unknown", "error", "error"]
    assert night.count
    assert night.count.counts == {"A": 1, "B": 1}
    assert {one.by for one in night.count._session.counted()} == {"barcode", "hand"}


def test_nothing_is_taken_back_twice(night: Night) -> None:
    night.type("-", "111", "-", "-")
    assert night.short() == ["error", "matchA", "countedA", "error"]


def test_a_photo_is_counted_once_and_what_is_not_sure_waits(night: Night) -> None:
    night.drop(a="A1", b="A1", c="A2", d="?", e="x")
    assert night.counted() == [1, 2]
    assert night.short() == ["matchA", "matchA", "unknownA", "error"]
    assert night.told[-1].to_dict()["photo"] == "e.jpg"
    assert "decision" not in night.told[-1].to_dict()
    assert str(night.told[-1].error) == "e.jpg: damaged; take it again."
    assert night.count
    assert [one.photo for one in night.count.waiting] == ["d.jpg"]


def test_frames_that_fail_are_said_and_the_next_is_answered(night: Night) -> None:
    night.see("AxdAAxdBB")
    assert night.short() == ["matchA", "matchB"]
    assert {line.partition(":")[0] for line in night.said} == {"camera"}


def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    night = Night(tmp_path / "stock.csv")
    assert night.count
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with night.count:
        monkeypatch.setattr(edgesearch.session.os, "write", full)  # type: ignore[attr-defined]
        night.drop(a="A1")
        night.see("B" * 30)
        assert night.short() == ["errorA", "errorB"]
        assert "No space left" in str(night.told[0].error)
        assert night.counted() == []
        monkeypatch.setattr(edgesearch.session.os, "write", write)  # type: ignore[attr-defined]
        night.see("?" * 20 + "B" * 5)
        night.scanner._counted_s -= 60
        night.scanner._turn()
        assert night.count.counts == {"A": 1, "B": 1}
        assert (tmp_path / "stock.csv").read_text().count("\n") == 3


def test_lists_are_written_while_it_runs(night: Night) -> None:
    night.type("111")
    night.scanner._turn()
    assert night.count
    assert not night.count.output.exists()
    night.scanner._counted_s -= 60
    night.scanner._turn()
    assert "A,Cup,1," in night.count.output.read_text()


def test_another_bundle_is_taken_and_a_bad_one_refused(night: Night) -> None:
    night.scanner.take(Reopen())
    night.store.fails = DeviceError("slots: gone.")
    night.scanner.take(Reopen())
    assert night.said == ["runs shop, 7, by now.", "goes on with the bundle it has: slots: gone."]
    night.see("AA")
    assert night.short() == ["matchA"]


def test_a_device_folder_is_looked_at_by_itself(night: Night) -> None:
    night.store.overlay = object()
    night.scanner._checked_s -= 60
    for _ in range(5):
        night.scanner._turn()
    assert night.store.reopened == 1


def test_what_is_lost_is_told(night: Night) -> None:
    night.scanner.take(Lost("camera", "/dev/video0: cannot be used. Waiting for it."))
    assert night.told[0].to_dict()["error"] == {
        "kind": "ScanError",
        "message": "/dev/video0: cannot be used. Waiting for it.",
    }


def test_facts_have_the_same_names_always(night: Night) -> None:
    night.see("AA")
    night.type("999", "-", "-", "")
    night.scanner.take(Lost("camera", "gone."))
    assert len({tuple(one.facts()) for one in night.told}) == 1
    facts = night.told[0].facts()
    assert (facts["EDGESEARCH_NAME"], facts["EDGESEARCH_PRICE"], facts["EDGESEARCH_COUNT"]) == ("Cup", "4.50", "1")


def test_the_same_sentence_is_said_once_a_while() -> None:
    said: list[str] = []
    notes = Notes(said.append)
    for number in range(1000):
        notes("full")
        notes(str(number))
    assert said.count("full") == 1
    assert len(notes._said) <= 100


def test_systemd_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(5.0)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "3000000")
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
        notifier = Notifier()
        notifier.tell(READY="1")
        for _ in range(50):
            notifier.beat()
        notifier.tell(STOPPING="1")
        assert [listener.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]


class Running:
    """`edgesearch scan` as a process."""

    def __init__(self, *arguments: object):
        command = [sys.executable, "-m", "edgesearch", "scan", *map(str, arguments), "--json"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.lines: queue.Queue[Any] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.put(json.loads(line))

    def type(self, text: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def next(self) -> dict[str, Any]:
        return dict(self.lines.get(timeout=60))

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        status = self.process.wait(60)
        assert self.process.stderr
        with contextlib.closing(self.process.stderr) as stderr:
            said = stderr.read().decode()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe
            pipe.close()
        return status, said


def test_a_process_scans_a_folder_is_told_of_signals_and_ends_cleanly(
    tiny_edge: Path, shop: Path, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    photo = next((shop / "photos").glob("*.jpg")).read_bytes()
    running = Running(tiny_edge, "--watch", tmp_path / "in", "--wedge", "--count", tmp_path / "stock.csv")
    running.type("P000000\n*3\n")
    assert [running.next()["counted"]["count"] for _ in range(2)] == [1, 3]
    (tmp_path / "in" / "a.jpg").write_bytes(photo)
    assert running.next()["photo"] == str(tmp_path / "in" / "a.jpg")
    running.process.send_signal(signal.SIGHUP)
    (tmp_path / "in" / "b.jpg").write_bytes(photo[:2000])
    assert running.next()["error"]["kind"] == "ImageError"
    status, said = running.end()
    assert (status, said) == (0, f"edgesearch: {tmp_path / 'stock.csv'}: 3 pieces of 1 products.\n")
    assert "P000000" in (tmp_path / "stock.csv").read_text()


def test_a_process_ends_with_its_paths(
    tiny_edge: Path, shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = sorted(map(str, (shop / "photos").glob("*.jpg")))[:3]
    for names, status in ((photos, 0), ([*photos, "missing.jpg"], 1)):
        reader, writer = os.pipe()
        os.write(writer, "\n".join(names).encode())
        os.close(writer)
        monkeypatch.setattr("edgesearch.commands.scan_command.STDIN_FD", reader)
        assert main(["scan", str(tiny_edge), "--paths"]) == status
        os.close(reader)
        out, err = capsys.readouterr()
        assert out.count("\n") == 3
        assert ("missing.jpg: no such file" in err) == bool(status)


@pytest.mark.parametrize(
    "arguments", [[], ["--paths", "--wedge"], ["--paths", "--watch", "x"], ["--wedge", "--hook-timeout", "0"]]
)
def test_wrong_usage_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["scan", "x.edge", *arguments])
    assert caught.value.code == 2


def test_named_by_finds_barcodes_and_skus(tiny_edge: Path) -> None:
    with edgesearch.open(tiny_edge) as store:
        product = next(one for one in store.products().values() if one.barcode)
        assert product.barcode
        for text in (product.barcode, product.sku):
            found = store.named_by(text)
            assert (found.decision, found.matches[0].sku) == ("match", product.sku)
        assert store.named_by(product.barcode).by_barcode
        assert not store.named_by(product.sku).barcodes
        missing = store.named_by("4006381333931")
    assert (missing.decision, missing.matches, missing.barcodes[0].text) == ("unknown", (), "4006381333931")
