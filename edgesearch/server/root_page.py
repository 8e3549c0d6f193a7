"""Offer the root of the local authority over http, with instructions, to handhelds that do not trust it yet."""

from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from ..html.markup import Markup, join, tag
from .local_authority import fingerprint

PATH, FILE = "/root.crt", "edgesearch-root.crt"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
STYLE = """
:root { color-scheme: light dark; font: 1.1rem/1.5 system-ui, sans-serif; }
main { max-width: 40rem; margin: 1rem auto; padding: 0 1rem; }
a.button { display: block; padding: .8rem; border: 2px solid; border-radius: .6rem; text-align: center; }
code { overflow-wrap: anywhere; }
"""
STEPS = {
    "Android": (
        "Press Download.",
        "Open Settings, Security and privacy, More security settings, Encryption and credentials, Install a "
        "certificate, CA certificate. The words differ by maker; searching the settings for “CA certificate” finds it.",
        "Choose Install anyway, and the downloaded file.",
    ),
    "iPhone and iPad": (
        "Press Download in Safari, and allow the profile.",
        "Open Settings, General, VPN & Device Management, and install the profile “edgesearch root”.",
        "Open Settings, General, About, Certificate Trust Settings, and switch the root on.",
    ),
    "Windows": (
        "Press Download, and open the file.",
        "Press Install Certificate, choose Current User, then “Place all certificates in the following store”.",
        "Browse to Trusted Root Certification Authorities, and finish. Chrome and Edge use it; Firefox too, if its "
        "setting “Allow Firefox to automatically trust third-party root certificates” is on.",
    ),
    "Linux": (
        "Press Download.",
        "Chrome: Settings, Privacy and security, Security, Manage certificates, Installed by you, Import. "
        "Firefox: Settings, Privacy & Security, View Certificates, Authorities, Import.",
    ),
}


def create_root_app(root: x509.Certificate, page_url: Callable[[str], str]) -> Starlette:
    """Return an ASGI application that serves the page at / and the root at `PATH`, and sends all else to the page.

    Args:
        root: To install.
        page_url: Returns the address of edgesearch's own page by the host name that a visitor used here.
    """

    async def show(request: Request) -> Response:
        return HTMLResponse(_page(root, page_url(request.url.hostname or "localhost")), headers=HEADERS)

    async def download(_: Request) -> Response:
        named = {"Content-Disposition": f'attachment; filename="{FILE}"'}
        return Response(
            root.public_bytes(Encoding.DER), headers=HEADERS | named, media_type="application/x-x509-ca-cert"
        )

    async def redirect(_: Request) -> Response:
        return RedirectResponse("/", headers=HEADERS)

    return Starlette(routes=[Route("/", show), Route(PATH, download), Route("/{path:path}", redirect)])


def _page(root: x509.Certificate, url: str) -> str:
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width"),
        tag("title", "Trust edgesearch on this device"),
        Markup(f"<style>{STYLE}</style>"),
    )
    steps = [
        join(tag("h3", system), tag("ol", *(tag("li", step) for step in steps))) for system, steps in STEPS.items()
    ]
    body = tag(
        "main",
        tag("h1", "Trust edgesearch on this device"),
        tag("p", "Phones and tablets open the camera only for pages they trust. Do this once on each."),
        tag("h2", "1. Download"),
        tag("p", tag("a", "Download the root certificate", href=PATH, class_="button")),
        tag("p", "Its SHA-256, which the server shows too when it starts:"),
        tag("p", tag("code", fingerprint(root))),
        tag("p", "If the two differ, somebody else answered: do not install it."),
        tag("h2", "2. Install"),
        *steps,
        tag("h2", "3. Open"),
        tag("p", tag("a", "Open edgesearch", href=url, class_="button")),
        tag("p", "The root vouches only for names and addresses of local networks, not for sites of the internet."),
    )
    return "<!doctype html>" + tag("html", head, tag("body", body), lang="en")
