"""Show single answers as cards: the photo, the product found and the right product, with pictures."""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ..answer import Match
from ..errors import EdgeSearchError
from ..html.charts import polygon_overlay
from ..html.html_page import PICTURE_SIDE, captioned_picture, no_picture, picture
from ..html.markup import Markup, join, tag
from ..html.parts import percent, pluralize
from ..images import image
from ..store.store import Store
from . import report_misses
from .evaluate import DEPTH, Evaluation, QueryResult
from .report_misses import MAX_SHOWN, Confusion

Point = tuple[float, float]


def confusion_cards(confusions: Sequence[Confusion], evaluation: Evaluation, store: Store) -> Iterable[Markup]:
    """Return cards of products confused with another more than once, each with its most confident photo."""
    if not confusions:
        return [tag("p", "No product was confused with the same other one more than once.")]
    cards = []
    for pair in confusions[:MAX_SHOWN]:
        names = tag("strong", tag("bdi", evaluation.products[pair.sku].name), " for ", tag("bdi", pair.found.name))
        accepted = sum(result.accepted for result in pair.results)
        photos = f" in {len(pair.results)} of its {pluralize(pair.photos, 'photo')}, {accepted} of them as a match."
        cards.append(_card(pair.results[0], evaluation, store, join(names, photos)))
    return [
        tag("p", _count_heading(len(confusions), "pair") + "The most confident photo of each.", class_="quiet"),
        _cards(cards),
    ]


def miss_cards(evaluation: Evaluation, store: Store) -> Iterable[Markup]:
    """Yield cards of the worst misses of each kind."""
    kinds = {
        "Wrong match": (
            report_misses.wrong_products,
            "Matches that name another product, the most confident first.",
        ),
        "In the catalogue, answered unknown": (report_misses.false_rejects, "The least confident first."),
        "Not in the catalogue, but a match": (report_misses.false_accepts, "The most confident first."),
    }
    for title, (choose, order) in kinds.items():
        results = choose(evaluation)
        yield tag("h3", title)
        yield tag("p", _count_heading(len(results), "photo") + order if results else "None.", class_="quiet")
        yield _cards(_card(result, evaluation, store, _verdict(result)) for result in results[:MAX_SHOWN])


def _count_heading(count: int, what: str) -> str:
    few = f", {MAX_SHOWN} of them shown" if count > MAX_SHOWN else ""
    return f"{pluralize(count, what).capitalize()}{few}. "


def _cards(cards: Iterable[Markup]) -> Markup:
    inner = join(*cards)
    return tag("div", inner, class_="cases") if inner else inner


def _card(result: QueryResult, evaluation: Evaluation, store: Store, verdict: Markup) -> Markup:
    folder, name = result.photo.parent.name, result.photo.name
    words = tag("bdi", *_breakable(f"{folder}/{name}" if folder else name))
    columns = [captioned_picture("Photo", words, _photo(result))]
    if result.best:
        title, kind = ("Found, and right", "is-right") if result.right else ("Found", "is-wrong")
        words = _caption(result.best, f"score {result.best.score:.3f}")
        columns.append(captioned_picture(title, words, _reference(store, result.best, "Found"), kind))
    if not result.right:
        columns.append(_right(result, evaluation, store))
    return tag("article", tag("p", verdict), tag("div", *columns), class_="case")


def _breakable(path: str) -> Iterable[object]:
    """Yield the parts of a path with line breaks allowed after separators."""
    return (part for end in re.split(r"(?<=[/_-])", path) for part in (end, tag("wbr")))


def _verdict(result: QueryResult) -> Markup:
    points = result.best.points if result.best else 0
    agree = f", {pluralize(points, 'local feature')} agree" if points else ""
    return join(
        tag("strong", result.decision.capitalize()),
        f"; {percent(result.probability)} probability of the first match{agree}.",
    )


def _right(result: QueryResult, evaluation: Evaluation, store: Store) -> Markup:
    if not result.known:
        return captioned_picture("Right", "not in this catalogue", no_picture("unknown product"))
    note = f"score {result.right_score:.3f}, rank {result.rank}" if result.rank else f"not among the first {DEPTH}"
    right = evaluation.products[result.sku]
    return captioned_picture("Right", _caption(right, note), _reference(store, right, "Right"), "is-right")


def _caption(match: Match, note: str) -> Markup:
    return join(tag("bdi", match.name), tag("br"), tag("bdi", match.sku), tag("br"), note)


def _photo(result: QueryResult) -> Markup:
    return _picture(lambda: result.photo, f"Photo: {result.photo.name}", result.best.outline if result.best else ())


def _reference(store: Store, match: Match, what: str) -> Markup:
    return _picture(lambda: store.picture(match), f"{what}: {match.name} ({match.sku})")


def _picture(source: Callable[[], Path | bytes], alt: str, outline: Sequence[Point] = ()) -> Markup:
    """Return the picture, or only its description if the photo is gone or another bundle runs."""
    try:
        pixels = image.read(source(), PICTURE_SIDE)
    except EdgeSearchError:
        return no_picture(f"{alt} (the picture is gone)")
    return picture(pixels, alt, polygon_overlay(outline))
