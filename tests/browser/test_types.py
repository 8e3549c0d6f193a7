"""The engine of the browser has no errors in its types, which its comments declare."""

import os
import shutil
import subprocess

import pytest

from edgesearch.browser.site import STATIC

OPTIONS = (
    "--noEmit", "--allowJs", "--checkJs", "--strict", "--target", "esnext", "--module", "esnext",
    "--moduleResolution", "bundler", "--lib", "esnext,dom,dom.iterable",
)  # fmt: skip
UNTYPED = {"sw.js"}  # a service worker has other globals than a page, and TypeScript checks one kind at a time


@pytest.mark.slow
def test_types_fit() -> None:
    compiler = os.environ.get("TSC") or shutil.which("tsc")
    if compiler is None or shutil.which("node") is None:
        pytest.skip("TypeScript is not installed: npm install --global typescript, or name its tsc in TSC")
    modules = [path for path in sorted(STATIC.glob("*.js")) if path.name not in UNTYPED]
    done = subprocess.run([compiler, *OPTIONS, *modules], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
