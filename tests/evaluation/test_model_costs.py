"""Measure what a model costs on this device, and say what follows from it."""

from pathlib import Path

import pytest

from edgesearch import ModelError
from edgesearch.embedding.embedder import Embedder
from edgesearch.evaluation import model_costs
from edgesearch.evaluation.model_costs import ModelCost

from ..conftest import TINY_MODEL

LIGHT, ACCURATE = ModelCost("light", 4_000_000, 4.0), ModelCost("accurate", 10_000_000, 14.0)


def test_only_installed_models_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str) -> Path:
        if name == "accurate":
            raise ModelError("not installed")
        return TINY_MODEL

    monkeypatch.setattr(model_costs, "find_model", find)
    (light,) = model_costs.measure_installed()
    assert light.name == "light" and light.crop_ms > 0
    assert light.network_bytes == (TINY_MODEL / Embedder.open(TINY_MODEL).config.files["int8"][0]).stat().st_size


@pytest.mark.parametrize(
    ("budget_ms", "advice"), [(80.0, "`build --model accurate` suits it"), (79.0, "the light one suits it")]
)
def test_the_accurate_model_is_advised_within_the_budget(budget_ms: float, advice: str) -> None:
    light, accurate, last = model_costs.advise([LIGHT, ACCURATE], 4.0, 50.0, budget_ms)
    assert light == "model light: 4.0 ms a crop, network 4.0 MB."
    assert accurate == "model accurate: 14.0 ms a crop, network 10.0 MB."
    assert last.startswith(f"with the accurate model a photo would take some 80 ms of {budget_ms:.0f}: {advice}")


def test_without_the_accurate_model_nothing_is_advised() -> None:
    assert len(model_costs.advise([LIGHT], 4.0, 50.0, 300.0)) == 1


def test_a_store_with_the_accurate_model_already_pays_for_it() -> None:
    assert "some 50 ms of 300" in model_costs.advise([LIGHT, ACCURATE], 14.0, 50.0, 300.0)[-1]
