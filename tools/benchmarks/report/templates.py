"""Sentences with fields for measured figures: `{cold[first_answer_ms]:/1000 .2f} s`.

A field names a run and a key of its object, as in `str.format`; a list is indexed by the `name` of its objects. A
divisor may stand before the usual format.
"""

import re
from collections.abc import Mapping
from string import Formatter
from typing import Any

from ..context import Results

_NUMBER = r"-?\d(?:[\d,.]*\d)?%?"


def fill(template: str, figures: Mapping[str, Results]) -> str:
    """Return the sentence with its figures.

    Raises: ValueError: a figure is missing, or is not a number although its format needs one.
    """
    try:
        return _Fields().vformat(template, (), figures)
    except (KeyError, TypeError) as error:
        raise ValueError(f'"{_short(template)}" names a figure that was not measured: {error}.') from error


def rewrite(text: str, template: str, figures: Mapping[str, Results]) -> str:
    """Return the text with current figures in the one place where the sentence stands, however its lines are broken.

    Raises: ValueError: the sentence is not there or occurs several times; or as in `fill`.
    """
    pieces = list(Formatter().parse(template))
    values = [
        fill(f"{{{field}:{spec}}}" if spec else f"{{{field}}}", figures)
        for _, field, spec, _ in pieces
        if field is not None
    ]
    pattern, places = "", iter(values)
    for literal, field, _, _ in pieces:
        pattern += re.sub(r"(\\\s|\s)+", r"\\s+", re.escape(literal))
        pattern += f"({_value_pattern(next(places))})" if field is not None else ""
    found = list(re.finditer(pattern, text))
    if len(found) != 1:
        raise ValueError(f'"{_short(template)}" stands there {len(found)} times; expected once.')
    for number, value in reversed(list(enumerate(values, 1))):
        start, end = found[0].span(number)
        text = text[:start] + value + text[end:]
    return text


class _Fields(Formatter):
    """A formatter that indexes lists by name, and divides."""

    def get_field(self, field_name: str, args: Any, kwargs: Mapping[str, Any]) -> tuple[Any, str]:
        run, *keys = field_name.rstrip("]").replace("][", "[").split("[")
        value: Any = kwargs[run]
        for key in keys:
            value = {one["name"]: one for one in value}[key] if isinstance(value, list) else value[key]
        return value, run

    def format_field(self, value: Any, format_spec: str) -> str:
        divisor, _, rest = format_spec.removeprefix("/").partition(" ") if format_spec[:1] == "/" else ("", "", "")
        return format(value / float(divisor), rest) if divisor else format(value, format_spec)


def _value_pattern(value: str) -> str:
    """Return a pattern for the previous value: a number, or words of the same cell or paragraph."""
    return _NUMBER if re.fullmatch(_NUMBER, value) else r"(?:[^|\n]|\n(?!\n)){1,120}?"


def _short(template: str) -> str:
    return template if len(template) < 100 else f"{template[:97]}..."
