"""What the web server refuses, and the headers of its answers; app.py starts it with this."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

import streamlit as st
from streamlit.web.server.starlette.starlette_websocket import is_host_allowed

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"frame-ancestors 'none'"),  # no page may lay itself over it
]


class Guard:
    """Middleware: only the names of this server, only its own pages, no metrics; two headers.

    Streamlit compares the name with ``server.allowedHosts`` only where a session begins, and takes
    a page on any port of this machine for its own.
    """

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: object, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                names = {name.lower() for name, _ in message["headers"]}
                more = [header for header in HEADERS if header[0] not in names]
                message["headers"] = [*message["headers"], *more]
            await send(message)

        if scope["type"] == "lifespan" or (status := refuse(scope)) == 0:
            await self.app(scope, receive, send_with_headers)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await send({"type": "http.response.start", "status": status, "headers": HEADERS})
            await send({"type": "http.response.body"})


def refuse(scope: Message) -> int:
    """Return the status with which a request is refused, 0 for none."""
    headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    host, origin = headers.get(b"host", ""), headers.get(b"origin", "")
    if not is_host_allowed(host):
        return 403
    if scope["type"] == "websocket" and origin:  # a page asks for a session
        is_known = origin.rstrip("/") in st.get_option("server.corsAllowedOrigins")
        return 0 if is_known or urlsplit(origin).netloc == host else 403
    return 404 if scope["path"].endswith("/_stcore/metrics") else 0
