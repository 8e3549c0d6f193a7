"""Serve until somebody ends it."""

import ipaddress
import socket
from pathlib import Path

import uvicorn

from .. import engine
from ..errors import DeviceError
from .app import create_app
from .served import Served

LOCAL = "127.0.0.1"
MOST_CONNECTIONS = 128
ENDING_S = 10  # for requests under way


def serve(
    store: Path,
    host: str = LOCAL,
    port: int = 8765,
    *,
    names: frozenset[str] = frozenset(),
    access: Path | None = None,
    certificate: tuple[Path, Path] | None = None,
) -> None:
    """Answer requests until the process is told to end.

    Args:    host: address; others than this machine's own only where a PIN or a token is set up; names: by which this
             machine may be called besides; access: as `Served` has it; certificate: PEM files of it and of its key.
    Raises:  EdgeSearchError: the store cannot be opened; DeviceError: the address cannot be used.
    """
    listening = _listening(host, port)
    with listening:
        served = Served(engine.open(store), store, _is_local(host), access)
        own, key = certificate or (None, None)
        try:
            config = uvicorn.Config(
                create_app(served, names),
                log_level="warning",
                access_log=False,  # who asked what is nobody's business
                server_header=False,
                limit_concurrency=MOST_CONNECTIONS,
                timeout_graceful_shutdown=ENDING_S,
                ssl_certfile=own,
                ssl_keyfile=key,
            )
            uvicorn.Server(config).run([listening])
        except OSError as error:
            served.close()
            raise DeviceError(f"{own}: cannot be used ({error}); give a PEM certificate and its key.") from error


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.socket(family)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except (OSError, OverflowError) as error:
        raise DeviceError(f"{host}:{port}: cannot be served at ({error}); give another --host or --port.") from error
    return listening


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
