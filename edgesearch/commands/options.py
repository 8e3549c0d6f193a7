"""What the commands' options have in common: words, and values that are checked."""

import argparse
from collections.abc import Callable
from typing import Any, Protocol

STORE = ".edge file, or device folder"
WHO = "for the log (default: the user of the system)"
FAST = "one look at a photo instead of three, none at its print (default: as doctor chose, else three)"
RUNTIME = "what computes the network (default: as doctor chose, else onnxruntime)"
BARCODES = "read barcodes in a photo (default: where their reader is installed and a product has one)"


class Adder(Protocol):
    """Adds a command to the parser."""

    def __call__(self, name: str, run: Callable[..., Any], text: str, example: str) -> argparse.ArgumentParser:
        """run: what it does, given the options; text: one line of help; example: arguments."""


def at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def seconds(text: str) -> float:
    try:
        given = float(text)
    except ValueError:
        given = 0.0
    if not 0 < given < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return given


def named(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value
