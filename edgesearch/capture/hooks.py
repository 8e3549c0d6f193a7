"""Programs that are told each answer, so that a device can speak, beep, or hand it on.

No shell is asked, so nothing that is printed on a product, or written in a catalogue, can become a command.
"""

import collections
import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence

from ..errors import ScanError

MOST_WAITING = 16  # answers; where a hook is slower for longer, the oldest is not told
TIMEOUT_S = 5.0
HIDDEN = ("EDGESEARCH_KEY_FILE", "EDGESEARCH_KEY", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
LONGEST = 1000  # characters of a variable


class Hooks:
    """Runs commands one after the other for each answer, while the scan goes on; what they print is for stderr."""

    def __init__(self, commands: Sequence[str], note: Callable[[str], None], timeout_s: float = TIMEOUT_S):
        """commands: their words as a shell splits them; note: is told what went wrong.

        Raises:  ScanError: a command is none, or there is no such program.
        """
        self._commands, self._note, self._timeout_s = [_words(command) for command in commands], note, timeout_s
        self._told: collections.deque[tuple[bytes, dict[str, str]]] = collections.deque()
        self._turn, self._stopped = threading.Condition(), False
        self._thread = threading.Thread(target=self._run, name="hooks", daemon=True)
        if self._commands:
            self._thread.start()

    def tell(self, message: bytes, facts: Mapping[str, str]) -> None:
        """Run them soon; message: for their input; facts: for their environment, by name."""
        if not self._commands:
            return
        with self._turn:
            if is_full := len(self._told) == MOST_WAITING:
                self._told.popleft()
            self._told.append((message, {name: _plain(value) for name, value in facts.items()}))
            self._turn.notify()
        if is_full:
            self._note("hooks: slower than the answers; the oldest that waits is not told.")

    def close(self) -> None:
        """Tell what waits, as far as there is time for one command more."""
        with self._turn:
            self._stopped = True
            self._turn.notify()
        if self._commands:
            self._thread.join(self._timeout_s + 1)

    def _run(self) -> None:
        while True:
            with self._turn:
                self._turn.wait_for(lambda: self._told or self._stopped)
                if not self._told:
                    return
                message, facts = self._told.popleft()
            for words in self._commands:
                if problem := _ran(words, message, facts, self._timeout_s):
                    self._note(problem)


def _ran(words: Sequence[str], message: bytes, facts: dict[str, str], timeout_s: float) -> str:
    """Run one; what went wrong, "" where nothing did."""
    try:
        process = subprocess.Popen(  # noqa: S603 - whoever starts the scan names it
            words,
            stdin=subprocess.PIPE,
            stdout=sys.__stderr__,
            env={name: value for name, value in os.environ.items() if name not in HIDDEN} | facts,
            start_new_session=True,  # with all that it starts, it can be ended
        )
    except (OSError, ValueError) as error:
        return f"hook {words[0]}: cannot be run ({error}); check it."
    try:
        process.communicate(message, timeout_s)
    except subprocess.TimeoutExpired:
        return f"hook {words[0]}: took more than {timeout_s:g} s, and was ended."
    except OSError as error:
        return f"hook {words[0]}: {error}."
    finally:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return f"hook {words[0]}: failed with status {process.returncode}." if process.returncode else ""


def _words(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ScanError(f"{command}: not the words of a command ({error}); check its quotes.") from error
    if not words or shutil.which(words[0]) is None:
        raise ScanError(f"{command or 'hook'}: no such program; check its path, and that it may be run.")
    return words


def _plain(text: str) -> str:
    """As an environment can hold it."""
    return "".join(one if one.isprintable() else " " for one in text[:LONGEST])
