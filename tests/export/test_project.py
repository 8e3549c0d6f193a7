"""Fit the projection of a model again."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgesearch import ModelError
from edgesearch.embedding.embedder import Embedder

from ..conftest import TINY_MODEL

onnx = pytest.importorskip("onnx", reason="onnx is not installed; it is needed for export alone")

from export import project  # noqa: E402
from export.training_pictures import Source  # noqa: E402


@pytest.fixture
def sources(tmp_path: Path) -> list[Source]:
    """Draw 16 photos of groceries, as many cut-outs, and 32 other pictures."""
    rng = np.random.default_rng(0)
    found = []
    for group, count in (("groceries", 16), ("objects", 16), ("background", 32)):
        for number in range(count):
            path = tmp_path / f"{group}{number}.png"
            pixels = rng.integers(0, 256, 3) * np.ones((40, 40, 1)) + rng.normal(0, 20, (40, 40, 3))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
            found.append(Source(path, group, f"{group}{number}"))
    return found


def test_directions_of_the_group_with_the_larger_share_come_first() -> None:
    rng = np.random.default_rng(0)
    one, other = (rng.normal(0, spread, (500, 4)) for spread in ([3, 1, 1, 1], [1, 1, 3, 1]))
    for shares, first in (((0.9, 0.1), 0), ((0.1, 0.9), 2)):
        weight, bias = project.fit([one, other], shares, [4], [1.0], 2)
        assert abs(weight[0]).argmax() == first
        assert np.allclose(weight @ (shares[0] * one.mean(0) + shares[1] * other.mean(0)) + bias, 0, atol=1e-5)


def test_parts_weigh_what_they_are_given_whatever_their_scale() -> None:
    rows = np.random.default_rng(0).normal(0, [1, 1, 1000, 1000], (500, 4))
    weight, _ = project.fit([rows], [1.0], [2, 2], [1.0, 0.1], 2)
    assert np.abs(weight[:, 2:] * 1000).max() < 0.2 * np.abs(weight[:, :2]).max()


def test_a_projected_model_embeds_and_keeps_its_convolutions(sources: list[Source], tmp_path: Path) -> None:
    project.project(TINY_MODEL, tmp_path / "new", sources)
    before, after = Embedder.open(TINY_MODEL), Embedder.open(tmp_path / "new")
    pictures = [np.asarray(Image.open(source.path)) for source in sources]
    old, new = before.embed(pictures), after.embed(pictures)
    assert new.shape == old.shape and np.allclose(np.linalg.norm(new, axis=1), 1, atol=1e-5)
    # Centred on such pictures, their vectors point everywhere.
    assert abs((new @ new.T)[~np.eye(len(new), dtype=bool)].mean()) < 0.1
    inputs = before.config.preprocessing.convert(pictures[0], [before.config.preprocessing.centre_crop((40, 40))])
    assert np.array_equal(before.run(inputs)[1], after.run(inputs)[1])  # the response
    assert after.config.name == "new" and after.config.provenance["projection"]["of"] == before.config.name


def test_only_a_model_with_a_projection_of_pooled_maps_is_projected(sources: list[Source], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="2 weights given for 1 towers"):
        project.project(TINY_MODEL, tmp_path / "new", sources, [1, 1])
    project.project(TINY_MODEL, tmp_path / "new", sources)
    with pytest.raises(ModelError, match="pooled maps alone"):
        project.project(tmp_path / "new", tmp_path / "newer", sources)
    assert not (tmp_path / "newer").exists()
