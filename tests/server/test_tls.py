"""https: certificates of one's own, those of the local authority, and their renewal."""

import asyncio
import contextlib
import datetime
import io
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from edgesearch import DeviceError
from edgesearch.commands import serve_commands
from edgesearch.commands.cli import main

pytest.importorskip("fastapi", reason="the extra `server` is not installed")
pytest.importorskip("cryptography", reason="the extra `tls` is not installed")

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from edgesearch.server import certificates, lan, local_authority, transport
from edgesearch.server.access import Access, Role
from edgesearch.server.certificates import Files
from edgesearch.server.local_authority import ROOT, SERVER, LocalAuthority
from edgesearch.server.run import Listening

NOW = datetime.datetime(2026, 11, 30, 12, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
NAMES = ["192.168.1.20", "kiosk", "kiosk.local"]


@pytest.fixture
def authority(tmp_path: Path) -> LocalAuthority:
    return LocalAuthority(tmp_path / "tls", NOW - 100 * DAY)


@pytest.fixture
def own(tmp_path: Path) -> Files:
    """Return the files of a certificate for a year from now."""
    return write_own(tmp_path, "own", datetime.datetime.now(datetime.UTC))


def write_own(folder: Path, name: str, begins: datetime.datetime, *usages: x509.ObjectIdentifier) -> Files:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 7, begins - DAY, begins + 365 * DAY)
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=True)
    certificate = builder.sign(key, hashes.SHA256())
    files = Files(folder / f"{name}.crt", folder / f"{name}.key")
    files.chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files.key.write_bytes(to_pem(key, serialization.NoEncryption()))
    return files


def to_pem(key: ec.EllipticCurvePrivateKey, encryption: serialization.KeySerializationEncryption) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def read_certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def trusting(root: x509.Certificate) -> ssl.SSLContext:
    """Return the context of a client that trusts one root alone."""
    return ssl.create_default_context(cadata=root.public_bytes(serialization.Encoding.PEM).decode())


def connect(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> None:
    """Shake hands in memory as with a server of that name; raise SSLError if the client does not accept it."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = client.wrap_bio(to_client, to_server, server_hostname=name)
    there = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (here, there, here, there):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    assert here.version()


def test_servers_that_start_together_share_one_root(tmp_path: Path) -> None:
    def certify(barrier: threading.Barrier) -> tuple[bytes, bytes]:
        authority = LocalAuthority(tmp_path / "tls", NOW - 100 * DAY)
        barrier.wait()
        root = authority.root(NAMES, NOW)
        path, _ = authority.certify(NAMES, NOW)
        return root.public_bytes(serialization.Encoding.PEM), path.read_bytes()

    together = threading.Barrier(8)
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(certify, [together] * 8))
    assert len(made) == 1


def test_a_client_that_trusts_the_root_reaches_the_server_by_all_its_names(authority: LocalAuthority) -> None:
    now = datetime.datetime.now(datetime.UTC)
    path, left_out = authority.certify(NAMES, now)
    server, client = certificates.load(Files(path, path)), trusting(authority.root(NAMES, now))
    for name in [*NAMES, "127.0.0.1", "::1", "localhost"]:
        connect(client, server, name)
    assert left_out == []
    for name in ("192.168.1.21", "other.local"):
        with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
            connect(client, server, name)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"issuer|self"):
        connect(ssl.create_default_context(), server, "kiosk.local")


def test_the_root_cannot_vouch_for_sites_of_the_internet(authority: LocalAuthority, tmp_path: Path) -> None:
    now = datetime.datetime.now(datetime.UTC)
    path, left_out = authority.certify([*NAMES], now)
    root = local_authority._parse((authority.folder / ROOT).read_bytes())
    authority._write(path, *local_authority._make_server(root, ["bank.example"], now))
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree"):
        connect(trusting(root[0]), certificates.load(Files(path, path)), "bank.example")
    _, left_out = authority.certify([*NAMES, "bank.example", "8.8.8.8"], now)
    assert left_out == ["bank.example", "8.8.8.8"]


def test_keys_are_private_and_ages_are_what_browsers_accept(authority: LocalAuthority) -> None:
    path, _ = authority.certify(NAMES, NOW)
    root, server = (read_certificate(authority.folder / name) for name in (ROOT, SERVER))
    assert path == authority.folder / SERVER
    assert (root.not_valid_after_utc - root.not_valid_before_utc).days == 3650
    assert (server.not_valid_after_utc - server.not_valid_before_utc).days <= 398
    assert server.not_valid_before_utc <= NOW - DAY
    if os.name != "nt":
        assert {file.stat().st_mode & 0o777 for file in authority.folder.iterdir()} == {0o600}
        assert authority.folder.stat().st_mode & 0o777 == 0o700


def test_a_certificate_is_made_again_for_another_address_or_name_or_when_it_is_due(authority: LocalAuthority) -> None:
    def serial(names: list[str], now: datetime.datetime) -> int:
        return read_certificate(authority.certify(names, now)[0]).serial_number

    first = serial(NAMES, NOW)
    root = (authority.folder / ROOT).read_bytes()
    assert serial(NAMES, NOW + 200 * DAY) == serial(NAMES[:1], NOW) == first
    moved = serial(["192.168.1.99", *NAMES], NOW)
    assert moved != first
    assert serial(NAMES, NOW + 300 * DAY) != moved
    assert (authority.folder / ROOT).read_bytes() == root
    (authority.folder / SERVER).write_text("damaged")
    assert serial(NAMES, NOW)


def test_no_certificate_outlives_its_root(authority: LocalAuthority) -> None:
    authority.certify(NAMES, NOW)
    late = NOW + 3640 * DAY
    root, server = authority.root(NAMES, late), read_certificate(authority.certify(NAMES, late)[0])
    assert server.not_valid_after_utc == root.not_valid_after_utc
    assert read_certificate(authority.certify(NAMES, late + 8 * DAY)[0]) == server
    with pytest.raises(DeviceError, match=r"root\.pem: expired on 2036-.*install the new root"):
        authority.certify(NAMES, NOW + 3651 * DAY)


def test_a_wrong_clock_is_reported(authority: LocalAuthority) -> None:
    with pytest.raises(DeviceError, match=r"clock says 1970-01-02 .*before 2026-08-22; set it"):
        authority.certify(NAMES, datetime.datetime(1970, 1, 2, tzinfo=datetime.UTC))
    assert not authority.folder.exists()
    authority.certify(NAMES, NOW)
    with pytest.raises(DeviceError, match=r"clock says 2026-11-27 .*before 2026-11-29"):
        authority.certify(NAMES, NOW - 3 * DAY)


def test_a_root_that_cannot_be_used_is_reported_and_kept(authority: LocalAuthority) -> None:
    authority.certify(NAMES, NOW)
    path = authority.folder / ROOT
    content = path.read_bytes()
    other = to_pem(ec.generate_private_key(ec.SECP256R1()), serialization.NoEncryption())
    for damaged in (b"", content[: len(content) // 2], other + content[content.index(b"-----BEGIN CERT") :]):
        path.write_bytes(damaged)
        with pytest.raises(DeviceError, match=r"root\.pem: is damaged .*restore it"):
            authority.certify(NAMES, NOW)
        assert path.read_bytes() == damaged
    path.write_bytes(content)
    if os.name != "nt":
        path.chmod(0o644)
        with pytest.raises(DeviceError, match=r"root\.pem: other users may read this key \(mode 644\); set it to 600"):
            authority.certify(NAMES, NOW)


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DeviceError, match=r"root\.pem: cannot be (read|written) .*(--tls-folder|permissions)"):
        LocalAuthority(tmp_path / "file", NOW).certify(NAMES, NOW)


def test_a_certificate_of_ones_own_is_checked(own: Files, tmp_path: Path) -> None:
    now = datetime.datetime.now(datetime.UTC)
    own.check(now)
    begins, ends = certificates.read_validity(own)
    assert begins < now < ends
    with pytest.raises(DeviceError, match=r"own\.crt: expired on .*clock says .*renew"):
        own.check(now + 400 * DAY)
    with pytest.raises(DeviceError, match=r"own\.crt: is valid only from .*set the clock"):
        own.check(now - 400 * DAY)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda own, other: own.chain.unlink(), r"own\.crt: cannot be read \(No such file"),
        (lambda own, other: own.key.write_bytes(other.key.read_bytes()), r"own\.key: is not the key of .*own\.crt"),
        (lambda own, other: own.chain.write_text("no PEM"), r"own\.crt: holds no PEM certificate"),
        (lambda own, other: own.key.write_text("no PEM"), r"own\.key: holds no PEM private key"),
        (lambda own, other: own.key.write_bytes(own.key.read_bytes()[:90]), r"own\.(key|crt): "),
        (
            lambda own, other: own.key.write_bytes(
                to_pem(ec.generate_private_key(ec.SECP256R1()), serialization.BestAvailableEncryption(b"secret"))
            ),
            r"own\.key: is encrypted; give the key without a passphrase",
        ),
    ],
)
def test_a_certificate_that_cannot_be_used_is_reported(
    own: Files, tmp_path: Path, spoil: Callable[[Files, Files], object], said: str
) -> None:
    spoil(own, write_own(tmp_path, "other", NOW))
    with pytest.raises(DeviceError, match=said) as error:
        certificates.read_validity(own)
    assert str(error.value).endswith(".") and "\n" not in str(error.value)


@pytest.mark.skipif(os.name == "nt", reason="no such permissions")
def test_a_key_that_others_may_read_is_reported(own: Files) -> None:
    told: list[object] = []
    own.key.chmod(0o600)
    transport.OwnCertificate(own, told.append)
    assert told == []
    own.key.chmod(0o640)
    transport.OwnCertificate(own, told.append)
    (said,) = told
    assert re.search(r"own\.key: other users may read this key \(mode 640\); set it to 600\.$", str(said))


def test_a_certificate_for_clients_is_refused(tmp_path: Path) -> None:
    files = write_own(tmp_path, "client", NOW, x509.ExtendedKeyUsageOID.CLIENT_AUTH)
    with pytest.raises(DeviceError, match=r"client\.crt: no client accepts it \(.*purpose"):
        certificates.read_validity(files)


def test_a_new_certificate_reaches_a_running_server_and_open_connections_go_on(
    own: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "CHECK_S", 0.01)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    told: list[str] = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)

    async def until_told(text: str) -> None:
        async with asyncio.timeout(60):
            while not any(text in line for line in told):
                await asyncio.sleep(0.01)

    async def run() -> None:
        source = transport.OwnCertificate(own, print)
        context = transport.make_context(source)
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        renewal = asyncio.create_task(transport.keep_current(source, context, lambda text: told.append(str(text))))
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client)

        async def shown() -> bytes:
            _, other = await asyncio.open_connection("127.0.0.1", port, ssl=client)
            found = other.get_extra_info("ssl_object").getpeercert(binary_form=True)
            other.close()
            return bytes(found)

        first = await shown()
        renewed = write_own(tmp_path, "renewed", datetime.datetime.now(datetime.UTC))
        await asyncio.sleep(0.1)
        own.chain.write_bytes(renewed.chain.read_bytes())
        await until_told("is not the key of")
        assert await shown() == first
        own.key.write_bytes(renewed.key.read_bytes())
        await until_told("new connections use the new certificate")
        second = await shown()
        assert second != first
        writer.write(b"still here\n")
        assert await reader.readline() == b"still here\n"
        writer.close()
        renewal.cancel()
        server.close()

    asyncio.run(run())
    assert sum("is not the key of" in line for line in told) == 1


def test_addresses_that_others_reach_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lan.find_addresses("192.168.1.20") == ["192.168.1.20"]
    monkeypatch.setattr(lan, "_routed_address", lambda family: ["192.168.1.20"])
    monkeypatch.setattr(lan, "_interface_addresses", lambda: ["10.0.0.7", "192.168.1.20", "127.0.0.2", "169.254.3.4"])
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [(2, 1, 6, "", ("127.0.1.1", 0))])
    assert lan.find_addresses("0.0.0.0") == ["192.168.1.20", "10.0.0.7"]
    assert lan.url("https", "fd00::7", 8765) == "https://[fd00::7]:8765/"
    assert lan.is_local("127.0.0.1") and lan.is_local("localhost") and not lan.is_local("0.0.0.0")


def test_a_machine_without_a_network_has_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "if_nameindex", list)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert lan.find_addresses("0.0.0.0") == lan.find_addresses("::") == []


def test_the_drawn_code_can_be_read() -> None:
    zxingcpp = pytest.importorskip("zxingcpp", reason="the extra `barcode` is not installed")
    import numpy as np

    halves = {"█": (255, 255), "▀": (255, 0), "▄": (0, 255), " ": (0, 0)}
    rows = [
        np.array([halves[sign] for sign in line]).T for line in lan.draw_code("http://192.168.1.20:8766/").splitlines()
    ]
    pixels = np.concatenate(rows).astype(np.uint8).repeat(8, 0).repeat(8, 1)
    assert [found.text for found in zxingcpp.read_barcodes(np.pad(pixels, 32, constant_values=255))] == [
        "http://192.168.1.20:8766/"
    ]


@pytest.fixture
def guarded_device(device: Path) -> Path:
    """Return a device that other machines may reach."""
    Access(device / "access.json").add_pin("Ada", Role.STAFF, "482913")
    return device


@contextlib.contextmanager
def serving(device: Path, *options: str) -> Iterator[str]:
    """Serve in another process; yield the line that says where."""
    command = [sys.executable, "-m", "edgesearch", "serve", str(device), "--quiet", "--port", "0", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        try:
            yield process.stderr.readline()
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0


@pytest.mark.slow
def test_a_handheld_gets_the_root_over_http_and_then_the_page_over_https(guarded_device: Path) -> None:
    options = ["--host", "127.0.0.2", "--tls", "--root-port", "0"]
    with serving(guarded_device, *options) as said:
        page = re.search(r"https://127\.0\.0\.2:\d+/", said)
        assert page
        root = read_certificate(guarded_device / "tls" / ROOT)
        health = httpx.get(f"{page[0]}v1/health", verify=trusting(root), timeout=60)
        assert health.json()["status"] == "ok"
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(page[0], timeout=60)


def test_the_root_page_offers_the_root_and_says_how_to_install_it(authority: LocalAuthority) -> None:
    from edgesearch.server.root_page import PATH, create_root_app

    root = authority.root(NAMES, NOW)
    app = create_root_app(root, lambda name: lan.url("https", name, 8765))

    async def get(path: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://192.168.1.20:8766") as client:
            return await client.get(path)

    page = asyncio.run(get("/"))
    assert local_authority.fingerprint(root) in page.text
    assert 'href="https://192.168.1.20:8765/"' in page.text
    assert all(system in page.text for system in ("Android", "iPhone", "Windows", "Linux"))
    found = asyncio.run(get(PATH))
    assert x509.load_der_x509_certificate(found.content) == root
    assert found.headers["content-type"] == "application/x-x509-ca-cert"
    assert asyncio.run(get("/v1/search")).headers["location"] == "/"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--tls", "--certificate", "a.pem", "--certificate-key", "a.key"], "give it or --certificate, not both"),
        (["--root-port", "9"], "are for --tls; add it"),
        (["--tls", "--root-port", "BUSY"], "cannot listen here .*--root-port"),
        (["--tls", "--tls-folder", "FILE/tls"], "root.pem: cannot be .*--tls-folder|permissions"),
    ],
)
def test_tls_options_that_do_not_work_are_reported_in_one_line(
    device: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], given: list[str], said: str
) -> None:
    (tmp_path / "FILE").touch()
    with socket.create_server(("127.0.0.1", 0)) as busy:
        given = [str(busy.getsockname()[1]) if word == "BUSY" else word for word in given]
        given = [str(tmp_path / word) if word.startswith("FILE") else word for word in given]
        assert main(["serve", str(device), "--quiet", "--port", "0", *given]) == 1
    assert re.search(said, capsys.readouterr().err)


def test_a_host_name_is_taken_as_browsers_send_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert serve_commands._host_name("Caf\u00e9-Kiosk.local") == "xn--caf-kiosk-d4a.local"
    assert serve_commands._host_name("192.168.1.20") == "192.168.1.20"
    for wrong in ("", "shop kiosk", "https://shop", "a" * 64):
        with pytest.raises(SystemExit):
            main(["serve", "device", "--name", wrong])
        assert "is not a host name; expected one such as shop-kiosk.local" in capsys.readouterr().err


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "edgesearch.server.local_authority", None)
    with pytest.raises(DeviceError, match=r"pip install 'edgesearch\[tls\]'"):
        transport.LocalCertificate(tmp_path, "127.0.0.1", [], NOW, print)


class Terminal(io.TextIOWrapper):
    """Stands in for a terminal."""

    def isatty(self) -> bool:
        return True


def test_the_addresses_are_printed_with_a_warning_over_http(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(listening: Listening, encoding: str = "utf-8") -> str:
        terminal = Terminal(io.BytesIO(), encoding)
        monkeypatch.setattr(sys, "stderr", terminal)
        serve_commands._announce(Path("device"), listening)
        terminal.seek(0)
        return terminal.read()

    plain, code = Listening(["http://192.168.1.20:8765/"], False, False), lan.draw_code("http://192.168.1.20:8765/")
    assert "serving at http://192.168.1.20:8765/ (Ctrl-C" in said(plain)
    assert "read PINs and photos" in said(plain) and "add --tls" in said(plain)
    assert code.splitlines()[5] in said(plain)
    assert code.splitlines()[5] not in said(plain, "ascii")
    secured = Listening(["https://192.168.1.20:8765/"], False, True, ["http://192.168.1.20:8766/"], "AB CD")
    assert "open http://192.168.1.20:8766/ and install the root, whose SHA-256 is AB CD" in said(secured)
    assert lan.draw_code("http://192.168.1.20:8766/").splitlines()[5] in said(secured)
    assert "--tls" not in said(secured)
    assert said(Listening(["http://127.0.0.1:8765/"], True, False)).count("\n") == 1
    assert "has no address in a network" in said(Listening([], False, True))
