"""The options of a build: their limits, and the keyword arguments of `edgesearch.build`."""

import dataclasses
from pathlib import Path

import pytest

from edgesearch.building.build_options import BuildKeywords, BuildOptions
from edgesearch.embedding.shipped_models import default_model


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "spark"}, r"engine is 'spark'; expected one of local, ray\."),
        ({"local_features": -1}, "local_features is -1; expected 0 to"),
        ({"local_features": 1 << 20}, "local_features is 1048576"),
        ({"wrong_matches": 0}, "wrong_matches is 0"),
        ({"missed": 1}, "missed is 1"),
        ({"unknown_share": float("nan")}, "unknown_share is nan"),
        ({"budget_mb": 0}, "budget_mb is 0"),
        ({"budget_mb": float("inf")}, "budget_mb is inf"),
    ],
)
def test_a_value_outside_its_limits_is_refused(options: BuildKeywords, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BuildOptions(**options)


def test_every_option_except_the_model_is_a_keyword_of_build() -> None:
    fields = [field.name for field in dataclasses.fields(BuildOptions)]
    assert fields == ["model", *BuildKeywords.__annotations__]


def test_every_option_is_explained() -> None:
    for field in dataclasses.fields(BuildOptions):
        assert f"\n        {field.name}: " in str(BuildOptions.__doc__)


def test_options_give_the_model_folder_and_the_limit_in_bytes(tmp_path: Path) -> None:
    assert BuildOptions().model_folder == default_model()
    assert BuildOptions(tmp_path).model_folder == tmp_path
    assert BuildOptions().limit_bytes is None
    assert BuildOptions(budget_mb=4.5).limit_bytes == 4_500_000
