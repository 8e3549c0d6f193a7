"""What a process has opened is not for the processes forked from it.

SQLite's locks and onnxruntime's threads stay with the process that made them, and a lock that another thread held at
that moment is never released in the child. So whoever holds such things forgets them there, and opens its own.
"""

import ctypes
import os
import weakref
from typing import Protocol


class Holder(Protocol):
    """Holds what does not survive a fork."""

    def forget(self) -> None:
        """Called in a forked process before anything else runs there."""


_holders: "weakref.WeakSet[Holder]" = weakref.WeakSet()


def watch(holder: Holder) -> None:
    """Tell it of forks, as long as it lives."""
    _holders.add(holder)


def leave(thing: object) -> None:
    """Never end it, not even at exit: SQLite would close the files of the parent, onnxruntime wait for its threads."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _forget() -> None:
    for holder in list(_holders):
        holder.forget()


if hasattr(os, "register_at_fork"):  # there are no forks on Windows
    os.register_at_fork(after_in_child=_forget)
