"""Check a certificate and its key before and while a server uses them.

Python's ssl does not tell what a certificate says of itself. So a client in memory shakes hands with a server that has
the certificate, trusts exactly it, and asks.
"""

import contextlib
import datetime
import os
import ssl
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import DeviceError

NO_CHECK_TIME, PARTIAL_CHAIN = 0x200000, 0x80000  # flags of OpenSSL's X509_VERIFY_PARAM
FORMAT = "%b %d %H:%M:%S %Y %Z"


class Files(NamedTuple):
    """PEM files: a certificate, followed by those that lead to its root, and its key."""

    chain: Path
    key: Path

    def check(self, now: datetime.datetime) -> None:
        """Raise DeviceError unless a server can use them at this time."""
        begins, ends = read_validity(self)
        if now < begins or now > ends:
            what = f"expired on {ends:%Y-%m-%d}" if now > ends else f"is valid only from {begins:%Y-%m-%d}"
            raise DeviceError(
                f"{self.chain}: {what}, and this machine's clock says {now:%Y-%m-%d %H:%M}; renew the certificate, or "
                "set the clock."
            )

    def shared_mode(self) -> int:
        """Return the permissions of the key if other users may read it, else 0."""
        with contextlib.suppress(OSError):
            mode = self.key.stat().st_mode & 0o777
            return mode if mode & 0o077 and os.name != "nt" else 0
        return 0  # reading it will fail

    def read(self) -> tuple[bytes, ...]:
        """Return the contents; raise DeviceError if one cannot be read."""
        return tuple(_read(path) for path in self)


def read_validity(files: Files) -> tuple[datetime.datetime, datetime.datetime]:
    """Return from when until when a certificate is valid; raise DeviceError if a server cannot use it."""
    try:
        found = _ask(load(files))
    except ssl.SSLError as error:
        raise DeviceError(
            f"{files.chain}: no client accepts it ({_reason(error)}); give a certificate for a server."
        ) from error
    begins, ends = (
        datetime.datetime.strptime(str(found[name]), FORMAT).replace(tzinfo=datetime.UTC)
        for name in ("notBefore", "notAfter")
    )
    return begins, ends


def load(files: Files) -> ssl.SSLContext:
    """Return a server's context; raise DeviceError if a file cannot be read or the key is of another certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    files.read()
    try:
        context.load_cert_chain(files.chain, files.key, password=_refuse_password)
    except _EncryptedError as error:
        raise DeviceError(f"{files.key}: is encrypted; give the key without a passphrase.") from error
    except ssl.SSLError as error:
        raise _describe(files, error) from error
    return context


class _EncryptedError(Exception):
    """A key has a passphrase."""


def _refuse_password() -> str:
    raise _EncryptedError


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DeviceError(
            f"{path}: cannot be read ({error.strerror}); give a PEM file that this user may read."
        ) from error


def _describe(files: Files, error: ssl.SSLError) -> DeviceError:
    """Return the error that says which of the two files is wrong."""
    if error.reason == "KEY_VALUES_MISMATCH":
        return DeviceError(f"{files.key}: is not the key of {files.chain}, whose first certificate must be its own.")
    if b"-----BEGIN CERTIFICATE-----" not in _read(files.chain):
        return DeviceError(f"{files.chain}: holds no PEM certificate; give one.")
    if b"PRIVATE KEY-----" not in _read(files.key):
        return DeviceError(f"{files.key}: holds no PEM private key; give one.")
    return DeviceError(f"{files.chain}: cannot be used with {files.key} ({_reason(error)}); give both as PEM files.")


def _reason(error: ssl.SSLError) -> str:
    return getattr(error, "verify_message", "") or error.reason or str(error)


def _ask(server: ssl.SSLContext) -> dict[str, Any]:
    """Return what a server's certificate says of itself."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    certificate = _shake_hands(client, server).getpeercert(binary_form=True)
    assert certificate is not None
    client.verify_mode = ssl.CERT_REQUIRED
    client.verify_flags |= NO_CHECK_TIME | PARTIAL_CHAIN
    client.load_verify_locations(cadata=certificate)
    return dict(_shake_hands(client, server).getpeercert() or {})


def _shake_hands(client: ssl.SSLContext, server: ssl.SSLContext) -> ssl.SSLObject:
    """Connect both in memory; return the client's side. Raise SSLError if it rejects the server."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = client.wrap_bio(to_client, to_server), server.wrap_bio(to_server, to_client, server_side=True)
    waiting = list(sides)
    while waiting:
        for side in list(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                pass
    return sides[0]
