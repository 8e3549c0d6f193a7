"""Check the structure of the package: imports point one way, importing is light, every name is found once."""

import ast
import functools
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

import edgesearch

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "edgesearch"
EVERYBODY = {"errors", "version"}  # may be imported from everywhere
MAY_IMPORT = {
    "_util": set(),
    "images": {"_util"},
    "embedding": {"_util", "images"},
    "index": {"_util"},
    "local_features": {"_util", "images", "embedding", "index"},
    "catalog": {"_util", "images"},
    "answer": {"images", "catalog"},
    "text": {"_util", "images", "catalog", "answer"},
    "bundle": {"_util", "images", "embedding", "index"},
    "browser": {"_util", "bundle"},
    "html": {"_util", "images"},
    "audit": {"_util", "images", "embedding", "index", "catalog", "html"},
    "search": {"_util", "images", "embedding", "index", "local_features", "catalog", "answer", "text", "bundle"},
    "learning": set(),
    "device": {"_util", "embedding", "catalog", "bundle", "search"},
    "store": {
        "_util", "images", "embedding", "local_features", "catalog", "answer", "text", "bundle", "search", "learning",
        "device",
    },
    "building": {
        "_util", "images", "embedding", "index", "local_features", "catalog", "text", "bundle", "search", "learning",
        "device",
    },
    "evaluation": {
        "_util", "images", "embedding", "catalog", "answer", "bundle", "html", "search", "device", "store", "building",
    },
    "counting": {"_util", "images", "catalog", "answer", "bundle", "store"},
    "capture": {"images", "answer", "bundle", "store", "counting"},
    "server": {
        "_util", "images", "answer", "bundle", "html", "search", "device", "store", "evaluation", "counting",
    },
}  # fmt: skip
ANYTHING = {"__init__", "__main__", "commands"}  # the top of the package: these may import every other
ONLY_USER = {
    "PIL": {"images"},
    "onnxruntime": {"embedding"},
    "ray": {"building"},
    "fsspec": {"catalog"},
    "nacl": {"bundle", "server"},
    "linuxpy": {"capture"},
    "zxingcpp": {"images"},
    "cryptography": {"server"},
    "segno": {"server"},
    "torch": set(),
    "torchvision": set(),
    "onnx": set(),
}
MODULES = sorted(path.relative_to(PACKAGE).with_suffix("") for path in PACKAGE.rglob("*.py"))


def package_of(module: Path) -> str:
    """Return the name that the rules give to a module's package."""
    return module.parts[0]


@functools.cache
def imports(module: Path) -> tuple[set[str], set[str]]:
    """Return the packages of edgesearch and the libraries that a module imports."""
    own: set[str] = set()
    libraries: set[str] = set()
    for node in ast.walk(ast.parse((PACKAGE / module).with_suffix(".py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            inside = module.parent.parts[: len(module.parent.parts) - node.level + 1]
            named = [*inside, *(node.module or "").split(".")] if node.module else list(inside)
            own |= {named[0]} if named else {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            libraries.add(str(node.module).split(".")[0])
        elif isinstance(node, ast.Import):
            libraries |= {alias.name.split(".")[0] for alias in node.names}
    return own - {package_of(module)}, libraries


def test_every_package_has_a_rule() -> None:
    assert {package_of(module) for module in MODULES} == MAY_IMPORT.keys() | ANYTHING | EVERYBODY


@pytest.mark.slow
@pytest.mark.parametrize("package", MAY_IMPORT)
def test_packages_import_one_way(package: str) -> None:
    found = set().union(*(imports(module)[0] for module in MODULES if package_of(module) == package))
    assert found - EVERYBODY <= MAY_IMPORT[package]


def test_rules_have_no_circle() -> None:
    """Each package may import only those above it in the list."""
    above: set[str] = set()
    for package, allowed in MAY_IMPORT.items():
        assert allowed <= above, f"{package} must stand below {allowed - above}"
        above.add(package)


def test_architecture_draws_the_rules() -> None:
    """The diagram shows each rule that does not follow from others."""
    drawn = set()
    for line in (
        (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").split("flowchart TD")[1].split("```")[0].splitlines()
    ):
        if " --> " in line:
            package, imported = line.strip().split(" --> ")
            drawn |= {(package, name) for name in imported.split(" & ")}
    below: dict[str, set[str]] = {}
    for package, allowed in MAY_IMPORT.items():  # those below come first
        below[package] = allowed.union(*(below[name] for name in allowed))
    rules = {(package, name) for package, allowed in MAY_IMPORT.items() for name in allowed}
    assert drawn == {
        (package, name) for package, name in rules if not any(name in below[o] for o in MAY_IMPORT[package])
    }


@pytest.mark.slow
@pytest.mark.parametrize("library", ONLY_USER)
def test_a_library_has_one_user(library: str) -> None:
    users = {package_of(module) for module in MODULES if library in imports(module)[1]}
    assert users <= ONLY_USER[library]


def test_module_names_are_unique() -> None:
    trees = [PACKAGE, ROOT / "export", ROOT / "tools"]
    names = Counter(path.stem for tree in trees for path in tree.rglob("*.py") if not path.stem.startswith("__"))
    assert [name for name, count in names.items() if count > 1] == []


def test_every_package_is_installed() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    found = {".".join(("edgesearch", *path.parent.parts)) for path in MODULES}
    assert {name for name in listed if not name.startswith("edgesearch.artifacts.")} >= found


def test_packages_say_what_they_are_for() -> None:
    for package in {package_of(module) for module in MODULES if len(module.parts) > 1}:
        text = ast.get_docstring(ast.parse((PACKAGE / package / "__init__.py").read_text(encoding="utf-8")))
        assert text and text.count(".") >= 3, f"{package}: say what it is for, what it may import, where to begin"


@pytest.mark.slow
def test_importing_loads_neither_torch_nor_a_model_nor_what_builds() -> None:
    code = "import sys, edgesearch; print(*sys.modules)"
    loaded = set(subprocess.check_output([sys.executable, "-c", code], text=True).split())
    assert not {"torch", "torchvision", "onnx", "onnxruntime", "edgesearch.building.build"} & loaded


def test_all_is_sorted_and_complete() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert set(edgesearch.__all__) == imported - {"__version__", "TYPE_CHECKING"}
    assert edgesearch.__all__ == sorted(edgesearch.__all__)


def test_names_that_load_late_are_those_that_types_are_checked_with() -> None:
    for name in edgesearch.__all__:
        assert getattr(edgesearch, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'serach'"):
        _ = edgesearch.serach
