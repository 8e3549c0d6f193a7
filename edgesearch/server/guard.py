"""What every request passes first: from where it comes, how large it is, and what a browser may do with the answer."""

import asyncio
import ipaddress
import json
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_S = 30.0  # to send a body
LARGEST_BODY = 100_000_000  # bytes; five photos as large as any that is read
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
                if scope["path"].startswith("/v1/"):
                    answered.setdefault("Cache-Control", "no-store")
            await send(message)

        if refused := self._refused(headers):
            await _answer(sealed, *refused)
            return
        body = _Body(receive, unlimited=scope["path"] == INSTALLED)
        if int(headers.get("content-length") or 0) > body.limit:
            await _answer(sealed, 413, "TooLarge", f"the body has {headers['content-length']} bytes; {_AT_MOST}")
            return
        await self._app(scope, body.receive, sealed)

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
    """A request's body, counted as it comes."""

    def __init__(self, receive: Receive, unlimited: bool):
        self.limit: float = float("inf") if unlimited else LARGEST_BODY
        self._receive, self._read, self._ended = receive, 0, False

    async def receive(self) -> Message:
        """The next part."""
        if self._ended:  # what comes now says that the client has left
            return await self._receive()
        try:
            async with asyncio.timeout(BODY_S):
                message = await self._receive()
        except TimeoutError as error:
            raise TooSlowError from error
        self._read += len(message.get("body", b""))
        self._ended = not message.get("more_body", False)
        if self._read > self.limit:
            raise TooLargeError
        return message


async def _answer(send: Send, status: int, kind: str, message: str) -> None:
    content = json.dumps({"error": {"kind": kind, "message": message}}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
