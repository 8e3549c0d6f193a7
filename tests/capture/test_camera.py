"""Cameras: frames of all formats, and reconnection of a disconnected camera."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgesearch import ScanError
from edgesearch.capture import camera, camera_frames
from edgesearch.capture.camera import CameraThread, ProgramCamera
from edgesearch.capture.camera_frames import decode_frame, split_jpegs
from edgesearch.capture.inbox import Frame, Inbox, Notice, SourceLost
from edgesearch.images import image
from edgesearch.images.image import Photo


def jpeg(colour: tuple[int, int, int] = (200, 40, 90), side: int = 64, preview: bytes = b"") -> bytes:
    encoded = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(encoded, "JPEG", quality=95, comment=preview)
    return encoded.getvalue()


class SlowStream(io.RawIOBase):
    """A stream that returns at most a given number of bytes at a time."""

    def __init__(self, content: bytes, most: int):
        self._content, self._most = content, most

    def read(self, size: int = -1) -> bytes:
        piece, self._content = self._content[: self._most], self._content[self._most :]
        return piece


@pytest.mark.parametrize("most", [1, 7, 1000, 1 << 20])
def test_pictures_are_split_out_of_a_stream(most: int) -> None:
    whole = [jpeg((9, 9, 9)), jpeg((200, 0, 0), preview=jpeg(side=16)), jpeg((0, 200, 0), side=90)]
    stream = b"\x00\xffnoise".join([b"", *whole]) + jpeg()[:-30]
    assert list(split_jpegs(SlowStream(stream, most))) == whole  # type: ignore[arg-type]


def test_restart_markers_do_not_end_a_jpeg() -> None:
    rng, encoded = np.random.default_rng(0), io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (96, 96, 3), np.uint8)).save(encoded, "JPEG", restart_marker_blocks=1)
    assert b"\xff\xd0" in encoded.getvalue()
    assert list(split_jpegs(io.BytesIO(encoded.getvalue() * 2))) == [encoded.getvalue()] * 2


def test_bytes_that_are_no_jpeg_are_skipped_and_their_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(split_jpegs(io.BytesIO(b"\xff\xd8\x00\x00" * 1000 + jpeg()))) == [jpeg()]
    monkeypatch.setattr(camera_frames, "MAX_FRAME_BYTES", 100_000)
    with pytest.raises(ScanError, match="more than 100,000 bytes"):
        list(split_jpegs(io.BytesIO(b"\xff\xd8\xff\xda\x00\x02" + b"\x11" * 1_000_000)))


def planes(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return Y, U, V of a colour by BT.601 with headroom, as ITU defines it."""
    r, g, b = (value / 255 for value in colour)
    y = 16 + 65.481 * r + 128.553 * g + 24.966 * b
    return round(y), round(128 - 37.797 * r - 74.203 * g + 112 * b), round(128 + 112 * r - 93.786 * g - 18.214 * b)


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (220, 30, 40), (30, 200, 60), (20, 60, 210)])
def test_uncompressed_frames_keep_their_colour(colour: tuple[int, int, int]) -> None:
    y, u, v = planes(colour)
    frames = {
        "YUYV": bytes([y, u, y, v]) * (16 * 12 // 2),
        "NV12": bytes([y]) * (16 * 12) + bytes([u, v]) * (8 * 6),
        "RGB24": bytes(colour) * (16 * 12),
    }
    for kind, data in frames.items():
        pixels = image.read(decode_frame(data, kind, 16, 12))
        assert pixels.shape == (12, 16, 3)
        np.testing.assert_allclose(pixels.reshape(-1, 3).mean(0), colour, atol=3)


def test_row_padding_is_removed() -> None:
    rows = np.zeros((12, 64), np.uint8)
    rows[:, :48] = 77
    assert (image.read(decode_frame(rows.tobytes(), "RGB24", 16, 12, 64)) == 77).all()


def test_jpegs_without_huffman_tables_are_read() -> None:
    """Read JPEGs without Huffman tables, which some cameras omit as AVI allows."""
    encoded = io.BytesIO()
    Image.new("RGB", (64, 64), (200, 40, 90)).save(encoded, "JPEG", quality=95, optimize=False)
    whole = bytearray(encoded.getvalue())
    while (start := whole.find(b"\xff\xc4")) >= 0:
        del whole[start : start + 2 + int.from_bytes(whole[start + 2 : start + 4], "big")]
    pixels = image.read(decode_frame(bytes(whole), "MJPEG", 64, 64))
    np.testing.assert_allclose(pixels.reshape(-1, 3).mean(0), (200, 40, 90), atol=4)


def test_unknown_formats_and_short_frames_are_reported() -> None:
    with pytest.raises(ScanError, match="gives SRGGB10; expected MJPEG"):
        decode_frame(b"", "SRGGB10", 16, 12)
    with pytest.raises(ScanError, match="gave 5 bytes for 16x12"):
        decode_frame(b"12345", "YUYV", 16, 12)


class FlakyCamera:
    """A camera that is disconnected after some frames, and cannot be opened for some attempts."""

    name = "/dev/video7"

    def __init__(self, frames: int, away: int):
        self._frames, self._away, self.opened, self.closed = frames, away, 0, 0

    def frames(self) -> Iterator[Photo]:
        self.opened += 1
        if 1 < self.opened <= 1 + self._away:
            raise FileNotFoundError(2, "No such file or directory")
        try:
            for _ in range(self._frames):
                yield jpeg()
            raise OSError(19, "No such device")
        finally:
            self.closed += 1


def test_a_disconnected_camera_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(camera, "MAX_WAIT_S", 0.02)
    flaky, inbox = FlakyCamera(frames=3, away=4), Inbox()
    thread = CameraThread(flaky, inbox)
    thread.start()
    found = []
    while not any(isinstance(event, Notice) for event in found):
        found.append(inbox.get(5.0))
    thread.stop()
    assert not thread.is_alive()
    assert isinstance(found[0], Frame)
    (lost,) = (event for event in found if isinstance(event, SourceLost))
    assert lost.text == "/dev/video7: cannot be used ([Errno 19] No such device). Waiting for it."
    assert [event.text for event in found if isinstance(event, Notice)] == ["/dev/video7: is back."]
    assert flaky.opened >= 6
    assert flaky.closed == flaky.opened - 4


def test_a_program_that_ends_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera, "FIRST_WAIT_S", 0.01)
    (tmp_path / "frame.jpg").write_bytes(jpeg())
    code = "import sys; sys.stdout.buffer.write(open(sys.argv[1], 'rb').read() * 3)"
    inbox = Inbox()
    thread = CameraThread(ProgramCamera(f'"{sys.executable}" -c "{code}" "{tmp_path}/frame.jpg"'), inbox)
    thread.start()
    found = []
    while not any(isinstance(event, Notice) for event in found):
        found.append(inbox.get(10.0))
    thread.stop()
    assert {event.photo for event in found if isinstance(event, Frame)} == {jpeg()}
    assert any(isinstance(event, SourceLost) and "ended (status 0)" in event.text for event in found)


def test_a_program_does_not_inherit_the_device_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EDGESEARCH_KEY", "EDGESEARCH_KEY_FILE"):
        monkeypatch.setenv(name, "secret")
    code = "import os, sys; sys.exit('secret' in os.environ.values())"
    with pytest.raises(ScanError, match=r"ended \(status 0\)"):
        next(ProgramCamera(f'"{sys.executable}" -c "{code}"').frames())


def test_closing_the_frames_ends_the_program(tmp_path: Path) -> None:
    (tmp_path / "frame.jpg").write_bytes(jpeg())
    code = (
        "import sys, time; sys.stdout.buffer.write(open(sys.argv[1], 'rb').read()); sys.stdout.flush(); time.sleep(99)"
    )
    frames = ProgramCamera(f'"{sys.executable}" -c "{code}" "{tmp_path}/frame.jpg"').frames()
    assert next(frames) == jpeg()
    closed = threading.Thread(target=frames.close)  # type: ignore[attr-defined]
    closed.start()
    closed.join(10.0)
    assert not closed.is_alive()


@pytest.mark.parametrize("command", ["", 'a "b'])
def test_an_empty_or_unquoted_command_is_refused(command: str) -> None:
    with pytest.raises(ScanError):
        ProgramCamera(command)


@pytest.fixture(scope="module")
def fake_driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile a preload library that simulates the camera /dev/video9 by the kernel's header."""
    pytest.importorskip("linuxpy", reason="the extra `camera` is not installed")
    path = tmp_path_factory.mktemp("driver") / "fake.so"
    command = ["cc", "-shared", "-fPIC", "-o", str(path), str(Path(__file__).parent / "fake_camera.c"), "-ldl"]
    if shutil.which("cc") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no compiler with the kernel's headers is here")
    return path


def with_driver(driver: Path, command: list[str], **settings: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "LD_PRELOAD": str(driver), **settings}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment)


@pytest.mark.slow
@pytest.mark.parametrize("fourcc", ["", "YUYV"])
def test_a_linux_camera_yields_frames_until_it_is_disconnected(fake_driver: Path, tmp_path: Path, fourcc: str) -> None:
    (tmp_path / "frame.jpg").write_bytes(jpeg())
    code = """if True:
        from pathlib import Path
        from edgesearch.images import image
        from edgesearch.capture.camera import V4L2Camera
        try:
            for frame in V4L2Camera(Path("/dev/video9")).frames():
                print(image.read(frame).shape, int(image.read(frame).mean()))
        except OSError as error:
            print(error)
    """
    settings = {"FAKE_FOURCC": fourcc} if fourcc else {}
    command = [sys.executable, "-c", code]
    with with_driver(fake_driver, command, FAKE_CAMERA=str(tmp_path / "frame.jpg"), FAKE_FRAMES="9", **settings) as run:
        *frames, last = run.communicate(timeout=60)[0].splitlines()
    shape, mean = ((480, 640, 3), 130) if fourcc else ((64, 64, 3), int(image.read(jpeg()).mean()))
    assert frames == [f"{shape} {mean}"] * 9
    assert last == "[Errno 19] No such device"


@pytest.mark.slow
def test_a_scan_continues_when_the_camera_is_reconnected(fake_driver: Path, tiny_edge: Path, shop: Path) -> None:
    photo = str(next((shop / "pictures").glob("*.jpg")))
    command = [sys.executable, "-m", "edgesearch", "scan", str(tiny_edge), "--camera", "/dev/video9", "--json"]
    with with_driver(fake_driver, command, FAKE_CAMERA=photo, FAKE_FRAMES="150") as run:
        assert run.stdout
        assert run.stderr
        results = [json.loads(run.stdout.readline())]
        while "error" not in results[-1]:
            results.append(json.loads(run.stdout.readline()))
        notice = run.stderr.readline()
        run.send_signal(signal.SIGTERM)
        assert run.wait(30) == 0
    assert results[0]["source"] == "camera"
    assert results[0]["matches"]
    gone = "/dev/video9: cannot be used ([Errno 19] No such device). Waiting for it."
    assert results[-1]["error"]["message"] == gone
    assert notice == "edgesearch: /dev/video9: is back.\n"
