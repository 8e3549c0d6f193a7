"""Answers to look at, as cards: the photo, what was found, and what is right, in pictures."""

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
from .evaluate import DEPTH, Asked, Evaluation
from .report_misses import SHOWN, Confusion

Point = tuple[float, float]


def confused(confusions: Sequence[Confusion], evaluation: Evaluation, store: Store) -> Iterable[Markup]:
    """Products that were taken for another more than once, each with its surest photo."""
    if not confusions:
        return [tag("p", "No product was taken for the same other one more than once.")]
    cards = []
    for one in confusions[:SHOWN]:
        names = tag("strong", tag("bdi", evaluation.products[one.sku].name), " for ", tag("bdi", one.found.name))
        accepted = sum(asked.accepted for asked in one.asked)
        photos = f" in {len(one.asked)} of its {pluralize(one.photos, 'photo')}, {accepted} of them accepted."
        cards.append(_card(one.asked[0], evaluation, store, join(names, photos)))
    return [tag("p", _shown(len(confusions), "pair") + "The surest photo of each.", class_="quiet"), _cards(cards)]


def missed(evaluation: Evaluation, store: Store) -> Iterable[Markup]:
    """The worst of each kind."""
    kinds = {
        "Wrong, and sure of it": (
            report_misses.mistaken,
            "Accepted answers that name another product, the surest first.",
        ),
        "In the catalogue, and called unknown": (report_misses.refused, "The least sure first."),
        "Not in the catalogue, and accepted": (report_misses.strangers, "The surest first."),
    }
    for title, (choose, order) in kinds.items():
        asked = choose(evaluation)
        yield tag("h3", title)
        yield tag("p", _shown(len(asked), "photo") + order if asked else "None.", class_="quiet")
        yield _cards(_card(one, evaluation, store, _verdict(one)) for one in asked[:SHOWN])


def _shown(count: int, what: str) -> str:
    few = f", {SHOWN} of them shown" if count > SHOWN else ""
    return f"{pluralize(count, what).capitalize()}{few}. "


def _cards(cards: Iterable[Markup]) -> Markup:
    inner = join(*cards)
    return tag("div", inner, class_="cases") if inner else inner


def _card(one: Asked, evaluation: Evaluation, store: Store, said: Markup) -> Markup:
    folder, name = one.photo.parent.name, one.photo.name
    words = tag("bdi", *_breakable(f"{folder}/{name}" if folder else name))
    columns = [captioned_picture("Asked", words, _photo(one))]
    if one.best:
        title, kind = ("Found, and right", "is-right") if one.right else ("Found", "is-wrong")
        words = _named(one.best, f"score {one.best.score:.3f}")
        columns.append(captioned_picture(title, words, _reference(store, one.best, "Found"), kind))
    if not one.right:
        columns.append(_right(one, evaluation, store))
    return tag("article", tag("p", said), tag("div", *columns), class_="case")


def _breakable(path: str) -> Iterable[object]:
    """With places where a line may end, after which a reader sees that it goes on."""
    return (part for end in re.split(r"(?<=[/_-])", path) for part in (end, tag("wbr")))


def _verdict(one: Asked) -> Markup:
    points = one.best.points if one.best else 0
    agree = f", {pluralize(points, 'point')} of the print agree" if points else ""
    return join(tag("strong", one.decision.capitalize()), f"; {percent(one.probability)} sure of the first{agree}.")


def _right(one: Asked, evaluation: Evaluation, store: Store) -> Markup:
    if not one.known:
        return captioned_picture("Right", "not in this catalogue", no_picture("unknown product"))
    place = f"score {one.right_score:.3f}, place {one.rank}" if one.rank else f"not among the first {DEPTH}"
    right = evaluation.products[one.sku]
    return captioned_picture("Right", _named(right, place), _reference(store, right, "Right"), "is-right")


def _named(match: Match, note: str) -> Markup:
    return join(tag("bdi", match.name), tag("br"), tag("bdi", match.sku), tag("br"), note)


def _photo(one: Asked) -> Markup:
    return _picture(lambda: one.photo, f"Photo asked: {one.photo.name}", one.best.outline if one.best else ())


def _reference(store: Store, match: Match, what: str) -> Markup:
    return _picture(lambda: store.picture(match), f"{what}: {match.name} ({match.sku})")


def _picture(source: Callable[[], Path | bytes], alt: str, outline: Sequence[Point] = ()) -> Markup:
    """A photo may be gone by now, and another bundle run: then the words must do."""
    try:
        pixels = image.read(source(), PICTURE_SIDE)
    except EdgeSearchError:
        return no_picture(f"{alt} (the picture is gone)")
    return picture(pixels, alt, polygon_overlay(outline))
