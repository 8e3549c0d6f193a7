"""keygen, build, delta: what is done where bundles are built."""

import argparse
import math
from pathlib import Path

from ..building.build import Built, build_bundle
from ..building.build_options import ENGINES, BuildOptions
from ..bundle import signing
from ..bundle.delta import delta
from ..local_features.descriptors import KEPT, MOST_KEPT
from ..search.calibration import FALSE_ACCEPTS
from .arguments import Adder, at_least_one, source_of, source_options
from .output import Bar, say, say_lines


def add(command: Adder) -> None:
    """Add them."""
    added = command("keygen", _keygen, "Make a pair of keys to sign bundles with.", "shop")
    added.add_argument("name", type=Path, help="NAME.key and NAME.pub are written")
    added.add_argument("--device", action="store_true", help="a key to encrypt device folders, NAME.secret, instead")

    added = command("build", _build, "Turn a catalogue into one file.", "catalogue.csv -o store.edge")
    source_options(added)
    added.add_argument("-o", "--output", type=Path, required=True, help="the .edge file to write")
    added.add_argument("--model", type=Path, help="model folder (default: the shipped one)")
    added.add_argument("--skip-bad", action="store_true", help="leave out pictures that cannot be read, and list them")
    added.add_argument("--sign", type=Path, metavar="KEY", help="private key to sign with")
    added.add_argument("--next-key", type=Path, metavar="PUB", help="public key that devices trust from this bundle on")
    added.add_argument(
        "--sequence", type=at_least_one, metavar="N", help="devices take no lower one (default: seconds since 1970)"
    )
    added.add_argument(
        "--calibrate",
        type=Path,
        metavar="QUERIES",
        help="CSV of image,sku: photos to learn from when to accept (default: the catalogue's own pictures)",
    )
    added.add_argument(
        "--false-accepts",
        type=_share,
        default=FALSE_ACCEPTS,
        metavar="X",
        help=f"share of photos of unknown products to take for known ones (default: {FALSE_ACCEPTS})",
    )
    added.add_argument(
        "--budget-mb",
        type=_budget,
        metavar="X",
        help="make the file at most X million bytes, of what finds most within them; says what was given up",
    )
    added.add_argument(
        "--merge-overlay", type=Path, nargs="+", default=[], metavar="FOLDER", help="what `overlay export` wrote"
    )
    added.add_argument(
        "--like", type=Path, metavar="EDGE", help="bundle before this one: keep its codebook, for a small delta"
    )
    added.add_argument(
        "--resume",
        action="store_true",
        help="go on where a build was stopped; what is taken of pictures is kept in OUTPUT.work for the next",
    )
    added.add_argument(
        "--engine", choices=[*ENGINES], default="local", help="this machine, or a cluster by Ray Data (default: local)"
    )
    added.add_argument("--workers", type=at_least_one, metavar="N", help="of the engine (default: all processors)")
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


def _keygen(options: argparse.Namespace) -> None:
    if options.device:
        print(f"{signing.keygen_device(options.name)}: give it to devices apart from their folders, with --key-file.")
        return
    private, public = signing.keygen(options.name)
    print(f"{private}: keep it where bundles are built, and nowhere else.")
    print(f"{public}: {signing.read_public(public)[:8]}; give it to devices with `install --trust`.")


def _build(options: argparse.Namespace) -> None:
    try:
        built = _run_build(options)
    except KeyboardInterrupt:
        if options.resume:
            say("what was taken of pictures is kept; the same command goes on from there.")
        raise
    for reason in built.skipped:
        say(f"left out {reason}")
    for note in built.notes:
        say(note)
    if built.fitted:
        say_lines(built.fitted.lines())
    if built.left_out:
        say(f"products without any usable picture: {', '.join(built.left_out)}")
    counts, accuracy = built.manifest.counts, built.manifest.accuracy
    print(
        f"{options.output}: {counts['products']} products, {counts['pictures']} pictures, "
        f"{built.size_bytes / 1e6:.1f} MB, ANN recall@10 {accuracy['ann_recall@10']:.3f}"
    )


def _run_build(options: argparse.Namespace) -> Built:
    build_options = BuildOptions(
        model=options.model,
        skip_bad=options.skip_bad,
        local_features=options.local,
        sign=options.sign,
        next_key=options.next_key,
        sequence=options.sequence,
        merge=options.merge_overlay,
        like=options.like,
        queries=options.calibrate,
        false_accepts=options.false_accepts,
        budget_mb=options.budget_mb,
        engine=options.engine,
        workers=options.workers,
        resume=options.resume,
        **source_of(options),
    )
    with Bar("build", "picture") as progress:
        return build_bundle(options.catalogue, options.output, build_options, progress)


def _delta(options: argparse.Namespace) -> None:
    delta(options.old, options.new, options.output, options.sign)
    size, full = (path.stat().st_size for path in (options.output, options.new))
    print(f"{options.output}: {size:,} bytes instead of {full:,}, for devices that have {options.old}.")


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share above 0 and below 1")
    return share


def _budget(text: str) -> float:
    try:
        budget = float(text)
    except ValueError:
        budget = math.nan
    if not 0 < budget < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of MB above 0")
    return budget


def _features(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_KEPT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {MOST_KEPT}")
    return int(text)
