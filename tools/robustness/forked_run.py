"""Run work in forked processes, so that a crash or a hang is noticed and the next run starts clean."""

import os
import select
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from edgesearch.errors import EdgeSearchError

TIMEOUT_S = 30.0  # the work takes a second on an idle machine
REFUSED, RAISED = 3, 4  # exit statuses of a child


@dataclass(frozen=True)
class ForkResult:
    """The end of a child process.

    Attributes:
        status: 0: the work returned `text`; REFUSED: it raised an `EdgeSearchError` whose message is `text`; RAISED: it
                raised anything else; negative: the signal that killed the child; None: it hung; otherwise its own exit
                status.
    """

    status: int | None
    text: str = ""


def run_forked(work: Callable[[], str], timeout_s: float = TIMEOUT_S) -> ForkResult:
    """Do the work in a fork of this process."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        _run_and_report(work, write)
    os.close(write)
    received = _read_all(read, time.monotonic() + timeout_s)
    os.close(read)
    if received is None:
        os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return ForkResult(None) if received is None else ForkResult(status, received)


def _run_and_report(work: Callable[[], str], write: int) -> None:
    """Do the work, write its outcome to the pipe, and end the process."""
    try:
        status, text = 0, work()
    except EdgeSearchError as error:
        status, text = REFUSED, str(error)
    except BaseException:
        status, text = RAISED, traceback.format_exc()
    os.write(write, text.encode("utf-8", "backslashreplace")[: select.PIPE_BUF * 8])
    os._exit(status)


def _read_all(read: int, until: float) -> str | None:
    """Read the pipe to its end; return None if the end does not come in time."""
    received = b""
    while select.select([read], [], [], max(0.0, until - time.monotonic()))[0]:
        part = os.read(read, 1 << 16)
        if not part:
            return received.decode("utf-8", "replace")
        received += part
    return None
