"""keygen, build, delta: the commands for the workstation that makes bundles."""

import argparse
import math
from pathlib import Path

from ..building.build import build_bundle
from ..building.build_options import ENGINES, BuildOptions
from ..building.entry_point import Built
from ..bundle import signing
from ..bundle.delta import delta
from ..errors import several
from ..local_features.descriptors import DEFAULT_FEATURES, MAX_FEATURES
from ..search.outcomes import Targets
from .arguments import Adder, add_model_option, number_between, positive_int
from .output import print_line, print_note, print_report
from .source_options import add_source_options, read_source_options

_TARGETS = {
    "wrong_matches": "share of matches that may name a wrong product",
    "missed": "share of photos of the catalogue's products that may be called unknown",
    "unknown_share": "share of photos that show other products, for --wrong-matches",
}


def add(command: Adder) -> None:
    """Add the commands."""
    parser = command("keygen", _keygen, "Make a pair of keys to sign bundles.", "shop")
    parser.add_argument("name", type=Path, help="write NAME.key and NAME.pub")
    parser.add_argument("--device", action="store_true", help="write NAME.secret, which encrypts device folders")

    parser = command("build", _build, "Turn a catalogue into a bundle, one .edge file.", "catalogue.csv -o store.edge")
    add_source_options(parser)
    parser.add_argument("-o", "--output", type=Path, required=True, help="the .edge file to write")
    add_model_option(parser)
    parser.add_argument("--skip-bad", action="store_true", help="skip unreadable pictures, and list them")
    parser.add_argument(
        "--merge-overlay", type=Path, nargs="+", default=[], metavar="FOLDER", help="add what `overlay export` wrote"
    )
    parser.add_argument(
        "--merge-learned", type=Path, nargs="+", default=[], metavar="FOLDER", help="add the pictures learned from use"
    )
    parser.add_argument(
        "--learned-per-product",
        type=positive_int,
        default=BuildOptions.learned_per_product,
        metavar="N",
        help=f"use at most N learned pictures of a product (default: {BuildOptions.learned_per_product})",
    )
    _add_release_options(parser)
    _add_accuracy_options(parser)
    _add_run_options(parser)

    parser = command("delta", _delta, "Write the difference between two bundles.", "old.edge new.edge -o new.delta")
    parser.add_argument("old", type=Path, help="bundle that the devices have")
    parser.add_argument("new", type=Path, help="bundle that the devices should get")
    parser.add_argument("-o", "--output", type=Path, required=True, help="file to write; `install` accepts it")
    parser.add_argument("--sign", type=Path, metavar="KEY", help="private key to sign with")


def _add_release_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sign", type=Path, metavar="KEY", help="private key to sign with")
    parser.add_argument("--next-key", type=Path, metavar="PUB", help="public key for devices to trust from then on")
    parser.add_argument(
        "--sequence",
        type=positive_int,
        metavar="N",
        help="sequence number; devices accept no lower one (default: seconds since 1970)",
    )
    parser.add_argument(
        "--like", type=Path, metavar="EDGE", help="previous bundle: reuse its codebook, so that the delta is small"
    )


def _add_accuracy_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--calibrate",
        type=Path,
        metavar="QUERIES",
        help="CSV of image,sku: photos to choose the thresholds with (default: the catalogue's own pictures)",
    )
    for name, meaning in _TARGETS.items():
        default = getattr(Targets, name)
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=_share, default=default, metavar="X", help=f"{meaning} (default: {default})")
    parser.add_argument(
        "--budget-mb",
        type=_budget,
        metavar="X",
        help="fit the file into X million bytes as accurately as possible, and report what was given up",
    )
    features = parser.add_mutually_exclusive_group()
    features.add_argument(
        "--local",
        type=_feature_count,
        default=DEFAULT_FEATURES,
        metavar="N",
        help=f"keep N local features of each picture, 20 bytes each (default: {DEFAULT_FEATURES})",
    )
    features.add_argument(
        "--no-local", dest="local", action="store_const", const=0, help="keep no local features; use embeddings alone"
    )


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--resume", action="store_true", help="keep OUTPUT.work, so that the next build reads only new pictures"
    )
    parser.add_argument(
        "--fresh", action="store_true", help="start anew, instead of going on where the last build was stopped"
    )
    parser.add_argument(
        "--engine",
        choices=[*ENGINES],
        default="local",
        help="run on this machine, or on a cluster with Ray Data (default: local)",
    )
    parser.add_argument("--workers", type=positive_int, metavar="N", help="parallel workers (default: all processors)")


def _keygen(options: argparse.Namespace) -> None:
    if options.device:
        path = signing.keygen_device(options.name)
        print_line(f"{path}: device key; deliver it apart from the device folders, and pass it with --key-file.")
        return
    private, public = signing.keygen(options.name)
    print_line(f"{private}: private key; keep it only where bundles are built.")
    print_line(f"{public}: public key {signing.read_public(public)[:8]}; give it to devices with `install --trust`.")


def _build(options: argparse.Namespace) -> None:
    built = _run_build(options)
    for reason in built.skipped:
        print_note(f"left out {reason}")
    for note in built.notes:
        print_note(note)
    if built.fitted:
        print_report(built.fitted.lines())
    if without := built.without_picture:
        who = "1 product has" if len(without) == 1 else f"{len(without):,} products have"
        listed = several(without, len(without))
        print_note(f"{who} no picture, so only words, filters and barcodes find them: {listed}")
    counts, accuracy = built.manifest.counts, built.manifest.accuracy
    print_line(
        f"{options.output}: {counts['products']} products, {counts['pictures']} pictures, "
        f"{built.size_bytes / 1e6:.1f} MB, ANN recall@10 {accuracy['ann_recall@10']:.3f}"
    )
    for sentence in built.expectations:
        print_line(f"  {sentence}")


def _run_build(options: argparse.Namespace) -> Built:
    build_options = BuildOptions(
        model=options.model,
        skip_bad=options.skip_bad,
        local_features=options.local,
        sign=options.sign,
        next_key=options.next_key,
        sequence=options.sequence,
        merge=options.merge_overlay,
        merge_learned=options.merge_learned,
        learned_per_product=options.learned_per_product,
        like=options.like,
        queries=options.calibrate,
        wrong_matches=options.wrong_matches,
        missed=options.missed,
        unknown_share=options.unknown_share,
        budget_mb=options.budget_mb,
        engine=options.engine,
        workers=options.workers,
        resume=options.resume,
        fresh=options.fresh,
        **read_source_options(options),
    )
    return build_bundle(options.catalogue, options.output, build_options)


def _delta(options: argparse.Namespace) -> None:
    delta(options.old, options.new, options.output, options.sign)
    size, full = (path.stat().st_size for path in (options.output, options.new))
    print_line(f"{options.output}: {size:,} bytes instead of {full:,}, for devices that have {options.old}.")


def _share(text: str) -> float:
    return number_between(text, 1, "a share above 0 and below 1")


def _budget(text: str) -> float:
    return number_between(text, math.inf, "a number of MB above 0")


def _feature_count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_FEATURES:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {MAX_FEATURES}")
    return int(text)
