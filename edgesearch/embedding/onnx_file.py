"""Check an ONNX file before onnxruntime opens it: it must hold all its weights, and use only operators that we export.

onnxruntime gets bytes whose hash was verified. If these named other files as weights, onnxruntime would read them,
unverified, from the working directory; and some operators of other domains read files too.

The check follows only fields that can lead to a tensor or an operator; their numbers are those of onnx.proto, which
never change. It refuses messages that are not clearly well-formed, because another parser might read them differently.
Then `network_size` checks what is left: which operators, how much memory, how much arithmetic.
"""

from ..errors import ModelError
from . import network_size
from .protobuf import read_fields

DOMAINS = (b"", b"ai.onnx")
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
_EXAMINED = {*REFUSED, DOMAIN, LOCATION}


def check(network: bytes, name: str) -> None:
    """Check that a network holds only weights and known operators, and needs bounded memory and time.

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
            for number, value in read_fields(data):
                field = message, number
                if field in _EXAMINED and (refused := _find_refused(field, value)):
                    raise ModelError(f"{name}: has {refused}; export it as one file of standard ONNX operators.")
                if field in INSIDE and isinstance(value, memoryview):
                    pending.append((INSIDE[field], value))
        network_size.check(memoryview(network), name)
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
