"""Check every request's origin and size, let each client have its turn, and set every response's security headers."""

import asyncio
import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .connections import CLOSED, client_of
from .request_body import Body, BodyError, BodyMemory
from .responses import error_response, handle_body_error
from .turns import Turns

BODY = "edgesearch.body"  # in the scope of a request
INSTALL_PATH = "/v1/install"  # its body is a bundle, which goes to a file as it arrives
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class SecurityMiddleware:
    """ASGI middleware that rejects cross-origin requests and limits bodies.

    A page of another site in the same browser can send requests to this server's address, or to a host name that its
    owner resolves to this address (DNS rebinding). The Origin or Host header of such a request names the other site;
    Sec-Fetch-Site does so also where browsers send no Origin, as for a picture or a link.
    """

    def __init__(self, app: ASGIApp, names: frozenset[str]):
        """Wrap an application.

        Args:
            app: The ASGI application.
            names: Host names to accept in addition to addresses and localhost.
        """
        self._app, self._names = app, names | {"localhost"}
        self._memory, self._turns = BodyMemory(), Turns()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, began = Headers(scope=scope), False

        async def send_with_headers(message: Message) -> None:
            nonlocal began
            if message["type"] == "http.response.start":
                began = True
                response = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    response.setdefault(name, value)
                # No browser stores an answer. It checks the page's ETag each time, so that the page is never outdated.
                response.setdefault("Cache-Control", "no-store" if scope["path"].startswith("/v1/") else "no-cache")
            await send(message)

        if rejection := self._find_rejection(headers, scope["path"]):
            await error_response(*rejection)(scope, receive, send_with_headers)
            return
        try:
            await self._pass_on(scope, receive, send_with_headers, int(headers.get("content-length") or 0))
        except asyncio.CancelledError:  # the server ends, and waits no longer for requests under way
            if not began:
                message = "the server stopped before it had answered; send the request again when it runs."
                await error_response(503, "Stopping", message)(scope, receive, send_with_headers)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send, announced: int) -> None:
        """Wait for the body, of which `announced` bytes are to come, and let the application answer."""
        if scope["path"] == INSTALL_PATH:
            await self._app(scope, receive, send)
            return
        client = client_of((scope.get("client") or ("",))[0])
        body = scope[BODY] = Body(receive, self._memory, client, announced)
        self._memory.add(body)
        try:
            is_there = await body.start()
        except BodyError as error:
            response = await handle_body_error(Request(scope), error)
            await response(scope, receive, send)
        else:
            if is_there and await self._turns.wait(client, scope.get("state", {}).get(CLOSED)):
                await self._app(scope, body.receive, send)
        finally:
            self._memory.remove(body)

    def _find_rejection(self, headers: Headers, path: str) -> tuple[int, str, str] | None:
        """Return the status, kind and message if a request must be rejected, else None."""
        host = headers.get("host", "")
        if not self._is_own_host(host):
            return 421, "WrongHost", f"{host!r} is not a name of this server; use its address, or start it with --name."
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return 403, "WrongOrigin", f"cross-origin request from {origin!r}; send it from a page of this server."
        if path.startswith("/v1/") and headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            return 403, "WrongOrigin", "a page of another site sent this request; send it from a page of this server."
        if not headers.get("content-length", "0").isdecimal():
            return 400, "BadRequest", "Content-Length is not a number; send the size of the body."
        return None

    def _is_own_host(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            if name in self._names:
                return True
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True
