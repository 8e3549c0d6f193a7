"""Serve until somebody ends it."""

import contextlib
import ipaddress
import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn

from .._util import blas
from ..errors import DeviceError
from ..store.store import open as open_store
from .app import create_app
from .state import Served

MOST_CONNECTIONS = 128
ENDING_S = 10  # for requests under way


def serve(
    store: Path,
    host: str,
    port: int,
    *,
    names: frozenset[str] = frozenset(),
    access: Path | None = None,
    certificate: tuple[Path, Path] | None = None,
    runtime: str | None = None,
    tell: Callable[[str], None] = lambda url: None,
) -> None:
    """Answer requests until the process is told to end.

    Args:    host: address; others than this machine's own only where a PIN or a token is set up; port: 0 for any that
             is free; names: by which this machine may be called besides; access: as `Served` has it; certificate: PEM
             files of it and of its key; runtime: as `engine.open` has it; tell: is told the address.
    Raises:  EdgeSearchError: the store cannot be opened; DeviceError: the address cannot be used.
    """
    blas.on_one_thread()
    own, key = certificate or (None, None)
    with _listening(host, port) as listening, open_store(store, runtime=runtime) as opened:
        served = Served(opened, store, _is_local(host), access)
        name = f"[{host}]" if ":" in host else host
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
            config.load()
        except OSError as error:
            raise DeviceError(f"{own}: cannot be used ({error}); give a PEM certificate and its key.") from error
        tell(f"http{'s' * bool(own)}://{name}:{listening.getsockname()[1]}/")
        with contextlib.suppress(KeyboardInterrupt):  # how one ends it at a terminal
            uvicorn.Server(config).run([listening])


def _listening(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise DeviceError(f"{host}:{port}: cannot be served at ({error}); give another --host or --port.") from error


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
