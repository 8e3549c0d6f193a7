"""compare: is it really this product?"""

import argparse
import json
from pathlib import Path

from ..search.comparison_result import LIMITS, Comparison
from ..store.store import open as open_store
from .arguments import STORE, Adder
from .output import picture_kind, write_picture


def add(command: Adder) -> None:
    """Add it."""
    added = command(
        "compare", _compare, "Say whether a photo shows this product, or it is damaged, or another.",
        "store.edge photo.jpg --sku P-9 -o why.png",
    )  # fmt: skip
    added.description = f"{added.description} {LIMITS}"
    added.add_argument("store", type=Path, help=STORE)
    added.add_argument("photo", help="picture file")
    added.add_argument("--sku", required=True, help="of the product that it should be")
    added.add_argument("-o", "--output", type=Path, metavar="PICTURE", help="draw there what differs (.png or .jpg)")
    added.add_argument("--json", action="store_true", help="one JSON object")


def _compare(options: argparse.Namespace) -> None:
    kind = picture_kind(options.output) if options.output else ""
    with open_store(options.store) as store:
        found = store.compare(options.photo, options.sku)
        print(json.dumps(found.to_dict(), ensure_ascii=False) if options.json else _shown(found), flush=True)
        if options.output:
            read = store.base.embedder.read
            write_picture(options.output, found.drawn(read(options.photo), read(store.picture(found.match)), kind))


def _shown(found: Comparison) -> str:
    own = f" (its own pictures {found.own[0]:.3f} to {found.own[1]:.3f})" if found.own else ""
    lines = [
        f"{found.photo}: {found.verdict}",
        f"  {found.why}",
        f"  {found.match.sku}  {found.match.name}; score {found.score:.3f}{own}; {found.points} points agree",
    ]
    for region in found.regions:
        left, top, right, bottom = (round(100 * n) for n in region.box)
        lines.append(f"  {region.kind} differs at {left}-{right}% from the left, {top}-{bottom}% from the top")
    return "\n".join(lines)
