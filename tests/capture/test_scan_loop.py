"""Scanning for hours: what is reported and counted, and which failures the scan survives."""

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
from edgesearch.capture.inbox import EndScan, Frame, Inbox, IncomingPhoto, Line, ReopenStore, SourceLost
from edgesearch.capture.scan_loop import TRIGGER_FRAMES, Notices, Scanner
from edgesearch.capture.scan_result import ScanResult
from edgesearch.catalog.product import Product
from edgesearch.commands.cli import main
from edgesearch.counting.photo_count import Count
from edgesearch.counting.scan_count import ScanCount

PRODUCTS = {"A": Product("A", "Cup", 4.5, "EUR", location="B2", barcode="111"), "B": Product("B", "Jug")}
DECISIONS: dict[str, Decision] = {"?": "unknown", "!": "ambiguous"}


def answer(says: str) -> Answer:
    """Return the answer to a text: a SKU, "?" unknown, "!" ambiguous; raise for "x" (unreadable) and "d" (device)."""
    if says in "xd":
        raise ImageError("picture of 1 bytes: damaged; take it again.") if says == "x" else DeviceError("overlay gone.")
    products = [PRODUCTS["B"], PRODUCTS["A"]] if says == "B" else [PRODUCTS["A"], PRODUCTS["B"]]
    matches = tuple(Match(product, 0.9, "", 0, probability=0.9) for product in products)
    return Answer("photo", DECISIONS.get(says, "match"), matches, {"total": 70.0})


class FakeStore:
    """A store that answers bytes by their text, and pixels by the character code of the first one."""

    overlay: object = None
    bundle = SimpleNamespace(manifest=SimpleNamespace(name="shop", sequence=7))

    def __init__(self) -> None:
        self.reopened = self.cleared = 0
        self.fails: Exception | None = None

    def stream(self, k: int, fast: bool | None) -> "FakeStore":
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


class FakeScan:
    """A scanner, and what it reported."""

    def __init__(self, output: Path | None = None, live: bool = True):
        self.store, self.results, self.notices = FakeStore(), list[ScanResult](), list[str]()
        self.count = Count(self.store, output) if output else None  # type: ignore[arg-type]
        scan_count = ScanCount(self.count) if self.count else None
        self.scanner = Scanner(self.store, self.results.append, self.notices.append, scan_count, live)  # type: ignore[arg-type]
        self.at_s = time.monotonic()
        self._shade = 0

    def see(self, frames: str) -> None:
        """Pass in frames that show these products, one every 80 ms, each with motion."""
        for says in frames:
            self.at_s += 0.08
            self._shade = (self._shade + 60) % 240
            picture = np.full((64, 64, 3), self._shade, np.uint8)
            picture[0, 0, 0] = ord(says)
            self.scanner.handle(Frame(picture, self.at_s, 2))

    def type(self, *lines: str) -> None:
        for line in lines:
            self.scanner.handle(Line(line))

    def drop(self, **contents: str) -> None:
        for name, content in contents.items():
            self.scanner.handle(IncomingPhoto(f"{name}.jpg", content.encode()))

    def short(self) -> list[str]:
        """Return event and SKU of each result."""
        variables = [result.to_environment() for result in self.results]
        return [values["EDGESEARCH_EVENT"] + values["EDGESEARCH_SKU"] for values in variables]

    def counted(self) -> list[int]:
        return [result.counted.count for result in self.results if result.counted]


@pytest.fixture
def scan(tmp_path: Path) -> Iterator[FakeScan]:
    scan = FakeScan(tmp_path / "stock.csv")
    assert scan.count
    with scan.count:
        yield scan


def test_each_piece_is_counted_once(scan: FakeScan) -> None:
    scan.see("A" * 20 + "?" * 12 + "A" * 20 + "B" * 9)
    assert [event for event in scan.short() if event != "unknownA"] == ["matchA", "matchA", "matchB"]
    assert scan.counted() == [1, 2, 1]


def test_unsure_answers_are_reported_and_not_counted(scan: FakeScan) -> None:
    scan.see("!" * 9 + "?" * 20)
    assert scan.counted() == []
    assert scan.short()[0] == "ambiguousA"


def test_each_pull_of_the_trigger_counts(tmp_path: Path) -> None:
    scan = FakeScan(tmp_path / "stock.csv", live=False)
    scan.see("A" * 9)
    assert scan.results == []
    for _ in range(3):
        scan.type("")
        scan.at_s = time.monotonic()
        scan.see("AAAAAAAA")
    assert scan.counted() == [1, 2, 3]
    assert {result.source for result in scan.results} == {"trigger"}
    assert scan.store.cleared == 3


def test_a_trigger_searches_more_frames_until_one_is_sure() -> None:
    scan = FakeScan(live=False)
    scan.type("")
    scan.at_s = time.monotonic()
    scan.see("?x" + "A" * TRIGGER_FRAMES)
    assert scan.short() == ["matchA"]


def test_a_trigger_ignores_older_frames() -> None:
    scan = FakeScan(live=False)
    scan.type("")
    scan.at_s = time.monotonic() - 10
    scan.see("BBBB")
    scan.at_s = time.monotonic()
    scan.see("AAAA")
    assert scan.short() == ["matchA"]


@pytest.mark.slow
def test_a_trigger_without_frames_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgesearch.capture.scan_loop.TRIGGER_S", 0.01)
    scan, inbox = FakeScan(live=False), Inbox()
    inbox.put_now(Line(""))
    timer = threading.Timer(1.0, inbox.put_now, [EndScan()])
    timer.start()
    scan.scanner.run(inbox)
    errors = [str(result.error) for result in scan.results]
    assert errors == ["trigger: the camera gave no picture for 0.01 s; check it."]


def test_wedge_lines_look_up_repeat_and_undo(scan: FakeScan) -> None:
    scan.type("111", "*12", "-", "B", "999", "*0", "*99999999")
    assert scan.counted() == [1, 12, 1, 1]
    assert scan.short()[-4:] == ["matchB", "unknown", "error", "error"]
    assert scan.count
    assert scan.count.counts == {"A": 1, "B": 1}
    assert {entry.by for entry in scan.count._journal.counted_entries()} == {"barcode", "hand"}


def test_a_piece_is_taken_back_once(scan: FakeScan) -> None:
    scan.type("-", "111", "-", "-")
    assert scan.short() == ["error", "matchA", "countedA", "error"]


def test_a_photo_is_counted_once_and_an_unsure_one_goes_to_review(scan: FakeScan) -> None:
    scan.drop(a="A1", b="A1", c="A2", d="?", e="x")
    assert scan.counted() == [1, 2]
    assert scan.short() == ["matchA", "matchA", "unknownA", "error"]
    assert scan.results[-1].to_dict()["photo"] == "e.jpg"
    assert "decision" not in scan.results[-1].to_dict()
    assert str(scan.results[-1].error) == "e.jpg: damaged; take it again."
    assert scan.count
    assert [entry.photo for entry in scan.count.to_review] == ["d.jpg"]


def test_failed_frames_are_reported_and_the_next_is_answered(scan: FakeScan) -> None:
    scan.see("AxdAAxdBB")
    assert scan.short() == ["matchA", "matchB"]
    assert {line.partition(":")[0] for line in scan.notices} == {"camera"}


def test_a_full_disk_is_reported_and_photos_are_counted_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = FakeScan(tmp_path / "stock.csv")
    assert scan.count
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with scan.count:
        monkeypatch.setattr(os, "write", full)
        scan.drop(a="A1")
        scan.see("B" * 30)
        assert scan.short() == ["errorA", "errorB"]
        assert "No space left" in str(scan.results[0].error)
        assert scan.counted() == []
        monkeypatch.setattr(os, "write", write)
        scan.see("?" * 20 + "B" * 5)
        scan.scanner._counted_s -= 60
        scan.scanner._do_periodic_work()
        assert scan.count.counts == {"A": 1, "B": 1}
        assert (tmp_path / "stock.csv").read_text().count("\n") == 3


def test_lists_are_written_during_the_scan(scan: FakeScan) -> None:
    scan.type("111")
    scan.scanner._do_periodic_work()
    assert scan.count
    assert not scan.count.output.exists()
    scan.scanner._counted_s -= 60
    scan.scanner._do_periodic_work()
    assert "A,Cup,1," in scan.count.output.read_text()


def test_a_new_bundle_is_opened_and_a_damaged_one_refused(scan: FakeScan) -> None:
    scan.scanner.handle(ReopenStore())
    scan.store.fails = DeviceError("slots: gone.")
    scan.scanner.handle(ReopenStore())
    assert scan.notices == ["now runs shop, sequence 7.", "keeps the bundle it has: slots: gone."]
    scan.see("AA")
    assert scan.short() == ["matchA"]


def test_a_device_folder_is_checked_for_a_new_bundle(scan: FakeScan) -> None:
    scan.store.overlay = object()
    scan.scanner._checked_s -= 60
    for _ in range(5):
        scan.scanner._do_periodic_work()
    assert scan.store.reopened == 1


def test_a_lost_source_is_reported(scan: FakeScan) -> None:
    scan.scanner.handle(SourceLost("camera", "/dev/video0: cannot be used. Waiting for it."))
    assert scan.results[0].to_dict()["error"] == {
        "kind": "ScanError",
        "message": "/dev/video0: cannot be used. Waiting for it.",
    }


def test_hook_variables_always_have_the_same_names(scan: FakeScan) -> None:
    scan.see("AA")
    scan.type("999", "-", "-", "")
    scan.scanner.handle(SourceLost("camera", "gone."))
    assert len({tuple(result.to_environment()) for result in scan.results}) == 1
    variables = scan.results[0].to_environment()
    names = ("EDGESEARCH_NAME", "EDGESEARCH_PRICE", "EDGESEARCH_COUNT")
    assert tuple(variables[name] for name in names) == (
        "Cup",
        "4.50",
        "1",
    )


def test_the_same_notice_is_shown_once_in_a_while() -> None:
    shown: list[str] = []
    notices = Notices(shown.append)
    for number in range(1000):
        notices("full")
        notices(str(number))
    assert shown.count("full") == 1
    assert len(notices._shown_at) <= 100


def test_systemd_is_notified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(5.0)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "3000000")
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
        notifier = Notifier()
        notifier.notify(READY="1")
        for _ in range(50):
            notifier.beat()
        notifier.notify(STOPPING="1")
        assert [listener.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]


class ScanProcess:
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
            shown = stderr.read().decode()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe
            pipe.close()
        return status, shown


@pytest.mark.slow
def test_a_process_scans_a_folder_handles_signals_and_ends_cleanly(tiny_edge: Path, shop: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    photo = (shop / "pictures" / "P000003.jpg").read_bytes()
    running = ScanProcess(tiny_edge, "--watch", tmp_path / "in", "--wedge", "--count", tmp_path / "stock.csv")
    running.type("P000000\n*3\n")
    assert [running.next()["counted"]["count"] for _ in range(2)] == [1, 3]
    (tmp_path / "in" / "a.jpg").write_bytes(photo)
    answer = running.next()
    assert (answer["photo"], answer["matches"][0]["sku"]) == (str(tmp_path / "in" / "a.jpg"), "P000003")
    running.process.send_signal(signal.SIGHUP)
    (tmp_path / "in" / "b.jpg").write_bytes(photo[:2000])
    assert running.next()["error"]["kind"] == "ImageError"
    status, shown = running.end()
    assert (status, shown) == (0, f"edgesearch: {tmp_path / 'stock.csv'}: 4 pieces of 2 products.\n")
    assert "P000000" in (tmp_path / "stock.csv").read_text()


def test_a_process_ends_after_the_last_path(
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
