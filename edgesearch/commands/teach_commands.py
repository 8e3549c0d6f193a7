"""enrol, edit, remove, undo: the commands with which staff teach a device."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..catalog.product import OPTIONAL, details_of
from ..device.changes import describe_value
from ..images import quality
from ..store.opening import open as open_store
from .arguments import WHO, Adder, name_and_value
from .output import print_line, print_note

DETAILS = ("name", *OPTIONAL)


def add(command: Adder) -> None:
    """Add the commands."""

    def add_teaching(name: str, run: Callable[..., Any], text: str, example: str) -> argparse.ArgumentParser:
        parser = command(name, run, text, example)
        parser.add_argument("device", type=Path, help="device folder")
        parser.add_argument("--who", help=WHO)
        if name != "undo":
            parser.add_argument("--sku", required=True, help="SKU of the product")
        if name in ("enrol", "edit"):
            for detail in DETAILS:
                parser.add_argument(f"--{detail}", help=f'{detail} of the product, "" for none')
            parser.add_argument(
                "--attribute",
                type=name_and_value,
                action="append",
                default=[],
                metavar="NAME=VALUE",
                help="any other detail",
            )
        return parser

    example = 'device --sku P-9 --name "Blue mug" photo.jpg'
    parser = add_teaching("enrol", _enrol, "Teach a device a product from photos.", example)
    parser.add_argument("photo", nargs="+", help="picture files, 1 to 5")
    add_teaching("edit", _edit, "Change details of a product on a device.", "device --sku P-9 --price 4.50")
    add_teaching("remove", _remove, "Remove a product from a device's answers.", "device --sku P-9")
    add_teaching("undo", _undo, "Undo the last change to a device.", "device")


def _enrol(options: argparse.Namespace) -> None:
    with open_store(options.device) as store:
        done = store.enrol(options.sku, options.photo, who=options.who, **_details(options))
    known = "" if done.changes else ", all of them known before; nothing changed"
    print_line(f"{options.sku}: {done.product.name}; learned from {done.pictures} pictures{known}.")
    for photo, flaw in zip(options.photo, done.flaws, strict=True):
        if flaw:
            print_note(f"note: {photo}: {quality.ADVICE[flaw]} `undo` takes this back.")
    if done.like:
        print_note(f"note: the first photo used to match {done.like.sku} {done.like.name}; `undo` takes this back.")


def _edit(options: argparse.Namespace) -> None:
    with open_store(options.device) as store:
        before = store.products([options.sku]).get(options.sku)
        product = store.edit(options.sku, who=options.who, **_details(options))
    old, new = details_of(before) if before else {}, details_of(product)
    names = [name for name in dict.fromkeys([*new, *old]) if old.get(name) != new.get(name)]
    changed = ", ".join(describe_value(name, old.get(name), new.get(name)) for name in names)
    print_line(f"{product.sku}: {product.name}; {changed or 'nothing changed'}.")


def _remove(options: argparse.Namespace) -> None:
    with open_store(options.device) as store:
        store.remove(options.sku, who=options.who)
    print_line(f"{options.sku}: removed; `undo` brings it back.")


def _undo(options: argparse.Namespace) -> None:
    with open_store(options.device) as store:
        event = store.undo(who=options.who)
    undone, by, line = (event.detail[name] for name in ("undone", "by", "undoes"))
    print_line(f"{event.sku}: undone: {undone} by {by}, line {line} of the log; now {', '.join(event.changes)}.")


def _details(options: argparse.Namespace) -> dict[str, str]:
    """Return the details given; an empty text clears a detail."""
    given = {name: getattr(options, name) for name in DETAILS if getattr(options, name) is not None}
    return given | dict(options.attribute)
