"""enrol, edit, remove, undo: what staff teach a device."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..catalog.product import OPTIONAL, details_of
from ..store.store import open as open_store
from .arguments import WHO, Adder, named
from .output import say

DETAILS = ("name", *OPTIONAL)


def add(command: Adder) -> None:
    """Add them."""

    def teaching(name: str, run: Callable[..., Any], text: str, example: str) -> argparse.ArgumentParser:
        added = command(name, run, text, example)
        added.add_argument("device", type=Path, help="device folder")
        added.add_argument("--who", help=WHO)
        if name != "undo":
            added.add_argument("--sku", required=True, help="SKU of the product")
        if name in ("enrol", "edit"):
            for detail in DETAILS:
                added.add_argument(f"--{detail}", help=f'its {detail}; "" for none')
            added.add_argument(
                "--attribute", type=named, action="append", default=[], metavar="NAME=VALUE", help="any other detail"
            )
        return added

    added = teaching("enrol", _enrol, "Teach a device a product.", 'device --sku P-9 --name "Blue mug" photo.jpg')
    added.add_argument("photo", nargs="+", help="picture files, 1 to 5")
    teaching("edit", _edit, "Change details of a product on a device.", "device --sku P-9 --price 4.50")
    teaching("remove", _remove, "Show a product on a device no more.", "device --sku P-9")
    teaching("undo", _undo, "Take back what a device was taught last.", "device")


def _enrol(options: argparse.Namespace) -> None:
    with open_store(options.device) as store:
        done = store.enrol(options.sku, options.photo, who=options.who, **_details(options))
    print(f"{options.sku}: {done.product.name}; {done.pictures} pictures taught, found from now on.")
    if done.like:
        say(f"note: before, the first photo was taken for {done.like.sku} {done.like.name}; `undo` takes this back.")


def _edit(options: argparse.Namespace) -> None:
    details = _details(options)
    with open_store(options.device) as store:
        product = store.edit(options.sku, who=options.who, **details)
    shown = details_of(product)
    print(
        f"{product.sku}: {product.name}; {', '.join(f'{name} {shown.get(name)}' for name in details) or 'unchanged'}."
    )


def _remove(options: argparse.Namespace) -> None:
    with open_store(options.device) as store:
        store.remove(options.sku, who=options.who)
    print(f"{options.sku}: is not found any more; `undo` takes this back.")


def _undo(options: argparse.Namespace) -> None:
    with open_store(options.device) as store:
        event = store.undo(who=options.who)
    print(f"{event.sku}: line {event.detail['undoes']} of the log is undone.")


def _details(options: argparse.Namespace) -> dict[str, str]:
    """What was said of a product; an empty text empties a detail."""
    given = {name: getattr(options, name) for name in DETAILS if getattr(options, name) is not None}
    return given | dict(options.attribute)
