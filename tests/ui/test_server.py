"""Who is refused by the web server, and what its answers carry: asked over real sockets."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tlcore.settings import PROJECT, Settings

UPGRADE = {
    "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}  # fmt: skip


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server as README starts it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        number = int(listener.getsockname()[1])
    home = tmp_path_factory.mktemp("server")
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless=true"]
    server = subprocess.Popen(
        [*command, f"--server.port={number}"],
        cwd=PROJECT,
        env={**os.environ, **Settings(home=home, keras_home=Path("none")).to_environment()},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(600):
        with suppress(OSError):
            if ask(number, "/_stcore/health").status == 200:
                break
        time.sleep(0.1)
    yield number
    server.terminate()
    server.wait(30)


def ask(port: int, path: str, **headers: str) -> http.client.HTTPResponse:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", path, headers=headers)
        with closing(connection.getresponse()) as answer:
            return answer


def test_pages_carry_headers_and_metrics_are_closed(port: int) -> None:
    answer = ask(port, "/")
    assert answer.status == 200
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "frame-ancestors 'none'"
    assert ask(port, "/_stcore/metrics").status == 404


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("127.0.0.1:{}", "http://127.0.0.1:{}", 101),
        ("localhost:{}", "http://localhost:{}", 101),
        ("evil.example:{}", "http://evil.example:{}", 403),  # whose name resolves to 127.0.0.1
        ("127.0.0.1:{}", "http://127.0.0.1:1", 403),  # another program of this machine
        ("localhost:{}", "http://evil.example", 403),
    ],
)
def test_a_session_begins_for_our_own_pages_only(
    port: int, host: str, origin: str, status: int
) -> None:
    headers = UPGRADE | {"Host": host.format(port), "Origin": origin.format(port)}
    assert ask(port, "/_stcore/stream", **headers).status == status
    if "evil" in host:
        assert ask(port, "/", Host=host.format(port)).status == 403
