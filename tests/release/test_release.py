"""Test what is released: the versions it allows, and the list of what a bundle of wheels contains."""

import hashlib
import importlib.util
import types
import zipfile
from pathlib import Path

import pytest

from ..conftest import ROOT

# The first versions without known faults that edgesearch could be made to run into.
LEAST = {"h11": (0, 16), "starlette": (0, 49, 1), "python-multipart": (0, 0, 27), "ray[data]": (2, 52)}


def load(name: str) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / "release" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_version_with_a_known_fault_is_allowed() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = ["server", "ray", "tls", "tables", "barcode", "heic", "camera", "urls"]
    pins = dict(one.split("==") for one in load("lowest_versions").lowest_versions(project, extras))
    found = {name: tuple(map(int, pins[name].split("."))) for name in LEAST}
    assert all(found[name] >= least for name, least in LEAST.items()), found


def test_a_requirement_without_a_lower_bound_is_refused() -> None:
    with pytest.raises(SystemExit, match="numpy<3 has no lower bound"):
        load("lowest_versions").lowest_versions('[project]\ndependencies = ["numpy<3"]', [])


def test_a_bundle_of_wheels_lists_what_it_contains(tmp_path: Path) -> None:
    for name, version, head in (
        ("edgesearch", "0.1.0", "License-Expression: Apache-2.0\nRequires-Dist: numpy>=1.26\nRequires-Dist: fastapi"),
        ("numpy", "1.26.4+slim", "License: BSD"),
    ):
        with zipfile.ZipFile(tmp_path / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}-{version}.dist-info/METADATA", f"Name: {name}\nVersion: {version}\n{head}\n")
    found = load("bundle_wheels").describe_contents(tmp_path)
    own, numpy = found["components"]
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")
    assert (own["licenses"], numpy["purl"]) == ([{"expression": "Apache-2.0"}], "pkg:pypi/numpy@1.26.4")
    digest = hashlib.sha256((tmp_path / "numpy-1.26.4+slim-py3-none-any.whl").read_bytes()).hexdigest()
    assert numpy["hashes"] == [{"alg": "SHA-256", "content": digest}]
    assert found["dependencies"][0] == {"ref": "edgesearch", "dependsOn": ["numpy"]}
