"""Build the application: its routes, its middleware, its error handlers and its background tasks."""

import asyncio
import contextlib
import functools
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .._util.systemd import Notifier
from ..errors import EdgeSearchError
from ..images import barcode
from ..version import __version__
from . import (
    api_docs,
    capture_routes,
    count_routes,
    learn_routes,
    login_routes,
    manager_routes,
    responses,
    search_routes,
    teach_routes,
)
from .middleware import SecurityMiddleware
from .request_body import BodyError
from .request_data import BadRequestError, Customer, State, UnauthorizedError
from .state import ServerState

WEB = Path(__file__).parent.parent / "web"
CLIENT_LEFT = 499  # nginx's status for a client that left before its request was complete
BEAT_S = 1.0  # the notifier itself skips the beats that systemd does not need
REOPEN_S = 5.0  # interval of the check for a bundle that another process installed
monitoring = APIRouter(tags=["watch"])


def create_app(state: ServerState, names: frozenset[str] = frozenset()) -> FastAPI:
    """Return an ASGI application, which finishes the requests under way when it ends.

    Args:
        state: What all requests share.
        names: Host names to accept, as in `SecurityMiddleware`.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        notifier = Notifier()
        background = [asyncio.create_task(_follow_installs(state)), asyncio.create_task(_send_beats(notifier))]
        notifier.notify(READY="1")
        try:
            yield
        finally:
            notifier.notify(STOPPING="1")
            for task in background:
                task.cancel()
            await asyncio.to_thread(state.close)

    app = FastAPI(
        title="edgesearch",
        version=__version__,
        description="Finds the product in a photo. Nothing leaves this machine.",
        openapi_url=None,  # also leaves out the pages that load scripts from elsewhere
        lifespan=lifespan,
    )
    app.state.server_state = state
    _add_routes(app)
    _handle_errors(app)
    app.add_middleware(_MetricsMiddleware, state=state)
    app.add_middleware(SecurityMiddleware, names=names)
    return app


@monitoring.get("/health")
async def health(state: State) -> dict[str, Any]:
    """Return the server's version, its catalogue and its abilities."""
    manifest = state.store.bundle.manifest
    products = len(await state.readers.run(state.store.skus))
    has_overlay = state.store.overlay is not None
    catalogue = {"name": manifest.name, "sequence": manifest.sequence, "products": products}
    return {
        "status": "ok",
        "version": __version__,
        "catalogue": catalogue,
        **dict.fromkeys(("can_teach", "can_capture", "can_learn"), has_overlay),
        **dict.fromkeys(("can_count", "can_explain"), True),  # a site without a server answers otherwise
        "learns": await state.readers.run(_learns, state),
        "can_read_barcodes": barcode.can_read(),
        "languages": sorted(path.stem for path in (WEB / "i18n").glob("*.json")),
    }


def _learns(state: ServerState) -> bool:
    return state.store.overlay is not None and state.store.learner.settings().on


@monitoring.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> Response:
    """Return the description of every path."""
    return Response(_describe(request.app)[0], media_type="application/json")


@monitoring.get("/docs", response_class=HTMLResponse, include_in_schema=False)
async def docs(request: Request) -> str:
    """Return the page that describes every path."""
    return _describe(request.app)[1]


@functools.lru_cache(maxsize=1)  # costs milliseconds, and anybody may ask for it
def _describe(app: FastAPI) -> tuple[bytes, str]:
    described = app.openapi()
    return json.dumps(described).encode(), api_docs.page(described)


async def metrics(state: State, _: Customer) -> Response:
    """Return the metrics in Prometheus's text format."""
    return Response(state.metrics.render(state.workers.waiting), media_type="text/plain; version=0.0.4")


async def _send_beats(notifier: Notifier) -> None:
    """Tell systemd regularly that the server is alive."""
    while True:
        notifier.beat()
        await asyncio.sleep(BEAT_S)


async def _follow_installs(state: ServerState) -> None:
    """Switch to newly installed bundles, and close idle counts."""
    while True:
        await asyncio.sleep(REOPEN_S)
        for work in (state.store.reopen, state.counts.close_idle):
            # On an error the server continues with the bundle it has; `install` reports the error.
            with contextlib.suppress(EdgeSearchError, OSError):
                await state.installer.run(work)


def _add_routes(app: FastAPI) -> None:
    for router in (
        monitoring,
        login_routes.router,
        search_routes.router,
        teach_routes.router,
        learn_routes.router,
        capture_routes.router,
        count_routes.router,
        manager_routes.router,
    ):
        app.include_router(router, prefix="/v1", responses=responses.FAILURES)
    app.add_api_route("/metrics", metrics, include_in_schema=False)
    # Compressed, the page is a third as large. The API's answers are not: their length would tell of secrets in them.
    app.router.routes.append(_Page("/", GZipMiddleware(StaticFiles(directory=WEB, html=True))))


def _handle_errors(app: FastAPI) -> None:
    async def unauthorized(_: Request, error: Exception) -> Response:
        return responses.error_response(401, "Unknown", str(error))

    async def bad_request(_: Request, error: Exception) -> Response:
        return responses.error_response(400, "BadRequest", str(error))

    async def client_left(_: Request, error: Exception) -> Response:
        return Response(status_code=CLIENT_LEFT)  # nobody reads it; for instance, a person opened another page

    async def disk_failed(_: Request, error: Exception) -> Response:
        if not isinstance(error, OSError) or error.errno is None:
            raise error  # a bug
        message = f"the device cannot store or read this ({error.strerror}); check its space and permissions."
        return responses.error_response(507, "DeviceError", message)

    async def failed(_: Request, error: Exception) -> Response:
        return responses.error_response(500, "InternalError", "the server has a bug; see its log.")

    app.add_exception_handler(UnauthorizedError, unauthorized)
    app.add_exception_handler(BadRequestError, bad_request)
    app.add_exception_handler(BodyError, responses.handle_body_error)
    app.add_exception_handler(ClientDisconnect, client_left)
    app.add_exception_handler(EdgeSearchError, responses.handle_known_error)
    app.add_exception_handler(RequestValidationError, responses.handle_bad_request)
    app.add_exception_handler(HTTPException, responses.handle_bad_request)
    app.add_exception_handler(OSError, disk_failed)
    app.add_exception_handler(Exception, failed)


class _Page(Mount):
    """The files of the page. It leaves paths below /v1/ to the API, which reports unknown ones as JSON."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return (Match.NONE, {}) if scope["path"].startswith("/v1/") else super().matches(scope)


class _MetricsMiddleware:
    """ASGI middleware that counts each response by its route."""

    def __init__(self, app: ASGIApp, state: ServerState):
        self._app, self._state = app, state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start, status = time.perf_counter(), 500

        async def send_and_note_status(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, send_and_note_status)
        finally:
            if scope["type"] == "http":
                path = getattr(scope.get("route"), "path", "/")
                self._state.metrics.count_request(path, status, time.perf_counter() - start)
