"""Read what a model folder says about decisions: weights learned from real photos, and how these photos were judged.

The file `decision.json` (format 1) holds `network`, the sha256 of the int8 network, and two tables: `plain` for
catalogues without a whitening, `whitened` for those with one. A table has `weights` and `outcomes`: for each number of
pictures a product, rows of four numbers, the probability of the first product and that of a known one in thousandths,
the rank of the right product (0: not found), and 1 if the product is known. `tools/bench answers --learn` writes it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .._util.files import replacing
from .._util.hashing import hash_json
from ..embedding.embedder import CONFIG_FILE, ModelConfig
from ..errors import ModelError
from .decision import PLAIN, Weights

FILE = "decision.json"
FORMAT = 1
KINDS = ("plain", "whitened")
UNKNOWN_SHARE = 0.1  # of all photos, for which the weights hold
Row = tuple[float, float, int, bool]


@dataclass(frozen=True)
class Prior:
    """Hold what is known about decisions before a catalogue is calibrated.

    Attributes:
        weights: Of the evidence, if `UNKNOWN_SHARE` of all photos show unknown products.
        outcomes: By number of pictures a product: how real photos were judged, as rows for `Outcomes.of`.
        whitened: The same of a catalogue with a whitening, which it has once its products have several pictures.
    """

    weights: Weights = PLAIN
    outcomes: Mapping[int, Sequence[Row]] = field(default_factory=dict)
    whitened: Mapping[int, Sequence[Row]] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Hash of the content."""
        tables = [
            {str(pictures): [list(row) for row in rows] for pictures, rows in table.items()}
            for table in (self.outcomes, self.whitened)
        ]
        return hash_json([asdict(self.weights), *tables])

    def outcomes_for(self, pictures: float, will_be_whitened: bool = False) -> Sequence[Row]:
        """Return the outcomes for about as many pictures a product; none if nothing is known."""
        known = self.whitened if will_be_whitened else self.outcomes
        return min(known.items(), key=lambda item: abs(np.log(item[0] / pictures)), default=(0, ()))[1]


def read_prior(folder: Path, whitened: bool) -> Prior:
    """Read the prior of a model folder; a plain one if the folder has none, or one for another network.

    Args:
        folder: Model folder.
        whitened: Whether the catalogue has a whitening.
    Raises:
        ModelError: The file is damaged or of another format.
    """
    path = folder / FILE
    if not path.exists():
        return Prior()
    try:
        table = json.loads(path.read_bytes())
        if table["format"] != FORMAT:
            raise ModelError(f"{path}: decision format {table['format']}; this version reads {FORMAT}.")
        if table["network"] != _network_of(folder):
            return Prior()
        weights = Weights.from_dict(table[KINDS[whitened]]["weights"])
        return Prior(weights, *(_outcomes(table[kind]["outcomes"]) for kind in (KINDS[whitened], "whitened")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ModelError(f"{path}: {error} is missing or wrong; copy the model folder again.") from error


def write_prior(folder: Path, priors: Mapping[str, Prior]) -> None:
    """Write the priors of a model folder, by `KINDS`."""
    table: dict[str, Any] = {"format": FORMAT, "network": _network_of(folder)}
    for kind, prior in priors.items():
        weights = {name: round(value, 4) for name, value in asdict(prior.weights).items()}
        outcomes = {str(pictures): [*map(_numbers, rows)] for pictures, rows in prior.outcomes.items()}
        table[kind] = {"weights": weights, "outcomes": outcomes}
    with replacing(folder / FILE) as file:
        file.write(json.dumps(table).encode())


def _outcomes(table: Mapping[str, Sequence[Sequence[int]]]) -> dict[int, list[Row]]:
    """Return the rows of a table; raise ValueError if one is wrong."""
    outcomes = {int(pictures): [_row(*row) for row in rows] for pictures, rows in table.items()}
    if any(pictures < 1 or not rows for pictures, rows in outcomes.items()):
        raise ValueError("outcomes")
    return outcomes


def _numbers(row: Row) -> tuple[int, ...]:
    first, known, rank, is_known = row
    return round(1000 * first), round(1000 * known), rank, int(is_known)


def _row(first: float, known: float, rank: int, is_known: int) -> Row:
    return float(first) / 1000, float(known) / 1000, int(rank), bool(is_known)


def _network_of(folder: Path) -> str:
    """Return the sha256 of the folder's int8 network."""
    config = ModelConfig.parse((folder / CONFIG_FILE).read_bytes(), str(folder / CONFIG_FILE))
    return config.files["int8"][1]
