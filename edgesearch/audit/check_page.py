"""What `check` found, as a page with pictures."""

import datetime
from collections.abc import Iterable

from ..catalog import sources
from ..errors import ImageError
from ..html import page as pages
from ..html.markup import Markup, joined, tag
from ..html.parts import counted, section
from ..images import image
from .checks import KINDS, Checked, Finding, Picture

SHOWN = 60  # findings of a kind
PICTURES = 3  # of a finding
ABOUT = {
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


def page(checked: Checked, source: str, command: str = "") -> str:
    """The whole page; source: what was checked; command: which asked for it, for the foot."""
    found = [kind for kind in KINDS if checked.of(kind)]
    sections = (section(kind, KINDS[kind], *_section(kind, checked.of(kind))) for kind in found)
    none = tag("section", tag("p", "Nothing was found that looks wrong."))
    return pages.document(
        f"{source}: what may be wrong", _header(checked, source), tag("main", *sections, None if found else none),
        _foot(checked, command),
    )  # fmt: skip


def summary(checked: Checked) -> str:
    """One line: what was looked at, and how much was found of each kind."""
    of = f" ({checked.looked_at:,} looked at)" if checked.looked_at < checked.products else ""
    counts = [f"{KINDS[kind].lower()} {len(checked.of(kind)):,}" for kind in KINDS if checked.of(kind)]
    total = f"{counted(len(checked.findings), 'finding')}{': ' if counts else ''}{', '.join(counts)}"
    return f"{counted(checked.products, 'product')}{of}, {counted(checked.pictures, 'picture')}; {total}"


def _header(checked: Checked, source: str) -> Markup:
    tiles = [
        tag("li", tag("b", f"{len(checked.of(kind)):,}"), tag("span", tag("a", title, href=f"#{kind}")))
        for kind, title in KINDS.items()
        if checked.of(kind)
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
    yield tag("p", ABOUT[kind], class_="quiet")
    if any(one.pictures for one in findings):
        yield tag("div", *map(_card, findings[:SHOWN]), class_="cases")
    else:
        yield tag("ul", *(tag("li", tag("bdi", one.says)) for one in findings[:SHOWN]))
    if len(findings) > SHOWN:
        yield tag("p", f"And {len(findings) - SHOWN:,} more; --json lists them all.", class_="quiet")


def _card(finding: Finding) -> Markup:
    columns = [
        pages.captioned(one.sku, _said(one), _shown(one), "is-wrong" if _wrong(finding, place) else "")
        for place, one in enumerate(finding.pictures[:PICTURES])
    ]
    return tag("article", tag("p", tag("bdi", finding.says)), tag("div", *columns), class_="case")


def _said(picture: Picture) -> Markup:
    product = picture.product if picture.product != picture.sku else ""
    return joined(tag("bdi", product), ", " if product else "", tag("bdi", picture.name))


def _wrong(finding: Finding, place: int) -> bool:
    """That of a product's pictures which is unlike the others."""
    return finding.kind == "unlike" and place == 0


def _shown(picture: Picture) -> Markup:
    alt = f"{picture.sku}: {picture.name}"
    try:
        pixels = sources.decoded(picture.place, lambda data: image.read(data, pages.PICTURE_SIDE))
    except ImageError:
        return pages.no_picture(f"{alt} (cannot be shown)")
    return pages.picture(pixels, alt)


def _foot(checked: Checked, command: str) -> Markup:
    made = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    return tag(
        "footer", tag("p", f"Made {made}."), tag("p", "Command: ", tag("code", command)) if command else joined()
    )
