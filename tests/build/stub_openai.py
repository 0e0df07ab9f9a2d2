"""A tiny OpenAI-compatible server for tests: answers at once, or holds what comes during a stall."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass
class Stub:
    """What the server saw, and how it behaves. `stall_s`: its first request stops it for that long."""

    stall_s: float = 0.0
    refuse: frozenset[str] = frozenset()
    """Models answered with 429."""
    cut: bool = False
    """Streams break off before [DONE]."""
    url: str = ""
    seen: list[tuple[dict[str, str], str, dict[str, Any]]] = field(default_factory=list)
    """Headers, path and body of each request, in order of arrival."""
    asked: list[dict[str, str]] = field(default_factory=list)
    """Headers of each other request: what it serves, how it is."""
    held: list[str] = field(default_factory=list)
    """Ids of the requests that came during the stall."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    over: threading.Event = field(default_factory=threading.Event)
    first: threading.Event = field(default_factory=threading.Event)
    """Set when the first request has come."""

    def arrive(self, headers: dict[str, str], path: str, body: dict[str, Any]) -> None:
        with self.lock:
            self.seen.append((headers, path, body))
            stalled = bool(self.stall_s) and not self.over.is_set()
            if stalled:
                self.held.append(headers["X-Request-ID"])
        self.first.set()
        if stalled:
            self.over.wait(self.stall_s)
            self.over.set()  # whoever came first has waited longest


@contextmanager
def serving(stub: Stub, certificate: Path | None = None) -> Iterator[Stub]:
    """The stub behind a free port of the loopback address; over TLS with this certificate, its key in the same file."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            stub.asked.append(dict(self.headers))
            if self.path == "/v1/models":
                names = ["gpt2", "gpt2-large", "batch", "blip", "sd"]
                self._json(200, {"object": "list", "data": [{"id": name} for name in names]})
            else:
                self._json(404, {"error": {"message": "not here", "code": "not_found"}})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            stub.arrive(dict(self.headers), self.path, body)
            if body["model"] in stub.refuse:
                self._json(429, {"error": {"message": "over the limit", "code": "rejected"}})
            elif body.get("stream"):
                self._stream(body)
            else:
                count = body["n"] if "n" in body else len(body["prompt"]) if "prompt" in body else 1
                key = "data" if self.path.endswith("generations") else "choices"
                usage = {"completion_tokens": 3}
                self._json(200, {key: [{"index": i} for i in range(count)], "usage": usage})

        def _json(self, status: int, message: dict[str, Any]) -> None:
            raw = json.dumps(message).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def _stream(self, body: dict[str, Any]) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            deltas = [{"role": "assistant"}, {"content": "near"}, {"content": " edge"}]
            events = [json.dumps({"choices": [{"delta": delta}]}) for delta in deltas]
            events.append(json.dumps({"choices": [], "usage": {"completion_tokens": 2}}))
            for event in [*events, "[DONE]"]:
                if stub.cut and event == "[DONE]":
                    self.close_connection = True
                    return
                raw = f"data: {event}\n\n".encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(raw), raw))
            self.wfile.write(b"0\r\n\r\n")

        def log_message(self, format: str, *args: Any) -> None:
            """Silent."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Handler) as server:
        stub.url = f"http{'s' * bool(certificate)}://127.0.0.1:{server.server_port}"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield stub
        finally:
            stub.over.set()
            server.shutdown()
            thread.join()
