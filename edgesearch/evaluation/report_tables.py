"""Show the figures of a report that are not charts: outcomes, key figures, products and categories."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..answer import CHOICES
from ..html.markup import Markup, join, tag
from ..html.parts import number, percent, pluralize, share_cell, table
from .evaluate import Evaluation

MAX_CATEGORIES, MAX_PRODUCTS = 40, 10
HELPED = 0.6  # recall@1 of a category or product below which own photos are recommended
ADVICE = (
    "Where the right product seldom comes first, take a few photos of each product as your users will, and add them to "
    "the catalogue or enrol them."
)


def outcomes(evaluation: Evaluation) -> Iterable[Markup]:
    """Yield the outcomes of known and of unknown products, as strips."""
    answers = evaluation.answers
    known, match, away, ranks = answers.known, answers.matched, answers.rejected, answers.ranks
    choice, among = ~match & ~away, (ranks >= 1) & (ranks <= CHOICES)
    kinds = {
        "Products in the catalogue": (
            ("right", "right match", known & match & (ranks == 1)),
            ("second", f"a choice of {CHOICES} with the right one", known & choice & among),
            ("wrong", "another product", known & match & (ranks != 1)),
            ("idle", "a choice without the right one", known & choice & ~among),
            ("away", "answered unknown", known & away),
        ),
        "Products not in the catalogue": (
            ("right", "answered unknown", ~known & away),
            ("second", "a choice", ~known & choice),
            ("wrong", "taken for one in the catalogue", ~known & match),
        ),
    }
    for title, parts in kinds.items():
        counts = [(kind, text, int(mask.sum())) for kind, text, mask in parts]
        if any(count for *_, count in counts):
            yield _strip(title, counts)


def _strip(title: str, counts: Sequence[tuple[str, str, int]]) -> Markup:
    total = sum(count for *_, count in counts)
    strip = [tag("i", class_=f"fill-{kind}", style=f"flex:{count} 0 0") for kind, _, count in counts if count]
    key = [
        tag("li", tag("i", class_=f"fill-{kind}"), f"{text}: {count:,} ({percent(count / total)})")
        for kind, text, count in counts
    ]
    strips = tag("div", *strip, class_="strip", aria_hidden="true")
    head = tag("h3", f"{title}: {pluralize(total, 'photo')}")
    return tag("div", head, strips, tag("ul", *key, class_="key"), class_="outcome")


def figure_tiles(figures: dict[str, Any]) -> Markup:
    """Return the key figures as tiles."""
    named = [
        ("Recall@1", percent(figures["recall@1"]), "right product first"),
        ("Recall@5", percent(figures["recall@5"]), "among the first five"),
        ("mAP", number(figures["map"]), "mean of 1 / rank"),
        ("Matches", percent(figures["match"]), "of known products are answered at once"),
        ("Choices", percent(figures["choice"]), f"of known products are a choice of {CHOICES}"),
        ("Shown", percent(figures["shown"]), "of known products are the match or a choice"),
        ("Wrong matches", percent(figures["wrong_matches"]), "of all matches"),
        (
            "Coverage at 95%",
            percent(figures["coverage_at_95"]),
            "of known products, where 95% of the answers are right",
        ),
        ("Precision", percent(figures["precision"]), "of matches are right"),
        ("Recall", percent(figures["recall"]), "of known products have the right match"),
        ("F1", percent(figures["f1"]), "of precision and recall"),
        ("False accepts", percent(figures["false_accept_rate"]), "of unknown products get a match"),
        ("False rejects", percent(figures["false_reject_rate"]), "of known products are called unknown"),
        ("AUROC", number(figures["auroc"]), "known against unknown products"),
        ("ECE", number(figures["ece"]), "stated against true probability"),
        ("p50", f"{figures['p50_ms']:.0f} ms", "half the photos are faster"),
        ("p95", f"{figures['p95_ms']:.0f} ms", "19 of 20 are faster"),
    ]
    items = [tag("li", tag("span", name), tag("b", value), tag("small", note)) for name, value, note in named]
    return tag("ul", *items, class_="tiles")


def most_missed(evaluation: Evaluation) -> Markup:
    """Return the products that are missed most often, as a table."""
    found: dict[str, list[bool]] = {}
    for result in evaluation.results:
        if result.known:
            found.setdefault(result.sku, []).append(result.right)
    missed = sorted((sku for sku in found if not all(found[sku])), key=lambda sku: sum(found[sku]) - len(found[sku]))
    rows = []
    for sku in missed[:MAX_PRODUCTS]:
        name = join(tag("bdi", evaluation.products[sku].name), " ", tag("bdi", sku, class_="quiet"))
        rows.append((name, number(len(found[sku])), share_cell(sum(found[sku]) / len(found[sku]))))
    caption = f"{pluralize(len(missed), 'product')} of {len(found):,} missed at least once; most misses first"
    content = table(caption, ("Product", "Photos", "Recall@1"), rows) if rows else tag("p", "No product was missed.")
    return tag("div", tag("h3", "Missed most often"), content)


def category_table(evaluation: Evaluation) -> Iterable[Markup]:
    """Return figures by category, or a note if the catalogue has none."""
    by_category = evaluation.by_category
    if not by_category:
        return [tag("p", "The catalogue has no categories.", class_="quiet")]
    head = ("Category", "Photos", "Recall@1", "Recall@5", "Matches", "Wrong", "Choices", "Unknown", "Shown", "At 95%")
    rows = [
        (
            tag("bdi", name), number(row["queries"]), share_cell(row["recall@1"]), share_cell(row["recall@5"]),
            percent(row["match"]), percent(row["wrong_matches"]), percent(row["choice"]), percent(row["unknown"]),
            share_cell(row["shown"]), percent(row["coverage_at_95"]),
        )
        for name, row in list(by_category.items())[:MAX_CATEGORIES]
    ]  # fmt: skip
    more = len(by_category) - len(rows)
    left_out = f"; {more} more are not shown" if more > 0 else ""
    caption = f"By category of the right product, most photos first; the columns are as above{left_out}"
    return [tag("h3", "By category"), tag("div", table(caption, head, rows), class_="wide")]


def needs_photos(by_category: Mapping[str, Mapping[str, float | None]]) -> bool:
    """Return whether the right product of some category seldom comes first."""
    return any((row["recall@1"] or 0.0) < HELPED for row in by_category.values())
