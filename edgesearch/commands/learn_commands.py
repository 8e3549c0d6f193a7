"""learn, learned: recognition that grows with use, and what a device made of it."""

import argparse
import json
import shlex
from pathlib import Path

from ..device.learned import LearnedPicture
from ..errors import DeviceError, EdgeSearchError
from ..html import html_page
from ..html.parts import pluralize
from ..store.learner import Learner, Lesson
from ..store.opening import open as open_store
from .arguments import WHO, Adder, positive_int
from .output import print_line, print_note, write_picture


def add(command: Adder) -> None:
    """Add the commands."""
    text = "Let a device learn from scanned barcodes and from choices (off by default)."
    parser = command("learn", _switch, text, "device on --vectors-only")
    parser.add_argument("device", type=Path, help="device folder")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    on = actions.add_parser("on", help="switch it on")
    on.add_argument("--vectors-only", action=argparse.BooleanOptionalAction, help="keep no pictures (default: keep)")
    on.add_argument("--customers", action=argparse.BooleanOptionalAction, help="learn from customers (default: no)")
    on.add_argument("--per-product", type=positive_int, metavar="N", help="pictures of a product (default: 16)")
    on.add_argument("--max-mb", type=positive_int, metavar="MB", help="megabytes of all pictures (default: 64)")
    on.set_defaults(on=True)
    actions.add_parser("off", help="switch it off; searches still use what was learned").set_defaults(on=False)
    one = actions.add_parser("from", help="learn from a photo whose product is known, such as a hook's choice")
    one.add_argument("photo", type=Path, help="picture file")
    one.add_argument("--sku", required=True, help="SKU of the product")
    one.set_defaults(run=_learn)
    for action in (on, one, actions.choices["off"]):
        action.add_argument("--who", help=WHO)

    parser = command("learned", _learned, "List, settle and take back what a device learned.", "device --take-back 12")
    parser.add_argument("device", type=Path, help="device folder")
    parser.add_argument("--take-back", type=positive_int, nargs="*", metavar="N", help="delete pictures N, or those of")
    parser.add_argument("--day", metavar="YYYY-MM-DD", help="list or take back those of a day (UTC)")
    parser.add_argument("--person", help="list or take back those that a person scanned or chose")
    parser.add_argument("--sku", help="list or take back those of a product")
    text = "use pictures that were set aside, as those of --sku if it is given"
    parser.add_argument("--accept", type=positive_int, nargs="+", metavar="N", help=text)
    parser.add_argument("--check", action="store_true", help="set aside pictures that look like another product")
    parser.add_argument("--erase", action="store_true", help="erase all of them, so that no byte stays in the file")
    parser.add_argument("--report", type=Path, metavar="PAGE", help="write an HTML page: how recognition grew")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="also write the pictures into a new folder")
    parser.add_argument("--who", help=WHO)
    parser.add_argument("--json", action="store_true", help="print one JSON object per picture")


def _switch(options: argparse.Namespace) -> None:
    names = ("vectors_only", "customers", "per_product", "max_mb")
    given = {name: value for name in names if (value := getattr(options, name, None)) is not None}
    with open_store(options.device) as store:
        settings = store.learner.switch(options.on, who=options.who, **given)
    if not settings.on:
        print_line(f"{options.device}: learns nothing from now on; `learned --erase` also erases what it learned.")
        return
    kept = "no pictures" if settings.vectors_only else f"up to {settings.max_mb} MB of pictures"
    whom = "staff and customers" if settings.customers else "staff"
    print_line(f"{options.device}: learns from {whom}; it keeps {settings.per_product} pictures a product, {kept}.")


def _learn(options: argparse.Namespace) -> None:
    with open_store(options.device) as store:
        print_line(format_lesson(store.learn(options.photo, options.sku, who=options.who)))


def format_lesson(lesson: Lesson) -> str:
    """Return a sentence about what became of a photo."""
    done = {"used": "learned", "waiting": "kept, not used yet", "aside": "set aside", "refused": "not learned"}
    text = f"{lesson.sku}: {done[lesson.state]}{f', number {lesson.number}' * bool(lesson.number)}"
    return f"{text}{f'; {lesson.why}' * bool(lesson.why)}".rstrip(".") + "."


def _learned(options: argparse.Namespace) -> None:
    if options.report:
        html_page.check_path(options.report)
    with open_store(options.device) as store:
        learner = store.learner
        if options.erase:
            print_line(f"{options.device}: {learner.erase(who=options.who)} learned pictures are erased.")
            return
        _print_all(_act(learner, options), options)
        if options.pictures:
            _write_pictures(learner, options)
        if options.report:
            _write_report(learner, options)


def _write_report(learner: Learner, options: argparse.Namespace) -> None:
    from ..evaluation import learned_page  # here, so that other commands do not load it

    progress = learner.progress()
    command = shlex.join(["edgesearch", "learned", str(options.device), "--report", str(options.report)])
    page = learned_page.page(progress, options.device.resolve().name, learner.picture, command)
    html_page.write(options.report, page)
    print_note(f"{options.report}: {pluralize(progress.asked, 'learned picture')} left out and asked.")


def _act(learner: Learner, options: argparse.Namespace) -> list[LearnedPicture]:
    """Do what was asked, and return the pictures to list."""
    filters = {"day": options.day, "person": options.person, "sku": options.sku}
    if options.take_back is not None:
        if not options.take_back and not any(filters.values()):
            raise EdgeSearchError("--take-back: names nothing; give numbers, --day, --person or --sku.")
        gone = learner.take_back(options.take_back, who=options.who, **filters)
        print_note(f"{options.device}: took back {len(gone)} learned pictures.")
        return gone
    if options.accept:
        return learner.accept(options.accept, sku=options.sku, who=options.who)
    if options.check:
        found = learner.check(who=options.who)
        print_note(f"{options.device}: set aside {len(found)} of {len(learner.pictures())} learned pictures.")
        return found
    return [one for one in learner.pictures() if _fits(one, options)]


def _fits(one: LearnedPicture, options: argparse.Namespace) -> bool:
    pairs = ((options.person, one.who), (options.sku, one.sku))
    return one.time.startswith(options.day or "") and all(asked in (None, value) for asked, value in pairs)


def _print_all(pictures: list[LearnedPicture], options: argparse.Namespace) -> None:
    for one in pictures:
        print_line(json.dumps(one.to_dict(), ensure_ascii=False) if options.json else _format_picture(one))


def _format_picture(one: LearnedPicture) -> str:
    """Return a line such as `   12  2026-11-30T10:15:02+00:00  P-9  used  barcode 4006381333931  Ada  90%`."""
    parts = [f"{one.number:5}", one.time, one.sku, one.state, f"{one.source} {one.code}".rstrip(), one.who]
    return "  ".join([*parts, f"{one.trust:.0%}", *filter(None, [one.why])])


def _write_pictures(learner: Learner, options: argparse.Namespace) -> None:
    folder: Path = options.pictures
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise DeviceError(f"{folder}: cannot be made ({error.strerror}); give the name of a new folder.") from error
    written = 0
    for one in learner.pictures():
        if _fits(one, options) and (picture := learner.picture(one.number)):
            write_picture(folder / f"{one.number}-{''.join(c if c.isalnum() else '_' for c in one.sku)}.jpg", picture)
            written += 1
    print_note(f"{folder}: {written} pictures.")
