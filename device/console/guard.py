"""Who may ask: only this machine's own page.

A page on loopback is reachable by every web site that the same browser opens: a foreign name can be made to point at
127.0.0.1 (DNS rebinding), and a foreign page can post to it. So the Host header must be loopback with our own port,
and whatever changes something must come from a page of ours.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

NAMES = ("127.0.0.1", "localhost", "[::1]")
SAFE_METHODS = ("GET", "HEAD")

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def hosts(port: int) -> frozenset[str]:
    """The Host headers this page answers to; a browser leaves out port 80."""
    return frozenset(f"{name}:{port}" for name in NAMES) | (frozenset(NAMES) if port == 80 else frozenset())


def refusal(method: str, headers: Mapping[str, str], allowed: frozenset[str]) -> str | None:
    """Why a request is refused, in one sentence; None for a welcome one. Header names in lower case."""
    host = headers.get("host", "").lower()
    if host not in allowed:
        return "this page answers only under its own loopback address"
    site = headers.get("sec-fetch-site", "none")
    if site not in ("none", "same-origin") and headers.get("sec-fetch-mode") != "navigate":
        return "another site's page may not use this one"
    if method in SAFE_METHODS:
        return None
    if headers.get("origin", "").lower() != f"http://{host}":
        return "changes are made only from this page itself"
    return None


class Guard:
    """Refuses foreign requests with 403, and adds the headers that keep this page out of other pages."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self.app = app
        self.allowed = hosts(port)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store" if scope["path"].startswith("/api/") else "no-cache")
            await send(message)

        if why := refusal(scope["method"], Headers(scope=scope), self.allowed):
            await JSONResponse({"error": why}, 403)(scope, receive, send_guarded)
            return
        await self.app(scope, receive, send_guarded)
