"""What the commands' options have in common: words, and values that are checked."""

import argparse
from collections.abc import Callable
from typing import Any, Protocol

from ..catalog import columns

STORE = ".edge file, or device folder"
WHO = "for the log (default: the user of the system)"
FAST = "one look at a photo instead of three, none at its print (default: as doctor chose, else three)"
BARCODES = "read barcodes in a photo (default: where their reader is installed and a product has one)"


class Adder(Protocol):
    """Adds a command to the parser."""

    def __call__(self, name: str, run: Callable[..., Any], text: str, example: str) -> argparse.ArgumentParser:
        """run: what it does, given the options; text: one line of help; example: arguments."""


def source_options(added: argparse.ArgumentParser) -> None:
    """A catalogue, and how it is to be read."""
    added.add_argument("catalogue", help="CSV, Parquet or .xlsx with sku,name,images; folder or archive of pictures")
    added.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="NAME=COLUMN",
        help="what its columns are, as sku=ArtNr,images=Foto",
    )
    added.add_argument("--encoding", help="of its text (default: UTF-8, or what is seen in it, and told)")
    added.add_argument(
        "--decimal", choices=[".", ","], default="", help="in its numbers (default: what is seen in them)"
    )


def source_of(options: argparse.Namespace) -> dict[str, Any]:
    """What `source_options` were given, as arguments."""
    return {"mapping": columns.parse_mapping(options.map), "encoding": options.encoding, "decimal": options.decimal}


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
