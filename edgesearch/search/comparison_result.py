"""The result of comparing a photo with one product."""

from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Literal

import numpy as np

from ..answer import Match
from ..images import drawing
from ..local_features.alignment import AlignedPair, align

Verdict = Literal["same", "different", "damaged or altered", "cannot tell"]
LIMITS = (
    "It compares printed details and colours on the side that both the reference picture and the photo show, away from "
    "the outline. It misses anything smaller than about a fiftieth of the picture, other sides, content, weight, "
    "material and careful copies; glare and objects in front count as damage. It reports damage only if the reference "
    "picture shows the product on a plain background. Measured on drawn products: of 24 sound ones, it judged 17 the "
    "same, 1 damaged and 1 different; of 36 damaged ones (2 to 12% of the product), it reported 15 and judged 16 the "
    "same; of 12 other products of the catalogue that differ only in printed details, it judged 1 the same."
)


@dataclass(frozen=True)
class Region:
    """A part where a photo differs from the reference picture.

    Attributes:
        kind: "print" (printed details), "colour" or "print and colour".
        box: Left, top, right and bottom, as shares of the reference picture.
        strength: From 1 on it is reported as damage.
    """

    kind: str
    box: tuple[float, float, float, float]
    strength: float


@dataclass(frozen=True)
class Comparison:
    """The verdict on whether a photo shows a product, and the evidence.

    Attributes:
        photo: Its name.
        match: The product, as the reference picture that was compared matches it.
        verdict: The judgement.
        why: The reason, one sentence.
        score: Cosine of the photo and the product's nearest picture.
        own: Lowest and highest cosine of each of the product's pictures with the nearest other; None for one picture.
        rival: Another product that the photo shows rather than this one, if there is one.
        points: Number of keypoints that agree.
        compared: Share of the reference picture that was compared.
        regions: Where they differ, the strongest first.
        pair: The photo aligned to the reference picture; None if that failed, and then the next two are None too.
        inside: (h, w) bool, True where the pictures were compared.
        difference: (h, w) float32, 0 to 1, how much they differ.
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
    pair: AlignedPair | None
    inside: np.ndarray | None
    difference: np.ndarray | None

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form, the output of `edgesearch compare --json`."""
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
        """Draw the reference picture, the photo aligned to it, and where they differ.

        Args:
            photo: (H, W, 3) uint8, the photo.
            reference: (H, W, 3) uint8, the reference picture.
            kind: "JPEG" or "PNG".
        """
        panels, legend = [("catalogue picture", reference), ("photo", photo)], []
        if self.pair is not None and self.inside is not None and self.difference is not None:
            boxes = [region.box for region in self.regions]
            large = align(photo, reference, self.pair.affine, drawing.MAX_HEIGHT)
            shown = np.where(large.visible[..., None], large.photo.round(), 255).clip(0, 255).astype(np.uint8)
            panels = [
                ("catalogue picture", drawing.draw_boxes(reference, boxes)),
                ("photo, aligned to it", drawing.draw_boxes(shown, boxes)),
                ("differences", drawing.tint(shown, self.difference, self.inside)),
            ]
            legend = [(drawing.RED, "differs; pale parts were not compared")]
        own = f", its own pictures {self.own[0]:.2f} to {self.own[1]:.2f}" if self.own else ""
        image = PurePath(self.match.image).name
        details = f"score {self.score:.2f}{own}; {self.points} local features agree; compared with {image}"
        title = f"{self.match.name} · {self.match.sku}"
        return drawing.draw_sheet(panels, self.verdict, title, (self.why, details), legend, kind)
