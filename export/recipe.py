"""Read recipe files, which tell how a model is trained and quantized."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgesearch.errors import ModelError


@dataclass(frozen=True)
class Recipe:
    """Settings of a training run; comments in `recipes/mobilenet_v2.toml` explain each."""

    backbone: str
    convention: str
    pretrained: str
    dim: int
    seed: int
    frozen_stages: int
    products: int
    steps: list[tuple[int, int]]
    shelf_probability: float
    catalogue_probability: float
    share: dict[str, float]
    temperature: float
    distill_weight: float
    distill_temperature: float
    backbone_rate: float
    projection_rate: float
    weight_decay: float
    warmup_steps: int
    average_decay: float
    regression_weight: float = 0.0
    projected: tuple[str, ...] = ()
    limit: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Recipe":
        """Read a recipe file; raise ModelError if it is no TOML file or a key is missing or unknown."""
        table = _read_tables(path)
        flat = {key: value for key, value in table.items() if not isinstance(value, dict)}
        try:
            return cls(**flat, **table["batches"], **table["loss"], **table["optimizer"])
        except (KeyError, TypeError) as error:
            raise ModelError(
                f"{path}: not a training recipe ({error}); start from export/recipes/mobilenet_v2.toml."
            ) from error

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return sum(number for number, _ in self.steps)

    def side_at(self, step: int) -> int:
        """Return the side of the views in px at a step."""
        for number, side in self.steps:
            if step < number:
                return side
            step -= number
        return self.steps[-1][1]


@dataclass(frozen=True)
class Quantization:
    """Settings of quantization, the section [quantize] of a recipe.

    Attributes:
        pictures: number of pictures to calibrate on.
        seed: seed of their choice.
        float_convolutions: number of first convolutions that stay float.
    """

    pictures: int
    seed: int
    float_convolutions: int

    @classmethod
    def read(cls, path: Path) -> "Quantization":
        """Read the section; raise ModelError if the file is no TOML or a key is missing or unknown."""
        try:
            return cls(**_read_tables(path)["quantize"])
        except (KeyError, TypeError) as error:
            raise ModelError(
                f"{path}: [quantize] is missing or wrong ({error}); start from export/recipes/mobilenet_v2.toml."
            ) from error


def _read_tables(path: Path) -> dict[str, Any]:
    """Read a recipe's tables; keys that it lacks come from the recipe that it `extends`."""
    table = _read_toml(path)
    if "extends" not in table:
        return table
    merged = _read_tables(path.parent / str(table.pop("extends")))
    for key, value in table.items():
        merged[key] = merged[key] | value if isinstance(value, dict) and key in merged else value
    return merged


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path}: not a training recipe ({error}); start from export/recipes/mobilenet_v2.toml."
        ) from error
