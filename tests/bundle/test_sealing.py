"""Sealed contents: changed, moved or foreign ones do not open."""

import pytest

from edgesearch.bundle.sealing import Seal

KEYS = (None, bytes(range(32)))


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("content", [b"", b"a", bytes(100_000)])
def test_sealed_content_opens_in_its_own_context_only(key: bytes | None, content: bytes) -> None:
    seal = Seal(key)
    sealed = seal.close(content, "picture 1")
    assert seal.open(sealed, "picture 1") == content
    with pytest.raises(ValueError, match="not what was written"):
        seal.open(sealed, "picture 2")


@pytest.mark.parametrize("key", KEYS)
def test_changed_or_truncated_content_does_not_open(key: bytes | None) -> None:
    seal = Seal(key)
    sealed = seal.close(b"some content", "here")
    for bit in range(8 * len(sealed)):
        damaged = bytearray(sealed)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError, match="not what was written"):
            seal.open(bytes(damaged), "here")
    for length in range(len(sealed)):
        with pytest.raises(ValueError, match="not what was written"):
            seal.open(sealed[:length], "here")


def test_nothing_can_be_read_without_the_key() -> None:
    seal, other = Seal(bytes(32)), Seal(bytes(31) + b"x")
    sealed = seal.close(b"some content", "here")
    assert b"content" not in sealed
    assert sealed != seal.close(b"some content", "here")  # equal contents are sealed differently
    assert b"P-9" not in seal.name("P-9") and seal.name("P-9") == seal.name("P-9") != other.name("P-9")
    for foreign in (other, Seal()):
        with pytest.raises(ValueError, match="not what was written"):
            foreign.open(sealed, "here")
