"""What `check` found, as a page with pictures."""

import datetime
from collections.abc import Iterable

from ..catalog import sources
from ..errors import ImageError
from ..html import html_page as pages
from ..html.markup import Markup, join, tag
from ..html.parts import pluralize, section
from ..images import image
from .checks import KINDS, CheckResult, Finding, FindingPicture

FINDINGS_SHOWN = 60  # findings of a kind
PICTURES_SHOWN = 3  # of a finding
EXPLANATIONS = {
    "same": "The very same file. Two products cannot be told apart by it, and a placeholder says nothing of any.",
    "alike": "One picture saved again, resized or cut a little.",
    "unlike": "Nearer to a picture of another product than to any of its own: perhaps it shows that one.",
    "unreadable": "A build stops at them, or leaves them out with --skip-bad.",
    "small": "The shorter side, in px.",
    "blank": "One colour all over.",
    "barcode": "A barcode in a photo then does not say which product it is.",
    "name": "Variants that should be told apart, or one product twice.",
    "price": "Nothing, or a hundred times more or less than others of the category.",
}


def render(checked: CheckResult, source: str, command: str = "") -> str:
    """The whole page; source: what was checked; command: which asked for it, for the foot."""
    found = [kind for kind in KINDS if checked.findings_of(kind)]
    sections = (section(kind, KINDS[kind], *_section(kind, checked.findings_of(kind))) for kind in found)
    none = tag("section", tag("p", "Nothing was found that looks wrong."))
    return pages.document(
        f"{source}: what may be wrong", _header(checked, source), tag("main", *sections, None if found else none),
        _footer(checked, command),
    )  # fmt: skip


def summary(checked: CheckResult) -> str:
    """One line: what was looked at, and how much was found of each kind."""
    of = f" ({checked.examined:,} looked at)" if checked.examined < checked.products else ""
    counts = [f"{KINDS[kind].lower()} {len(checked.findings_of(kind)):,}" for kind in KINDS if checked.findings_of(kind)]
    total = f"{pluralize(len(checked.findings), 'finding')}{': ' if counts else ''}{', '.join(counts)}"
    return f"{pluralize(checked.products, 'product')}{of}, {pluralize(checked.pictures, 'picture')}; {total}"


def _header(checked: CheckResult, source: str) -> Markup:
    tiles = [
        tag("li", tag("b", f"{len(checked.findings_of(kind)):,}"), tag("span", tag("a", title, href=f"#{kind}")))
        for kind, title in KINDS.items()
        if checked.findings_of(kind)
    ]
    return tag(
        "header",
        tag("p", "edgesearch", class_="brand"),
        tag("h1", "What may be wrong in ", tag("bdi", source)),
        tag("p", f"{summary(checked).partition(';')[0]}.", class_="lead"),
        *(tag("p", note, class_="quiet") for note in checked.notes),
        tag("ul", *tiles, class_="tiles") if tiles else None,
    )


def _section(kind: str, findings: list[Finding]) -> Iterable[Markup]:
    yield tag("p", EXPLANATIONS[kind], class_="quiet")
    if any(one.pictures for one in findings):
        yield tag("div", *map(_card, findings[:FINDINGS_SHOWN]), class_="cases")
    else:
        yield tag("ul", *(tag("li", tag("bdi", one.says)) for one in findings[:FINDINGS_SHOWN]))
    if len(findings) > FINDINGS_SHOWN:
        yield tag("p", f"And {len(findings) - FINDINGS_SHOWN:,} more; --json lists them all.", class_="quiet")


def _card(finding: Finding) -> Markup:
    columns = [
        pages.captioned_picture(one.sku, _describe(one), _render_picture(one), "is-wrong" if _is_outlier(finding, place) else "")
        for place, one in enumerate(finding.pictures[:PICTURES_SHOWN])
    ]
    return tag("article", tag("p", tag("bdi", finding.says)), tag("div", *columns), class_="case")


def _describe(picture: FindingPicture) -> Markup:
    product = picture.product if picture.product != picture.sku else ""
    return join(tag("bdi", product), ", " if product else "", tag("bdi", picture.name))


def _is_outlier(finding: Finding, place: int) -> bool:
    """That of a product's pictures which is unlike the others."""
    return finding.kind == "unlike" and place == 0


def _render_picture(picture: FindingPicture) -> Markup:
    alt = f"{picture.sku}: {picture.name}"
    try:
        pixels = sources.read_picture(picture.place, lambda data: image.read(data, pages.PICTURE_SIDE))
    except ImageError:
        return pages.no_picture(f"{alt} (cannot be shown)")
    return pages.picture(pixels, alt)


def _footer(checked: CheckResult, command: str) -> Markup:
    made = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    return tag(
        "footer", tag("p", f"Made {made}."), tag("p", "Command: ", tag("code", command)) if command else join()
    )
