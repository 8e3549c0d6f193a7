"""What a comparison of a photo with one product says."""

from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Literal

import numpy as np

from ..answer import Match
from ..images import drawing
from ..local_features.alignment import Laid, laid

Verdict = Literal["same", "different", "damaged or altered", "cannot tell"]
LIMITS = (
    "It compares print and colours on the side that the reference picture and the photo both show, away from the "
    "outline. It does not see what is smaller than about a fiftieth of the picture, another side, the content, weight "
    "or material, nor a careful copy; glare and what stands in front count as damage. Damage is told only where the "
    "reference picture shows the product on a plain background. So measured, of 24 sound drawn products 17 were called "
    "the same, 1 damaged and 1 another; of 36 damaged ones (2 to 12% of the product) 15 were told and 16 called the "
    "same; of 12 others in the catalogue that differ in print alone, 1 was called the same."
)


@dataclass(frozen=True)
class Region:
    """Where a photo differs from the reference picture.

    Attributes: kind: "print", "colour" or "print and colour"; box: left, top, right, bottom in shares of the reference
                picture; strength: 1 and more is told as damage.
    """

    kind: str
    box: tuple[float, float, float, float]
    strength: float


@dataclass(frozen=True)
class Comparison:
    """Whether a photo shows a product.

    Attributes: why: of the verdict, one sentence; score: cosine of the photo and the product's nearest picture; own:
                the lowest and the highest such score of the product's own pictures, each with the nearest other, None
                where it has one alone; rival: another product that the photo shows rather, None where there is none;
                points: keypoints that agree; compared: share of the reference picture; regions: the strongest first;
                pair, inside, difference: the photo laid onto the picture, what of it was compared (h, w) bool, and
                where they differ (h, w) float32, 0 to 1; None where it could not be laid.
    """

    photo: str
    match: Match
    verdict: Verdict
    why: str
    score: float
    own: tuple[float, float] | None
    rival: Match | None
    points: int
    compared: float
    regions: tuple[Region, ...]
    pair: Laid | None
    inside: np.ndarray | None
    difference: np.ndarray | None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form, as `edgesearch compare --json` prints it."""
        regions = [
            vars(r) | {"box": [round(n, 4) for n in r.box], "strength": round(r.strength, 2)} for r in self.regions
        ]
        return {
            "photo": self.photo,
            "sku": self.match.sku,
            "name": self.match.name,
            "verdict": self.verdict,
            "why": self.why,
            "score": round(self.score, 4),
            "own_scores": [round(n, 4) for n in self.own] if self.own else None,
            "rival": self.rival.sku if self.rival else None,
            "image": self.match.image,
            "points": self.points,
            "compared": round(self.compared, 4),
            "regions": regions,
            "limits": LIMITS,
        }

    def drawn(self, photo: np.ndarray, reference: np.ndarray, kind: str = "JPEG") -> bytes:
        """The reference picture, the photo laid onto it, and where they differ.

        Args:    photo, reference: (H, W, 3) uint8; kind: "JPEG" or "PNG".
        """
        panels, legend = [("catalogue picture", reference), ("photo", photo)], []
        if self.pair is not None and self.inside is not None and self.difference is not None:
            boxes = [region.box for region in self.regions]
            large = laid(photo, reference, self.pair.affine, drawing.MAX_HEIGHT)
            shown = np.where(large.seen[..., None], large.photo.round(), 255).clip(0, 255).astype(np.uint8)
            panels = [
                ("catalogue picture", drawing.draw_boxes(reference, boxes)),
                ("photo, laid onto it", drawing.draw_boxes(shown, boxes)),
                ("what differs", drawing.tint(shown, self.difference, self.inside)),
            ]
            legend = [(drawing.RED, "differs; what is pale was not compared")]
        own = f", its own pictures {self.own[0]:.2f} to {self.own[1]:.2f}" if self.own else ""
        image = PurePath(self.match.image).name
        details = f"score {self.score:.2f}{own}; {self.points} points agree; compared with {image}"
        title = f"{self.match.name} · {self.match.sku}"
        return drawing.draw_sheet(panels, self.verdict, title, (self.why, details), legend, kind)
