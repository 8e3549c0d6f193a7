"""Keys and signatures: wrong keys, changed signatures and other texts are rejected."""

import os
from pathlib import Path

import pytest

from edgesearch import SignatureError
from edgesearch.bundle import signing
from edgesearch.bundle.signing import keygen, read_public, read_trusted, sign, trusted_text, verify_signature


def test_verifying_a_signature_returns_its_key(tmp_path: Path) -> None:
    private, public = keygen(tmp_path / "shop")
    assert (private.name, public.name) == ("shop.key", "shop.pub")
    assert verify_signature(b"manifest", sign(b"manifest", private), "x") == read_public(public)
    if os.name == "posix":
        assert private.stat().st_mode & 0o777 == 0o600


def test_any_changed_byte_is_rejected(tmp_path: Path) -> None:
    private, _ = keygen(tmp_path / "shop")
    signature = sign(b"manifest", private)
    with pytest.raises(SignatureError, match="does not match its manifest"):
        verify_signature(b"manifesT", signature, "x")
    for i in range(len(signature) - 1):
        changed = signature[:i] + bytes([signature[i] ^ 1]) + signature[i + 1 :]
        with pytest.raises(SignatureError):
            verify_signature(b"manifest", changed, "x")
    for size in range(len(signature) - 1):
        with pytest.raises(SignatureError):
            verify_signature(b"manifest", signature[:size], "x")


def test_a_signature_of_another_kind_of_text_does_not_fit_a_manifest(tmp_path: Path) -> None:
    private, _ = keygen(tmp_path / "shop")
    with pytest.raises(SignatureError):
        verify_signature(signing.CONTEXT + b"m", sign(b"m", private), "x")


def test_keys_are_never_overwritten(tmp_path: Path) -> None:
    private, public = keygen(tmp_path / "shop")
    before = private.read_bytes(), public.read_bytes()
    with pytest.raises(SignatureError, match="exists already"):
        keygen(tmp_path / "shop")
    assert (private.read_bytes(), public.read_bytes()) == before
    private.unlink()
    with pytest.raises(SignatureError, match="exists already"):
        keygen(tmp_path / "shop")
    assert not private.exists()
    with pytest.raises(SignatureError, match="not a name"):
        keygen(Path("/"))
    with pytest.raises(SignatureError, match="cannot be written"):
        keygen(tmp_path / "none" / "shop")


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\xff" * 70, b"edgesearch public key 2: " + b"0" * 64, b"0" * 200_000]
)
def test_a_file_without_a_key_is_named_in_the_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pub").write_bytes(content)
    with pytest.raises(SignatureError, match=r"x\.pub: holds no edgesearch"):
        read_public(tmp_path / "x.pub")
    with pytest.raises(SignatureError, match=r"x\.pub: holds no edgesearch private key"):
        sign(b"m", tmp_path / "x.pub")


def test_public_and_private_keys_cannot_be_swapped(tmp_path: Path) -> None:
    private, public = keygen(tmp_path / "shop")
    with pytest.raises(SignatureError):
        sign(b"m", public)
    with pytest.raises(SignatureError):
        read_public(private)
    with pytest.raises(SignatureError, match="cannot be read"):
        read_public(tmp_path / "none")


def test_trusted_keys_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "trusted.pub"
    assert read_trusted(path) == []
    keys = ["1" * 64, "2" * 64]
    path.write_text(trusted_text(keys))
    assert read_trusted(path) == keys
    path.write_text(trusted_text(keys) + "3")
    with pytest.raises(SignatureError, match=r"trusted\.pub"):
        read_trusted(path)
