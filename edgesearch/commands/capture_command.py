"""capture: take photos of the products that need them most."""

import argparse
import contextlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._util import blas
from ..capture.guided_capture import BACK, QUIT, SKIP, GuidedCapture, Visit
from ..capture.inbox import Inbox
from ..capture.wedge import Wedge
from ..errors import EdgeSearchError
from ..search.photo_needs import PhotoNeed
from ..store.opening import open as open_store
from ..store.photo_session import ADVICE, Recognition, Step
from ..store.store import Store
from . import terminal_picture
from .arguments import WHO, Adder, positive_int
from .output import print_line, print_note
from .photo_sources import add_cameras, handle_signals, open_source

STDIN_FD = 0


def add(command: Adder) -> None:
    """Add the command."""
    text = "Take photos of the products that need them most; the device learns them."
    parser = command("capture", _capture, text, "device --location A3 --camera")
    parser.set_defaults(refuse=parser.error, backlog=False)
    parser.add_argument("device", type=Path, help="device folder")
    parser.add_argument("--location", default="", metavar="PLACE", help="only products there, such as A3")
    parser.add_argument("-k", type=positive_int, default=20, help="number of products (default: 20)")
    sources = parser.add_mutually_exclusive_group()
    add_cameras(sources)
    sources.add_argument("--watch", type=Path, metavar="FOLDER", help="take photos that arrive in FOLDER")
    sources.add_argument("--list", action="store_true", help="only list the products")
    parser.add_argument("--wedge", type=Path, metavar="DEVICE", help="also read barcodes from an input device")
    parser.add_argument("--who", help=WHO)
    parser.add_argument("--json", action="store_true", help="print one JSON object per event")


def _capture(options: argparse.Namespace) -> None:
    if not (options.camera or options.program or options.watch or options.list):
        options.refuse("give --camera, --program, --watch or --list")
    blas.use_one_thread()
    with open_store(options.device) as store:
        needs = store.photo_needs(options.k, location=options.location)
        if not needs:
            place = f" at {options.location}" if options.location else ""
            raise EdgeSearchError(f"{options.device}: has no products{place}; check the place with `search --where`.")
        if options.list:
            for need in needs:
                print_line(_format_need(need, options.json))
            return
        _take_photos(options, store, needs)


def _take_photos(options: argparse.Namespace, store: Store, needs: list[PhotoNeed]) -> None:
    store.photo_session(needs[0].match.sku)  # raises an error if the device does not learn
    inbox, screen = Inbox(), _Screen(store, options.json)
    source, wedges = open_source(options, inbox), [Wedge(STDIN_FD, inbox)]
    wedges += [Wedge(options.wedge, inbox)] if options.wedge else []
    with contextlib.ExitStack() as stack:
        stack.enter_context(handle_signals(inbox))
        for part in (source, *wedges) if source else wedges:
            part.start()
            stack.callback(part.stop)
        more = bool(options.wedge or options.watch)
        capture = GuidedCapture(store, [need.match for need in needs], screen, options.who, more)
        capture.run(inbox)
    screen.sum_up(capture.visits)


@dataclass
class _Screen:
    """Print what to do, and what was done; notes go to stderr."""

    store: Store
    as_json: bool
    advised: str = ""

    def offer(self, visit: Visit, number: int, count: int) -> None:
        product = visit.product.product
        self.advised = ""
        if self.as_json:
            self._print(event="offer", number=number, count=count, sku=product.sku, name=product.name)
            return
        print_line("  ".join(filter(None, [f"{number} of {count}", product.sku, product.name, product.location])))
        if sys.stdout.isatty():
            print("\n".join(terminal_picture.draw(self.store.picture(visit.product))))
        keys = f"Enter begins, then takes a frame; {SKIP} goes on, {BACK} goes back, {QUIT} ends"
        print_line(f"  show it to the camera ({keys})", flush=True)

    def advise(self, step: Step, frame: bool) -> None:
        if self.as_json:
            self._print(event="frame" if frame else "photo", **step.to_dict())
            return
        if self.advised == "dark" and step.advice != "dark":
            print_line("  there is enough light now.")
        self.advised = step.advice
        like = f"{step.like}: " if step.like else ""
        print_line(f"  {step.taken} taken; {like}{ADVICE[step.advice]}", flush=True)

    def finish(self, visit: Visit) -> None:
        product, session = visit.product.product, visit.session
        assert session
        if self.as_json:
            changed = visit.recognition.to_dict() if visit.recognition else None
            self._print(event="product", sku=product.sku, numbers=session.numbers, recognition=changed)
            return
        said = f"; {_format_recognition(visit.recognition)}" if visit.recognition else ""
        print_line(f"  {product.name}: {len(session.numbers)} photos{said}.", flush=True)

    def notify(self, text: str) -> None:
        print_note(text)

    def sum_up(self, visits: list[Visit]) -> None:
        """Print what all photos changed."""
        done = [visit.recognition for visit in visits if visit.recognition]
        sums = [sum(values) for values in zip(*(tuple(one.to_dict().values()) for one in done), strict=True)]
        total = Recognition(*sums) if sums else Recognition(0, 0, 0, 0, 0)
        if self.as_json:
            self._print(event="end", products=len(done), recognition=total.to_dict())
        else:
            print_line(f"{len(done)} products, {total.photos} photos; {_format_recognition(total)}.")

    def _print(self, **event: Any) -> None:
        print_line(json.dumps(event, ensure_ascii=False), flush=True)


def _format_recognition(one: Recognition) -> str:
    return (
        f"asked without itself, {one.first_before} of {one.photos} found it first before, {one.first_after} now; "
        f"{one.match_before} matched, {one.match_after} now"
    )


def _format_need(need: PhotoNeed, as_json: bool) -> str:
    product = need.match.product
    if as_json:
        return json.dumps({"sku": product.sku, "name": product.name} | need.to_dict(), ensure_ascii=False)
    pictures = f"{need.pictures} picture{'s' * (need.pictures != 1)}"
    missed = "" if need.missed is None else f"about {need.missed:.0%} of its photos are missed"
    return "  ".join(filter(None, [product.sku, product.name, product.location, pictures, missed]))
