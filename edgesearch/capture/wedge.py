"""Read a barcode wedge and a hardware trigger: lines typed by a keyboard, or by a device that acts as one.

The lines come from a stream, or from an input device of Linux. The device is grabbed, so that barcodes are not typed
into a console as well. An empty line is the trigger, and so is a button that types nothing.
"""

import codecs
import contextlib
import os
import re
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

from .inbox import TRIGGER, EndScan, Inbox, Line, Notice, SourceLost

MAX_LINE = 512  # characters; longer lines are no barcodes
GROUP = "\x1d"  # FNC1
RETRY_S = 2.0  # before a disconnected device is opened again
_EVENT = struct.Struct("llHHi")  # time, type, code, value
_KEY, _DOWN = 1, 1
_GRAB = 0x40044590  # EVIOCGRAB
_ENTER_KEYS, _SHIFT_KEYS, _TAB_KEY = {28, 96}, {42, 54}, 15
_BUTTONS = {*range(183, 195), 212, 0x120, 0x161, 0x210}  # F13 to F24, camera, trigger, select, focus
_ROWS = ((2, "1234567890-="), (16, "qwertyuiop[]"), (30, "asdfghjkl;'"), (43, "\\zxcvbnm,./"), (71, "789-456+1230."))
_SHIFTED = dict(zip("1234567890-=[];'\\,./", '!@#$%^&*()_+{}:"|<>?', strict=True))
_PLAIN = {first + offset: key for first, keys in _ROWS for offset, key in enumerate(keys)} | {55: "*", 57: " ", 98: "/"}
_SYMBOLOGY = re.compile(r"^\][A-Za-z][0-9A-Za-z]")  # AIM identifier, which some readers send before the code


class Wedge(threading.Thread):
    """Delivers lines to an inbox, and the end of a stream; waits for a device that is disconnected."""

    def __init__(self, source: "Path | int", inbox: Inbox):
        """Create the thread; `source` is an input device, or a file descriptor to read as a stream."""
        super().__init__(name="wedge", daemon=True)
        self._source, self._inbox, self._stopped = source, inbox, threading.Event()

    def run(self) -> None:
        """Deliver lines until the stream ends, or until `stop`."""
        if isinstance(self._source, int):
            self._deliver(split_lines(_read_text(self._source)))
            self._inbox.put_now(EndScan(TRIGGER))
            return
        is_lost = False
        while not self._stopped.is_set():
            try:
                with _grab(self._source) as descriptor:
                    if is_lost:
                        self._inbox.put_now(Notice(f"{self._source}: is back."))
                    is_lost = False
                    self._deliver(split_lines(read_keys(descriptor)))
            except OSError as error:
                if not is_lost:
                    text = f"{self._source}: cannot be read ({error.strerror}). Waiting for it."
                    self._inbox.put_now(SourceLost("wedge", text))
                is_lost = True
            self._stopped.wait(RETRY_S)

    def stop(self) -> None:
        """Deliver no more lines."""
        self._stopped.set()

    def _deliver(self, lines: Iterator[str]) -> None:
        for line in lines:
            if not self._inbox.put(Line(line), self._stopped):
                return


def split_lines(texts: Iterator[str]) -> Iterator[str]:
    """Yield the lines of consecutive texts, without unprintable characters and symbology identifiers.

    A line ends in CR, LF or both; a Tab, which some scanners send instead or before, ends a code but is no trigger.
    Keep FNC1 (0x1d), which separates the elements of a GS1 code.
    """
    line, before = "", ""
    for text in texts:
        for character in text:
            is_end = character in "\r\n\t"
            if is_end and not line.strip() and (character == "\t" or before == "\t" or before + character == "\r\n"):
                before = "" if character == "\n" else character
                continue
            before = character
            if is_end:
                yield _SYMBOLOGY.sub("", line.strip(" "))
                line = ""
            elif (character.isprintable() or character == GROUP) and len(line) < MAX_LINE:
                line += character
    if line.strip():
        yield _SYMBOLOGY.sub("", line.strip())


def read_keys(descriptor: int) -> Iterator[str]:
    """Yield the characters typed on an input device with US layout; raise OSError when it is disconnected."""
    shifts: set[int] = set()
    while data := os.read(descriptor, 64 * _EVENT.size):
        for _, _, kind, code, value in _EVENT.iter_unpack(data[: len(data) // _EVENT.size * _EVENT.size]):
            if kind != _KEY:
                continue
            if code in _SHIFT_KEYS:
                shifts = shifts | {code} if value else shifts - {code}
            elif value == _DOWN and (code in _ENTER_KEYS or code in _BUTTONS):
                yield "\n"
            elif value == _DOWN and code == _TAB_KEY:
                yield "\t"
            elif value == _DOWN and code in _PLAIN:
                key = _PLAIN[code]
                yield _SHIFTED.get(key, key.upper()) if shifts else key


def _read_text(descriptor: int) -> Iterator[str]:
    """Yield decoded text; do not use `sys.stdin`, whose lock a waiting thread would hold forever."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    with contextlib.suppress(OSError):  # a closed terminal
        while data := os.read(descriptor, 4096):
            yield decoder.decode(data)


@contextlib.contextmanager
def _grab(device: Path) -> Iterator[int]:
    """Open a device for exclusive use."""
    import fcntl

    descriptor = os.open(device, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # read a pipe, or a device grabbed by another process, without the grab
            fcntl.ioctl(descriptor, _GRAB, 1)
        yield descriptor
    finally:
        os.close(descriptor)
