"""The figures of a report that are no charts: what became of the photos, tiles, products, categories."""

from collections.abc import Iterable, Sequence
from typing import Any

from ..html.markup import Markup, join, tag
from ..html.parts import number, percent, pluralize, share_cell, table
from . import metrics
from .evaluate import Evaluation

MOST_CATEGORIES, MOST_PRODUCTS = 40, 10
UNNAMED = "(no category)"


def outcomes(evaluation: Evaluation) -> Iterable[Markup]:
    """What became of the photos, as strips."""
    known, accepted, right = evaluation.known, evaluation.accepted, evaluation.ranks == 1
    kinds = {
        "Products in the catalogue": (
            ("right", "right product", known & accepted & right),
            ("wrong", "another product", known & accepted & ~right),
            ("idle", "called unknown", known & ~accepted),
        ),
        "Products that are not in it": (
            ("right", "called unknown", ~known & ~accepted),
            ("wrong", "taken for one that is in it", ~known & accepted),
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


def tiles(figures: dict[str, Any]) -> Markup:
    """The figures at a glance."""
    named = [
        ("Recall@1", percent(figures["recall@1"]), "right product first"),
        ("Recall@5", percent(figures["recall@5"]), "among the first five"),
        ("mAP", number(figures["map"]), "mean of 1 / its place"),
        ("Precision", percent(figures["precision"]), "of accepted answers are right"),
        ("Recall", percent(figures["recall"]), "of known products accepted and right"),
        ("F1", percent(figures["f1"]), "of precision and recall"),
        ("False accepts", percent(figures["false_accept_rate"]), "of unknown products"),
        ("False rejects", percent(figures["false_reject_rate"]), "of known products"),
        ("AUROC", number(figures["auroc"]), "known against unknown"),
        ("ECE", number(figures["ece"]), "what is said against what is so"),
        ("p50", f"{figures['p50_ms']:.0f} ms", "half the photos are faster"),
        ("p95", f"{figures['p95_ms']:.0f} ms", "19 of 20 are faster"),
    ]
    shown = [tag("li", tag("span", name), tag("b", value), tag("small", note)) for name, value, note in named]
    return tag("ul", *shown, class_="tiles")


def missed_most(evaluation: Evaluation) -> Markup:
    """The products that are missed most often."""
    found: dict[str, list[bool]] = {}
    for one in evaluation.asked:
        if one.known:
            found.setdefault(one.sku, []).append(one.right)
    missed = sorted((sku for sku in found if not all(found[sku])), key=lambda sku: sum(found[sku]) - len(found[sku]))
    rows = []
    for sku in missed[:MOST_PRODUCTS]:
        name = join(tag("bdi", evaluation.products[sku].name), " ", tag("bdi", sku, class_="quiet"))
        rows.append((name, number(len(found[sku])), share_cell(sum(found[sku]) / len(found[sku]))))
    caption = f"{pluralize(len(missed), 'product')} of {len(found):,} missed at least once; most misses first"
    shown = table(caption, ("Product", "Photos", "Recall@1"), rows) if rows else tag("p", "None was missed.")
    return tag("div", tag("h3", "Missed most often"), shown)


def categories(evaluation: Evaluation) -> Iterable[Markup]:
    """Where products have categories."""
    known = evaluation.known
    own = [evaluation.products[one.sku].product.category or UNNAMED for one in evaluation.asked if one.known]
    if set(own) == {UNNAMED}:
        return [tag("p", "The catalogue names no categories.", class_="quiet")]
    by_category = metrics.by_category(own, evaluation.ranks[known], evaluation.accepted[known])
    head = ("Category", "Photos", "Recall@1", "Recall@5", "mAP", "Precision", "Recall", "F1", "Called unknown")
    rows = [
        (
            tag("bdi", name), number(of["queries"]), share_cell(of["recall@1"]), share_cell(of["recall@5"]),
            number(of["map"]), percent(of["precision"]), percent(of["recall"]), percent(of["f1"]),
            share_cell(of["false_reject_rate"], "wrong"),
        )
        for name, of in list(by_category.items())[:MOST_CATEGORIES]
    ]  # fmt: skip
    more = len(by_category) - len(rows)
    left_out = f"; {more} more are left out" if more > 0 else ""
    caption = f"By category of the right product, most photos first{left_out}"
    return [tag("h3", "By category"), tag("div", table(caption, head, rows), class_="wide")]
