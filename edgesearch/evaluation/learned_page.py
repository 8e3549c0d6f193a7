"""Show how recognition grew on a device as a page: by week, by product, and what a person should settle."""

import datetime
from collections.abc import Callable, Iterable, Sequence

from ..device.learned import LearnedPicture
from ..errors import ImageError
from ..html.charts import Axis, Plot, share_axis
from ..html.html_page import captioned_picture, document, no_picture, picture
from ..html.markup import Markup, join, tag
from ..html.parts import figure, percent, pluralize, section, share_cell, table
from ..images import image
from ..search.photo_needs import PhotoNeed
from ..store.learning_progress import LearningProgress, ProductProgress, Week

SHOWN = 20  # products in a table, and disagreements
PictureOf = Callable[[int], bytes | None]
HOW = (
    "Each learned picture was left out, with all of its day, and its embedding was compared with what the device knew "
    "at the end of each week: what one day taught counts from the next day on. A search also verifies printed details "
    "and finds more."
)


def page(progress: LearningProgress, device: str, picture_of: PictureOf, command: str = "") -> str:
    """Return the page.

    Args:
        progress: To show.
        device: Name of the device.
        picture_of: Returns a learned picture by its number; None if only its vectors are kept.
        command: Command line to show in the footer.
    """
    made = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    return document(
        f"{device}: how recognition grows",
        tag(
            "header",
            tag("p", "edgesearch", class_="brand"),
            tag("h1", "How recognition grows on ", tag("bdi", device)),
            tag("p", _summarize(progress), class_="lead"),
        ),
        tag("main", *_sections(progress, picture_of)),
        tag("footer", tag("p", f"Made {made}."), tag("p", "Command: ", tag("code", command)) if command else join()),
    )


def _summarize(progress: LearningProgress) -> str:
    if not progress.asked:
        return "Nothing that was learned is in use yet, so there is nothing to measure."
    first, last = progress.weeks[0], progress.weeks[-1]
    return (
        f"Of {pluralize(progress.asked, 'learned picture')}, left out in turn, the right product came first for "
        f"{percent(first.first)} before anything was learned, and for {percent(last.first)} now."
    )


def _sections(progress: LearningProgress, picture_of: PictureOf) -> Iterable[Markup]:
    if progress.asked:
        yield section("weeks", "Recognition over time", _chart(progress.weeks), tag("p", HOW, class_="quiet"))
        improved = [one for one in progress.products if one.now > one.before]
        worse = [one for one in reversed(progress.products) if one.now < one.before]
        yield section("improved", "Products that improved", _products(improved, "No product improved yet."))
        if worse:
            yield section("worse", "Products that are found less", _products(worse, ""))
    yield section("needs", "Products that still need photos", _needs(progress.needs))
    yield section("settle", "Disagreements to settle", *_disagreements(progress.disagreements, picture_of))


def _chart(weeks: Sequence[Week]) -> Markup:
    ticks = [(n, week.until[5:]) for n, week in enumerate(weeks)][:: max(1, len(weeks) // 5)]
    plot = Plot(Axis("last day of the week", -0.2, len(weeks) - 0.8, ticks), share_axis(""))
    for kind, name in (("right", "first"), ("second", "coverage")):
        points = [(float(n), getattr(week, name)) for n, week in enumerate(weeks)]
        plot.line(points, kind)
        for point in points:
            plot.dot(point, kind, 4)
    plot.key(("right", "right product first"), ("second", "coverage at 95%"))
    first, last = weeks[0], weeks[-1]
    caption = (
        f"Right product first: {percent(first.first)}, now {percent(last.first)}. Answered with 95% precision: "
        f"{percent(first.coverage)}, now {percent(last.coverage)}."
    )
    head = ("Until", "Learned pictures", "First", "Coverage at 95%", "Answered with a match")
    rows = [(w.until, w.pictures, percent(w.first), percent(w.coverage), percent(w.matched)) for w in weeks]
    return figure("By week", plot.svg(f"Recognition over time. {caption}"), caption, table("By week", head, rows))


def _products(products: Sequence[ProductProgress], none: str) -> Markup:
    if not products:
        return tag("p", none)
    head = ("Product", "Learned pictures", "Left out and asked", "First before", "First now")
    rows = [
        (f"{one.sku} {one.name}", one.pictures, one.asked, percent(one.before), share_cell(one.now))
        for one in products[:SHOWN]
    ]
    return table(f"{pluralize(len(products), 'product')}, the first {len(rows)}", head, rows)


def _needs(needs: Sequence[PhotoNeed]) -> Markup:
    if not needs:
        return tag("p", "No product needs photos.")
    head = ("Product", "Location", "Pictures", "Photos missed")
    rows = [
        (f"{need.match.sku} {need.match.name}", need.match.product.location, need.pictures, percent(need.missed))
        for need in needs[:SHOWN]
    ]
    return table("Those whose photos would help most; a dash: not measured yet", head, rows)


def _disagreements(pictures: Sequence[LearnedPicture], picture_of: PictureOf) -> Iterable[Markup]:
    if not pictures:
        yield tag("p", "There are none.")
        return
    yield tag(
        "p", f"{pluralize(len(pictures), 'picture')} set aside. Settle them on the device's page, or with ",
        tag("code", "edgesearch learned DEVICE --accept N"), " or ", tag("code", "--take-back N"), ".",
    )  # fmt: skip
    yield tag("div", *(_card(one, picture_of(one.number)) for one in pictures[:SHOWN]), class_="cases")
    if len(pictures) > SHOWN:
        yield tag("p", f"And {len(pictures) - SHOWN:,} more.", class_="quiet")


def _card(one: LearnedPicture, content: bytes | None) -> Markup:
    try:
        drawn = picture(image.read(content), f"learned picture {one.number}") if content else no_picture("vectors only")
    except ImageError:
        drawn = no_picture("cannot be shown")
    words = join(tag("bdi", one.why), ", ", one.time[:10])
    return tag("article", tag("div", captioned_picture(f"{one.number}", words, drawn)), class_="case")
