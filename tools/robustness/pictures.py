"""`tools/robustness/pictures`: read hostile pictures, each in a process of its own, and measure time and memory.

A picture is survived if it is read, or refused in one sentence, within the bounds of time and memory.
"""

import argparse
import json
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from edgesearch.errors import EdgeSearchError
from edgesearch.images import decoding_memory, image

from . import hostile_pictures
from .forked_run import run_forked

MOST_MB = decoding_memory.MAX_BYTES / 1e6 + 150  # the encoded picture is in memory, too
TIMEOUT_S = 600.0  # of the clock; on a busy machine it runs far ahead of the processor time
SIDES = {"search": image.WORKING_SIDE, "whole": None}


def main() -> int:
    """Print what each kind took; return 1 if a picture was not survived."""
    options = _parser().parse_args()
    kinds = [*hostile_pictures.KINDS]
    found, wrong = defaultdict(list), 0
    for number in range(options.count):
        kind = kinds[number % len(kinds)]
        if not kind.startswith(options.only):
            continue
        data = hostile_pictures.KINDS[kind](np.random.default_rng((options.seed, number)))
        for use, side in SIDES.items():
            measured = _measure(data, side)
            found[kind].append(measured)
            bad = measured["fault"] or measured["seconds"] > options.seconds or measured["mb"] > MOST_MB
            if bad:
                wrong += 1
                print(f"{kind} {number}, {use}: {len(data):,} bytes, {measured}", file=sys.stderr, flush=True)
                if options.kept:
                    (options.kept / f"{kind}-{number}").write_bytes(data)
    print(f"{'kind':26} {'reads':>6} {'refused':>8} {'slowest s':>10} {'peak MB':>8}")
    for kind, rows in found.items():
        refused = sum(row["refused"] for row in rows)
        slowest, most = max(row["seconds"] for row in rows), max(row["mb"] for row in rows)
        print(f"{kind:26} {len(rows):6} {refused:8} {slowest:10.2f} {most:8.0f}")
    print(f"not survived: {wrong}; tools/robustness/pictures --count {options.count} --seed {options.seed}")
    return int(bool(wrong))


def _measure(data: bytes, side: int | None) -> dict[str, float]:
    """Read a picture in a fork: processor time in seconds, growth of memory in MB, whether it was refused."""

    def read() -> str:
        _peak_mb()
        before, started, refused = _peak_mb(), time.process_time(), 0
        try:
            image.read(data, side)
        except EdgeSearchError as error:
            refused = 1
            assert "\n" not in str(error)
        seconds = time.process_time() - started
        return json.dumps({"seconds": seconds, "mb": _peak_mb() - before, "refused": refused, "fault": 0})

    result = run_forked(read, TIMEOUT_S)
    if result.status == 0:
        return dict(json.loads(result.text))
    return {"seconds": TIMEOUT_S * (result.status is None), "mb": 0, "refused": 0, "fault": 1}


def _peak_mb() -> float:
    """Return the peak of this process's memory since the last call, in MB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # resets the peak, see proc(5)
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1000


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tools/robustness/pictures", description="Read hostile pictures.")
    parser.add_argument("--count", type=int, default=500, help="pictures to make (default: 500)")
    parser.add_argument("--seconds", type=float, default=4, help="processor time for each (default: 4)")
    parser.add_argument("--only", default="", metavar="KIND", help="kinds whose names begin so")
    parser.add_argument("--kept", type=Path, help="folder for pictures that are not survived")
    parser.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    sys.exit(main())
