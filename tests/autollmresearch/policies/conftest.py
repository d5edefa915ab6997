"""A scripted chat-completions server: it does what it is told, request by request, and remembers what it was sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

KEY = "sk-a-secret-that-nobody-may-read"


def completion(content: object, *, finish: str = "stop", usage: object = (10, 5), **message: object) -> dict[str, Any]:
    """A chat completion as servers write it."""
    body: dict[str, Any] = {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": content, **message}}
        ],
    }
    if isinstance(usage, tuple):
        read, wrote = usage
        body["usage"] = {"prompt_tokens": read, "completion_tokens": wrote, "total_tokens": read + wrote}
    elif usage is not None:
        body["usage"] = usage
    return body


@dataclass
class Server:
    """What it does next: a status with a body, a text, or a function that writes to the connection itself.

    The last of the script is repeated.
    """

    script: list[Any] = field(default_factory=list)
    seen: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    url: str = ""
    released: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self, body: dict[str, Any], key: str) -> Any:
        with self._lock:
            self.seen.append(body)
            self.keys.append(key)
            return self.script.pop(0) if len(self.script) > 1 else self.script[0]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        step = self.server.plan.next(body, self.headers["authorization"])
        if callable(step):
            step = step(self, body)
        if step is None:
            self.close_connection = True
            return
        status, content, headers = step if isinstance(step, tuple) else (200, step, {})
        data = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(status)
        for name, value in ({"content-type": "application/json"} | headers).items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        pass


class Quiet(ThreadingHTTPServer):
    """A client that leaves in the middle of an answer is what some tests are about."""

    daemon_threads = True

    def handle_error(self, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server whose `script` a test sets, known to the environment with a key."""
    plan = Server()
    httpd = Quiet(("127.0.0.1", 0), Handler)
    httpd.plan = plan  # type: ignore[attr-defined]
    plan.url = f"http://127.0.0.1:{httpd.server_port}/v1"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    monkeypatch.setenv("OPENAI_BASE_URL", plan.url)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    yield plan
    plan.released.set()
    httpd.shutdown()
    httpd.server_close()
    thread.join()


@pytest.fixture
def says() -> Callable[..., dict[str, Any]]:
    """A chat completion as servers write it: `says(content, finish=, usage=, reasoning_content=)`."""
    return completion


@pytest.fixture
def key() -> str:
    """The key that the server is asked with."""
    return KEY
