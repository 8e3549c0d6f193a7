"""What every request passes first: from where it comes, how large it is, and what a browser may do with the answer."""

import asyncio
import ipaddress
import json
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import BusyError

BODY_S = 120.0  # to send a body
LARGEST_BODY = 100_000_000  # bytes
MOST_HELD = 300_000_000  # bytes, of the bodies of all requests at one moment
INSTALLED = "/v1/install"  # whose body is a bundle, written to a file as it comes
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """ASGI middleware.

    A page of elsewhere that a browser has open beside ours can make it ask us, by our address or by a name that it lets
    point to it (DNS rebinding): it is refused by the Origin it cannot hide, or by the Host it was called by.
    """

    def __init__(self, app: ASGIApp, names: frozenset[str]):
        """names: by which this machine may be called, besides its addresses."""
        self._app, self._names = app, names | {"localhost"}
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    answered.setdefault(name, value)
                # what was asked is kept nowhere; the page is asked for again, by its ETag, so that none is outdated
                answered.setdefault("Cache-Control", "no-store" if scope["path"].startswith("/v1/") else "no-cache")
            await send(message)

        if refused := self._refused(headers):
            await _answer(sealed, *refused)
            return
        if scope["path"] == INSTALLED:
            await self._app(scope, receive, sealed)
            return
        size = int(headers.get("content-length") or 0)
        if size > LARGEST_BODY:
            await _answer(sealed, 413, "TooLarge", f"the body has {size:,} bytes; {_AT_MOST}")
            return
        body = _Body(receive, self._hold)
        try:
            await self._app(scope, body.receive, sealed)
        finally:
            self._held -= body.size

    def _hold(self, size: int) -> None:
        if self._held + size > MOST_HELD:
            raise BusyError("the photos of others fill the memory; ask again in a second.")
        self._held += size

    def _refused(self, headers: Headers) -> tuple[int, str, str] | None:
        host = headers.get("host", "")
        if not self._is_ours(host):
            return 421, "WrongHost", f"{host!r} is no name of this server; use its address, or give --name."
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return 403, "WrongOrigin", f"a page of {origin!r} may not ask; only those of this server may."
        if not headers.get("content-length", "0").isdecimal():
            return 400, "BadRequest", "Content-Length is no number; send the size of the body."
        return None

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            if name in self._names:
                return True
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


class TooLargeError(Exception):
    """The body goes on after the limit."""


class TooSlowError(Exception):
    """The body is not there in time."""


_AT_MOST = f"at most {LARGEST_BODY:,} are read, send smaller photos."


class _Body:
    """A request's body, counted as it comes; size: bytes so far."""

    def __init__(self, receive: Receive, hold: Callable[[int], None]):
        self.size = 0
        self._receive, self._hold, self._ended = receive, hold, False
        self._until = asyncio.get_running_loop().time() + BODY_S

    async def receive(self) -> Message:
        """The next part; raises TooLargeError, TooSlowError, BusyError."""
        if self._ended:  # what comes now says that the client has left
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError as error:
            raise TooSlowError from error
        self._ended = not message.get("more_body", False)
        size = len(message.get("body", b""))
        if self.size + size > LARGEST_BODY:
            raise TooLargeError
        self._hold(size)
        self.size += size
        return message


async def _answer(send: Send, status: int, kind: str, message: str) -> None:
    content = json.dumps({"error": {"kind": kind, "message": message}}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
