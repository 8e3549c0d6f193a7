"""scan: answers for as long as it runs, on a handheld."""

import argparse
import contextlib
import json
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from .._util import blas
from .._util.systemd import Notifier
from ..answer import Answer
from ..capture.camera import V4L2, Feed, Program
from ..capture.hooks import TIMEOUT_S, Hooks
from ..capture.inbox import TRIGGER, Inbox, Reopen, Stop
from ..capture.scan_loop import Notes, Scan, Scanner
from ..capture.watched_folder import Paths, WatchedFolder
from ..capture.wedge import Wedge
from ..counting.photo_count import Count
from ..counting.scan_count import ScanCount, describe_totals
from ..store.store import open as open_store
from .arguments import FAST, STORE, Adder, at_least_one, seconds
from .output import say

STDIN, STDIN_FD = Path("-"), 0


def add(command: Adder) -> None:
    """Add it."""
    text = "Answer what a camera, a folder or a barcode wedge brings, until it is stopped."
    added = command("scan", _scan, text, "device --camera --wedge --count stock.csv")
    added.set_defaults(refuse=added.error)
    added.add_argument("store", type=Path, help=STORE)
    sources = added.add_mutually_exclusive_group()
    sources.add_argument(
        "--camera", type=Path, nargs="?", const=Path(), metavar="DEVICE", help="of Linux (default: the first there is)"
    )
    sources.add_argument(
        "--program", metavar="COMMAND", help="one that writes JPEGs to its output, as rpicam-vid or ffmpeg"
    )
    sources.add_argument("--watch", type=Path, metavar="FOLDER", help="into which photos are dropped")
    sources.add_argument("--paths", action="store_true", help="of photos, a line each on stdin")
    added.add_argument(
        "--wedge",
        type=Path,
        nargs="?",
        const=STDIN,
        metavar="DEVICE",
        help="barcodes, and an empty line as trigger, from an input device (default: stdin); the camera then waits "
        'for the trigger; "*12": twelve of the last, "-": takes that back',
    )
    added.add_argument("--live", action="store_true", help="with --wedge, the camera does not wait for the trigger")
    added.add_argument("--backlog", action="store_true", help="answer photos too that are in the folder already")
    added.add_argument("--count", type=Path, metavar="CSV", help="count what is scanned; goes on with it, as count")
    added.add_argument(
        "--hook",
        action="append",
        default=[],
        metavar="COMMAND",
        help="run for each answer, which is its input, as JSON; the main facts are EDGESEARCH_SKU and so on",
    )
    added.add_argument("--hook-timeout", type=seconds, default=TIMEOUT_S, metavar="S", help=f"(default: {TIMEOUT_S:g})")
    added.add_argument("-k", type=at_least_one, default=3, help="products of an answer (default: 3)")
    added.add_argument("--fast", action=argparse.BooleanOptionalAction, help=FAST)
    added.add_argument("--json", action="store_true", help="one JSON object an answer")


def _scan(options: argparse.Namespace) -> int:
    if not (options.camera or options.program or options.watch or options.paths or options.wedge):
        options.refuse("give --camera, --program, --watch, --paths or --wedge")
    if options.paths and options.wedge == STDIN:
        options.refuse("--paths and --wedge both read stdin; name the wedge's device")
    blas.on_one_thread()
    inbox, notes, notifier = Inbox(), Notes(say), Notifier()
    source = _source(options, inbox)
    wedge = Wedge(STDIN_FD if options.wedge == STDIN else options.wedge, inbox) if options.wedge else None
    live = options.live or wedge is None
    with contextlib.ExitStack() as stack:
        stack.enter_context(_signals(inbox))
        store = stack.enter_context(open_store(options.store))
        hooks = stack.enter_context(contextlib.closing(Hooks(options.hook, notes, options.hook_timeout)))
        count = stack.enter_context(Count(store, options.count, options.fast)) if options.count else None
        tally, tell = ScanCount(count) if count else None, _teller(options.json, hooks, notes)
        scanner = Scanner(store, tell, notes, tally, live, options.k, options.fast)
        if source:
            source.start()
            stack.callback(source.stop)
        if wedge:
            wedge.start()
            stack.callback(wedge.stop)
        stack.callback(notifier.tell, STOPPING="1")
        notifier.tell(READY="1")
        while _goes_on(scanner.run(inbox, notifier.beat), options):
            pass
        if count:
            stack.callback(lambda: say(f"{options.count}: {totals(count.counts)}."))
    return 1 if options.paths and scanner.failed else 0


def _source(options: argparse.Namespace, inbox: Inbox) -> Feed | WatchedFolder | Paths | None:
    """What brings frames or photos; raises ScanError."""
    if options.camera or options.program:
        return Feed(Program(options.program) if options.program else V4L2(_device(options.camera)), inbox)
    if options.watch:
        return WatchedFolder(options.watch, inbox, options.backlog)
    return Paths(STDIN_FD, inbox) if options.paths else None


def _device(path: Path) -> Path | None:
    return None if path == Path() else path


def _goes_on(ended: Stop, options: argparse.Namespace) -> bool:
    """Something is left that brings photos."""
    return ended.of == TRIGGER and bool(options.watch or (options.live and (options.camera or options.program)))


@contextlib.contextmanager
def _signals(inbox: Inbox) -> Iterator[None]:
    """SIGTERM and SIGINT end the scan after the answer under way, SIGHUP looks for another bundle."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    events: dict[int, Stop | Reopen] = {signal.SIGTERM: Stop(), signal.SIGINT: Stop()}
    if hasattr(signal, "SIGHUP"):
        events[signal.SIGHUP] = Reopen()

    def heard(number: int, _: FrameType | None) -> None:
        inbox.tell(events[number])

    before = {number: signal.signal(number, heard) for number in events}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _teller(as_json: bool, hooks: Hooks, note: Notes) -> Callable[[Scan], None]:
    def tell(scan: Scan) -> None:
        table = json.dumps(scan.to_dict(), ensure_ascii=False)
        hooks.tell(table.encode(errors="backslashreplace"), scan.facts())
        if scan.error and not as_json:
            note(str(scan.error))
            return
        try:
            print(table if as_json else _line(scan), flush=True)
        except BrokenPipeError:
            raise
        except OSError as error:  # a full disk under the output
            note(f"output: an answer is lost ({error.strerror}); check its space.")

    return tell


def _line(scan: Scan) -> str:
    """10:15:02  match  98%  P-9  Blue mug  4.29 EUR  B2  (83 ms)  counted: 4"""
    parts = [scan.at[11:19]]
    if scan.answer:
        parts += _said(scan.answer, scan.source in ("file", "wedge"))
        took = scan.answer.elapsed_ms["total"] if scan.age_ms is None else scan.age_ms
        parts.append(f"({took:.0f} ms)")
    if scan.counted:
        taken = f"taken back: {scan.counted.sku}  {scan.counted.name}  " * (scan.counted.more < 0)
        more = f"{scan.counted.sku}  {scan.counted.name}  " * (scan.answer is None and scan.counted.more >= 0)
        parts.append(f"{taken}{more}counted: {scan.counted.count}")
    return "  ".join(parts)


def _said(answer: Answer, with_name: bool) -> list[str]:
    parts = [f"{answer.photo}:"] * with_name + [answer.decision]
    shown = answer.matches[: {"match": 1, "ambiguous": 3}.get(answer.decision, 0)]
    for match in shown:
        product = match.product
        price = "" if match.price is None else f"{match.price:.2f} {product.currency or ''}".rstrip()
        parts += filter(None, (f"{match.probability:.0%}", match.sku, match.name, price, product.location))
    if answer.decision == "unknown" and any(label.text == answer.photo for label in answer.barcodes):
        parts.append("no product has this code")
    return parts + [answer.conflict] * bool(answer.conflict) + [answer.advice] * bool(answer.advice)
