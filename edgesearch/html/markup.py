"""Compose HTML and SVG; escape all text that this module did not make."""

import html


class Markup(str):
    """Text that is already HTML or SVG."""

    __slots__ = ()


def tag(name: str, /, *content: object, **attributes: object) -> Markup:
    """Return an element.

    Args:
        content: `Markup` is inserted as it is, other values are escaped, None and "" add nothing.
        attributes: None omits one. In a name, a trailing "_" is dropped, as in `class_`; other "_" become "-".
    """
    written = "".join(
        f' {key.removesuffix("_").replace("_", "-")}="{html.escape(_to_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{written}>" if name in _VOID else f"<{name}{written}>{join(*content)}</{name}>")


def join(*content: object) -> Markup:
    """Concatenate contents, escaped as in `tag`."""
    return Markup("".join(part if isinstance(part, Markup) else html.escape(_to_text(part)) for part in content))


_VOID = ("br", "img", "meta", "wbr")


def _to_text(value: object) -> str:
    """Return a value as text; round floats to hundredths, which is fine enough for a px."""
    if value is None:
        return ""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
