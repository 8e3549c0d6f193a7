"""Combine an answer by appearance with the barcodes in the photo."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..answer import Answer, Decision, Label, Match
from ..images import barcode
from ..images.barcode import Barcode
from . import scoring
from .candidate import Candidate
from .decision import LEAST_MATCH
from .gallery import Gallery

SURE = 0.99  # probability of a product that its label names; the label may be on another product


def apply_labels(
    gallery: Gallery, answer: Answer, codes: Sequence[Barcode], candidates: Sequence[Candidate], embedding: np.ndarray
) -> Answer:
    """Return the answer by appearance, changed by barcodes.

    Args:
        gallery: The gallery that was searched.
        answer: By appearance.
        codes: Barcodes in the photo.
        candidates: All candidates that were judged; the answer has the best of them.
        embedding: (1, D) float32, unit row, of the photo.
    """
    labels = [gallery.barcodes.find(code) for code in codes]
    numbers = [number for number, _ in gallery.find_products({sku for label in labels for sku in label.skus}).values()]
    judged = scoring.best_by_product(gallery, candidates)
    pictures = scoring.nearest_pictures(gallery, [number for number in numbers if number not in judged], embedding)
    pictures |= {number: judged[number] for number in numbers if number in judged}
    matches = {match.sku: match for match in answer.matches}
    named = [matches.get(match.sku, match) for match in gallery.matches([*pictures.values()])]
    named.sort(key=lambda match: (-match.probability, -match.score))
    return combine(answer, labels, named)


def combine(answer: Answer, labels: Sequence[Label], named: Sequence[Match]) -> Answer:
    """Return the answer by appearance, changed by labels.

    Args:
        answer: By appearance. A first match with a probability of at least 1/2 contradicts a label that names another
            product, even if the match is not accepted.
        labels: Barcodes in the photo.
        named: Products that the labels name, as appearance scores them, best first.
    """
    best = answer.matches[0] if answer.matches else None
    seen = best if best and (answer.decision != "unknown" or best.probability >= 1 / 2) else None
    decision, conflict = _decide(labels, named, seen) if named else _decide_unnamed(labels, seen)
    if decision == "match":
        named = [replace(named[0], probability=max(SURE, named[0].probability))]
    skus = {match.sku for match in named}
    matches = (*named, *(match for match in answer.matches if match.sku not in skus))
    return replace(
        answer,
        decision=decision or ("ambiguous" if named and answer.decision == "unknown" else answer.decision),
        matches=matches[: max(1, len(answer.matches))],
        barcodes=tuple(labels),
        conflict=conflict,
        known=max(answer.known, *(match.probability for match in named), 0.0),
    )


def _decide(labels: Sequence[Label], named: Sequence[Match], seen: Match | None) -> tuple[Decision | None, str]:
    """Return the decision and the conflict if labels name products; None leaves the decision to appearance."""
    differs = seen is not None and seen.sku != named[0].sku
    if seen is not None and differs and seen.probability >= LEAST_MATCH * (seen.probability + named[0].probability):
        return "ambiguous", f"the label names {_list(named)}, but the photo looks like {_list([seen])}"
    if len(named) == 1:
        return "match", ""
    if len({label.skus for label in labels if label.skus}) == 1:
        return None, ""  # several products share the code: appearance decides which
    return "ambiguous", f"the labels name {_list(named)}"


def _decide_unnamed(labels: Sequence[Label], seen: Match | None) -> tuple[Decision | None, str]:
    """Return a conflict if a trade number (EAN, UPC) differs from that of the product that appearance found."""
    read = {number: label.text for label in labels if (number := barcode.parse_gtin(label.text))}
    own = [code for code in barcode.split_codes((seen and seen.product.barcode) or "") if barcode.parse_gtin(code)]
    if seen is None or not read or not own or not read.keys().isdisjoint(map(barcode.parse_gtin, own)):
        return None, ""
    codes = ", ".join(read.values())
    return (
        "ambiguous",
        f"the label says {codes}, which no product here has; the photo looks like {_list([seen])}, whose barcode is "
        f"{own[0]}",
    )


def _list(matches: Sequence[Match]) -> str:
    return " and ".join(f"{match.sku} {match.name}" for match in matches)
