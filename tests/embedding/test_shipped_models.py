"""Models are found by what they are for, by name, or by folder."""

import importlib.machinery
from pathlib import Path

import pytest

from edgesearch import ModelError
from edgesearch.embedding import shipped_models
from edgesearch.embedding.shipped_models import ACCURATE, LIGHT, MODELS, default_model, find_model

from ..conftest import TINY_MODEL


def test_the_light_model_is_the_default_and_has_two_names() -> None:
    assert find_model() == find_model(LIGHT) == find_model(MODELS[LIGHT]) == default_model()
    assert (default_model() / "config.json").is_file()


def test_a_folder_is_a_model(tmp_path: Path) -> None:
    assert find_model(TINY_MODEL) == find_model(str(TINY_MODEL)) == TINY_MODEL
    with pytest.raises(ModelError, match="no such model; give light, accurate, mobilenet"):
        find_model(tmp_path / "nothing")


def test_the_accurate_model_may_come_from_its_own_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped_models, "artifact_folder", lambda name: tmp_path / "nothing")
    monkeypatch.setattr(shipped_models.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="is not installed; install its wheel, edgesearch-accurate"):
        find_model(ACCURATE)
    package = importlib.machinery.ModuleSpec("edgesearch_accurate", None)
    package.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(shipped_models.util, "find_spec", lambda name: package)
    assert find_model(ACCURATE) == find_model(MODELS[ACCURATE]) == tmp_path
