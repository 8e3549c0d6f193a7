"""Seal bytes at rest, so that reading proves that they have not changed.

Without a key, a hash precedes the content and reveals decay. With a key, XChaCha20-Poly1305 (RFC 8439 with the nonces
of draft-irtf-cfrg-xchacha, by libsodium) encrypts the content, and only holders of the key can read or make it. Either
way, content sealed for one context does not open in another.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from ..errors import DeviceError
from . import signing

Key: TypeAlias = bytes | Callable[[], bytes]  # of 32 bytes
KEY_FILE = "EDGESEARCH_KEY_FILE"  # environment variables
KEY = "EDGESEARCH_KEY"
VARIABLES = (KEY_FILE, KEY)
HASH_BYTES = 16
KEY_BYTES, NONCE_BYTES, TAG_BYTES = 32, 24, 16


def resolve_key(key: Key | None) -> bytes | None:
    """Return the given key, else that of the environment: `EDGESEARCH_KEY` in hex, or the file `EDGESEARCH_KEY_FILE`.

    Returns: 32 bytes; `None` if there is no key.
    Raises:
        DeviceError: the key is not 32 bytes.
        SignatureError: the file is not a device key.
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
        raise DeviceError(f"the device key: has {len(key)} bytes, expected {KEY_BYTES}; give the key as it was made.")
    return key


def derive_key(key: bytes, number: bytes) -> bytes:
    """Return the key of one folder, so that nothing from another folder with the same key opens in it.

    Args:
        key: 32 bytes.
        number: Of the folder, 16 bytes.
    """
    return hashlib.blake2b(key=key, salt=number, digest_size=KEY_BYTES, person=b"edgesearch fold").digest()


class Seal:
    """Seals and opens content; the context (where the content is kept) must be the same for both."""

    def __init__(self, key: bytes | None = None):
        """Use a key of 32 bytes; `None` leaves the content readable."""
        self._key = key

    @property
    def is_encrypted(self) -> bool:
        """True if reading the content needs a key."""
        return self._key is not None

    @property
    def overhead(self) -> int:
        """Bytes by which sealing lengthens the content."""
        return HASH_BYTES if self._key is None else NONCE_BYTES + TAG_BYTES

    def close(self, content: bytes, context: str) -> bytes:
        """Seal content."""
        if self._key is None:
            return _hash(content, context) + content
        from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as encrypt
        from nacl.utils import random

        nonce = random(NONCE_BYTES)
        return nonce + encrypt(content, context.encode(), nonce, self._key)

    def open(self, sealed: bytes, context: str) -> bytes:
        """Return the content; raise ValueError if it was not sealed for this context with this key."""
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
        """Return the bytes under which a text is filed: the text, or with a key a hash that reveals nothing of it."""
        if self._key is None:
            return text.encode()
        return hashlib.blake2b(text.encode(), key=self._key, digest_size=32, person=b"edgesearch name").digest()


def _hash(content: bytes, context: str) -> bytes:
    return hashlib.sha256(context.encode() + b"\0" + content).digest()[:HASH_BYTES]
