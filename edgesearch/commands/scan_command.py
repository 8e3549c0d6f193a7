"""scan: answer continuously on a handheld or kiosk."""

import argparse
import contextlib
import json
from collections.abc import Callable
from pathlib import Path

from .._util import blas
from .._util.systemd import Notifier
from ..answer import CHOICES, Answer
from ..capture.hooks import TIMEOUT_S, Hooks
from ..capture.inbox import TRIGGER, EndScan, Inbox
from ..capture.scan_loop import Notices, Scanner
from ..capture.scan_result import ScanResult
from ..capture.watched_folder import PathStream
from ..capture.wedge import Wedge
from ..counting.photo_count import Count
from ..counting.scan_count import ScanCount, describe_totals
from ..store.opening import open as open_store
from .arguments import FAST, STORE, Adder, positive_int, positive_seconds
from .output import print_line, print_note
from .photo_sources import add_cameras, handle_signals, open_source

STDIN, STDIN_FD = Path("-"), 0


def add(command: Adder) -> None:
    """Add the command."""
    text = "Answer photos from a camera, a folder or a barcode scanner until stopped."
    parser = command("scan", _scan, text, "device --camera --wedge --count stock.csv")
    parser.set_defaults(refuse=parser.error)
    parser.add_argument("store", type=Path, help=STORE)
    _add_sources(parser)
    parser.add_argument("--count", type=Path, metavar="CSV", help="count what is scanned, as `count` does")
    parser.add_argument(
        "--hook",
        action="append",
        default=[],
        metavar="COMMAND",
        help="run COMMAND for each answer, with the answer as JSON on stdin and EDGESEARCH_SKU etc. in its environment",
    )
    parser.add_argument(
        "--hook-timeout",
        type=positive_seconds,
        default=TIMEOUT_S,
        metavar="S",
        help=f"stop a hook after S seconds (default: {TIMEOUT_S:g})",
    )
    parser.add_argument("-k", type=positive_int, default=3, help="number of products per answer (default: 3)")
    parser.add_argument("--fast", action=argparse.BooleanOptionalAction, help=FAST)
    parser.add_argument("--json", action="store_true", help="print one JSON object per answer")


def _add_sources(parser: argparse.ArgumentParser) -> None:
    sources = parser.add_mutually_exclusive_group()
    add_cameras(sources)
    sources.add_argument("--watch", type=Path, metavar="FOLDER", help="answer photos that arrive in FOLDER")
    sources.add_argument("--paths", action="store_true", help="read paths of photos from stdin, one per line")
    parser.add_argument(
        "--wedge",
        type=Path,
        nargs="?",
        const=STDIN,
        metavar="DEVICE",
        help="read barcodes from an input device (default: stdin); an empty line triggers the camera, "
        '"*12" counts twelve of the last product, "-" undoes',
    )
    parser.add_argument("--live", action="store_true", help="with --wedge, answer without waiting for the trigger")
    parser.add_argument("--backlog", action="store_true", help="with --watch, answer photos already in the folder too")


def _scan(options: argparse.Namespace) -> int:
    if not (options.camera or options.program or options.watch or options.paths or options.wedge):
        options.refuse("give --camera, --program, --watch, --paths or --wedge")
    if options.paths and options.wedge == STDIN:
        options.refuse("--paths and --wedge both read stdin; name the wedge's device")
    blas.use_one_thread()
    inbox, notify, notifier = Inbox(), Notices(print_note), Notifier()
    source = PathStream(STDIN_FD, inbox) if options.paths else open_source(options, inbox)
    wedge = Wedge(STDIN_FD if options.wedge == STDIN else options.wedge, inbox) if options.wedge else None
    live = options.live or wedge is None
    with contextlib.ExitStack() as stack:
        stack.enter_context(handle_signals(inbox))
        store = stack.enter_context(open_store(options.store))
        hooks = stack.enter_context(contextlib.closing(Hooks(options.hook, notify, options.hook_timeout)))
        count = stack.enter_context(Count(store, options.count, options.fast)) if options.count else None
        scan_count, report = ScanCount(count) if count else None, _make_reporter(options.json, hooks, notify)
        scanner = Scanner(store, report, notify, scan_count, live, options.k, options.fast)
        if source:
            source.start()
            stack.callback(source.stop)
        if wedge:
            wedge.start()
            stack.callback(wedge.stop)
        stack.callback(notifier.notify, STOPPING="1")
        notifier.notify(READY="1")
        while _has_source_left(scanner.run(inbox, notifier.beat), options):
            pass
        if count:
            stack.callback(lambda: print_note(f"{options.count}: {describe_totals(count.counts)}."))
    return 1 if options.paths and scanner.failed else 0


def _has_source_left(ended: EndScan, options: argparse.Namespace) -> bool:
    """Return whether a camera or folder still brings photos after a source ended."""
    return ended.source == TRIGGER and bool(options.watch or (options.live and (options.camera or options.program)))


def _make_reporter(as_json: bool, hooks: Hooks, notify: Notices) -> Callable[[ScanResult], None]:
    """Return a function that prints each result and passes it to the hooks."""

    def report(result: ScanResult) -> None:
        table = json.dumps(result.to_dict(), ensure_ascii=False)
        hooks.submit(table.encode(errors="backslashreplace"), result.to_environment())
        if result.error and not as_json:
            notify(str(result.error))
            return
        try:
            print_line(table if as_json else _format_result(result), flush=True)
        except BrokenPipeError:
            raise
        except OSError as error:  # for instance, stdout is a file on a full disk
            notify(f"output: an answer is lost ({error.strerror}); check the free space.")

    return report


def _format_result(result: ScanResult) -> str:
    """Return a line such as `10:15:02  match  98%  P-9  Blue mug  4.29 EUR  B2  (83 ms)  counted: 4`."""
    parts = [result.at[11:19]]
    if result.answer:
        parts += _format_answer(result.answer, result.source in ("file", "wedge"))
        took = result.answer.elapsed_ms["total"] if result.age_ms is None else result.age_ms
        parts.append(f"({took:.0f} ms)")
    if result.counted:
        product = f"{result.counted.sku}  {result.counted.name}  "
        undone = f"undone: {product}" * (result.counted.more < 0)
        more = product * (result.answer is None and result.counted.more >= 0)
        parts.append(f"{undone}{more}counted: {result.counted.count}")
    return "  ".join(parts)


def _format_answer(answer: Answer, with_name: bool) -> list[str]:
    parts = [f"{answer.photo}:"] * with_name + [answer.decision]
    for match in answer.matches[: {"match": 1, "ambiguous": CHOICES}.get(answer.decision, 0)]:
        product = match.product
        price = "" if match.price is None else f"{match.price:.2f} {product.currency or ''}".rstrip()
        parts += filter(None, (f"{match.probability:.0%}", match.sku, match.name, price, product.location))
    if answer.decision == "unknown" and any(label.text == answer.photo for label in answer.barcodes):
        parts.append("no product has this barcode")
    return parts + [answer.conflict] * bool(answer.conflict) + [answer.advice] * bool(answer.advice)
