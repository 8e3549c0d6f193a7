"""Read messages in protobuf's encoding (protobuf.dev/programming-guides/encoding), without its library.

A message is a sequence of fields, each a key, 8 * number + kind, and a value.
"""

from collections.abc import Iterator

VARINT, BYTES = 0, 2  # kinds of values
FIXED = {1: 8, 5: 4}  # size in bytes of the other kinds; groups are obsolete, and ONNX has none
_KINDS = (VARINT, BYTES, *FIXED)
KEY_BITS, VALUE_BITS = 32, 64  # largest keys and lengths; largest numbers


def read_fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield number and value of each field; raise ValueError or IndexError if the message is malformed."""
    offset, end = 0, len(data)
    while offset < end:
        key, offset = data[offset], offset + 1
        if key > 127:  # most keys and lengths have one byte, and need no call: half the time
            key, offset = read_varint(data, offset - 1, KEY_BITS)
        number, kind = key >> 3, key & 7
        if not number or kind not in _KINDS:
            raise ValueError(f"field {number} of kind {kind}")
        if kind in FIXED:
            value = FIXED[kind]
        else:
            value, offset = data[offset], offset + 1
            if value > 127:
                value, offset = read_varint(data, offset - 1, KEY_BITS if kind == BYTES else VALUE_BITS)
        if kind == VARINT:
            yield number, value
        else:
            if offset + value > end:
                raise ValueError(f"field {number} of {value} bytes")
            yield number, data[offset : offset + value]
            offset += value


def read_varint(data: memoryview, offset: int, bits: int) -> tuple[int, int]:
    """Read a number of seven bits a byte, lowest first; return it and the offset behind it.

    Raises:
        ValueError: the number has more than `bits` bits.
    """
    value = shift = 0
    while True:
        byte = data[offset]
        value |= (byte & 127) << shift
        offset, shift = offset + 1, shift + 7
        if value >> bits:
            raise ValueError("a number that is too long")
        if byte < 128:
            return value, offset
