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

from tqdm import tqdm

from . import catalog, engine, evaluate, signing
from .build import build
from .delta import delta
from .engine import Answer
from .errors import EdgeSearchError
from .local import KEPT, MOST_KEPT
from .manifest import Manifest
from .slots import open_bundle

STORE = ".edge file, or device folder"
COMMANDS = ("keygen", "build", "delta", "install", "rollback", "search", "eval", "inspect", "verify")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = _parser().parse_args(arguments)
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
    private, public = signing.keygen(options.name)
    print(f"{private}: keep it where bundles are built, and nowhere else.")
    print(f"{public}: {signing.read_public(public)[:8]}; give it to devices with `install --trust`.")


def _delta(options: argparse.Namespace) -> None:
    delta(options.old, options.new, options.output, options.sign)
    size, full = (path.stat().st_size for path in (options.output, options.new))
    print(f"{options.output}: {size:,} bytes instead of {full:,}, for devices that have {options.old}.")


def _install(options: argparse.Namespace) -> None:
    _runs(options.to, engine.install(options.bundle, options.to, options.trust))


def _rollback(options: argparse.Namespace) -> None:
    _runs(options.device, engine.rollback(options.device))


def _runs(device: Path, manifest: Manifest) -> None:
    print(f"{device}: runs {manifest.name}, sequence {manifest.sequence}, {manifest.counts['products']} products.")


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
            like=options.like,
            progress=progress,
        )
    for reason in built.skipped:
        _say(f"left out {reason}")
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
        **manifest.counts,
        **manifest.accuracy,
        **{f"decision {name}": value for name, value in manifest.calibration.items()},
        **{f"{part} sha256": digest for part, digest in manifest.hashes.items()},
        **{f"{name} bytes": entry.size for name, entry in manifest.files.items()},
    }
    _print_table(table, options.json)


def _verify(options: argparse.Namespace) -> None:
    with engine.open(options.store, trust=options.trust) as store:
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


def _features(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_KEPT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {MOST_KEPT}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgesearch", description="Offline visual product search: a photo in, the product out."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[..., Any], text: str, example: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text, epilog=f"example: edgesearch {name} {example}")
        added.set_defaults(run=run)
        return added

    added = command("keygen", _keygen, "Make a pair of keys to sign bundles with.", "shop")
    added.add_argument("name", type=Path, help="NAME.key and NAME.pub are written")

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

    added = command("rollback", _rollback, "Run again what ran before the last install.", "device")
    added.add_argument("device", type=Path, help="device folder")

    added = command("search", _search, "Find the product a photo shows.", "store.edge photo.jpg")
    added.add_argument("store", type=Path, help=STORE)
    added.add_argument("photo", nargs="+", help="picture file")
    added.add_argument("--fast", action="store_true", help="one look at a photo instead of three, none at its print")
    added.add_argument("-k", type=_at_least_one, default=5, help="products to show (default: 5)")
    added.add_argument(
        "--explain", type=Path, metavar="FOLDER", help="draw there, for each photo, what agrees and where"
    )
    added.add_argument("--json", action="store_true", help="one JSON object a photo")

    added = command("eval", _eval, "Measure a store on photos of known products.", "store.edge queries.csv --json")
    added.add_argument("store", type=Path, help=STORE)
    added.add_argument("queries", type=Path, help="CSV of image,sku; an empty sku: not in this catalogue")
    added.add_argument("--fast", action="store_true", help="one look at a photo instead of three, none at its print")
    added.add_argument("--json", action="store_true", help="one JSON object")

    added = command("inspect", _inspect, "Say what a store holds.", "store.edge")
    added.add_argument("store", type=Path, help=STORE)
    added.add_argument("--json", action="store_true", help="one JSON object")

    added = command("verify", _verify, "Check every byte of a store, and that its parts fit.", "store.edge")
    added.add_argument("store", type=Path, help=STORE)
    added.add_argument("--trust", type=Path, metavar="PUB", help="public key that must have signed it")
    return parser
