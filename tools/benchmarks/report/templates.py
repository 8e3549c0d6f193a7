"""Sentences with fields for measured figures: `{cold[first_answer_ms]:/1000 .2f} s`.

A field names a run and what is in its object, as `str.format` does; a list is looked into by the names of its objects.
Before the usual format may stand what a number is divided by.
"""

import re
from collections.abc import Mapping
from string import Formatter
from typing import Any

from ..context import Found

_NUMBER = r"-?\d(?:[\d,.]*\d)?%?"


def filled(template: str, figures: Mapping[str, Found]) -> str:
    """The sentence with its figures.

    Raises: ValueError: a figure that it names is not there, or is no number where its format wants one.
    """
    try:
        return _Fields().vformat(template, (), figures)
    except (KeyError, TypeError) as error:
        raise ValueError(f'"{_short(template)}" names a figure that was not measured: {error}.') from error


def rewritten(text: str, template: str, figures: Mapping[str, Found]) -> str:
    """A text in which the sentence stands, lines broken anywhere, with the figures of now.

    Raises: ValueError: it does not stand there, or more than once, or as in `filled`.
    """
    pieces = list(Formatter().parse(template))
    values = [
        filled(f"{{{field}:{spec}}}" if spec else f"{{{field}}}", figures)
        for _, field, spec, _ in pieces
        if field is not None
    ]
    pattern, places = "", iter(values)
    for literal, field, _, _ in pieces:
        pattern += re.sub(r"(\\\s|\s)+", r"\\s+", re.escape(literal))
        pattern += f"({_like(next(places))})" if field is not None else ""
    found = list(re.finditer(pattern, text))
    if len(found) != 1:
        raise ValueError(f'"{_short(template)}" stands there {len(found)} times; expected once.')
    for number, value in reversed(list(enumerate(values, 1))):
        start, end = found[0].span(number)
        text = text[:start] + value + text[end:]
    return text


class _Fields(Formatter):
    """Looks into lists by name, and divides."""

    def get_field(self, field_name: str, args: Any, kwargs: Mapping[str, Any]) -> tuple[Any, str]:
        run, *keys = field_name.rstrip("]").replace("][", "[").split("[")
        value: Any = kwargs[run]
        for key in keys:
            value = {one["name"]: one for one in value}[key] if isinstance(value, list) else value[key]
        return value, run

    def format_field(self, value: Any, format_spec: str) -> str:
        divisor, _, rest = format_spec.removeprefix("/").partition(" ") if format_spec[:1] == "/" else ("", "", "")
        return format(value / float(divisor), rest) if divisor else format(value, format_spec)


def _like(value: str) -> str:
    """What stood there before: another number, or other words of the same cell or paragraph."""
    return _NUMBER if re.fullmatch(_NUMBER, value) else r"(?:[^|\n]|\n(?!\n)){1,120}?"


def _short(template: str) -> str:
    return template if len(template) < 100 else f"{template[:97]}..."
