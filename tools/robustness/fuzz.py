"""`tools/robustness/fuzz`: search with atheris for inputs that break a reader; the first finding ends a reader's turn.

A finding is an exception that the reader may not raise, a crash of the compiled code (built with the sanitizers), a run
of more than ten seconds, or more than a gigabyte of memory. Fix it, and keep its input, made small, in
tests/robustness/cases/READER/.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["edgesearch"]):
    from . import reader_inputs, readers

SLOWEST_S, MOST_MB, MOST_BYTES = 10, 1024, 4096
CASES = Path(__file__).parents[2] / "tests" / "robustness" / "cases"


def main() -> int:
    """Fuzz some readers, one after the other; return 1 if there was a finding."""
    options = _parser().parse_args()
    if options.alone:
        _fuzz(options.reader[0], options)
    figures = [_run(name, options) for name in options.reader or readers.READERS]
    print("reader        executions places reached  findings")
    for name, executions, reached, found in figures:
        print(f"{name:12} {executions:11,} {reached:14,} {found:9}")
    return int(any(found for *_, found in figures))


def _run(name: str, options: argparse.Namespace) -> tuple[str, int, int, int]:
    """Fuzz one reader in a process of its own, because libFuzzer ends the process that it runs in.

    Returns: name, executions, covered edges, findings (0 or 1).
    """
    command = [sys.executable, "-m", "robustness.fuzz", name, "--alone"]
    command += ["--minutes", str(options.minutes), "--seed", str(options.seed), "--kept", str(options.kept)]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, errors="replace", check=False)  # noqa: S603  # ours
    (options.kept / f"{name}.log").write_text(done.stderr)
    executions, reached = (
        int((re.findall(rf"{what}:? +(\d+)", done.stderr) or ["0"])[-1]) for what in ("number_of_executed_units", "cov")
    )
    if done.returncode:
        print(f"{name}: see {options.kept / name}.log", file=sys.stderr)
    return name, executions, reached, int(done.returncode != 0)


def _fuzz(name: str, options: argparse.Namespace) -> None:
    corpus = options.kept / name
    corpus.mkdir(parents=True, exist_ok=True)
    for i, seed in enumerate(reader_inputs.seeds(name)):
        (corpus / f"seed{i}").write_bytes(seed)
    known = [str(folder) for folder in [CASES / name] if folder.is_dir()]
    limits = {
        "max_total_time": round(options.minutes * 60),
        "timeout": SLOWEST_S,
        "rss_limit_mb": MOST_MB,
        "max_len": MOST_BYTES,
        "seed": options.seed,
        "print_final_stats": 1,
        "artifact_prefix": f"{options.kept / name}-",
    }
    flags = [f"-{key}={value}" for key, value in limits.items()]
    atheris.Setup([sys.argv[0], *flags, str(corpus), *known], lambda data: readers.attack(name, data))
    atheris.Fuzz()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tools/robustness/fuzz", description="Search for inputs that break a reader.")
    parser.add_argument("reader", nargs="*", help=f"(default: all) {', '.join(readers.READERS)}")
    parser.add_argument("--minutes", type=float, default=3, help="for each reader (default: 3)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kept", type=Path, default=Path("build/fuzz"), help="folder for the corpus and for findings")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
