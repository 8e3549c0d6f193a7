"""The structure that DESIGN fixes: imports point down, and importing is light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import edgesearch

PACKAGE = Path(edgesearch.__file__).parent
RANK = {
    "amounts": 0, "blas": 0, "budget": 0, "decision": 0, "errors": 0, "files": 0, "forks": 0, "looks": 0, "markup": 0,
    "metrics": 0, "notify": 0, "numerals": 0, "pq": 0, "spelling": 0, "spool": 0, "terms": 0, "version": 0, "views": 0,
    "arrays": 1, "charts": 1, "columns": 1, "commands/output": 1, "database": 1, "decoding": 1, "drawing": 1,
    "geometry": 1, "hooks": 1, "image": 1, "kernel": 1, "manifest": 1, "onnxfile": 1, "photos": 1, "pieces": 1,
    "readonly": 1, "runtimes": 1, "server/access": 1, "server/documentation": 1, "server/guard": 1, "session": 1,
    "sift": 1, "signing": 1, "stopping": 1, "where": 1, "work": 1,
    "barcode": 2, "blocks": 2, "catalog": 2, "cells": 2, "commands/options": 2, "embedder": 2, "inbox": 2, "pages": 2,
    "places": 2, "quality": 2, "sealing": 2, "server/door": 2, "settings": 2,
    "answer": 3, "camera": 3, "changes": 3, "cluster": 3, "colours": 3, "content": 3, "index": 3, "packing": 3,
    "prints": 3, "reading": 3, "stock": 3, "threads": 3, "trees": 3, "watch": 3, "wedge": 3, "words": 3,
    "catalogues": 4, "container": 4, "explain": 4, "extraction": 4, "golden": 4, "labels": 4, "local": 4, "overlay": 4,
    "presence": 4, "server/metrics": 4, "suspects": 4, "table": 4, "taste": 4,
    "aligned": 5, "bundle": 5, "check": 5, "exchange": 5, "profile": 5, "sentence": 5, "ways": 5,
    "base": 6, "checkpage": 6, "comparison": 6, "delta": 6, "query": 6,
    "commands/checking": 7, "fitting": 7, "gallery": 7, "gathering": 7, "slots": 7,
    "device": 8, "opened": 8, "searching": 8, "similar": 8,
    "calibrate": 9, "compare": 9, "stream": 9,
    "engine": 10, "trial": 10,
    "asynchronous": 11, "build": 11, "commands/comparing": 11, "commands/liking": 11, "commands/teaching": 11,
    "counting": 11, "evaluate": 11, "sorting": 11,
    "__init__": 12, "commands/counting": 12, "commands/making": 12, "diagrams": 12, "doctor": 12, "misses": 12,
    "server/counts": 12, "server/workers": 12, "tables": 12, "tally": 12,
    "cases": 13, "commands/running": 13, "scan": 13, "server/replies": 13, "server/served": 13,
    "commands/scanning": 14, "report": 14, "server/reading": 14,
    "commands/asking": 15, "server/asking": 15, "server/counting": 15, "server/managing": 15, "server/people": 15,
    "server/teaching": 15,
    "server/app": 16,
    "server/run": 17,
    "commands/serving": 18,
    "cli": 19,
    "__main__": 20,
}  # fmt: skip
COMPILED = {"_kernel": 0, "_sift": 0, "_geometry": 0}
USERS = {
    "PIL": {"image", "views", "colours", "drawing"},
    "onnxruntime": {"runtimes"},
    "openvino": {"runtimes"},
    "ray": {"cluster"},
    "fsspec": {"places"},
    "usearch": {"index"},
    "nacl": {"signing", "sealing", "server/access"},
    "linuxpy": {"camera"},
    "zxingcpp": {"barcode"},
}


def nodes(name: str) -> list[ast.AST]:
    """Everything in a module."""
    return list(ast.walk(ast.parse((PACKAGE / f"{name}.py").read_text(encoding="utf-8"))))


def rooms(name: str) -> set[str]:
    """The modules of the package that a module imports, by their names in `RANK`."""
    found: set[str] = set()
    for node in nodes(name):
        if isinstance(node, ast.ImportFrom) and node.level:
            folder = (Path("/") / name).parents[node.level - 1].joinpath(*(node.module or "").split("."))
            module = folder.relative_to("/").as_posix()
            whole = (PACKAGE / module).is_dir()
            found |= {(folder / alias.name).relative_to("/").as_posix() for alias in node.names} if whole else {module}
    return found


def libraries(name: str) -> set[str]:
    """What a module imports from outside the package."""
    found: set[str] = set()
    for node in nodes(name):
        if isinstance(node, ast.ImportFrom) and not node.level:
            found.add(str(node.module).split(".")[0])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
    return found


def test_every_module_has_a_rank() -> None:
    modules = {path.relative_to(PACKAGE).with_suffix("").as_posix() for path in PACKAGE.rglob("*.py")}
    assert modules - {"commands/__init__", "server/__init__"} == set(RANK)


@pytest.mark.parametrize("name", RANK)
def test_imports_point_down(name: str) -> None:
    for other in rooms(name):
        assert (RANK | COMPILED)[other] < RANK[name], f"{name} must not import {other}"


@pytest.mark.parametrize("name", RANK)
def test_a_library_has_its_users(name: str) -> None:
    outside = libraries(name)
    assert not {"torch", "onnx", "torchvision"} & outside
    for library, users in USERS.items():
        assert library not in outside or name in users


def test_importing_loads_neither_torch_nor_a_model() -> None:
    code = "import sys, edgesearch; print(*sys.modules)"
    loaded = set(subprocess.check_output([sys.executable, "-c", code], text=True).split())
    assert not {"torch", "torchvision", "onnx", "onnxruntime"} & loaded


def test_all_is_sorted_and_complete() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    imported = {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert set(edgesearch.__all__) == imported - {"__version__"}
    assert edgesearch.__all__ == sorted(edgesearch.__all__)
