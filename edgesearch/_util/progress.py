"""Tell whoever watches which stage of long work runs, and how much of it is done.

A watcher belongs to the context of a thread, as a stop does, so no function passes it on as a parameter. The work only
counts; the watcher looks at the count whenever it likes.
"""

import contextlib
import time
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Protocol, TypeVar

T = TypeVar("T")
BYTE = "byte"  # a unit that is shown in MB


class Stage:
    """A stage of work.

    Attributes:
        name: For people, such as "index".
        unit: One of what is counted, such as "picture"; "" if nothing is.
        done, total: Counts; a total of 0 is unknown.
        begun_s: When it began, on the monotonic clock.
    """

    def __init__(self, name: str, unit: str = "", total: int = 0):
        self.name, self.unit, self.done, self.total = name, unit, 0, total
        self.begun_s = time.monotonic()


class Watcher(Protocol):
    """Shows stages and notes to people."""

    def enter(self, stage: Stage) -> None:
        """Show a stage, which may lie within another."""

    def leave(self, stage: Stage) -> None:
        """Forget a stage that has ended."""

    def note(self, text: str) -> None:
        """Show a line about the work."""


_current: ContextVar[Watcher | None] = ContextVar("edgesearch progress", default=None)


@contextlib.contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Show the stages of the work inside."""
    token = _current.set(watcher)
    try:
        yield
    finally:
        _current.reset(token)


@contextlib.contextmanager
def stage(name: str, unit: str = "", total: int = 0) -> Iterator[Stage]:
    """Announce the work inside as a stage; the work adds to the `done` of the stage."""
    watcher, entered = _current.get(), Stage(name, unit, total)
    if watcher is None:
        yield entered
        return
    watcher.enter(entered)
    try:
        yield entered
    finally:
        watcher.leave(entered)


def track(name: str, unit: str, items: Iterable[T], total: int = 0) -> Iterator[T]:
    """Yield items as a stage that counts them as they are used."""
    with stage(name, unit, total) as entered:
        for item in items:
            yield item
            entered.done += 1


def note(text: str) -> None:
    """Show a line to whoever watches."""
    watcher = _current.get()
    if watcher is not None:
        watcher.note(text)
