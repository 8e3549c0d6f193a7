"""Show on stderr which stage of a command runs: one line that is rewritten, or without a terminal a line now and then.

A thread looks at the stages, so that also a stage that counts nothing shows that time passes.
"""

import contextlib
import datetime
import itertools
import os
import sys
import threading
import time
import unicodedata
from collections.abc import Iterator

from .._util import progress
from .._util.plain_text import plain
from .._util.progress import BYTE, Stage

SHOWN_AFTER_S = 1.0  # a shorter stage is not named
REDRAW_S = 0.25
COLUMNS = 80  # of a terminal that does not tell
LINE_EVERY_S, LINE_EVERY_S_AT_MOST = 10.0, 60.0  # without a terminal; the longer a command runs, the fewer lines


@contextlib.contextmanager
def showing(quiet: bool) -> Iterator[None]:
    """Show the stages of the work inside, unless `quiet`."""
    if quiet:
        yield
        return
    with contextlib.closing(_Display()) as display, progress.watched_by(display):
        yield


@contextlib.contextmanager
def cleared_line() -> Iterator[None]:
    """Remove the stage from the terminal while something else is printed there; it is drawn again later."""
    display = _Display.shown
    if display is None:
        yield
        return
    with display.lock:
        display.clear()
        yield


def describe(stage: Stage, now_s: float) -> str:
    """Return a stage, the count of what it has done, its speed and the time left, or the time that it has taken."""
    elapsed_s = max(now_s - stage.begun_s, 1e-9)
    if not stage.done and not stage.total:
        return f"{stage.name}, {_duration(elapsed_s)}"
    done, total, unit = stage.done, stage.total, f"{stage.unit}{'s' * (max(stage.done, stage.total) != 1)}"
    if stage.unit == BYTE:
        done, total, unit = done // 1_000_000, total // 1_000_000, "MB"
    if not stage.total:
        return f"{stage.name}: {done:,} {unit}, {_duration(elapsed_s)}"
    left_s = elapsed_s * (stage.total - stage.done) / max(stage.done, 1)
    left = f", {done / elapsed_s:,.1f} a second, {_duration(left_s)} left" if stage.done else ""
    return f"{stage.name}: {done:,} of {total:,} {unit}{left}"


def fit(line: str, columns: int) -> str:
    """Return a line that takes so many columns of a terminal at most, its end replaced by three dots if it is cut."""
    if sum(map(_width, line)) <= columns:
        return line
    widths = itertools.accumulate(map(_width, line), initial=len("..."))
    kept = sum(width <= columns for width in widths) - 1
    return (line[: max(kept, 0)] + "...")[:columns]


def _width(sign: str) -> int:
    """Return the columns that a character takes: two if it is Chinese, Japanese or Korean, none if it combines."""
    return 0 if unicodedata.combining(sign) else 1 + (unicodedata.east_asian_width(sign) in "WF")


def _columns() -> int:
    """Return the width of the terminal that shows the stages; stdout may be another one, or a file."""
    with contextlib.suppress(OSError, ValueError):
        return os.get_terminal_size(sys.stderr.fileno()).columns or COLUMNS
    return COLUMNS


def _duration(seconds: float) -> str:
    return str(datetime.timedelta(seconds=max(0, round(seconds))))


class _Display:
    """Watches the work of one command. Its thread starts with the first stage."""

    shown: "_Display | None" = None  # the one that may draw a line

    def __init__(self) -> None:
        self._stages: list[Stage] = []
        self.lock, self._closed = threading.RLock(), threading.Event()
        self._thread: threading.Thread | None = None
        self._begun_s, self._next_line_s, self._drawn = time.monotonic(), 0.0, 0
        self._is_terminal = sys.stderr.isatty()

    def enter(self, stage: Stage) -> None:
        with self.lock:
            self._stages.append(stage)
            if self._thread is None:
                self._thread = threading.Thread(target=self._follow, daemon=True)
                self._thread.start()
                _Display.shown = self

    def leave(self, stage: Stage) -> None:
        with self.lock:
            self._stages.remove(stage)
            self.clear()

    def note(self, text: str) -> None:
        with cleared_line(), contextlib.suppress(OSError, ValueError):
            print("edgesearch:", plain(text), file=sys.stderr)

    def clear(self) -> None:
        """Remove the line from the terminal."""
        with self.lock, contextlib.suppress(OSError, ValueError):  # a closed stderr stops no work
            if self._drawn:
                sys.stderr.write(f"\r{' ' * self._drawn}\r")
                sys.stderr.flush()
            self._drawn = 0

    def close(self) -> None:
        """Stop showing."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()
        self.clear()
        _Display.shown = None

    def _follow(self) -> None:
        while not self._closed.wait(REDRAW_S):
            with self.lock, contextlib.suppress(OSError, ValueError):
                self._show(time.monotonic())

    def _show(self, now_s: float) -> None:
        """Show the innermost of the stages that are worth it."""
        found = next((stage for stage in self._stages[::-1] if now_s - stage.begun_s >= SHOWN_AFTER_S), None)
        if found is None:
            return
        if self._is_terminal:
            self._draw(f"edgesearch: {plain(describe(found, now_s))}")
        elif now_s >= self._next_line_s:
            print("edgesearch:", plain(describe(found, now_s)), file=sys.stderr, flush=True)
            pause_s = min(max((now_s - self._begun_s) / 10, LINE_EVERY_S), LINE_EVERY_S_AT_MOST)
            self._next_line_s = now_s + pause_s

    def _draw(self, line: str) -> None:
        line = fit(line, _columns() - 1)
        drawn = sum(map(_width, line))
        sys.stderr.write(f"\r{line}{' ' * (self._drawn - drawn)}")
        sys.stderr.flush()
        self._drawn = drawn
