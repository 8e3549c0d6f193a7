"""Who made a bundle: Ed25519 keys (RFC 8032, by libsodium) and what they sign.

Each file is one line of text that says what it is: `NAME.key`, `NAME.pub`, a signature. A device's `trusted.pub` holds
one line a key, the newest last.
"""

import contextlib
import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from ..errors import SignatureError

PRIVATE, PUBLIC, SECRET, SIGNATURE = "private key", "public key", "device key", "signature"
MAX_BYTES = 1 << 16  # of any of these files
CONTEXT = b"edgesearch manifest\n"  # goes before what is signed: a signature of anything else is none of a manifest
_LINE = re.compile(rf"edgesearch ({PRIVATE}|{PUBLIC}|{SECRET}|{SIGNATURE}) 1: ([0-9a-f]+(?: [0-9a-f]+)?)")


def keygen(name: Path) -> tuple[Path, Path]:
    """Make a pair of keys, NAME.key for who builds and NAME.pub for devices; nothing is overwritten.

    Raises:  SignatureError: a file of that name is there, or cannot be written.
    """
    from nacl.signing import SigningKey  # here, so that unsigned stores open without it

    private, public = _beside(name, "key"), _beside(name, "pub")
    key = SigningKey.generate()
    _write_new({private: (PRIVATE, bytes(key)), public: (PUBLIC, bytes(key.verify_key))})
    return private, public


def keygen_device(name: Path) -> Path:
    """Make a key to encrypt device folders with, NAME.secret; nothing is overwritten; raises SignatureError."""
    secret = _beside(name, "secret")
    _write_new({secret: (SECRET, os.urandom(32))})
    return secret


def read_secret(path: Path) -> str:
    """The hex key of a NAME.secret, with which device folders are encrypted; raises SignatureError."""
    return _only(path, SECRET, 1)[0]


def read_public(path: Path) -> str:
    """The hex key of a NAME.pub; raises SignatureError."""
    return _only(path, PUBLIC, 1)[0]


def read_trusted(path: Path) -> list[str]:
    """The hex keys of a trusted.pub, the newest last; none where there is no such file; raises SignatureError."""
    if not os.path.exists(path):
        return []
    lines = _text(path).splitlines() or [""]  # one that was emptied must not mean that nobody need sign
    return [_parsed(line, PUBLIC, 1, path)[0] for line in lines]


def trusted_text(keys: Collection[str]) -> str:
    """What `read_trusted` reads."""
    return "".join(_line(PUBLIC, key) for key in keys)


def sign(message: bytes, private: Path) -> bytes:
    """The signature file of a manifest: who signed, and the signature; raises SignatureError."""
    from nacl.signing import SigningKey

    key = SigningKey(bytes.fromhex(_only(private, PRIVATE, 1)[0]))
    signature = key.sign(CONTEXT + message).signature
    return _line(SIGNATURE, f"{bytes(key.verify_key).hex()} {signature.hex()}").encode()


def verify_signature(message: bytes, signature: bytes, name: str) -> str:
    """The hex key that signed a manifest.

    Args:    signature: as `sign` gives it; name: what to call the bundle in errors.
    Raises:  SignatureError: it is no signature, or of something else.
    """
    from nacl.exceptions import BadSignatureError
    from nacl.signing import VerifyKey

    try:
        key, found = _parsed(signature[:MAX_BYTES].decode("ascii", "replace").rstrip("\n"), SIGNATURE, 2, name)
        VerifyKey(bytes.fromhex(key)).verify(CONTEXT + message, bytes.fromhex(found))
    except (BadSignatureError, ValueError) as error:
        raise SignatureError(f"{name}: its signature is not of its manifest; do not use it, copy it again.") from error
    return key


def _beside(name: Path, suffix: str) -> Path:
    if not name.name:
        raise SignatureError(f"{name}: no name for keys; give one such as shop.")
    return name.with_name(f"{name.name}.{suffix}")


def _write_new(keys: Mapping[Path, tuple[str, bytes]]) -> None:
    """All of these files or none; kind and content of each."""
    written: list[Path] = []
    try:
        for path, (kind, content) in keys.items():
            mode = 0o644 if kind == PUBLIC else 0o600
            with open(path, "xb", opener=lambda name, flags, mode=mode: os.open(name, flags, mode)) as file:  # type: ignore[misc]
                written.append(path)
                file.write(_line(kind, content.hex()).encode())
    except OSError as error:
        _remove(written)
        if isinstance(error, FileExistsError):
            raise SignatureError(f"{path}: is there already; keys are not overwritten, give a new name.") from None
        raise SignatureError(f"{path}: cannot be written ({error.strerror}); give a folder that can.") from error


def _line(kind: str, content: str) -> str:
    return f"edgesearch {kind} 1: {content}\n"


def _only(path: Path, kind: str, words: int) -> list[str]:
    return _parsed(_text(path).rstrip("\r\n"), kind, words, path)


def _text(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(MAX_BYTES).decode("ascii", "replace")
    except OSError as error:
        raise SignatureError(f"{path}: cannot be read ({error.strerror}); give a file that `keygen` made.") from error


def _parsed(line: str, kind: str, words: int, name: Path | str) -> list[str]:
    """The hex words of a line, 32 bytes the first and 64 the second."""
    match = _LINE.fullmatch(line)
    found = match[2].split() if match and match[1] == kind else []
    if [len(word) for word in found] != [64, 128][:words]:
        raise SignatureError(f"{name}: holds no edgesearch {kind}; give the file that was made as one.")
    return found


def _remove(paths: list[Path]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()
