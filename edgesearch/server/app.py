"""The application: what answers which path, and what all of them pass."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
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
from . import api_docs, count_routes, login_routes, manage_routes, responses, search_routes, teach_routes
from .middleware import LARGEST_BODY, Guard, TooLargeError, TooSlowError
from .request_data import AskedError, Customer, Shared, UnknownError
from .state import Served

WEB = Path(__file__).parent.parent / "web"
CLIENT_LEFT = 499  # before its request was there; as others count it
BEAT_S = 1.0  # the notifier speaks as often as it is wanted
REOPEN_S = 5.0  # after which a bundle that somebody installed is taken up
watching = APIRouter(tags=["watch"])


def create_app(served: Served, names: frozenset[str] = frozenset()) -> FastAPI:
    """An ASGI application, which waits for what is under way when it ends; names: as `Guard` has them."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        notifier = Notifier()
        background = [asyncio.create_task(_follow(served)), asyncio.create_task(_live(notifier))]
        notifier.tell(READY="1")
        try:
            yield
        finally:
            notifier.tell(STOPPING="1")
            for task in background:
                task.cancel()
            await asyncio.to_thread(served.close)

    app = FastAPI(
        title="edgesearch",
        version=__version__,
        description="A photo of a product in, the product out. Nothing leaves this machine.",
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.served = served
    for router in (
        watching,
        login_routes.router,
        search_routes.router,
        teach_routes.router,
        count_routes.router,
        manage_routes.router,
    ):
        app.include_router(router, prefix="/v1", responses=responses.FAILURES)
    app.add_api_route("/metrics", metrics, include_in_schema=False)
    app.router.routes.append(_Page("/", StaticFiles(directory=WEB, html=True)))
    _handle_errors(app)
    app.add_middleware(_Measured, served=served)
    app.add_middleware(Guard, names=names)
    return app


@watching.get("/health")
async def health(served: Shared) -> dict[str, Any]:
    """Whether it answers, and what it runs."""
    manifest = served.store.bundle.manifest
    products = len(await served.readers.run(served.store.skus))
    running = {"name": manifest.name, "sequence": manifest.sequence, "products": products}
    return {
        "status": "ok",
        "version": __version__,
        "catalogue": running,
        "can_teach": served.store.overlay is not None,
        "can_read_barcodes": barcode.can_read(),
        "languages": sorted(path.stem for path in (WEB / "i18n").glob("*.json")),
    }


@watching.get("/docs", response_class=HTMLResponse, include_in_schema=False)
async def docs(request: Request) -> str:
    """This page."""
    return api_docs.page(request.app.openapi())


async def metrics(served: Shared, _: Customer) -> Response:
    """For Prometheus."""
    return Response(served.metrics.text(served.workers.waiting), media_type="text/plain; version=0.0.4")


async def _live(notifier: Notifier) -> None:
    while True:
        notifier.beat()
        await asyncio.sleep(BEAT_S)


async def _follow(served: Served) -> None:
    """Take up what is installed while the server runs."""
    while True:
        await asyncio.sleep(REOPEN_S)
        for work in (served.store.reopen, served.counts.rest):
            # It goes on with what it has; who installs is told the error.
            with contextlib.suppress(EdgeSearchError, OSError):
                await served.installer.run(work)


def _handle_errors(app: FastAPI) -> None:
    async def unknown(_: Request, error: Exception) -> Response:
        return responses.failed(401, "Unknown", str(error))

    async def asked(_: Request, error: Exception) -> Response:
        return responses.failed(400, "BadRequest", str(error))

    async def too_large(_: Request, error: Exception) -> Response:
        return responses.failed(413, "TooLarge", f"the body goes on; at most {LARGEST_BODY:,} bytes are read.")

    async def too_slow(_: Request, error: Exception) -> Response:
        return responses.failed(408, "TooSlow", "the body was not there in time; send it again.")

    async def left(_: Request, error: Exception) -> Response:
        return Response(status_code=CLIENT_LEFT)  # which nobody reads; a person went on to another page

    async def failed(_: Request, error: Exception) -> Response:
        return responses.failed(500, "InternalError", "this is a fault of ours; the server's log says more.")

    app.add_exception_handler(UnknownError, unknown)
    app.add_exception_handler(AskedError, asked)
    app.add_exception_handler(TooLargeError, too_large)
    app.add_exception_handler(TooSlowError, too_slow)
    app.add_exception_handler(ClientDisconnect, left)
    app.add_exception_handler(EdgeSearchError, responses.refused)
    app.add_exception_handler(RequestValidationError, responses.strange)
    app.add_exception_handler(HTTPException, responses.strange)
    app.add_exception_handler(Exception, failed)


class _Page(Mount):
    """The files of the page: all paths but those of the API, which say themselves what is wrong."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return (Match.NONE, {}) if scope["path"].startswith("/v1/") else super().matches(scope)


class _Measured:
    """ASGI middleware: counts each answer by its route."""

    def __init__(self, app: ASGIApp, served: Served):
        self._app, self._served = app, served

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start, status = time.perf_counter(), 500

        async def counted(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, counted)
        finally:
            if scope["type"] == "http":
                path = getattr(scope.get("route"), "path", "/")
                self._served.metrics.answered(path, status, time.perf_counter() - start)
