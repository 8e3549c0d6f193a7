"""The network in WebAssembly embeds pictures as onnxruntime in Python does."""

import base64
import json
import platform
from pathlib import Path

import pytest

from edgesearch.browser.runtime_files import find_runtime_files
from edgesearch.embedding.embedder import Embedder
from edgesearch.embedding.shipped_models import default_model
from edgesearch.errors import SiteError
from tests.browser.test_engine import run_node
from tests.browser.vectors import SIZES, draw

EXACT = ("x86_64", "AMD64")  # processors on which onnxruntime sums as `convolution.c` does


@pytest.mark.slow
def test_embeddings_are_those_of_python(engine: Path, tmp_path: Path) -> None:
    try:
        runtime = find_runtime_files([])
    except SiteError as error:
        pytest.skip(str(error))
    (tmp_path / "runtime").mkdir()
    for name, content in runtime.items():
        (tmp_path / "runtime" / name).write_bytes(content)
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
    (tmp_path / "expected.json").write_text(json.dumps(answers), encoding="utf-8")
    run_node(
        Path(__file__).with_name("network.test.mjs"),
        WASM=engine,
        RUNTIME=tmp_path / "runtime",
        MODEL=default_model(),
        EXPECTED=tmp_path / "expected.json",
    )
