"""The commands. Answers go to stdout, everything else to stderr; nothing is computed here.

Exit status: 0 answered (an unknown product is an answer), 1 our error in one line, 2 usage.
"""

import argparse
import contextlib
import io
import json
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from . import catalog, device, doctor, engine, evaluate, signing
from .answer import Answer
from .build import build
from .delta import delta
from .errors import EdgeSearchError
from .local import KEPT, MOST_KEPT
from .manifest import Manifest
from .overlay import Event
from .sealing import KEY_FILE
from .slots import Slots, open_bundle

DETAILS = ("name", *catalog.OPTIONAL)
WHO = "for the log (default: the user of the system)"
STORE = ".edge file, or device folder"
COMMANDS = (
    "keygen", "build", "delta", "install", "rollback", "enrol", "edit", "remove", "undo", "overlay", "log", "doctor",
    "search", "eval", "inspect", "verify",
)  # fmt: skip
FAST = "one look at a photo instead of three, none at its print (default: as doctor chose, else three)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = _parser().parse_args(arguments)
    if options.key_file:
        os.environ[KEY_FILE] = str(options.key_file)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name the terminal cannot show is no reason to fail
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="PIL")  # our own sentence says it
            status = int(options.run(options) or 0)
        sys.stdout.flush()
        return status
    except EdgeSearchError as error:
        return _failed(error)
    except BrokenPipeError:  # the reader of our output has left, as `| head` does
        _discard_stdout()
        return 1
    except KeyboardInterrupt:
        return _failed("stopped; nothing half-done is used.")
    except (OSError, MemoryError) as error:
        _discard_stdout()
        return _failed(
            f"the system refused ({error or type(error).__name__}); check free space, memory and permissions."
        )


def _keygen(options: argparse.Namespace) -> None:
    if options.device:
        print(f"{signing.keygen_device(options.name)}: give it to devices apart from their folders, with --key-file.")
        return
    private, public = signing.keygen(options.name)
    print(f"{private}: keep it where bundles are built, and nowhere else.")
    print(f"{public}: {signing.read_public(public)[:8]}; give it to devices with `install --trust`.")


def _delta(options: argparse.Namespace) -> None:
    delta(options.old, options.new, options.output, options.sign)
    size, full = (path.stat().st_size for path in (options.output, options.new))
    print(f"{options.output}: {size:,} bytes instead of {full:,}, for devices that have {options.old}.")


def _install(options: argparse.Namespace) -> None:
    _runs(options.to, device.install(options.bundle, options.to, options.trust, options.who, options.encrypt))


def _rollback(options: argparse.Namespace) -> None:
    _runs(options.device, device.rollback(options.device, options.who))


def _enrol(options: argparse.Namespace) -> None:
    with engine.open(options.device) as store:
        done = store.enrol(options.sku, options.photo, who=options.who, **_details(options))
    print(f"{options.sku}: {done.product.name}; {done.pictures} pictures taught, found from now on.")
    if done.like:
        _say(f"note: before, the first photo was taken for {done.like.sku} {done.like.name}; `undo` takes this back.")


def _edit(options: argparse.Namespace) -> None:
    details = _details(options)
    with engine.open(options.device) as store:
        product = store.edit(options.sku, who=options.who, **details)
    shown = vars(product) | dict(product.attributes)
    print(
        f"{product.sku}: {product.name}; {', '.join(f'{name} {shown.get(name)}' for name in details) or 'unchanged'}."
    )


def _remove(options: argparse.Namespace) -> None:
    with engine.open(options.device) as store:
        store.remove(options.sku, who=options.who)
    print(f"{options.sku}: is not found any more; `undo` takes this back.")


def _undo(options: argparse.Namespace) -> None:
    with engine.open(options.device) as store:
        event = store.undo(who=options.who)
    print(f"{event.sku}: line {event.detail['undoes']} of the log is undone.")


def _overlay(options: argparse.Namespace) -> None:
    count = device.export(options.device, options.output)
    print(f"{options.output}: what was taught of {count} products; merge it with `build --merge-overlay`.")


def _log(options: argparse.Namespace) -> None:
    for event in device.log(options.device):
        print(json.dumps(event.to_dict(), ensure_ascii=False) if options.json else _line(event))


def _line(event: Event) -> str:
    said = event.detail.get("after") or {}
    details = [f"{name}={value}" for name, value in (said.get("details") or {}).items()]
    if "sequence" in event.detail:
        details = [f"{event.detail['name']}, sequence {event.detail['sequence']}"]
    return "  ".join([f"{event.number:5}", event.time, event.who, event.what, event.sku, *details]).rstrip()


def _details(options: argparse.Namespace) -> dict[str, str]:
    """What was said of a product; an empty text empties a detail."""
    given = {name: getattr(options, name) for name in DETAILS if getattr(options, name) is not None}
    return given | dict(options.attribute)


def _runs(device: Path, manifest: Manifest) -> None:
    print(f"{device}: runs {manifest.name}, sequence {manifest.sequence}, {manifest.counts['products']} products.")


def _doctor(options: argparse.Namespace) -> None:
    report = doctor.examine(options.store, options.budget_ms)
    print(json.dumps(report.to_dict()) if options.json else _examined(report), flush=True)
    if options.store is not None and options.store.is_dir():
        doctor.keep(options.store, report)
        _say(f"{options.store}: runs so from now on.")


def _examined(report: doctor.Report) -> str:
    start = report.start
    resident, own = (
        "unknown" if size is None else f"{size / 1e6:.0f} MB" for size in (start.resident_bytes, start.own_bytes)
    )
    return "\n".join(
        [
            "kernels  threads  looks    p50 ms    p95 ms  photos  cosine to int8  golden queries",
            *map(_tried, report.trials),
            f"new process: first answer after {start.total_ms:.0f} ms (import {start.import_ms:.0f}, open "
            f"{start.open_ms:.0f}, photo {start.answer_ms:.0f}); {resident} resident, of which its own {own}; at rest "
            f"{start.idle_cpu:.1%} of a processor",
            *report.reasons,
        ]
    )


def _tried(trial: doctor.Trial) -> str:
    how, golden = trial.settings, "right" if trial.golden else "wrong"
    return (
        f"{how.kernels:7}  {how.threads:7}  {how.looks:5}  {trial.median_ms:8.1f}  {trial.p95_ms:8.1f}  "
        f"{trial.photos:6}  {trial.agreement:14.4f}  {golden:>14}"
    )


def _build(options: argparse.Namespace) -> None:
    with _Bar("build", "picture") as progress:
        built = build(
            options.catalogue,
            options.output,
            options.model,
            skip_bad=options.skip_bad,
            local_features=options.local,
            sign=options.sign,
            next_key=options.next_key,
            sequence=options.sequence,
            merge=options.merge_overlay,
            like=options.like,
            progress=progress,
        )
    for reason in built.skipped:
        _say(f"left out {reason}")
    for note in built.notes:
        _say(note)
    if built.left_out:
        _say(f"products without any usable picture: {', '.join(built.left_out)}")
    counts, accuracy = built.manifest.counts, built.manifest.accuracy
    print(
        f"{options.output}: {counts['products']} products, {counts['pictures']} pictures, "
        f"{built.size_bytes / 1e6:.1f} MB, ANN recall@10 {accuracy['ann_recall@10']:.3f}"
    )


def _search(options: argparse.Namespace) -> int:
    failed = False
    with engine.open(options.store) as store:
        for photo in options.photo:
            try:
                answer = store.search(photo, k=options.k, fast=options.fast)
            except EdgeSearchError as error:
                failed = bool(_failed(error))
                continue
            print(
                json.dumps(answer.to_dict(), ensure_ascii=False) if options.json else _shown(answer),
                flush=True,
            )
            if options.explain:
                options.explain.mkdir(parents=True, exist_ok=True)
                (options.explain / f"{Path(photo).stem}.jpg").write_bytes(store.explain(photo, answer))
    return int(failed)


def _eval(options: argparse.Namespace) -> None:
    queries = catalog.read_queries(options.queries)
    with engine.open(options.store) as store, _Bar("eval", "photo") as progress:
        figures = evaluate.evaluate(store, queries, options.fast, progress).to_dict()
    _print_table(figures, options.json)


def _inspect(options: argparse.Namespace) -> None:
    bundle = open_bundle(options.store)
    manifest, size = bundle.manifest, bundle.path.stat().st_size
    bundle.close()
    table: dict[str, Any] = {
        "name": manifest.name,
        "sequence": manifest.sequence,
        "created": manifest.created,
        "signed": bundle.signer is not None,
        "signed_by": bundle.signer,
        "next_key": manifest.next_key or None,
        "size_bytes": size,
        **_held(options.store),
        **manifest.counts,
        **manifest.accuracy,
        **{f"decision {name}": value for name, value in manifest.calibration.items()},
        **{f"{part} sha256": digest for part, digest in manifest.hashes.items()},
        **{f"{name} bytes": entry.size for name, entry in manifest.files.items()},
    }
    _print_table(table, options.json)


def _held(store: Path) -> dict[str, Any]:
    """What a device folder holds besides its bundle."""
    if not store.is_dir():
        return {}
    taught = device.taught(store)
    return {"encrypted": Slots(store).encrypted, "taught products": len(taught.changes), "log lines": taught.version}


def _verify(options: argparse.Namespace) -> None:
    with engine.open(options.store, trust=options.trust) as store:
        store.bundle.verify()
        store.self_test()
        manifest, signer = store.bundle.manifest, store.bundle.signer
    by = f"signed by {signer[:8]}" if signer else "not signed"
    print(f"{options.store}: sound; {len(manifest.files)} files, {manifest.counts['products']} products, {by}.")


def _shown(answer: Answer) -> str:
    lines = [f"{answer.photo}: {answer.decision} ({answer.elapsed_ms['total']:.1f} ms)"]
    for place, match in enumerate(answer.matches, 1):
        price = "" if match.price is None else f"  {match.price:.2f} {match.product.currency or ''}".rstrip()
        agrees = f"  ({match.points} points of the print agree{', mirrored' * match.mirrored})" if match.points else ""
        lines.append(f"  {place}  {match.score:.3f}  {match.sku}  {match.name}{price}{agrees}")
    return "\n".join(lines)


def _print_table(table: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(table, ensure_ascii=False))
        return
    for name, value in table.items():
        print(f"{name:24} {value:.4f}" if isinstance(value, float) else f"{name:24} {'-' if value is None else value}")


class _Bar:
    """A progress bar on stderr, where that is a terminal."""

    def __init__(self, what: str, unit: str):
        from tqdm import tqdm  # here, so that a search does not load it

        self._bar = tqdm(desc=what, unit=unit, disable=None, leave=False)

    def __enter__(self) -> Callable[[int, int], None]:
        return self._move

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def _move(self, done: int, total: int) -> None:
        self._bar.total = total
        self._bar.update(done - self._bar.n)


def _discard_stdout() -> None:
    """What is still buffered cannot be written; keep the interpreter from trying again at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(text: object) -> None:
    print("edgesearch:", " ".join(str(text).split()), file=sys.stderr)


def _failed(error: object) -> int:
    _say(error)
    return 1


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _named(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _features(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_KEPT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {MOST_KEPT}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgesearch", description="Offline visual product search: a photo in, the product out."
    )
    parser.add_argument("--key-file", type=Path, metavar="SECRET", help=f"of an encrypted device (default: {KEY_FILE})")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[..., Any], text: str, example: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text, epilog=f"example: edgesearch {name} {example}")
        added.set_defaults(run=run)
        return added

    added = command("keygen", _keygen, "Make a pair of keys to sign bundles with.", "shop")
    added.add_argument("name", type=Path, help="NAME.key and NAME.pub are written")
    added.add_argument("--device", action="store_true", help="a key to encrypt device folders, NAME.secret, instead")

    added = command("build", _build, "Turn a catalogue into one file.", "catalogue.csv -o store.edge")
    added.add_argument("catalogue", type=Path, help="CSV with at least sku,name,images")
    added.add_argument("-o", "--output", type=Path, required=True, help="the .edge file to write")
    added.add_argument("--model", type=Path, help="model folder (default: the shipped one)")
    added.add_argument("--skip-bad", action="store_true", help="leave out pictures that cannot be read, and list them")
    added.add_argument("--sign", type=Path, metavar="KEY", help="private key to sign with")
    added.add_argument("--next-key", type=Path, metavar="PUB", help="public key that devices trust from this bundle on")
    added.add_argument(
        "--sequence", type=_at_least_one, metavar="N", help="devices take no lower one (default: seconds since 1970)"
    )
    added.add_argument(
        "--merge-overlay", type=Path, nargs="+", default=[], metavar="FOLDER", help="what `overlay export` wrote"
    )
    added.add_argument(
        "--like", type=Path, metavar="EDGE", help="bundle before this one: keep its codebook, for a small delta"
    )
    many = added.add_mutually_exclusive_group()
    many.add_argument(
        "--local",
        type=_features,
        default=KEPT,
        metavar="N",
        help=f"features of the print to keep of each picture, 20 bytes each (default: {KEPT})",
    )
    many.add_argument(
        "--no-local", dest="local", action="store_const", const=0, help="keep none: the vector alone decides"
    )

    added = command("delta", _delta, "Write what devices lack of the next bundle.", "old.edge new.edge -o new.delta")
    added.add_argument("old", type=Path, help=".edge file that they have")
    added.add_argument("new", type=Path, help=".edge file that they shall have")
    added.add_argument("-o", "--output", type=Path, required=True, help="the file to write; `install` takes it")
    added.add_argument("--sign", type=Path, metavar="KEY", help="private key to sign with")

    added = command("install", _install, "Run a bundle in a device folder.", "store.edge --to device --trust shop.pub")
    added.add_argument("bundle", type=Path, help=".edge file, or a delta of the one that is there")
    added.add_argument(
        "--to", type=Path, required=True, metavar="DEVICE", help="device folder; made where it is absent"
    )
    added.add_argument("--trust", type=Path, metavar="PUB", help="public key that a new device trusts from now on")
    added.add_argument("--encrypt", action="store_true", help="make a new device folder that its key alone opens")
    added.add_argument("--who", help=WHO)

    added = command("rollback", _rollback, "Run again what ran before the last install.", "device")
    added.add_argument("device", type=Path, help="device folder")
    added.add_argument("--who", help=WHO)

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
                "--attribute", type=_named, action="append", default=[], metavar="NAME=VALUE", help="any other detail"
            )
        return added

    added = teaching("enrol", _enrol, "Teach a device a product.", 'device --sku P-9 --name "Blue mug" photo.jpg')
    added.add_argument("photo", nargs="+", help="picture files, 1 to 5")
    teaching("edit", _edit, "Change details of a product on a device.", "device --sku P-9 --price 4.50")
    teaching("remove", _remove, "Show a product on a device no more.", "device --sku P-9")
    teaching("undo", _undo, "Take back what a device was taught last.", "device")

    added = command("overlay", _overlay, "Write what a device was taught into a folder.", "export device -o taught")
    added.add_argument("action", choices=["export"], help="what to do")
    added.add_argument("device", type=Path, help="device folder")
    added.add_argument("-o", "--output", type=Path, required=True, help="new folder, for `build --merge-overlay`")

    added = command("log", _log, "Print all that was done to a device, checked.", "device")
    added.add_argument("device", type=Path, help="device folder")
    added.add_argument("--json", action="store_true", help="one JSON object a line")

    added = command("doctor", _doctor, "Measure how a store runs best on this device, and run it so.", "device")
    added.add_argument("store", type=Path, nargs="?", help=f"{STORE} (default: the shipped model on a drawn store)")
    added.add_argument(
        "--budget-ms",
        type=_at_least_one,
        default=doctor.BUDGET_MS,
        metavar="MS",
        help=f"of a photo; where three looks take longer, one must do (default: {doctor.BUDGET_MS:.0f})",
    )
    added.add_argument("--json", action="store_true", help="one JSON object")

    added = command("search", _search, "Find the product a photo shows.", "store.edge photo.jpg")
    added.add_argument("store", type=Path, help=STORE)
    added.add_argument("photo", nargs="+", help="picture file")
    added.add_argument("--fast", action=argparse.BooleanOptionalAction, help=FAST)
    added.add_argument("-k", type=_at_least_one, default=5, help="products to show (default: 5)")
    added.add_argument(
        "--explain", type=Path, metavar="FOLDER", help="draw there, for each photo, what agrees and where"
    )
    added.add_argument("--json", action="store_true", help="one JSON object a photo")

    added = command("eval", _eval, "Measure a store on photos of known products.", "store.edge queries.csv --json")
    added.add_argument("store", type=Path, help=STORE)
    added.add_argument("queries", type=Path, help="CSV of image,sku; an empty sku: not in this catalogue")
    added.add_argument("--fast", action=argparse.BooleanOptionalAction, help=FAST)
    added.add_argument("--json", action="store_true", help="one JSON object")

    added = command("inspect", _inspect, "Say what a store holds.", "store.edge")
    added.add_argument("store", type=Path, help=STORE)
    added.add_argument("--json", action="store_true", help="one JSON object")

    added = command("verify", _verify, "Check every byte of a store, and that its parts fit.", "store.edge")
    added.add_argument("store", type=Path, help=STORE)
    added.add_argument("--trust", type=Path, metavar="PUB", help="public key that must have signed it")
    return parser
