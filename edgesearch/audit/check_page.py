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

FINDINGS_SHOWN = 60  # of each kind
PICTURES_SHOWN = 3  # of each finding
EXPLANATIONS = {
    "same": "The very same file. It cannot tell two products apart, and a placeholder describes no product.",
    "alike": "The same picture, saved again, resized or cropped a little.",
    "unlike": "Nearer to a picture of another product than to any of its own: perhaps it shows that product.",
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
    if any(finding.pictures for finding in findings):
        yield tag("div", *map(_card, findings[:FINDINGS_SHOWN]), class_="cases")
    else:
        yield tag("ul", *(tag("li", tag("bdi", finding.says)) for finding in findings[:FINDINGS_SHOWN]))
    if len(findings) > FINDINGS_SHOWN:
        yield tag("p", f"And {len(findings) - FINDINGS_SHOWN:,} more; --json lists them all.", class_="quiet")


def _card(finding: Finding) -> Markup:
    columns = []
    for number, picture in enumerate(finding.pictures[:PICTURES_SHOWN]):
        is_wrong = finding.kind == "unlike" and number == 0  # the others are for comparison
        drawn = _render_picture(picture)
        columns.append(
            html_page.captioned_picture(picture.sku, _describe(picture), drawn, "is-wrong" if is_wrong else "")
        )
    return tag("article", tag("p", tag("bdi", finding.says)), tag("div", *columns), class_="case")


def _describe(picture: FindingPicture) -> Markup:
    product = picture.product if picture.product != picture.sku else ""
    return join(tag("bdi", product), ", " if product else "", tag("bdi", picture.name))


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
