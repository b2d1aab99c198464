"""What the web server refuses, and the headers of its answers; app.py starts it with this."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

import streamlit as st

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
CLOSED = ("/_stcore/metrics",)  # of the server's memory and sessions, for anybody who asks
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"frame-ancestors 'none'"),  # no page may lay itself over it
)


class Guard:
    """Middleware: only the names of this server, only its own pages, and two headers.

    Streamlit compares the name with ``server.allowedHosts`` only where a session begins, and takes
    a page on any port of this machine for its own.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket" and not is_allowed(scope):
            await send({"type": "websocket.close", "code": 1008})
        elif not is_allowed(scope) or scope["path"].endswith(CLOSED):
            status = 404 if is_allowed(scope) else 403
            await send({"type": "http.response.start", "status": status, "headers": [*HEADERS]})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self.app(scope, receive, _with_headers(send))


def is_allowed(scope: Scope) -> bool:
    """Whether a request names this server, and a session is asked for by a page of it."""
    headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    host, origin = headers.get(b"host", ""), headers.get(b"origin", "")
    allowed = [name.strip().lower() for name in st.get_option("server.allowedHosts")]
    name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    if allowed and not any(
        pattern in ("*", name) or (pattern.startswith("*.") and name.endswith(pattern[1:]))
        for pattern in allowed
    ):
        return False
    if scope["type"] != "websocket" or not origin:
        return True
    others = st.get_option("server.corsAllowedOrigins")
    return urlsplit(origin).netloc == host or origin.rstrip("/") in others


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            names = {name.lower() for name, _ in message.get("headers", ())}
            more = [header for header in HEADERS if header[0] not in names]
            message["headers"] = [*message.get("headers", ()), *more]
        await send(message)

    return send_with_headers
