"""serve, access: the page and JSON, and who may do what there."""

import argparse
import getpass
import sys
from pathlib import Path

from ..errors import DeviceError, EdgeSearchError
from .arguments import STORE, Adder
from .output import say

PORT, HIGHEST_PORT = 8765, 65535


def add(command: Adder) -> None:
    """Add them."""
    added = command("serve", _serve, "Serve the page, and JSON, to this machine.", "device")
    added.add_argument("store", type=Path, help=STORE)
    added.add_argument("--port", type=_port, default=PORT, help=f"(default: {PORT})")
    added.add_argument("--host", default="127.0.0.1", help="others than this machine's own need PINs or tokens")
    added.add_argument("--name", action="append", default=[], help="by which browsers may call this machine besides")
    added.add_argument("--access", type=Path, metavar="FILE", help="PINs and tokens (default: those of the device)")
    added.add_argument("--certificate", type=Path, metavar="PEM", help="for https, with --certificate-key")
    added.add_argument("--certificate-key", type=Path, metavar="PEM", help="of the certificate")

    added = command("access", _access, "Say who may teach and manage over `serve`.", "device --add Ada --role staff")
    added.add_argument("device", type=Path, help="device folder")
    what = added.add_mutually_exclusive_group()
    what.add_argument("--add", metavar="NAME", help="with a PIN, which is asked for; of nobody: list them")
    what.add_argument("--add-token", metavar="NAME", help="with a token for programs, which is printed once")
    what.add_argument("--remove", metavar="NAME", help="take PIN or token away")
    added.add_argument("--role", choices=("customer", "staff", "manager"), default="staff", help="(default: staff)")
    added.add_argument("--file", type=Path, metavar="FILE", help="another than that of the device")


def _serve(options: argparse.Namespace) -> None:
    try:
        from ..server import run
    except ModuleNotFoundError as error:
        raise EdgeSearchError(
            f"serve: {error.name} is not installed; install the extra: pip install 'edgesearch[server]'."
        ) from error
    if (options.certificate is None) != (options.certificate_key is None):
        raise EdgeSearchError("serve: a certificate needs its key; give both --certificate and --certificate-key.")
    certificate = (options.certificate, options.certificate_key) if options.certificate else None
    run.serve(
        options.store,
        options.host,
        options.port,
        names=frozenset(options.name),
        access=options.access,
        certificate=certificate,
        tell=lambda url: say(f"{options.store}: at {url}; Ctrl-C ends it."),
    )


def _access(options: argparse.Namespace) -> None:
    from ..server.access import FILE, Access, Role

    if options.file is None and not options.device.is_dir():
        raise DeviceError(f"{options.device}: no device folder; install a bundle there first, or give --file.")
    access = Access(options.file or options.device / FILE)
    if options.add:
        access.add_pin(options.add, Role.of(options.role), _pin())
    elif options.add_token:
        print(access.add_token(options.add_token, Role.of(options.role)))
        say(f"{options.add_token}: that is its token, kept nowhere else; send it as `Authorization: Bearer TOKEN`.")
    elif options.remove:
        access.remove(options.remove)
    else:
        for holder in access.holders():
            print(f"{holder.role!s:9} {holder.kind:6} {holder.name}")


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; expected 0 (any that is free) to {HIGHEST_PORT}")
    return int(text)


def _pin() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    pin = getpass.getpass("PIN: ")
    if getpass.getpass("again: ") != pin:
        raise EdgeSearchError("access: the two are not the same; try again.")
    return pin
