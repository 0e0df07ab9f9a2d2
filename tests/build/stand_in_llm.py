"""A stand-in for a model server: speaks the OpenAI protocol on loopback, and fails in any way it is told to.

Requests are checked against the openai SDK's own types; answers are built with them.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from openai.types.chat import (
    ChatCompletion,
    ChatCompletionMessage,
    ChatCompletionMessageFunctionToolCall,
    ChatCompletionMessageParam,
    ChatCompletionToolParam,
)
from openai.types.chat.chat_completion import Choice
from openai.types.chat.chat_completion_message_function_tool_call import Function
from openai.types.completion_usage import CompletionUsage
from pydantic import TypeAdapter

MESSAGES: TypeAdapter[Any] = TypeAdapter(list[ChatCompletionMessageParam])
TOOLS: TypeAdapter[Any] = TypeAdapter(list[ChatCompletionToolParam])


@dataclass
class StandIn:
    """What it saw, and how it behaves."""

    failure: str | None = None
    """timeout, http_429, http_500, refusal, malformed_json, unknown_tool, out_of_range, endless_tools, garbage; None:
    a careful model."""
    fails: int = 1_000_000
    """So many requests fail; later ones are answered."""
    url: str = ""
    seen: list[dict[str, Any]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def behave(self, body: dict[str, Any]) -> tuple[int, bytes]:
        """Status and body of the answer."""
        MESSAGES.validate_python(body["messages"])
        TOOLS.validate_python(body["tools"])
        with self.lock:
            self.seen.append(body)
            failing = self.failure if len(self.seen) <= self.fails else None
        if failing in ("http_429", "http_500"):
            return int(
                failing[5:]
            ), b'{"error": {"message": "try later", "type": "x", "code": null, "param": null}}'
        if failing == "timeout":
            self.over.wait(30)
        if failing == "garbage":
            return 200, b"<html>not JSON"
        return 200, completion(body, failing).model_dump_json(exclude_none=True).encode()


_WRONG = {
    "malformed_json": ("set_device_risky", '{"device": "'),
    "unknown_tool": ("reboot_device", "{}"),
    "out_of_range": ("set_router_params", '{"explore_weight_ms": 1e12, "risk_penalty_ms": -1}'),
    "endless_tools": ("get_system_status", "{}"),
}


def completion(body: dict[str, Any], failing: str | None) -> ChatCompletion:
    """One answer: a wrong one, or first a look and then the mask the prompt asks to confirm."""
    if failing == "refusal":
        return _wrap(ChatCompletionMessage(role="assistant", refusal="I will not.", content=None), "stop")
    if failing in _WRONG:
        return _wrap(_asks(*_WRONG[failing]), "tool_calls")
    if body["messages"][-1]["role"] == "tool":
        cause = next(m["content"] for m in body["messages"] if m["role"] == "user").split("What happened: ")[
            1
        ]
        kind, device = cause.split("\n")[0].split(":")[:2]
        if kind != "onset":
            return _wrap(ChatCompletionMessage(role="assistant", content="Nothing to do."), "stop")
        return _wrap(_asks("set_device_risky", json.dumps({"device": device, "ttl_tasks": 40})), "tool_calls")
    return _wrap(_asks("get_system_status", "{}"), "tool_calls")


def _asks(name: str, arguments: str) -> ChatCompletionMessage:
    call = ChatCompletionMessageFunctionToolCall(
        id=f"call_{name}", type="function", function=Function(name=name, arguments=arguments)
    )
    return ChatCompletionMessage(role="assistant", content=None, tool_calls=[call])


def _wrap(message: ChatCompletionMessage, finish: Any) -> ChatCompletion:
    return ChatCompletion(
        id="chatcmpl-1", object="chat.completion", created=0, model="tiny",
        choices=[Choice(index=0, finish_reason=finish, message=message)],
        usage=CompletionUsage(prompt_tokens=100, completion_tokens=10, total_tokens=110),
    )  # fmt: skip


@contextmanager
def serving(stand_in: StandIn) -> Iterator[StandIn]:
    """The stand-in behind a free port of the loopback address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            assert self.path == "/v1/chat/completions"
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = stand_in.behave(body)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            try:
                self.wfile.write(answer)
            except OSError:
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    stand_in.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield stand_in
    finally:
        stand_in.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
