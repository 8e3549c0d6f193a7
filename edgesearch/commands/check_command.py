"""check: what may be wrong in a catalogue, before it is built."""

import argparse
import json
import shlex
from pathlib import Path

from ..catalog import loader
from .arguments import Adder, at_least_one, source_of, source_options
from .output import Bar, say


def add(command: Adder) -> None:
    """Add it."""
    added = command("check", _check, "Say what may be wrong in a catalogue.", "catalogue.csv -o report.html")
    source_options(added)
    added.add_argument("-o", "--output", type=Path, metavar="PAGE", help="HTML page with the pictures to write")
    added.add_argument("--json", action="store_true", help="print all findings as one JSON object")
    added.add_argument("--sample", type=at_least_one, metavar="N", help="look at the pictures of N products alone")
    added.add_argument("--model", type=Path, help="model folder (default: the shipped one)")


def _check(options: argparse.Namespace) -> None:
    from ..audit import check_page, checks  # here, so that a search does not load them
    from ..html import html_page  # here, so that a search does not load them

    if options.output:
        html_page.check_path(options.output)
    catalogue = loader.read(options.catalogue, **source_of(options))
    with Bar("check", "picture") as progress:
        checked = checks.check(catalogue, options.sample, options.model, progress=progress)
    if options.output:
        html_page.write(options.output, check_page.render(checked, options.catalogue, _command(options)))
    for note in checked.notes:
        say(note)
    print(json.dumps(checked.to_dict(), ensure_ascii=False) if options.json else check_page.summary(checked))


def _command(options: argparse.Namespace) -> str:
    """What was called, as a shell takes it."""
    given = {"--encoding": options.encoding, "--decimal": options.decimal, "--sample": options.sample}
    given |= {"--model": options.model, "-o": options.output}
    flags = [["--map", pair] for pair in options.map] + [[name, str(value)] for name, value in given.items() if value]
    return shlex.join(["edgesearch", "check", options.catalogue, *(part for flag in flags for part in flag)])
