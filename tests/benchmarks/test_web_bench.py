"""`tools/bench web` says what it lacks, and counts what agrees with Python."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed (extra `dev`)")
pytest.importorskip("fastapi", reason="the extra `server` is not installed")

from benchmarks import __main__ as bench
from benchmarks import web_site
from benchmarks.web_site import Measured


@pytest.fixture
def arguments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Ask for the benchmark, with an empty cache of libraries and no photos."""
    monkeypatch.setattr(sys, "argv", ["bench", "web", "--data", str(tmp_path)])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_missing_libraries_are_named(arguments: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main() == 1
    assert "npm pack @sqlite.org" in capsys.readouterr().err


def test_a_missing_chromium_is_named(
    arguments: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(web_site, "find_runtime_files", lambda given: {})
    monkeypatch.setattr(web_site, "find_chromium", lambda: None)
    assert bench.main() == 1
    assert "no Chromium found" in capsys.readouterr().err


def test_shares_are_of_all_photos() -> None:
    one = Measured([True, True, False], [True] * 3, [1.0, 1.0, 0.5], [1.0] * 3, [1.0] * 3, [1.0] * 3, [1.0] * 3, 0)
    other = Measured([False], [False], [1.0], [9.0], [9.0], [9.0], [9.0], 70)
    found = web_site._summarize([one, other])
    assert found["photos"] == 4
    assert (found["same_first"], found["same_decision"], found["cosine_min"]) == (0.5, 0.75, 0.5)
    assert (found["frame_ms_p50"], found["longest_task_ms"]) == (1.0, 70)
