"""A product that a photo may show, and the evidence for it."""

from typing import NamedTuple

from ..local_features.local_index import NO_EVIDENCE, Evidence


class Candidate(NamedTuple):
    """A product, represented by its best reference picture.

    Attributes:
        row: The picture's row in the gallery.
        cosine: Cosine of the photo and the product's nearest picture.
        evidence: What the picture's local features have in common with the photo's.
        probability: How likely the photo shows the product.
        size: (H, W) of the photo, in px.
    """

    row: int
    cosine: float
    evidence: Evidence = NO_EVIDENCE
    probability: float = 0.0
    size: tuple[int, ...] = (1, 1)

    @property
    def score(self) -> float:
        """The cosine, raised where local features agree."""
        return self.evidence.raise_score(self.cosine)
