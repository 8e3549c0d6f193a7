"""Say in plain words what a catalogue's decisions will be, and how that is known."""

from collections.abc import Callable, Iterator

from ..answer import CHOICES
from .decision import Calibration

SOURCES = {
    "pictures": "its own pictures, {n} of them left out in turn",
    "photos": "the {n} photos given to calibrate with",
    "model": "photos of 40 groceries that the model was tried with, since it has few pictures of most products",
}
SHOWN = 5  # pairs of confused products in a sentence
WORTH = 0.03  # gain of the share of right first matches, from which more pictures are recommended


def describe(calibration: Calibration, name_of: Callable[[str], str] = str) -> Iterator[str]:
    """Yield sentences, without a full stop; none if nothing was measured.

    Args:
        calibration: Of the catalogue.
        name_of: Returns what to call a SKU.
    """
    expected = calibration.expected
    if expected:
        basis = SOURCES.get(calibration.source, calibration.source).format(n=calibration.questions)
        yield f"what to expect of this catalogue, judged by {basis}:"
        yield (
            f"of 100 photos of its products, about {_count(expected['match'])} are answered at once, "
            f"{_count(expected['choice'])} with a choice of {CHOICES} and {_count(expected['unknown'])} with unknown; "
            f"{_count(expected['shown'])} show the right product"
        )
        yield f"of 100 answers at once, about {_count(expected['wrong_matches'])} are wrong"
        yield (
            f"{_count(expected['coverage_at_95'])} of 100 photos could be answered at once if 95% of the answers were "
            "to be right and all photos showed its products"
        )
    if calibration.confused:
        pairs = [f"{name_of(sku)} / {name_of(other)}" for sku, other, _ in calibration.confused]
        more = f", and {len(pairs) - SHOWN} more (`inspect --json`)" if len(pairs) > SHOWN else ""
        yield f"most easily confused: {'; '.join(pairs[:SHOWN])}{more}"
    yield from _describe_help(calibration)


def _describe_help(calibration: Calibration) -> Iterator[str]:
    """Yield what more pictures would do."""
    expected = calibration.expected
    if "first_with_half_the_pictures" in expected:
        half, whole = expected["first_with_half_the_pictures"], expected["first"]
        advice = "more of them will help" if whole - half >= WORTH else "more of them will hardly help"
        yield (
            f"of 100 photos of the {len(calibration.confused)} most confused products, {_count(half)} found them first "
            f"with half of their pictures, and {_count(whole)} with all: {advice}"
        )
    if "match_with_more_pictures" in expected:
        yield (
            f"five photos of each product help most: groceries with one catalogue picture answered "
            f"{_count(expected['match_with_one_picture'])} of 100 photos at once, and with five photos more "
            f"{_count(expected['match_with_more_pictures'])}; measure yours with --calibrate or `edgesearch eval`"
        )


def _count(share: float) -> str:
    return f"{100 * share:.0f}"
