"""Check model folders and the embeddings that they give."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edgesearch import ModelError
from edgesearch.embedding.embedder import CONFIG_FILE, Embedder, normalize_rows
from edgesearch.embedding.shipped_models import default_model
from edgesearch.images import augmented_views, crops

from ..conftest import TINY_MODEL
from .make_golden_embeddings import PATH, instructions, pictures


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TINY_MODEL, tmp_path / "model"))


def photos(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (60 + i, 80, 3)).astype(np.uint8) for i in range(count)]


@pytest.mark.parametrize("model", [TINY_MODEL, default_model()], ids=["tiny", "shipped"])
def test_embeddings_have_unit_length_and_do_not_depend_on_the_batch(model: Path) -> None:
    embedder = Embedder.open(model)
    batch = embedder.embed_photos(photos(5))
    assert (batch.shape, batch.dtype) == ((5, embedder.config.dim), np.float32)
    np.testing.assert_allclose(np.linalg.norm(batch, axis=1), 1, atol=1e-5)  # float32
    alone = np.concatenate([embedder.embed_photos([photo]) for photo in photos(5)])
    np.testing.assert_allclose(batch, alone, atol=1e-5)
    assert embedder.embed_photos([]).shape == (0, embedder.config.dim)


def test_the_space_changes_with_network_and_preprocessing(folder: Path) -> None:
    spaces = {Embedder.open(folder).space}
    table = json.loads((folder / CONFIG_FILE).read_text())
    table["preprocessing"]["resize"] += 1
    (folder / CONFIG_FILE).write_text(json.dumps(table))
    spaces |= {Embedder.open(folder).space, Embedder.open(default_model()).space}
    assert len(spaces) == 3


def test_a_network_with_a_wrong_hash_is_refused(folder: Path) -> None:
    (network,) = folder.glob("*.onnx")
    network.write_bytes(network.read_bytes()[:-1])
    with pytest.raises(ModelError, match="not the file that config"):
        Embedder.open(folder)


def test_missing_files_are_named(folder: Path) -> None:
    with pytest.raises(ModelError, match="no fp32 network; it has int8"):
        Embedder.open(folder, "fp32")
    next(folder.glob("*.onnx")).unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        Embedder.open(folder)
    with pytest.raises(ModelError, match="cannot be read"):
        Embedder.open(folder / "none")


@pytest.mark.parametrize("key", ["format", "name", "backbone", "dim", "preprocessing", "files", "provenance"])
def test_a_config_without_a_key_is_refused(folder: Path, key: str) -> None:
    table = json.loads((folder / CONFIG_FILE).read_text())
    del table[key]
    (folder / CONFIG_FILE).write_text(json.dumps(table))
    with pytest.raises(ModelError, match=key):
        Embedder.open(folder)


@pytest.mark.parametrize(
    "change", [{"crop": 0}, {"resize": 20}, {"resize": 10**9}, {"scale": float("inf")}, {"crop": "x"}]
)
def test_impossible_preprocessing_is_refused(folder: Path, change: dict[str, object]) -> None:
    table = json.loads((folder / CONFIG_FILE).read_text())
    table["preprocessing"] |= change
    (folder / CONFIG_FILE).write_text(json.dumps(table))
    with pytest.raises(ModelError, match="missing or wrong"):
        Embedder.open(folder)


def test_a_crop_of_another_size_than_the_network_input_is_refused(folder: Path) -> None:
    table = json.loads((folder / CONFIG_FILE).read_text())
    table["preprocessing"]["crop"] = 33
    (folder / CONFIG_FILE).write_text(json.dumps(table))
    with pytest.raises(ModelError, match="its config says"):
        Embedder.open(folder)


def test_a_newer_config_format_is_refused(folder: Path) -> None:
    table = json.loads((folder / CONFIG_FILE).read_text())
    (folder / CONFIG_FILE).write_text(json.dumps(table | {"format": 9}))
    with pytest.raises(ModelError, match="format 9; this version reads 1"):
        Embedder.open(folder)


def test_a_network_that_onnxruntime_refuses_raises_a_model_error() -> None:
    config = Embedder.open(TINY_MODEL).config
    with pytest.raises(ModelError, match="onnxruntime cannot load it"):
        Embedder(config, b"")
    with pytest.raises(ModelError, match="its config says"):
        Embedder(config, (default_model() / "model.int8.onnx").read_bytes())


def test_the_embedding_of_a_photo_is_the_mean_of_its_crops() -> None:
    embedder = Embedder.open(TINY_MODEL)
    pictures = photos(3)
    full, fast = embedder.embed(pictures), embedder.embed(pictures, fast=True)
    np.testing.assert_allclose(np.linalg.norm(full, axis=1), 1, atol=1e-5)  # float32
    assert not np.allclose(full, fast, atol=1e-3)
    expected = []
    for picture in pictures:
        preprocess = embedder.config.preprocessing
        whole = crops.whole_crop(picture.shape[:2])
        first, response = embedder.run(preprocess(picture, whole)[None])
        others = [crops.centre_crop(picture.shape[:2], crops.NEAR_SHARE), crops.object_crop(whole, response[0])]
        second = embedder.run(np.stack([preprocess(picture, crop) for crop in others]))[0]
        expected.append(normalize_rows((first[0] + second.sum(0))[None])[0])
    np.testing.assert_allclose(full, expected, atol=1e-5)


def test_a_reference_on_a_plain_background_moves_towards_shop_photos() -> None:
    embedder = Embedder.open(TINY_MODEL)
    plain, photo = np.full((80, 80, 3), 255, np.uint8), photos(1)[0]
    plain[20:60, 30:50] = (200, 30, 40)
    assert [rows.shape for rows in embedder.embed_references([])] == [(0, embedder.config.dim)] * 2
    references, centres = embedder.embed_references([plain, photo])
    np.testing.assert_allclose(references[1:], embedder.embed([photo]), atol=1e-5)
    np.testing.assert_allclose(centres, embedder.embed([plain, photo], fast=True), atol=1e-5)
    alone = centres[0]
    shop = embedder.embed(
        [augmented_views.draw_shelf_view(augmented_views.cut_out(plain), 32, np.random.default_rng(5))], fast=True
    )[0]
    assert references[0] @ shop > alone @ shop


# Largest 1 - cosine. int8 products never overflow, so processors differ only by the order of float additions, which may
# move an activation to the next of 256 steps. The value for other processors is an allowance.
SAME_INSTRUCTIONS, OTHER_INSTRUCTIONS = 1e-4, 1e-2


def test_the_shipped_model_gives_its_golden_embeddings() -> None:
    golden = json.loads(PATH.read_text())
    embedder = Embedder.open(default_model())
    assert golden["model"] == embedder.network_sha256, (
        "a new model: run python -m tests.embedding.make_golden_embeddings"
    )
    tolerance = SAME_INSTRUCTIONS if golden["instructions"] == instructions() else OTHER_INSTRUCTIONS
    for name, fast in (("fast", True), ("full", False)):
        cosines = (embedder.embed(pictures(), fast) * np.array(golden[name], np.float32)).sum(1)
        assert cosines.min() > 1 - tolerance
