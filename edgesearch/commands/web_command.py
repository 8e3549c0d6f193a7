"""web: make a site that searches a bundle in a browser alone."""

import argparse
from pathlib import Path

from .._util.plain_text import plain
from ..browser.site import write_site
from ..bundle.signing import read_public
from .arguments import Adder


def add(command: Adder) -> None:
    """Add the command."""
    parser = command(
        "web", _web, "Make a site that searches a bundle in a browser, without a server.", "store.edge -o site/"
    )
    parser.add_argument("store", type=Path, help=".edge file")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="folder of the site")
    parser.add_argument("--trust", type=Path, metavar="PUB", help="public key; the site opens only what it signed")
    parser.add_argument(
        "--runtime",
        type=Path,
        action="append",
        default=[],
        metavar="TGZ",
        help="package that `npm pack` wrote, or its folder; asked for once",
    )
    parser.add_argument("--without-bundle", action="store_true", help="let the person open a bundle from a file")


def _web(options: argparse.Namespace) -> None:
    trusted = [read_public(options.trust)] if options.trust else []
    size = write_site(options.store, options.output, trusted, options.runtime, not options.without_bundle)
    print(
        f"{plain(str(options.output))}: {size / 1e6:.1f} MB; put it on any web server with https, or try it here: "
        f"python -m http.server --bind 127.0.0.1 --directory {plain(str(options.output))}",
        flush=True,
    )
