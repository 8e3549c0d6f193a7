"""Run the server until somebody ends it."""

import contextlib
import ipaddress
import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn

from .._util import blas
from ..errors import DeviceError
from ..store.opening import open as open_store
from .app import create_app
from .state import ServerState

MAX_CONNECTIONS = 128
SHUTDOWN_S = 10  # for the requests under way


def serve(
    store: Path,
    host: str,
    port: int,
    *,
    names: frozenset[str] = frozenset(),
    access: Path | None = None,
    certificate: tuple[Path, Path] | None = None,
    announce: Callable[[str], None] = lambda url: None,
) -> None:
    """Answer requests until SIGINT or SIGTERM arrives.

    Args:
        host: Address to listen on; one that other machines reach needs a PIN or a token.
        port: 0 for any free port.
        names: Host names to accept, as in `SecurityMiddleware`.
        access: The access file, as in `ServerState`.
        certificate: PEM files of the certificate and its key.
        announce: Called with the server's URL.
    Raises:
        EdgeSearchError: The store cannot be opened.
        DeviceError: The address or the certificate cannot be used.
    """
    blas.use_one_thread()
    chain, key = certificate or (None, None)
    with _open_socket(host, port) as listening, open_store(store) as opened:
        state = ServerState(opened, store, _is_local(host), access)
        name = f"[{host}]" if ":" in host else host
        try:
            config = uvicorn.Config(
                create_app(state, names),
                log_level="warning",
                access_log=False,  # searches are private
                server_header=False,
                limit_concurrency=MAX_CONNECTIONS,
                timeout_graceful_shutdown=SHUTDOWN_S,
                ssl_certfile=chain,
                ssl_keyfile=key,
            )
            config.load()
        except OSError as error:
            raise DeviceError(f"{chain}: cannot be used ({error}); give a PEM certificate and its key.") from error
        announce(f"http{'s' * bool(chain)}://{name}:{listening.getsockname()[1]}/")
        with contextlib.suppress(KeyboardInterrupt):  # the usual end at a terminal
            uvicorn.Server(config).run([listening])


def _open_socket(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise DeviceError(f"{host}:{port}: cannot listen here ({error}); give another --host or --port.") from error


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
