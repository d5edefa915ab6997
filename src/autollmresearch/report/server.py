"""`view`: the same page on 127.0.0.1, which asks every other second whether there is something new.

The main thread reads the run anew every second; the server's threads hand out what it read last. Requests that name
another host are refused, so that no web page whose name was made to point here can read a study.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from autollmresearch.errors import ResearchError
from autollmresearch.report.page import data_text, page_text, policy

PAUSE = 1.0
"""Seconds between two readings."""


class PageServer(ThreadingHTTPServer):
    """Serves `data`, which whoever holds the server may replace."""

    daemon_threads = True
    data: Mapping[str, Any]

    def __init__(self, port: int, data: Mapping[str, Any]) -> None:
        self.data = data
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        return f"http://127.0.0.1:{self.server_port}/"

    def may_ask(self, host: str | None) -> bool:
        """Whether a request named this very server."""
        return host in {f"{name}:{self.server_port}" for name in ("127.0.0.1", "localhost")}


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    server_version = "autollmresearch"
    sys_version = ""
    timeout = 10  # a browser opens connections that it never uses

    def do_GET(self) -> None:
        if not self.server.may_ask(self.headers.get("Host")):
            self._answer(403, "text/plain", f"ask for {self.server.address}\n")
        elif self.path == "/":
            self._answer(200, "text/html", page_text(self.server.data, live=True))
        elif self.path == "/data":
            self._answer(200, "application/json", data_text(self.server.data))
        else:
            self._answer(404, "text/plain", "there is / and /data\n")

    def _answer(self, status: int, kind: str, text: str) -> None:
        body = text.encode()
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        if status == 200 and self.headers.get("If-None-Match") == tag:
            status, body = 304, b""
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-cache")
        self.send_header("ETag", tag)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", policy(live=True) + "; frame-ancestors 'none'")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: what a browser asks every other second is no news."""


def serve(server: PageServer, read: Callable[[], Mapping[str, Any]]) -> None:
    """Serve, and keep the data new, until interrupted.

    What cannot be read for a moment (a database that is locked, a file that is being replaced) stays as it was, and
    the page says why.
    """
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        while True:
            time.sleep(PAUSE)
            try:
                server.data = read()
            except (ResearchError, OSError) as problem:
                server.data = {**server.data, "problem": str(problem)}
    finally:
        server.shutdown()
        server.server_close()
