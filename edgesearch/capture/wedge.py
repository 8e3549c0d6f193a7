"""A hardware trigger and a barcode wedge: lines that are typed, by a keyboard or by what pretends to be one.

They come from a stream, or from an input device of Linux, which is then held alone, so that a barcode is not typed into
a console as well. An empty line is the trigger, and so is a button that types nothing.
"""

import codecs
import contextlib
import os
import re
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

from .inbox import TRIGGER, Inbox, Line, Lost, Note, Stop

LONGEST = 512  # characters of a line; more is no barcode
AGAIN_S = 2.0  # before a device that was pulled out is opened again
_EVENT = struct.Struct("llHHi")  # time, type, code, value
_KEY, _DOWN = 1, 1
_GRAB = 0x40044590  # EVIOCGRAB
_ENTERS, _SHIFTS = {28, 96}, {42, 54}
_BUTTONS = {*range(183, 195), 212, 0x120, 0x161, 0x210}  # F13 to F24, camera, trigger, select, focus
_ROWS = ((2, "1234567890-="), (16, "qwertyuiop[]"), (30, "asdfghjkl;'"), (43, "\\zxcvbnm,./"), (71, "789-456+1230."))
_SHIFTED = dict(zip("1234567890-=[];'\\,./", '!@#$%^&*()_+{}:"|<>?', strict=True))
PLAIN = {first + place: key for first, keys in _ROWS for place, key in enumerate(keys)} | {55: "*", 57: " ", 98: "/"}
_AIM = re.compile(r"^\][A-Za-z][0-9A-Za-z]")  # what some readers put in front: the kind of the code


class Wedge(threading.Thread):
    """Brings lines to an inbox; of a stream its end too, while a device that is pulled out is waited for."""

    def __init__(self, source: "Path | int", inbox: Inbox):
        """source: an input device, or a file descriptor."""
        super().__init__(name="wedge", daemon=True)
        self._source, self._inbox, self._stopped = source, inbox, threading.Event()

    def run(self) -> None:
        """Until the end of the stream, or `stop`."""
        if isinstance(self._source, int):
            self._bring(lines(_pieces(self._source)))
            self._inbox.tell(Stop(TRIGGER))
            return
        is_lost = False
        while not self._stopped.is_set():
            try:
                with _held(self._source) as descriptor:
                    if is_lost:
                        self._inbox.tell(Note(f"{self._source}: is there again."))
                    is_lost = False
                    self._bring(lines(typed(descriptor)))
            except OSError as error:
                if not is_lost:
                    text = f"{self._source}: cannot be read ({error.strerror}). Waiting for it."
                    self._inbox.tell(Lost("wedge", text))
                is_lost = True
            self._stopped.wait(AGAIN_S)

    def stop(self) -> None:
        """No line is brought any more."""
        self._stopped.set()

    def _bring(self, found: Iterator[str]) -> None:
        for line in found:
            if not self._inbox.give(Line(line), self._stopped):
                return


def lines(pieces: Iterator[str]) -> Iterator[str]:
    """Lines that end in CR, LF or both, without what cannot be printed, and without the sign of a code's kind."""
    held, after_return = "", False
    for piece in pieces:
        for character in piece:
            if character == "\n" and after_return:
                after_return = False
                continue
            after_return = character == "\r"
            if character in "\r\n":
                yield _AIM.sub("", held.strip())
                held = ""
            elif character.isprintable() and len(held) < LONGEST:
                held += character
    if held.strip():
        yield _AIM.sub("", held.strip())


def typed(descriptor: int) -> Iterator[str]:
    """What is typed on an input device, as a keyboard of the United States has it; raises OSError: it is gone."""
    shifts: set[int] = set()
    while data := os.read(descriptor, 64 * _EVENT.size):
        for _, _, kind, code, value in _EVENT.iter_unpack(data[: len(data) // _EVENT.size * _EVENT.size]):
            if kind != _KEY:
                continue
            if code in _SHIFTS:
                shifts = shifts | {code} if value else shifts - {code}
            elif value == _DOWN and (code in _ENTERS or code in _BUTTONS):
                yield "\n"
            elif value == _DOWN and code in PLAIN:
                key = PLAIN[code]
                yield _SHIFTED.get(key, key.upper()) if shifts else key


def _pieces(descriptor: int) -> Iterator[str]:
    """Not by way of `sys.stdin`, whose lock a thread that waits for it would hold for ever."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    with contextlib.suppress(OSError):  # a terminal that is closed
        while data := os.read(descriptor, 4096):
            yield decoder.decode(data)


@contextlib.contextmanager
def _held(device: Path) -> Iterator[int]:
    import fcntl

    descriptor = os.open(device, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a pipe, or a device that somebody else holds, is read as it is
            fcntl.ioctl(descriptor, _GRAB, 1)
        yield descriptor
    finally:
        os.close(descriptor)
