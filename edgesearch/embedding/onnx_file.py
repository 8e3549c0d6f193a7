"""An ONNX file is looked at before onnxruntime opens it: all weights are in it, and all operators are ONNX's own.

onnxruntime is given bytes, whose hash was checked. Weights that these say are in other files would be read from where
the process happens to stand, unchecked; and some operators of other domains read files too.

Protobuf's wire format (protobuf.dev/programming-guides/encoding): a message is a row of fields, each a key, which is
8 * number + kind, and a value. Only what can lead to a tensor or an operator is followed; numbers are those of
onnx.proto, which never change. What is not plainly well-formed is refused: another reader might see something else.
"""

from collections.abc import Iterator

from ..errors import ModelError

DOMAINS = (b"", b"ai.onnx")
VARINT, BYTES = 0, 2  # kinds of values
FIXED = {1: 8, 5: 4}  # bytes of the other kinds; groups are of the past, and ONNX has none
KEY_BITS, VALUE_BITS = 32, 64  # of keys and lengths; of numbers
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
    ("model", 20): "steps of training",
    ("model", 25): "functions of its own",
    ("tensor", 13): "weights in other files",
}
DOMAIN, PLACE = ("node", 7), ("tensor", 14)  # of an operator; of a tensor's data, 0 for in the tensor


def check(network: bytes, name: str) -> None:
    """Raises ModelError where a network is more than weights and standard operators; name: what to call it."""
    waiting = [("model", memoryview(network))]  # not by calling itself: graphs lie inside graphs as deep as one likes
    try:
        while waiting:
            message, data = waiting.pop()
            for number, value in _fields(data):
                field = message, number
                odd = _odd(field, value)
                if odd:
                    raise ModelError(f"{name}: has {odd}; export it as one file of standard ONNX operators.")
                if field in INSIDE and isinstance(value, memoryview):
                    waiting.append((INSIDE[field], value))
    except (ValueError, IndexError) as error:
        raise ModelError(f"{name}: is no ONNX file, or a damaged one ({error}); export it again.") from error


def _odd(field: tuple[str, int], value: int | memoryview) -> str | None:
    if field in REFUSED:
        return REFUSED[field]
    if field == PLACE and value:
        return REFUSED["tensor", 13]
    domain = value.tobytes()[:80] if field == DOMAIN and isinstance(value, memoryview) else b""
    return None if domain in DOMAINS else f"operators of another domain ({domain!r})"


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place, KEY_BITS)
        number, kind = key >> 3, key & 7
        if not number or kind not in (VARINT, BYTES, *FIXED):
            raise ValueError(f"field {number} of kind {kind}")
        if kind == VARINT:
            value, place = _varint(data, place, VALUE_BITS)
            yield number, value
        else:
            size, place = _varint(data, place, KEY_BITS) if kind == BYTES else (FIXED[kind], place)
            if place + size > len(data):
                raise ValueError(f"field {number} of {size} bytes")
            yield number, data[place : place + size]
            place += size


def _varint(data: memoryview, place: int, bits: int) -> tuple[int, int]:
    """A number, seven bits a byte, the lowest first, and the place after it."""
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if value >> bits:
            raise ValueError("a number that is too long")
        if byte < 128:
            return value, place
