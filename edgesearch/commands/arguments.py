"""Options that several commands share, and the types that check their values."""

import argparse
from collections.abc import Callable
from typing import Any, Protocol

from ..embedding.shipped_models import LIGHT, MODELS

STORE = ".edge file or device folder"
WHO = "name for the log (default: your user name)"
FAST = "use one crop of a photo instead of three, and no local features (default: as doctor chose, else --no-fast)"
BARCODES = "read barcodes in photos (default: if a reader is installed and any product has a barcode)"


class Adder(Protocol):
    """Adds a command to the command line."""

    def __call__(self, name: str, run: Callable[..., Any], text: str, example: str) -> argparse.ArgumentParser:
        """Return the parser of a new command.

        Args:
            name: Of the command.
            run: Carries out the command, given its options.
            text: One line of help.
            example: Arguments for the example in the help.
        """


def add_model_option(parser: argparse.ArgumentParser) -> None:
    """Add the choice of the model."""
    parser.add_argument(
        "--model",
        metavar="MODEL",
        help=f"{' or '.join(MODELS)}, the name of a model that ships, or a model folder (default: {LIGHT})",
    )


def positive_int(text: str) -> int:
    """Parse a whole number of at least 1; raise ArgumentTypeError for anything else."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def positive_seconds(text: str) -> float:
    """Parse a number of seconds; raise ArgumentTypeError if it is not positive, or a million or more."""
    return number_between(text, 1e6, "a number of seconds above 0")


def number_between(text: str, limit: float, expected: str) -> float:
    """Parse a number above 0 and below `limit`; raise ArgumentTypeError, which says what was `expected`."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < limit:
        raise argparse.ArgumentTypeError(f"{text!r} is not {expected}")
    return value


def name_and_value(text: str) -> tuple[str, str]:
    """Split NAME=VALUE; raise ArgumentTypeError if either NAME or = is missing."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value
