"""The options for reading a catalogue."""

import argparse
from typing import Any

from ..catalog import columns, tabular
from .arguments import positive_int


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """Add the catalogue and the options for reading it."""
    parser.add_argument(
        "catalogue", help="CSV, Parquet or .xlsx with sku,name,images, or folder or archive of pictures"
    )
    parser.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="NAME=COLUMN",
        help="read a detail from another column, such as sku=ArtNr,images=Foto",
    )
    parser.add_argument("--encoding", help="text encoding (default: UTF-8, else detected and reported)")
    parser.add_argument(
        "--decimal", choices=[".", ","], default="", help="decimal separator in the numbers (default: detected)"
    )
    parser.add_argument("--sheet", default="", help="sheet of a workbook, by name or number (default: detected)")
    parser.add_argument(
        "--header-row", type=positive_int, default=0, metavar="N", help="row of the column names (default: detected)"
    )
    parser.add_argument(
        "--max-rows",
        type=positive_int,
        default=tabular.MAX_ROWS,
        metavar="N",
        help=f"rows that a table may have (default: {tabular.MAX_ROWS:,})",
    )


def read_source_options(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options of `add_source_options` as keyword arguments."""
    given = {name: getattr(options, name) for name in ("encoding", "decimal", "sheet", "header_row", "max_rows")}
    return {"mapping": columns.parse_mapping(options.map), **given}
