"""Share the compiled engine among tests of the browser."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgesearch.browser.site import ENGINE_FILE, JPEG
from tests.conftest import ROOT

COMPILER = ROOT / "tools" / "release" / "browser_engine"
JPEG_COMPILER = COMPILER.with_name("jpeg_decoder")
NO_SOURCE = 3  # its exit status


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the compiled engine; skip the test if it is neither there nor can be compiled."""
    if importlib.util.find_spec("ziglang"):
        path = tmp_path_factory.mktemp("engine") / ENGINE_FILE.name
        subprocess.run([COMPILER, path], check=True, env=os.environ | {"PYTHON": sys.executable})
        return path
    if not ENGINE_FILE.is_file():
        pytest.skip("the engine is not compiled: install ziglang (extra `dev`)")
    return ENGINE_FILE


@pytest.fixture(scope="session")
def jpeg_decoder(engine: Path) -> Path:
    """Return the compiled decoder of JPEGs, beside the engine; skip the test if it cannot be had."""
    path = engine.with_name(JPEG)
    if path.parent != ENGINE_FILE.parent:
        done = subprocess.run(
            [JPEG_COMPILER, path], env=os.environ | {"PYTHON": sys.executable}, capture_output=True, text=True
        )
        if done.returncode == NO_SOURCE:
            pytest.skip(done.stderr)
        assert done.returncode == 0, done.stderr
    if not path.is_file():
        pytest.skip("the decoder of JPEGs is not compiled: install ziglang (extra `dev`)")
    return path
