"""Judge whether a photo shows a given product: align the photo to the product's own pictures and measure differences.

The thresholds were chosen on drawn products of seed 31 (`tools/bench compare --seed 31`); `tools/bench compare`
measures their misses and false reports on other products.

H, W a photo's height and width in px, h, w those of the frame in which both pictures are compared.
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ..answer import Answer, Match
from ..errors import CatalogError
from ..images import crops
from ..images.augmented_views import product_mask
from ..images.image import Photo
from ..local_features import alignment
from ..local_features.alignment import AlignedPair
from ..local_features.descriptors import LocalFeatures, extract_query_features
from . import pipeline, scoring
from .comparison_result import Comparison, Region, Verdict
from .gallery import Gallery
from .pipeline import Observation

PRINT_OFF, COLOUR_OFF = 0.3, 0.15  # difference of a window above the median from which it counts
SURE = {"print": 30.0, "colour": 3.0}  # px: difference of a region from which it is reported as damage
DOUBT = 0.17  # of that: with less a region is ignored
RIVAL_SHARE = 0.5  # of the difference: if a rival's picture leaves less, the photo shows the rival
MAX_BLURRED = 0.25  # median difference of the windows
MIN_KEYPOINTS = 8  # keypoints that must agree before a map is believed
MIN_SCALE = 0.4  # px of the photo for one of the frame; with less the product is too far away
MIN_COMPARED = 0.02  # share of the reference picture
MAX_DIFFERING = 0.35  # share of what was compared: if more differs, it is another product
MAX_ALIGNED = 2  # reference pictures that the photo is aligned to
MAX_PICTURES = 64  # of the product, the nearest, that are compared
SEARCHED = 5  # products of the search for rivals
DETAILS = {"print": "printed details", "colour": "colour"}  # by kind of difference


class _Alignment(NamedTuple):
    """A photo aligned to one reference picture.

    Attributes:
        match: The product as that picture matches it.
        points: Number of keypoints that agree.
        pair: Both pictures in one frame.
        inside: (h, w) bool, True where the pictures were compared.
        unlike: (h, w) float32, how much printed details differ.
        colours: (h, w) float32, how much colours differ.
        clean: Whether the picture shows the product alone, on a plain background.
    """

    match: Match
    points: int
    pair: AlignedPair
    inside: np.ndarray
    unlike: np.ndarray
    colours: np.ndarray
    clean: bool


Align = Callable[[Match], _Alignment | None]


def compare(gallery: Gallery, picture: Callable[[Match], bytes], photo: Photo, sku: str) -> Comparison:
    """Compare a photo with one product.

    Args:
        gallery: Holds the product.
        picture: Returns the encoded picture of a match.
        photo: As for `Store.search`.
        sku: Of the product.
    Raises:
        CatalogError: The product is unknown or has no picture.
        ImageError: A picture cannot be read.
    """
    base, rows = gallery.base, gallery.rows_of(sku)
    if not rows:
        if gallery.find_product(sku):
            raise CatalogError(f"{sku}: has no picture to compare with; `enrol` one.")
        raise CatalogError(f"{sku}: no product has this SKU; see the SKUs that `search` prints.")
    observation = pipeline.observe(gallery, photo, SEARCHED)
    answer = pipeline.answer_observations(gallery, [observation], SEARCHED)
    features = extract_query_features(observation.pixels, observation.crop)
    matches, score, own = _match_pictures(gallery, rows, observation, features)

    def read(match: Match) -> np.ndarray | None:
        row = match.row
        is_kept = row is not None and (row < 0 or base.stored_picture(row) is not None)
        return base.embedder.read(picture(match)) if is_kept else None

    align = functools.partial(_align, observation.pixels, features, read)
    best = max((one for one in map(align, matches) if one), key=lambda one: one.points, default=None)
    base.release_pages()
    rival = _find_rival(answer, sku) or (_find_nearer_rival(best, answer, sku, align) if best else None)
    if best is not None:
        return _compare_aligned(observation.name, best, answer, sku, score, own, rival)
    lacks_picture = all(read(match) is None for match in matches)
    verdict, why = _judge_by_score(score, own, rival, lacks_picture)
    return Comparison(observation.name, matches[0], verdict, why, score, own, rival, 0, 0.0, (), None, None, None)


def _match_pictures(
    gallery: Gallery, rows: Sequence[int], observation: Observation, features: LocalFeatures
) -> tuple[tuple[Match, ...], float, tuple[float, float] | None]:
    """Return the product's pictures whose local features agree most, its score, and its own pictures' scores."""
    candidates = scoring.compare_rows(gallery, rows, observation.embedding)
    near = sorted(candidates, key=lambda candidate: -candidate.cosine)[:MAX_PICTURES]
    own = _own_scores(gallery, [candidate.row for candidate in near])
    verified = scoring.match_local_features(gallery, near, features)
    agreeing = sorted(verified, key=lambda candidate: -candidate.evidence.weight)[:MAX_ALIGNED]
    size = observation.pixels.shape[:2]
    matches = gallery.matches([candidate._replace(size=size) for candidate in agreeing])
    return matches, near[0].cosine, own


def _compare_aligned(
    name: str,
    best: _Alignment,
    answer: Answer,
    sku: str,
    score: float,
    own: tuple[float, float] | None,
    rival: Match | None,
) -> Comparison:
    regions = _find_regions(best)
    verdict, why = _judge_alignment(best, regions, rival)
    first = answer.matches[0] if answer.matches else best.match
    if verdict == "same" and first.sku != sku:
        verdict = "cannot tell"
        why = f"it looks as much like {first.sku} {first.name}; take another photo, straight and from close up."
    points, compared = best.points, float(best.inside.mean())
    maps = best.pair, best.inside, _difference_map(best)
    return Comparison(name, best.match, verdict, why, score, own, rival, points, compared, regions, *maps)


def _align(
    pixels: np.ndarray, features: LocalFeatures, read: Callable[[Match], np.ndarray | None], match: Match
) -> _Alignment | None:
    """Align a photo to the picture of a match; return None if too few local features agree or no picture is kept."""
    reference = read(match)
    if reference is None:
        return None
    found, keypoints = alignment.match_features(features, extract_query_features(reference))
    if found.inliers < MIN_KEYPOINTS:
        return None
    pair = alignment.align(pixels, reference, found.affine)
    inside = alignment.find_shared_area(pair, keypoints)
    clean = bool((product_mask(reference) < 128).any())
    return _Alignment(match, found.inliers, pair, inside, *alignment.measure_differences(pair, inside), clean)


def _find_regions(aligned: _Alignment) -> tuple[Region, ...]:
    """Return where the two pictures differ by more than they do as a whole, the strongest region first."""
    kinds = (("print", aligned.unlike, PRINT_OFF), ("colour", aligned.colours, COLOUR_OFF))
    excess = {kind: _excess(difference, level, aligned.inside) for kind, difference, level in kinds}
    regions: list[Region] = []
    for part in crops.connected_parts((excess["print"] > 0) | (excess["colour"] > 0)):
        strengths = {kind: float(more[part].sum()) / SURE[kind] for kind, more in excess.items()}
        strong = [kind for kind, strength in strengths.items() if strength >= DOUBT]
        if strong:
            regions.append(Region(" and ".join(strong), _box(part), max(strengths.values())))
    return tuple(sorted(regions, key=lambda region: -region.strength))


def _excess(difference: np.ndarray, level: float, inside: np.ndarray) -> np.ndarray:
    """Return by how much each pixel differs more than `level` and the median: (h, w) float32."""
    usual = float(np.median(difference[inside])) if inside.any() else 0.0
    return np.asarray((difference - level - usual).clip(0) * inside, np.float32)


def _box(part: np.ndarray) -> tuple[float, float, float, float]:
    rows, columns = np.nonzero(part)
    tall, wide = part.shape
    return (
        float(columns.min() / wide), float(rows.min() / tall),
        float((columns.max() + 1) / wide), float((rows.max() + 1) / tall),
    )  # fmt: skip


def _judge_alignment(aligned: _Alignment, regions: Sequence[Region], rival: Match | None) -> tuple[Verdict, str]:
    """Return the verdict on an aligned photo, and the reason."""
    if aligned.pair.scale < MIN_SCALE:
        return "cannot tell", "the product is too small in the photo; go closer."
    if aligned.inside.mean() < MIN_COMPARED:
        return "cannot tell", "the photo shows too little of what the picture shows; show the same side, straight."
    if rival:
        return "different", f"it looks more like {rival.sku} {rival.name}."
    if np.median(aligned.unlike[aligned.inside]) > MAX_BLURRED:
        return "cannot tell", "the photo is too blurred, or shows another side; take another one, straight and still."
    share = float((aligned.unlike[aligned.inside] > PRINT_OFF + MAX_BLURRED).mean())
    if share > MAX_DIFFERING:
        return "different", f"printed details differ in {share:.0%} of what was compared."
    return _judge_regions(aligned, regions)


def _judge_regions(aligned: _Alignment, regions: Sequence[Region]) -> tuple[Verdict, str]:
    """Return the verdict on a photo that agrees with the picture as a whole, and the reason."""
    sure = [region for region in regions if region.strength >= 1]
    # Without the second condition a third of sound groceries would be called damaged, compared with photos of shops.
    if sure and not aligned.clean:
        return "cannot tell", f"it differs from {aligned.match.image}, which has no plain background; check there."
    if sure:
        count = f"{len(sure)} place{'s' * (len(sure) > 1)}"
        return "damaged or altered", f"{_list_details(sure)} differ in {count}."
    if regions:
        return "cannot tell", f"{_list_details(regions[:1])} differ a little in one place; check there, or try again."
    return "same", f"printed details agree wherever they were compared, {aligned.inside.mean():.0%} of the picture."


def _list_details(regions: Sequence[Region]) -> str:
    kinds = dict.fromkeys(kind for region in regions for kind in region.kind.split(" and "))
    return " and ".join(DETAILS[kind] for kind in kinds)


def _judge_by_score(
    score: float, own: tuple[float, float] | None, rival: Match | None, lacks_picture: bool
) -> tuple[Verdict, str]:
    """Return the verdict and the reason if the photo cannot be aligned: only the network's score is left."""
    if rival:
        return "different", f"it looks more like {rival.sku} {rival.name}."
    low = f", its own pictures score {own[0]:.2f} or more" if own else ""
    reason = "no picture of it is kept here" if lacks_picture else "too few printed details agree"
    return "cannot tell", f"{reason} to align the photo; its score is {score:.2f}{low}."


def _find_rival(answer: Answer, sku: str) -> Match | None:
    """Return another product if the search found it with certainty."""
    first = answer.matches[0] if answer.matches else None
    return first if first and first.sku != sku and answer.decision == "match" else None


def _find_nearer_rival(own: _Alignment, answer: Answer, sku: str, align: Align) -> Match | None:
    """Return another product whose picture the photo fits far better, if it does not fit its own well."""
    off = sum(region.strength for region in _find_regions(own))
    others = [match for match in answer.matches if match.sku != sku and match.points][:MAX_ALIGNED] if off >= 1 else []
    for other in filter(None, map(align, others)):
        enough = other.points >= own.points and other.inside.mean() >= MIN_COMPARED
        if enough and sum(region.strength for region in _find_regions(other)) < RIVAL_SHARE * off:
            return other.match
    return None


def _own_scores(gallery: Gallery, rows: Sequence[int]) -> tuple[float, float] | None:
    """Return the lowest and highest cosine of each picture with the nearest other; None for a single picture."""
    if len(rows) < 2:
        return None
    vectors = gallery.vectors(np.array(rows))
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    nearest = cosines.max(1)
    return float(nearest.min()), float(nearest.max())


def _difference_map(aligned: _Alignment) -> np.ndarray:
    """Return how much printed details or colours differ where they were compared: (h, w) float32, 0 to 1."""
    kinds = ((aligned.unlike, PRINT_OFF), (aligned.colours, COLOUR_OFF))
    return np.max([_excess(difference, level, aligned.inside) / level for difference, level in kinds], 0).clip(0, 1)
