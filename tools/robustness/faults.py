"""`tools/robustness/faults`: damage bundles and device folders, interrupt all changes, and count what is survived.

A fault is survived if the user sees one sentence of ours or exactly the same answer as before. After an interrupted
change the folder must be as before it or as after it, and the next change must succeed.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np

from . import damage_campaigns, fault_steps, fault_targets, interruption_campaigns
from .campaign import Count, Sample

BUILD = Path(__file__).parents[2] / "build"
MEMORY = Path("/dev/shm")  # noqa: S108  # a folder in memory is fast
SHOWN = 5  # printed faults of a campaign that were not survived


def main() -> int:
    """Print the counts of all campaigns; return 1 if a fault was not survived."""
    options = _parser().parse_args()
    BUILD.mkdir(exist_ok=True)
    fault_steps.restart_with_library(BUILD)
    started, total = time.monotonic(), Count("all")
    if not options.json:
        print(f"{'':36} {'faults':>8} {'survived':>8} {'sentence':>8} {'same':>8} {'wrong':>6}")
    for count in _counts(options):
        print(json.dumps(asdict(count)) if options.json else _row(count), flush=True)
        for fault in count.wrong[:SHOWN]:
            print(f"{count.name}: {fault}", file=sys.stderr)
        total += count
    if not options.json:
        print(f"{_row(total)}\n")
        command = " ".join(["tools/robustness/faults", *sys.argv[1:]])
        print(f"{time.monotonic() - started:.0f} s; {command} (seed {options.seed})")
    return int(bool(total.wrong))


def _counts(options: argparse.Namespace) -> Iterator[Count]:
    sample = Sample(np.random.default_rng(options.seed), options.flips, options.share)
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        place = fault_targets.make_shop(Path(folder))
        temporary = place.folder / "tmp"
        temporary.mkdir()
        tempfile.tempdir = str(temporary)  # so that unpacking can fail too
        for campaign in (*damage_campaigns.campaigns(place, sample), *interruption_campaigns.campaigns(place, sample)):
            if campaign.name.startswith(tuple(options.only)):
                yield campaign.run()


def _row(count: Count) -> str:
    survived = count.sentence + count.same
    faults = survived + len(count.wrong)
    return f"{count.name:36} {faults:8,} {survived:8,} {count.sentence:8,} {count.same:8,} {len(count.wrong):6,}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tools/robustness/faults", description="Inject faults, and count those that were survived."
    )
    parser.add_argument(
        "--flips", type=int, default=2000, help="bits to flip in each campaign of flips (default: 2,000)"
    )
    parser.add_argument("--share", type=float, default=1, help="share of all other faults to try (default: 1)")
    parser.add_argument("--only", nargs="+", default=[""], metavar="NAME", help="campaigns whose names start with NAME")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="one JSON object a campaign")
    return parser


if __name__ == "__main__":
    sys.exit(main())
