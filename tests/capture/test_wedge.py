"""Lines of a barcode wedge, from a stream or from the keys of an input device."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgesearch.capture.inbox import TRIGGER, EndScan, Inbox, Line, SourceLost
from edgesearch.capture.wedge import Wedge, read_keys, split_lines

KEYS = {"4": 5, "0": 11, "a": 30, "-": 12, "8": 9, "\n": 28}


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["400\r\n500\n", "\r", "\n6"], ["400", "500", "", "6"]),
        (["40", "0\r", "\n"], ["400"]),
        (["\r\r\n\n"], ["", "", ""]),
        (["]E0400\n]C1X\n"], ["400", "X"]),
        (["4\x000\x1b\n  \n"], ["40", ""]),
        (["400\t500\t", "600\t\r\n", "\n700\t\n800"], ["400", "500", "600", "", "700", "800"]),
        (["\t400\r\n\t\n"], ["400"]),
        (["]d2010400\x1d10A\n"], ["010400\x1d10A"]),
        (["9" * 10_000 + "\n"], ["9" * 512]),
        ([], []),
    ],
)
def test_lines_may_end_in_cr_lf_or_both(texts: list[str], expected: list[str]) -> None:
    assert list(split_lines(iter(texts))) == expected


def event(code: int, value: int, kind: int = 1) -> bytes:
    return struct.pack("llHHi", 0, 0, kind, code, value)


def strokes(*codes: int) -> bytes:
    return b"".join(event(code, 1) + event(code, 0) + event(0, 0, 0) for code in codes)


def read(data: bytes) -> Iterator[str]:
    reader, writer = os.pipe()
    os.write(writer, data)
    os.close(writer)
    yield from read_keys(reader)
    os.close(reader)


def test_key_codes_become_characters() -> None:
    assert "".join(read(strokes(*(KEYS[key] for key in "40a-8\n")))) == "40a-8\n"
    assert "".join(read(strokes(5, 15))) == "4\t"
    shifted = event(42, 1) + strokes(30, 9, 12) + event(42, 0) + strokes(30)
    assert "".join(read(shifted)) == "A*_a"


def test_a_held_key_counts_once_and_a_button_is_the_trigger() -> None:
    held = event(5, 1) + event(5, 2) * 20 + event(5, 0)
    assert "".join(read(held + strokes(212) + strokes(0x120))) == "4\n\n"


def test_unknown_keys_type_nothing() -> None:
    assert "".join(read(strokes(113, 114, 116, 29, 200))) == ""


def test_the_end_of_a_stream_is_delivered() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"400638133393\n\n5")
    os.close(writer)
    inbox = Inbox()
    Wedge(reader, inbox).run()
    assert [inbox.get(1.0) for _ in range(4)] == [Line("400638133393"), Line(""), Line("5"), EndScan(TRIGGER)]


def test_a_missing_device_is_reported_and_opened_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgesearch.capture.wedge.RETRY_S", 0.02)
    inbox, device = Inbox(), tmp_path / "event0"
    wedge = Wedge(device, inbox)
    wedge.start()
    lost = inbox.get(5.0)
    assert isinstance(lost, SourceLost)
    assert "event0: cannot be read" in lost.text
    device.write_bytes(strokes(5, 28))
    assert "is back" in getattr(inbox.get(5.0), "text", "")
    assert inbox.get(5.0) == Line("4")
    wedge.stop()
