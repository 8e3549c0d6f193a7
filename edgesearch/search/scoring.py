"""Find the candidates for a photo, verify them by local features, and collect the evidence for each.

P products, D dimensions.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from ..index.compact_index import Hits
from ..local_features.descriptors import LocalFeatures
from ..local_features.local_index import NO_EVIDENCE, Evidence
from .candidate import Candidate
from .gallery import Gallery

ROWS_PER_RESULT = 4  # rows asked of the index for each product wanted, before asking again for more
CLEAR_LEAD = 0.1  # cosine by which the best candidate skips verification: that never corrected so large a lead
VERIFIED = 20  # nearest pictures whose local features are compared
BY_VISUAL_WORDS = 10  # and pictures that share most visual words


def find_nearest(gallery: Gallery, embedding: np.ndarray, k: int) -> list[Candidate]:
    """Return the nearest pictures, nearest first: enough to show k products if there are as many.

    Args:
        gallery: The gallery to search.
        embedding: (1, D) float32, unit row.
        k: Number of products.
    """
    index, wanted = gallery.base.index, min(k, gallery.base_products)
    rows = min(len(index), k * ROWS_PER_RESULT)
    while True:
        stored = _candidates(index.search(embedding, rows, allowed=gallery.allowed))
        if len(best_by_product(gallery, stored)) >= wanted or rows >= len(index):
            taught = _nearest_taught(gallery, embedding, rows)
            return sorted([*stored, *taught], key=lambda candidate: -candidate.cosine)
        rows = min(len(index), rows * 4)


def best_by_product(gallery: Gallery, candidates: Iterable[Candidate]) -> dict[int, Candidate]:
    """Return the first candidate of each product, by product number."""
    first: dict[int, Candidate] = {}
    for candidate in candidates:
        first.setdefault(gallery.owner(candidate.row), candidate)
    return first


def leads_clearly(candidates: Sequence[Candidate]) -> bool:
    """Return whether the first candidate leads by so much that verification would not change it."""
    return len(candidates) < 2 or candidates[0].score - candidates[1].score >= CLEAR_LEAD


def verify(
    gallery: Gallery, nearest: list[Candidate], features: LocalFeatures, embedding: np.ndarray
) -> list[Candidate]:
    """Return the products of the nearest pictures, and of pictures that share visual words, ordered by score.

    A product's nearest picture need not be the one whose local features agree most: photos of a product show
    different parts of it. So the candidate has the cosine of the one and the evidence of the other.

    Args:
        gallery: The gallery that was searched.
        nearest: Pictures from `find_nearest`.
        features: Local features of the photo.
        embedding: (1, D) float32, unit row, of the photo.
    """
    compared = nearest[:VERIFIED]
    rows = {candidate.row for candidate in compared}
    named = [row for row in _rows_by_visual_words(gallery, features) if row not in rows]
    compared = match_local_features(gallery, [*compared, *compare_rows(gallery, named, embedding)], features)
    by_cosine = sorted([*nearest, *compared], key=lambda candidate: -candidate.cosine)
    by_features = sorted(compared, key=lambda candidate: -candidate.evidence.weight)
    agreeing = best_by_product(gallery, by_features)
    merged = [
        _merge(candidate, agreeing.get(product, candidate))
        for product, candidate in best_by_product(gallery, by_cosine).items()
    ]
    return sorted(merged, key=lambda candidate: -candidate.score)


def compare_rows(gallery: Gallery, rows: Sequence[int], embedding: np.ndarray) -> list[Candidate]:
    """Return these rows with their cosines to a photo.

    Args:
        gallery: Whose rows they are.
        rows: Rows of the bundle and of taught pictures.
        embedding: (1, D) float32, unit row.
    """
    index, first = gallery.base.index, gallery.first_taught
    stored = [row for row in rows if row < first]
    cosines = _compare_taught(gallery, embedding)
    found = [Candidate(row, float(cosines[row - first])) for row in rows if row >= first]
    if stored:
        mask = np.zeros(len(index), bool)
        mask[stored] = True
        found += _candidates(index.search(embedding, len(stored), allowed=index.make_filter(mask)))
    return found


def match_local_features(gallery: Gallery, candidates: Sequence[Candidate], features: LocalFeatures) -> list[Candidate]:
    """Return the candidates with what their pictures' local features have in common with a photo's."""
    first = gallery.first_taught
    end = first + len(gallery.taught.embeddings)
    evidence: dict[int, Evidence] = {}
    for local, start, stop in ((gallery.base.local, 0, first), (gallery.taught.local, first, end)):
        rows = [candidate.row for candidate in candidates if start <= candidate.row < stop]
        if local and rows:
            evidence |= zip(rows, local.verify(features, [row - start for row in rows]), strict=True)
    return [candidate._replace(evidence=evidence.get(candidate.row, NO_EVIDENCE)) for candidate in candidates]


def nearest_pictures(
    gallery: Gallery, numbers: Sequence[int], embedding: np.ndarray | None = None
) -> dict[int, Candidate]:
    """Return the nearest picture of each product, by product number; omit products that a filter excludes.

    A product without a picture has the cosine 0.

    Args:
        gallery: Whose products they are.
        numbers: Product numbers.
        embedding: (1, D) float32, unit row, of a photo; None takes each product's first picture.
    """
    rows = gallery.rows_of_products(numbers)
    pictures = [Candidate(row, 0.0) for row in rows] if embedding is None else compare_rows(gallery, rows, embedding)
    found = best_by_product(gallery, sorted(pictures, key=lambda candidate: -candidate.cosine))
    others = ((number, gallery.row_without_picture(number)) for number in numbers if number not in found)
    found |= {number: Candidate(row, 0.0) for number, row in others if row is not None}
    return {number: found[number] for number in numbers if number in found}


def collect_evidence(gallery: Gallery, candidates: Sequence[Candidate], embedding: np.ndarray) -> np.ndarray:
    """Return the evidence for each candidate.

    Args:
        gallery: The gallery that was searched.
        candidates: One of each of P products.
        embedding: (1, D) float32, unit row, of the photo.
    Returns:
        (P, 4) float64: the cosine of the nearest picture, the cosine of the mean of the product's pictures, the share
        of local features that agree, and the number of the product's pictures.
    """
    means = _mean_cosines(gallery, candidates, embedding)
    pairs = zip(candidates, means, strict=True)
    rows = [(one.cosine, mean, one.evidence.share, pictures) for one, (mean, pictures) in pairs]
    return np.array(rows, np.float64).reshape(-1, 4)


def _mean_cosines(gallery: Gallery, candidates: Sequence[Candidate], embedding: np.ndarray) -> list[tuple[float, int]]:
    """Return the cosine of a photo and the mean of each product's pictures, and their number."""
    products = [gallery.owner(candidate.row) for candidate in candidates]
    rows = gallery.rows_of_products(products)
    if len(rows) == len(products):  # one picture each
        return [(candidate.cosine, 1) for candidate in candidates]
    owners, vectors = np.array([gallery.owner(row) for row in rows]), gallery.vectors(np.array(rows))
    own = [vectors[owners == product] for product in products]
    sums = [some.sum(0) for some in own]
    return [
        (float(total @ embedding[0] / np.linalg.norm(total)), len(some)) for total, some in zip(sums, own, strict=True)
    ]


def _compare_taught(gallery: Gallery, embedding: np.ndarray) -> np.ndarray:
    """Return the cosines of a photo with the taught pictures: (T,) float32.

    `einsum` stays on this thread; `@` would wake those of BLAS, which spin for a while afterwards.
    """
    return np.einsum("td,d->t", gallery.taught.embeddings, embedding[0])


def _nearest_taught(gallery: Gallery, embedding: np.ndarray, count: int) -> list[Candidate]:
    cosines = _compare_taught(gallery, embedding)
    cosines = np.where(gallery.taught.visible, cosines, -np.inf)
    some = np.argpartition(-cosines, count)[:count] if count < len(cosines) else np.arange(len(cosines))
    nearest = some[np.argsort(-cosines[some], kind="stable")]
    nearest = nearest[gallery.taught.visible[nearest]]
    return [Candidate(gallery.first_taught + row, float(cosines[row])) for row in nearest.tolist()]


def _rows_by_visual_words(gallery: Gallery, features: LocalFeatures) -> list[int]:
    """Return the rows that share most visual words with a photo."""
    rows: list[int] = []
    if gallery.base.local:
        rows += gallery.base.local.find_candidates(features, BY_VISUAL_WORDS, gallery.visible).tolist()
    if gallery.taught.local:
        taught = gallery.taught.local.find_candidates(features, BY_VISUAL_WORDS, gallery.taught.visible)
        rows += (taught + gallery.first_taught).tolist()
    return rows


def _candidates(hits: Hits) -> list[Candidate]:
    """Return the hits of the first query."""
    pairs = zip(hits.rows[0].tolist(), hits.scores[0].tolist(), strict=True)
    return [Candidate(row, cosine) for row, cosine in pairs if row >= 0]


def _merge(nearest: Candidate, agreeing: Candidate) -> Candidate:
    """Combine two pictures of one product: the cosine of the nearest, the evidence of the one that agrees most."""
    shown = agreeing if agreeing.evidence.points else nearest
    return shown._replace(cosine=nearest.cosine, evidence=agreeing.evidence)
