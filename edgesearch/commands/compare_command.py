"""compare: judge whether a photo shows a given product."""

import argparse
import json
from pathlib import Path

from .._util.plain_text import plain
from ..search.comparison_result import LIMITS, Comparison
from ..store.opening import open as open_store
from .arguments import STORE, Adder
from .output import picture_kind, write_picture


def add(command: Adder) -> None:
    """Add the command."""
    parser = command(
        "compare", _compare, "Judge whether a photo shows a product, a damaged one or another one.",
        "store.edge photo.jpg --sku P-9 -o why.png",
    )  # fmt: skip
    parser.description = f"{parser.description} {LIMITS}"
    parser.add_argument("store", type=Path, help=STORE)
    parser.add_argument("photo", help="picture file")
    parser.add_argument("--sku", required=True, help="SKU of the product to compare with")
    parser.add_argument("-o", "--output", type=Path, metavar="PICTURE", help="draw the differences (.png or .jpg)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _compare(options: argparse.Namespace) -> None:
    kind = picture_kind(options.output) if options.output else ""
    with open_store(options.store) as store:
        found = store.compare(options.photo, options.sku)
        text = plain(json.dumps(found.to_dict(), ensure_ascii=False)) if options.json else _format_comparison(found)
        print(text, flush=True)
        if options.output:
            read = store.base.embedder.read
            write_picture(options.output, found.drawn(read(options.photo), read(store.picture(found.match)), kind))


def _format_comparison(found: Comparison) -> str:
    own = f" (its own pictures {found.own[0]:.3f} to {found.own[1]:.3f})" if found.own else ""
    lines = [
        f"{found.photo}: {found.verdict}",
        f"  {found.why}",
        f"  {found.match.sku}  {found.match.name}; score {found.score:.3f}{own}; {found.points} local features agree",
    ]
    for region in found.regions:
        left, top, right, bottom = (round(100 * n) for n in region.box)
        lines.append(f"  {region.kind} differs at {left}-{right}% from the left, {top}-{bottom}% from the top")
    return "\n".join(map(plain, lines))
