"""Split the commands that a scan runs, without running a shell."""

import shlex

from ..errors import ScanError


def split_command(command: str) -> list[str]:
    """Split a command into words as a shell does; raise ScanError if a quote is not closed."""
    try:
        return shlex.split(command)
    except ValueError as error:
        raise ScanError(f"{command}: cannot be split into words ({error}); check its quotes.") from error
