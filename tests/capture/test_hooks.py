"""Hooks: run for each answer, without a shell, and without delaying the scan."""

import json
import os
import sys
import threading
import time
from pathlib import Path

import pytest

from edgesearch import ScanError
from edgesearch.capture.hooks import MAX_QUEUED, Hooks


def script(folder: Path, code: str) -> str:
    """Return a command that runs Python code."""
    path = folder / "hook with space.py"
    path.write_text(f"import json, os, pathlib, sys, time\nhere = pathlib.Path({str(folder)!r})\n{code}")
    return f"{sys.executable} '{path}'"


def test_a_hook_receives_the_answer(tmp_path: Path) -> None:
    code = "(here / 'received').write_text(json.dumps([json.load(sys.stdin), os.environ['EDGESEARCH_NAME']]))"
    notes: list[str] = []
    hooks = Hooks([script(tmp_path, code)], notes.append)
    name = 'Jug "; touch owned; $(touch owned) `touch owned`\n& 杯子'
    hooks.submit(json.dumps({"sku": "P-1"}).encode(), {"EDGESEARCH_NAME": name + "\0"})
    hooks.close()
    assert json.loads((tmp_path / "received").read_text()) == [{"sku": "P-1"}, name.replace("\n", " ") + " "]
    assert (notes, [path.name for path in tmp_path.iterdir() if "owned" in path.name]) == ([], [])


def test_hooks_do_not_receive_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESEARCH_KEY", "secret")
    hooks = Hooks([script(tmp_path, "(here / 'received').write_text(str('EDGESEARCH_KEY' in os.environ))")], print)
    hooks.submit(b"{}", {})
    hooks.close()
    assert (tmp_path / "received").read_text() == "False"


def test_failed_and_slow_hooks_are_reported(tmp_path: Path) -> None:
    notes: list[str] = []
    failing = Hooks([script(tmp_path, "sys.exit(3)")], notes.append)
    failing.submit(b"{}" * 100_000, {})  # more than a pipe holds, and the hook does not read it
    failing.close()
    assert notes == [f"hook {sys.executable}: failed with status 3."]
    code = "import subprocess\nsubprocess.Popen(['sleep', '99']); time.sleep(99)"
    slow = Hooks([script(tmp_path, code)], notes.append, timeout_s=0.5)
    started_s = time.monotonic()
    slow.submit(b"{}", {})
    slow.close()
    assert time.monotonic() - started_s < 30
    assert notes[1:] == [f"hook {sys.executable}: took more than 0.5 s and was killed."]


@pytest.mark.slow
def test_answers_for_slow_hooks_do_not_pile_up(tmp_path: Path) -> None:
    notes: list[str] = []
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    code = "(here / 'received').open('a').write(sys.stdin.read())\nopen(here / 'gate').read()"
    hooks = Hooks([script(tmp_path, code)], notes.append, timeout_s=60.0)
    for number in range(MAX_QUEUED + 10):
        hooks.submit(b"%d " % number, {})
    assert set(notes) == {"hooks: slower than the answers; the oldest waiting answer was dropped."}
    assert 9 <= len(notes) <= 10

    def open_gate() -> None:
        while not done.is_set():
            with open(gate, "w"):
                time.sleep(0.01)

    done = threading.Event()
    opener = threading.Thread(target=open_gate, daemon=True)
    opener.start()
    hooks.close()
    done.set()
    numbers = [int(word) for word in (tmp_path / "received").read_text().split()]
    assert numbers[-MAX_QUEUED:] == list(range(10, MAX_QUEUED + 10))


@pytest.mark.parametrize("command", ["", "no-such-program-anywhere", "a 'b"])
def test_a_hook_that_cannot_run_is_refused_at_once(command: str) -> None:
    with pytest.raises(ScanError):
        Hooks([command], print)
