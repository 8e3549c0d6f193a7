"""Bytes at rest that are known to be what was written; with a key, nobody without it can read or make them.

Without a key each is preceded by a hash, against decay. With one it is XChaCha20-Poly1305 (RFC 8439 with the nonces of
draft-irtf-cfrg-xchacha, by libsodium). Either way what is sealed in one place does not open in another.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from ..errors import DeviceError
from . import signing

Key: TypeAlias = bytes | Callable[[], bytes]  # of 32 bytes
KEY_FILE = "EDGESEARCH_KEY_FILE"  # in the environment
KEY = "EDGESEARCH_KEY"
HASH_BYTES = 16
KEY_BYTES, NONCE_BYTES, TAG_BYTES = 32, 24, 16


def resolve_key(key: Key | None) -> bytes | None:
    """A key as it is given, else that of the environment: `EDGESEARCH_KEY`, in hex, or the file `EDGESEARCH_KEY_FILE`.

    Raises:  DeviceError, SignatureError: it is none.
    """
    if callable(key):
        key = key()
    try:
        if key is None and (text := os.environ.get(KEY)):
            key = bytes.fromhex(text)
    except ValueError as error:
        raise DeviceError(f"{KEY}: is not hex; give the {2 * KEY_BYTES} digits of the key.") from error
    if key is None and (path := os.environ.get(KEY_FILE)):
        key = bytes.fromhex(signing.read_secret(Path(path)))
    if key is not None and len(key) != KEY_BYTES:
        raise DeviceError(f"the key of the device: {len(key)} bytes, where {KEY_BYTES} are expected.")
    return key


class Seal:
    """Seals and opens; context: the place of the content, as it must be again when it is opened."""

    def __init__(self, key: bytes | None = None):
        """key: 32 bytes; None: the content stays readable."""
        self._key = key

    @property
    def is_encrypted(self) -> bool:
        """Whether the content can be read with a key alone."""
        return self._key is not None

    @property
    def overhead(self) -> int:
        """Bytes by which what is sealed is longer."""
        return HASH_BYTES if self._key is None else NONCE_BYTES + TAG_BYTES

    def close(self, content: bytes, context: str) -> bytes:
        """What to keep of the content."""
        if self._key is None:
            return _hash(content, context) + content
        from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as encrypt
        from nacl.utils import random

        nonce = random(NONCE_BYTES)
        return nonce + encrypt(content, context.encode(), nonce, self._key)

    def open(self, sealed: bytes, context: str) -> bytes:
        """The content; raises ValueError: it is not what was sealed there, or with this key."""
        if self._key is None:
            content = sealed[HASH_BYTES:]
            if sealed[:HASH_BYTES] != _hash(content, context):
                raise ValueError("it is not what was written")
            return content
        from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt as decrypt
        from nacl.exceptions import CryptoError

        try:
            return decrypt(sealed[NONCE_BYTES:], context.encode(), sealed[:NONCE_BYTES], self._key)
        except (CryptoError, ValueError) as error:
            raise ValueError("it is not what was written, or the key is another") from error

    def name(self, text: str) -> bytes:
        """What a text is looked up by: itself, or what tells nothing of it without the key."""
        if self._key is None:
            return text.encode()
        return hashlib.blake2b(text.encode(), key=self._key, digest_size=32, person=b"edgesearch name").digest()


def _hash(content: bytes, context: str) -> bytes:
    return hashlib.sha256(context.encode() + b"\0" + content).digest()[:HASH_BYTES]
