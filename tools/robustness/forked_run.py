"""Work done in forked processes, so that one that dies or hangs is seen, and the next begins as clean."""

import os
import select
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from edgesearch.errors import EdgeSearchError

TIMEOUT_S = 30.0  # a second on a machine that does nothing else
REFUSED, RAISED = 3, 4  # exit status of a child


@dataclass(frozen=True)
class Ending:
    """How a child ended.

    Attributes: status: 0 it said `text`; REFUSED: an `EdgeSearchError` that says `text`; RAISED: anything else; what it
                exited with of itself; below 0 the signal that killed it; None it hung.
    """

    status: int | None
    text: str = ""


def in_child(work: Callable[[], str], timeout_s: float = TIMEOUT_S) -> Ending:
    """Do a piece of work in a fork of this process."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        _work(work, write)
    os.close(write)
    said = _heard(read, time.monotonic() + timeout_s)
    os.close(read)
    if said is None:
        os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return Ending(None) if said is None else Ending(status, said)


def _work(work: Callable[[], str], write: int) -> None:
    """Never returns."""
    try:
        status, text = 0, work()
    except EdgeSearchError as error:
        status, text = REFUSED, str(error)
    except BaseException:
        status, text = RAISED, traceback.format_exc()
    os.write(write, text.encode("utf-8", "backslashreplace")[: select.PIPE_BUF * 8])
    os._exit(status)


def _heard(read: int, until: float) -> str | None:
    """All that is said, None where its end does not come in time."""
    said = b""
    while select.select([read], [], [], max(0.0, until - time.monotonic()))[0]:
        part = os.read(read, 1 << 16)
        if not part:
            return said.decode("utf-8", "replace")
        said += part
    return None
