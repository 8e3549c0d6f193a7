"""Learn the whitening of a model from training pictures."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edgesearch
from edgesearch import EdgeSearchError, ModelError
from edgesearch.bundle.bundle_file import Bundle
from edgesearch.embedding.embedder import CONFIG_FILE, Embedder, read_whitening
from edgesearch.embedding.whitening import FILE, Whitening, normalize_rows
from edgesearch.search.open_bundle import OpenBundle

from ..conftest import TINY_MODEL

onnx = pytest.importorskip("onnx", reason="onnx is not installed; it is needed for export alone")

from export import whiten  # noqa: E402
from export.model_card import _describe_whitening  # noqa: E402
from export.training_pictures import Source  # noqa: E402


@pytest.fixture
def model(tmp_path: Path) -> Path:
    shutil.copytree(TINY_MODEL, tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def sources(tmp_path: Path) -> list[Source]:
    """Draw three products of each kind, with a catalogue picture and four photos, and two backgrounds."""
    rng = np.random.default_rng(0)

    def draw(name: str, alpha: bool = False) -> Path:
        pixels = rng.integers(0, 256, (50, 40, 3 + alpha), np.uint8)
        if alpha:
            pixels[..., 3] = 0
            pixels[10:40, 10:30, 3] = 255
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
        return tmp_path / f"{name}.png"

    found = [Source(draw(f"b{number}"), "background", f"b{number}") for number in range(2)]
    for group in whiten.GROUPS:
        for number in range(3):
            for picture in range(5):
                path = draw(f"{group}{number}-{picture}", alpha=group == "objects")
                found.append(Source(path, group, f"{group}{number}", clean=picture == 0))
    return found


def test_spread_out_directions_are_shrunk_most() -> None:
    rng = np.random.default_rng(0)
    product = np.repeat([f"p{number}" for number in range(20)], 9)
    clean = np.arange(180) % 9 == 0
    rows = rng.normal(size=(20, 8))[np.repeat(np.arange(20), 9)]
    rows[:, 0] += rng.normal(size=180) * 5
    rows[~clean, 1] += 4  # photos differ from catalogue pictures
    around_mean, around_catalogue = whiten.scatters(normalize_rows(rows.astype(np.float32)), product, clean)
    assert around_mean[0, 0] == around_mean.max() and around_catalogue[1, 1] > 3 * around_mean[1, 1]
    total = around_mean / np.trace(around_mean) + around_catalogue / np.trace(around_catalogue)
    matrix = Whitening.from_scatter(total, whiten.SHRINKAGE).matrix
    assert np.diag(matrix)[:2].max() < np.diag(matrix)[2:].min()


def test_products_that_say_nothing_are_left_out() -> None:
    rows = np.eye(4, dtype=np.float32)
    around_mean, around_catalogue = whiten.scatters(rows, np.array(["a", "a", "b", "c"]), np.array([True, False] * 2))
    assert not around_mean.any() and not around_catalogue.any()


def test_a_bundle_uses_the_map_of_its_model(model: Path, sources: list[Source], shop: Path, tmp_path: Path) -> None:
    before = Embedder.open(model).space
    learned = whiten.whiten(model, sources)
    found = read_whitening(model)
    assert found is not None and found.digest == learned.digest
    assert Embedder.open(model).space == before  # the network alone
    edgesearch.build(shop / "catalogue.csv", tmp_path / "x.edge", model, local_features=0)
    bundle = OpenBundle(Bundle(tmp_path / "x.edge"))
    assert bundle.bundle.manifest.hashes["whitening"] == learned.digest
    assert bundle.embedder.whitening is not None
    bundle.self_test()


def test_the_card_describes_the_map_if_there_is_one() -> None:
    facts = {"groups": ["groceries", "objects"], "photos": 24, "shrinkage": 4.0}
    assert "learned from\ngroceries and objects that" in _describe_whitening({"whitening": facts})
    assert _describe_whitening({}) == ""


def test_the_map_can_be_learned_again(model: Path, sources: list[Source]) -> None:
    first = whiten.whiten(model, sources)
    assert whiten.whiten(model, sources).digest == first.digest


def test_a_pasted_object_depends_on_its_name_alone(sources: list[Source]) -> None:
    backgrounds = [source.path for source in sources if source.group == "background"]
    cut_out = next(source for source in sources if source.group == "objects" and not source.clean)
    first, again = (whiten.paste(cut_out, backgrounds) for _ in range(2))
    assert first.size == (whiten.FRAME_SIDE, whiten.FRAME_SIDE)
    assert first.tobytes() == again.tobytes()


@pytest.mark.parametrize("damage", ["missing", "changed", "other digest"])
def test_damage_to_the_map_of_a_model_is_reported(
    damage: str, model: Path, sources: list[Source], shop: Path, tmp_path: Path
) -> None:
    whiten.whiten(model, sources)
    if damage == "missing":
        (model / FILE).unlink()
    elif damage == "changed":
        content = bytearray((model / FILE).read_bytes())
        content[-1] ^= 1
        (model / FILE).write_bytes(content)
    else:
        table = json.loads((model / CONFIG_FILE).read_text()) | {"whitening": "0" * 64}
        (model / CONFIG_FILE).write_text(json.dumps(table))
    with pytest.raises(ModelError, match=FILE):
        read_whitening(model)
    with pytest.raises(EdgeSearchError, match=FILE):
        edgesearch.build(shop / "catalogue.csv", tmp_path / "x.edge", model)
