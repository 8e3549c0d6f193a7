"""What a recipe file says: how a model is trained, and how it is quantized."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgesearch.errors import ModelError


@dataclass(frozen=True)
class Recipe:
    """A recipe file, read key by key; its meaning is in the file's comments."""

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
    limit: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Recipe":
        """Raises ModelError: no such file, not TOML, or a key is missing or unknown."""
        table = _tables(path)
        flat = {key: value for key, value in table.items() if not isinstance(value, dict)}
        try:
            return cls(**flat, **table["batches"], **table["loss"], **table["optimizer"])
        except (KeyError, TypeError) as error:
            raise ModelError(
                f"{path}: not a training recipe ({error}); start from export/recipes/mobilenet_v2.toml."
            ) from error

    @property
    def total_steps(self) -> int:
        return sum(number for number, _ in self.steps)

    def side_at(self, step: int) -> int:
        """View side in px at a step."""
        for number, side in self.steps:
            if step < number:
                return side
            step -= number
        return self.steps[-1][1]


@dataclass(frozen=True)
class Quantization:
    """The section [quantize] of a recipe.

    Attributes: pictures: to calibrate on; float_convolutions: how many of the first stay float.
    """

    pictures: int
    seed: int
    float_convolutions: int

    @classmethod
    def read(cls, path: Path) -> "Quantization":
        """Raises ModelError: no such file, not TOML, or a key is missing or unknown."""
        try:
            return cls(**_tables(path)["quantize"])
        except (KeyError, TypeError) as error:
            raise ModelError(f"{path}: no section [quantize] to use ({error}).") from error


def _tables(path: Path) -> dict[str, Any]:
    """A recipe's tables; what it does not say itself, the recipe that it `extends` says."""
    table = _toml(path)
    if "extends" not in table:
        return table
    merged = _toml(path.parent / str(table.pop("extends")))
    for key, value in table.items():
        merged[key] = merged[key] | value if isinstance(value, dict) and key in merged else value
    return merged


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path}: not a training recipe ({error}); start from export/recipes/mobilenet_v2.toml."
        ) from error
