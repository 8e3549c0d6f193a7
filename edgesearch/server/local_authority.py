"""Make certificates for a local network, by an authority of this machine whose root people install once.

    FOLDER/root.pem      the root, with its key
    FOLDER/server.pem    the server's certificate, with its key

The root is valid for ten years and only for local names and addresses, and those that the machine had when it was
made, so that whoever steals it cannot stand in for a site of the internet. The server's certificate is valid for 397
days, the most that browsers accept of anybody, and is made again when a third of them is left, or when the machine has
another address or name.
"""

import contextlib
import datetime
import ipaddress
import os
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .._util.files import open_private, replacing, try_lock
from ..errors import DeviceError

ROOT, SERVER, LOCK = "root.pem", "server.pem", "lock"
LOCK_S = 10.0
ROOT_AGE, SERVER_AGE = datetime.timedelta(days=3650), datetime.timedelta(days=397)
SLACK = datetime.timedelta(days=1)  # for handhelds whose clocks are slow
LOCAL_NETWORKS = (
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10", "127.0.0.0/8",
    "fc00::/7", "fe80::/10", "::1/128",
)  # fmt: skip
LOCAL_DOMAINS = ("localhost", "local", "lan", "home.arpa", "internal")
THIS_MACHINE = ("127.0.0.1", "::1", "localhost")

Pair = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


class LocalAuthority:
    """The authority in one folder, which is made when it is needed."""

    def __init__(self, folder: Path, earliest: datetime.datetime):
        """Refer to a folder.

        Args:
            folder: For the keys.
            earliest: A clock that shows an earlier time is wrong.
        """
        self.folder, self._earliest = folder, earliest

    def root(self, names: Sequence[str], now: datetime.datetime) -> x509.Certificate:
        """Return the root, which is made for these addresses and host names too if there is none.

        Raises:
            DeviceError: As `certify`.
        """
        return self._root(names, now)[0]

    def certify(self, names: Sequence[str], now: datetime.datetime) -> tuple[Path, list[str]]:
        """Return the file of a certificate for these addresses and names, and those that the root does not permit.

        Raises:
            DeviceError: The clock is wrong, the root has expired or is damaged, or the folder cannot be written.
        """
        root = self._root(names, now)
        wanted = list(dict.fromkeys([*names, *THIS_MACHINE]))
        permitted = [name for name in wanted if _is_permitted(root[0], name)]
        path = self.folder / SERVER
        if not _is_current(path, root, permitted, now):
            with self._locked():
                if not _is_current(path, root, permitted, now):
                    self._write(path, *_make_server(root, permitted, now))
        return path, [name for name in wanted if name not in permitted]

    def _root(self, names: Sequence[str], now: datetime.datetime) -> Pair:
        path = self.folder / ROOT
        found = self._read_root(path)
        begins = found[0].not_valid_before_utc if found else self._earliest
        if now < begins:
            raise DeviceError(
                f"this machine's clock says {now:%Y-%m-%d %H:%M}, which is before {begins:%Y-%m-%d}; set it, because "
                "nobody accepts certificates of another time."
            )
        if found is None:
            with self._locked():
                found = self._read_root(path)
                if found is None:
                    found = _make_root(names, now)
                    self._write(path, *found)
        if now > found[0].not_valid_after_utc:
            raise DeviceError(
                f"{path}: expired on {found[0].not_valid_after_utc:%Y-%m-%d}; remove it, start again, and install the "
                "new root on every handheld."
            )
        return found

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Wait for other servers that start on this folder; raise DeviceError if the lock cannot be had."""
        path, until_s = self.folder / LOCK, time.monotonic() + LOCK_S
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            lock = open(path, "wb", opener=open_private)  # noqa: SIM115  # closed below
        except OSError as error:
            raise _not_writable(path, error) from error
        with lock:
            while not try_lock(lock.fileno()):
                if time.monotonic() > until_s:
                    raise DeviceError(f"{path}: another server makes certificates there; wait for it, or end it.")
                time.sleep(0.02)
            yield

    def _read_root(self, path: Path) -> Pair | None:
        try:
            mode = path.stat().st_mode & 0o777
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DeviceError(f"{path}: cannot be read ({error.strerror}); check its permissions.") from error
        if mode & 0o077 and os.name != "nt":
            raise DeviceError(
                f"{path}: other users may read this key (mode {mode:o}); set it to 600, or remove it if one may have."
            )
        try:
            return _parse(content)
        except ValueError as error:
            raise DeviceError(
                f"{path}: is damaged ({error}); restore it, or remove it and install the new root on every handheld."
            ) from error

    def _write(self, path: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        content = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ) + certificate.public_bytes(serialization.Encoding.PEM)
        try:
            with replacing(path, open_private) as file:
                file.write(content)
        except OSError as error:
            raise _not_writable(path, error) from error


def _not_writable(path: Path, error: OSError) -> DeviceError:
    return DeviceError(f"{path}: cannot be written ({error.strerror}); give a folder of this user's with --tls-folder.")


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of a certificate as phones show it."""
    return certificate.fingerprint(hashes.SHA256()).hex(" ").upper()


def _parse(content: bytes) -> Pair:
    """Read key and certificate; raise ValueError if one is missing or belongs to another."""
    key = serialization.load_pem_private_key(content, None)
    certificate = x509.load_pem_x509_certificate(content)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or certificate.public_key() != key.public_key():
        raise ValueError("its key is of another certificate")
    return certificate, key


def _make_root(names: Sequence[str], now: datetime.datetime) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(f"edgesearch root of {socket.gethostname()}"[:64])
    domains = dict.fromkeys([*LOCAL_DOMAINS, *(name for name in names if not _is_address(name))])
    networks = dict.fromkeys([*LOCAL_NETWORKS, *filter(_is_address, names)])
    permitted: list[x509.GeneralName] = [*(x509.IPAddress(ipaddress.ip_network(network)) for network in networks)]
    permitted += map(x509.DNSName, domains)
    builder = (
        _builder(subject, subject, key.public_key(), now, now - SLACK + ROOT_AGE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return builder.sign(key, hashes.SHA256()), key


def _make_server(root: Pair, names: Sequence[str], now: datetime.datetime) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    named: list[x509.GeneralName] = [
        x509.IPAddress(ipaddress.ip_address(name)) if _is_address(name) else x509.DNSName(name) for name in names
    ]
    identifier = root[0].extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        _builder(_name("edgesearch server"), root[0].subject, key.public_key(), now, _last_day(root, now))
        .add_extension(x509.SubjectAlternativeName(named), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
    )
    return builder.sign(root[1], hashes.SHA256()), key


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime.datetime,
    end: datetime.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SLACK)
        .not_valid_after(end)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _is_current(path: Path, root: Pair, names: Sequence[str], now: datetime.datetime) -> bool:
    """Return whether the file holds a certificate of this root for all these names that need not be renewed."""
    try:
        certificate, _ = _parse(path.read_bytes())
        certificate.verify_directly_issued_by(root[0])
        named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False  # it is made anew, whatever is wrong with it
    held = {*map(str, named.get_values_for_type(x509.IPAddress)), *named.get_values_for_type(x509.DNSName)}
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    is_due = ends - now < (ends - begins) / 3 and _last_day(root, now) - ends > SLACK
    return begins <= now <= ends and not is_due and held.issuperset(names)


def _last_day(root: Pair, now: datetime.datetime) -> datetime.datetime:
    """Return until when a certificate made now is valid: not longer than its root."""
    return min(now - SLACK + SERVER_AGE, root[0].not_valid_after_utc)


def _is_permitted(root: x509.Certificate, name: str) -> bool:
    """Return whether the root may certify an address or a host name."""
    permitted = root.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or []
    if _is_address(name):
        address = ipaddress.ip_address(name)
        return any(isinstance(one, x509.IPAddress) and address in one.value for one in permitted)  # type: ignore[operator]
    return any(isinstance(one, x509.DNSName) and f".{name}".endswith(f".{one.value}") for one in permitted)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
