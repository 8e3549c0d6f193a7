"""docs/desktop.md and the examples in other languages run as written."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import edgesearch

from ..conftest import ROOT

pytestmark = pytest.mark.slow

API = ROOT / "examples" / "api"


@pytest.fixture
def folder(tiny_edge: Path, shop: Path, tmp_path: Path) -> Path:
    """Return a folder with the device and photos that the page uses."""
    edgesearch.install(tiny_edge, tmp_path / "device")
    for name, photo in (("photo.jpg", "P000001-1.jpg"), ("other.jpg", "P000002-1.jpg")):
        shutil.copy(shop / "photos" / photo, tmp_path / name)
    return tmp_path


@pytest.fixture(scope="module")
def url(tiny_edge: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of a server in a process of its own, whose device no test changes."""
    device = tmp_path_factory.mktemp("served") / "device"
    edgesearch.install(tiny_edge, device)
    pytest.importorskip("fastapi", reason="the extra `server` is not installed")
    command = [sys.executable, "-m", "edgesearch", "serve", str(device), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stderr is not None
            found = re.search(r"http://127\.0\.0\.1:\d+", process.stderr.readline())
            assert found, "the server did not start"
            yield found[0]
        finally:
            process.terminate()


def test_code_of_the_page_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs" / "desktop.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    assert len(blocks) == page.count("```") // 2
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "setswitchinterval", lambda seconds: None)
    names: dict[str, object] = {"__name__": "page"}
    for block in blocks:
        exec(compile(block, "desktop.md", "exec"), names)
    said = capsys.readouterr().out.splitlines()
    assert said == ["the call took longer than its 0.001 s; repeat it, or allow more time.", "2"]
    assert len(names["answers"]) == 2  # type: ignore[arg-type]


def test_java_example_searches(folder: Path, url: str) -> None:
    if not shutil.which("java"):
        pytest.skip("java is absent")
    with edgesearch.open(folder / "device") as store:
        answer = store.search(folder / "photo.jpg", k=3)
    (folder / "bad.jpg").write_bytes(b"none")
    command = [
        "java",
        str(API / "Search.java"),
        *(str(folder / name) for name in ("photo.jpg", "bad.jpg", "no.jpg")),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"EDGESEARCH_URL": url}, check=False, timeout=120
    )
    first, *lines = done.stdout.splitlines()
    assert first == f"{folder / 'photo.jpg'}: {answer.decision}"
    for match, line in zip(answer.matches, lines, strict=False):
        assert f"{match.sku}  {match.name}" in line
    assert "no picture, or of an unknown format" in done.stderr
    assert "no.jpg: no such file" in done.stderr
    assert done.returncode == 1


def test_curl_example_searches(folder: Path, url: str) -> None:
    if not shutil.which("curl"):
        pytest.skip("curl is absent")
    (line,) = re.findall(r"^    (curl .*)$", (API / "README.md").read_text(encoding="utf-8"), re.M)
    command = line.replace("http://127.0.0.1:8765", url)
    done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=True)
    assert '"decision"' in done.stdout
