"""Which parts of two pictures made them match: a part is covered, and what the cosine loses is what that part gave.

Zeiler, Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014. What the network's last maps respond to
says where something is, not what two pictures share; `tools/bench explain` compares both with chance.

S px of the network's input; g = `CELLS` a side of a map.
"""

from collections.abc import Sequence
from pathlib import PurePath

import numpy as np

from ..answer import Answer
from ..embedding.embedder import Embedder
from ..images import augmented_views, crops, drawing
from ..images.crops import Crop
from ..images.image import Photo

CELLS = 8  # of a map, a side
COVERED = 2  # cells a side that are covered at once
BATCH = 7  # looks at once: a small device has no room for more


def regions(embedder: Embedder, picture: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, Crop]:
    """How much each part of a picture gave to its likeness to another.

    Args:    picture: (H, W, 3) uint8; other: (D,) float32, unit length, the other's embedding.
    Returns: (g, g) float32, 0 to 1, of the strongest; and the square of the picture that it is of.
    """
    part = crops.whole_crop(picture.shape[:2])
    seen = embedder.config.preprocessing(picture, part)
    edges = np.linspace(0, seen.shape[1], CELLS + 1).astype(int)
    starts = [(y, x) for y in range(CELLS - COVERED + 1) for x in range(CELLS - COVERED + 1)]
    grey = seen.mean((1, 2), keepdims=True)
    inputs = np.repeat(seen[None], len(starts), 0)
    for one, (y, x) in zip(inputs, starts, strict=True):
        one[:, edges[y] : edges[y + COVERED], edges[x] : edges[x + COVERED]] = grey
    cosines = np.concatenate([embedder.run(inputs[i : i + BATCH])[0] @ other for i in range(0, len(starts), BATCH)])
    lost = float(embedder.run(seen[None])[0][0] @ other) - cosines
    heat, times = np.zeros((CELLS, CELLS), np.float32), np.zeros((CELLS, CELLS), np.float32)
    for (y, x), loss in zip(starts, lost.tolist(), strict=True):
        heat[y : y + COVERED, x : x + COVERED] += loss
        times[y : y + COVERED, x : x + COVERED] += 1
    heat = (heat / times).clip(0)
    return heat / max(float(heat.max()), 1e-6), part


def explained(
    embedder: Embedder,
    photo: Photo,
    answer: Answer,
    reference: bytes | np.ndarray,
    removed: Sequence[str],
    kind: str,
    said: bool = True,
) -> bytes:
    """The photo and the first match's reference image side by side, with what made them match, and why it is first.

    Args:    reference: encoded; where it is not kept its embedding, (D,) float32; removed: what each condition of a
             filter did; kind: "JPEG" or "PNG"; said: False: the pictures without words.
    Raises:  ImageError: one of them cannot be read.
    """
    kept = isinstance(reference, bytes)
    pictures = [embedder.read(photo), *([embedder.read(reference)] if isinstance(reference, bytes) else [])]
    others = embedder.embed(pictures)[::-1] if kept else [reference]
    lit = [
        drawing.highlight(one, *regions(embedder, one, other), augmented_views.product_mask(one))
        for one, other in zip(pictures, others, strict=True)
    ]
    best = answer.matches[0]
    panels = [("photo", drawing.draw_outline(lit[0], best.outline)), *[("catalogue picture", one) for one in lit[1:]]]
    if not said:
        return drawing.join_panels([panel for _, panel in panels], kind)
    title = f"{'nearest: ' * (answer.decision == 'unknown')}{best.name} · {best.sku}"
    legend = [(drawing.AMBER, "around what made the two pictures match most; what is pale did little")]
    legend += [(drawing.GREEN, "about where its print is in the photo")] * bool(best.outline)
    return drawing.draw_sheet(panels, answer.decision, title, words(answer, removed, kept), legend, kind)


def words(answer: Answer, removed: Sequence[str] = (), pictured: bool = True) -> list[str]:
    """What is told of an answer's first match, line by line; pictured: its reference image is kept."""
    best, *others = answer.matches
    others_likely = f", {others[0].probability:.0%} {others[0].sku} {others[0].name}" if others else ""
    print_ = f"{best.points} points of the print agree{', mirrored' * best.mirrored}"
    print_ = print_ if best.points else "no print was compared, or none agrees"
    return [
        f"{best.probability:.0%} likely{others_likely}; score {best.score:.3f}",
        f"matched with {PurePath(best.image).name}{', of which no picture is kept' * (not pictured)}; {print_}",
        *removed,
        *[answer.conflict] * bool(answer.conflict),
        *[f"about the photo: {answer.advice}"] * bool(answer.advice),
    ]
