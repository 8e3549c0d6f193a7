"""The commands. Answers go to stdout, everything else to stderr; nothing is computed here.

Exit status: 0 answered (an unknown product is an answer), 1 our error in one line, 2 usage.
"""

import argparse
import contextlib
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
from . import (
    build_commands,
    check_command,
    compare_command,
    count_commands,
    device_commands,
    scan_command,
    search_commands,
    serve_commands,
    similar_commands,
    teach_commands,
)
from .output import failed

COMMANDS = (
    "keygen", "build", "delta", "check", "install", "rollback", "overlay", "log", "doctor", "enrol", "edit", "remove",
    "undo", "count", "sort", "scan", "search", "eval", "inspect", "verify", "compare", "similar", "profile", "serve",
    "access",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = _parser().parse_args(arguments)
    if options.key_file:
        os.environ[KEY_FILE] = str(options.key_file)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name the terminal cannot show is no reason to fail
    try:
        with warnings.catch_warnings(), _told_to_end():
            warnings.filterwarnings("ignore", module="PIL")  # our own sentence says it
            status = int(options.run(options) or 0)
        sys.stdout.flush()
        return status
    except EdgeSearchError as error:
        return failed(error)
    except BrokenPipeError:  # the reader of our output has left, as `| head` does
        _discard_stdout()
        return 1
    except KeyboardInterrupt:
        return failed("stopped; nothing half-done is used.")
    except (OSError, MemoryError) as error:
        _discard_stdout()
        return failed(
            f"the system refused ({error or type(error).__name__}); check free space, memory and permissions."
        )


@contextlib.contextmanager
def _told_to_end() -> Iterator[None]:
    """SIGTERM stops a command as Ctrl-C does, so that what is temporary is removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _discard_stdout() -> None:
    """What is still buffered cannot be written; keep the interpreter from trying again at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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

    for part in (
        build_commands,
        check_command,
        device_commands,
        teach_commands,
        count_commands,
        scan_command,
        search_commands,
        compare_command,
        similar_commands,
        serve_commands,
    ):
        part.add(command)
    return parser
