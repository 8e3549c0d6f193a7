"""Check an ONNX file before onnxruntime opens it: it must hold all its weights and use only ONNX's own operators.

onnxruntime gets bytes whose hash was verified. If these named other files as weights, onnxruntime would read them,
unverified, from the working directory; and some operators of other domains read files too.

The file is parsed as protobuf (protobuf.dev/programming-guides/encoding): a message is a sequence of fields, each a
key, 8 * number + kind, and a value. The check follows only fields that can lead to a tensor or an operator; their
numbers are those of onnx.proto, which never change. It refuses messages that are not clearly well-formed, because
another parser might read them differently.
"""

from collections.abc import Iterator

from ..errors import ModelError

DOMAINS = (b"", b"ai.onnx")
VARINT, BYTES = 0, 2  # kinds of values
FIXED = {1: 8, 5: 4}  # size in bytes of the other kinds; groups are obsolete, and ONNX has none
KEY_BITS, VALUE_BITS = 32, 64  # largest keys and lengths; largest numbers
INSIDE = {
    ("model", 7): "graph",
    ("graph", 1): "node",
    ("graph", 5): "tensor",
    ("graph", 15): "sparse tensor",
    ("node", 5): "attribute",
    ("attribute", 5): "tensor",
    ("attribute", 6): "graph",
    ("attribute", 10): "tensor",
    ("attribute", 11): "graph",
    ("attribute", 22): "sparse tensor",
    ("attribute", 23): "sparse tensor",
    ("sparse tensor", 1): "tensor",
    ("sparse tensor", 2): "tensor",
}
REFUSED = {
    ("model", 20): "training steps",
    ("model", 25): "functions of its own",
    ("tensor", 13): "weights in other files",
}
DOMAIN = ("node", 7)  # an operator's domain
LOCATION = ("tensor", 14)  # where a tensor's data are; 0 is in the tensor


def check(network: bytes, name: str) -> None:
    """Check that a network holds only weights and standard operators.

    Args:
        network: content of the ONNX file.
        name: of the network, for error messages.
    Raises:
        ModelError: the network holds anything else, or is damaged.
    """
    pending = [("model", memoryview(network))]  # a list, not recursion: graphs may nest to any depth
    try:
        while pending:
            message, data = pending.pop()
            for number, value in _fields(data):
                field = message, number
                refused = _find_refused(field, value)
                if refused:
                    raise ModelError(f"{name}: has {refused}; export it as one file of standard ONNX operators.")
                if field in INSIDE and isinstance(value, memoryview):
                    pending.append((INSIDE[field], value))
    except (ValueError, IndexError) as error:
        raise ModelError(f"{name}: is no ONNX file, or a damaged one ({error}); export it again.") from error


def _find_refused(field: tuple[str, int], value: int | memoryview) -> str | None:
    """Return a description of a field's content if it is refused, else None."""
    if field in REFUSED:
        return REFUSED[field]
    if field == LOCATION and value:
        return REFUSED["tensor", 13]
    domain = value.tobytes()[:80] if field == DOMAIN and isinstance(value, memoryview) else b""
    return None if domain in DOMAINS else f"operators of another domain ({domain!r})"


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield number and value of each field; raise ValueError or IndexError if the message is malformed."""
    offset = 0
    while offset < len(data):
        key, offset = _read_varint(data, offset, KEY_BITS)
        number, kind = key >> 3, key & 7
        if not number or kind not in (VARINT, BYTES, *FIXED):
            raise ValueError(f"field {number} of kind {kind}")
        if kind == VARINT:
            value, offset = _read_varint(data, offset, VALUE_BITS)
            yield number, value
        else:
            size, offset = _read_varint(data, offset, KEY_BITS) if kind == BYTES else (FIXED[kind], offset)
            if offset + size > len(data):
                raise ValueError(f"field {number} of {size} bytes")
            yield number, data[offset : offset + size]
            offset += size


def _read_varint(data: memoryview, offset: int, bits: int) -> tuple[int, int]:
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
