"""The network in WebAssembly computes what onnxruntime computes in Python."""

import base64
import json
import platform
from pathlib import Path

import pytest

from edgesearch.embedding.embedder import Embedder
from edgesearch.embedding.shipped_models import default_model
from tests.browser.test_engine import run_node
from tests.browser.vectors import SIZES, draw

EXACT = ("x86_64", "AMD64")  # processors on which onnxruntime sums as `convolution.c` does


@pytest.mark.slow
def test_networks_compute_what_onnxruntime_computes(engine: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed (extra `export`)")
    from tests.browser import small_networks

    (tmp_path / "graphs.json").write_text(json.dumps({"graphs": small_networks.make()}), encoding="utf-8")
    _compare(engine, tmp_path, GRAPHS=tmp_path / "graphs.json")


@pytest.mark.slow
def test_embeddings_are_those_of_python(engine: Path, tmp_path: Path) -> None:
    _compare(engine, tmp_path)


def _compare(engine: Path, folder: Path, **environment: Path) -> None:
    embedder = Embedder.open(default_model())
    pictures = [draw(*size) for size in SIZES]
    expected = [
        {
            "size": picture.shape[:2],
            "rgb": base64.b64encode(picture.tobytes()).decode(),
            "fast": embedder.embed([picture], fast=True)[0].tolist(),
            "whole": embedder.embed([picture])[0].tolist(),
        }
        for picture in pictures
    ]
    answers = {"exact": platform.machine() in EXACT, "pictures": expected}
    (folder / "expected.json").write_text(json.dumps(answers), encoding="utf-8")
    run_node(
        Path(__file__).with_name("network.test.mjs"),
        WASM=engine,
        MODEL=default_model(),
        EXPECTED=folder / "expected.json",
        **environment,
    )
