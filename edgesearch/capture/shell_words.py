"""Split the commands that a scan runs, without running a shell, and choose their environment."""

import os
import shlex

from ..bundle import sealing
from ..errors import ScanError

HIDDEN = (*sealing.VARIABLES, "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


def program_environment() -> dict[str, str]:
    """Return this process's environment without what is its own: the device key, and its line to systemd."""
    return {name: value for name, value in os.environ.items() if name not in HIDDEN}


def split_command(command: str) -> list[str]:
    """Split a command into words as a shell does; raise ScanError if a quote is not closed."""
    try:
        return shlex.split(command)
    except ValueError as error:
        raise ScanError(f"{command}: cannot be split into words ({error}); check its quotes.") from error
