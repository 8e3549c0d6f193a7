"""Check every request's origin and size, and set the security headers of every response."""

import asyncio
import ipaddress
import json
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import BusyError

BODY_TIMEOUT_S = 120.0
MAX_BODY_BYTES = 100_000_000
MAX_BUFFERED_BYTES = 300_000_000  # the bodies of all requests at one moment
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
    """ASGI middleware that rejects cross-origin requests and oversized bodies.

    A page of another site in the same browser can send requests to this server's address, or to a host name that its
    owner resolves to this address (DNS rebinding). The Origin or Host header of such a request names the other site.
    """

    def __init__(self, app: ASGIApp, names: frozenset[str]):
        """Wrap an application.

        Args:
            app: The ASGI application.
            names: Host names to accept in addition to addresses and localhost.
        """
        self._app, self._names = app, names | {"localhost"}
        self._buffered = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                response = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    response.setdefault(name, value)
                # No browser stores an answer. It checks the page's ETag each time, so that the page is never outdated.
                response.setdefault("Cache-Control", "no-store" if scope["path"].startswith("/v1/") else "no-cache")
            await send(message)

        if rejection := self._find_rejection(headers):
            await _send_error(send_with_headers, *rejection)
            return
        if scope["path"] == INSTALL_PATH:
            await self._app(scope, receive, send_with_headers)
            return
        size = int(headers.get("content-length") or 0)
        if size > MAX_BODY_BYTES:
            message = f"the body has {size:,} bytes; send smaller photos, at most {MAX_BODY_BYTES:,} bytes together."
            await _send_error(send_with_headers, 413, "TooLarge", message)
            return
        body = _Body(receive, self._reserve)
        try:
            await self._app(scope, body.receive, send_with_headers)
        finally:
            self._buffered -= body.size

    def _reserve(self, size: int) -> None:
        if self._buffered + size > MAX_BUFFERED_BYTES:
            raise BusyError("photos of other requests fill the memory; try again in a second.")
        self._buffered += size

    def _find_rejection(self, headers: Headers) -> tuple[int, str, str] | None:
        """Return the status, kind and message if a request must be rejected, else None."""
        host = headers.get("host", "")
        if not self._is_own_host(host):
            return 421, "WrongHost", f"{host!r} is not a name of this server; use its address, or start it with --name."
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return 403, "WrongOrigin", f"cross-origin request from {origin!r}; send it from a page of this server."
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


class TooLargeError(Exception):
    """The body exceeds the limit."""


class TooSlowError(Exception):
    """The body did not arrive in time."""


class _Body:
    """A request's body, measured as it arrives.

    Attributes:
        size: Bytes received so far.
    """

    def __init__(self, receive: Receive, reserve: Callable[[int], None]):
        self.size = 0
        self._receive, self._reserve, self._complete = receive, reserve, False
        self._deadline = asyncio.get_running_loop().time() + BODY_TIMEOUT_S

    async def receive(self) -> Message:
        """Return the next part; raise TooLargeError, TooSlowError or BusyError."""
        if self._complete:  # a message after the body says that the client has left
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError as error:
            raise TooSlowError from error
        self._complete = not message.get("more_body", False)
        size = len(message.get("body", b""))
        if self.size + size > MAX_BODY_BYTES:
            raise TooLargeError
        self._reserve(size)
        self.size += size
        return message


async def _send_error(send: Send, status: int, kind: str, message: str) -> None:
    content = json.dumps({"error": {"kind": kind, "message": message}}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
