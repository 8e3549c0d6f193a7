"""Keep text from acting on a terminal, a log or a table."""

import re

# ASCII and Latin-1 control characters, line and paragraph separators, and those that turn the direction of text.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def plain(text: object) -> str:
    r"""Return text on one line, its control characters written as \u001b, which JSON reads as the same."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", str(text))


def has_control(text: str) -> bool:
    """Return whether text contains a control character."""
    return _CONTROL.search(text) is not None
