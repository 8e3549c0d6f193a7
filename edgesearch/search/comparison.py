"""Is it really this product? A photo laid onto the product's own pictures, and what differs there.

Thresholds were chosen on drawn products of seed 31 (`tools/bench compare --seed 31`); what they then miss and report
wrongly on others is what `tools/bench compare` prints.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..answer import Answer, Match
from ..errors import CatalogError
from ..images import crops
from ..images.augmented_views import product_mask
from ..images.image import Photo
from ..local_features import alignment
from ..local_features.alignment import Laid
from ..local_features.descriptors import LocalFeatures, look
from . import pipeline, scoring
from .comparison_result import Comparison, Region, Verdict
from .gallery import Gallery

PRINT_OFF, COLOUR_OFF = 0.3, 0.15  # from where windows differ, besides by the median
SURE = {"print": 30.0, "colour": 3.0}  # px: how much of it is told as damage
DOUBT = 0.17  # of that: more cannot be told from it
RIVAL_SHARE = 0.5  # of the difference: what lies as much nearer on a rival's picture is the rival
MOST_BLURRED = 0.25  # median difference of the windows
LEAST_PLACES = 8  # keypoints that must agree before a map is believed
LEAST_SCALE = 0.4  # px of the photo for one of the frame; less is too far away
LEAST_COMPARED = 0.02  # of the reference picture
MOSTLY = 0.35  # of what was compared: where so much differs it is another product
TRIED = 2  # reference pictures that the photo is laid onto
MOST_PICTURES = 64  # of the product, the nearest, that are looked at
SHOWN = 5  # products of the search that is asked besides


class _Aligned(NamedTuple):
    """A photo on one reference picture; clean: that shows the product alone, on a plain background."""

    match: Match
    points: int
    pair: Laid
    inside: np.ndarray
    unlike: np.ndarray
    colours: np.ndarray
    clean: bool


def compare(gallery: Gallery, picture: Callable[[Match], bytes], photo: Photo, sku: str) -> Comparison:
    """Compare a photo with one product.

    Args:    picture: of a match, encoded.
    Raises:  CatalogError: no such product, or it has no picture; ImageError: a picture cannot be read.
    """
    base = gallery.base
    rows = gallery.rows_of(sku)
    if not rows:
        raise CatalogError(f"{sku}: no product with pictures has this SKU; see the SKUs that `search` prints.")
    observation = pipeline.observe(gallery, photo, SHOWN)
    answer = pipeline.answer_observations(gallery, [observation], SHOWN)
    name, pixels, seen = observation.name, observation.pixels, look(observation.pixels, observation.crop)
    near = sorted(scoring.compare_rows(gallery, rows, observation.embedding), key=lambda one: -one.cosine)[
        :MOST_PICTURES
    ]
    score, own = near[0].cosine, _own_scores(gallery, [one.row for one in near])
    near = sorted(scoring.match_local_features(gallery, near, seen), key=lambda one: -one.evidence.weight)[:TRIED]
    matches = gallery.matches([replace(one, size=pixels.shape[:2]) for one in near])

    def read(match: Match) -> np.ndarray | None:
        is_there = match.row < 0 or base.kept(match.row) is not None
        return base.embedder.read(picture(match)) if is_there else None

    lay = functools.partial(_laid, pixels, seen, read)
    best = max((one for one in map(lay, matches) if one), key=lambda one: one.points, default=None)
    base.release_pages()
    rival = _rival(answer, sku) or (_nearer(best, answer, sku, lay) if best else None)
    if best is None:
        lacking = all(read(match) is None for match in matches)
        verdict, why = _by_score(score, own, rival, lacking)
        return Comparison(name, matches[0], verdict, why, score, own, rival, 0, 0.0, (), None, None, None)
    regions = _regions(best)
    verdict, why = _judged(best, regions, rival)
    first = answer.matches[0] if answer.matches else best.match
    if verdict == "same" and first.sku != sku:
        verdict, why = (
            "cannot tell",
            f"it looks as much like {first.sku} {first.name}; take it again, straight and near.",
        )
    points, compared = best.points, float(best.inside.mean())
    shown = best.pair, best.inside, _shown(best)
    return Comparison(name, best.match, verdict, why, score, own, rival, points, compared, regions, *shown)


def _laid(
    pixels: np.ndarray, seen: LocalFeatures, read: Callable[[Match], np.ndarray | None], match: Match
) -> _Aligned | None:
    """None: too little print agrees, or no picture is kept."""
    reference = read(match)
    if reference is None:
        return None
    found, keypoints = alignment.agreement(seen, look(reference))
    if found.places < LEAST_PLACES:
        return None
    pair = alignment.laid(pixels, reference, found.affine)
    inside = alignment.shared(pair, keypoints)
    clean = bool((product_mask(reference) < 128).any())
    return _Aligned(match, found.places, pair, inside, *alignment.differences(pair, inside), clean)


def _regions(one: _Aligned) -> tuple[Region, ...]:
    """Where the two differ by more than the whole of them does, in print or in colour."""
    kinds = (("print", one.unlike, PRINT_OFF), ("colour", one.colours, COLOUR_OFF))
    over = {kind: _over(off, level, one.inside) for kind, off, level in kinds}
    found: list[Region] = []
    for part in crops.connected_parts((over["print"] > 0) | (over["colour"] > 0)):
        strengths = {kind: float(more[part].sum()) / SURE[kind] for kind, more in over.items()}
        said = [kind for kind, strength in strengths.items() if strength >= DOUBT]
        if said:
            found.append(Region(" and ".join(said), _box(part), max(strengths.values())))
    return tuple(sorted(found, key=lambda region: -region.strength))


def _over(off: np.ndarray, level: float, inside: np.ndarray) -> np.ndarray:
    """(h, w) float32: by how much each place differs more than `level` and than most do."""
    usual = float(np.median(off[inside])) if inside.any() else 0.0
    return np.asarray((off - level - usual).clip(0) * inside, np.float32)


def _box(part: np.ndarray) -> tuple[float, float, float, float]:
    rows, columns = np.nonzero(part)
    tall, wide = part.shape
    return (
        float(columns.min() / wide), float(rows.min() / tall),
        float((columns.max() + 1) / wide), float((rows.max() + 1) / tall),
    )  # fmt: skip


def _judged(one: _Aligned, regions: Sequence[Region], rival: Match | None) -> tuple[Verdict, str]:
    """The verdict on a photo that lies on a picture, and why."""
    if one.pair.scale < LEAST_SCALE:
        return "cannot tell", "the product is too small in the photo; take it nearer."
    if one.inside.mean() < LEAST_COMPARED:
        return "cannot tell", "too little of the picture's print is in the photo; show the same side, straight."
    if rival:
        return "different", f"it looks rather like {rival.sku} {rival.name}."
    if np.median(one.unlike[one.inside]) > MOST_BLURRED:
        return "cannot tell", "the photo is too blurred, or taken from another side; take it again, straight and still."
    off = float((one.unlike[one.inside] > PRINT_OFF + MOST_BLURRED).mean())
    if off > MOSTLY:
        return "different", f"{off:.0%} of what was compared is printed otherwise."
    sure = [region for region in regions if region.strength >= 1]
    if sure and not one.clean:  # of sound groceries, compared with photos of shops, a third would be called damaged
        return "cannot tell", f"it differs from {one.match.image}, but that is a photo, no clean picture; look there."
    if sure:
        kinds = " and ".join(dict.fromkeys(kind for region in sure for kind in region.kind.split(" and ")))
        return "damaged or altered", f"its {kinds} differs in {len(sure)} place{'s' * (len(sure) > 1)}."
    if regions:
        return "cannot tell", f"its {regions[0].kind} differs a little in one place; look there, or take it again."
    return "same", f"what is printed agrees wherever it was compared, {one.inside.mean():.0%} of the picture."


def _by_score(score: float, own: tuple[float, float] | None, rival: Match | None, lacking: bool) -> tuple[Verdict, str]:
    """The verdict where no print agrees: the network's alone; lacking: there is no picture of the product."""
    if rival:
        return "different", f"it looks rather like {rival.sku} {rival.name}."
    low = f", its own pictures {own[0]:.2f} or more" if own else ""
    reason = "no picture of it is kept here" if lacking else "too little print agrees"
    return (
        "cannot tell",
        f"{reason} to lay the photo onto{' a picture' * (not lacking)}; its score is {score:.2f}{low}.",
    )


def _rival(answer: Answer, sku: str) -> Match | None:
    """Another product that a search found for sure."""
    first = answer.matches[0] if answer.matches else None
    return first if first and first.sku != sku and answer.decision == "match" else None


def _nearer(own: _Aligned, answer: Answer, sku: str, lay: Callable[[Match], _Aligned | None]) -> Match | None:
    """Another product on whose picture the photo lies far better, where it does not lie well on its own."""
    off = sum(region.strength for region in _regions(own))
    others = [match for match in answer.matches if match.sku != sku and match.points][:TRIED] if off >= 1 else []
    for other in filter(None, map(lay, others)):
        enough = other.points >= own.points and other.inside.mean() >= LEAST_COMPARED
        if enough and sum(region.strength for region in _regions(other)) < RIVAL_SHARE * off:
            return other.match
    return None


def _own_scores(gallery: Gallery, rows: Sequence[int]) -> tuple[float, float] | None:
    """What the product's own pictures score, each with the nearest other; None of a single one."""
    if len(rows) < 2:
        return None
    vectors = gallery.vectors(np.array(rows))
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    nearest = cosines.max(1)
    return float(nearest.min()), float(nearest.max())


def _shown(one: _Aligned) -> np.ndarray:
    """(h, w) float32, 0 to 1: what differs, print and colour, where it was compared."""
    kinds = ((one.unlike, PRINT_OFF), (one.colours, COLOUR_OFF))
    return np.max([_over(off, level, one.inside) / level for off, level in kinds], 0).clip(0, 1)
