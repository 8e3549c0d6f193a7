"""similar, profile: alternatives to a product, and the preferences of a device's users."""

import argparse
import json
from pathlib import Path

from ..answer import Match
from ..device import maintenance
from ..errors import CatalogError, DeviceError
from ..store.opening import open as open_store
from .arguments import STORE, Adder, positive_int
from .output import print_line, print_note

CONDITIONS = {
    "cheaper": "only products with a lower price in the same currency",
    "other_brand": "only products of another known brand",
    "same_category": "only products of the same category",
    "in_stock": "only products known to be in stock",
}


def add(command: Adder) -> None:
    """Add the commands."""
    parser = command("similar", _similar, "Find alternatives to a product.", "store.edge --sku P-8 --cheaper")
    parser.add_argument("store", type=Path, help=STORE)
    parser.add_argument("--sku", required=True, help="SKU of the product")
    parser.add_argument("-k", type=positive_int, default=5, help="number of products (default: 5)")
    for name, text in CONDITIONS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", action="store_true", help=text)
    parser.add_argument("--json", action="store_true", help="print one JSON object")

    text = "Manage a device's profile, which records picks and adjusts rankings a little (off by default)."
    parser = command("profile", _show, text, "device pick --sku P-8")
    parser.add_argument("device", type=Path, help="device folder")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    _add_profile_actions(actions)
    for name, picked, text in (("pick", True, "record a pick"), ("dismiss", False, "record a dismissal")):
        action = actions.add_parser(name, help=text)
        action.add_argument("--sku", required=True, help="SKU of the product")
        action.set_defaults(run=_record, picked=picked, over=[])
        if picked:
            action.add_argument("--over", nargs="+", default=[], metavar="SKU", help="SKUs that were shown before it")


def _add_profile_actions(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    for name, on, text in (("on", True, "switch it on"), ("off", False, "switch it off, and keep what it recorded")):
        actions.add_parser(name, help=text, description=text).set_defaults(run=_switch, on=on)
    show = actions.add_parser("show", help="print the number of records, and the preferences derived from them")
    show.add_argument("--json", action="store_true", help="print everything as one JSON object")
    show.set_defaults(run=_show)
    export = actions.add_parser("export", help="write everything to a file")
    export.add_argument("-o", "--output", type=Path, required=True, help="new JSON file")
    export.set_defaults(run=_export)
    actions.add_parser("erase", help="erase everything and switch it off").set_defaults(run=_erase)


def _similar(options: argparse.Namespace) -> None:
    conditions = {name: getattr(options, name) for name in CONDITIONS}
    with open_store(options.store) as store:
        matches = store.similar(options.sku, options.k, **conditions)
    if options.json:
        tables = [match.to_dict() for match in matches]
        print_line(json.dumps({"sku": options.sku, "matches": tables}, ensure_ascii=False))
        return
    for rank, match in enumerate(matches, 1):
        print_line(_format_match(rank, match))
    scores = [match.score for match in matches]
    if scores != sorted(scores, reverse=True):
        print_note("the profile changed this order; see `edgesearch profile DEVICE show`.")


def _format_match(rank: int, match: Match) -> str:
    product = match.product
    price = "" if product.price is None else f"  {product.price:.2f} {product.currency or ''}".rstrip()
    details = ", ".join(detail for detail in (product.brand, product.category) if detail)
    return f"  {rank}  {match.score:.3f}  {match.sku}  {match.name}{price}{f'  ({details})' * bool(details)}"


def _switch(options: argparse.Namespace) -> None:
    with maintenance.open_profile(options.device) as profile:
        profile.switch(options.on)
    effect = "picks and dismissals adjust rankings from now on" if options.on else "it records and adjusts nothing"
    print_line(f"{options.device}: the profile is {'on' if options.on else 'off'}; {effect}.")


def _show(options: argparse.Namespace) -> None:
    with maintenance.open_profile(options.device) as profile:
        table = profile.to_dict()
    if options.json:
        print_line(json.dumps(table, ensure_ascii=False))
        return
    print_line(f"{'on' if table['on'] else 'off'}; {len(table['said'])} picks and dismissals are kept")
    for trait in table["traits"]:
        print_line(
            f"  {trait['log_odds']:+.2f}  {trait['kind']} {trait['value']}  (picked {trait['picked']:.1f}, passed over "
            f"{trait['passed']:.1f})"
        )


def _export(options: argparse.Namespace) -> None:
    with maintenance.open_profile(options.device) as profile:
        count = profile.export(options.output)
    print_line(f"{options.output}: {count} picks and dismissals, and the preferences they show.")


def _erase(options: argparse.Namespace) -> None:
    with maintenance.open_profile(options.device) as profile:
        profile.erase()
    print_line(f"{options.device}: the profile is erased and off.")


def _record(options: argparse.Namespace) -> None:
    with open_store(options.device) as store:
        known = store.skus()
        if unknown := [sku for sku in options.over if sku not in known]:
            raise CatalogError(f"{', '.join(unknown)}: no product has this SKU; check --over.")
        if not store.feedback(options.over, options.sku, options.picked):
            raise DeviceError(
                f"{options.device}: its profile is off, and nothing is kept; switch it on with `profile "
                f"{options.device} on`."
            )
    print_line(f"{options.sku}: {'picked' if options.picked else 'dismissed'}; recorded on this device alone.")
