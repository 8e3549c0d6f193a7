"""Show the findings of `check` as a page with pictures."""

import datetime
from collections.abc import Iterable

from ..catalog import sources
from ..errors import ImageError
from ..html import html_page
from ..html.markup import Markup, join, tag
from ..html.parts import pluralize, section
from ..images import image
from .checks import KINDS, CheckResult, Finding, FindingPicture

CARDS_SHOWN = 60  # of each kind
PICTURES_SHOWN = 3  # of each product or group of products
EXPLANATIONS = {
    "same": "The very same file. It cannot tell two products apart, and a placeholder describes no product.",
    "alike": "The same picture, saved again, resized or cropped a little.",
    "unlike": "Nearer to pictures of another product than to its own with such a background: perhaps it shows that "
    "product.",
    "unreadable": "A build stops at them, or leaves them out with --skip-bad.",
    "cut": "All their pixels are there, so a build uses them; copy them again if the originals are whole.",
    "without": "Only words, filters and barcodes find them.",
    "small": "The shorter side, in px.",
    "blank": "One colour all over.",
    "barcode": "A barcode in a photo then does not identify the product.",
    "name": "Variants that need different names, or one product twice.",
    "price": "0, or a hundred times more or less than the median of the category.",
}


def render(result: CheckResult, source: str, command: str = "") -> str:
    """Return the page.

    Args:    source: the catalogue that was checked.
             command: the command line, for the footer.
    """
    found = [kind for kind in KINDS if result.findings_of(kind)]
    sections = (section(kind, KINDS[kind], *_section(kind, result.findings_of(kind))) for kind in found)
    none = tag("section", tag("p", "Nothing was found that looks wrong."))
    return html_page.document(
        f"{source}: what may be wrong", _header(result, source), tag("main", *sections, None if found else none),
        _footer(result, command),
    )  # fmt: skip


def summary(result: CheckResult) -> str:
    """Return one line: how much was checked, and how much was found of each kind."""
    part = f" ({result.examined:,} examined)" if result.examined < result.products else ""
    counts = {kind: len(result.findings_of(kind)) for kind in KINDS}
    listed = ", ".join(f"{KINDS[kind].lower()} {count:,}" for kind, count in counts.items() if count)
    findings = f"{pluralize(len(result.findings), 'finding')}{': ' if listed else ''}{listed}"
    return f"{pluralize(result.products, 'product')}{part}, {pluralize(result.pictures, 'picture')}; {findings}"


def _header(result: CheckResult, source: str) -> Markup:
    tiles = [
        tag("li", tag("b", f"{len(result.findings_of(kind)):,}"), tag("span", tag("a", title, href=f"#{kind}")))
        for kind, title in KINDS.items()
        if result.findings_of(kind)
    ]
    return tag(
        "header",
        tag("p", "edgesearch", class_="brand"),
        tag("h1", "What may be wrong in ", tag("bdi", source)),
        tag("p", f"{summary(result).partition(';')[0]}.", class_="lead"),
        *(tag("p", note, class_="quiet") for note in result.notes),
        tag("ul", *tiles, class_="tiles") if tiles else None,
    )


def _section(kind: str, findings: list[Finding]) -> Iterable[Markup]:
    yield tag("p", EXPLANATIONS[kind], class_="quiet")
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.skus, []).append(finding)
    shown = [*groups.values()][:CARDS_SHOWN]
    if any(finding.pictures for finding in findings):
        yield tag("div", *map(_card, shown), class_="cases")
    else:
        yield tag("ul", *(tag("li", tag("bdi", finding.says)) for group in shown for finding in group))
    more = len(findings) - sum(map(len, shown))
    if more:
        yield tag("p", f"And {more:,} more; --json lists them all.", class_="quiet")


def _card(findings: list[Finding]) -> Markup:
    """Return a card of what was found of the same products."""
    columns = []
    pictures = [picture for finding in findings for picture in finding.pictures]
    for number, picture in enumerate(pictures[:PICTURES_SHOWN]):
        is_wrong = findings[0].kind == "unlike" and number == 0  # the others are for comparison
        drawn, title = _render_picture(picture), tag("bdi", picture.product)
        columns.append(html_page.captioned_picture(title, _describe(picture), drawn, "is-wrong" if is_wrong else ""))
    says = [tag("p", tag("bdi", finding.says)) for finding in findings[:PICTURES_SHOWN]]
    more = len(findings) - len(says)
    says += [tag("p", f"And {more:,} more of its pictures.", class_="quiet")] if more else []
    return tag("article", *says, tag("div", *columns), class_="case")


def _describe(picture: FindingPicture) -> Markup:
    sku = picture.sku if picture.product != picture.sku else ""
    return join(tag("bdi", sku), ", " if sku else "", tag("bdi", picture.name))


def _render_picture(picture: FindingPicture) -> Markup:
    alt = f"{picture.sku}: {picture.name}"
    try:
        pixels = sources.read_picture(picture.source, lambda data: image.read(data, html_page.PICTURE_SIDE))
    except ImageError:
        return html_page.no_picture(f"{alt} (cannot be shown)")
    return html_page.picture(pixels, alt)


def _footer(result: CheckResult, command: str) -> Markup:
    made = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    return tag("footer", tag("p", f"Made {made}."), tag("p", "Command: ", tag("code", command)) if command else join())
