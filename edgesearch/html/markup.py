"""HTML and SVG put together so that nothing gets in unescaped: text is escaped unless it was made here."""

import html


class Markup(str):
    """Text that is HTML or SVG already."""

    __slots__ = ()


def tag(name: str, /, *content: object, **attributes: object) -> Markup:
    """An element.

    Args:    content: `Markup` as it is, other text escaped, None and "" nothing; attributes: None for none; a trailing
             "_" of a name goes, as of `class_`, others become "-".
    """
    said = "".join(
        f' {key.removesuffix("_").replace("_", "-")}="{html.escape(_to_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{said}>" if name in _VOID else f"<{name}{said}>{join(*content)}</{name}>")


def join(*content: object) -> Markup:
    """One after the other; as in `tag`."""
    return Markup("".join(one if isinstance(one, Markup) else html.escape(_to_text(one)) for one in content))


_VOID = ("br", "img", "meta", "wbr")


def _to_text(value: object) -> str:
    """Numbers of a drawing need no more than hundredths of a px."""
    if value is None:
        return ""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
