"""Run the command line. Answers go to stdout, everything else to stderr.

Exit status: 0 answered (an unknown product is an answer), 1 our error in one line, 2 usage.
"""

import argparse
import contextlib
import gc
import importlib
import io
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..bundle.sealing import KEY_FILE
from ..errors import EdgeSearchError
from ..version import __version__
from .output import discard_stdout, report_error
from .progress_display import showing

MODULES = {  # of this package, and their commands
    "build_commands": ("keygen", "build", "delta"),
    "check_command": ("check",),
    "device_commands": ("install", "rollback", "overlay", "log", "doctor"),
    "teach_commands": ("enrol", "edit", "remove", "undo"),
    "learn_commands": ("learn", "learned"),
    "capture_command": ("capture",),
    "count_commands": ("count", "sort"),
    "scan_command": ("scan",),
    "search_command": ("search",),
    "store_commands": ("eval", "inspect", "verify"),
    "compare_command": ("compare",),
    "similar_commands": ("similar", "profile"),
    "serve_commands": ("serve", "access"),
    "web_command": ("web",),
}
THREADS = "OPENBLAS_NUM_THREADS"
COMMANDS = tuple(command for commands in MODULES.values() for command in commands)


def run() -> int:
    """Run the command that this process was started for, as `main` does, which programs may call too.

    Python would collect all that was loaded before the process ends, which takes longer than decoding a photo.
    """
    status = main()
    gc.freeze()
    return status


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    _open_missing_streams()
    arguments = sys.argv[1:] if arguments is None else arguments
    with _without_collections():
        _load_numpy()
        options = _parser(arguments).parse_args(arguments)
    if options.key_file:
        os.environ[KEY_FILE] = str(options.key_file)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name the terminal cannot show must not stop a command
    try:
        quiet = options.quiet or getattr(options, "json", False)
        with warnings.catch_warnings(), _interrupt_on_sigterm(), showing(quiet):
            warnings.filterwarnings("ignore", module="PIL")  # our own errors report the same
            status = int(options.run(options) or 0)
        with contextlib.suppress(BrokenPipeError):  # it is done, whether or not anybody reads of it
            sys.stdout.flush()
            return status
        discard_stdout()
        return status
    except EdgeSearchError as error:
        return report_error(error, _notes(error))
    except BrokenPipeError:  # the reader of our output has left, as `| head` does
        discard_stdout()
        return 1
    except KeyboardInterrupt as stop:
        return report_error("stopped; unfinished files are never used.", _notes(stop))
    except (OSError, MemoryError) as error:
        discard_stdout()
        return report_error(
            f"the system refused ({error or type(error).__name__}); check free space, memory and permissions.",
            _notes(error),
        )


def _notes(error: BaseException) -> Sequence[str]:
    """Return the notes that were added to an error, for instance on how to go on."""
    return getattr(error, "__notes__", ())


@contextlib.contextmanager
def _interrupt_on_sigterm() -> Iterator[None]:
    """Let SIGTERM stop a command as Ctrl-C does, so that it removes its temporary files."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _open_missing_streams() -> None:
    """Open nothing in place of a standard stream that was closed, as `>&-` does."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115  # for good


@contextlib.contextmanager
def _without_collections() -> Iterator[None]:
    """Collect no garbage while modules load: they leave none, and looking for it takes a twentieth of that time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _load_numpy() -> None:
    """Load numpy with one thread: those of its OpenBLAS would spin for 0.1 s as they start.

    Programs that the command runs keep the environment.
    """
    given = os.environ.get(THREADS)
    os.environ[THREADS] = given or "1"
    import numpy  # noqa: F401

    if given is None:
        del os.environ[THREADS]


def _parser(arguments: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return the parser of the command that comes first, whose module alone is loaded, or else of all commands."""
    parser = argparse.ArgumentParser(
        prog="edgesearch", description="Find the product in a photo, offline and on a CPU."
    )
    parser.add_argument("--version", action="version", version=f"edgesearch {__version__}")
    parser.add_argument(
        "--key-file", type=Path, metavar="SECRET", help=f"key of an encrypted device folder (default: ${KEY_FILE})"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[..., Any], text: str, example: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text, epilog=f"example: edgesearch {name} {example}")
        added.add_argument("-q", "--quiet", action="store_true", help="show no progress")
        added.set_defaults(run=run)
        return added

    named = [module for module, names in MODULES.items() if {*arguments[:1]} & {*names}]
    for module in named or MODULES:
        importlib.import_module(f".{module}", __package__).add(command)
    return parser
