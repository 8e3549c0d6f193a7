"""Count the scans of a JPEG before it is decoded.

A progressive JPEG stores its pixels in scans, and a decoder goes through all blocks of 8 x 8 pixels for each. Cameras
write one scan and web sites about ten; a file of 200 kB can hold thousands.

The markers are those of ITU T.81, table B.1. They are followed as libjpeg follows them: bytes between segments are
skipped, and nothing after the end marker is read.
"""

import re
from dataclasses import dataclass, field

from ..errors import ImageError

MAX_SEGMENTS = 10_000  # a photo has some hundred; each costs Pillow some microseconds
MAX_EXIF_BYTES = 1 << 20  # a photo has one segment of 64 kB; Pillow copies all before for each further one
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # without stuffed bytes, fill bytes and restart markers
_BASELINE, _SEQUENTIAL, _PROGRESSIVE = 0xC0, 0xC1, 0xC2
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START, _END, _SCAN, _APP1, _APP2, _APP13 = 0xD8, 0xD9, 0xDA, 0xE1, 0xE2, 0xED
_ALONE = (0x01, _START, _END)  # markers that no segment follows


@dataclass
class Scans:
    """Hold what a JPEG makes its decoder do.

    Attributes:
        count: number of scans; of a JPEG with one scan, nothing behind that is counted.
        pixels: pixels that all scans go through, those of each component counted.
        coefficient_bytes: memory that a decoder needs to collect several scans; 0 for a single one.
        end: offset behind the part that was followed.
        directories: TIFF directories in it: EXIF, and the list of further pictures.
    """

    count: int = 0
    pixels: int = 0
    coefficient_bytes: int = 0
    end: int = 0
    directories: list[bytes] = field(default_factory=list)


def count_scans(data: bytes, name: str) -> Scans:
    """Follow the markers of a JPEG.

    Args:
        data: the file.
        name: of the picture, for error messages.
    Raises:
        ImageError: it has too many segments, or is of a kind that no camera writes.
    """
    scans, exif, blocks, kind, segments, position = Scans(end=len(data)), b"", dict[int, int](), 0, 0, 2
    while found := _MARKER.search(data, position):
        skipped = 0 if scans.count else found.start() - position  # Pillow looks at each of these bytes
        marker, position = data[found.end() - 1], found.end()
        if marker == _END and scans.count:
            scans.end = position
            break
        segments += 1 + skipped
        if segments > MAX_SEGMENTS:
            raise ImageError(f"{name}: over {MAX_SEGMENTS:,} segments in a JPEG; save it anew as JPEG.")
        if marker in _ALONE:
            continue
        size = max(2, int.from_bytes(data[position : position + 2], "big"))
        segment, position = data[position + 2 : position + size], position + size
        if marker in _FRAMES and not kind:
            kind, blocks = marker, _count_blocks(segment)
            if kind not in (_BASELINE, _SEQUENTIAL, _PROGRESSIVE):
                raise ImageError(f"{name}: a JPEG with arithmetic or lossless coding; save it anew as JPEG.")
        elif marker == _SCAN:
            scans.count += 1
            selected = [blocks.get(number, 0) for number in segment[1 : 1 + 2 * segment[0] : 2]] if segment else []
            scans.pixels += 64 * sum(selected)
            if kind != _PROGRESSIVE and len(selected) == len(blocks):
                break  # libjpeg refuses further scans
            scans.coefficient_bytes = 128 * sum(blocks.values())
        elif marker == _APP1 and segment.startswith(b"Exif\0\0") and not scans.count:
            exif += segment[6:]
            if len(exif) > MAX_EXIF_BYTES:
                raise ImageError(f"{name}: over {MAX_EXIF_BYTES:,} bytes of EXIF; save it anew as JPEG.")
        elif marker == _APP13 and not scans.count:
            segments += segment.count(b"8BIM")  # Photoshop's blocks, each as slow as a segment
        elif marker == _APP2 and segment.startswith(b"MPF\0") and not scans.count:
            scans.directories.append(segment[4:])
    scans.directories += [exif] if exif else []
    return scans


def _count_blocks(frame: bytes) -> dict[int, int]:
    """Return the number of 8 x 8 blocks of each component, by its identifier, from the segment of a frame."""
    height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
    components = [frame[start : start + 3] for start in range(6, len(frame) - 2, 3)]
    factors = {one[0]: (max(1, one[1] >> 4), max(1, one[1] & 15)) for one in components}
    most = [max(column) for column in zip(*factors.values(), strict=True)]
    return {
        number: -(-width * across // (8 * most[0])) * -(-height * down // (8 * most[1]))
        for number, (across, down) in factors.items()
    }
