"""What a model folder says about decisions."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from edgesearch import ModelError
from edgesearch.embedding.shipped_models import default_model
from edgesearch.search.decision import PLAIN
from edgesearch.search.decision_prior import FILE, Prior, read_prior, write_prior

from ..conftest import TINY_MODEL

SOME = Prior(
    replace(PLAIN, mean=0.25),
    {1: [(0.5, 0.75, 1, True), (0.25, 0.5, 0, False)], 6: [(0.9, 0.95, 2, True)]},
    {5: [(0.8, 0.9, 1, True)]},
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(TINY_MODEL, tmp_path / "model", copy_function=shutil.copyfile)
    write_prior(tmp_path / "model", {"plain": SOME, "whitened": Prior(outcomes=SOME.whitened)})
    return tmp_path / "model"


def test_a_written_prior_is_read(folder: Path) -> None:
    assert read_prior(folder, whitened=False) == SOME
    assert read_prior(folder, whitened=True) == Prior(outcomes=SOME.whitened, whitened=SOME.whitened)


def test_a_folder_without_prior_gives_a_plain_one() -> None:
    assert read_prior(TINY_MODEL, whitened=False) == Prior()


def test_the_prior_of_another_network_is_ignored(folder: Path) -> None:
    table = json.loads((folder / FILE).read_bytes())
    (folder / FILE).write_text(json.dumps(table | {"network": "0" * 64}))
    assert read_prior(folder, whitened=False) == Prior()


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"plain": None},
        {"plain": {"weights": {}, "outcomes": {}}},
        {"plain": {"weights": vars(PLAIN), "outcomes": {"0": [[1, 1, 1, 1]]}}},
        {"plain": {"weights": vars(PLAIN), "outcomes": {"1": [[1, 1]]}}},
        {"plain": {"weights": vars(PLAIN), "outcomes": {"1": []}}},
        {"plain": {"weights": vars(PLAIN) | {"mean": "much"}, "outcomes": {}}},
    ],
)
def test_a_damaged_prior_is_refused(folder: Path, change: dict[str, object]) -> None:
    table = json.loads((folder / FILE).read_bytes())
    (folder / FILE).write_text(json.dumps(table | change))
    with pytest.raises(ModelError, match=FILE):
        read_prior(folder, whitened=False)
    (folder / FILE).write_bytes(b"{")
    with pytest.raises(ModelError, match=FILE):
        read_prior(folder, whitened=False)


def test_outcomes_of_the_nearest_number_of_pictures_count() -> None:
    assert SOME.outcomes_for(1.2) == SOME.outcomes[1]
    assert SOME.outcomes_for(4) == SOME.outcomes_for(100) == SOME.outcomes[6]
    assert SOME.outcomes_for(6, will_be_whitened=True) == SOME.whitened[5]
    assert not Prior().outcomes_for(1)


@pytest.mark.parametrize("whitened", [False, True])
def test_the_shipped_model_has_a_prior(whitened: bool) -> None:
    prior = read_prior(default_model(), whitened)
    assert prior.outcomes
    assert prior.weights != PLAIN
