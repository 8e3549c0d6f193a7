"""serve, access: the page with its JSON API, and the PINs and tokens for it."""

import argparse
import getpass
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..device.slots import Slots
from ..errors import DeviceError, EdgeSearchError
from .arguments import STORE, Adder
from .output import print_line, print_note

if TYPE_CHECKING:
    from ..server.run import Listening, Tls

PORT, HIGHEST_PORT = 8765, 65535


def add(command: Adder) -> None:
    """Add the commands."""
    parser = command("serve", _serve, "Serve the page and the JSON API on this machine.", "device")
    parser.add_argument("store", type=Path, help=STORE)
    parser.add_argument("--port", type=_port, default=PORT, help=f"port to listen on, 0 for any (default: {PORT})")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; other machines need PINs or tokens (default: %(default)s)",
    )
    parser.add_argument(
        "--name", type=_host_name, action="append", default=[], help="accept requests to this host name as well"
    )
    parser.add_argument("--access", type=Path, metavar="FILE", help="file of PINs and tokens (default: the device's)")
    parser.add_argument(
        "--tls", action="store_true", help="serve https with a certificate made here; handhelds install its root once"
    )
    parser.add_argument(
        "--tls-folder", type=Path, metavar="FOLDER", help="keys of --tls (default: tls in the device folder)"
    )
    parser.add_argument(
        "--root-port", type=_port, metavar="PORT", help="port that offers the root over http (default: next to --port)"
    )
    parser.add_argument("--certificate", type=Path, metavar="PEM", help="serve https with your own certificate")
    parser.add_argument("--certificate-key", type=Path, metavar="PEM", help="private key of --certificate")

    text = "List, add and remove the PINs and tokens for `serve`."
    parser = command("access", _access, text, "device --add Ada --role staff")
    parser.add_argument("device", type=Path, help="device folder")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--add", metavar="NAME", help="give NAME a PIN, which you then type")
    action.add_argument("--add-token", metavar="NAME", help="give the program NAME a token, which is printed once")
    action.add_argument("--remove", metavar="NAME", help="remove the PIN or token of NAME")
    parser.add_argument(
        "--role", choices=("customer", "staff", "manager"), default="staff", help="role of NAME (default: staff)"
    )
    parser.add_argument("--file", type=Path, metavar="FILE", help="file of PINs and tokens (default: the device's)")


def _serve(options: argparse.Namespace) -> None:
    try:
        from ..server import run
    except ModuleNotFoundError as error:
        raise EdgeSearchError(
            f"serve: {error.name} is not installed; install the extra: pip install 'edgesearch[server]'."
        ) from error
    run.serve(
        options.store,
        options.host,
        options.port,
        names=frozenset(options.name),
        access=options.access,
        tls=_read_tls(options),
        announce=lambda listening: _announce(options.store, listening),
        tell=print_note,
    )


def _read_tls(options: argparse.Namespace) -> "Tls | None":
    from ..server.certificates import Files
    from ..server.run import Tls

    if (options.certificate is None) != (options.certificate_key is None):
        raise EdgeSearchError("serve: a certificate needs its key; give both --certificate and --certificate-key.")
    if options.certificate and options.tls:
        raise EdgeSearchError("serve: --tls makes a certificate; give it or --certificate, not both.")
    if not options.tls and (options.tls_folder or options.root_port is not None):
        raise EdgeSearchError("serve: --tls-folder and --root-port are for --tls; add it, or leave them out.")
    if options.certificate:
        return Tls(Files(options.certificate, options.certificate_key))
    beside = options.store / "tls" if options.store.is_dir() else Path(f"{options.store}.tls")
    return Tls(None, options.tls_folder or beside, options.root_port) if options.tls else None


def _announce(store: Path, listening: "Listening") -> None:
    """Print where the server is, for other machines as a QR code too, and what they still need."""
    print_note(f"{store}: serving at {' and '.join(listening.urls) or 'no address yet'} (Ctrl-C stops it).")
    if listening.is_local:
        return
    if not listening.urls:
        print_note("this machine has no address in a network; connect it, and start the server again.")
    if listening.root_urls:
        print_note(
            f"on each handheld, once: open {' or '.join(listening.root_urls)} and install the root, whose SHA-256 is "
            f"{listening.fingerprint}."
        )
    if not listening.is_encrypted:
        print_note(
            "over http, others in this network can read PINs and photos, and phones give a page no camera; add --tls "
            "for https."
        )
    codes = [*listening.root_urls, *listening.urls][:1]
    if codes and sys.stderr.isatty() and "utf" in (sys.stderr.encoding or "").lower():
        from ..server.lan import draw_code

        print(draw_code(codes[0]), file=sys.stderr, flush=True)


def _access(options: argparse.Namespace) -> None:
    from ..server.access import FILE, Access, Role

    if options.file is None and not options.device.is_dir():
        raise DeviceError(f"{options.device}: not a device folder; install a bundle there first, or give --file.")
    access = Access(options.file or options.device / FILE, None if options.file else Slots(options.device))
    if options.add:
        access.add_pin(options.add, Role.of(options.role), _read_pin())
        print_note(f"{access.path}: {options.add} has a PIN now, as {options.role}.")
    elif options.add_token:
        print_line(access.add_token(options.add_token, Role.of(options.role)))
        print_note(
            f"{access.path}: {options.add_token} has this token now, as {options.role}; it is shown only once; send it "
            "as `Authorization: Bearer TOKEN`."
        )
    elif options.remove:
        access.remove(options.remove)
        print_note(f"{access.path}: {options.remove} is removed, and {len(access.holders())} have a PIN or token.")
    else:
        if not access.holders():
            print_note(f"{access.path}: nobody has a PIN or token; `access --add NAME` gives one.")
        for holder in access.holders():
            print_line(f"{holder.role!s:9} {holder.kind:6} {holder.name}")


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; expected 0 (any free one) to {HIGHEST_PORT}")
    return int(text)


def _host_name(text: str) -> str:
    """Return a host name as browsers send it."""
    try:
        name = text.encode("idna").decode().lower()
    except UnicodeError:
        name = ""
    if not re.fullmatch(r"[a-z0-9_.:-]+", name):
        raise argparse.ArgumentTypeError(f"{text!r} is not a host name; expected one such as shop-kiosk.local")
    return name


def _read_pin() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    pin = getpass.getpass("PIN: ")
    if getpass.getpass("PIN again: ") != pin:
        raise EdgeSearchError("access: the two PINs differ; try again.")
    return pin
