"""The engine of the browser, run by node, answers as Python does."""

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgesearch
from edgesearch.bundle.bundle_file import Bundle
from edgesearch.bundle.signing import read_public
from edgesearch.images import image
from edgesearch.images.crops import whole_crop
from edgesearch.local_features.descriptors import extract_query_features
from edgesearch.search.open_bundle import OpenBundle
from tests.browser import vectors
from tests.conftest import TINY_MODEL


def run_node(path: Path, **environment: Path | str) -> None:
    """Run tests in JavaScript, none of which may be skipped; skip all where node is absent."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    named = {name: str(value) for name, value in environment.items()}
    done = subprocess.run([node, "--test", path], env=os.environ | named, capture_output=True, text=True)
    assert done.returncode == 0 and "# skipped 0" in done.stdout, done.stdout


def test_vectors_are_what_python_answers() -> None:
    stored = json.loads(vectors.PATH.read_text(encoding="utf-8"))
    assert json.loads(json.dumps(vectors.make())) == stored, "run python -m tests.browser.vectors"


@pytest.mark.slow
def test_javascript_answers_the_same(engine: Path, shop: Path, tiny_edge: Path, keys: Path, tmp_path: Path) -> None:
    signed = tmp_path / "signed.edge"
    edgesearch.build(shop / "catalogue.csv", signed, TINY_MODEL, sequence=1, sign=keys / "shop.key")
    answers = ask_python(tiny_edge, shop) | {
        "signed": str(signed),
        "keys": [read_public(keys / f"{name}.pub") for name in ("shop", "foreign")],
    }
    (tmp_path / "answers.json").write_text(json.dumps(answers), encoding="utf-8")
    path = Path(__file__).with_name("engine.test.mjs")
    run_node(path, WASM=engine, SHOP=tiny_edge, SHOP_ANSWERS=tmp_path / "answers.json")


def ask_python(path: Path, shop: Path) -> dict[str, Any]:
    """Return what Python finds in a bundle."""
    opened = OpenBundle(Bundle(path))
    try:
        index, local = opened.index, opened.local
        assert local is not None
        queries = np.concatenate([index.read_vectors(np.arange(3)), np.eye(3, index.dim, dtype=np.float32)])
        hits = index.search(queries, 5)
        photos = [image.read(picture, 320) for picture in sorted((shop / "photos").glob("*.jpg"))[:2]]
        return {
            "index": [
                {"query": query.tolist(), "rows": rows.tolist(), "scores": scores.tolist()}
                for query, rows, scores in zip(queries, hits.rows, hits.scores, strict=True)
            ],
            "vectors": [{"row": 2, "vector": index.read_vectors(np.array([2]))[0].tolist()}],
            "local": [_compare(local, pixels) for pixels in [*photos, photos[0][:, ::-1]]],
        }
    finally:
        opened.close()


def _compare(local: Any, pixels: np.ndarray) -> dict[str, Any]:
    square = whole_crop(pixels.shape[:2])
    features = extract_query_features(pixels, square)
    rows = list(range(len(local)))
    found = local.verify(features, rows)
    return {
        "size": pixels.shape[:2],
        "rgb": base64.b64encode(np.ascontiguousarray(pixels).tobytes()).decode(),
        "crop": square,
        "features": len(features.keypoints),
        "candidates": local.find_candidates(features, 5).tolist(),
        "evidence": [
            {"row": row, "points": one.points, "weight": one.weight, "mirrored": one.mirrored}
            for row, one in zip(rows, found, strict=True)
        ],
    }
