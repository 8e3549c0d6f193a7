"""Check that pictures built to cost time or memory are refused before they are decoded, and honest ones are read."""

import io
import struct
import threading
import zlib
from unittest import mock

import pytest
from PIL import Image

from edgesearch import BusyError, ImageError, Stop, StoppedError
from edgesearch.images import decoding_memory, image, jpeg_scans, tiff_directory
from edgesearch.images.decoding_memory import DecodingMemory

SCAN, END = b"\xff\xda", b"\xff\xd9"
TAG = struct.Struct("<HHII")


def encoded(kind: str = "JPEG", side: int = 64, mode: str = "RGB", **options: object) -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").resize((side, side)).convert(mode).save(out, kind, **options)
    return out.getvalue()


def with_scans(count: int, side: int = 3000) -> bytes:
    """Return a progressive JPEG that sends its last scan again and again."""
    head, _, last = encoded(side=side, progressive=True).rpartition(SCAN)
    return head + (SCAN + last.removesuffix(END)) * count + END


def after_start(data: bytes) -> bytes:
    """Return a JPEG with bytes before its first segment."""
    jpeg = encoded()
    return jpeg[:2] + data + jpeg[2:]


def exif(tags: int, size: int) -> bytes:
    """Return EXIF of tags that each name `size` bytes."""
    entries = b"".join(TAG.pack(number, 7, size, 8) for number in range(300, 300 + tags))
    return b"II*\0" + struct.pack("<IH", 8, tags) + entries + bytes(size)


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def exif_segment(content: bytes) -> bytes:
    return segment(0xE1, b"Exif\0\0" + content)


def with_exif(content: bytes) -> bytes:
    return after_start(exif_segment(content))


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def with_chunks(count: int, kind: bytes = b"teXt", content: bytes = b"a\0b") -> bytes:
    png = encoded("PNG")
    place = png.index(b"IDAT") - 4
    return png[:place] + chunk(kind, content) * count + png[place:]


def with_blocks(count: int, content: bytes = b"\1a") -> bytes:
    gif = encoded("GIF", mode="P")
    place = 13 + (6 << (gif[10] & 7))
    return gif[:place] + (b"!\xfe" + content + b"\0") * count + gif[place:]


def with_frames(count: int) -> bytes:
    out = io.BytesIO()
    frames = [Image.new("RGB", (16, 16), shade) for shade in ("red", "blue")]
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:])
    data = out.getvalue()
    first = data.index(b"ANMF")
    data = data[8:] + data[first : data.index(b"ANMF", first + 4)] * count
    return b"RIFF" + struct.pack("<I", len(data)) + data


def of_runs(side: int) -> bytes:
    """Return a BMP of run lengths, one pixel each."""
    runs = (b"\1\0" * side + b"\0\0") * side
    header = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, 0, 0, 0, 4, 0) + bytes(range(16))
    return b"BM" + struct.pack("<IHHI", 54 + 16 + len(runs), 0, 0, 54 + 16) + header + runs


def tiff(*tags: tuple[int, int, int, int], size: int = 4096) -> bytes:
    base = [(256, 4, 1, 64), (257, 4, 1, 64), (258, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 200)]
    listed = sorted({tag[0]: tag for tag in (*base, *tags)}.values())
    return b"II*\0" + struct.pack("<IH", 8, len(listed)) + b"".join(TAG.pack(*tag) for tag in listed) + bytes(size)


HOSTILE = {
    "scans": (lambda: with_scans(600), "decoding it takes about"),
    "scans without end": (lambda: with_scans(150).removesuffix(END), "decoding it takes about"),
    "segments": (lambda: after_start(b"\xff\xfe\0\2" * 20_000), "segments in a JPEG"),
    "fill bytes": (lambda: after_start(b"\xff" * 20_000), "segments in a JPEG"),
    "EXIF in pieces": (lambda: after_start(exif_segment(bytes(65_000)) * 17), "bytes of EXIF"),
    "Photoshop": (
        lambda: after_start(segment(0xED, b"Photoshop 3.0\0" + b"8BIM".ljust(12, b"\0") * 5000) * 3),
        "segments",
    ),
    "tags": (lambda: with_exif(exif(3000, 20_000)), "list of tags"),
    "chunks": (lambda: with_chunks(60_000), "blocks in a picture"),
    "packed chunks": (
        lambda: with_chunks(2000, b"iCCP", b"a\0\0" + zlib.compress(bytes(1000))),
        "decoding it takes about",
    ),
    "blocks": (lambda: with_blocks(60_000), "blocks in a picture"),
    "comment": (lambda: with_blocks(1, b"\xff".ljust(256) * 11_000), "decoding it takes about"),
    "frames": (lambda: with_frames(60_000), "blocks in a picture"),
    "runs": (lambda: of_runs(2000), "decoding it takes about"),
    "numbers": (lambda: tiff((273, 4, 1_000_000, 200), size=4_100_000), "list of tags"),
    "tiles": (lambda: tiff((322, 4, 1, 30_000), (323, 4, 1, 30_000), (324, 4, 1, 200)), "decoding it takes about"),
    "compression": (lambda: tiff((259, 3, 1, 34925)), "compression 34925, which is not read"),
    "contradiction": (lambda: b"MM\x2a\0" + bytes(100), "contradict each other"),
    "lossless JPEG": (lambda: encoded().replace(b"\xff\xc0", b"\xff\xc3"), "arithmetic or lossless coding"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_pictures_that_take_too_long_are_refused_before_they_are_decoded(name: str) -> None:
    make, says = HOSTILE[name]
    data = make()
    with mock.patch.object(Image.Image, "load", side_effect=AssertionError), pytest.raises(ImageError, match=says):
        image.read(data)


def test_packed_chunks_are_refused_before_pillow_unpacks_them() -> None:
    data = with_chunks(2000, b"iCCP", b"a\0\0" + zlib.compress(bytes(1000)))
    refused = pytest.raises(ImageError, match="decoding it takes about")
    with mock.patch.object(Image, "open", side_effect=AssertionError), refused:
        image.read(data)


@pytest.mark.parametrize(
    "data",
    [
        encoded(side=2000, progressive=True),
        encoded(side=2000, progressive=True).removesuffix(END),
        with_scans(20, side=500),
        with_exif(exif(1, 1000)),
        after_start(exif_segment(exif(1, 1000)) + exif_segment(bytes(65_000)) * 15),
        with_chunks(100),
        with_blocks(100),
        with_blocks(1, b"\xff".ljust(256) * 2000),
        with_frames(100),
        of_runs(100),
        encoded("TIFF", compression="jpeg"),
        encoded("TIFF", compression="tiff_lzw"),
        encoded("TIFF", mode="1", compression="group4"),
    ],
)
def test_honest_pictures_of_all_kinds_are_read(data: bytes) -> None:
    assert image.read(data).shape[2] == 3


@pytest.mark.parametrize(("options", "count"), [({}, 1), ({"progressive": True}, 10)])
def test_scans_are_counted_by_the_pixels_of_their_components(options: dict[str, bool], count: int) -> None:
    scans = jpeg_scans.count_scans(encoded(side=160, **options), "x")
    assert scans.count == count
    if count == 1:  # 4:2:0: two colours of a quarter of the pixels each
        assert scans.pixels == 160 * 160 * 3 // 2
        assert not scans.coefficient_bytes
    else:
        assert scans.coefficient_bytes == 2 * 160 * 160 * 3 // 2


def test_a_second_picture_behind_the_first_is_not_counted() -> None:
    first = encoded(progressive=True)
    assert jpeg_scans.count_scans(first + with_scans(50, side=64), "x").count == 10


def test_the_orientation_is_found_in_any_order_of_bytes() -> None:
    for prefix, order in ((b"II*\0", "<"), (b"MM\0*", ">")):
        entry = struct.pack(f"{order}HHIHH", tiff_directory.ORIENTATION, 3, 1, 6, 0)
        assert tiff_directory.read_orientation(prefix + struct.pack(f"{order}IH", 8, 1) + entry + bytes(4)) == 6
    assert tiff_directory.read_orientation(b"II*\0\xff\xff\xff\xff") == 0


def test_a_webp_of_many_pixels_reserves_its_memory() -> None:
    sizes: list[int] = []

    class Recording(DecodingMemory):
        def reserved(self, size: int):  # type: ignore[no-untyped-def]
            sizes.append(size)
            return super().reserved(size)

    with mock.patch.object(image, "SHARED", Recording(decoding_memory.MAX_BYTES)):
        image.read(encoded("WEBP", side=1000), 320)
    assert sizes[0] >= 16 * 1000 * 1000


def test_callers_wait_for_memory_and_are_told_if_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = DecodingMemory(100)
    monkeypatch.setattr(decoding_memory, "MAX_WAIT_S", 0.1)
    with memory.reserved(80):
        with memory.reserved(20):
            pass
        with pytest.raises(BusyError, match="filled the memory"), memory.reserved(21):
            pass
        with Stop(after_s=0), pytest.raises(StoppedError), memory.reserved(21):
            pass
    with memory.reserved(1000):  # more than all there is: alone
        pass


def test_a_waiting_caller_goes_on_when_memory_is_freed() -> None:
    memory, done = DecodingMemory(100), threading.Event()

    def wait() -> None:
        with memory.reserved(50):
            done.set()

    with memory.reserved(80):
        thread = threading.Thread(target=wait)
        thread.start()
        assert not done.wait(0.1)
    thread.join()
    assert done.is_set()


def test_memory_is_free_in_a_forked_process() -> None:
    memory = DecodingMemory(100)
    with memory.reserved(100):
        memory.forget()  # as a fork does
        with memory.reserved(100):
            pass


def test_too_little_memory_is_not_told_as_damage() -> None:
    with mock.patch.object(Image.Image, "crop", side_effect=MemoryError), pytest.raises(MemoryError):
        image.read(encoded())
