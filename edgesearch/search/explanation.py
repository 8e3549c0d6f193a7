"""Show which parts of two pictures made them match: cover a part, and measure how much the cosine falls.

The method is occlusion (Zeiler, Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014). The responses
of the network's last layers show where something is, not what two pictures share; `tools/bench explain` compares both
methods with chance.

H, W height and width in px, D dimensions, g = `CELLS`.
"""

from collections.abc import Sequence
from pathlib import PurePath

import numpy as np

from ..answer import Answer
from ..embedding.embedder import Embedder
from ..images import augmented_views, crops, drawing
from ..images.crops import Crop
from ..images.image import Photo

CELLS = 8  # a side of a map
COVERED = 2  # cells a side that are covered at once
BATCH = 7  # covered pictures embedded at once; a small device has no memory for more


def occlusion_map(embedder: Embedder, picture: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, Crop]:
    """Measure how much each part of a picture contributes to its cosine with another picture.

    Args:
        embedder: The network.
        picture: (H, W, 3) uint8.
        other: (D,) float32, unit length, the embedding of the other picture.
    Returns:
        (g, g) float32, relative to the strongest part, 0 to 1; and the square of the picture that it covers.
    """
    crop = crops.whole_crop(picture.shape[:2])
    whole = embedder.config.preprocessing(picture, crop)
    edges = np.linspace(0, whole.shape[1], CELLS + 1).astype(int)
    starts = [(y, x) for y in range(CELLS - COVERED + 1) for x in range(CELLS - COVERED + 1)]
    grey = whole.mean((1, 2), keepdims=True)
    inputs = np.repeat(whole[None], len(starts), 0)
    for covered, (y, x) in zip(inputs, starts, strict=True):
        covered[:, edges[y] : edges[y + COVERED], edges[x] : edges[x + COVERED]] = grey
    batches = [inputs[i : i + BATCH] for i in range(0, len(starts), BATCH)]
    cosines = np.concatenate([embedder.embed_inputs(batch) @ other for batch in batches])
    lost = float(embedder.embed_inputs(whole[None])[0] @ other) - cosines
    heat, times = np.zeros((CELLS, CELLS), np.float32), np.zeros((CELLS, CELLS), np.float32)
    for (y, x), loss in zip(starts, lost.tolist(), strict=True):
        heat[y : y + COVERED, x : x + COVERED] += loss
        times[y : y + COVERED, x : x + COVERED] += 1
    heat = (heat / times).clip(0)
    return heat / max(float(heat.max()), 1e-6), crop


def draw_explanation(
    embedder: Embedder,
    photo: Photo,
    answer: Answer,
    reference: bytes | np.ndarray,
    removed: Sequence[str],
    kind: str,
    with_words: bool = True,
) -> bytes:
    """Draw the photo beside the first match's reference image, what made them match, and why the match is first.

    Args:
        embedder: The network.
        photo: As for `Store.search`.
        answer: Whose first match to explain.
        reference: Encoded reference image; if the bundle does not keep it, its embedding, (D,) float32.
        removed: What each condition of a filter excluded.
        kind: "JPEG" or "PNG".
        with_words: Whether to add text; False draws the pictures alone.
    Raises:
        ImageError: A picture cannot be read.
    """
    is_kept = isinstance(reference, bytes)
    pictures = [embedder.read(photo), *([embedder.read(reference)] if isinstance(reference, bytes) else [])]
    others = embedder.embed(pictures)[::-1] if is_kept else [reference]
    maps = [
        drawing.highlight(one, *occlusion_map(embedder, one, other), augmented_views.product_mask(one))
        for one, other in zip(pictures, others, strict=True)
    ]
    best = answer.matches[0]
    panels = [("photo", drawing.draw_outline(maps[0], best.outline)), *[("catalogue picture", one) for one in maps[1:]]]
    if not with_words:
        return drawing.join_panels([panel for _, panel in panels], kind)
    title = f"{'nearest: ' * (answer.decision == 'unknown')}{best.name} · {best.sku}"
    legend = [(drawing.AMBER, "parts that made the pictures match most; pale parts contributed little")]
    legend += [(drawing.GREEN, "where printed details agree")] * bool(best.outline)
    return drawing.draw_sheet(panels, answer.decision, title, describe_match(answer, removed, is_kept), legend, kind)


def describe_match(answer: Answer, removed: Sequence[str] = (), is_kept: bool = True) -> list[str]:
    """Return lines about an answer's first match.

    Args:
        answer: With at least one match.
        removed: What each condition of a filter excluded.
        is_kept: Whether the bundle keeps its reference image.
    """
    best, *others = answer.matches
    others_likely = f", {others[0].probability:.0%} {others[0].sku} {others[0].name}" if others else ""
    likely = "" if answer.decision == "unknown" else f"{best.probability:.0%} likely{others_likely}; "
    agreement = f"{best.points} local features agree{', mirrored' * best.mirrored}"
    agreement = agreement if best.points else "no local features were compared, or none agree"
    return [
        f"{likely}score {best.score:.3f}",
        f"matched with {PurePath(best.image).name}{', whose picture is not kept' * (not is_kept)}; {agreement}",
        *removed,
        *[answer.conflict] * bool(answer.conflict),
        *[f"about the photo: {answer.advice}"] * bool(answer.advice),
    ]
