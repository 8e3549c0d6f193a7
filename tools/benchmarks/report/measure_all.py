"""`tools/bench all`: measure everything on the page of figures, each run in its own process, and write the page."""

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

from edgesearch.embedding.shipped_models import default_model

from ..context import NO_MODEL, SEED, Results, context
from ..processes import Processors
from . import figures_page
from .sections import RUNS

PAGE, TRIED = Path("docs/figures"), Path("build/figures")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("-o", "--output", type=Path, help=f"folder (default: {PAGE}; {TRIED} with --quick)")
    parser.add_argument(
        "--only", action="append", choices=list(RUNS), default=[], help="measure this run again", metavar="RUN"
    )
    parser.add_argument("--missing", action="store_true", help="runs that are absent, failed, or used another model")
    parser.add_argument("--quick", action="store_true", help="small sizes, to try the benchmarks: four minutes")


def run(options: argparse.Namespace, folder: Path) -> str:
    """Measure one run after the other and write the page after each.

    Raises: ValueError: a run failed; raised after the last one.
    """
    output = options.output or (TRIED if options.quick else PAGE)
    figures = figures_page.read(output)
    large = [name for name in options.only if options.quick and not RUNS[name].quick]
    if large:
        raise ValueError(f"{', '.join(large)}: no small size; leave out --quick.")
    names = [name for name in options.only or RUNS if RUNS[name].quick or not options.quick]
    if options.missing:
        names = [name for name in names if is_missing(figures.get(name))]
    for name in (progress := tqdm(names, desc="all", unit="figure", disable=None)):
        progress.set_postfix_str(name)
        asked = RUNS[name].quick if options.quick else RUNS[name].asked
        assert asked
        figures[name] = measure(asked, RUNS[name].limit_s, folder)
        if options.quick:
            figures[name]["measured"]["quick"] = True
        figures_page.write(output, figures)
    page = figures_page.write(output, figures)
    failed = [name for name in names if figures_page.FAILED in figures[name]]
    if failed:
        raise ValueError(f"{page}: {', '.join(failed)} failed; the page says why, and --only measures one again.")
    return f"{page}: measured {', '.join(names) or 'nothing'}; `tools/bench readme` writes them where they are quoted."


def is_missing(found: Results | None) -> bool:
    """Return whether a run must be measured again: it is absent, failed, or used another model."""
    return (
        not found
        or figures_page.FAILED in found
        or found["model"] not in (NO_MODEL, context(default_model(), 0)["model"])
    )


def measure(asked: str, limit_s: float, folder: Path) -> Results:
    """Run `tools/bench` in its own process; return the printed object, and in `measured` when, how long, how busy.

    Args:    asked: command and options; folder: for temporary files.
    Returns: the figures; or the reason as `failed` if the run failed or took too long.
    """
    before, start = Processors.now(), time.time()
    try:
        found = json.loads(_run_command(asked, limit_s, folder), parse_float=lambda said: float(f"{float(said):.6g}"))
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


def _run_command(asked: str, limit_s: float, folder: Path) -> str:
    """Run a benchmark; return its output.

    Raises: OSError: it failed, with the last line it printed; TimeoutError: it took too long.
    """
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
                    os.killpg(process.pid, signal.SIGKILL)  # and the processes that it started
        said.seek(0)
        if process.returncode:
            lines = said.read().split("\n")
            raise OSError(next((line for line in reversed(lines) if line.strip()), f"status {process.returncode}"))
    return printed
