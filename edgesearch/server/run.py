"""Run the server until somebody ends it."""

import asyncio
import contextlib
import datetime
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import uvicorn
from starlette.types import ASGIApp

from .._util import blas
from ..errors import DeviceError
from ..store.opening import open as open_store
from ..store.store import Store
from . import lan
from .app import create_app
from .certificates import Files
from .connections import Connection, Listener
from .state import ServerState
from .transport import LocalCertificate, OwnCertificate, keep_current, make_context

BACKLOG = 2048  # connections that wait to be accepted
SHUTDOWN_S = 10  # for the requests under way


@dataclass(frozen=True)
class Tls:
    """How to serve https.

    Attributes:
        files: A certificate that somebody else makes and renews; None for one of the local authority.
        folder: Folder of the local authority.
        root_port: Port that offers its root over http, 0 for any; None takes the one after the server's.
    """

    files: Files | None = None
    folder: Path = Path()
    root_port: int | None = None


@dataclass(frozen=True)
class Listening:
    """Say where the server can be reached.

    Attributes:
        urls: Addresses of the page, the most likely one first; none without a network.
        is_local: Whether only this machine reaches it.
        is_encrypted: Whether it is served over https.
        root_urls: Where handhelds get the root of the local authority; none without one.
        fingerprint: SHA-256 of that root.
    """

    urls: Sequence[str]
    is_local: bool
    is_encrypted: bool
    root_urls: Sequence[str] = ()
    fingerprint: str = ""


def serve(
    store: Path,
    host: str,
    port: int,
    *,
    names: frozenset[str] = frozenset(),
    access: Path | None = None,
    tls: Tls | None = None,
    announce: Callable[[Listening], None] = lambda listening: None,
    tell: Callable[[object], None] = lambda text: None,
) -> None:
    """Answer requests until SIGINT or SIGTERM arrives.

    Args:
        host: Address to listen on; one that other machines reach needs a PIN or a token.
        port: 0 for any free port.
        names: Host names to accept, as in `SecurityMiddleware`.
        access: The access file, as in `ServerState`.
        tls: Serve https; None serves http.
        announce: Called with the addresses once the server can be reached.
        tell: Called with what happens to the certificate, and when too many connections are open.
    Raises:
        EdgeSearchError: The store cannot be opened.
        DeviceError: The address or the certificate cannot be used.
    """
    blas.use_one_thread()
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(_open_socket(host, port, "--port"))
        port = listening.getsockname()[1]
        opened = stack.enter_context(open_store(store))
        state = ServerState(opened, store, lan.is_local(host), access)
        source = _source(tls, host, names, opened, tell) if tls else None
        own = source.names if isinstance(source, LocalCertificate) else []
        context = make_context(source) if source else None
        main = _Server(create_app(state, names.union(own)), listening, context, tell)
        urls = [lan.url("https" if source else "http", address, port) for address in lan.find_addresses(host)]
        where, helper = Listening(urls, lan.is_local(host), source is not None), None
        if tls and isinstance(source, LocalCertificate):
            root_port = port + 1 if tls.root_port is None else tls.root_port
            root_socket = stack.enter_context(_open_socket(host, root_port, "--root-port"))
            app, where = _offer_root(source, where, host, port, root_socket.getsockname()[1])
            helper = _Helper(app, root_socket, None, tell)
        announce(where)
        with contextlib.suppress(KeyboardInterrupt):  # the usual end at a terminal
            asyncio.run(_run(main, helper, main.renewal(source, tell)))


def _source(
    tls: Tls, host: str, names: frozenset[str], store: Store, tell: Callable[[object], None]
) -> OwnCertificate | LocalCertificate:
    if tls.files:
        return OwnCertificate(tls.files, tell)
    built = datetime.datetime.min.replace(tzinfo=datetime.UTC)
    with contextlib.suppress(ValueError):
        built = datetime.datetime.fromisoformat(store.bundle.manifest.created).astimezone(datetime.UTC)
    return LocalCertificate(tls.folder, host, sorted(names), built, tell)


def _offer_root(
    source: LocalCertificate, where: Listening, host: str, port: int, root_port: int
) -> tuple[ASGIApp, Listening]:
    """Return the application that offers the root, and where to reach all."""
    from .local_authority import fingerprint
    from .root_page import create_root_app

    root = source.root(datetime.datetime.now(datetime.UTC))
    urls = [lan.url("http", address, root_port) for address in lan.find_addresses(host)]
    app = create_root_app(root, lambda name: lan.url("https", name, port))
    return app, Listening(where.urls, where.is_local, True, urls, fingerprint(root))


class _Server(uvicorn.Server):
    """A server of one application on one socket."""

    lifespan_mode: Literal["on", "off"] = "on"

    def __init__(
        self,
        app: ASGIApp,
        listening: socket.socket,
        context: ssl.SSLContext | None,
        tell: Callable[[object], None],
    ):
        config = uvicorn.Config(
            app,
            log_level="error",  # a warning for each malformed request would let anybody fill the log
            access_log=False,  # searches are private
            server_header=False,
            proxy_headers=False,  # any program here could claim another address, and guess PINs from thousands
            ws="none",
            lifespan=self.lifespan_mode,
            timeout_graceful_shutdown=SHUTDOWN_S,
        )
        config.load()
        super().__init__(config)
        self._context = context
        self._listener = Listener(listening, context, self._make_connection, tell)

    def renewal(
        self, source: OwnCertificate | LocalCertificate | None, tell: Callable[[object], None]
    ) -> Coroutine[Any, Any, None] | None:
        """Return the work that keeps the certificate current; None without one."""
        return keep_current(source, self._context, tell) if source and self._context else None

    async def answer(self) -> None:
        """Answer until a signal arrives."""
        await self.serve([])  # uvicorn listens to no socket of its own

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, then accept connections."""
        await super().startup(sockets)
        self._accepting = asyncio.create_task(self._listener.accept())
        self._accepting.add_done_callback(self._stop)  # a server that accepts nobody must be started again

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more connections, and finish the requests under way."""
        self._accepting.cancel()
        await asyncio.wait([self._accepting])
        await super().shutdown(sockets)

    def _stop(self, _: object) -> None:
        self.should_exit = True

    def _make_connection(self, address: str) -> Connection:
        return Connection(address, config=self.config, server_state=self.server_state, app_state=self.lifespan.state)


class _Helper(_Server):
    """A server that leaves signals to the main one."""

    lifespan_mode = "off"

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


async def _run(main: _Server, helper: _Helper | None, renewal: Coroutine[Any, Any, None] | None) -> None:
    """Run the main server until a signal arrives, and the rest beside it."""
    beside = [asyncio.create_task(work) for work in (helper and helper.answer(), renewal) if work]
    try:
        await main.answer()
    finally:
        for task in beside:
            task.cancel()


def _open_socket(host: str, port: int, option: str) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        raise DeviceError(f"{host}:{port}: cannot listen here ({error}); give another --host or {option}.") from error
