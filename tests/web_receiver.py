"""A receiver of webhooks on loopback that answers as a test says, slowly, wrongly or not at all; for tests."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.conftest import free_port

Answer = Callable[["Posted"], int]


@dataclass(frozen=True, slots=True)
class Posted:
    """One request as it came."""

    path: str
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def heartbeat(self) -> bool:
        return bool(self.body["type"] == "heartbeat")


class Receiver:
    """`with Receiver() as receiver:` runs it; stop() and start() again keep the port. answer: what it says to each."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.port = free_port()
        self.posted: list[Posted] = []
        self.answer: Answer = lambda posted: 204
        self.headers: dict[str, str] = {}
        self.drip_s = 0.0
        self._context = context
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self._context else 'http'}://localhost:{self.port}/hook?token=t0p-s3cret"

    def start(self) -> None:
        self._server = _Server(("127.0.0.1", self.port), _handler(self))
        if self._context is not None:
            self._server.socket = self._context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def __enter__(self) -> Receiver:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def alerts(self) -> list[Any]:
        """Bodies of what came about alerts, in order."""
        return [one.body for one in list(self.posted) if not one.heartbeat]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up, or wants no certificate of ours, is what some tests are about."""


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            posted = Posted(self.path, {name.lower(): value for name, value in self.headers.items()}, raw)
            status = receiver.answer(posted)
            receiver.posted.append(posted)
            if status == 0:
                return  # hangs up without a word
            if receiver.drip_s:
                self._drip()
                return
            self.send_response(status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _drip(self) -> None:
            """One byte at a time, each well within any timeout of a single read."""
            for byte in b"HTTP/1.1 200 OK\r\nX: " + b"a" * 500:
                self.wfile.write(bytes((byte,)))
                time.sleep(receiver.drip_s)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
