"""Choose the certificate that the server shows, and replace it while the server runs.

A new certificate is loaded into the context of the running server: new connections get it, and open ones go on.
"""

import asyncio
import contextlib
import datetime
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..errors import DeviceError
from . import certificates, lan
from .certificates import Files

if TYPE_CHECKING:
    from cryptography import x509

CHECK_S = 60.0  # between two looks at the certificate, the clock and the addresses
Tell = Callable[[object], None]


class Source(Protocol):
    """Gives the server its certificate."""

    def current(self, now: datetime.datetime) -> Files:
        """Return the files to use; raise DeviceError if there are none."""


class OwnCertificate:
    """A certificate that somebody else renews."""

    def __init__(self, files: Files, tell: Tell):
        """Use files; `tell` is called if other users can read the key."""
        self._files = files
        if mode := files.shared_mode():
            tell(f"{files.key}: other users may read this key (mode {mode:o}); set it to 600.")

    def current(self, now: datetime.datetime) -> Files:
        """Return the files; raise DeviceError if they cannot be used."""
        self._files.check(now)
        return self._files


class LocalCertificate:
    """A certificate that is made here, for the addresses that the machine has at the time."""

    def __init__(self, folder: Path, host: str, names: Sequence[str], earliest: datetime.datetime, tell: Tell):
        """Refer to a local authority.

        Args:
            folder: Of the authority.
            host: Address that the server listens on.
            names: Further host names.
            earliest: A clock that shows an earlier time is wrong.
            tell: Called with what the certificate cannot hold.
        Raises:
            DeviceError: The library that makes certificates is not installed.
        """
        try:
            from .local_authority import LocalAuthority
        except ModuleNotFoundError as error:
            raise DeviceError(
                f"--tls: {error.name} is not installed; install the extra: pip install 'edgesearch[tls]', or give "
                "--certificate."
            ) from error
        self._authority, self._host, self._names = LocalAuthority(folder, earliest), host, names
        self._tell = tell
        self._told: list[str] = []

    @property
    def names(self) -> list[str]:
        """Host names by which visitors may call the server."""
        return [*self._names, *lan.host_names()]

    def root(self, now: datetime.datetime) -> "x509.Certificate":
        """Return the root to install on handhelds; raise DeviceError as `current`."""
        return self._authority.root(self._all_names(), now)

    def current(self, now: datetime.datetime) -> Files:
        """Return the file of a certificate for the addresses of this moment; raise DeviceError if none can be made."""
        path, left_out = self._authority.certify(self._all_names(), now)
        if left_out and left_out != self._told:
            self._told = left_out
            self._tell(
                f"{', '.join(left_out)}: not in the certificate, since the root permits only local names and those of "
                f"its day; if it must be, remove {path.parent}, start again, and install the new root everywhere."
            )
        return Files(path, path)

    def _all_names(self) -> list[str]:
        addresses = lan.find_addresses(self._host)
        return [*(name for name in addresses if name != "localhost"), *self.names]


def make_context(source: Source) -> ssl.SSLContext:
    """Return a context for a server; raise DeviceError if the certificate cannot be used."""
    return certificates.load(source.current(_now()))


async def keep_current(source: Source, context: ssl.SSLContext, tell: Tell) -> None:
    """Load each new certificate into the context of a running server; tell why one cannot be used."""
    loaded, told = await asyncio.to_thread(_read, source), ""
    while True:
        await asyncio.sleep(CHECK_S)
        try:
            files = await asyncio.to_thread(source.current, _now())
            if (content := files.read()) != loaded:
                certificates.load(files)  # a key of another certificate must not reach the context in use
                context.load_cert_chain(files.chain, files.key)
                loaded = content
                tell(f"{files.chain}: new connections use the new certificate.")
            told = ""
        except (DeviceError, OSError) as error:
            if str(error) != told:
                told = str(error)
                tell(error)


def _read(source: Source) -> tuple[bytes, ...]:
    """Return the contents of the files in use; none if they cannot be used any more."""
    with contextlib.suppress(DeviceError):
        return source.current(_now()).read()
    return ()


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
