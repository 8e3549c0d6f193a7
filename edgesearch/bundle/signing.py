"""Make keys, and sign and verify bundles, by Ed25519 (RFC 8032, by libsodium).

Each file is one line of text that names its kind: `NAME.key`, `NAME.pub`, `NAME.secret`, a signature. A device's
`trusted.pub` holds one line per key, the newest last.
"""

import contextlib
import os
import re
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path

from ..errors import SignatureError

PRIVATE, PUBLIC, SECRET, SIGNATURE = "private key", "public key", "device key", "signature"
MAX_BYTES = 1 << 16  # of any of these files
CONTEXT = b"edgesearch manifest\n"  # precedes the signed manifest; no signature of anything else fits it
_LINE = re.compile(rf"edgesearch ({PRIVATE}|{PUBLIC}|{SECRET}|{SIGNATURE}) 1: ([0-9a-f]+(?: [0-9a-f]+)?)")


def keygen(name: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Make a pair of keys: NAME.key signs bundles, NAME.pub lets devices verify them. Overwrite nothing.

    Returns: the private key and the public key.
    Raises:
        SignatureError: a file of that name exists, or cannot be written.
    """
    from nacl.signing import SigningKey  # imported here, so that unsigned stores open without it

    private, public = _key_path(Path(name), "key"), _key_path(Path(name), "pub")
    key = SigningKey.generate()
    _write_new({private: (PRIVATE, bytes(key)), public: (PUBLIC, bytes(key.verify_key))})
    return private, public


def keygen_device(name: str | os.PathLike[str]) -> Path:
    """Make a key to encrypt device folders, NAME.secret; overwrite nothing; raise SignatureError if that fails."""
    secret = _key_path(Path(name), "secret")
    _write_new({secret: (SECRET, os.urandom(32))})
    return secret


def read_secret(path: Path) -> str:
    """Return the hex key of a NAME.secret; raise SignatureError if it is not one."""
    return _read_line(path, SECRET, 1)[0]


def read_public(path: Path) -> str:
    """Return the hex key of a NAME.pub; raise SignatureError if it is not one."""
    return _read_line(path, PUBLIC, 1)[0]


def read_trusted(path: Path) -> list[str]:
    """Return the hex keys of a trusted.pub, the newest last; none if there is no such file.

    Raises:
        SignatureError: a line is not a public key, or the file is empty.
    """
    return parse_trusted(_read_bytes(path), path) if os.path.exists(path) else []


def parse_trusted(content: bytes, path: Path) -> list[str]:
    """Return the hex keys in the content of a trusted.pub; raise SignatureError as `read_trusted` does."""
    lines = _decode(content).splitlines() or [""]  # an emptied file must not mean that any bundle is trusted
    return [_parse_line(line, PUBLIC, 1, path)[0] for line in lines]


def trusted_text(keys: Collection[str]) -> str:
    """Return the text of a trusted.pub with these hex keys."""
    return "".join(_line(PUBLIC, key) for key in keys)


def sign(message: bytes, private: Path) -> bytes:
    """Return the signature file of a manifest: public key and signature; raise SignatureError if the key is wrong."""
    from nacl.signing import SigningKey

    key = SigningKey(bytes.fromhex(_read_line(private, PRIVATE, 1)[0]))
    signature = key.sign(CONTEXT + message).signature
    return _line(SIGNATURE, f"{bytes(key.verify_key).hex()} {signature.hex()}").encode()


def verify_signature(message: bytes, signature: bytes, name: str) -> str:
    """Return the hex key that signed a manifest.

    Args:
        message: the manifest.
        signature: the signature file, as `sign` returns it.
        name: of the bundle, for error messages.
    Raises:
        SignatureError: it is not a signature, or not of this manifest.
    """
    from nacl.exceptions import BadSignatureError
    from nacl.signing import VerifyKey

    try:
        line = signature[:MAX_BYTES].decode("ascii", "replace").rstrip("\n")
        key, found = _parse_line(line, SIGNATURE, 2, name)
        VerifyKey(bytes.fromhex(key)).verify(CONTEXT + message, bytes.fromhex(found))
    except (BadSignatureError, ValueError) as error:
        raise SignatureError(
            f"{name}: its signature does not match its manifest; do not use it, copy it again."
        ) from error
    return key


def _key_path(name: Path, suffix: str) -> Path:
    if not name.name:
        raise SignatureError(f"{name}: not a name for keys; give one such as shop.")
    return name.with_name(f"{name.name}.{suffix}")


def _write_new(keys: Mapping[Path, tuple[str, bytes]]) -> None:
    """Write all of these files or none, given the kind and the content of each."""
    written: list[Path] = []
    try:
        for path, (kind, content) in keys.items():
            mode = 0o644 if kind == PUBLIC else 0o600
            with open(path, "xb", opener=partial(os.open, mode=mode)) as file:
                written.append(path)
                file.write(_line(kind, content.hex()).encode())
    except OSError as error:
        _remove(written)
        if isinstance(error, FileExistsError):
            raise SignatureError(f"{path}: exists already; keys are not overwritten, give a new name.") from None
        raise SignatureError(f"{path}: cannot be written ({error.strerror}); give another folder.") from error


def _line(kind: str, content: str) -> str:
    return f"edgesearch {kind} 1: {content}\n"


def _read_line(path: Path, kind: str, words: int) -> list[str]:
    return _parse_line(_decode(_read_bytes(path)).rstrip("\r\n"), kind, words, path)


def _decode(content: bytes) -> str:
    return content.decode("ascii", "replace")


def _read_bytes(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(MAX_BYTES)
    except OSError as error:
        raise SignatureError(f"{path}: cannot be read ({error.strerror}); give a file that `keygen` made.") from error


def _parse_line(line: str, kind: str, words: int, name: Path | str) -> list[str]:
    """Return the hex words of a line: the first of 32 bytes, the second of 64."""
    match = _LINE.fullmatch(line)
    found = match[2].split() if match and match[1] == kind else []
    if [len(word) for word in found] != [64, 128][:words]:
        raise SignatureError(f"{name}: holds no edgesearch {kind}; give a file that `keygen` made as one.")
    return found


def _remove(paths: list[Path]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()
