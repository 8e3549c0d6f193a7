"""check: find probable mistakes in a catalogue before it is built."""

import argparse
import json
import shlex
from pathlib import Path

from .._util import progress
from ..catalog import loader, tabular
from .arguments import Adder, add_model_option, positive_int
from .output import print_line, print_note
from .source_options import add_source_options, read_source_options


def add(command: Adder) -> None:
    """Add the command."""
    parser = command("check", _check, "Find probable mistakes in a catalogue.", "catalogue.csv -o report.html")
    add_source_options(parser)
    parser.add_argument("-o", "--output", type=Path, metavar="PAGE", help="write an HTML page with the pictures")
    parser.add_argument("--json", action="store_true", help="print all findings as one JSON object")
    parser.add_argument("--sample", type=positive_int, metavar="N", help="check the pictures of only N products")
    add_model_option(parser)


def _check(options: argparse.Namespace) -> None:
    from ..audit import check_page, checks  # here, so that a search does not load them
    from ..html import html_page

    if options.output:
        html_page.check_path(options.output)
    catalogue = loader.read(options.catalogue, **read_source_options(options))
    with progress.stage("check the catalogue"):
        checked = checks.check(catalogue, options.sample, options.model)
    if options.output:
        with progress.stage("write the page"):
            html_page.write(options.output, check_page.render(checked, options.catalogue, _command_line(options)))
    for note in checked.notes:
        print_note(note)
    print_line(json.dumps(checked.to_dict(), ensure_ascii=False) if options.json else check_page.summary(checked))


def _command_line(options: argparse.Namespace) -> str:
    """Return the shell command that these options came from."""
    values = {"--encoding": options.encoding, "--decimal": options.decimal, "--sample": options.sample}
    values |= {"--sheet": options.sheet, "--header-row": options.header_row}
    values |= {"--max-rows": options.max_rows} if options.max_rows != tabular.MAX_ROWS else {}
    values |= {"--model": options.model, "-o": options.output}
    flags = [["--map", pair] for pair in options.map] + [[name, str(value)] for name, value in values.items() if value]
    return shlex.join(["edgesearch", "check", options.catalogue, *(part for flag in flags for part in flag)])
