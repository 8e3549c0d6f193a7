"""Share the compiled engine among tests of the browser."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgesearch.browser.site import ENGINE_FILE
from tests.conftest import ROOT

COMPILER = ROOT / "tools" / "release" / "browser_engine"


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
