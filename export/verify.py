"""Check on held-back pictures, with onnxruntime, that int8 finds what float finds."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgesearch.errors import ModelError

from . import model_folder
from .training_pictures import Source

MIN_COSINE = 0.97  # mean cosine between int8 and float embeddings
MAX_RECALL_LOSS = 0.01  # of recall@1 on the held-back products


@dataclass(frozen=True)
class HeldBack:
    """N pictures of products that are not trained on.

    Attributes:
        inputs: (N, 3, S, S) float32, the network's inputs.
        product: (N,) str, as in `training_pictures.Source`.
        clean: (N,) bool, as in `training_pictures.Source`.
    """

    inputs: np.ndarray
    product: np.ndarray
    clean: np.ndarray

    @classmethod
    def from_sources(cls, sources: list[Source]) -> "HeldBack":
        """Read the catalogue picture and photos of every held-out grocery product."""
        unseen = {s.product for s in sources if s.held_out and s.clean and s.group == "groceries"}
        kept = [s for s in sources if s.product in unseen]
        return cls(
            model_folder.inputs([s.path for s in kept]),
            np.array([s.product for s in kept]),
            np.array([s.clean for s in kept]),
        )

    def recall(self, embeddings: np.ndarray) -> float:
        """Return recall@1 of the photos among the catalogue pictures; embeddings: (N, D) float32."""
        scores = embeddings[~self.clean] @ embeddings[self.clean].T
        return float((self.product[self.clean][scores.argmax(1)] == self.product[~self.clean]).mean())


def measure(folder: Path, held_back: HeldBack) -> dict[str, float]:
    """Compare int8 with float: number of held-back pictures, mean cosine between the two, and recall@1 of each."""
    exact, coarse = (model_folder.embed(folder, precision, held_back.inputs) for precision in ("fp32", "int8"))
    return {
        "held_back": len(exact),
        "cosine": float((exact * coarse).sum(1).mean()),
        "recall_fp32": held_back.recall(exact),
        "recall_int8": held_back.recall(coarse),
    }


def verify(folder: Path, held_back: HeldBack) -> dict[str, float]:
    """Compare int8 with float as `measure` does; raise ModelError if they differ too much."""
    found = measure(folder, held_back)
    if found["cosine"] < MIN_COSINE or found["recall_fp32"] - found["recall_int8"] > MAX_RECALL_LOSS:
        raise ModelError(
            f"{folder}: int8 is too far from float: cosine {found['cosine']:.4f} (at least {MIN_COSINE}), recall@1 "
            f"{found['recall_int8']:.3f} against {found['recall_fp32']:.3f} (at most {MAX_RECALL_LOSS} less); keep "
            "more convolutions float in the recipe."
        )
    return found
