"""count, sort: the commands for many photos of one product each."""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from .._util import blas
from ..counting import photo_sorting
from ..counting.count_journal import CountEntry
from ..counting.photo_count import Count, Progress
from ..images import photo_files
from ..store.opening import open as open_store
from ..store.store import Store
from .arguments import BARCODES, FAST, STORE, Adder, name_and_value
from .learn_commands import format_lesson
from .output import print_line, print_note


def add(command: Adder) -> None:
    """Add the commands."""
    parser = command("count", _count, "Count products in photos, one per photo.", "device photos/ -o stock.csv")
    parser.add_argument("store", type=Path, help=STORE)
    parser.add_argument("photos", type=Path, nargs="*", help="photos, or folders of photos; each is counted only once")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="CSV",
        help="list to write or continue, with stock.session beside it; fill in stock.review.csv and run again",
    )
    parser.add_argument("--undo", action="store_true", help="take back the last counted photo, one more each time")
    parser.add_argument(
        "--correct",
        type=name_and_value,
        action="append",
        default=[],
        metavar="PHOTO=SKU",
        help='set the product of a photo; "-" for nothing to count, "" to review it again',
    )
    parser.add_argument("--all", action="store_true", help="also list products that were not counted")
    _add_search_options(parser)

    parser = command(
        "sort", _sort, "Sort photos by a detail of the product in each.", "device photos/ --by location -o sorted"
    )
    parser.add_argument("store", type=Path, help=STORE)
    parser.add_argument("photos", type=Path, nargs="+", help="photos, or folders of photos")
    parser.add_argument(
        "--by", required=True, metavar="DETAIL", help="category, location, sku, or any other detail of the catalogue"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FOLDER",
        help="copy each photo into a subfolder named after its value, or into `review`",
    )
    _add_search_options(parser)


def _add_search_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fast", action=argparse.BooleanOptionalAction, help=FAST)
    parser.add_argument("--barcodes", action=argparse.BooleanOptionalAction, help=BARCODES)
    parser.add_argument("--json", action="store_true", help="print one JSON object per photo")


def _count(options: argparse.Namespace) -> None:
    def print_progress(progress: Progress) -> None:
        if progress.new:
            as_json = json.dumps(progress.entry.to_dict(), ensure_ascii=False)
            print_line(as_json if options.json else _format_progress(progress), flush=True)

    blas.use_one_thread()
    with open_store(options.store) as store:
        count = Count(store, options.output, options.fast, options.barcodes, options.all)
        with count:
            if before := sum(count.counts.values()):
                print_note(f"{options.output}: continues; {before} photos were counted before.")
            if options.undo:
                print_note(_format_entry(count.undo()))
            for photo, sku in options.correct:
                entry = count.correct(photo, sku)
                print_note(_format_entry(entry))
                _teach(store, options.photos, entry)
            count.add_photos(options.photos, print_progress)
        for note in count.notes:
            print_note(note)
        counts, waiting = count.counts, count.to_review
    print_note(
        f"{options.output}: {sum(counts.values())} photos counted, of {len(counts)} products"
        + f"; {len(waiting)} wait in {count.review}: fill in their SKUs and run again" * bool(waiting)
        + "."
    )


def _teach(store: Store, paths: Sequence[Path], entry: CountEntry) -> None:
    """Let a device that learns learn from a corrected photo, if the photo is among the given ones."""
    if store.overlay is None or entry.status != "counted" or not store.learner.settings().on:
        return
    found, _ = photo_files.find_photos(paths)
    for photo in [photo for photo in found if photo.name == entry.photo][:1]:
        print_note(format_lesson(store.learn(photo.path, entry.sku)))


def _format_progress(progress: Progress) -> str:
    entry = progress.entry
    start = f"{progress.done}/{progress.total}  {entry.photo}: "
    if entry.status != "counted":
        return f"{start}set aside, {entry.why}{_format_choices(entry.candidates)}"
    return f"{start}{entry.sku}  {entry.name}  ({progress.counted}{', by its barcode' * (entry.by == 'barcode')})"


def _format_entry(entry: CountEntry) -> str:
    """Return a sentence about an entry that a person changed."""
    texts = {"counted": f"counted as {entry.sku} {entry.name}", "dropped": "not counted"}
    return f"{entry.photo}: {texts.get(entry.status, entry.why or 'waits for review')}."


def _sort(options: argparse.Namespace) -> None:
    groups: Counter[str] = Counter()
    unreadable: list[str] = []
    if options.output:
        photo_sorting.check_output(options.photos, options.output)
    blas.use_one_thread()
    found, others = photo_files.find_photos(options.photos)
    with open_store(options.store) as store:
        for photo in photo_sorting.assign_groups(store, found, options.by, options.fast, options.barcodes):
            copied = photo_sorting.copy_to_group(photo, options.output) if options.output else None
            if options.output and copied is None:
                unreadable.append(photo.photo)
            groups[photo.folder] += 1
            table = {**photo.to_dict(), "placed": copied and str(copied)}
            print_line(json.dumps(table, ensure_ascii=False) if options.json else _format_sorted(photo), flush=True)
    if others:
        print_note(photo_files.describe_skipped(others))
    if unreadable:
        names = ", ".join(unreadable[: photo_files.MAX_NAMES])
        print_note(f"unreadable, and not copied ({len(unreadable)}): {names}")
    print_note("; ".join(f"{folder}: {count}" for folder, count in sorted(groups.items())) or "no photos.")


def _format_sorted(photo: photo_sorting.SortedPhoto) -> str:
    choices = _format_choices(photo.candidates)
    product = ", ".join(filter(None, (f"{photo.sku} {photo.name}".strip(), f"{photo.why}{choices}")))
    return f"{photo.photo} -> {product} -> {photo.value or photo_sorting.REVIEW}"


def _format_choices(candidates: Sequence[tuple[str, str]]) -> str:
    return f" ({'; '.join(f'{sku} {name}' for sku, name in candidates)})" if candidates else ""
