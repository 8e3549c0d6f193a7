"""Run programs for each answer, so that a device can speak, beep, or pass the answer on.

No shell is involved, so text printed on a product or written in a catalogue cannot become a command.
"""

import collections
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence

from ..errors import ScanError
from .shell_words import program_environment, split_command

MAX_QUEUED = 16  # answers; if the hooks stay slower than the answers, the oldest one is dropped
TIMEOUT_S = 5.0
MAX_CHARACTERS = 1000  # of an environment variable


class Hooks:
    """Runs all commands for each answer, one after the other, in a thread; their output goes to stderr."""

    def __init__(self, commands: Sequence[str], notify: Callable[[str], None], timeout_s: float = TIMEOUT_S):
        """Check the commands, and start the thread.

        Args:
            commands: Split into words as a shell does.
            notify: Called with a sentence for each failure.
            timeout_s: Time limit of a command.
        Raises:
            ScanError: A command is empty, or its program does not exist.
        """
        self._commands = [_find_program(command) for command in commands]
        self._notify, self._timeout_s = notify, timeout_s
        self._queue: collections.deque[tuple[bytes, dict[str, str]]] = collections.deque()
        self._changed, self._stopped = threading.Condition(), False
        self._thread = threading.Thread(target=self._run, name="hooks", daemon=True)
        if self._commands:
            self._thread.start()

    def submit(self, message: bytes, variables: Mapping[str, str]) -> None:
        """Queue an answer for the commands.

        Args:
            message: Their standard input.
            variables: Added to their environment.
        """
        if not self._commands:
            return
        with self._changed:
            if is_full := len(self._queue) == MAX_QUEUED:
                self._queue.popleft()
            self._queue.append((message, {name: _clean_value(value) for name, value in variables.items()}))
            self._changed.notify()
        if is_full:
            self._notify("hooks: slower than the answers; the oldest waiting answer was dropped.")

    def close(self) -> None:
        """Run the commands for queued answers, as far as the time limit of one more command allows."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self._commands:
            self._thread.join(self._timeout_s + 1)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._stopped)
                if not self._queue:
                    return
                message, variables = self._queue.popleft()
            for words in self._commands:
                if failure := _run_command(words, message, variables, self._timeout_s):
                    self._notify(failure)


def _run_command(words: Sequence[str], message: bytes, variables: dict[str, str], timeout_s: float) -> str:
    """Run a command; return a sentence on its failure, or "" on success."""
    try:
        process = subprocess.Popen(  # noqa: S603 - whoever starts the scan names the program
            words,
            stdin=subprocess.PIPE,
            stdout=sys.__stderr__,
            env=program_environment() | variables,
            start_new_session=True,  # so that its child processes can be killed with it
        )
    except (OSError, ValueError) as error:
        return f"hook {words[0]}: cannot be run ({error}); check it."
    try:
        process.communicate(message, timeout_s)
    except subprocess.TimeoutExpired:
        return f"hook {words[0]}: took more than {timeout_s:g} s and was killed."
    except OSError as error:
        return f"hook {words[0]}: {error}."
    finally:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return f"hook {words[0]}: failed with status {process.returncode}." if process.returncode else ""


def _find_program(command: str) -> list[str]:
    """Return the words of a command; raise ScanError if it is empty, or its program does not exist."""
    words = split_command(command)
    if not words or shutil.which(words[0]) is None:
        raise ScanError(f"{command or 'hook'}: no such program; check its path, and that it is executable.")
    return words


def _clean_value(text: str) -> str:
    """Return the text as an environment variable can hold it."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:MAX_CHARACTERS])
