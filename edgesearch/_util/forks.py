"""Abandon, in a forked process, objects that only its parent may use.

The locks of SQLite and the threads of onnxruntime belong to the process that made them. A lock that another thread held
at the moment of the fork is never released in the child. So the owners of such objects abandon them in the child, and
open their own.
"""

import ctypes
import os
import weakref
from typing import Protocol


class Holder(Protocol):
    """Owns objects that do not survive a fork."""

    def forget(self) -> None:
        """Abandon them; called in a forked process before anything else runs there."""


_holders: "weakref.WeakSet[Holder]" = weakref.WeakSet()


def forget_after_fork(holder: Holder) -> None:
    """Call `holder.forget` in each forked process, as long as the holder exists."""
    _holders.add(holder)


def leak(thing: object) -> None:
    """Never destroy an object, not even at exit.

    SQLite would close the files of the parent, and onnxruntime would wait for the threads of the parent.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _forget_all() -> None:
    for holder in list(_holders):
        holder.forget()


if hasattr(os, "register_at_fork"):  # Windows has no forks
    os.register_at_fork(after_in_child=_forget_all)
