"""`tools/bench all`: measure what makes the page of figures, each in a process of its own, and write the page."""

import argparse
import datetime
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tqdm import tqdm

from edgesearch.embedding.embedder import default_model

from ..context import NO_MODEL, SEED, Found, context
from ..processes import Processors
from . import figures_page
from .sections import RUNS

PAGE, TRIED = Path("docs/figures"), Path("build/figures")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What of it, and where to."""
    parser.add_argument("-o", "--output", type=Path, help=f"folder (default: {PAGE}; {TRIED} with --quick)")
    parser.add_argument("--only", action="append", choices=list(RUNS), default=[], help="renew this one", metavar="RUN")
    parser.add_argument("--missing", action="store_true", help="those not there, failed, or of another model")
    parser.add_argument("--quick", action="store_true", help="small sizes, to try the bench: four minutes")


def run(options: argparse.Namespace, folder: Path) -> str:
    """Measure, one after the other, and write the page after each; raises ValueError at the end where one failed."""
    output = options.output or (TRIED if options.quick else PAGE)
    figures = figures_page.read(output)
    large = [name for name in options.only if options.quick and not RUNS[name].quick]
    if large:
        raise ValueError(f"{', '.join(large)}: no small size of it; leave out --quick.")
    names = [name for name in options.only or RUNS if RUNS[name].quick or not options.quick]
    if options.missing:
        names = [name for name in names if is_missing(figures.get(name))]
    for name in (progress := tqdm(names, desc="all", unit="figure", disable=None)):
        progress.set_postfix_str(name)
        asked = RUNS[name].quick if options.quick else RUNS[name].asked
        assert asked
        figures[name] = measured(asked, RUNS[name].limit_s, folder)
        if options.quick:
            figures[name]["measured"]["quick"] = True
        figures_page.write(output, figures)
    page = figures_page.write(output, figures)
    failed = [name for name in names if figures_page.FAILED in figures[name]]
    if failed:
        raise ValueError(f"{page}: {', '.join(failed)} failed; the page says why, --only measures one again.")
    return f"{page}: measured {', '.join(names) or 'nothing'}; `tools/bench readme` writes them where they are quoted."


def is_missing(found: Found | None) -> bool:
    """That it is to be measured again."""
    return (
        not found
        or figures_page.FAILED in found
        or found["model"] not in (NO_MODEL, context(default_model(), 0)["model"])
    )


def measured(asked: str, limit_s: float, folder: Path) -> Found:
    """The object that `tools/bench` printed in a process of its own; `measured`: when, how long, and how busy it was.

    Args:    asked: what of `tools/bench`; folder: where it may leave files until it ends.
    Returns: an object with the reason as `failed` where it did not end well or in time.
    """
    before, start = Processors.now(), time.time()
    try:
        found = json.loads(_printed(asked, limit_s, folder), parse_float=lambda said: float(f"{float(said):.6g}"))
    except (OSError, ValueError) as error:
        found = context(default_model(), SEED) | {
            "command": f"tools/bench {asked} --json",
            figures_page.FAILED: str(error),
        }
    found["measured"] = {
        "on": datetime.datetime.fromtimestamp(start, datetime.UTC).strftime("%Y-%m-%d"),
        "took_s": round(time.time() - start, 1),
        "others": round(Processors.now().others_since(before), 3),
    }
    return found


def _printed(asked: str, limit_s: float, folder: Path) -> str:
    """What it prints; raises OSError: it failed, and the last line it said, or TimeoutError."""
    command = [sys.executable, "-m", "benchmarks", *shlex.split(asked), "--json"]
    with (
        tempfile.TemporaryDirectory(dir=folder) as scratch,
        open(Path(scratch) / "said", "w+", encoding="utf-8") as said,
    ):
        place = os.environ | {"TMPDIR": scratch, "PYTHONPATH": str(Path(__file__).parents[2])}
        with subprocess.Popen(  # noqa: S603  # ours
            command, stdout=subprocess.PIPE, stderr=said, text=True, env=place, start_new_session=True
        ) as process:
            try:
                printed, _ = process.communicate(timeout=limit_s)
            except subprocess.TimeoutExpired:
                raise TimeoutError(f"it took longer than {limit_s / 60:.0f} minutes.") from None
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)  # with the processes that it started
        said.seek(0)
        if process.returncode:
            lines = said.read().split("\n")
            raise OSError(next((line for line in reversed(lines) if line.strip()), f"status {process.returncode}"))
    return printed
