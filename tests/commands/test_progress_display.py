"""Commands show on stderr which stage runs and how far it is."""

import io
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import edgesearch
from edgesearch._util import progress
from edgesearch.commands import progress_display
from edgesearch.commands.cli import main
from edgesearch.commands.output import print_note
from edgesearch.commands.progress_display import describe, fit, showing

from ..conftest import TINY_MODEL


class Terminal(io.StringIO):
    """Stands in for a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show every stage at once."""
    monkeypatch.setattr(progress_display, "SHOWN_AFTER_S", 0)
    monkeypatch.setattr(progress_display, "REDRAW_S", 0.01)


def wait_for(read: Callable[[], str], text: str) -> None:
    """Wait until a stream, or what was added to it meanwhile, has the text."""
    seen, until = read(), time.monotonic() + 30
    while text not in seen and time.monotonic() < until:
        time.sleep(0.01)
        seen += read()
    assert text in seen


@pytest.mark.parametrize(
    ("unit", "done", "total", "after_s", "text"),
    [
        ("", 0, 0, 75, "work, 0:01:15"),
        ("picture", 0, 9000, 5, "work: 0 of 9,000 pictures"),
        ("picture", 3000, 9000, 60, "work: 3,000 of 9,000 pictures, 50.0 a second, 0:02:00 left"),
        ("row", 1200, 0, 3, "work: 1,200 rows, 0:00:03"),
        ("start", 1, 1, 2, "work: 1 of 1 start, 0.5 a second, 0:00:00 left"),
        (progress.BYTE, 300_000_000, 1_200_000_000, 10, "work: 300 of 1,200 MB, 30.0 a second, 0:00:30 left"),
    ],
)
def test_a_stage_is_described(unit: str, done: int, total: int, after_s: float, text: str) -> None:
    stage = progress.Stage("work", unit, total)
    stage.done = done
    assert describe(stage, stage.begun_s + after_s) == text


@pytest.mark.parametrize(
    ("line", "columns", "text"),
    [
        ("open shop", 9, "open shop"),
        ("open shop", 8, "open ..."),
        ("open 倉庫の商品", 15, "open 倉庫の商品"),
        ("open 倉庫の商品", 14, "open 倉庫の..."),
        ("open 倉庫の商品", 13, "open 倉庫..."),
        ("cafe\u0301", 4, "cafe\u0301"),
        ("倉庫", 2, ".."),
        ("倉庫", 0, ""),
    ],
)
def test_a_line_is_cut_to_the_columns_it_takes_on_a_terminal(line: str, columns: int, text: str) -> None:
    assert fit(line, columns) == text


@pytest.mark.skipif(os.name == "nt", reason="no such terminals")
def test_a_line_never_wraps_while_stdout_is_a_file(at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl
    import pty
    import struct
    import termios

    reader, writer = pty.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 30, 0, 0))
    with open(writer, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with showing(quiet=False), progress.stage("open 倉庫の商品カタログ"):
            shown = os.read(reader, 1000).decode().split("\r")  # more than once, if this process had to wait
            assert set(shown) == {"", "edgesearch: open 倉庫の商..."}
    os.close(reader)


def test_a_line_is_rewritten_on_a_terminal_and_removed(at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with showing(quiet=False), progress.stage("outer"), progress.stage("inner", "row", 7) as stage:
        wait_for(terminal.getvalue, "inner: 0 of 7 rows")
        stage.done = 3
        wait_for(terminal.getvalue, "\redgesearch: inner: 3 of 7 rows")
        print_note("in between")
        wait_for(terminal.getvalue, " \redgesearch: in between\n\redgesearch: inner: 3")
    assert terminal.getvalue().count("\n") == 1
    assert terminal.getvalue().endswith(" \r")


def test_lines_are_sparse_without_a_terminal(
    at_once: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with showing(quiet=False), progress.stage("first"):
        time.sleep(0.5)  # dozens of looks
    assert re.fullmatch(r"edgesearch: first, 0:00:0\d\n", capsys.readouterr().err)
    monkeypatch.setattr(progress_display, "LINE_EVERY_S", 0)
    with showing(quiet=False), progress.stage("second"):
        for _ in range(2):
            wait_for(lambda: capsys.readouterr().err, "edgesearch: second")


def test_short_stages_and_quiet_commands_show_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress_display, "SHOWN_AFTER_S", 60)
    monkeypatch.setattr(progress_display, "REDRAW_S", 0.01)
    with showing(quiet=False), progress.stage("short"):
        assert list(progress.track("shorter", "row", range(3), 3)) == [0, 1, 2]
        time.sleep(0.1)  # some looks
    with showing(quiet=True), progress.stage("silent"):
        progress.note("nothing")
    assert capsys.readouterr().err == ""


def test_a_stage_ends_with_the_error_inside_it(at_once: None, capsys: pytest.CaptureFixture[str]) -> None:
    with showing(quiet=False):
        with pytest.raises(ValueError, match="inside"), progress.stage("broken"):
            raise ValueError("inside")
        progress.note("still shown")
    assert capsys.readouterr().err.endswith("edgesearch: still shown\n")


def test_a_closed_stderr_stops_no_work(at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with showing(quiet=False), progress.stage("work"):
        wait_for(terminal.getvalue, "work")
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        terminal.close()
        time.sleep(0.1)


SLOW = """
import sys, time
from edgesearch.building.extraction import Extraction
from edgesearch.commands import progress_display
from edgesearch.commands.cli import main
progress_display.SHOWN_AFTER_S, progress_display.REDRAW_S, progress_display.LINE_EVERY_S = 0, .01, 0
extract = Extraction.extract
def slow(self, picture):
    time.sleep(.05)
    return extract(self, picture)
Extraction.extract = slow
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--quiet"]])
def test_a_build_names_its_stages(shop: Path, tmp_path: Path, options: list[str]) -> None:
    command = ["build", str(shop / "catalogue.csv"), "-o", str(tmp_path / "x.edge"), "--model", str(TINY_MODEL)]
    done = subprocess.run(
        [sys.executable, "-c", SLOW, *command, *options], capture_output=True, text=True, check=True, env=os.environ
    )
    assert ("read the pictures: " in done.stderr) is not bool(options)
    assert "x.edge:" in done.stdout


class Names(list[str]):
    """Collects the names of stages."""

    def enter(self, stage: progress.Stage) -> None:
        self.append(stage.name)

    def leave(self, stage: progress.Stage) -> None: ...

    def note(self, text: str) -> None: ...


@pytest.mark.slow
def test_long_work_announces_its_stages(shop: Path, tmp_path: Path) -> None:
    names, output, device = Names(), tmp_path / "x.edge", tmp_path / "device"
    with progress.watched_by(names):
        edgesearch.build(shop / "catalogue.csv", output, TINY_MODEL, queries=shop / "queries.csv", sequence=1)
        edgesearch.build(shop / "catalogue.csv", tmp_path / "y.edge", TINY_MODEL, sequence=2, seed=1)
        edgesearch.delta(output, tmp_path / "y.edge", tmp_path / "xy.delta")
        edgesearch.install(output, device)
        edgesearch.install(tmp_path / "xy.delta", device)
        edgesearch.open(device).close()
    for name in (
        "read the catalogue", "read the photos to calibrate with", "look for the pictures", "read the pictures",
        "write the catalogue", "index local features", "learn the whitening", "index: learn the codebook",
        "index: encode", "ask golden queries", "index the words", "calibrate", "hash x.edge", "write x.edge",
        "compare with x.edge", "apply it as a test", "verify x.edge", "write x to " + str(device),
        "ask the golden queries", f"open {device}",
    ):  # fmt: skip
        assert name in names, name


@pytest.mark.slow
def test_json_is_printed_without_progress(
    at_once: None, shop: Path, tiny_edge: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", str(tiny_edge), str(shop / "queries.csv"), "--json"]) == 0
    assert capsys.readouterr().err == ""
