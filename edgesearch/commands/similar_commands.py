"""similar, profile: alternatives to a product, and what somebody likes."""

import argparse
import json
from pathlib import Path

from ..answer import Match
from ..device import maintenance
from ..errors import CatalogError, DeviceError
from ..store.store import open as open_store
from .arguments import STORE, Adder, at_least_one
from .output import say

CONDITIONS = {
    "cheaper": "only those with a lower price in its currency; what has no price is not cheaper",
    "other_brand": "only those of another brand; what has no brand is of none",
    "same_category": "only those of its category",
    "in_stock": "only those known to be in stock",
}


def add(command: Adder) -> None:
    """Add them."""
    added = command("similar", _similar, "Find alternatives to a product.", "store.edge --sku P-8 --cheaper")
    added.add_argument("store", type=Path, help=STORE)
    added.add_argument("--sku", required=True, help="SKU of the product")
    added.add_argument("-k", type=at_least_one, default=5, help="products to show (default: 5)")
    for name, text in CONDITIONS.items():
        added.add_argument(f"--{name.replace('_', '-')}", action="store_true", help=text)
    added.add_argument("--json", action="store_true", help="one JSON object")

    text = "What was picked and dismissed on a device, which moves rankings a little: off until it is switched on."
    added = command("profile", _show, text, "device pick --sku P-8")
    added.add_argument("device", type=Path, help="device folder")
    actions = added.add_subparsers(required=True, metavar="ACTION")
    for name, on, text in (("on", True, "switch it on"), ("off", False, "switch it off; what was kept stays")):
        actions.add_parser(name, help=text, description=text).set_defaults(run=_switch, on=on)
    shown = actions.add_parser("show", help="print how much is kept and what is made of it; with --json all")
    shown.add_argument("--json", action="store_true", help="one JSON object")
    shown.set_defaults(run=_show)
    written = actions.add_parser("export", help="write all of it into a file")
    written.add_argument("-o", "--output", type=Path, required=True, help="new JSON file")
    written.set_defaults(run=_export)
    actions.add_parser("erase", help="forget everything, and switch it off").set_defaults(run=_erase)
    for name, picked, text in (("pick", True, "a product was picked"), ("dismiss", False, "a product was dismissed")):
        said = actions.add_parser(name, help=text)
        said.add_argument("--sku", required=True, help="SKU of the product")
        said.set_defaults(run=_say, picked=picked, over=[])
        if picked:
            said.add_argument("--over", nargs="+", default=[], metavar="SKU", help="SKUs of what was shown before it")


def _similar(options: argparse.Namespace) -> None:
    conditions = {name: getattr(options, name) for name in CONDITIONS}
    with open_store(options.store) as store:
        matches = store.similar(options.sku, options.k, **conditions)
    if options.json:
        found = [match.to_dict() for match in matches]
        print(json.dumps({"sku": options.sku, "matches": found}, ensure_ascii=False))
        return
    for place, match in enumerate(matches, 1):
        print(_line(place, match))
    scores = [match.score for match in matches]
    if scores != sorted(scores, reverse=True):
        say("the profile has moved them; `profile DEVICE show` says what it holds.")


def _line(place: int, match: Match) -> str:
    product = match.product
    price = "" if product.price is None else f"  {product.price:.2f} {product.currency or ''}".rstrip()
    details = ", ".join(detail for detail in (product.brand, product.category) if detail)
    return f"  {place}  {match.score:.3f}  {match.sku}  {match.name}{price}{f'  ({details})' * bool(details)}"


def _switch(options: argparse.Namespace) -> None:
    with maintenance.profile(options.device) as profile:
        profile.switch(options.on)
    said = "what is picked and dismissed moves rankings from now on" if options.on else "nothing is kept or moved"
    print(f"{options.device}: the profile is {'on' if options.on else 'off'}; {said}.")


def _show(options: argparse.Namespace) -> None:
    with maintenance.profile(options.device) as profile:
        table = profile.to_dict()
    if options.json:
        print(json.dumps(table, ensure_ascii=False))
        return
    print(f"{'on' if table['on'] else 'off'}; {len(table['said'])} picks and dismissals are kept")
    for one in table["traits"]:
        print(
            f"  {one['log_odds']:+.2f}  {one['kind']} {one['value']}  (picked {one['picked']:.1f}, passed over "
            f"{one['passed']:.1f})"
        )


def _export(options: argparse.Namespace) -> None:
    with maintenance.profile(options.device) as profile:
        count = profile.export(options.output)
    print(f"{options.output}: {count} picks and dismissals, and what is made of them.")


def _erase(options: argparse.Namespace) -> None:
    with maintenance.profile(options.device) as profile:
        profile.erase()
    print(f"{options.device}: the profile is erased, and off.")


def _say(options: argparse.Namespace) -> None:
    with open_store(options.device) as store:
        known = store.skus()
        if unknown := [sku for sku in options.over if sku not in known]:
            raise CatalogError(f"{', '.join(unknown)}: no product of that SKU is here; check what --over says.")
        if not store.feedback(options.over, options.sku, options.picked):
            raise DeviceError(
                f"{options.device}: its profile is off, and nothing is kept; switch it on with `profile "
                f"{options.device} on`."
            )
    print(f"{options.sku}: {'picked' if options.picked else 'dismissed'}; kept on this device alone.")
