"""Contents that are known to be what was written."""

import pytest

from edgesearch.bundle.sealing import Seal

KEYS = (None, bytes(range(32)))


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("content", [b"", b"a", bytes(100_000)])
def test_what_is_sealed_opens_in_its_place_alone(key: bytes | None, content: bytes) -> None:
    seal = Seal(key)
    sealed = seal.close(content, "picture 1")
    assert seal.open(sealed, "picture 1") == content
    with pytest.raises(ValueError, match="not what was written"):
        seal.open(sealed, "picture 2")


@pytest.mark.parametrize("key", KEYS)
def test_no_changed_bit_and_no_part_opens(key: bytes | None) -> None:
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


def test_without_the_key_nothing_can_be_read() -> None:
    one, other = Seal(bytes(32)), Seal(bytes(31) + b"x")
    sealed = one.close(b"some content", "here")
    assert b"content" not in sealed
    assert sealed != one.close(b"some content", "here")  # nor that two contents are the same
    assert b"P-9" not in one.name("P-9") and one.name("P-9") == one.name("P-9") != other.name("P-9")
    for seal in (other, Seal()):
        with pytest.raises(ValueError, match="not what was written"):
            seal.open(sealed, "here")
