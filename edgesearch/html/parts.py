"""Compose the parts of a page: formatted numbers, sections, figures and tables."""

from collections.abc import Iterable, Sequence

from .markup import Markup, join, tag

NONE = "\u2013"


def percent(share: float | None) -> str:
    """Format a share with one decimal; a dash for None."""
    return NONE if share is None else f"{share:.1%}"


def number(value: object) -> str:
    """Format a value: separate thousands, at most three decimals, yes or no, a dash for None."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: NONE}[value]
    if isinstance(value, float):
        return f"{value:,.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def pluralize(count: int, noun: str) -> str:
    """Return a count with its noun: "1 photo", "2 photos"."""
    return f"{count:,} {noun if count == 1 else noun + 's'}"


def section(name: str, title: str, *content: object) -> Markup:
    """Return a section with a heading; name: the id to link to."""
    return tag("section", tag("h2", title, id=name), *content, aria_labelledby=name)


def figure(title: str, drawing: Markup, caption: object, table: Markup | None = None) -> Markup:
    """Return a chart with a caption in words, and its numbers as a table to unfold."""
    numbers = tag("details", tag("summary", "The numbers"), table) if table else None
    return tag("figure", tag("h3", title), drawing, tag("figcaption", caption), numbers, class_="chart")


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    """Return a table; the first cell of each row is its heading, and a `Markup` cell that is a <td> is used whole."""
    heads = [tag("th", text, scope="col") for text in head]
    body = [tag("tr", tag("th", first, scope="row"), *map(_cell, others)) for first, *others in rows]
    inner = tag("table", tag("caption", caption), tag("thead", tag("tr", *heads)), tag("tbody", *body))
    return tag("div", inner, class_="scroll", tabindex=0, role="region", aria_label=caption)


def share_cell(share: float | None, kind: str = "right") -> Markup:
    """Return a cell with a percentage and a bar of that length behind it."""
    style = None if share is None else f"--share:{share:.3f}"
    return tag("td", percent(share), class_=f"share {kind}", style=style)


def _cell(content: object) -> Markup:
    return content if isinstance(content, Markup) and content.startswith("<td") else tag("td", content)


def facts(pairs: Iterable[tuple[str, object]]) -> Markup:
    """Return a list of names and values."""
    return tag("dl", *(join(tag("dt", name), tag("dd", number(value))) for name, value in pairs))
