"""Draw a made-up shop: catalogue pictures, and phone photos to search with.

    PYTHONPATH=tools python -m demo_shop.make_pictures /tmp/shop --products 60 --unknown 12 --photos 4 --seed 0
    PYTHONPATH=tools python -m demo_shop.make_pictures /tmp/twins --twins 28 --photos 6 --seed 0

The command writes catalogue.csv with pictures/, and queries.csv with photos/ (an empty sku: the product is not in the
catalogue). The same seed gives the same bytes with the same version of Pillow. A larger number of products keeps the
earlier ones unchanged. `--twins` draws families of products that differ only in what is printed on them, and difficult
photos of them.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from . import FIRST_UNKNOWN, LIMIT, MOST_FAMILIES, make_twins, write_catalogue, write_twins


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        known, unknown = _draw(options)
    except OSError as error:
        print(
            f"make_pictures: cannot write {error.filename or options.out}: {error.strerror or error}.",
            file=sys.stderr,
        )
        return 1
    photos = (known + unknown) * options.photos
    print(f"{options.out}: {known} products in catalogue.csv, {photos} photos in queries.csv")
    return 0


def _draw(options: argparse.Namespace) -> tuple[int, int]:
    """Draw the requested shop; return how many products are in the catalogue, and how many are not."""
    if not options.twins:
        write_catalogue(options.out, options.products, options.unknown, options.photos, options.seed)
        return options.products, options.unknown
    write_twins(options.out, options.twins, options.photos, options.seed)
    return sum(len(make_twins(options.seed, family)) for family in range(options.twins)), 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make_pictures", description="Draw a made-up shop and phone photos of it.")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to write to; files of the same name are replaced")
    parser.add_argument(
        "--products", type=_whole_number(1, FIRST_UNKNOWN), default=60, help="products in the catalogue (60)"
    )
    parser.add_argument(
        "--unknown", type=_whole_number(0, LIMIT - FIRST_UNKNOWN), default=12, help="products not in it (12)"
    )
    parser.add_argument(
        "--twins",
        type=_whole_number(0, MOST_FAMILIES),
        default=0,
        help="draw this many families of products that differ only in what is printed on them, instead of the shop (0)",
    )
    parser.add_argument("--photos", type=_whole_number(0, 99), default=4, help="photos of each product (4)")
    parser.add_argument(
        "--seed", type=_whole_number(0, 2**31 - 1), default=0, help="another seed draws another shop (0)"
    )
    return parser


def _whole_number(low: int, high: int) -> Callable[[str], int]:
    """Return an argparse type that accepts whole numbers within bounds."""

    def number(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text}: expected a whole number from {low} to {high}")
        return int(text)

    return number


if __name__ == "__main__":
    sys.exit(main())
