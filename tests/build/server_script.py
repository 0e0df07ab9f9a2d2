"""A model's server that behaves as it is told: a test sees every request and writes every answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from controller.agents.client import server_of


@dataclass(frozen=True, slots=True)
class Answered:
    """One HTTP answer."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    never: bool = False
    """It does not come before the server is stopped."""
    blanks: int = 0
    """Sent before the body, one every 0.05 s."""
    lines: int = 0
    """Of its head that are sent in the same way."""


Behaviour = Callable[[dict[str, Any], int], Answered]
"""Body of a chat request, and how many came before it, to what is answered."""


def said(text: str | None = None, finish: str = "stop", calls: tuple[tuple[str, str], ...] = ()) -> Answered:
    """An ordinary answer."""
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if calls:
        message["tool_calls"] = [
            {"id": f"c{i}", "type": "function", "function": {"name": n, "arguments": a}}
            for i, (n, a) in enumerate(calls)
        ]
    choice = {"index": 0, "finish_reason": finish, "message": message}
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    whole = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
    return Answered(body={**whole, "usage": usage})


def refused(status: int, message: str, param: str | None = None, **headers: str) -> Answered:
    """An error as OpenAI writes one."""
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": None}
    return Answered(status, {"error": error}, headers)


@dataclass
class ScriptedServer:
    """Behaves as `behave` says; `models` is its list of models, None: it has none."""

    behave: Behaviour
    models: list[dict[str, Any]] | None = None
    url: str = ""
    seen: list[dict[str, Any]] = field(default_factory=list)
    dripped: int = 0
    """Blanks and lines that were sent one by one."""
    over: threading.Event = field(default_factory=threading.Event)


@contextmanager
def serving(server: ScriptedServer) -> Iterator[ScriptedServer]:
    """The server behind a free port of the loopback address, which a server of an earlier test may have had."""
    server_of.cache_clear()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            listed = server.models
            missing = refused(404, "no such path")
            self._send(missing if listed is None else Answered(body={"object": "list", "data": listed}))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.seen.append(body)
            answer = server.behave(body, len(server.seen) - 1)
            if answer.never:
                server.over.wait(30)
            self._send(answer)

        def _send(self, answer: Answered) -> None:
            raw = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(answer.blanks + len(raw)))
            try:
                for number in range(answer.lines):
                    server.dripped += 1
                    self.send_header(f"X-Line-{number}", "more")
                    self.flush_headers()
                    server.over.wait(0.05)
                self.end_headers()
                for _ in range(answer.blanks):
                    server.dripped += 1
                    self.wfile.write(b" ")
                    server.over.wait(0.05)
                self.wfile.write(raw)
            except OSError:
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            """Silent."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{http.server_address[1]}/v1"
    try:
        yield server
    finally:
        server.over.set()
        http.shutdown()
        http.server_close()
        thread.join()
