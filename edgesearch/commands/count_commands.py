"""count, sort: what is done with photos of many products, one a photo."""

import argparse
import json
from collections import Counter
from pathlib import Path

from .._util import blas
from ..counting import photo_sorting
from ..counting.count_journal import CountEntry
from ..counting.photo_count import Count, Progress
from ..images import photo_files
from ..store.store import open as open_store
from .arguments import BARCODES, FAST, STORE, Adder, named
from .output import say


def add(command: Adder) -> None:
    """Add them."""
    added = command("count", _count, "Count photos of one product each into a list.", "device photos/ -o stock.csv")
    added.add_argument("store", type=Path, help=STORE)
    added.add_argument(
        "photos", type=Path, nargs="*", help="folders of photos, or photos; those counted before are not again"
    )
    added.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="CSV",
        help="the list; it is gone on with where it is there, with CSV.session; fill in CSV.review.csv and run again",
    )
    added.add_argument(
        "--undo", action="store_true", help="take back the photo that was counted last, one more each time"
    )
    added.add_argument(
        "--correct",
        type=named,
        action="append",
        default=[],
        metavar="PHOTO=SKU",
        help='what a photo shows; "-": nothing to count; "": to be reviewed',
    )
    added.add_argument("--all", action="store_true", help="list products that were not counted too")
    _looking(added)

    added = command(
        "sort", _sort, "Sort photos by a detail of what they show.", "device photos/ --by location -o sorted"
    )
    added.add_argument("store", type=Path, help=STORE)
    added.add_argument("photos", type=Path, nargs="+", help="folders of photos, or photos")
    added.add_argument(
        "--by", required=True, metavar="DETAIL", help="category, location, sku, or any other of the catalogue"
    )
    added.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FOLDER",
        help="copy each into a folder there named by its value, or review",
    )
    _looking(added)


def _looking(added: argparse.ArgumentParser) -> None:
    added.add_argument("--fast", action=argparse.BooleanOptionalAction, help=FAST)
    added.add_argument("--barcodes", action=argparse.BooleanOptionalAction, help=BARCODES)
    added.add_argument("--json", action="store_true", help="one JSON object a photo")


def _count(options: argparse.Namespace) -> None:
    def tell(progress: Progress) -> None:
        if progress.new:
            line = json.dumps(progress.entry.to_dict(), ensure_ascii=False) if options.json else _line(progress)
            print(line, flush=True)

    blas.on_one_thread()
    with open_store(options.store) as store:
        count = Count(store, options.output, options.fast, options.barcodes, options.all)
        with count:
            if before := sum(count.counts.values()):
                say(f"{options.output}: goes on; {before} photos are counted.")
            if options.undo:
                say(_said(count.undo()))
            for photo, sku in options.correct:
                say(_said(count.correct(photo, sku)))
            count.add_photos(options.photos, tell)
        for note in count.notes:
            say(note)
        counts, waiting = count.counts, count.to_review
    say(
        f"{options.output}: {sum(counts.values())} photos counted, of {len(counts)} products"
        + f"; {len(waiting)} wait in {count.review}, fill in their SKU and run again" * bool(waiting)
        + "."
    )


def _line(progress: Progress) -> str:
    seen = progress.entry
    place = f"{progress.done}/{progress.total}  {seen.photo}: "
    if seen.status != "counted":
        return f"{place}set aside, {seen.why}"
    return f"{place}{seen.sku}  {seen.name}  ({progress.counted}{', by its barcode' * (seen.by == 'barcode')})"


def _said(seen: CountEntry) -> str:
    """What became of a photo by hand."""
    said = {"counted": f"counted as {seen.sku} {seen.name}", "dropped": "not counted"}
    return f"{seen.photo}: {said.get(seen.status, seen.why or 'waits')}."


def _sort(options: argparse.Namespace) -> None:
    groups: Counter[str] = Counter()
    left: list[str] = []
    if options.output:
        photo_sorting.check_output(options.photos, options.output)
    blas.on_one_thread()
    found, others = photo_files.find_photos(options.photos)
    with open_store(options.store) as store:
        for one in photo_sorting.assign_groups(store, found, options.by, options.fast, options.barcodes):
            placed = photo_sorting.copy_to_group(one, options.output) if options.output else None
            if options.output and placed is None:
                left.append(one.photo)
            groups[one.folder] += 1
            shown = {**one.to_dict(), "placed": placed and str(placed)}
            print(json.dumps(shown, ensure_ascii=False) if options.json else _plan(one), flush=True)
    if others:
        say(photo_files.describe_skipped(others))
    if left:
        say(f"cannot be read, and not copied ({len(left)}): {', '.join(left[: photo_files.SHOWN])}")
    say("; ".join(f"{folder}: {count}" for folder, count in sorted(groups.items())) or "no photos.")


def _plan(one: photo_sorting.SortedPhoto) -> str:
    what = ", ".join(filter(None, (f"{one.sku} {one.name}".strip(), one.why)))
    return f"{one.photo} -> {what} -> {one.value or photo_sorting.REVIEW}"
