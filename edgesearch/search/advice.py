"""Add to an answer that is no match: a fault of the photo, and the likely category and brand."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..answer import Answer, Guess, Match
from ..images import quality
from ..images.crops import Crop
from .candidate import Candidate
from .decision import CONSIDERED
from .gallery import Gallery

GUESSED = ("category", "brand")


def add_advice(
    gallery: Gallery, answer: Answer, photos: Sequence[tuple[np.ndarray, Crop]], candidates: Sequence[Candidate]
) -> Answer:
    """Add the first photo's flaw, if all photos have one, and guesses from the likely products.

    No choice is offered by photos that show nothing usable, unless a barcode offers it.

    Args:
        gallery: The gallery that was searched.
        answer: To add to.
        photos: (H, W, 3) uint8 pixels of each photo, and the square that holds its object.
        candidates: The most likely first.
    """
    flaws = [quality.find_flaw(pixels, crop) for pixels, crop in photos]
    likely = gallery.matches([candidate for candidate in candidates if candidate.probability > 0][:CONSIDERED])
    guesses = {name: guess for name in GUESSED if (guess := guess_detail(likely, name))}
    shows_nothing = all(flaw in quality.USELESS for flaw in flaws)
    is_useless = answer.decision == "ambiguous" and not answer.barcodes and shows_nothing
    decision = "unknown" if is_useless else answer.decision
    return replace(answer, decision=decision, flaw=flaws[0] if all(flaws) else "", guesses=guesses)


def guess_detail(likely: Sequence[Match], name: str) -> Guess | None:
    """Return the value of a detail that most likely products share; None if most have no such detail.

    Products vote by the square roots of their probabilities, which alone would be too sure.
    """
    votes: dict[str, float] = {}
    for match in likely:
        value = getattr(match.product, name) or ""
        votes[value] = votes.get(value, 0.0) + math.sqrt(match.probability)
    value = max(votes, key=votes.__getitem__, default="")
    return Guess(value, votes[value] / sum(votes.values())) if value else None
