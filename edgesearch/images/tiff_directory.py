"""Read the directories of TIFF files and of EXIF within limits, before Pillow reads them.

A directory lists tags, each with a number of values at an offset. Nothing keeps thousands of tags from naming the whole
file as their value, and Pillow reads every one.

The layout is that of TIFF 6.0, section 2, and of BigTIFF.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from ..errors import ImageError

MAX_ENTRIES = 10_000  # of all directories
MAX_NUMBERS = 200_000  # values that Pillow unpacks to Python numbers; two a strip
MAX_DIRECTORIES = 8
SLACK_BYTES = 1 << 16  # values may overlap by so much
ORIENTATION = 0x0112
ByteOrder: TypeAlias = Literal["little", "big"]
_PREFIXES: dict[bytes, tuple[ByteOrder, bool]] = {
    b"II\x2a\0": ("little", False),
    b"MM\0\x2a": ("big", False),
    b"II\x2b\0": ("little", True),
    b"MM\0\x2b": ("big", True),
}
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
_WHOLE_NUMBERS = (1, 3, 4, 13, 16)
_WITHOUT_NUMBERS = (1, 2, 7)  # types that Pillow keeps as bytes or text
_NESTED = (0x8769, 0x8825, 0xA005)  # EXIF, GPS, interoperability: read by Pillow, too


class Tag(NamedTuple):
    """A tag: its number, the type and number of its values, and their bytes; none if they lie outside the file."""

    number: int
    kind: int
    amount: int
    value: memoryview


@dataclass(frozen=True)
class Directory:
    """The first directory of a file.

    Attributes:
        tags: by number.
        order: of the bytes in numbers.
        numbers: values that Pillow unpacks, in nested directories too.
    """

    tags: dict[int, Tag]
    order: ByteOrder
    numbers: int

    def integers(self, tag: int) -> list[int]:
        """Return the values of a tag; none if it is missing, or its values are no whole numbers."""
        found = self.tags.get(tag)
        if found is None or found.kind not in _WHOLE_NUMBERS:
            return []
        size = _TYPE_BYTES[found.kind]
        return [
            int.from_bytes(found.value[start : start + size], self.order) for start in range(0, len(found.value), size)
        ]

    def integer(self, tag: int, default: int = 0) -> int:
        """Return the first value of a tag."""
        return (self.integers(tag) or [default])[0]


def read_directory(data: bytes, name: str) -> Directory:
    """Read the first directory, and check those nested in it.

    Args:
        data: a TIFF file, or EXIF without its prefix.
        name: of the picture, for error messages.
    Returns:
        The directory; an empty one if the data is damaged.
    Raises:
        ImageError: the directories hold too much.
    """
    head = _read_head(data)
    if head is None:
        return Directory({}, "little", 0)
    order, is_big, first = head
    pending, seen, first_tags = [first], {first}, dict[int, Tag]()
    entries = numbers = size = 0
    while pending:
        offset = pending.pop()
        for tag in _read_tags(data, offset, order, is_big):
            entries, size = entries + 1, size + len(tag.value)
            numbers += 0 if tag.kind in _WITHOUT_NUMBERS or not tag.value else tag.amount
            if entries > MAX_ENTRIES or numbers > MAX_NUMBERS or size > len(data) + SLACK_BYTES:
                raise ImageError(f"{name}: its list of tags is larger than any camera's; save it anew as JPEG.")
            if offset == first:
                first_tags.setdefault(tag.number, tag)
            nested = int.from_bytes(tag.value[:8], order) if tag.number in _NESTED else first
            if nested not in seen:
                seen.add(nested)
                pending.append(nested)
        if len(seen) > MAX_DIRECTORIES:
            raise ImageError(f"{name}: over {MAX_DIRECTORIES} lists of tags; save it anew as JPEG.")
    return Directory(first_tags, order, numbers)


def read_orientation(data: bytes) -> int:
    """Return the orientation that EXIF states, without its prefix; 0 if there is none or it is damaged."""
    head = _read_head(data)
    if head is None:
        return 0
    order, is_big, first = head
    tags = _read_tags(data, first, order, is_big)
    value = next((tag.value for tag in tags if tag.number == ORIENTATION and tag.kind in _WHOLE_NUMBERS), b"")
    return int.from_bytes(value, order)


def _read_head(data: bytes) -> tuple[ByteOrder, bool, int] | None:
    """Return the order of bytes, whether it is a BigTIFF, and the offset of the first directory."""
    if data[:4] not in _PREFIXES:
        return None
    order, is_big = _PREFIXES[data[:4]]
    return order, is_big, int.from_bytes(data[8:16] if is_big else data[4:8], order)


def _read_tags(data: bytes, offset: int, order: ByteOrder, is_big: bool) -> Iterator[Tag]:
    """Yield the tags of a directory, at most one more than `MAX_ENTRIES`."""
    view = memoryview(data)
    head, entry, place = (8, 20, 8) if is_big else (2, 12, 4)  # bytes of the count, of an entry, of a value's place
    count = min(int.from_bytes(view[offset : offset + head], order), MAX_ENTRIES + 1)
    for start in range(offset + head, min(offset + head + count * entry, len(data) - entry + 1), entry):
        number, kind = (int.from_bytes(view[start + at : start + at + 2], order) for at in (0, 2))
        values = int.from_bytes(view[start + 4 : start + 4 + place], order)
        size, at = _TYPE_BYTES.get(kind, 0) * values, start + 4 + place
        if size > place:
            at = int.from_bytes(view[at : at + place], order)
        yield Tag(number, kind, values, view[at : at + size] if at + size <= len(data) else view[:0])
