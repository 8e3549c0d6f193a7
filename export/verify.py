"""Does int8 find what float finds? Measured on held-back pictures, through the runtime."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgesearch.errors import ModelError

from . import model_folder
from .training_pictures import Source

GATE_COSINE = 0.97  # mean cosine between int8 and float embeddings, at least
GATE_RECALL = 0.01  # recall@1 that int8 may lose on the held-back products


@dataclass(frozen=True)
class HeldBack:
    """Pictures of products that training never saw; N of them.

    Attributes: inputs (N, 3, S, S) float32; product, clean (N,): as in `training_pictures.Source`.
    """

    inputs: np.ndarray
    product: np.ndarray
    clean: np.ndarray

    @classmethod
    def of(cls, sources: list[Source]) -> "HeldBack":
        """Every held-out grocery product: catalogue picture and photos."""
        unseen = {s.product for s in sources if s.held_out and s.clean and s.group == "groceries"}
        kept = [s for s in sources if s.product in unseen]
        return cls(
            model_folder.inputs([s.path for s in kept]),
            np.array([s.product for s in kept]),
            np.array([s.clean for s in kept]),
        )

    def recall(self, embeddings: np.ndarray) -> float:
        """Recall@1 of the photos, asked of the catalogue pictures."""
        scores = embeddings[~self.clean] @ embeddings[self.clean].T
        return float((self.product[self.clean][scores.argmax(1)] == self.product[~self.clean]).mean())


def measure(folder: Path, held_back: HeldBack) -> dict[str, float]:
    """Int8 against float: number of held-back pictures, mean cosine between the two, and recall@1 of each."""
    exact, coarse = (model_folder.embed(folder, precision, held_back.inputs) for precision in ("fp32", "int8"))
    return {
        "held_back": len(exact),
        "cosine": float((exact * coarse).sum(1).mean()),
        "recall_fp32": held_back.recall(exact),
        "recall_int8": held_back.recall(coarse),
    }


def verify(folder: Path, held_back: HeldBack) -> dict[str, float]:
    """Measure, and raise ModelError where int8 is farther from float than the gate allows."""
    found = measure(folder, held_back)
    if found["cosine"] < GATE_COSINE or found["recall_fp32"] - found["recall_int8"] > GATE_RECALL:
        raise ModelError(
            f"{folder}: int8 is too far from float: cosine {found['cosine']:.4f} (at least {GATE_COSINE}), recall@1 "
            f"{found['recall_int8']:.3f} against {found['recall_fp32']:.3f} (at most {GATE_RECALL} less); keep more "
            "layers float in the recipe."
        )
    return found
